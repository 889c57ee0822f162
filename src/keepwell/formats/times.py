"""Times: dates, date-times and durations as they are written, and the instants that they mean (RFC 5545 section 3.3).

For: everything that compares times of calendar objects: queries, indexes, free-busy answers.

Promises: an instant is a whole number of Unix seconds. A local time that a change of the clock skips is read
with the offset before the gap, one that occurs twice is its first occurrence (RFC 5545 3.3.5). Arithmetic
that would leave the years 1 to 9999 stops at their ends instead of failing. Text that cannot be understood
raises InvalidValue.

Leaves to others: which zone a TZID means (``timezones``) and which zone floating times are read in (the
caller says).
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final

#: The ends of time: earlier and later than every instant that can be written. They fit a 64-bit integer.
BEGINNING: Final = -(1 << 62)
FOREVER: Final = 1 << 62

DAY_SECONDS: Final = 86_400

#: A UTC offset is always smaller than a day (RFC 5545 3.3.14), so a floating time is off by less than this.
OFFSET_SECONDS_MAX: Final = DAY_SECONDS

_EPOCH: Final = datetime(1970, 1, 1)
_FIRST: Final = datetime.min
_LAST: Final = datetime.max.replace(microsecond=0)
_SECOND: Final = timedelta(seconds=1)

_DURATION: Final = re.compile(
    r"([+-]?)P(?:([0-9]{1,9})W)?(?:([0-9]{1,9})D)?"
    r"(?:T(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9})S)?)?"
)
_UTC_OFFSET: Final = re.compile(r"([+-])([0-9]{2})([0-9]{2})([0-9]{2})?")


class InvalidValue(ValueError):
    """A value that the calendar standard gives no meaning; the message quotes it."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A DATE or DATE-TIME: its clock time (midnight for a date) and its zone; None when it is floating."""

    local: datetime
    zone: tzinfo | None
    is_date: bool

    def instant(self, floating_zone: tzinfo) -> int:
        """The instant, for an observer whose floating times are in this zone."""
        return instant_of(self.local, self.zone or floating_zone)


@dataclass(frozen=True, slots=True)
class Duration:
    """A length of time: calendar days, which a change of the clock makes longer or shorter, and exact seconds."""

    days: int
    seconds: int


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From ``start`` up to, and without, ``end``, in Unix seconds; BEGINNING and FOREVER leave a side open."""

    start: int = BEGINNING
    end: int = FOREVER

    def overlaps(self, start: int, end: int) -> bool:
        """Whether the interval has time in common with this range; both without their ends."""
        return self.start < end and self.end > start


def parse_moment(text: str, zone: tzinfo | None = None) -> Moment:
    """The DATE or DATE-TIME; one without Z is in ``zone``, a DATE never is."""
    try:
        if len(text) == 8:
            return Moment(datetime(int(text[:4]), int(text[4:6]), int(text[6:])), None, True)
        if text[15:] == "Z":
            return Moment(_clock_time(text), UTC, False)
        if len(text) == 15:
            return Moment(_clock_time(text), zone, False)
    except ValueError as cause:
        raise InvalidValue(f"{text[:40]!r} names a time that does not exist") from cause
    raise InvalidValue(f"{text[:40]!r} is neither a date nor a date-time")


def parse_duration(text: str) -> Duration:
    """The DURATION."""
    match = _DURATION.fullmatch(text)
    if match is None or text[-1] in "PT":
        raise InvalidValue(f"{text[:40]!r} is no duration")
    sign = -1 if match[1] == "-" else 1
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups()[1:])
    return Duration(sign * (7 * weeks + days), sign * (3600 * hours + 60 * minutes + seconds))


def parse_utc_offset(text: str) -> int:
    """The UTC-OFFSET in seconds, positive to the east."""
    match = _UTC_OFFSET.fullmatch(text)
    if match is None:
        raise InvalidValue(f"{text[:40]!r} is no UTC offset")
    seconds = 3600 * int(match[2]) + 60 * int(match[3]) + int(match[4] or 0)
    if seconds >= OFFSET_SECONDS_MAX:
        raise InvalidValue(f"{text[:40]!r} is a day or more from UTC")
    return -seconds if match[1] == "-" else seconds


def instant_of(local: datetime, zone: tzinfo) -> int:
    """The instant of a clock time in a zone."""
    since = local - _EPOCH
    seconds = since.days * DAY_SECONDS + since.seconds
    if zone is UTC:
        return seconds
    offset = zone.utcoffset(local.replace(tzinfo=zone))
    return seconds if offset is None else seconds - offset.days * DAY_SECONDS - offset.seconds


def later(local: datetime, zone: tzinfo, duration: Duration) -> int:
    """The instant so much after a clock time: first the days on the calendar, then the seconds on a stopwatch."""
    day = plus(local, timedelta(days=_capped(duration.days))) if duration.days else local
    return instant_of(day, zone) + duration.seconds


def plus(local: datetime, difference: timedelta) -> datetime:
    """The sum, or the end of the calendar that it would pass."""
    try:
        return local + difference
    except OverflowError:
        return _FIRST if difference < timedelta() else _LAST


def clock_time(instant: int) -> datetime:
    """The clock time of an instant in UTC, or the end of the calendar that it would pass."""
    return plus(_EPOCH, timedelta(seconds=max(-(10**11), min(instant, 10**12))))


def clock_times(start: int, end: int, zone: tzinfo) -> tuple[datetime, datetime]:
    """Clock times in the zone between which every instant from ``start`` to ``end`` is read; little too wide."""
    return clock_time(start + min(_offsets_near(start, zone))), clock_time(end + max(_offsets_near(end, zone)))


def utc_text(instant: int) -> str:
    """The instant as a DATE-TIME in UTC."""
    return clock_time(instant).strftime("%Y%m%dT%H%M%SZ").rjust(16, "0")


def _offsets_near(instant: int, zone: tzinfo) -> tuple[int, int]:
    # A day to both sides of a change of the clock the offsets before and after it are met.
    if zone is UTC or not -(10**11) < instant < 10**12:
        return (0, 0)
    near = clock_time(instant - DAY_SECONDS), clock_time(instant + DAY_SECONDS)
    before, after = (_total_seconds(zone.utcoffset(local.replace(tzinfo=zone))) for local in near)
    return before, after


def _total_seconds(offset: timedelta | None) -> int:
    return 0 if offset is None else offset // _SECOND


@lru_cache(maxsize=4096)
def _day(text: str) -> datetime:
    return datetime(int(text[:4]), int(text[4:6]), int(text[6:8]))


@lru_cache(maxsize=4096)
def _clock_time(text: str) -> datetime:
    if text[8] != "T":
        raise ValueError(text)
    # A leap second (RFC 5545 3.3.12) is read as the second before it.
    second = min(int(text[13:15]), 59) if text[13:15] == "60" else int(text[13:15])
    return _day(text[:8]).replace(hour=int(text[9:11]), minute=int(text[11:13]), second=second)


def _capped(days: int) -> int:
    return max(-4_000_000, min(days, 4_000_000))
