"""Recurrence sets: which instances an object has, with exceptions, overrides and changes of the clock."""

from datetime import UTC, datetime, timedelta, tzinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from icalendar import Calendar
from recurring_ical_events import of as recurring_events_of

from keepwell.formats.contentlines import Component, parse
from keepwell.formats.expansion import Budget, TooManyInstances
from keepwell.formats.instances import Instance, families_of, schedule_of
from keepwell.formats.times import TimeRange
from keepwell.formats.timezones import zones_of
from keepwell.formats.timing import Context
from keepwell.services.query.calendar_match import matches
from keepwell.services.query.freebusy import busy_times
from tests.query.building import BERLIN, NEW_YORK, at, calendar, event, is_found, octets, span, within

JANUARY = span("20260101T000000", "20260201T000000")


def instances(parsed: Component, asked: TimeRange = JANUARY, zone: tzinfo = UTC) -> list[Instance]:
    context = Context(zones_of(parsed), zone)
    found = [one for family in families_of(parsed, "VEVENT") for one in schedule_of(family, context).instances(asked)]
    overlapping = [one for one in found if asked.overlaps(one.coverage.start, one.coverage.end)]
    return sorted(overlapping, key=lambda one: one.starts_at)


def starts(*components: str, asked: TimeRange = JANUARY, zone: tzinfo = UTC) -> list[int]:
    return [one.starts_at for one in instances(calendar(*components), asked, zone)]


def test_clock_time_stays_when_the_clock_changes() -> None:
    """A daily event at nine in Berlin is at nine on both sides of the change to summer time."""
    found = starts(
        event("DTSTART;TZID=Europe/Berlin:20260301T090000", "RRULE:FREQ=DAILY"),
        asked=span("20260328T000000", "20260330T000000"),
    )

    assert found == [at("20260328T080000"), at("20260329T070000")]


def test_instance_in_a_gap_takes_place() -> None:
    """An event at 02:30 takes place at 03:30 on the night that has no 02:30."""
    found = starts(
        event("DTSTART;TZID=Europe/Berlin:20260301T023000", "RRULE:FREQ=DAILY"),
        asked=span("20260328T120000", "20260329T120000"),
    )

    assert found == [at("20260329T013000")]


def test_instance_lasts_as_long_as_the_first_over_a_change_of_the_clock() -> None:
    """With DTEND, every instance has the same exact duration (RFC 5545 3.8.5.3)."""
    parsed = calendar(
        event(
            "DTSTART;TZID=Europe/Berlin:20260301T010000",
            "DTEND;TZID=Europe/Berlin:20260301T050000",
            "RRULE:FREQ=DAILY",
        )
    )

    found = instances(parsed, span("20260329T000000", "20260329T060000"))

    assert [one.ends_at - one.starts_at for one in found] == [4 * 3600]


@pytest.mark.parametrize(
    "exception",
    [
        "EXDATE;TZID=Europe/Berlin:20260106T090000",
        "EXDATE:20260106T080000Z",
        "EXDATE;TZID=America/New_York:20260106T030000",
        "EXDATE;VALUE=DATE:20260106",
        "EXDATE:20260106T090000",
    ],
)
def test_exception_excludes_the_instance_however_it_is_written(exception: str) -> None:
    """An EXDATE in another zone, in UTC, floating or as a date takes out the instance of that time."""
    found = starts(event("DTSTART;TZID=Europe/Berlin:20260105T090000", "RRULE:FREQ=DAILY;COUNT=3", exception))

    assert found == [at("20260105T080000"), at("20260107T080000")]


def test_exceptions_in_a_list_and_on_several_lines_all_count() -> None:
    """EXDATE may hold a list and may occur more than once."""
    found = starts(
        event(
            "DTSTART:20260105T090000Z",
            "RRULE:FREQ=DAILY;COUNT=5",
            "EXDATE:20260105T090000Z,20260106T090000Z",
            "EXDATE:20260108T090000Z",
        )
    )

    assert found == [at("20260107T090000"), at("20260109T090000")]


