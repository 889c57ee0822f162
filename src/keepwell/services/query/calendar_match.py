"""Calendar matching: whether a calendar object is what a query asks for (RFC 4791 sections 7.4, 9.7 and 9.9).

Promises: a filter is true of a component when everything in it is true of that same component; a time range is, when
at least one of the instances that the component describes overlaps it. An override thus answers for its own instance
and the master for all others. Whatever cannot be decided (a value without meaning, a recurrence that takes too much
work, more comparisons than one object may cost) counts as overlapping: an item too many can be seen and mended by its
owner, an item too few is lost to them.

Leaves to others: narrowing by an index (``prefilter``), and the zone that floating times are read in.
"""

from collections.abc import Iterable
from datetime import tzinfo
from typing import Final, TypeVar

from keepwell.formats.contentlines import Component, Line
from keepwell.formats.expansion import Budget, TooManyInstances
from keepwell.formats.extents import coverages_without_extent, extent_of
from keepwell.formats.instances import Family, Member, Schedule, families_of, schedule_of
from keepwell.formats.texts import unescape
from keepwell.formats.times import InvalidValue, TimeRange
from keepwell.formats.timezones import zones_of
from keepwell.formats.timing import Context, moment_of, timing_in
from keepwell.services.query.alarms import goes_off
from keepwell.services.query.calendar_filter import CompFilter, ParamFilter, PropFilter
from keepwell.services.query.effort import Effort, TooManyComparisons

#: The properties that have a time (RFC 4791 9.9).
TIMED_PROPERTIES: Final = frozenset({"COMPLETED", "CREATED", "DTEND", "DTSTAMP", "DTSTART", "DUE", "LAST-MODIFIED"})

#: The components that have a time (RFC 4791 9.9).
TIMED_COMPONENTS: Final = frozenset({"VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VALARM"})

#: Comparisons that looking at the time of a component or line is worth.
_TIMED_COST: Final = 8

#: The property that DURATION stands in for.
_END_PROPERTIES: Final = {"VEVENT": "DTEND", "VTODO": "DUE"}

_Part = TypeVar("_Part", Line, Component)


def matches(
    calendar: Component,
    wanted: CompFilter,
    floating_zone: tzinfo,
    budget: Budget | None = None,
    effort: Effort | None = None,
) -> bool:
    """Whether the filter, whose outermost component is VCALENDAR, is true of the calendar object.

    ``budget`` and ``effort`` are the request's. When the one is spent, recurring objects count as overlapping; when the
    other is, TooManyComparisons is raised.
    """
    if calendar.name != wanted.name:
        return wanted.is_not_defined
    own = (effort or Effort()).of_object()
    try:
        return not wanted.is_not_defined and _Matching(calendar, floating_zone, budget, own).accepts(calendar, wanted)
    except TooManyComparisons:
        if own.is_spent:
            return True
        raise


