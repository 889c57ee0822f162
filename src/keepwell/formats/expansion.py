"""Expansion: the clock times that a rule gives (RFC 5545 section 3.3.10), at a cost that is bounded.

For: asking whether and when something recurs near a given time, without walking there from its first
occurrence.

Promises: occurrences come in order, each once, and begin with the start itself, which always counts as the
first (RFC 5545 3.8.5.3). Work is counted in steps, one for each day or clock time that is looked at, whether or
not it is chosen; a rule that takes more than its Budget (a filter that never matches, a COUNT that takes a million
filtered seconds) raises TooManyInstances instead of running on. What was counted once is remembered and costs nothing.
Without COUNT, the cost does not depend on how long ago the start was.

Leaves to others: zones, UNTIL, EXDATE and RDATE. Everything here is clock time without a zone.
"""

from calendar import monthrange
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import product
from typing import Final

from keepwell.formats.rules import Frequency, Rule
from keepwell.formats.times import DAY_SECONDS, plus
from keepwell.model.errors import TooManyResults

#: Steps that one question about one object may take. Daily for fifty years is 18,250; a step is about 1 µs.
STEPS_MAX: Final = 20_000

#: Counts that are remembered; all of them are forgotten when there are more.
_COUNTED_MAX: Final = 4096

_SECOND: Final = timedelta(seconds=1)
_DAY: Final = timedelta(days=1)
_LAST_YEAR: Final = 9999

_UNIT_SECONDS: Final[Mapping[Frequency, int]] = {
    Frequency.WEEKLY: 7 * DAY_SECONDS,
    Frequency.DAILY: DAY_SECONDS,
    Frequency.HOURLY: 3600,
    Frequency.MINUTELY: 60,
    Frequency.SECONDLY: 1,
}


class TooManyInstances(TooManyResults):
    """A recurrence takes more work, or has more instances, than one answer may cost."""

    def __init__(self, limit: int = STEPS_MAX, of: str = "steps") -> None:
        """Say which limit was met."""
        message = f"a recurrence takes more than {limit:,} {of}"
        super().__init__(message, hint="Ask about a shorter time, or give the recurrence an end.")


class Budget:
    """Steps, or whatever is counted, that may still be taken; never below zero without raising.

    What is spent of it is spent of its parent as well, such as that of the request which many objects are read for.
    """

    __slots__ = ("_left", "_limit", "_of", "_parent")

    def __init__(self, limit: int = STEPS_MAX, parent: "Budget | None" = None, *, of: str = "steps") -> None:
        """Start with the whole limit."""
        self._left = self._limit = limit
        self._parent = parent
        self._of = of

    @property
    def is_spent(self) -> bool:
        """Whether more was asked for than there was."""
        return self._left < 0

    def spend(self, steps: int = 1) -> None:
        """Take steps; raises TooManyInstances when not so many are left, here or in the parent."""
        self._left -= steps
        if self._left < 0:
            raise TooManyInstances(self._limit, self._of)
        if self._parent is not None:
            self._parent.spend(steps)


_COUNTED: Final[dict[tuple[Rule, datetime], datetime | None]] = {}


def occurrences(rule: Rule, start: datetime, *, since: datetime, last: datetime, budget: Budget) -> Iterator[datetime]:
    """The occurrences from ``since`` to ``last``, both included, in order."""
    if last < start or last < since:
        return
    if since <= start:
        yield start
    last = min(last, last_occurrence(rule, start, budget))
    for moment in _matches(rule, start, max(since, start), last, budget):
        if moment > last:
            return
        if moment > start and moment >= since:
            yield moment


def last_occurrence(rule: Rule, start: datetime, budget: Budget) -> datetime:
    """The last occurrence that COUNT allows; ``datetime.max`` without one. Raises TooManyInstances."""
    if rule.count is None:
        return datetime.max
    step = _plain_step(rule, start)
    if step is not None:
        return _stepped(start, step * (rule.count - 1))
    last = _last_counted(rule, start, rule.count, budget)
    if last is None:
        raise TooManyInstances
    return last


