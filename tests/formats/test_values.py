"""Values of iCalendar: which can be understood."""

import pytest

from keepwell.formats import values


@pytest.mark.parametrize(
    "text", ["20260105", "20240229", "20260105T090000", "20260105T235960Z", "00010101", "99991231T235959Z"]
)
def test_real_moments_pass(text: str) -> None:
    """Dates and date-times of real days pass, a leap second included."""
    assert values.why_no_moment(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "", "2026", "20260230", "20250229", "20261301", "20260100", "00000101", "20260105T240000", "20260105T096000",
        "20260105T090061", "20260105T0900", "2026-01-05", "20260105T090000+01", "20260105Z",
        " 20260105", "2026 105", "２０２６０１０５",
    ],
)  # fmt: skip
def test_other_moments_fail(text: str) -> None:
    """Anything else than a day or time that exists fails."""
    assert values.why_no_moment(text)


@pytest.mark.parametrize("text", ["P1W", "P1D", "PT1H", "-PT15M", "+P1DT2H3M4S", "PT0S", "P0D"])
def test_real_durations_pass(text: str) -> None:
    """Durations of the standard pass."""
    assert values.why_no_duration(text) == ""


@pytest.mark.parametrize("text", ["", "P", "PT", "P1", "1H", "P1H", "PT1D", "P1DT", "P999999999999999999W"])
def test_other_durations_fail(text: str) -> None:
    """Anything else fails, also what no computer's calendar could hold."""
    assert values.why_no_duration(text)


@pytest.mark.parametrize(
    "text",
    [
        "FREQ=DAILY",
        "freq=weekly;byday=mo,-1su;wkst=SU",
        "FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=10;",
        "FREQ=YEARLY;UNTIL=20301231T000000Z;INTERVAL=2;BYMONTH=1,2",
        "FREQ=SECONDLY;BYSECOND=60;BYSETPOS=-1",
        "RSCALE=CHINESE;FREQ=YEARLY;BYMONTH=5L;SKIP=FORWARD",
        "RSCALE=GREGORIAN;FREQ=YEARLY",
    ],
)
def test_real_rules_pass(text: str) -> None:
    """Rules of RFC 5545 and 7529 pass."""
    assert values.why_no_recurrence(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "DAILY",
        "FREQ=SOMETIMES",
        "INTERVAL=2",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;COUNT=0",
        "FREQ=DAILY;UNTIL=never",
        "FREQ=DAILY;UNTIL=20263112",
        "FREQ=YEARLY;BYMONTH=14",
        "FREQ=MONTHLY;BYDAY=XX",
        "FREQ=DAILY;BYHOUR=24",
        "RSCALE=CHINESE;FREQ=SOMETIMES",
        "RSCALE=CHINESE",
    ],
)
def test_other_rules_fail(text: str) -> None:
    """A rule without frequency, out of its ranges, or that never advances fails."""
    assert values.why_no_recurrence(text)


@pytest.mark.parametrize(
    "text", ["", "20260105", "20260105,20260106", "20260105T090000Z/PT1H,20260105T090000Z/20260105T100000Z"]
)
def test_lists_of_moments_and_periods_pass(text: str) -> None:
    """A list may mix dates and periods, and be empty."""
    assert values.why_no_moments_or_periods(text) == ""


@pytest.mark.parametrize("text", [",", "20260105,", "20260105/", "/PT1H", "20260105T090000Z/-", "20260105T090000Z/1H"])
def test_broken_lists_fail(text: str) -> None:
    """Each member of a list must make sense."""
    assert values.why_no_moments_or_periods(text)


def test_a_period_needs_both_its_ends() -> None:
    """A date alone is no period, and a period is no date."""
    assert values.why_no_period("20260105")
    assert values.why_no_moments("20260105T090000Z/PT1H")
