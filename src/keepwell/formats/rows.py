r"""Rows: the logical lines of a file in name, parameters and value (RFC 6350 3.2 and 3.3, RFC 5545 3.1).

For: the one place where octets become lines. All else works on rows or what is made of them.

Promises: the raw texts of the rows, joined after the prefix, are the file. A row is one unfolded line together
with its folds, its line end and the blank lines after it. Both ways of reading give the same rows:

- the lean way is one regular expression over the whole text, and takes nearly all that programs write today;
- the careful way goes line by line and takes what the lean one gives up on: folds inside a character or a
  name, soft line breaks of quoted-printable and bare base64 blocks (vCard 2.1), a CR within a line, quotes
  without a partner.

Folding happens on octets, so it may tear a character apart. Such octets travel as surrogate escapes through
``raw`` and are put together before the value is read.

Leaves to others: which component a row belongs to (``outline``) and what it means.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate, product
from typing import Final

from keepwell.formats.refusals import Caps, InvalidContent, NotUtf8

#: A logical line: raw text, name as written (with its group), parameters as written, unfolded value.
Row = tuple[str, str, str, str]

# Possessive throughout: no input makes this backtrack.
_LEAN_ROW: Final = re.compile(
    r"^("
    r"((?:[A-Za-z0-9_-]+\.)?[A-Za-z0-9_-]+)"
    r'((?:;(?:[^":\r\n]++|\r?\n[ \t]|"(?:[^"\r\n]++|\r?\n[ \t])*+")*+)?+)'
    r":([^\r\n]*+(?:\r?\n[ \t][^\r\n]*+)*+)"
    r"(?:\r?\n|\Z)(?:\r?\n)*+)",
    re.MULTILINE,
)
_PREFIX: Final = re.compile(r"(?:[\ufeff \t\r\n]*\n)?\ufeff*+")
_PHYSICAL_LINE: Final = re.compile(r"[^\n]*+\n|[^\n]++")
# The look-behind starts a match at the first of a run of line ends only, which keeps long runs linear.
_FOLD: Final = re.compile(r"(?<![\r\n])[\r\n]*\n[ \t]")
_LINE_ENDS: Final = re.compile(r"[\r\n]++")
_SOFT_BREAK: Final = re.compile(r"=\r*+\n")
_STRUCTURE: Final = re.compile(r"(?:BEGIN|END)[ \t]*:", re.IGNORECASE)
_NAME: Final = r'\ufeff*+((?:[^\x00-\x20:;=",.]+\.)?[^\x00-\x20:;=",]+)[ \t]*'
_HEAD: Final = re.compile(_NAME + r'((?:;(?:[^":]++|"[^"]*+")*+)?+):')
_HEAD_WITH_STRAY_QUOTE: Final = re.compile(_NAME + r"((?:;[^:]*+)?+):")

#: BEGIN and END, however they are written.
_BEGIN_NAMES: Final = frozenset(map("".join, product(*zip("BEGIN", "begin", strict=True))))
_STRUCTURE_NAMES: Final = _BEGIN_NAMES | set(map("".join, product(*zip("END", "end", strict=True))))

#: A line's encoding is sought in so many of its first characters, so that each continuation costs the same.
_HEAD_CHARACTERS: Final = 1_000

#: So much of a line is quoted when it is refused.
_SHOWN_CHARACTERS: Final = 40


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a file, with what stands before the first and the sign that ends a line.

    Line numbers are counted once, when the first is asked for; most files are accepted without any.
    """

    prefix: str
    rows: list[Row]
    line_end: str
    _numbers: list[int] = field(default_factory=list, repr=False, compare=False)

    def number(self, index: int) -> int:
        """The physical line, from 1, on which the row starts; counted for all rows when first asked for."""
        if not self._numbers:
            first = 1 + self.prefix.count(self.line_end)
            counts = [row[0].count(self.line_end) for row in self.rows]
            self._numbers.extend(accumulate(counts, initial=first))
        return self._numbers[index]


def read_rows(data: bytes, caps: Caps) -> Rows:
    """Cut the file into rows.

    Raises InvalidContent when a cap is passed, a line is not a content line, or a line is not UTF-8.
    """
    _check_size(data, caps)
    text, torn = _decode(data)
    # A lone CR ends a line only in a file without LF (old Macintosh exports); elsewhere it is in a value.
    lone = "\n" not in text and "\r" in text
    found = _cut(text.replace("\r", "\n") if lone else text, torn=torn)
    if len(data) > caps.line_octets_max:
        _check_line_sizes(found, caps)
    return _with_lone_returns(found) if lone else found


