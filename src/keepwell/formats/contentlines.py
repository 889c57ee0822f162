"""Content lines: the syntax that vCard and iCalendar share (RFC 6350 section 3, RFC 5545 section 3.1).

For: the lines and components of a file as values, without losing one octet, so that what a client sent is
what is kept, and so that a part of it can be served again as it was.

Promises: ``render(parse(data)) == data`` for every ``data`` that ``parse`` accepts, whatever its line ends
(CRLF, LF, or CR alone), folds (also inside a UTF-8 sequence), blank lines, byte order mark, groups, unknown
names and the habits of vCard 2.1 (bare parameters, quoted-printable soft line breaks, base64 blocks). What is
refused is refused with the number of its line and one sentence. The time taken grows linearly with the size,
and the caps are checked first.

Leaves to others: what properties mean (``vcard``, ``icalendar``) and how octets become lines (``rows``).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec

from keepwell.formats.refusals import DEFAULT_CAPS, Caps, InvalidContent
from keepwell.formats.rows import Block, Row, outline, read_rows

__all__ = [
    "DEFAULT_CAPS",
    "Caps",
    "Component",
    "Document",
    "InvalidContent",
    "Line",
    "Parameter",
    "line_from",
    "make_line",
    "parse",
    "parse_parameters",
    "render",
    "render_component",
]

# Outside quotes a piece ends at the separator; a quote without a partner is an ordinary character.
_PARAMETER: Final = re.compile(r';((?:[^";]++|"[^"]*+"|")*+)')
_PARAMETER_VALUE: Final = re.compile(r'((?:[^",]++|"[^"]*+"|")*+)(?:,|\Z)')
_CIRCUMFLEX: Final = re.compile(r"\^(['n^])")
_CIRCUMFLEX_MEANINGS: Final = {"n": "\n", "^": "^", "'": '"'}

_BARE_ENCODINGS: Final = frozenset({"QUOTED-PRINTABLE", "BASE64", "B", "Q", "7BIT", "8BIT"})
_BARE_VALUES: Final = frozenset({"URL", "INLINE", "CID", "CONTENT-ID"})

#: Parameters up to this length are remembered; they repeat from file to file (``;TYPE=HOME``, ``;TZID=…``).
_REMEMBERED_CHARACTERS: Final = 64

#: RFC 5545 3.1 and RFC 6350 3.2: lines longer than 75 octets, line end excluded, should be folded.
_FOLD_OCTETS: Final = 75


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter: upper-case name, values without quotes and with RFC 6868 decoded.

    A bare parameter of vCard 2.1 (``TEL;HOME``) is an ENCODING, a VALUE or, else, a TYPE.
    """

    name: str
    values: tuple[str, ...]


