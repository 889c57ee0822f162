"""Splitting a calendar file into calendar object resources (RFC 4791 4.1: one UID, one type of component).

For: importing what calendars export, which is everything in one VCALENDAR, or several of them in one file.

Promises: each good piece is a complete VCALENDAR of the calendar's own lines, the time zones that it refers to, and
its components, all verbatim. Two lines are left out: METHOD, which a stored object must not have, and the UID of the
whole (RFC 7986 5.3), which a piece is not. A bad component rejects what shares its UID and nothing else. A component
without UID gets one that depends on its octets alone, a component without a calendar gets a plain one, and the note
says so. A file that is one valid resource comes back untouched.

Leaves to others: two pieces of the same UID (from two calendars in one file), storing, telling the person.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from keepwell.formats import icalendar
from keepwell.formats.charsets import wide_charset
from keepwell.formats.contentlines import line_from
from keepwell.formats.pieces import (
    Bad,
    Good,
    Mark,
    Piece,
    bad_piece,
    derived_uid,
    find_marks,
    is_blank,
    line_end_of,
    wide_piece,
    with_line_feeds,
    with_uid,
)
from keepwell.formats.refusals import DEFAULT_CAPS, Caps, InvalidContent
from keepwell.formats.rows import Row, logical_lines, outline, property_name, read_rows

#: None of these is ever inside another, so each of their marks is a place to start anew.
_RESYNC: Final = frozenset({*icalendar.MAIN_COMPONENTS, "VTIMEZONE", "VCALENDAR"})

_UID_LINE: Final = re.compile(rb"^UID[^:\r\n]*+:([^\r\n]*+)", re.IGNORECASE | re.MULTILINE)
_PLAIN_HEADER: Final = (b"BEGIN:VCALENDAR", b"VERSION:2.0", b"PRODID:-//Keepwell//import//EN")


@dataclass(frozen=True, slots=True)
class _Part:
    """Octets of the file and the number of their first line; 0 when they come from no file."""

    octets: bytes
    line: int


@dataclass(frozen=True, slots=True)
class _Chunk:
    """A component of a calendar, perhaps broken.

    ``tzids`` are the time zones that it refers to or, of a VTIMEZONE, the one that it defines. ``refusal``
    tells why its lines could not be read.
    """

    name: str
    part: _Part
    uid: str = ""
    tzids: frozenset[str] = frozenset()
    note: str = ""
    refusal: InvalidContent | None = None


@dataclass(slots=True)
class _Calendar:
    """A calendar while its file is read; without ``begin`` it is what stands outside of all."""

    begin: _Part | None = None
    end: _Part | None = None
    chunks: list[_Chunk] = field(default_factory=list)
    loose: list[_Part] = field(default_factory=list)


def split_calendar(data: bytes, caps: Caps = DEFAULT_CAPS) -> Iterator[Piece]:
    """The calendar objects of the file and what is none; ``caps`` hold for each object."""
    charset = wide_charset(data)
    if charset:
        yield wide_piece(data, charset)
        return
    whole = _whole_file(data, caps)
    if whole is not None:
        yield whole
        return
    for calendar in _calendars(data, caps):
        yield from _pieces(calendar, caps)


def _whole_file(data: bytes, caps: Caps) -> Good | None:
    try:
        return Good(data, 1, icalendar.examine(data, caps).uid)
    except InvalidContent:
        return None


# From octets to calendars of chunks.


def _calendars(data: bytes, caps: Caps) -> Iterator[_Calendar]:
    calendar = _Calendar()
    for mark, part in _parts(data):
        if mark is None or (not mark.begins and mark.name != "VCALENDAR"):
            calendar.loose.append(part)
        elif mark.name != "VCALENDAR":
            calendar.chunks.append(_chunk(mark.name, part, caps))
        elif mark.begins:
            yield calendar
            calendar = _Calendar(begin=part)
        else:
            calendar.end = part
            yield calendar
            calendar = _Calendar()
    yield calendar


def _parts(data: bytes) -> Iterator[tuple[Mark | None, _Part]]:
    """The file cut at its marks: whole components, single BEGIN and END lines, and what is between."""
    octets = with_line_feeds(data)
    marks = list(find_marks(octets))
    position, line, index = 0, 1, 0
    while index < len(marks):
        mark = marks[index]
        yield from _between(data[position : mark.start], line)
        position, index = _part_end(marks, index, len(data))
        yield mark, _Part(data[mark.start : position], mark.line)
        line = mark.line + octets.count(b"\n", mark.start, position)
    yield from _between(data[position:], line)


def _between(octets: bytes, line: int) -> Iterator[tuple[None, _Part]]:
    if not is_blank(octets):
        yield None, _Part(octets, line)


def _part_end(marks: Sequence[Mark], index: int, total: int) -> tuple[int, int]:
    """Where the part that starts with this mark ends, and the index of the mark after it."""
    first = marks[index]
    if not first.begins or first.name == "VCALENDAR":
        return first.end, index + 1
    depth = 0
    for following in range(index, len(marks)):
        mark = marks[following]
        if following > index and _starts_anew(mark):
            return mark.start, following
        if mark.name == first.name:
            depth += 1 if mark.begins else -1
            if depth == 0:
                return mark.end, following + 1
    return total, len(marks)


def _starts_anew(mark: Mark) -> bool:
    return (mark.begins and mark.name in _RESYNC) or mark.name == "VCALENDAR"


def _chunk(name: str, part: _Part, caps: Caps) -> _Chunk:
    try:
        found = read_rows(part.octets, caps)
        block = outline(found, caps)[0]
    except InvalidContent as refusal:
        return _Chunk(name, part, uid=_uid_in_ruins(part.octets), refusal=refusal)
    own = icalendar.own_lines(found, block)
    if name == "VTIMEZONE":
        return _Chunk(name, part, tzids=frozenset(line.value for line in own if line.name == "TZID"))
    tzids = frozenset(_tzids(found.rows))
    uid = icalendar.uid_of(own)
    return _Chunk(name, part, uid, tzids) if uid else _with_derived_uid(_Chunk(name, part, tzids=tzids))


def _uid_in_ruins(octets: bytes) -> str:
    """What seems to be the UID of a component that cannot be read."""
    match = _UID_LINE.search(with_line_feeds(octets))
    return match[1].decode(errors="replace").strip() if match else ""


def _tzids(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        if "TZID" in row[2].upper():
            yield line_from(row, 0).parameter("TZID") or ""


def _with_derived_uid(chunk: _Chunk) -> _Chunk:
    uid = derived_uid(chunk.part.octets)
    return replace(chunk, uid=uid, note=f"had no UID and was given {uid}")


# From a calendar to pieces.


def _pieces(calendar: _Calendar, caps: Caps) -> Iterator[Piece]:
    if calendar.begin is None:
        yield from (Bad(part.octets, part.line, part.line, "text outside any calendar") for part in calendar.loose)
        header: list[_Part] = []
    else:
        header, bad = _header(calendar.loose, caps)
        yield from bad
        refused = _whole_calendar_refused(calendar, header, caps)
        if refused is not None:
            yield refused
            return
    yield from _chunks_of_no_use(calendar.chunks)
    for group in _groups(calendar.chunks):
        yield _piece(calendar, header, group, caps)


def _whole_calendar_refused(calendar: _Calendar, header: list[_Part], caps: Caps) -> Bad | None:
    """What makes all of the calendar useless, told once: another version, or no component at all."""
    parts = [*_given(calendar.begin), *calendar.loose, *(chunk.part for chunk in calendar.chunks)]
    parts = [*sorted(parts, key=lambda part: part.line), *_given(calendar.end)]
    body, first_line = b"".join(part.octets for part in parts), parts[0].line
    if all(chunk.name == "VTIMEZONE" for chunk in calendar.chunks):
        return Bad(body, first_line, first_line, "the calendar has no event, task, journal or free-busy")
    for part in header:
        try:
            icalendar.check_version(read_rows(part.octets, caps), 0)
        except InvalidContent as refusal:
            return bad_piece(body, first_line, part.line, refusal)
    return None


def _given(part: _Part | None) -> list[_Part]:
    return [] if part is None else [part]


#: vdirsyncer takes a calendar's own UID for that of the item in it, so pieces that had it would count as copies.
_OF_THE_WHOLE: Final = frozenset({"METHOD", "UID"})


def _header(loose: Iterable[_Part], caps: Caps) -> tuple[list[_Part], list[Bad]]:
    """The calendar's own lines that every piece gets, and those that nobody can read."""
    kept, bad = list[_Part](), list[Bad]()
    for line in (line for part in loose for line in _logical_lines(part)):
        try:
            name = property_name(read_rows(line.octets, caps).rows[0])
        except InvalidContent as refusal:
            bad.append(bad_piece(line.octets, line.line, line.line, refusal))
            continue
        if name == "END":
            bad.append(Bad(line.octets, line.line, line.line, "this END has no BEGIN"))
        elif name not in _OF_THE_WHOLE:
            kept.append(line)
    return kept, bad