def test_dates_are_added_to_the_rule_each_once() -> None:
    """RDATE adds instances, also before DTSTART and with ends of their own; one that the rule gives is not doubled."""
    parsed = calendar(
        event(
            "DTSTART:20260110T090000Z",
            "DURATION:PT1H",
            "RRULE:FREQ=DAILY;COUNT=2",
            "RDATE:20260111T090000Z,20260103T090000Z",
            "RDATE;VALUE=PERIOD:20260120T090000Z/PT3H",
        )
    )

    found = [(one.starts_at, one.ends_at - one.starts_at) for one in instances(parsed)]

    assert found == [
        (at("20260103T090000"), 3600),
        (at("20260110T090000"), 3600),
        (at("20260111T090000"), 3600),
        (at("20260120T090000"), 3 * 3600),
    ]


def test_added_period_is_found_in_its_middle() -> None:
    """An RDATE that lasts longer than the others is found while it lasts."""
    parsed = calendar(event("DTSTART:20260101T090000Z", "DURATION:PT1H", "RDATE;VALUE=PERIOD:20260110T090000Z/P60D"))

    assert is_found(parsed, span("20260301T000000", "20260302T000000"))
    assert not is_found(parsed, span("20260401T000000", "20260402T000000"))


def test_all_day_event_recurs_by_day() -> None:
    """An all-day event starts at midnight of whoever asks, on each of its days."""
    found = starts(
        event("DTSTART;VALUE=DATE:20260328", "RRULE:FREQ=DAILY;COUNT=3"),
        asked=span("20260301T000000", "20260401T000000"),
        zone=BERLIN,
    )

    assert found == [at("20260327T230000"), at("20260328T230000"), at("20260329T220000")]


@pytest.mark.parametrize(
    ("start", "until", "count"),
    [
        ("DTSTART;TZID=Europe/Berlin:20260105T090000", "20260107T080000Z", 3),
        ("DTSTART;TZID=Europe/Berlin:20260105T090000", "20260107T075959Z", 2),
        ("DTSTART;TZID=Europe/Berlin:20260105T090000", "20260107T090000", 3),
        ("DTSTART;TZID=Europe/Berlin:20260105T090000", "20260107", 3),
        ("DTSTART:20260105T090000Z", "20260107T090000Z", 3),
        ("DTSTART:20260105T090000", "20260107T090000", 3),
        ("DTSTART;VALUE=DATE:20260105", "20260107", 3),
        ("DTSTART;VALUE=DATE:20260105", "20260107T225959Z", 3),
        ("DTSTART:20260105T090000Z", "20200101T000000Z", 0),
    ],
)
def test_until_is_the_last_that_may_be(start: str, until: str, count: int) -> None:
    """UNTIL includes its own time, and a date its whole day, whatever type DTSTART has."""
    assert len(starts(event(start, f"RRULE:FREQ=DAILY;UNTIL={until}"))) == count


MASTER = event("DTSTART:20260105T090000Z", "DTEND:20260105T100000Z", "RRULE:FREQ=DAILY;COUNT=5")


def test_override_takes_the_place_of_its_instance() -> None:
    """An instance that was moved is at its new time only."""
    moved = event("RECURRENCE-ID:20260106T090000Z", "DTSTART:20260106T150000Z", "DTEND:20260106T160000Z")

    assert starts(MASTER, moved, asked=span("20260106T000000", "20260107T000000")) == [at("20260106T150000")]


def test_override_moved_out_of_the_range_leaves_it() -> None:
    """An instance moved from the asked day to another month is not on the asked day."""
    moved = event("RECURRENCE-ID:20260106T090000Z", "DTSTART:20260306T090000Z")

    assert not is_found(calendar(MASTER, moved), span("20260106T000000", "20260107T000000"))
    assert is_found(calendar(MASTER, moved), span("20260306T000000", "20260307T000000"))


