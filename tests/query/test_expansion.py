"""Rules: which clock times they give (RFC 5545 section 3.3.10), and at what cost."""

from datetime import datetime, timedelta
from itertools import islice

import pytest
from dateutil.rrule import rrulestr
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from keepwell.formats.expansion import Budget, TooManyInstances, last_occurrence, occurrences
from keepwell.formats.rules import parse_rule
from keepwell.formats.times import InvalidValue

START = datetime(1997, 9, 2, 9)


def times(text: str, start: datetime = START, count: int = 5, since: datetime | None = None) -> list[datetime]:
    found = occurrences(parse_rule(text), start, since=since or start, last=datetime.max, budget=Budget())
    return list(islice(found, count))


def days(*texts: str) -> list[datetime]:
    return [datetime.strptime(text, "%Y%m%d").replace(hour=9) for text in texts]


# Examples of RFC 5545 3.8.5.3 and corners of its tables.
EXAMPLES = [
    ("FREQ=DAILY;COUNT=3", days("19970902", "19970903", "19970904")),
    ("FREQ=DAILY;INTERVAL=10;COUNT=3", days("19970902", "19970912", "19970922")),
    ("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,TH;WKST=SU", days("19970902", "19970904", "19970916", "19970918")),
    ("FREQ=MONTHLY;COUNT=3;BYDAY=1FR", days("19970902", "19970905", "19971003")),
    ("FREQ=MONTHLY;BYMONTHDAY=-3;COUNT=3", days("19970902", "19970928", "19971029")),
    ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO;COUNT=3", days("19970902", "19980511", "19990517")),
    ("FREQ=YEARLY;BYWEEKNO=20;COUNT=3", days("19970902", "19980512", "19990518")),
    ("FREQ=YEARLY;BYMONTH=3;BYDAY=TH;COUNT=3", days("19970902", "19980305", "19980312")),
    ("FREQ=YEARLY;BYDAY=20MO;COUNT=3", days("19970902", "19980518", "19990517")),
    ("FREQ=YEARLY;INTERVAL=3;BYYEARDAY=1,100,200;COUNT=3", days("19970902", "20000101", "20000409")),
    ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13;COUNT=3", days("19970902", "19980213", "19980313")),
    ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2;COUNT=3", days("19970902", "19970929", "19971030")),
    ("FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8;COUNT=2", days("19970902", "19971104")),
]


@pytest.mark.parametrize(("text", "expected"), EXAMPLES)
def test_example(text: str, expected: list[datetime]) -> None:
    """A rule gives the times of the standard's examples, and DTSTART counts as the first."""
    assert times(text) == expected


def test_month_without_the_day_is_skipped() -> None:
    """A monthly rule on the 31st skips the months that have none."""
    start = datetime(2026, 1, 31)

    assert times("FREQ=MONTHLY", start, 3) == [start, datetime(2026, 3, 31), datetime(2026, 5, 31)]


def test_leap_day_recurs_in_leap_years_only() -> None:
    """A yearly rule on 29 February skips the years that have none."""
    start = datetime(2096, 2, 29)

    assert times("FREQ=YEARLY", start, 2) == [start, datetime(2104, 2, 29)]


def test_first_week_of_a_biweekly_rule_depends_on_the_start_of_weeks() -> None:
    """WKST decides which weeks a rule for every second week means (RFC 5545 3.8.5.3, the last examples but one)."""
    start = datetime(1997, 8, 5, 9)

    assert times("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO", start) == days(
        "19970805", "19970810", "19970819", "19970824"
    )
    assert times("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU", start) == days(
        "19970805", "19970817", "19970819", "19970831"
    )


NUMBERS = st.integers(1, 4)
WEEKDAYS = st.lists(st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]), min_size=1, max_size=3, unique=True)


