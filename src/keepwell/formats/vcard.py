"""vCard: what must be known of a card before it is kept (RFC 6350, RFC 2426, vCard 2.1; RFC 6352 5.1).

For: deciding on every PUT whether the octets are one card, and taking from them what lists and searches need.

Promises: what is accepted is well-formed, holds exactly one card, and has a known VERSION. Nothing else is
demanded, because real exports lack FN, N or UID and their owners want them back all the same. A refusal names
the line and its precondition. It runs on the event loop, so it costs microseconds and is linear in the size.

Leaves to others: what a card without UID shall get (``split`` gives it one, a PUT may refuse it), and
uniqueness.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

import msgspec

from keepwell.formats.contentlines import parse_parameters
from keepwell.formats.refusals import DEFAULT_CAPS, Caps, InvalidContent
from keepwell.formats.rows import Block, Row, Rows, outline, property_name, read_rows
from keepwell.formats.texts import from_quoted_printable, unescape

#: The known versions, also as some programs abbreviate them.
VERSIONS: Final[Mapping[str, str]] = {"2.1": "2.1", "3.0": "3.0", "4.0": "4.0", "3": "3.0", "4": "4.0"}

#: Longer values are cut to this in ``CardFacts.texts``; ``CardFacts.truncated`` says that one was.
TEXT_CHARACTERS_MAX: Final = 1_000

#: What short parameters say of the encoding is remembered; they repeat from card to card.
_REMEMBERED_CHARACTERS: Final = 64
_REMEMBERED_MAX: Final = 4096

#: Properties that carry pictures, sounds and keys; nobody searches their text.
BINARY_PROPERTIES: Final = frozenset({"PHOTO", "LOGO", "SOUND", "KEY"})

#: Larger cards are read by their rows, as are those in which one line is not one property, or not its text.
_PLAIN_OCTETS_MAX: Final = 16 * 1024
_PLAIN_HEAD: Final = re.compile(r'(?:[A-Za-z0-9_-]+\.)?([A-Za-z0-9_-]+)((?:;[^":\r\n]*+)?+)')
_NEVER_PLAIN: Final = BINARY_PROPERTIES | {"BEGIN", "END"}
_NOT_PLAIN: Final = ""


class CardFacts(msgspec.Struct, frozen=True, gc=False):
    """What is known of an accepted card.

    ``uid`` is empty when it has none. ``texts`` holds upper-case name and decoded value of each property that is not
    binary, in order.
    """

    version: str
    uid: str
    texts: tuple[tuple[str, str], ...]
    truncated: bool


def examine(data: bytes, caps: Caps = DEFAULT_CAPS) -> CardFacts:
    """The facts of the one card in the octets; raises InvalidContent when they are not one valid card."""
    texts = _plain_texts(data) if caps is DEFAULT_CAPS else None
    if texts is not None:
        first = dict(reversed(texts))
        version = VERSIONS.get(_value(first, "VERSION"))
        if version is not None and _NOT_PLAIN not in first:
            return _facts(data, texts, first, version)
    try:
        found = read_rows(data, caps)
        card = _only_card(found, outline(found, caps))
        texts = _texts([found.rows[index] for index in card.direct()])
        first = dict(reversed(texts))
        return _facts(data, texts, first, _version(found, card, first))
    except InvalidContent as refusal:
        refusal.condition = refusal.condition or "valid-address-data"
        raise


def _plain_texts(data: bytes) -> list[tuple[str, str]] | None:
    """What ``_texts`` gives for a card as nearly all programs write it; None for one that needs a closer look.

    It needs one as well when one of the names is _NOT_PLAIN.

    A restore examines every card there is; this takes a third of the time that the rows and their outline take.
    """
    if (
        len(data) > _PLAIN_OCTETS_MAX
        or not data.startswith(b"BEGIN:VCARD\r\n")
        or not data.endswith(b"\r\nEND:VCARD\r\n")
    ):
        return None
    try:
        lines = data.decode().split("\r\n")
    except UnicodeDecodeError:
        return None
    # Each line ends with CRLF, and neither octet stands anywhere else.
    if not data.count(b"\r") == data.count(b"\n") == len(lines) - 1:
        return None
    parts = [line.partition(":") for line in lines[1:-2]]
    texts = [(_PLAIN_NAMES[head], unescape(value) if "\\" in value else value) for head, colon, value in parts if colon]
    return texts if len(texts) == len(parts) else None


class _PlainNames(dict[str, str]):
    """By what stands before the colon the property's upper-case name; _NOT_PLAIN where the value is not its text."""

    def __missing__(self, head: str) -> str:
        name = _plain_name(head)
        if len(head) <= _REMEMBERED_CHARACTERS:
            if len(self) >= _REMEMBERED_MAX:
                self.clear()
            self[head] = name
        return name


