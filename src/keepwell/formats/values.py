"""Values: whether the dates, durations and rules of iCalendar can be understood (RFC 5545 section 3.3).

For: refusing what no query could answer about, before it is kept.

Promises: what passes can be read by ``times`` and ``rules``, which do the reading here as well. Each check
answers with the reason for which a value fails, or with nothing. Whether the VALUE parameter agrees with the
form is not asked, since programs forget it and the form alone is plain.

Leaves to others: computing anything with the values.
"""

import re
from collections.abc import Callable
from typing import Final

from keepwell.formats.rules import Frequency, parse_rule
from keepwell.formats.times import InvalidValue, parse_duration, parse_moment

# Reading goes by position and would take a space or a sign for part of a number.
_MOMENT: Final = re.compile(r"[0-9]{8}(?:T[0-9]{6}Z?)?")
_UNTIL: Final = re.compile(r"(?:^|;)\s*UNTIL\s*=([^;]*)", re.IGNORECASE)
_FREQUENCY: Final = re.compile(r"(?:^|;)\s*FREQ\s*=\s*([^;]*)", re.IGNORECASE)
_OTHER_CALENDAR: Final = re.compile(r"(?:^|;)\s*RSCALE\s*=(?!\s*GREGORIAN\s*(?:;|$))", re.IGNORECASE)


def why_no_moment(text: str) -> str:
    """The reason for which the text is neither a DATE nor a DATE-TIME, or nothing."""
    if not _MOMENT.fullmatch(text):
        return f"{_shown(text)} is neither a date nor a date-time"
    return _why_not(parse_moment, text)


def why_no_duration(text: str) -> str:
    """The reason for which the text is no DURATION, or nothing."""
    return _why_not(parse_duration, text)


def why_no_period(text: str) -> str:
    """The reason for which the text is no PERIOD, or nothing."""
    start, slash, end = text.partition("/")
    if not slash:
        return f"{_shown(text)} is no period"
    return why_no_moment(start) or (why_no_duration(end) if "P" in end else why_no_moment(end))


def why_no_moments(text: str) -> str:
    """The reason for which the text is no list of dates or date-times, or nothing."""
    return _first_reason(why_no_moment, text)


def why_no_moments_or_periods(text: str) -> str:
    """The reason for which the text is no list of dates, date-times or periods, or nothing."""
    return _first_reason(_why_no_moment_or_period, text)


def why_no_recurrence(text: str) -> str:
    """The reason for which the text is no RECUR rule, or nothing.

    A rule of another calendar than the Gregorian (RFC 7529) needs a frequency only; nobody computes with it.
    """
    until = _UNTIL.search(text)
    if until and (reason := why_no_moment(until[1].strip())):
        return f"UNTIL: {reason}"
    if _OTHER_CALENDAR.search(text):
        frequency = _FREQUENCY.search(text)
        known = frequency is not None and frequency[1].strip().upper() in Frequency.__members__
        return "" if known else f"{_shown(text)} has no frequency"
    return _why_not(parse_rule, text)


def _why_no_moment_or_period(text: str) -> str:
    return why_no_period(text) if "/" in text else why_no_moment(text)


def _first_reason(why_not: Callable[[str], str], text: str) -> str:
    # An empty list is what some programs write when they mean none.
    if not text:
        return ""
    return next((reason for reason in map(why_not, text.split(",")) if reason), "")


def _why_not(read: Callable[[str], object], text: str) -> str:
    try:
        read(text)
    except InvalidValue as refusal:
        return str(refusal)
    return ""


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "…")
