"""Free-busy: when somebody is busy, without saying with what (RFC 4791 section 7.10).

Promises: only what a calendar object says within the asked time is told. Events count unless they are TRANSPARENT or
CANCELLED, tentative ones as BUSY-TENTATIVE; stored VFREEBUSY components count by their FBTYPE. Busy times that touch
are united; where types overlap the stronger one is told, BUSY before BUSY-UNAVAILABLE before BUSY-TENTATIVE. The
answer is one VFREEBUSY, without FREEBUSY lines when there is nothing to tell.

Leaves to others: who may ask, and which objects are taken.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum
from typing import Final

from keepwell.formats.contentlines import Component, Line, make_line
from keepwell.formats.expansion import Budget
from keepwell.formats.instances import Schedule, families_of, schedule_of
from keepwell.formats.times import InvalidValue, TimeRange, utc_text
from keepwell.formats.timezones import zones_of
from keepwell.formats.timing import Context, period_from, timing_in

#: Periods in one line of an answer; folded lines of a hundred thousand characters are read by nobody.
_PERIODS_PER_LINE: Final = 20


class BusyType(StrEnum):
    """How busy, from strong to weak (RFC 5545 3.2.9)."""

    BUSY = "BUSY"
    UNAVAILABLE = "BUSY-UNAVAILABLE"
    TENTATIVE = "BUSY-TENTATIVE"


_KNOWN_TYPES: Final = frozenset(BusyType)


@dataclass(frozen=True, slots=True, order=True)
class Busy:
    """A busy time in Unix seconds, without its end."""

    start: int
    end: int
    type: BusyType


def busy_times(
    calendar: Component, asked: TimeRange, floating_zone: tzinfo, budget: Budget | None = None
) -> Iterator[Busy]:
    """The busy times in one calendar object, cut to the asked time. Raises TooManyInstances.

    ``budget`` is the request's. What a value without meaning stands in is left out: nobody can say when that is.
    """
    context = Context(zones_of(calendar), floating_zone, Budget(parent=budget))
    for family in families_of(calendar, "VEVENT"):
        try:
            yield from _within(_busy_by_events(schedule_of(family, context), asked), asked)
        except InvalidValue:
            continue
    for part in calendar.components:
        if part.name == "VFREEBUSY":
            yield from _within(_busy_by_periods(part, context), asked)


def free_busy(busy: Iterable[Busy], asked: TimeRange, *, uid: str, stamp: int) -> bytes:
    """The answer to a free-busy-query; ``stamp`` is its time in Unix seconds."""
    head = (
        ("UID", uid),
        ("DTSTAMP", utc_text(stamp)),
        ("DTSTART", utc_text(asked.start)),
        ("DTEND", utc_text(asked.end)),
    )
    lines = [
        ("BEGIN", "VCALENDAR"),
        ("VERSION", "2.0"),
        ("PRODID", "-//Keepwell//Keepwell//EN"),
        ("BEGIN", "VFREEBUSY"),
        *head,
        *_free_busy_lines(merged(busy)),
        ("END", "VFREEBUSY"),
        ("END", "VCALENDAR"),
    ]
    return "".join(make_line(name, value).raw for name, value in lines).encode()


def merged(busy: Iterable[Busy]) -> list[Busy]:
    """The same times in order, none overlapping another."""
    told: list[Busy] = []
    times = sorted(busy)
    for kind in BusyType:
        united = _united([one for one in times if one.type is kind])
        told = sorted([*told, *_subtracted(united, told)])
    return told


def _busy_by_events(schedule: Schedule, asked: TimeRange) -> Iterator[Busy]:
    for instance in schedule.instances(asked):
        kind = _type_of_event(instance.component)
        if kind is not None:
            yield Busy(instance.starts_at, instance.ends_at, kind)


def _type_of_event(event: Component) -> BusyType | None:
    status = (event.value("STATUS") or "").strip().upper()
    if status == "CANCELLED" or (event.value("TRANSP") or "").strip().upper() == "TRANSPARENT":
        return None
    return BusyType.TENTATIVE if status == "TENTATIVE" else BusyType.BUSY


def _busy_by_periods(part: Component, context: Context) -> Iterator[Busy]:
    for line, text in timing_in(part).texts("FREEBUSY"):
        kind = _type_of_period(line)
        if kind is not None:
            try:
                period = period_from(line, text, context)
            except InvalidValue:
                continue
            yield Busy(period.start.instant(context.floating_zone), period.end, kind)


def _type_of_period(line: Line) -> BusyType | None:
    name = (line.parameter("FBTYPE") or "BUSY").upper()
    if name == "FREE":
        return None
    # RFC 5545 3.2.9: types that are not known are to be treated as BUSY.
    return BusyType(name) if name in _KNOWN_TYPES else BusyType.BUSY


def _within(busy: Iterable[Busy], asked: TimeRange) -> Iterator[Busy]:
    for one in busy:
        start, end = max(one.start, asked.start), min(one.end, asked.end)
        if start < end:
            yield Busy(start, end, one.type)


def _united(ordered: list[Busy]) -> list[Busy]:
    united: list[Busy] = []
    for one in ordered:
        if united and one.start <= united[-1].end:
            last = united.pop()
            one = Busy(last.start, max(last.end, one.end), one.type)
        united.append(one)
    return united


def _subtracted(weaker: list[Busy], stronger: list[Busy]) -> Iterator[Busy]:
    """What is left of the weaker times between the stronger ones; both are in order."""
    position = 0
    for one in weaker:
        while position < len(stronger) and stronger[position].end <= one.start:
            position += 1
        start, index = one.start, position
        while index < len(stronger) and stronger[index].start < one.end:
            if start < stronger[index].start:
                yield Busy(start, stronger[index].start, one.type)
            start = stronger[index].end
            index += 1
        if start < one.end:
            yield Busy(start, one.end, one.type)


def _free_busy_lines(busy: list[Busy]) -> Iterator[tuple[str, str]]:
    for kind in BusyType:
        periods = [f"{utc_text(one.start)}/{utc_text(one.end)}" for one in busy if one.type is kind]
        name = "FREEBUSY" if kind is BusyType.BUSY else f"FREEBUSY;FBTYPE={kind}"
        for index in range(0, len(periods), _PERIODS_PER_LINE):
            yield name, ",".join(periods[index : index + _PERIODS_PER_LINE])