@st.composite
def rules(draw: st.DrawFn) -> str:
    """Rules on which dateutil and the standard agree."""
    frequency = draw(st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY"]))
    parts = [f"FREQ={frequency}", f"INTERVAL={draw(NUMBERS)}"]
    if draw(st.booleans()):
        parts.append("BYMONTH=" + ",".join(map(str, sorted(draw(st.sets(st.integers(1, 12), min_size=1, max_size=3))))))
    if frequency != "WEEKLY" and draw(st.booleans()):
        parts.append("BYMONTHDAY=" + ",".join(map(str, draw(st.sets(st.sampled_from([1, 13, -1]), min_size=1)))))
    if draw(st.booleans()):
        nth = draw(st.sampled_from(["", "2", "-1"])) if frequency in ("YEARLY", "MONTHLY") else ""
        parts.append("BYDAY=" + ",".join(nth + day for day in draw(WEEKDAYS)))
    if draw(st.booleans()):
        parts.append("BYHOUR=" + ",".join(map(str, sorted(draw(st.sets(st.integers(0, 23), min_size=1, max_size=2))))))
    if draw(st.booleans()):
        parts.append(f"COUNT={draw(st.integers(1, 40))}")
    return ";".join(parts)


@given(text=rules(), day=st.integers(0, 9000), skipped=st.integers(0, 700))
@settings(deadline=None, max_examples=80)
def test_rule_gives_what_another_implementation_gives(text: str, day: int, skipped: int) -> None:
    """From any day on, a rule gives the same times as dateutil, which walks there from the start."""
    start = datetime(1990, 1, 1, 9, 30) + timedelta(days=day)
    since, last = start + timedelta(days=skipped), start + timedelta(days=skipped + 400)
    try:
        other = rrulestr(text, dtstart=start)
    except ValueError:
        # Hours that the interval never meets.
        reject()
    # With COUNT, DTSTART counts here also when the rule does not give it; dateutil does not count it then.
    assume("COUNT" not in text or next(iter(other), None) == start)
    expected = list(islice(other.between(since, last, inc=True), 100))

    found = occurrences(parse_rule(text), start, since=since, last=last, budget=Budget(10**6))

    assert [moment for moment in islice(found, 101) if moment != start][:99] == [
        moment for moment in expected if moment != start
    ][:99]


ABSURD = [
    "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=SECONDLY;COUNT=999999999;BYDAY=MO",
    "FREQ=MINUTELY;INTERVAL=61;BYHOUR=3;BYMINUTE=1;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=YEARLY;BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23;BYMINUTE="
    + ",".join(map(str, range(60)))
    + ";BYSECOND="
    + ",".join(map(str, range(60))),
]


@pytest.mark.parametrize("text", ABSURD)
def test_absurd_rule_costs_bounded_work(text: str) -> None:
    """A rule that would be followed for ever raises TooManyInstances instead."""
    found = occurrences(parse_rule(text), START, since=datetime(2026, 1, 1), last=datetime(9999, 1, 1), budget=Budget())

    with pytest.raises(TooManyInstances):
        for _ in found:
            pass


def test_far_future_is_reached_in_one_step() -> None:
    """Asking about the year 9000 costs no walk through the years before it."""
    found = occurrences(
        parse_rule("FREQ=SECONDLY;INTERVAL=7"),
        START,
        since=datetime(9000, 1, 1),
        last=datetime(9000, 1, 1, 0, 0, 20),
        budget=Budget(10),
    )

    assert len(list(found)) in (2, 3)


def test_end_of_the_calendar_ends_every_rule() -> None:
    """No rule goes beyond the year 9999, nor fails there."""
    start = datetime(9999, 12, 1)

    assert len(times("FREQ=WEEKLY", start, 99)) == 5
    assert len(times("FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR,SA,SU", start, 99)) == 31
    assert times("FREQ=YEARLY", start, 9) == [start]


def test_count_is_counted_from_the_start() -> None:
    """The last of COUNT occurrences is found whether or not the rule has a fixed step."""
    assert last_occurrence(parse_rule("FREQ=WEEKLY;COUNT=52"), START, Budget()) == START + timedelta(weeks=51)
    assert last_occurrence(parse_rule("FREQ=WEEKLY;BYDAY=TU,TH;COUNT=3"), START, Budget()) == START + timedelta(days=7)
    assert last_occurrence(parse_rule("FREQ=WEEKLY;INTERVAL=999999999;COUNT=999999999"), START, Budget()).year == 9999


@pytest.mark.parametrize(
    "text", ["", "FREQ=", "FREQ=OFTEN", "FREQ=DAILY;INTERVAL=0", "FREQ=DAILY;BYDAY=XX", "RSCALE=HEBREW;FREQ=YEARLY"]
)
def test_rule_without_meaning_is_refused(text: str) -> None:
    """What is no rule of the Gregorian calendar raises InvalidValue."""
    with pytest.raises(InvalidValue):
        parse_rule(text)


@pytest.mark.parametrize("text", ["BYYEARDAY=-366", "BYWEEKNO=53;BYDAY=MO;BYMONTH=6", "BYDAY=MO;BYYEARDAY=366"])
def test_day_that_is_looked_at_in_vain_is_a_step(text: str) -> None:
    """A yearly rule that looks at every day of a year and chooses few spends the days, not what it chooses."""
    found = occurrences(
        parse_rule(f"FREQ=YEARLY;{text}"), START, since=START, last=datetime(2097, 1, 1), budget=Budget(100 * 366)
    )

    with pytest.raises(TooManyInstances):
        list(found)


@pytest.mark.parametrize(("text", "steps"), [("FREQ=YEARLY;BYDAY=MO", 20_000), ("FREQ=HOURLY", 3600)])
def test_clock_time_that_a_position_rules_out_is_a_step(text: str, steps: int) -> None:
    """BYSETPOS pays for all the times that it chooses among, not for the one that it chooses."""
    minutes = ",".join(map(str, range(60)))
    rule = parse_rule(f"{text};BYSETPOS=1;BYMINUTE={minutes};BYSECOND={minutes}")
    found = occurrences(rule, START, since=START, last=datetime.max, budget=Budget(steps))

    assert next(found) == START
    with pytest.raises(TooManyInstances):
        next(found)


LEGITIMATE = [
    ("FREQ=YEARLY;BYDAY=1MO;BYMONTH=9", 56),
    ("FREQ=YEARLY;BYDAY=20MO", 50),
    ("FREQ=YEARLY;BYYEARDAY=366", 12),
    ("FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29", 14),
    ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", 14),
    ("FREQ=MONTHLY;BYDAY=2TU", 500),
    ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", 5_000),
]


@pytest.mark.parametrize(("text", "count"), LEGITIMATE)
def test_rule_that_people_have_is_followed_for_decades(text: str, count: int) -> None:
    """Rules by weekday or leap day give all their times since 1968 within one budget, also when they are counted."""
    start = datetime(1968, 2, 29, 9)

    assert len(times(text, start, count)) == count
    assert last_occurrence(parse_rule(f"{text};COUNT={count}"), start, Budget()) == times(text, start, count)[-1]


def test_counting_takes_the_budget_of_the_object_once() -> None:
    """The count of a rule is spent of the budget that is given, and costs nothing when it is asked for again."""
    rule, budget = parse_rule("FREQ=MONTHLY;BYDAY=3WE;COUNT=100"), Budget(4_000)
    last = last_occurrence(rule, START, budget)

    with pytest.raises(TooManyInstances):
        last_occurrence(parse_rule("FREQ=MONTHLY;BYDAY=4WE;COUNT=100"), START, budget)
    assert last_occurrence(rule, START, budget) == last


def test_what_is_spent_is_spent_of_the_parent() -> None:
    """Many objects together take no more steps than their request may."""
    request = Budget(10)
    Budget(8, request).spend(8)

    with pytest.raises(TooManyInstances):
        Budget(8, request).spend(8)
    assert request.is_spent


def test_rule_of_many_thousand_characters_is_refused() -> None:
    """What is longer than any rule is neither read nor remembered."""
    with pytest.raises(InvalidValue):
        parse_rule("FREQ=DAILY;BYSECOND=" + "0," * 2000)