def _last_counted(rule: Rule, start: datetime, count: int, budget: Budget) -> datetime | None:
    """The last counted occurrence, or None when counting takes too long; remembered, as every query asks for it."""
    key = rule, start
    with suppress(KeyError):
        return _COUNTED[key]
    budget.spend()
    own = Budget(parent=budget)
    try:
        last = _counted(rule, start, count, own)
    except TooManyInstances:
        # Whoever asks with more left may get further, unless this is what no budget of an object suffices for.
        if not own.is_spent:
            raise
        last = None
    if len(_COUNTED) >= _COUNTED_MAX:
        _COUNTED.clear()
    _COUNTED[key] = last
    return last


def _counted(rule: Rule, start: datetime, count: int, budget: Budget) -> datetime:
    last, left = start, count - 1
    for moment in _matches(rule, start, start, datetime.max, budget):
        if left == 0:
            break
        if moment > start:
            last, left = moment, left - 1
    return last


def _matches(rule: Rule, start: datetime, since: datetime, last: datetime, budget: Budget) -> Iterator[datetime]:
    """What the rule gives from the period of ``since`` to that of ``last``, in order; some of it may be outside."""
    step = _plain_step(rule, start)
    if step is not None:
        return _plain_matches(start, step, since, last, budget)
    if rule.frequency >= Frequency.HOURLY:
        return _short_matches(rule, start, since, last, budget)
    return _long_matches(rule, start, since, last, budget)


def _plain_step(rule: Rule, start: datetime) -> int | None:
    """The seconds between occurrences, when they are always the same; the common weekly and daily rules."""
    if rule.frequency < Frequency.WEEKLY:
        return None
    if rule.is_plain or (rule.frequency is Frequency.WEEKLY and _repeats_weekday(rule, start)):
        return rule.interval * _UNIT_SECONDS[rule.frequency]
    return None


def _repeats_weekday(rule: Rule, start: datetime) -> bool:
    return rule.by_day == frozenset(((start.weekday(), 0),)) and rule.is_only_by_day


