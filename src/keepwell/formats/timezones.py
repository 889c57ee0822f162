"""Time zones: what a TZID in a calendar object means (RFC 5545 sections 3.2.19 and 3.6.5).

For: turning clock times with a TZID into instants.

Promises: a TZID is looked up as a name of the IANA database first, since programs ship VTIMEZONEs that are years out
of date; then in the VTIMEZONEs of the object; then as a name of Windows, or behind a prefix that some programs put
before an IANA name. A TZID that nothing explains gives None, and its times are read as floating. What was looked up
is remembered, unless it is longer than anybody means. A VTIMEZONE costs bounded work for as long as it is remembered,
however absurd its rules; when its steps are spent, its rules give no more changes.

Leaves to others: which zone floating times are read in.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from keepwell.formats.contentlines import Component, parse, render_component
from keepwell.formats.expansion import Budget, TooManyInstances, occurrences
from keepwell.formats.refusals import InvalidContent
from keepwell.formats.rules import Frequency, Rule, parse_rule
from keepwell.formats.times import InvalidValue, parse_moment, parse_utc_offset, plus

#: Rules that change the clock do so at least once in such a time, those for 29 February included.
_LOOK_BACK: Final = timedelta(days=366 * 9)

#: Where most rules, those of every year, are found at once.
_LOOK_BACK_FIRST: Final = timedelta(days=366)

#: The years after it have the last offset of this one; nobody knows how clocks will change then.
_LAST_YEAR: Final = 2200

#: Steps for all rules of a VTIMEZONE. The two of a usual one take about 140 for each year that is asked about.
_ZONE_STEPS_MAX: Final = 200_000

_TZID_CHARACTERS_MAX: Final = 255
_ZONE_CHARACTERS_MAX: Final = 64 * 1024

#: Different TZIDs in one object; looking up one that is unknown takes reading folders.
_TZIDS_MAX: Final = 100

_PREFIX_PARTS_MAX: Final = 8


class Zones:
    """The zones that one calendar object can mean; its VTIMEZONEs are fetched once, when first needed."""

    __slots__ = ("_definitions", "_described", "_found")

    def __init__(self, definitions: Callable[[], Iterable[Component]] = tuple) -> None:
        """Keep how to fetch the VTIMEZONE components."""
        self._definitions = definitions
        self._described: dict[str, Component] | None = None
        self._found: dict[str, tzinfo | None] = {}

    def named(self, tzid: str) -> tzinfo | None:
        """The zone that this TZID means, or None."""
        if tzid in self._found:
            return self._found[tzid]
        if len(self._found) >= _TZIDS_MAX:
            return None
        zone = self._found[tzid] = iana_zone(tzid) or self._defined(tzid) or _foreign_zone(tzid)
        return zone

    def _defined(self, tzid: str) -> tzinfo | None:
        if self._described is None:
            self._described = {}
            for part in self._definitions():
                if part.name == "VTIMEZONE":
                    self._described.setdefault((part.value("TZID") or "").strip(), part)
        component = self._described.get(tzid)
        return None if component is None else zone_from(component)


class ObservedZone(tzinfo):
    """A zone as a VTIMEZONE describes it. It tells offsets of clock times only, never clock times of instants."""

    def __init__(self, name: str, observances: "tuple[_Observance, ...]") -> None:
        """Keep the observances, of which there is at least one."""
        self._name = name
        self._observances = observances
        self._budget = Budget(_ZONE_STEPS_MAX)
        self._first_offset = min(observances, key=lambda one: one.onset).offset_before
        self._years: dict[int, tuple[list[datetime], list[timedelta]]] = {}

    def utcoffset(self, moment: datetime | None, /) -> timedelta | None:
        """The offset at a clock time; in a gap the one before it, for a time that occurs twice the first."""
        if moment is None:
            return None
        year = min(moment.year, _LAST_YEAR)
        known = self._years.get(year)
        if known is None:
            known = self._years[year] = self._changes(year)
        times, offsets = known
        index = bisect_right(times, moment.replace(tzinfo=None))
        return offsets[index]

    def dst(self, _moment: datetime | None, /) -> timedelta | None:
        """Unknown: a VTIMEZONE tells offsets, and nothing here asks for more."""
        return None

    def tzname(self, _moment: datetime | None, /) -> str | None:
        """Its TZID."""
        return self._name

    def _changes(self, year: int) -> tuple[list[datetime], list[timedelta]]:
        """The clock times in or before the year at which offsets change, and the offsets before, between and after."""
        changes = sorted(change for one in self._observances for change in one.changes(year, self._budget))
        offsets = [self._first_offset, *(offset for _, offset in changes)]
        return [moment for moment, _ in changes], [timedelta(seconds=offset) for offset in offsets]


@dataclass(frozen=True, slots=True)
class _Observance:
    """A STANDARD or DAYLIGHT part: when it begins, again and again, and the offsets before and from then on."""

    onset: datetime
    offset_before: int
    offset: int
    rules: tuple[tuple[Rule, datetime], ...]
    #: The onset and the RDATEs, in order.
    dates: tuple[datetime, ...]
    #: What rules gave that had ended before the year that was asked about: the same for every later year.
    ended: dict[int, list[datetime]] = field(default_factory=dict)

    def changes(self, year: int, budget: Budget) -> Iterator[tuple[datetime, int]]:
        """The last beginning before the year and those in it, as the first clock times that have the new offset."""
        start, end = datetime(year, 1, 1), datetime(year, 12, 31, 23, 59, 59)
        index = max(0, bisect_left(self.dates, start) - 1)
        beginnings = [*self.dates[index : bisect_right(self.dates, end)], *self._repeated(end, budget)]
        latest = max((moment for moment in beginnings if moment < start), default=None)
        gap = timedelta(seconds=max(0, self.offset - self.offset_before))
        for moment in {moment for moment in beginnings if moment >= start or moment == latest}:
            yield plus(moment, gap), self.offset

    def _repeated(self, end: datetime, budget: Budget) -> list[datetime]:
        """The last beginnings up to ``end`` that the rules give, at least one of each rule."""
        found = list[datetime]()
        for index, (rule, until) in enumerate(self.rules):
            if budget.is_spent:
                break
            latest = self.ended.get(index) if until < end else None
            if latest is None:
                latest = self._latest(rule, min(until, end), budget)
            if until < end:
                self.ended[index] = latest
            found.extend(latest)
        return found

    def _latest(self, rule: Rule, last: datetime, budget: Budget) -> list[datetime]:
        found = list[datetime]()
        for look_back in (_LOOK_BACK_FIRST, _LOOK_BACK):
            since = plus(datetime(last.year, 1, 1), -look_back)
            found.clear()
            try:
                found.extend(occurrences(rule, self.onset, since=since, last=last, budget=Budget(parent=budget)))
            except TooManyInstances:
                # Nobody's clock changes that often; the beginnings found so far are as good as any.
                break
            if found and found[0].year < last.year:
                break
        return found


def zones_of(calendar: Component) -> Zones:
    """The zones of a parsed calendar object."""
    return Zones(lambda: calendar.components)


def zones_in(data: bytes) -> Zones:
    """The zones of a calendar object that is parsed only when a TZID makes it necessary."""
    return Zones(lambda: _calendar_parts(data))


def zone_from(component: Component) -> tzinfo | None:
    """The zone that a VTIMEZONE describes; None when it cannot be understood."""
    text = render_component(component)
    return _observed(text) if len(text) <= _ZONE_CHARACTERS_MAX else None


def iana_zone(name: str) -> tzinfo | None:
    """The zone of this name in the IANA database, or None."""
    return _iana_zone(name) if len(name) <= _TZID_CHARACTERS_MAX else None


@lru_cache(maxsize=1024)
def _iana_zone(name: str) -> tzinfo | None:
    if name in ("UTC", "Etc/UTC"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # Apart from unknown names: paths that lead outside, folders of the database, names too long for a file.
        return None


@lru_cache(maxsize=256)
def _observed(text: str) -> tzinfo | None:
    try:
        component = parse(text.encode(errors="surrogateescape")).components[0]
        observances = tuple(_observance(part) for part in component.components)
    except (InvalidContent, InvalidValue):
        return None
    return ObservedZone(component.value("TZID") or "", observances) if observances else None


def _observance(part: Component) -> _Observance:
    onset = parse_moment((part.value("DTSTART") or "").strip()).local
    before = parse_utc_offset((part.value("TZOFFSETFROM") or "").strip())
    rules = [parse_rule(line.value) for line in part.properties if line.name == "RRULE"]
    if any(rule.frequency >= Frequency.HOURLY for rule in rules):
        raise InvalidValue("a clock that changes every hour")
    texts = [text for line in part.properties if line.name == "RDATE" for text in line.value.split(",")]
    return _Observance(
        onset=onset,
        offset_before=before,
        offset=parse_utc_offset((part.value("TZOFFSETTO") or "").strip()),
        rules=tuple((rule, _until(rule, before)) for rule in rules),
        dates=tuple(sorted([onset, *(parse_moment(text.strip().partition("/")[0]).local for text in texts)])),
    )


def _until(rule: Rule, offset_before: int) -> datetime:
    """UNTIL as clock time; in a VTIMEZONE it is written in UTC (RFC 5545 3.3.10)."""
    if rule.until is None:
        return datetime.max
    moment = parse_moment(rule.until)
    return plus(moment.local, timedelta(seconds=offset_before)) if moment.zone is UTC else moment.local


def _calendar_parts(data: bytes) -> Iterable[Component]:
    return [part for calendar in parse(data).components for part in calendar.components]


def _foreign_zone(tzid: str) -> tzinfo | None:
    return _foreign(tzid) if len(tzid) <= _TZID_CHARACTERS_MAX else None


@lru_cache(maxsize=256)
def _foreign(tzid: str) -> tzinfo | None:
    # Imported here because it takes a tenth of a second, and most servers never meet such a name.
    from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

    name = WINDOWS_TO_OLSON.get(tzid)
    if name is not None:
        return iana_zone(name)
    parts = tzid.split("/")[:_PREFIX_PARTS_MAX]
    zones = (iana_zone("/".join(parts[count:])) for count in range(1, len(parts)))
    return next((zone for zone in zones if zone is not None), None)