def test_override_without_master_stands_alone() -> None:
    """An invitation to one instance of an unknown series is found at its time."""
    alone = event("RECURRENCE-ID:20260106T090000Z", "DTSTART:20260106T100000Z")

    assert starts(alone) == [at("20260106T100000")]


def test_override_may_name_its_instance_in_another_zone() -> None:
    """A RECURRENCE-ID in UTC overrides an instance with a TZID."""
    master = event("DTSTART;TZID=Europe/Berlin:20260105T090000", "RRULE:FREQ=DAILY;COUNT=2")
    moved = event("RECURRENCE-ID:20260106T080000Z", "DTSTART;TZID=Europe/Berlin:20260106T110000")

    assert starts(master, moved) == [at("20260105T080000"), at("20260106T100000")]


def test_override_of_this_and_future_moves_the_later_ones() -> None:
    """RANGE=THISANDFUTURE moves and lengthens its instance and all after it, up to the next such override."""
    later = event(
        "RECURRENCE-ID;RANGE=THISANDFUTURE:20260107T090000Z", "DTSTART:20260107T110000Z", "DTEND:20260107T130000Z"
    )
    last = event("RECURRENCE-ID;RANGE=THISANDFUTURE:20260109T090000Z", "DTSTART:20260109T080000Z")
    found = instances(calendar(MASTER, later, last))

    assert [(one.starts_at, one.ends_at - one.starts_at) for one in found] == [
        (at("20260105T090000"), 3600),
        (at("20260106T090000"), 3600),
        (at("20260107T110000"), 7200),
        (at("20260108T110000"), 7200),
        (at("20260109T080000"), 0),
    ]


def test_override_of_one_wins_over_one_of_this_and_future() -> None:
    """A single override after RANGE=THISANDFUTURE keeps its own time."""
    later = event("RECURRENCE-ID;RANGE=THISANDFUTURE:20260107T090000Z", "DTSTART:20260107T110000Z")
    single = event("RECURRENCE-ID:20260108T090000Z", "DTSTART:20260108T200000Z")

    assert starts(MASTER, later, single)[2:] == [
        at("20260107T110000"),
        at("20260108T200000"),
        at("20260109T110000"),
    ]


def test_endless_series_is_found_centuries_later() -> None:
    """A weekly event from 1990 is found in the year 4000, and in a range without an end."""
    parsed = calendar(event("DTSTART:19900101T090000Z", "DURATION:PT1H", "RRULE:FREQ=WEEKLY"))

    assert is_found(parsed, span("40000101T000000", "40000108T000000"))
    assert is_found(parsed, span("20260101T000000"))
    assert not is_found(parsed, span("", "19900101T090000"))


def test_long_instance_is_found_in_its_middle() -> None:
    """An instance that started months before the range is found while it lasts."""
    parsed = calendar(event("DTSTART:20250101T000000Z", "DURATION:P100D", "RRULE:FREQ=YEARLY"))

    assert is_found(parsed, span("20260401T000000", "20260402T000000"))
    assert not is_found(parsed, span("20260501T000000", "20260502T000000"))


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=31",
        "FREQ=SECONDLY;COUNT=99999999;BYDAY=MO",
    ],
)
def test_absurd_series_is_refused_or_answered(rule: str) -> None:
    """A series that cannot be followed raises TooManyInstances where instances are wanted."""
    parsed = calendar(event("DTSTART:20260101T000000Z", f"RRULE:{rule}"))

    with pytest.raises(TooManyInstances):
        instances(parsed, span("20260115T000000"))


def test_series_that_cannot_be_decided_is_found() -> None:
    """A query rather shows an item too many than one too few."""
    absurd = event("DTSTART:20260101T000000Z", "RRULE:FREQ=SECONDLY;COUNT=99999999;BYDAY=MO")

    assert is_found(calendar(absurd), span("20260115T000000", "20260116T000000"))
    assert is_found(calendar(event("DTSTART:tomorrow")), span("20260115T000000", "20260116T000000"))


