"""Rules: the RECUR value, which says how something repeats (RFC 5545 section 3.3.10).

For: reading a rule once, so that ``expansion`` can work with numbers and sets.

Promises: what is accepted has a known frequency, an interval of at least one and parts within their ranges.
Reading is remembered, because the same few rules stand in most calendars.

Leaves to others: computing dates; the meaning of UNTIL, which depends on the type of DTSTART.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final

from keepwell.formats.times import InvalidValue

#: All numbers that every part can list take about 4,000.
RULE_CHARACTERS_MAX: Final = 4_000

_WEEKDAYS: Final[Mapping[str, int]] = {
    name: number for number, name in enumerate(("MO", "TU", "WE", "TH", "FR", "SA", "SU"))
}


class Frequency(IntEnum):
    """How often a rule's period comes, from rare to frequent."""

    YEARLY = 0
    MONTHLY = 1
    WEEKLY = 2
    DAILY = 3
    HOURLY = 4
    MINUTELY = 5
    SECONDLY = 6


@dataclass(frozen=True, slots=True)
class Rule:
    """A recurrence rule.

    Weekdays count from Monday, 0. ``by_day`` holds pairs of a weekday and which one of its period, 0 for
    every one. Empty sets mean that the part is absent; ``until`` is as written.
    """

    frequency: Frequency
    interval: int
    count: int | None
    until: str | None
    week_start: int
    by_month: frozenset[int]
    by_week_number: frozenset[int]
    by_year_day: frozenset[int]
    by_month_day: frozenset[int]
    by_day: frozenset[tuple[int, int]]
    by_hour: tuple[int, ...]
    by_minute: tuple[int, ...]
    by_second: tuple[int, ...]
    by_set_position: tuple[int, ...]

    @property
    def is_plain(self) -> bool:
        """Whether no part restricts or multiplies the periods."""
        return not self.by_day and self.is_only_by_day

    @property
    def is_only_by_day(self) -> bool:
        """Whether no part but, perhaps, BYDAY restricts or multiplies the periods."""
        days = self.by_month or self.by_week_number or self.by_year_day or self.by_month_day
        return not (days or self.by_hour or self.by_minute or self.by_second or self.by_set_position)


def parse_rule(text: str) -> Rule:
    """The rule; raises InvalidValue."""
    if len(text) > RULE_CHARACTERS_MAX:
        raise InvalidValue(f"a recurrence rule of {len(text):,} characters, which nobody means")
    return _parsed(text)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Rule:
    try:
        return _rule(_parts(text))
    except (KeyError, ValueError) as cause:
        raise InvalidValue(f"{text[:80]!r} is no recurrence rule that can be understood") from cause


def _parts(text: str) -> dict[str, str]:
    pieces = (piece.partition("=") for piece in text.strip().upper().split(";") if piece)
    parts = {name.strip(): value.strip() for name, _, value in pieces}
    # RFC 7529: other calendars count their months and days in ways of their own.
    if parts.get("RSCALE", "GREGORIAN") != "GREGORIAN":
        raise ValueError(parts["RSCALE"])
    return parts


def _rule(parts: Mapping[str, str]) -> Rule:
    interval, count = int(parts.get("INTERVAL", "1")), int(parts["COUNT"]) if "COUNT" in parts else None
    if interval < 1 or (count is not None and count < 1):
        raise ValueError("a rule must advance")
    return Rule(
        frequency=Frequency[parts["FREQ"]],
        interval=interval,
        count=count,
        until=parts.get("UNTIL"),
        week_start=_WEEKDAYS[parts.get("WKST", "MO")],
        by_month=frozenset(_numbers(parts.get("BYMONTH", "").replace("L", ""), 1, 13)),
        by_week_number=frozenset(_numbers(parts.get("BYWEEKNO", ""), -53, 53)),
        by_year_day=frozenset(_numbers(parts.get("BYYEARDAY", ""), -366, 366)),
        by_month_day=frozenset(_numbers(parts.get("BYMONTHDAY", ""), -31, 31)),
        by_day=frozenset(_weekday(one.strip()) for one in parts.get("BYDAY", "").split(",") if one),
        by_hour=_numbers(parts.get("BYHOUR", ""), 0, 23),
        by_minute=_numbers(parts.get("BYMINUTE", ""), 0, 59),
        by_second=_seconds(parts.get("BYSECOND", "")),
        by_set_position=_numbers(parts.get("BYSETPOS", ""), -366, 366),
    )


def _numbers(text: str, low: int, high: int) -> tuple[int, ...]:
    numbers = sorted({int(one) for one in text.split(",") if one})
    if numbers and not (low <= numbers[0] and numbers[-1] <= high):
        raise ValueError(text)
    return tuple(numbers)


def _seconds(text: str) -> tuple[int, ...]:
    # A leap second is read as the second before it, as everywhere.
    return tuple(sorted({min(second, 59) for second in _numbers(text, 0, 60)}))


def _weekday(text: str) -> tuple[int, int]:
    return _WEEKDAYS[text[-2:]], int(text[:-2] or 0)