def _plain_matches(start: datetime, step: int, since: datetime, last: datetime, budget: Budget) -> Iterator[datetime]:
    seconds = max(0, -((start - since) // _SECOND // step)) * step
    end = (last - start) // _SECOND
    while seconds <= end:
        budget.spend()
        yield start + timedelta(seconds=seconds)
        seconds += step


def _stepped(start: datetime, seconds: int) -> datetime:
    # A timedelta holds less than the product of a nine-digit INTERVAL and COUNT.
    return plus(start, timedelta(seconds=min(seconds, 10**12)))


def _long_matches(rule: Rule, start: datetime, since: datetime, last: datetime, budget: Budget) -> Iterator[datetime]:
    times, looked_at = _times_of_day(rule, start, budget), _looked_at(rule)
    for first_day, days in _PERIODS[rule.frequency](rule, start, since):
        budget.spend(looked_at + len(days))
        if first_day > last.date():
            return
        if rule.by_set_position:
            budget.spend(len(days) * len(times))
        for moment in _chosen(rule, (datetime.combine(day, at) for day in days for at in times)):
            budget.spend()
            yield moment


def _looked_at(rule: Rule) -> int:
    """How many days of a period are looked at to choose from, at most."""
    if rule.frequency is Frequency.YEARLY:
        if rule.by_week_number or rule.by_year_day or (rule.by_day and not rule.by_month):
            return 366
        if rule.by_day:
            return 31 * len(rule.by_month)
        return 12 if rule.by_month_day else 1
    return 31 if rule.by_day and rule.frequency is Frequency.MONTHLY else 1


def _chosen(rule: Rule, moments: Iterable[datetime]) -> Iterable[datetime]:
    """Those of a period at the positions of BYSETPOS, or all."""
    if not rule.by_set_position:
        return moments
    ordered = list(moments)
    size = len(ordered)
    indexes = {position - 1 if position > 0 else size + position for position in rule.by_set_position}
    return [ordered[index] for index in sorted(indexes) if 0 <= index < size]


def _times_of_day(rule: Rule, start: datetime, budget: Budget) -> list[time]:
    hours, minutes = rule.by_hour or (start.hour,), rule.by_minute or (start.minute,)
    seconds = rule.by_second or (start.second,)
    budget.spend(len(hours) * len(minutes) * len(seconds))
    return [time(*clock) for clock in product(hours, minutes, seconds)]


def _years(rule: Rule, start: datetime, since: datetime) -> Iterator[tuple[date, list[date]]]:
    skipped = max(0, since.year - start.year) // rule.interval * rule.interval
    for year in range(start.year + skipped, _LAST_YEAR + 1, rule.interval):
        yield date(year, 1, 1), _days_of_year(rule, start, year)


def _months(rule: Rule, start: datetime, since: datetime) -> Iterator[tuple[date, list[date]]]:
    first = 12 * start.year + start.month - 1
    skipped = max(0, 12 * since.year + since.month - 1 - first) // rule.interval * rule.interval
    for number in range(first + skipped, 12 * (_LAST_YEAR + 1), rule.interval):
        year, month = number // 12, number % 12 + 1
        allowed = not rule.by_month or month in rule.by_month
        yield date(year, month, 1), _days_of_month(rule, start, year, month) if allowed else []


def _weeks(rule: Rule, start: datetime, since: datetime) -> Iterator[tuple[date, list[date]]]:
    first = start.toordinal() - (start.weekday() - rule.week_start) % 7
    length = 7 * rule.interval
    skipped = max(0, since.toordinal() - first) // length * length
    offsets = sorted((day - rule.week_start) % 7 for day in _weekdays(rule) or {start.weekday()})
    for monday in range(first + skipped, date.max.toordinal() - 6, length):
        days = [date.fromordinal(max(1, monday + offset)) for offset in offsets]
        yield date.fromordinal(max(1, monday)), [day for day in days if _may_be_on(rule, day)]


def _days(rule: Rule, start: datetime, since: datetime) -> Iterator[tuple[date, list[date]]]:
    first = start.toordinal()
    skipped = max(0, since.toordinal() - first) // rule.interval * rule.interval
    for number in range(first + skipped, date.max.toordinal() + 1, rule.interval):
        day = date.fromordinal(number)
        yield day, [day] if _may_be_on(rule, day) else []


_PERIODS: Final[Mapping[Frequency, Callable[[Rule, datetime, datetime], Iterator[tuple[date, list[date]]]]]] = {
    Frequency.YEARLY: _years,
    Frequency.MONTHLY: _months,
    Frequency.WEEKLY: _weeks,
    Frequency.DAILY: _days,
}


def _days_of_year(rule: Rule, start: datetime, year: int) -> list[date]:
    if rule.by_week_number:
        return [day for day in _all_days(year) if _is_day_of_year(rule, start, day)]
    if rule.by_day and not rule.by_month:
        days = _nth_weekdays(rule, date(year, 1, 1), date(year, 12, 31))
        return sorted(day for day in days if _may_be_on(rule, day))
    if rule.by_year_day:
        return [day for day in _all_days(year) if _may_be_on(rule, day)]
    months = sorted(rule.by_month) or (range(1, 13) if rule.by_month_day else (start.month,))
    return [day for month in months if month <= 12 for day in _days_of_month(rule, start, year, month)]


def _is_day_of_year(rule: Rule, start: datetime, day: date) -> bool:
    # RFC 5545 3.3.10: what the rule does not say, here the day of the week, is that of DTSTART.
    by_week_only = not (rule.by_day or rule.by_month_day or rule.by_year_day)
    return _may_be_on(rule, day) and (not by_week_only or day.weekday() == start.weekday())


def _days_of_month(rule: Rule, start: datetime, year: int, month: int) -> list[date]:
    size = monthrange(year, month)[1]
    if rule.by_day:
        days = _nth_weekdays(rule, date(year, month, 1), date(year, month, size))
        return sorted(day for day in days if not rule.by_month_day or _is_month_day(rule, day))
    numbers = rule.by_month_day or {start.day}
    chosen = {number if number > 0 else size + 1 + number for number in numbers}
    return [date(year, month, number) for number in sorted(chosen) if 1 <= number <= size]


def _nth_weekdays(rule: Rule, first: date, last: date) -> set[date]:
    """The days from ``first`` to ``last`` that BYDAY names, counted from either end where it counts."""
    low, high = first.toordinal(), last.toordinal()
    chosen = set[int]()
    for weekday, nth in rule.by_day:
        earliest = low + (weekday - first.weekday()) % 7
        latest = high - (last.weekday() - weekday) % 7
        if nth == 0:
            chosen.update(range(earliest, high + 1, 7))
        else:
            chosen.add(earliest + 7 * (nth - 1) if nth > 0 else latest + 7 * (nth + 1))
    return {date.fromordinal(number) for number in chosen if low <= number <= high}


def _all_days(year: int) -> Iterator[date]:
    first = date(year, 1, 1).toordinal()
    return map(date.fromordinal, range(first, date(year, 12, 31).toordinal() + 1))


def _may_be_on(rule: Rule, day: date) -> bool:
    """Whether the day passes every part that limits days, without regard to which weekday of its period it is."""
    return (
        (not rule.by_month or day.month in rule.by_month)
        and (not rule.by_month_day or _is_month_day(rule, day))
        and (not rule.by_day or day.weekday() in _weekdays(rule))
        and (not rule.by_year_day or _is_year_day(rule, day))
        and (not rule.by_week_number or _is_in_week(rule, day))
    )


@lru_cache(maxsize=1024)
def _weekdays(rule: Rule) -> frozenset[int]:
    return frozenset(weekday for weekday, _ in rule.by_day)


def _is_month_day(rule: Rule, day: date) -> bool:
    number = day.day
    return number in rule.by_month_day or number - 1 - monthrange(day.year, day.month)[1] in rule.by_month_day


def _is_year_day(rule: Rule, day: date) -> bool:
    number = day.timetuple().tm_yday
    size = date(day.year, 12, 31).timetuple().tm_yday
    return number in rule.by_year_day or number - 1 - size in rule.by_year_day


def _is_in_week(rule: Rule, day: date) -> bool:
    number, size = _week_number(day, rule.week_start)
    return number in rule.by_week_number or number - 1 - size in rule.by_week_number


def _week_number(day: date, week_start: int) -> tuple[int, int]:
    """The number of the day's week, and of how many weeks its year has; week 1 is the first of four days or more."""
    monday = day.toordinal() - (day.weekday() - week_start) % 7
    year = date.fromordinal(max(1, min(monday + 3, date.max.toordinal()))).year
    first, following = _first_week(year, week_start), _first_week(min(year + 1, _LAST_YEAR), week_start)
    return (monday - first) // 7 + 1, max(52, (following - first) // 7)


@lru_cache(maxsize=512)
def _first_week(year: int, week_start: int) -> int:
    # The week that holds 4 January is the first with four days in the year.
    fourth = date(year, 1, 4)
    return fourth.toordinal() - (fourth.weekday() - week_start) % 7


def _short_matches(rule: Rule, start: datetime, since: datetime, last: datetime, budget: Budget) -> Iterator[datetime]:
    """Hourly and more often, where most parts only limit; what they rule out is leapt over."""
    unit = _UNIT_SECONDS[rule.frequency]
    step = unit * rule.interval
    first = start.replace(minute=0 if unit == 3600 else start.minute, second=0 if unit > 1 else start.second)
    seconds = max(0, (since - first) // _SECOND) // step * step
    end = (last - first) // _SECOND
    while seconds <= end:
        budget.spend()
        moment = first + timedelta(seconds=seconds)
        target = _next_possible(rule, moment)
        if target is None:
            yield from _within(rule, start, moment, budget)
            seconds += step
        else:
            seconds = max(seconds + step, -((first - target) // _SECOND // step) * step)


def _next_possible(rule: Rule, moment: datetime) -> datetime | None:
    """None when the period that starts at the moment may be chosen, else the earliest that could be."""
    if not _may_be_on(rule, moment.date()):
        return plus(datetime.combine(moment.date(), time()), _DAY)
    if rule.by_hour and moment.hour not in rule.by_hour:
        return plus(moment.replace(minute=0, second=0), timedelta(hours=1))
    if rule.frequency >= Frequency.MINUTELY and rule.by_minute and moment.minute not in rule.by_minute:
        return plus(moment.replace(second=0), timedelta(minutes=1))
    if rule.frequency is Frequency.SECONDLY and rule.by_second and moment.second not in rule.by_second:
        return plus(moment, timedelta(seconds=1))
    return None


def _within(rule: Rule, start: datetime, moment: datetime, budget: Budget) -> list[datetime]:
    """The occurrences in the hour, minute or second that starts at the moment."""
    minutes: tuple[int, ...] = (moment.minute,)
    seconds: tuple[int, ...] = (moment.second,)
    if rule.frequency is Frequency.HOURLY:
        minutes = rule.by_minute or (start.minute,)
    if rule.frequency < Frequency.SECONDLY:
        seconds = rule.by_second or (start.second,)
    budget.spend(len(minutes) * len(seconds))
    clocks = product(minutes, seconds)
    return list(_chosen(rule, (moment.replace(minute=minute, second=second) for minute, second in clocks)))
