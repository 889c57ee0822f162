"""Pieces: what a file of many cards or calendar objects falls into, and the lines at which it can be cut.

For: ``split`` and ``split_calendar``, which must find the next good piece behind any rubbish, and therefore
look for BEGIN and END lines in the octets before anything is parsed.

Promises: marks come in order with the physical line they stand on. A derived UID depends on nothing but the
octets, so importing a file twice gives the same items.

Leaves to others: whether what lies between two marks is any good.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid5

from keepwell.formats.charsets import advice, likely_charset
from keepwell.formats.refusals import Caps, InvalidContent, NotUtf8
from keepwell.formats.rows import Row, Rows, outline, property_name, read_rows

_MARK: Final = re.compile(
    rb"^(?:\xef\xbb\xbf)*+(BEGIN|END)[ \t]*+:[ \t]*+([^\s:;]++)[ \t\r]*+$", re.IGNORECASE | re.MULTILINE
)
_BLANK: Final = re.compile(rb"(?:[ \t\r\n]|\xef\xbb\xbf)*+")

#: What was accepted once needs no caps.
_ANY_SIZE: Final = Caps(1 << 40, 1 << 40, 1 << 40, 1 << 20)

#: A constant of its own, made once by chance; derived UIDs must never change.
_NAMESPACE: Final = UUID("5ae2b76d-e7e3-4d09-aafd-7b3802ac6124")


@dataclass(frozen=True, slots=True)
class Good:
    """A resource that can be kept: its octets, first line in the file, UID, and what was done to it."""

    body: bytes
    first_line: int
    uid: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Bad:
    """A part that cannot be kept: its octets, first line in the file, the line at fault, and the reason."""

    body: bytes
    first_line: int
    line: int
    reason: str


Piece = Good | Bad


@dataclass(frozen=True, slots=True)
class Mark:
    """A BEGIN or END line: where it starts, where the next line starts, and its number."""

    begins: bool
    name: str
    start: int
    end: int
    line: int


def with_line_feeds(data: bytes) -> bytes:
    """As many octets as given, in which LF ends a line even if the file is one of lone CR."""
    return data if b"\n" in data else data.replace(b"\r", b"\n")


def find_marks(octets: bytes) -> Iterator[Mark]:
    """All BEGIN and END lines of octets whose lines end with LF."""
    line, counted = 1, 0
    for match in _MARK.finditer(octets):
        # A byte order mark in front belongs to no component; files with one are often joined to one file.
        start, end = match.start(1), min(match.end() + 1, len(octets))
        line += octets.count(b"\n", counted, start)
        counted = start
        yield Mark(match[1].upper() == b"BEGIN", _name(match[2]), start, end, line)


def is_blank(octets: bytes) -> bool:
    """Whether there is nothing in it but white space and byte order marks."""
    return _BLANK.fullmatch(octets) is not None


def line_end_of(octets: bytes) -> bytes:
    """What ends the first line of the octets."""
    feed = octets.find(b"\n")
    if feed < 0:
        return b"\r" if b"\r" in octets else b"\r\n"
    return b"\r\n" if octets[feed - 1 : feed] == b"\r" else b"\n"


def derived_uid(octets: bytes) -> str:
    """The UID that these octets get when they have none; the same for ever."""
    return str(uuid5(_NAMESPACE, sha256(octets).hexdigest()))


def with_uid(octets: bytes, uid: str, component: str) -> bytes:
    """The card or component, which has no UID, with this one: in the UID line that says nothing, or else in a new line.

    A second line would not do: whoever reads it takes the first.
    """
    found = read_rows(octets, _ANY_SIZE)
    block = next(one for one in outline(found, _ANY_SIZE) if one.name == component)
    empty = next((row for row in block.direct() if _is_empty_uid(found.rows[row])), None)
    if empty is None:
        place, line = _octets_before(found, block.end), b"UID:" + uid.encode() + line_end_of(octets)
        return octets[:place] + line + octets[place:]
    raw = found.rows[empty][0].encode(errors="surrogateescape")
    place = _octets_before(found, empty) + len(raw.rstrip(b" \t\r\n"))
    return octets[:place] + uid.encode() + octets[place:]


def bad_piece(body: bytes, first_line: int, line: int, refusal: InvalidContent) -> Bad:
    """The refused part; a wrong encoding is told together with what mends it."""
    reason = refusal.reason
    if isinstance(refusal, NotUtf8):
        reason = f"{reason}; {advice(likely_charset(body))}"
    return Bad(body, first_line, line, reason)


def wide_piece(data: bytes, charset: str) -> Bad:
    """A whole file that is written in characters of two or four octets."""
    return Bad(data, 1, 1, f"the file is not UTF-8; {advice(charset)}")


def _is_empty_uid(row: Row) -> bool:
    return property_name(row) == "UID" and not row[3].strip(" \t\r")


def _octets_before(found: Rows, row: int) -> int:
    text = found.prefix + "".join(before[0] for before in found.rows[:row])
    return len(text.encode(errors="surrogateescape"))


def _name(octets: bytes) -> str:
    return octets.decode(errors="surrogateescape").upper()