class _Matching:
    """One object under evaluation; families and schedules are computed once, when first needed."""

    __slots__ = ("_calendar", "_context", "_effort", "_lines", "_members", "_parts", "_schedules")

    def __init__(self, calendar: Component, floating_zone: tzinfo, budget: Budget | None, effort: Effort) -> None:
        self._calendar = calendar
        self._effort = effort
        self._lines: dict[int, dict[str, list[Line]]] = {}
        self._parts: dict[int, dict[str, list[Component]]] = {}
        self._context = Context(zones_of(calendar), floating_zone, Budget(parent=budget))
        self._members: dict[str, dict[int, tuple[Family, Member]]] = {}
        self._schedules: dict[int, Schedule] = {}

    def accepts(self, component: Component, wanted: CompFilter) -> bool:
        """Whether everything in the filter but its time range is true of the component."""
        return all(self._has_property(component, one) for one in wanted.prop_filters) and all(
            self._has_part(component, one) for one in wanted.comp_filters
        )

    def _has_part(self, owner: Component, wanted: CompFilter) -> bool:
        parts = self._by_name(self._parts, owner, owner.components).get(wanted.name, [])
        if wanted.is_not_defined:
            return not parts
        asked = wanted.time_range
        return any(self.accepts(part, wanted) and (asked is None or self._is_in(owner, part, asked)) for part in parts)

    def _by_name(
        self, known: dict[int, dict[str, list[_Part]]], owner: Component, parts: Iterable[_Part]
    ) -> dict[str, list[_Part]]:
        """The lines or components of a component, grouped once: a filter may ask for two hundred names."""
        named = known.get(id(owner))
        if named is None:
            named = known[id(owner)] = {}
            for part in parts:
                named.setdefault(part.name, []).append(part)
        return named

    def _is_in(self, owner: Component, part: Component, asked: TimeRange) -> bool:
        self._effort.spend(_TIMED_COST)
        try:
            if part.name == "VALARM":
                return goes_off(part, owner, self._schedule(self._member(owner)[0]), asked)
            return self._overlaps(part, asked)
        except (InvalidValue, TooManyInstances):
            return True

    def _overlaps(self, part: Component, asked: TimeRange) -> bool:
        family, member = self._member(part)
        if extent_of(member.timing, self._context) is None:
            coverages = iter(coverages_without_extent(member.timing, self._context))
        else:
            coverages = (one.coverage for one in self._schedule(family).instances_of(part, asked))
        return any(asked.overlaps(one.start, one.end) for one in coverages)

    def _member(self, part: Component) -> tuple[Family, Member]:
        known = self._members.get(part.name)
        if known is None:
            families = families_of(self._calendar, part.name)
            known = {id(one.component): (family, one) for family in families for one in family.members}
            self._members[part.name] = known
        return known[id(part)]

    def _schedule(self, family: Family) -> Schedule:
        key = id(family)
        if key not in self._schedules:
            self._schedules[key] = schedule_of(family, self._context)
        return self._schedules[key]

    def _has_property(self, component: Component, wanted: PropFilter) -> bool:
        lines = self._by_name(self._lines, component, component.properties).get(wanted.name, [])
        if wanted.is_not_defined:
            return not lines
        asked = wanted.time_range
        if asked is not None and not lines and wanted.name == _END_PROPERTIES.get(component.name):
            return self._ends_in(component, asked)
        return any(
            self._is_as_wanted(line, wanted) and (asked is None or self._is_line_in(line, asked)) for line in lines
        )

    def _is_as_wanted(self, line: Line, wanted: PropFilter) -> bool:
        self._effort.spend()
        if wanted.text_match is not None and not self._effort.accepts(wanted.text_match, unescape(line.value)):
            return False
        return all(has_parameter(line, one, self._effort) for one in wanted.param_filters)

    def _is_line_in(self, line: Line, asked: TimeRange) -> bool:
        self._effort.spend(_TIMED_COST)
        try:
            return _is_instant_in(moment_of(line, self._context.zones).instant(self._context.floating_zone), asked)
        except InvalidValue:
            return True

    def _ends_in(self, component: Component, asked: TimeRange) -> bool:
        """The same of DTSTART and DURATION, where they stand for the property (RFC 4791 9.9)."""
        timing = timing_in(component)
        if "DURATION" not in timing.lines:
            return False
        try:
            extent = extent_of(timing, self._context)
            return extent is not None and _is_instant_in(extent.end_after(extent.start, self._context), asked)
        except InvalidValue:
            return True


def _is_instant_in(instant: int, asked: TimeRange) -> bool:
    return asked.overlaps(instant, instant + 1)


def has_parameter(line: Line, wanted: ParamFilter, effort: Effort) -> bool:
    """Whether the filter is true of the line's parameters; of many values, one must match."""
    effort.spend(len(line.parameters))
    values = [value for parameter in line.parameters if parameter.name == wanted.name for value in parameter.values]
    if wanted.is_not_defined or wanted.text_match is None:
        return bool(values) is not wanted.is_not_defined
    return any(effort.accepts(wanted.text_match, value) for value in values)
