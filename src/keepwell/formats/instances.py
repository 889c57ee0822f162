"""Instances: every time that an event, task or journal entry takes place (RFC 5545 sections 3.8.4.4 and 3.8.5).

For: queries by time, expansion and free-busy answers.

Promises: the recurrence set is that of DTSTART, RRULE and RDATE without EXDATE; an override takes the place of the
instance that its RECURRENCE-ID names, and with RANGE=THISANDFUTURE moves the later ones along with it. Instances are
told apart by instant, so that an EXDATE in UTC excludes one with a TZID. Only those that can touch the asked time are
computed, and the work is bounded: TooManyInstances is raised instead. Values without meaning raise InvalidValue.

Leaves to others: whether an instance overlaps a time range, which is for ``extents`` to say.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Final

from keepwell.formats.contentlines import Component, Line
from keepwell.formats.expansion import Budget, TooManyInstances, occurrences
from keepwell.formats.extents import Coverage, Extent, extent_of
from keepwell.formats.rules import Rule, parse_rule
from keepwell.formats.times import (
    DAY_SECONDS,
    FOREVER,
    Moment,
    TimeRange,
    clock_times,
    instant_of,
    parse_moment,
    plus,
)
from keepwell.formats.timing import Context, Timing, moment_from, period_from, timing_in

#: RRULE lines in one component; RFC 5545 3.8.5.3 wants one at most, and old programs wrote two or three.
RULES_MAX: Final = 8

_TO_END_OF_DAY: Final = timedelta(hours=23, minutes=59, seconds=59)


@dataclass(frozen=True, slots=True)
class Member:
    """A component of a family, with its timing."""

    component: Component
    timing: Timing


@dataclass(frozen=True, slots=True)
class Family:
    """The components of one type and UID: the master, which may be absent, and its overrides."""

    master: Member | None
    overrides: tuple[Member, ...]

    @property
    def members(self) -> tuple[Member, ...]:
        """All of them."""
        return self.overrides if self.master is None else (self.master, *self.overrides)

    @property
    def recurs(self) -> bool:
        """Whether its instances are told apart by RECURRENCE-ID."""
        return bool(self.overrides) or (self.master is not None and self.master.timing.recurs)


@dataclass(frozen=True, slots=True)
class Instance:
    """One time that a component takes place.

    ``recurrence`` is the start that the recurrence set gave it; None when the component does not recur.
    ``has_own_end`` says that it lasts as an RDATE says, not as the component does.
    """

    component: Component
    extent: Extent
    recurrence: Moment | None
    start: Moment
    starts_at: int
    ends_at: int
    has_own_end: bool = False

    @property
    def coverage(self) -> Coverage:
        """The time that it covers in the sense of RFC 4791 9.9."""
        return self.extent.coverage(self.starts_at, self.ends_at)


def families_of(calendar: Component, component: str) -> list[Family]:
    """The families of this type of component, in the order of their first members."""
    grouped: dict[str, list[Member]] = {}
    for part in calendar.components:
        if part.name == component:
            grouped.setdefault(part.value("UID") or "", []).append(Member(part, timing_in(part)))
    return [family for members in grouped.values() for family in _families(members)]


@dataclass(frozen=True, slots=True)
class Schedule:
    """A family with everything read that its instances are computed from.

    ``moving`` holds the instants at which overrides begin to move the instances that follow, in order.
    """

    context: Context
    master: Component | None
    recurrence: "_Recurrence | None"
    overrides: "tuple[_Override, ...]"
    by_component: "Mapping[int, _Override]"
    moving: tuple[int, ...]

    def instances(self, asked: TimeRange) -> Iterator[Instance]:
        """The instances that may overlap the asked time, in no order; components without a start have none."""
        for override in self.overrides:
            yield from self._of_override(override, asked)
        yield from self._of_master(asked)

    def instances_of(self, component: Component, asked: TimeRange) -> Iterator[Instance]:
        """Those of the instances that this component describes."""
        if component is self.master:
            yield from self._of_master(asked)
        elif id(component) in self.by_component:
            yield from self._of_override(self.by_component[id(component)], asked)

    def overrides_outside(self, asked: TimeRange) -> list[Component]:
        """The overrides that neither are in the asked time nor take an instance out of it (RFC 4791 9.6.6)."""
        return [one.component for one in self.overrides if not self._touches(one, asked)]

    def _touches(self, override: "_Override", asked: TimeRange) -> bool:
        if override.moves_following and override.replaces < asked.end:
            return True
        planned = override.extent if self.recurrence is None else self.recurrence.extent
        end = planned.end_after(override.recurrence, self.context)
        now = override.instance(self.context).coverage
        return any(asked.overlaps(one.start, one.end) for one in (now, planned.coverage(override.replaces, end)))

    def _of_master(self, asked: TimeRange) -> Iterator[Instance]:
        if self.master is not None and self.recurrence is not None:
            first_moved = self.moving[0] if self.moving else FOREVER
            within = self.recurrence.extent.starts_for(asked)
            planned = TimeRange(within.start, min(within.end, first_moved - 1))
            yield from _instances_of_master(self.master, self.recurrence, planned, self.context.budget)

    def _of_override(self, override: "_Override", asked: TimeRange) -> Iterator[Instance]:
        yield override.instance(self.context)
        if override.moves_following and self.recurrence is not None:
            index = bisect_right(self.moving, override.replaces)
            end = self.moving[index] if index < len(self.moving) else FOREVER
            yield from _instances_following(override, self.recurrence, asked, end, self.context.budget)


def schedule_of(family: Family, context: Context) -> Schedule:
    """Read what the family's instances are computed from. Raises InvalidValue, TooManyInstances."""
    overrides = [override for member in family.overrides for override in _override(family, member, context)]
    master = None if family.master is None else family.master.component
    return Schedule(
        context,
        master,
        _recurrence(family, overrides, context),
        tuple(overrides),
        {id(one.component): one for one in overrides},
        tuple(sorted(one.replaces for one in overrides if one.moves_following)),
    )