def _check_size(data: bytes, caps: Caps) -> None:
    if len(data) > caps.octets_max:
        raise _too_large(0, "the file", "octets", len(data), caps.octets_max)
    # Only a file of more octets than that can have more lines.
    if len(data) > caps.lines_max:
        lines = data.count(b"\n") or data.count(b"\r")
        if lines > caps.lines_max:
            raise _too_large(0, "the file", "lines", lines, caps.lines_max)


def _check_line_sizes(found: Rows, caps: Caps) -> None:
    for index, (_, name, parameters, value) in enumerate(found.rows):
        octets = sum(len(part.encode()) for part in (name, parameters, value)) + 1
        if octets > caps.line_octets_max:
            raise _too_large(found.number(index), "the unfolded line", "octets", octets, caps.line_octets_max)


def _too_large(line: int, what: str, unit: str, found: int, taken: int) -> InvalidContent:
    reason = f"{what} has {found:,} {unit} where at most {taken:,} are taken"
    return InvalidContent(line, reason, condition="max-resource-size")


def _decode(data: bytes) -> tuple[str, bool]:
    """The text, and whether octets are no UTF-8 where they stand (perhaps by a fold inside a character)."""
    try:
        return data.decode(), False
    except UnicodeDecodeError:
        return data.decode(errors="surrogateescape"), True


def _cut(text: str, *, torn: bool) -> Rows:
    match = _PREFIX.match(text)
    prefix = match.group() if match else ""
    body = text[len(prefix) :] if prefix else text
    rows = None if torn else read_leanly(body)
    if rows is None:
        rows = read_carefully(body, 1 + prefix.count("\n"))
    return Rows(prefix, rows, "\n")


def _with_lone_returns(found: Rows) -> Rows:
    rows = [(row[0].replace("\n", "\r"), *row[1:]) for row in found.rows]
    return Rows(found.prefix.replace("\n", "\r"), rows, "\r")


def read_leanly(text: str) -> list[Row] | None:
    """The rows by the lean way, or None when it does not take the text."""
    rows: list[Row] = _LEAN_ROW.findall(text)
    if sum([len(row[0]) for row in rows]) != len(text):
        return None
    if ("=\r\n" in text or "=\n" in text) and any("QUOTED" in row[2].upper() for row in rows):
        return None
    if "\n " in text or "\n\t" in text:
        # A first line without a colon may belong to a block of Base64 before it: the careful way looks.
        if any(raw.find("\n") < raw.find(":") for raw, *_ in rows):
            return None
        return [(raw, name, unfold(parameters), unfold(value)) for raw, name, parameters, value in rows]
    return rows


def unfold(text: str) -> str:
    """The text without its folds; without its line ends as well, where a fold follows one."""
    if "\n" not in text:
        return text
    # Replacing is ten times as fast as the expression, which matters for a photo of a thousand folds.
    text = text.replace("\r\n ", "") if "\n\r" not in text and "\n\n" not in text else text
    return _FOLD.sub("", text) if "\n" in text else text


def read_carefully(text: str, first_number: int) -> list[Row]:
    """The rows by the careful way; the first line of the text has this number."""
    return [_careful_row(number, raw) for number, raw in logical_lines(text, first_number)]


def logical_lines(text: str, first_number: int) -> Iterator[tuple[int, str]]:
    """The number and raw text of each logical line, by the careful way; lines of the text end with LF."""
    start, pieces = first_number, list[str]()
    for number, physical in enumerate(_PHYSICAL_LINE.findall(text), first_number):
        if pieces and not _continues(pieces, physical):
            yield start, "".join(pieces)
            pieces = []
        if not pieces:
            start = number
        pieces.append(physical)
    if pieces:
        yield start, "".join(pieces)


def _continues(pieces: list[str], physical: str) -> bool:
    if physical[0] in " \t" or not physical.strip("\r\n"):
        return True
    if _STRUCTURE.match(physical):
        return False
    last = pieces[-1].rstrip("\r\n")
    if last.endswith("=") and _has_encoding(pieces[0], "QUOTED-PRINTABLE"):
        return True
    # Base64 knows no colon, so a line without one can only belong to the block before it.
    return ":" not in physical and last != "" and _has_encoding(pieces[0], "BASE64", "ENCODING=B")


def _has_encoding(raw: str, *encodings: str) -> bool:
    head = raw[:_HEAD_CHARACTERS].partition(":")[0].upper()
    return any(encoding in head for encoding in encodings)


