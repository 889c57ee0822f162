"""Splitting: a file of many cards or calendar objects into resources of one (RFC 6352 5.1, RFC 4791 4.1).

For: importing real exports, and adding many at once.

Promises: a good card is never lost because its neighbour is bad: whatever stands before it, reading starts
anew at the next BEGIN:VCARD. Every octet that is not blank ends in exactly one piece. A file that is one
valid resource comes back untouched; a card without UID gets one that depends on its octets alone, and the
note says so.

Leaves to others: calendars (``calendar_split``, offered here too), storing, telling the person.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from keepwell.formats import icalendar, vcard
from keepwell.formats.calendar_split import split_calendar
from keepwell.formats.charsets import wide_charset
from keepwell.formats.pieces import (
    Bad,
    Good,
    Mark,
    Piece,
    bad_piece,
    derived_uid,
    find_marks,
    is_blank,
    wide_piece,
    with_line_feeds,
    with_uid,
)
from keepwell.formats.refusals import DEFAULT_CAPS, Caps, InvalidContent

__all__ = ["Bad", "Good", "Piece", "sniff", "split_calendar", "split_cards"]

_KINDS: Final = "|".join(("VCARD", "VCALENDAR", "VALARM", *icalendar.MAIN_COMPONENTS))
_FIRST_BEGIN: Final = re.compile(rf"^[\ufeff \t]*+BEGIN[ \t]*+:[ \t]*+({_KINDS})[ \t]*+$", re.IGNORECASE | re.MULTILINE)
#: So much of a file is looked at to tell what it is.
_SNIFFED_OCTETS: Final = 65_536


def sniff(data: bytes) -> Literal["vcard", "icalendar"] | None:
    """What the file seems to be by its first BEGIN, in whatever encoding; None when it is neither."""
    beginning = data[:_SNIFFED_OCTETS]
    text = beginning.decode(wide_charset(beginning) or "utf-8", errors="replace").replace("\r", "\n")
    match = _FIRST_BEGIN.search(text)
    if match is None:
        return None
    return "vcard" if match[1].upper() == "VCARD" else "icalendar"


def split_cards(data: bytes, caps: Caps = DEFAULT_CAPS) -> Iterator[Piece]:
    """The cards of the file and, between them, what is none, in order; ``caps`` hold for each card."""
    charset = wide_charset(data)
    if charset:
        yield wide_piece(data, charset)
        return
    marks = [mark for mark in find_marks(with_line_feeds(data)) if mark.name == "VCARD"]
    place = _START
    for cut in _cuts(data, marks, caps):
        yield from _outside(data[place.offset : cut.start.offset], place.line)
        # Blank lines and a byte order mark around the only card are part of what its owner has.
        alone = place is _START and _is_alone(data, cut)
        body, first_line = (data, 1) if alone else (data[cut.start.offset : cut.end.offset], cut.start.line)
        yield _card_piece(body, first_line, caps)
        place = _Place(len(data), 0) if alone else cut.end
    yield from _outside(data[place.offset :], place.line)


@dataclass(frozen=True, slots=True)
class _Place:
    """A place between two lines: the octets before it and the number of the line after it."""

    offset: int
    line: int


_START: Final = _Place(0, 1)


@dataclass(frozen=True, slots=True)
class _Cut:
    """Where a card, good or bad, starts and ends."""

    start: _Place
    end: _Place


def _is_alone(data: bytes, cut: _Cut) -> bool:
    # A byte order mark behind the card would be a line of its own.
    return is_blank(data[: cut.start.offset]) and not data[cut.end.offset :].strip(b" \t\r\n")


def _cuts(data: bytes, marks: Sequence[Mark], caps: Caps) -> Iterator[_Cut]:
    partners = _partners(marks)
    index = 0
    while index < len(marks):
        # An END alone is text outside any card.
        if not marks[index].begins:
            index += 1
            continue
        start = _Place(marks[index].start, marks[index].line)
        last = _last_mark(data, marks, index, partners.get(index), caps)
        if last is not None:
            yield _Cut(start, _Place(marks[last].end, marks[last].line + 1))
            index = last + 1
            continue
        index += 1
        yield _Cut(start, _end_without_mark(data, marks, index))


def _partners(marks: Sequence[Mark]) -> Mapping[int, int]:
    """The END of each BEGIN that has one, as indexes of marks."""
    partners, open_marks = dict[int, int](), list[int]()
    for index, mark in enumerate(marks):
        if mark.begins:
            open_marks.append(index)
        elif open_marks:
            partners[open_marks.pop()] = index
    return partners


def _last_mark(data: bytes, marks: Sequence[Mark], index: int, partner: int | None, caps: Caps) -> int | None:
    """The END of the card; None when it has none of its own, so that it ends at the next mark."""
    if partner is None or partner == index + 1:
        return partner
    # Marks between them: either an agent's card within a good one, or an END is missing.
    if partner - index > 2 * caps.nesting_max:
        return None
    whole = data[marks[index].start : marks[partner].end]
    return partner if isinstance(_card_piece(whole, 1, caps), Good) else None


def _end_without_mark(data: bytes, marks: Sequence[Mark], following: int) -> _Place:
    if following < len(marks):
        return _Place(marks[following].start, marks[following].line)
    return _Place(len(data), 0)


def _outside(octets: bytes, line: int) -> Iterator[Bad]:
    if not is_blank(octets):
        yield Bad(octets, line, line, "text outside any card")


def _card_piece(body: bytes, first_line: int, caps: Caps) -> Piece:
    try:
        facts = vcard.examine(body, caps)
    except InvalidContent as refusal:
        return bad_piece(body, first_line, first_line + max(refusal.line, 1) - 1, refusal)
    if facts.uid:
        return Good(body, first_line, facts.uid)
    uid = f"urn:uuid:{derived_uid(body)}"
    return Good(with_uid(body, uid, "VCARD"), first_line, uid, f"had no UID and was given {uid}")