def rules_of(timing: Timing) -> list[Line]:
    """The lines with rules. Raises TooManyInstances when there are more than RULES_MAX."""
    lines = timing.lines.get("RRULE", [])
    if len(lines) > RULES_MAX:
        raise TooManyInstances(RULES_MAX, "rules")
    return lines


@dataclass(frozen=True, slots=True)
class _Override:
    """An override: its own extent, and the instance that it replaces, by its RECURRENCE-ID and instant."""

    component: Component
    extent: Extent
    recurrence: Moment
    replaces: int
    moves_following: bool

    def instance(self, context: Context) -> Instance:
        start = self.extent.start
        starts_at = start.instant(context.floating_zone)
        ends_at = self.extent.end_after(start, context)
        return Instance(self.component, self.extent, self.recurrence, start, starts_at, ends_at)

    def shift(self, context: Context) -> timedelta:
        """How much later than planned it starts; by the clock where both are read from the same one."""
        start = self.extent.start
        if start.zone == self.recurrence.zone:
            return start.local - self.recurrence.local
        return timedelta(seconds=start.instant(context.floating_zone) - self.replaces)


@dataclass(frozen=True, slots=True)
class _Start:
    """A member of the recurrence set, with the end that an RDATE gives it."""

    moment: Moment
    instant: int
    end: int | None = None


@dataclass(frozen=True, slots=True)
class _Recurrence:
    """A master's recurrence set, and what is taken out of it: EXDATEs and overridden instances."""

    timing: Timing
    extent: Extent
    context: Context
    without_instants: frozenset[int]
    without_days: frozenset[date]

    @property
    def zone(self) -> tzinfo:
        """The zone of its clock times."""
        return self.extent.start.zone or self.context.floating_zone

    def starts(self, asked: TimeRange, budget: Budget) -> Iterator[_Start]:
        """Its members that start within the asked time, or last into it by an end of their own; each once."""
        seen = set[int]()
        for start in self._all_starts(asked, budget):
            reaches = start.instant if start.end is None else max(start.instant, start.end)
            is_in = start.instant <= asked.end and reaches >= asked.start
            if is_in and start.instant not in seen and not self._is_taken_out(start):
                seen.add(start.instant)
                yield start

    def _is_taken_out(self, start: _Start) -> bool:
        if start.instant in self.without_instants:
            return True
        return bool(self.without_days) and start.moment.local.date() in self.without_days

    def _all_starts(self, asked: TimeRange, budget: Budget) -> Iterator[_Start]:
        rules = rules_of(self.timing)
        if not rules:
            yield _Start(self.extent.start, self.extent.start.instant(self.context.floating_zone))
        for line in rules:
            budget.spend()
            yield from self._starts_by_rule(parse_rule(line.value), asked, budget)
        for line, text in self.timing.texts("RDATE"):
            budget.spend()
            if "/" in text:
                period = period_from(line, text, self.context)
                yield _Start(period.start, self._instant(period.start), period.end)
            else:
                moment = moment_from(line, text, self.context.zones)
                yield _Start(moment, self._instant(moment))

    def _starts_by_rule(self, rule: Rule, asked: TimeRange, budget: Budget) -> Iterator[_Start]:
        first, zone = self.extent.start, self.zone
        last = min(asked.end, last_instant(rule, first, self.context))
        low, high = clock_times(asked.start, last, zone)
        for local in occurrences(rule, first.local, since=low, last=high, budget=budget):
            instant = instant_of(local, zone)
            if instant <= last:
                yield _Start(Moment(local, first.zone, first.is_date), instant)

    def _instant(self, moment: Moment) -> int:
        return moment.instant(self.zone)