def _careful_row(number: int, raw: str) -> Row:
    text = _whole_characters(number, _joined(raw))
    match = _HEAD.match(text) or _HEAD_WITH_STRAY_QUOTE.match(text)
    if match is None:
        raise InvalidContent(number, _why_no_row(text))
    return raw, match[1], match[2] or "", text[match.end() :]


def _joined(raw: str) -> str:
    logical = raw.rstrip("\r\n")
    if "\n" in logical and _has_encoding(raw, "QUOTED-PRINTABLE"):
        logical = _SOFT_BREAK.sub("", logical)
    logical = unfold(logical)
    return _LINE_ENDS.sub("", logical) if "\n" in logical else logical


def _whole_characters(number: int, text: str) -> str:
    if text.isascii():
        return text
    try:
        return text.encode(errors="surrogateescape").decode()
    except UnicodeDecodeError as cause:
        octet = cause.object[cause.start]
        raise NotUtf8(number, f"the line is not UTF-8 (octet 0x{octet:02X})") from cause


def _why_no_row(text: str) -> str:
    beginning = text[:_SHOWN_CHARACTERS] + ("…" if len(text) > _SHOWN_CHARACTERS else "")
    if ":" not in text:
        return f"a content line needs a colon after its name, and {beginning!r} has none"
    if text[0] in " \t":
        return f"the folded line {beginning!r} continues nothing"
    return f"{beginning!r} does not start with the name of a property"


@dataclass(slots=True)
class Block:
    """A component as found: upper-case name, the rows of its BEGIN and END, and what is between, in order."""

    name: str
    begin: int
    end: int
    content: list["int | Block"]

    def direct(self) -> list[int]:
        """The rows of its own properties."""
        return [part for part in self.content if isinstance(part, int)]

    def blocks(self) -> list["Block"]:
        """Its subcomponents."""
        return [part for part in self.content if isinstance(part, Block)]


def outline(found: Rows, caps: Caps) -> list[Block]:
    """The components that the rows form, outermost first.

    Raises InvalidContent when a BEGIN and its END do not match, a line is outside, or the nesting is too
    deep.
    """
    top: list[Block] = []
    open_blocks: list[Block] = []
    after = 0
    # Between two lines of structure all are properties of one block: taken at once, since every PUT comes here.
    for index in [index for index, row in enumerate(found.rows) if row[1] in _STRUCTURE_NAMES]:
        _add_properties(found, range(after, index), open_blocks)
        if found.rows[index][1] in _BEGIN_NAMES:
            _begin(found, index, top, open_blocks, caps)
        else:
            _end(found, index, open_blocks)
        after = index + 1
    _add_properties(found, range(after, len(found.rows)), open_blocks)
    if open_blocks:
        last = found.number(len(found.rows) - 1)
        raise InvalidContent(last, f"the text ends here, where END:{open_blocks[-1].name} was expected")
    return top


def _add_properties(found: Rows, indexes: range, open_blocks: list[Block]) -> None:
    if open_blocks:
        open_blocks[-1].content.extend(indexes)
    elif indexes:
        name = found.rows[indexes[0]][1]
        raise InvalidContent(found.number(indexes[0]), f"{name} found where a BEGIN was expected")


def _begin(found: Rows, index: int, top: list[Block], open_blocks: list[Block], caps: Caps) -> None:
    if len(open_blocks) >= caps.nesting_max:
        raise InvalidContent(found.number(index), f"components nest deeper than {caps.nesting_max} levels")
    block = Block(structure_name(found.rows[index]), index, index, [])
    if open_blocks:
        open_blocks[-1].content.append(block)
    else:
        top.append(block)
    open_blocks.append(block)


def _end(found: Rows, index: int, open_blocks: list[Block]) -> None:
    name = structure_name(found.rows[index])
    if not open_blocks:
        raise InvalidContent(found.number(index), f"END:{name} found where a BEGIN was expected")
    if name != open_blocks[-1].name:
        reason = f"END:{name} found where END:{open_blocks[-1].name} was expected"
        raise InvalidContent(found.number(index), reason)
    open_blocks.pop().end = index


def property_name(row: Row) -> str:
    """The upper-case name of the row, without its group."""
    name = row[1]
    return (name.partition(".")[2] if "." in name else name).upper()


def structure_name(row: Row) -> str:
    """The upper-case component name that a BEGIN or END row carries."""
    return row[3].strip(" \t\r").upper()