@given(
    day=st.integers(0, 400),
    hour=st.integers(0, 23),
    rule=st.sampled_from(
        [
            "FREQ=DAILY;INTERVAL=3",
            "FREQ=WEEKLY;BYDAY=MO,WE,SU",
            "FREQ=MONTHLY;BYDAY=-1FR",
            "FREQ=MONTHLY;BYMONTHDAY=1,15",
            "FREQ=YEARLY;BYMONTH=3,10;BYDAY=-1SU",
            "FREQ=WEEKLY;COUNT=9",
        ]
    ),
    offset=st.integers(0, 500),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "UTC"]),
)
@settings(deadline=None, max_examples=40)
def test_instances_are_those_of_another_implementation(day: int, hour: int, rule: str, offset: int, zone: str) -> None:
    """In any month, a series has the instances that the recurring-ical-events library finds."""
    first = datetime(2024, 1, 1, hour) + timedelta(days=day)
    text = event(f"DTSTART;TZID={zone}:{first:%Y%m%dT%H%M%S}", "DURATION:PT90M", f"RRULE:{rule}")
    begin = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=day + offset)
    end = begin + timedelta(days=30)
    expected = recurring_events_of(Calendar.from_ical(octets(text))).between(begin, end)

    found = instances(parse(octets(text)).components[0], TimeRange(int(begin.timestamp()), int(end.timestamp())))

    assert [one.starts_at for one in found] == sorted(int(one.start.timestamp()) for one in expected)


def test_zone_of_the_asker_moves_floating_series() -> None:
    """A floating series is at its clock time wherever the asker is."""
    found = starts(event("DTSTART:20260105T090000", "RRULE:FREQ=DAILY;COUNT=1"), zone=NEW_YORK)

    assert found == [at("20260105T140000")]


def test_more_rules_than_anybody_writes_are_not_followed() -> None:
    """A component with more than eight rules raises TooManyInstances, and a query finds it."""
    parsed = calendar(event("DTSTART:20260105T090000Z", *[f"RRULE:FREQ=DAILY;INTERVAL={n}" for n in range(1, 10)]))

    with pytest.raises(TooManyInstances):
        instances(parsed)
    assert is_found(parsed, span("20300101T000000", "20300102T000000"))


def test_each_moving_override_ends_where_the_next_begins() -> None:
    """Of many overrides for this and future instances, in any order, each moves those up to the next one."""
    overrides = [
        event(
            f"RECURRENCE-ID;RANGE=THISANDFUTURE:202601{day:02d}T090000Z",
            f"DTSTART:202601{day:02d}T{hour:02d}0000Z",
        )
        for day, hour in ((20, 12), (5, 10), (12, 11))
    ]
    found = starts(event("DTSTART:20260101T090000Z", "RRULE:FREQ=DAILY"), *overrides)

    hours = {1: 9, 4: 9, 5: 10, 11: 10, 12: 11, 19: 11, 20: 12, 31: 12}
    assert len(found) == 31
    assert {at(f"202601{day:02d}T{hour:02d}0000") for day, hour in hours.items()} <= set(found)


def test_spent_request_finds_and_refuses() -> None:
    """When the steps of a request are spent, a query finds what recurs, and busy times are not told."""
    parsed = calendar(event("DTSTART:20260101T090000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=3"))
    never = span("20300101T000000", "20300102T000000")
    asked = within("VEVENT", never)

    assert not matches(parsed, asked, UTC)
    assert matches(calendar(event("DTSTART:20260101T090000Z", "RRULE:FREQ=DAILY")), asked, UTC, Budget(0))
    with pytest.raises(TooManyInstances):
        list(busy_times(parsed, JANUARY, UTC, Budget(0)))