def _logical_lines(part: _Part) -> Iterator[_Part]:
    text = with_line_feeds(part.octets).decode(errors="surrogateescape")
    position = 0
    for line, raw in logical_lines(text, part.line):
        end = position + len(raw.encode(errors="surrogateescape"))
        if not is_blank(part.octets[position:end]):
            yield _Part(part.octets[position:end], line)
        position = end


def _chunks_of_no_use(chunks: Iterable[_Chunk]) -> Iterator[Bad]:
    for chunk in chunks:
        part = chunk.part
        if chunk.name == "VTIMEZONE":
            if chunk.refusal is not None:
                yield bad_piece(part.octets, part.line, part.line + max(chunk.refusal.line, 1) - 1, chunk.refusal)
        elif chunk.name not in icalendar.MAIN_COMPONENTS:
            reason = f"a {chunk.name} is no event, task, journal or free-busy"
            yield Bad(part.octets, part.line, part.line, reason)


def _groups(chunks: Iterable[_Chunk]) -> list[list[_Chunk]]:
    groups = dict[tuple[str, str, int], list[_Chunk]]()
    for chunk in chunks:
        if chunk.name in icalendar.MAIN_COMPONENTS:
            # Without a UID (because it cannot be read) it shares its fate with nobody.
            key = (chunk.name, chunk.uid, 0 if chunk.uid else chunk.part.line)
            groups.setdefault(key, []).append(chunk)
    return list(groups.values())