class Line(msgspec.Struct, frozen=True, gc=False):
    """A content line: ``name`` and ``group`` parted, ``value`` unfolded but still escaped.

    ``number`` is the physical line, from 1, on which it starts; 0 when it comes from no file. ``raw`` is the
    text as it stood, with folds, line end and the blank lines after it; octets torn apart by a fold are
    surrogate escapes.
    """

    number: int
    group: str
    name: str
    parameters: tuple[Parameter, ...]
    value: str
    raw: str

    def parameter(self, name: str) -> str | None:
        """The first value of the parameter, or None when it is absent; ``name`` in upper case."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter.values[0]
        return None


@dataclass(frozen=True, slots=True)
class Component:
    """A component: everything from its BEGIN to its END, in order."""

    name: str
    begin: Line
    content: "tuple[Line | Component, ...]"
    end: Line

    @property
    def properties(self) -> tuple[Line, ...]:
        """Its own lines, without those of its subcomponents."""
        return tuple(part for part in self.content if isinstance(part, Line))

    @property
    def components(self) -> "tuple[Component, ...]":
        """Its subcomponents."""
        return tuple(part for part in self.content if isinstance(part, Component))

    def line(self, name: str) -> Line | None:
        """Its first own line of this upper-case name."""
        for part in self.content:
            if isinstance(part, Line) and part.name == name:
                return part
        return None

    def value(self, name: str) -> str | None:
        """The value of its first own line of this upper-case name."""
        line = self.line(name)
        return None if line is None else line.value


@dataclass(frozen=True, slots=True)
class Document:
    """A file: the byte order mark and blank lines before everything, then its components."""

    prefix: str
    components: tuple[Component, ...]


def parse(data: bytes, caps: Caps = DEFAULT_CAPS) -> Document:
    """The file as components; raises InvalidContent when it is not well-formed or passes a cap."""
    found = read_rows(data, caps)
    blocks = outline(found, caps)
    lines = [line_from(row, found.number(index)) for index, row in enumerate(found.rows)]
    return Document(found.prefix, tuple(_component(block, lines) for block in blocks))


def render(document: Document) -> bytes:
    """The octets of the document."""
    text = document.prefix + "".join(render_component(component) for component in document.components)
    return text.encode(errors="surrogateescape")


def render_component(component: Component) -> str:
    """The text of the component as it stood; encode it with ``surrogateescape``."""
    return "".join(_raw_texts(component))


def line_from(row: Row, number: int) -> Line:
    """The row as a line that starts on this physical line."""
    raw, name, parameters, value = row
    group, dot, bare = name.partition(".")
    if dot:
        return Line(number, group, bare.upper(), parse_parameters(parameters), value, raw)
    return Line(number, "", name.upper(), parse_parameters(parameters) if parameters else (), value, raw)


def make_line(head: str, value: str, *, line_end: str = "\r\n") -> Line:
    """A new line, folded, from ``NAME;PARAMETER=value`` as it shall stand and an escaped value."""
    name, semicolon, parameters = head.partition(";")
    return line_from((_folded(f"{head}:{value}", line_end), name, semicolon + parameters, value), 0)


def parse_parameters(text: str) -> tuple[Parameter, ...]:
    """The parameters in a text like ``;TYPE=home,work;PREF``."""
    if len(text) <= _REMEMBERED_CHARACTERS:
        return _remembered_parameters(text)
    return _parameters(text)


def _component(block: Block, lines: Sequence[Line]) -> Component:
    content = tuple(lines[part] if isinstance(part, int) else _component(part, lines) for part in block.content)
    return Component(block.name, lines[block.begin], content, lines[block.end])


def _raw_texts(component: Component) -> Iterator[str]:
    yield component.begin.raw
    for part in component.content:
        if isinstance(part, Line):
            yield part.raw
        else:
            yield from _raw_texts(part)
    yield component.end.raw


def _parameters(text: str) -> tuple[Parameter, ...]:
    pieces = _PARAMETER.findall(text) if '"' in text else text[1:].split(";")
    return tuple(_parameter(piece) for piece in pieces if piece)


_remembered_parameters = lru_cache(maxsize=4096)(_parameters)


def _parameter(piece: str) -> Parameter:
    name, equals, value = piece.partition("=")
    if not equals:
        return _bare_parameter(piece)
    if '"' in value:
        values = tuple(match.replace('"', "") for match in _PARAMETER_VALUE.findall(value)[:-1] or [""])
    else:
        values = tuple(value.split(","))
    if "^" in value:
        values = tuple(_CIRCUMFLEX.sub(_circumflex_meaning, one) for one in values)
    return Parameter(name.strip(" \t").upper(), values)


def _circumflex_meaning(match: re.Match[str]) -> str:
    return _CIRCUMFLEX_MEANINGS[match[1]]


def _bare_parameter(piece: str) -> Parameter:
    kind = piece.upper()
    if kind in _BARE_ENCODINGS:
        return Parameter("ENCODING", (piece,))
    return Parameter("VALUE" if kind in _BARE_VALUES else "TYPE", (piece,))


def _folded(text: str, line_end: str) -> str:
    """The text in physical lines of at most 75 octets; never torn inside a character."""
    pieces, octets = [""], 0
    for character in text:
        size = len(character.encode())
        if octets + size > _FOLD_OCTETS:
            pieces.append(" ")
            octets = 1
        pieces[-1] += character
        octets += size
    return line_end.join(pieces) + line_end
