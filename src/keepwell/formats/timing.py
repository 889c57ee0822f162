"""Timing: the properties of a component that say when it is (RFC 5545 section 3.8.2 and 3.8.5).

For: reading dates, lists of dates and periods from content lines, with their TZID.

Promises: what is read is read once per component; a value that cannot be understood raises InvalidValue when it is
asked for. Whether a value is a date is told by its form, since programs forget VALUE=DATE.

Leaves to others: what the properties mean together (``extents``, ``instances``).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Final

from keepwell.formats.contentlines import Component, Line
from keepwell.formats.expansion import Budget
from keepwell.formats.times import Duration, InvalidValue, Moment, later, parse_duration, parse_moment
from keepwell.formats.timezones import Zones

_NAMES: Final = frozenset(
    {
        "DTSTART",
        "DTEND",
        "DUE",
        "DURATION",
        "RRULE",
        "RDATE",
        "EXDATE",
        "RECURRENCE-ID",
        "COMPLETED",
        "CREATED",
        "FREEBUSY",
    }
)
_RECURRING: Final = frozenset({"RRULE", "RDATE"})


@dataclass(frozen=True, slots=True)
class Context:
    """What one object is read with: its zones, the zone of floating times, and the steps that all of it may take."""

    zones: Zones
    floating_zone: tzinfo
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True, slots=True)
class Period:
    """A PERIOD: when it starts, and its end as an instant."""

    start: Moment
    end: int


@dataclass(frozen=True, slots=True)
class Timing:
    """A component's type and those of its lines that say when it is."""

    component: str
    lines: Mapping[str, list[Line]]

    @property
    def recurs(self) -> bool:
        """Whether it has a rule or dates to recur at."""
        return not _RECURRING.isdisjoint(self.lines)

    def moment(self, name: str, zones: Zones) -> Moment | None:
        """The date or date-time of a property, or None when it is absent."""
        lines = self.lines.get(name)
        return moment_of(lines[0], zones) if lines else None

    def duration(self) -> Duration | None:
        """DURATION, or None when it is absent."""
        lines = self.lines.get("DURATION")
        return parse_duration(lines[0].value.strip()) if lines else None

    def texts(self, name: str) -> list[tuple[Line, str]]:
        """Each value in the lists of a property, with the line that it stands on."""
        return [(line, text.strip()) for line in self.lines.get(name, ()) for text in line.value.split(",") if text]


def timing_of(component: str, lines: Iterable[Line]) -> Timing:
    """The timing of a component of this type with these lines."""
    chosen: dict[str, list[Line]] = {}
    for line in lines:
        if line.name in _NAMES:
            chosen.setdefault(line.name, []).append(line)
    return Timing(component, chosen)


def timing_in(component: Component) -> Timing:
    """The timing of a parsed component."""
    return timing_of(component.name, component.properties)


def moment_of(line: Line, zones: Zones) -> Moment:
    """The date or date-time on a line, with its TZID."""
    return moment_from(line, line.value.strip(), zones)


def moment_from(line: Line, text: str, zones: Zones) -> Moment:
    """One date or date-time out of the list on a line, with the line's TZID."""
    tzid = line.parameter("TZID") if line.parameters and len(text) == 15 else None
    return parse_moment(text, zones.named(tzid) if tzid else None)


def period_from(line: Line, text: str, context: Context) -> Period:
    """One period out of the list on a line."""
    begin, slash, end = text.partition("/")
    if not slash:
        raise InvalidValue(f"{text[:40]!r} is no period")
    start = moment_from(line, begin, context.zones)
    if end[:1] in ("P", "+", "-"):
        zone = start.zone or context.floating_zone
        return Period(start, later(start.local, zone, parse_duration(end)))
    return Period(start, moment_from(line, end, context.zones).instant(context.floating_zone))