def _plain_name(head: str) -> str:
    match = _PLAIN_HEAD.fullmatch(head)
    if match is None or _says_encoding(match[2].upper()):
        return _NOT_PLAIN
    name = match[1].upper()
    return _NOT_PLAIN if name in _NEVER_PLAIN else name


_PLAIN_NAMES: Final = _PlainNames()


def _only_card(found: Rows, blocks: list[Block]) -> Block:
    if not blocks:
        raise InvalidContent(0, "there is no card in it")
    for block in blocks:
        if block.name != "VCARD":
            reason = f"BEGIN:{block.name} found where BEGIN:VCARD was expected"
            raise InvalidContent(found.number(block.begin), reason, condition="supported-address-data")
    if len(blocks) > 1:
        reason = "a second card begins here, and a resource holds exactly one"
        raise InvalidContent(found.number(blocks[1].begin), reason)
    for inner in blocks[0].blocks():
        _check_inner(found, inner)
    return blocks[0]


def _check_inner(found: Rows, inner: Block) -> None:
    # vCard 2.1 puts the card of an agent into the card; without AGENT before it, an END is missing.
    if inner.name == "VCARD" and property_name(found.rows[inner.begin - 1]) != "AGENT":
        raise InvalidContent(found.number(inner.begin), "BEGIN:VCARD found where END:VCARD was expected")


def _version(found: Rows, card: Block, first: Mapping[str, str]) -> str:
    version = _value(first, "VERSION")
    if version in VERSIONS:
        return VERSIONS[version]
    number = next(
        (found.number(row) for row in card.direct() if property_name(found.rows[row]) == "VERSION"),
        found.number(card.begin),
    )
    reason = f"VERSION is {version!r}, and only 2.1, 3.0 and 4.0 are known" if version else "the card has no VERSION"
    raise InvalidContent(number, reason, condition="supported-address-data")


def _facts(data: bytes, texts: list[tuple[str, str]], first: Mapping[str, str], version: str) -> CardFacts:
    # No value has more characters than the card has octets.
    truncated = len(data) > TEXT_CHARACTERS_MAX and any(len(value) > TEXT_CHARACTERS_MAX for _, value in texts)
    return CardFacts(
        version=version,
        uid=_value(first, "UID"),
        texts=tuple([(name, value[:TEXT_CHARACTERS_MAX]) for name, value in texts] if truncated else texts),
        truncated=truncated,
    )


def _texts(rows: Iterable[Row]) -> list[tuple[str, str]]:
    texts = []
    for row in rows:
        name, parameters, value = property_name(row), row[2], row[3]
        if name in BINARY_PROPERTIES:
            continue
        if parameters:
            is_short = len(parameters) <= _REMEMBERED_CHARACTERS
            encoding = _remembered_encoding(parameters) if is_short else _encoding(parameters)
            if encoding in ("B", "BASE64"):
                continue
            if encoding == "QUOTED-PRINTABLE":
                value = from_quoted_printable(value, _parameter(parameters, "CHARSET"))
        texts.append((name, unescape(value)))
    return texts


def _encoding(parameters: str) -> str:
    # Few properties have an encoding, and those that do are told from the others faster than they are read.
    return _parameter(parameters, "ENCODING").upper() if _says_encoding(parameters.upper()) else ""


def _says_encoding(parameters: str) -> bool:
    return "ENCODING" in parameters or "QUOTED" in parameters or "BASE64" in parameters


_remembered_encoding = lru_cache(maxsize=_REMEMBERED_MAX)(_encoding)


def _parameter(parameters: str, name: str) -> str:
    return next((one.values[0] for one in parse_parameters(parameters) if one.name == name), "")


def _value(first: Mapping[str, str], name: str) -> str:
    return first.get(name, "").strip(" \t\r")
