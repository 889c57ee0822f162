"""iCalendar: what a sync server must know of a calendar object before it keeps it (RFC 5545; RFC 4791 4.1).

For: deciding on every PUT whether the octets are one calendar object resource, and taking from them what
listings and time indexes need.

Promises: what is accepted is one VCALENDAR without METHOD, whose main components have one type and one UID,
of which at most one is no override, and whose dates, durations and rules can be understood. What other
programs merely do badly (no PRODID, no DTSTAMP, a TZID that nothing explains, unknown components beside the
main ones) is kept. A refusal names the line and its precondition. It runs on the event loop, so it costs
microseconds and is linear in the size.

Leaves to others: time zones and recurrence, which components a collection takes, uniqueness of the UID.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from keepwell.formats import values
from keepwell.formats.contentlines import Line, line_from
from keepwell.formats.refusals import DEFAULT_CAPS, Caps, Condition, InvalidContent
from keepwell.formats.rows import Block, Rows, outline, property_name, read_rows
from keepwell.formats.texts import unescape
from keepwell.formats.xmltext import fits_xml

#: The types that a calendar object resource may have (RFC 4791 4.1, RFC 7953 for the last).
MAIN_COMPONENTS: Final = ("VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VAVAILABILITY")

_RECURRING: Final = frozenset({"RRULE", "RDATE", "RECURRENCE-ID"})

#: Properties that queries compute with, and how their values are checked.
_CHECKS: Final[Mapping[str, Callable[[str], str]]] = {
    "DTSTART": values.why_no_moment,
    "DTEND": values.why_no_moment,
    "DUE": values.why_no_moment,
    "COMPLETED": values.why_no_moment,
    "RECURRENCE-ID": values.why_no_moment,
    "DURATION": values.why_no_duration,
    "EXDATE": values.why_no_moments,
    "RDATE": values.why_no_moments_or_periods,
    "FREEBUSY": values.why_no_moments_or_periods,
    "RRULE": values.why_no_recurrence,
}

#: RFC 5545 3.6.1: these "MUST NOT occur more than once", and two of them would leave open which one counts.
_SINGLE: Final = ("UID", "DTSTART", "RECURRENCE-ID")


@dataclass(frozen=True, slots=True)
class CalendarFacts:
    """What is known of an accepted calendar object.

    ``component`` is the type of its main components and ``components`` each of them in order: the type and
    its own lines, without those of alarms. ``has_recurrence`` means that there can be another instance than
    the one at DTSTART, or that a component is an override. ``control_characters`` means that XML cannot carry
    the object as it stands (``xmltext.for_xml`` makes it fit).
    """

    component: str
    uid: str
    components: tuple[tuple[str, tuple[Line, ...]], ...]
    has_recurrence: bool
    has_alarm: bool
    control_characters: bool


def examine(data: bytes, caps: Caps = DEFAULT_CAPS) -> CalendarFacts:
    """The facts of the one calendar object in the octets; raises InvalidContent when they are not one."""
    try:
        found = read_rows(data, caps)
        calendar = _only_calendar(found, outline(found, caps))
        check_calendar_lines(found, calendar)
        mains = main_blocks(calendar)
        lines = [own_lines(found, block) for block in mains]
        for block, own in zip(mains, lines, strict=True):
            check_component(found, block, own)
        _check_together(found, calendar, mains, lines)
        return _facts(data, mains, lines)
    except InvalidContent as refusal:
        refusal.condition = refusal.condition or "valid-calendar-data"
        raise


def main_blocks(calendar: Block) -> list[Block]:
    """The components that the calendar is about: neither time zones nor anything unknown."""
    return [block for block in calendar.blocks() if block.name in MAIN_COMPONENTS]


def own_lines(found: Rows, block: Block) -> tuple[Line, ...]:
    """The lines of the component without those of its subcomponents."""
    return tuple([line_from(found.rows[index], found.number(index)) for index in block.direct()])


def check_calendar_lines(found: Rows, calendar: Block) -> None:
    """Raises InvalidContent when the calendar is of another version or carries a METHOD."""
    for index in calendar.direct():
        check_version(found, index)
        if property_name(found.rows[index]) == "METHOD":
            reason = "a METHOD makes this a message, and a stored calendar object has none"
            raise _no_object_resource(found, index, reason)


def check_version(found: Rows, index: int) -> None:
    """Raises InvalidContent when this line of a calendar is a VERSION other than 2.0."""
    # RFC 5545 3.7.4 also knows "least;greatest". A calendar without VERSION is read as of this one.
    value = found.rows[index][3].strip(" \t\r")
    if property_name(found.rows[index]) == "VERSION" and "2.0" not in value.split(";"):
        reason = f"VERSION is {value!r}, and only 2.0 is known"
        raise InvalidContent(found.number(index), reason, condition="supported-calendar-data")


def check_component(found: Rows, block: Block, lines: Iterable[Line]) -> None:
    """Raises InvalidContent when the component has no UID, an event no start, or a value no sense."""
    seen = set[str]()
    for line in lines:
        if line.name in seen and line.name in _SINGLE:
            raise InvalidContent(line.number, f"a second {line.name} in one {block.name}")
        seen.add(line.name)
        why_not = _CHECKS.get(line.name)
        reason = why_not(line.value.strip(" \t\r")) if why_not else ""
        if reason:
            raise InvalidContent(line.number, f"{line.name}: {reason}")
    if "DTSTART" not in seen and block.name == "VEVENT":
        raise InvalidContent(found.number(block.begin), "the VEVENT has no DTSTART")
    if not uid_of(lines):
        raise _no_object_resource(found, block.begin, f"the {block.name} has no UID")


def uid_of(lines: Iterable[Line]) -> str:
    """The UID among the lines, or nothing."""
    return next((unescape(line.value.strip(" \t\r")) for line in lines if line.name == "UID"), "")


def _only_calendar(found: Rows, blocks: list[Block]) -> Block:
    if not blocks:
        raise InvalidContent(0, "there is no calendar in it")
    for block in blocks:
        if block.name != "VCALENDAR":
            reason = f"BEGIN:{block.name} found where BEGIN:VCALENDAR was expected"
            condition: Condition = "supported-calendar-data" if block.name == "VCARD" else "valid-calendar-data"
            raise InvalidContent(found.number(block.begin), reason, condition=condition)
    if len(blocks) > 1:
        raise _no_object_resource(found, blocks[1].begin, "a second VCALENDAR begins here, and a resource holds one")
    return blocks[0]


def _check_together(found: Rows, calendar: Block, mains: list[Block], lines: list[tuple[Line, ...]]) -> None:
    if not mains:
        raise _no_object_resource(found, calendar.begin, "the calendar has no event, task, journal or free-busy")
    masters = 0
    uid = uid_of(lines[0])
    for block, own in zip(mains, lines, strict=True):
        if block.name != mains[0].name:
            reason = f"a {block.name} beside a {mains[0].name}, and a resource holds one type of component"
            raise _no_object_resource(found, block.begin, reason)
        if uid_of(own) != uid:
            reason = f"UID {uid_of(own)!r} beside UID {uid!r}, and a resource has one UID"
            raise _no_object_resource(found, block.begin, reason)
        masters += all(line.name != "RECURRENCE-ID" for line in own)
        if masters > 1:
            reason = f"a second {block.name} without RECURRENCE-ID, and a resource holds at most one"
            raise _no_object_resource(found, block.begin, reason)


def _no_object_resource(found: Rows, index: int, reason: str) -> InvalidContent:
    return InvalidContent(found.number(index), reason, condition="valid-calendar-object-resource")


def _facts(data: bytes, mains: list[Block], lines: list[tuple[Line, ...]]) -> CalendarFacts:
    return CalendarFacts(
        component=mains[0].name,
        uid=uid_of(lines[0]),
        components=tuple([(block.name, own) for block, own in zip(mains, lines, strict=True)]),
        has_recurrence=any(line.name in _RECURRING for own in lines for line in own),
        has_alarm=any(part.name == "VALARM" for block in mains for part in block.blocks()),
        control_characters=not fits_xml(data),
    )