def last_instant(rule: Rule, first: Moment, context: Context) -> int:
    """The last instant that UNTIL allows for a recurrence with this first start."""
    if rule.until is None:
        return FOREVER
    until = parse_moment(rule.until)
    zone = first.zone or context.floating_zone
    if first.is_date:
        # Programs write date-times here, which RFC 5545 3.3.10 forbids; the day that they name is meant.
        return instant_of(datetime.combine(until.local.date(), datetime.min.time()), zone)
    if until.is_date:
        return instant_of(plus(until.local, _TO_END_OF_DAY), zone)
    return until.instant(zone)


def _families(members: list[Member]) -> list[Family]:
    if len(members) == 1 and "RECURRENCE-ID" not in members[0].timing.lines:
        return [Family(members[0], ())]
    overrides = tuple(one for one in members if "RECURRENCE-ID" in one.timing.lines)
    masters = [one for one in members if "RECURRENCE-ID" not in one.timing.lines]
    first = masters[0] if masters else None
    return [Family(first, overrides), *(Family(other, ()) for other in masters[1:])]


def _override(family: Family, member: Member, context: Context) -> Iterator[_Override]:
    """The override that the member is, unless it has no start."""
    extent = extent_of(member.timing, context)
    recurrence = member.timing.moment("RECURRENCE-ID", context.zones)
    if extent is None or recurrence is None:
        return
    first = None if family.master is None else family.master.timing.moment("DTSTART", context.zones)
    zone = context.floating_zone if first is None or first.zone is None else first.zone
    moves = (member.timing.lines["RECURRENCE-ID"][0].parameter("RANGE") or "").upper() == "THISANDFUTURE"
    yield _Override(member.component, extent, recurrence, recurrence.instant(zone), moves)


def _recurrence(family: Family, overrides: list[_Override], context: Context) -> _Recurrence | None:
    if family.master is None:
        return None
    timing = family.master.timing
    rules_of(timing)
    extent = extent_of(timing, context)
    if extent is None:
        return None
    without = [moment_from(line, text, context.zones) for line, text in timing.texts("EXDATE")]
    without.extend(override.recurrence for override in overrides)
    zone = extent.start.zone or context.floating_zone
    is_by_day = extent.start.is_date
    return _Recurrence(
        timing,
        extent,
        context,
        frozenset(moment.instant(zone) for moment in without if not (is_by_day or moment.is_date)),
        frozenset(moment.local.date() for moment in without if is_by_day or moment.is_date),
    )


def _instances_of_master(
    master: Component, recurrence: _Recurrence, asked: TimeRange, budget: Budget
) -> Iterator[Instance]:
    extent, recurs = recurrence.extent, recurrence.timing.recurs
    for start in recurrence.starts(asked, budget):
        ends_at = extent.end_after(start.moment, recurrence.context) if start.end is None else start.end
        origin = start.moment if recurs else None
        own = start.end is not None
        yield Instance(master, extent, origin, start.moment, start.instant, ends_at, own)


def _instances_following(
    override: _Override, recurrence: _Recurrence, asked: TimeRange, end: int, budget: Budget
) -> Iterator[Instance]:
    """The instances after an override of this and future ones, up to the next such override."""
    shift, extent, context = override.shift(recurrence.context), override.extent, recurrence.context
    seconds = shift // timedelta(seconds=1)
    within = extent.starts_for(asked)
    planned = TimeRange(
        max(override.replaces + 1, within.start - seconds - DAY_SECONDS),
        min(end - 1, within.end - seconds + DAY_SECONDS),
    )
    for start in recurrence.starts(planned, budget):
        moved = Moment(plus(start.moment.local, shift), start.moment.zone, extent.start.is_date)
        starts_at, ends_at = moved.instant(context.floating_zone), extent.end_after(moved, context)
        yield Instance(override.component, extent, start.moment, moved, starts_at, ends_at)
