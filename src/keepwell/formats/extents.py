"""Extents: how long one instance of a component lasts, and which time it covers (RFC 4791 section 9.9).

For: the tables of RFC 4791 9.9 in one place, for queries and for the index alike.

Promises: every row of the tables is an interval, such that a component overlaps a time range exactly when the
interval starts before the range's end and ends after the range's start. An instant is one second long, which turns
the tables' "start <= DTSTART" into the same strict comparison, for all times are whole seconds.

Leaves to others: which instances there are (``instances``), and alarms.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from keepwell.formats.times import BEGINNING, DAY_SECONDS, FOREVER, Duration, Moment, TimeRange, later
from keepwell.formats.timing import Context, Timing, period_from

_INSTANT: Final = Duration(0, 0)
_ONE_DAY: Final = Duration(1, 0)


@dataclass(frozen=True, slots=True)
class Coverage:
    """The time that a component covers, in Unix seconds, without its end."""

    start: int
    end: int


#: Overlaps every time range.
EVERYTHING: Final = Coverage(BEGINNING, FOREVER)

#: Overlaps no time range with at least one side, but does overlap the one without any, which asks nothing of time.
NOTHING: Final = Coverage(FOREVER - 1, BEGINNING + 1)


class Shape(Enum):
    """Which row of the tables applies to a component with a start."""

    #: VEVENT with DTEND: (start < DTEND) AND (end > DTSTART).
    UP_TO_END = auto()
    #: VEVENT without, VJOURNAL, VTODO with DTSTART only: as above, but without length (start <= DTSTART).
    LASTING = auto()
    #: VTODO with DURATION: (start <= END) AND ((end > DTSTART) OR (end >= END)).
    TASK_WITH_DURATION = auto()
    #: VTODO with DUE: ((start < DUE) OR (start <= DTSTART)) AND ((end > DTSTART) OR (end >= DUE)).
    TASK_WITH_DUE = auto()
    #: VTODO with DUE only: (start < DUE) AND (end >= DUE).
    TASK_DUE_ONLY = auto()


@dataclass(frozen=True, slots=True)
class Extent:
    """A component with a start: where its first instance starts, and how every instance lasts."""

    shape: Shape
    start: Moment
    duration: Duration

    def end_after(self, start: Moment, context: Context) -> int:
        """The end of an instance that starts then."""
        return later(start.local, start.zone or context.floating_zone, self.duration)

    def coverage(self, start: int, end: int) -> Coverage:
        """What an instance from ``start`` to ``end`` covers."""
        match self.shape:
            case Shape.UP_TO_END:
                return Coverage(start, end)
            case Shape.LASTING:
                return Coverage(start, max(end, start + 1))
            case Shape.TASK_WITH_DURATION:
                return Coverage(start if end > start else min(start, end) - 1, end + 1)
            case Shape.TASK_WITH_DUE:
                return Coverage(min(start, end - 1), max(end, start + 1))
            case Shape.TASK_DUE_ONLY:
                return Coverage(start - 1, start)

    def starts_for(self, asked: TimeRange) -> TimeRange:
        """The starts of which an instance may overlap the asked time; a little too wide."""
        # A day on the calendar may have more than 24 hours, and coverages reach a second beyond start and end.
        reach = abs(self.duration.days) * DAY_SECONDS + abs(self.duration.seconds) + DAY_SECONDS
        is_backward = self.duration.days < 0 or self.duration.seconds < 0
        return TimeRange(asked.start - reach, asked.end + (reach if is_backward else 2))


def extent_of(timing: Timing, context: Context) -> Extent | None:
    """How the component lasts; None when it has no start, and for tasks no due date either."""
    start = timing.moment("DTSTART", context.zones)
    if timing.component == "VTODO":
        return _extent_of_task(timing, start, context)
    if start is None or timing.component == "VFREEBUSY":
        return None
    if timing.component == "VJOURNAL":
        return Extent(Shape.LASTING, start, _ONE_DAY if start.is_date else _INSTANT)
    return _extent_of_event(timing, start, context)


def coverages_without_extent(timing: Timing, context: Context) -> list[Coverage]:
    """What a component covers for which ``extent_of`` is None."""
    if timing.component == "VTODO":
        return [_coverage_of_dateless_task(timing, context)]
    if timing.component == "VFREEBUSY":
        return _coverages_of_free_busy(timing, context)
    return []


def _extent_of_event(timing: Timing, start: Moment, context: Context) -> Extent:
    end = timing.moment("DTEND", context.zones)
    if end is not None:
        return Extent(Shape.UP_TO_END, start, _difference(start, end, context))
    duration = timing.duration()
    if duration is None:
        duration = _ONE_DAY if start.is_date else _INSTANT
    return Extent(Shape.LASTING, start, duration)


def _extent_of_task(timing: Timing, start: Moment | None, context: Context) -> Extent | None:
    due = timing.moment("DUE", context.zones)
    if start is None:
        return None if due is None else Extent(Shape.TASK_DUE_ONLY, due, _INSTANT)
    if due is not None:
        return Extent(Shape.TASK_WITH_DUE, start, _difference(start, due, context))
    duration = timing.duration()
    if duration is not None:
        return Extent(Shape.TASK_WITH_DURATION, start, duration)
    return Extent(Shape.LASTING, start, _INSTANT)


def _difference(start: Moment, end: Moment, context: Context) -> Duration:
    # RFC 5545 3.8.5.3: with DTEND or DUE, every instance has the same exact duration; dates have no hours to count.
    if start.is_date and end.is_date:
        return Duration((end.local - start.local).days, 0)
    return Duration(0, end.instant(context.floating_zone) - start.instant(context.floating_zone))


def _coverage_of_dateless_task(timing: Timing, context: Context) -> Coverage:
    completed, created = _instant(timing, "COMPLETED", context), _instant(timing, "CREATED", context)
    if completed is None:
        return EVERYTHING if created is None else Coverage(created, FOREVER)
    other = completed if created is None else created
    return Coverage(min(completed, other) - 1, max(completed, other) + 1)


def _instant(timing: Timing, name: str, context: Context) -> int | None:
    moment = timing.moment(name, context.zones)
    return None if moment is None else moment.instant(context.floating_zone)


def _coverages_of_free_busy(timing: Timing, context: Context) -> list[Coverage]:
    start, end = timing.moment("DTSTART", context.zones), timing.moment("DTEND", context.zones)
    if start is not None and end is not None:
        zone = context.floating_zone
        return [Coverage(start.instant(zone), end.instant(zone) + 1)]
    periods = [period_from(line, text, context) for line, text in timing.texts("FREEBUSY")]
    return [Coverage(period.start.instant(context.floating_zone), period.end) for period in periods]
