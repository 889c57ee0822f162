"""Recurrence: within which time a calendar object has anything to say, for the index that queries narrow with.

For: leaving out, without reading it, what a query by time cannot match (RFC 4791 section 7.8 asks about months in
calendars of years).

Promises: the span of an object holds every time range that any of its components overlaps by RFC 4791 9.9, in every
zone for floating times: what is outside the span cannot match. With ``exact``, what is inside matches as well, when
nothing but a time range is asked of the component. A span is compared like a coverage (``extents``): it starts before
the range's end and ends after its start. Objects that cannot be understood have the span of everything. Computing it
is cheap enough for every PUT; only a COUNT must be counted, once, and all counting for an object takes one Budget.

Leaves to others: alarms, which may be far from their events and are evaluated without the index.
"""

from dataclasses import dataclass
from datetime import UTC
from typing import Final

from keepwell.formats.expansion import TooManyInstances, last_occurrence
from keepwell.formats.extents import EVERYTHING, NOTHING, Coverage, Extent, coverages_without_extent, extent_of
from keepwell.formats.icalendar import CalendarFacts
from keepwell.formats.instances import last_instant, rules_of
from keepwell.formats.rules import parse_rule
from keepwell.formats.times import (
    BEGINNING,
    DAY_SECONDS,
    FOREVER,
    OFFSET_SECONDS_MAX,
    InvalidValue,
    instant_of,
)
from keepwell.formats.timezones import zones_in
from keepwell.formats.timing import Context, Timing, moment_from, period_from, timing_of

#: To both sides of a span that is not exact: floating times may be read in any zone, and a day may have 25 hours.
_MARGIN_SECONDS: Final = OFFSET_SECONDS_MAX + DAY_SECONDS

_FLOATING: Final = frozenset({"DTSTART", "DTEND", "DUE", "COMPLETED", "CREATED"})


@dataclass(frozen=True, slots=True)
class Span:
    """The time of an object in Unix seconds, without its end; ``exact`` when it decides a time range alone."""

    start: int
    end: int
    exact: bool


_UNKNOWN: Final = Span(EVERYTHING.start, EVERYTHING.end, False)


def span_of(facts: CalendarFacts, data: bytes) -> Span:
    """The span of an examined calendar object; ``data`` is read again only when a VTIMEZONE is needed."""
    context = Context(zones_in(data), UTC)
    timings = [timing_of(name, lines) for name, lines in facts.components]
    try:
        if len(timings) == 1 and not timings[0].recurs:
            return _span_of_one(timings[0], context)
        return _hull([span for timing in timings for span in _coverages(timing, context)], exact=False)
    except (InvalidValue, TooManyInstances):
        return _UNKNOWN


def _span_of_one(timing: Timing, context: Context) -> Span:
    extent = extent_of(timing, context)
    if extent is None:
        coverages = coverages_without_extent(timing, context)
    else:
        coverages = [extent.coverage(extent.start.instant(UTC), extent.end_after(extent.start, context))]
    exact = len(coverages) <= 1 and "RECURRENCE-ID" not in timing.lines and not _floats(timing, context)
    return _hull(coverages, exact=exact)


def _floats(timing: Timing, context: Context) -> bool:
    """Whether a time is read differently in different zones."""
    if "FREEBUSY" in timing.lines:
        return True
    moments = (timing.moment(name, context.zones) for name in _FLOATING & timing.lines.keys())
    return any(moment is not None and moment.zone is None for moment in moments)


def _hull(coverages: list[Coverage], *, exact: bool) -> Span:
    """The span from the first start to the last end, widened unless it is exact."""
    if not coverages:
        return Span(NOTHING.start, NOTHING.end, True)
    start, end = min(one.start for one in coverages), max(one.end for one in coverages)
    if exact:
        return Span(start, end, True)
    return Span(max(BEGINNING, start - _MARGIN_SECONDS), min(FOREVER, end + _MARGIN_SECONDS), False)


def _coverages(timing: Timing, context: Context) -> list[Coverage]:
    """Coverages whose hull holds every instance of the component."""
    extent = extent_of(timing, context)
    if extent is None:
        return coverages_without_extent(timing, context)
    seconds = extent.duration.days * DAY_SECONDS + extent.duration.seconds
    first = extent.start.instant(UTC)
    starts = [first, *(_last_start(line.value, extent, context) for line in rules_of(timing))]
    if _moves_following(timing):
        starts.append(FOREVER)
    coverages = [extent.coverage(start, min(start + seconds, FOREVER)) for start in starts]
    return coverages + _coverages_of_dates(timing, extent, seconds, context)


def _coverages_of_dates(timing: Timing, extent: Extent, seconds: int, context: Context) -> list[Coverage]:
    coverages = []
    for line, text in timing.texts("RDATE"):
        if "/" in text:
            period = period_from(line, text, context)
            coverages.append(extent.coverage(period.start.instant(UTC), period.end))
        else:
            start = moment_from(line, text, context.zones).instant(UTC)
            coverages.append(extent.coverage(start, start + seconds))
    return coverages


def _last_start(text: str, extent: Extent, context: Context) -> int:
    rule = parse_rule(text)
    last = last_instant(rule, extent.start, context)
    if rule.count is None:
        return last
    try:
        counted = last_occurrence(rule, extent.start.local, context.budget)
    except TooManyInstances:
        return last
    return min(last, instant_of(counted, extent.start.zone or UTC))


def _moves_following(timing: Timing) -> bool:
    return any(line.parameter("RANGE") for line in timing.lines.get("RECURRENCE-ID", ()))