def _piece(calendar: _Calendar, header: list[_Part], group: list[_Chunk], caps: Caps) -> Piece:
    parts = [_ended(part) for part in _assembled(calendar, header, group)]
    body = b"".join(part.octets for part in parts)
    first_line = group[0].part.line
    try:
        facts = icalendar.examine(body, caps)
    except InvalidContent as refusal:
        return bad_piece(body, first_line, _file_line(parts, refusal.line) or first_line, refusal)
    return Good(body, first_line, facts.uid, _notes(calendar, group))


def _assembled(calendar: _Calendar, header: list[_Part], group: list[_Chunk]) -> list[_Part]:
    tzids = frozenset[str]().union(*(chunk.tzids for chunk in group))
    zones = [chunk.part for chunk in calendar.chunks if chunk.name == "VTIMEZONE" and chunk.tzids & tzids]
    components = [_with_uid_line(chunk) if chunk.note else chunk.part for chunk in group]
    ending = line_end_of(group[0].part.octets)
    plain = [_Part(line + ending, 0) for line in _PLAIN_HEADER]
    start = plain if calendar.begin is None else [calendar.begin, *header]
    return [*start, *zones, *components, calendar.end or _Part(b"END:VCALENDAR" + ending, 0)]


def _with_uid_line(chunk: _Chunk) -> _Part:
    return _Part(with_uid(chunk.part.octets, chunk.uid, chunk.name), chunk.part.line)


def _ended(part: _Part) -> _Part:
    if part.octets.endswith((b"\n", b"\r")):
        return part
    return _Part(part.octets + line_end_of(part.octets), part.line)


def _file_line(parts: Iterable[_Part], line: int) -> int:
    """The line of the file that became this line of the piece, or 0."""
    start = 1
    for part in parts:
        count = with_line_feeds(part.octets).count(b"\n")
        if start <= line < start + count:
            return part.line + line - start if part.line else 0
        start += count
    return 0


def _notes(calendar: _Calendar, group: Iterable[_Chunk]) -> str:
    notes = [chunk.note for chunk in group if chunk.note]
    if calendar.begin is None:
        notes.append("stood outside any calendar and was put into a plain one")
    elif calendar.end is None:
        notes.append("stood in a calendar without END:VCALENDAR, which was added")
    return "; ".join(notes)
