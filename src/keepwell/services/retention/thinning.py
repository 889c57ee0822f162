"""Which versions of items go when a history is thinned; pure.

A version is kept whole for as many days as the operator says after it was superseded or removed, so everything in that
window can be rewound to. After that the last version of each day is kept for 90 days more, then the last of each week
for a year, then the last of each month for good. What an item is now always stays, and so do all records: only bytes
go. They go by their digest, so those that any version that is kept has as well stay.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from keepwell.ground.clock import parse_moment
from keepwell.model.erasures import Erased
from keepwell.model.errors import BadRequest
from keepwell.model.names import HOME_OF, Digest, Home
from keepwell.model.record import Facts, Op, Record

HISTORY_DAYS: Final = 365
HISTORY_DAYS_MIN: Final = 60

DAILY_DAYS: Final = 90
"""How long behind the window the last version of each day is kept."""

WEEKLY_DAYS: Final = 365
"""How long behind the window the last version of each week is kept; later it is that of each month."""

Place = tuple[Home, str, str]
"""Home, collection and name of an item."""


@dataclass(frozen=True, slots=True)
class Version:
    """What an item was from `at` until `until` (None: it still is)."""

    place: Place
    sequence: int
    at: datetime
    digest: Digest
    size: int
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Thinning:
    """What is thinned of one account: versions and bytes that go, and what is to be erased of it."""

    versions: int
    octets: int
    erased: Erased


def check_history_days(days: int) -> int:
    """The days, when a history may be thinned behind them. Raises BadRequest."""
    if days < HISTORY_DAYS_MIN:
        raise BadRequest(
            f"a history cannot be thinned after {days} days",
            hint=f"Everything is kept for at least {HISTORY_DAYS_MIN} days. To erase something now: keepwell erase",
        )
    return days


def plan_thinning(
    records: Iterable[Record],
    now: datetime,
    history_days: int,
    is_gone: Callable[[Digest], bool] = lambda _digest: False,
) -> Thinning:
    """What of an account's history goes, by its journal; what `is_gone` already is not named again."""
    versions, through = versions_of(records)
    by_place: dict[Place, list[Version]] = {}
    for version in versions:
        by_place.setdefault(version.place, []).append(version)
    kept = {one.sequence for some in by_place.values() for one in kept_of_item(some, now, history_days)}
    kept_digests = {one.digest for one in versions if one.sequence in kept}
    going = [one for one in versions if one.digest not in kept_digests and not is_gone(one.digest)]
    sizes = {one.digest: one.size for one in going}
    return Thinning(len(going), sum(sizes.values()), Erased(through, tuple(sorted(sizes))))


def kept_of_item(versions: Iterable[Version], now: datetime, history_days: int) -> list[Version]:
    """The versions of one item that stay, in order."""
    ordered = sorted(versions, key=lambda one: one.sequence)
    last_of = {period: one.sequence for one in ordered for period in _periods(one)}
    return [
        one
        for one in ordered
        if (tier := _tier(one, now, history_days)) is None or last_of[_periods(one)[tier]] == one.sequence
    ]


def _tier(version: Version, now: datetime, history_days: int) -> int | None:
    """Which of its periods must have no later version for it to stay; None when it stays in any case."""
    if version.until is None:
        return None
    behind = now - version.until - timedelta(days=history_days)
    if behind <= timedelta():
        return None
    return bisect_left((timedelta(days=DAILY_DAYS), timedelta(days=WEEKLY_DAYS)), behind)


def _periods(version: Version) -> tuple[str, str, str]:
    """The day, week and month in which it came. A week that lies in two months is two, so that each month keeps one."""
    return f"{version.at:day %Y-%m-%d}", f"{version.at:week %Y-%m %G-%V}", f"{version.at:month %Y-%m}"


def versions_of(records: Iterable[Record]) -> tuple[list[Version], int]:
    """Every version of every item that ever was, by a journal, and its last sequence."""
    history = _History()
    sequence = 0
    for record in records:
        history.take(record.facts)
        sequence = record.facts.seq
    return history.ended + list(history.current.values()), sequence


@dataclass(slots=True)
class _History:
    ended: list[Version] = field(default_factory=list)
    current: dict[Place, Version] = field(default_factory=dict)

    def take(self, facts: Facts) -> None:
        if facts.kind is None:
            return
        home = HOME_OF[facts.kind]
        place = home, facts.collection, facts.name
        match facts.op:
            case Op.PUT if facts.digest is not None:
                at = parse_moment(facts.at)
                self._end(place, at)
                self.current[place] = Version(place, facts.seq, at, facts.digest, facts.size or 0)
            case Op.REMOVE:
                self._end(place, parse_moment(facts.at))
            case Op.DROP:
                for one in [one for one in self.current if one[:2] == (home, facts.collection)]:
                    self._end(one, parse_moment(facts.at))
            case _:
                pass

    def _end(self, place: Place, at: datetime) -> None:
        version = self.current.pop(place, None)
        if version is not None:
            one = version
            self.ended.append(Version(one.place, one.sequence, one.at, one.digest, one.size, at))
