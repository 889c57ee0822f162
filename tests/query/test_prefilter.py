"""The prefilter of calendar queries: what it narrows to, and when nothing needs reading."""

import pytest

from keepwell.formats.times import BEGINNING, FOREVER
from keepwell.services.query.calendar_filter import CompFilter, PropFilter
from keepwell.services.query.prefilter import CoarseCalendar, coarse_calendar
from tests.query.building import at, span, within

MONTH = span("20260101T000000", "20260201T000000")
START, END = at("20260101T000000"), at("20260201T000000")

CASES = [
    ("everything", CompFilter("VCALENDAR"), CoarseCalendar(certain=True)),
    (
        "a component",
        CompFilter("VCALENDAR", comp_filters=(CompFilter("VTODO"),)),
        CoarseCalendar("VTODO", exact_allowed=True, certain=True),
    ),
    ("a month", within("VEVENT", MONTH), CoarseCalendar("VEVENT", START, END, True, False)),
    ("from a day on", within("VEVENT", span("20260101T000000")), CoarseCalendar("VEVENT", START, FOREVER, True, False)),
    (
        "a month and a text",
        within("VEVENT", MONTH, PropFilter("SUMMARY")),
        CoarseCalendar("VEVENT", START, END, False, False),
    ),
    (
        "an absent component",
        CompFilter("VCALENDAR", comp_filters=(CompFilter("VTODO", is_not_defined=True),)),
        CoarseCalendar(),
    ),
    (
        "a component and a property of the calendar",
        CompFilter("VCALENDAR", prop_filters=(PropFilter("X"),), comp_filters=(CompFilter("VTODO"),)),
        CoarseCalendar("VTODO"),
    ),
    (
        "alarms, which the index does not know",
        CompFilter(
            "VCALENDAR", comp_filters=(CompFilter("VEVENT", comp_filters=(CompFilter("VALARM", time_range=MONTH),)),)
        ),
        CoarseCalendar("VEVENT"),
    ),
    ("a zone", CompFilter("VCALENDAR", comp_filters=(CompFilter("VTIMEZONE"),)), CoarseCalendar()),
    ("no calendar", CompFilter("VCALENDAR", is_not_defined=True), CoarseCalendar()),
]


@pytest.mark.parametrize(("what", "wanted", "expected"), CASES, ids=[row[0] for row in CASES])
def test_prefilter_narrows_to_what_can_match(what: str, wanted: CompFilter, expected: CoarseCalendar) -> None:
    """The index is asked for the component and range that every match must have."""
    assert coarse_calendar(wanted) == expected


def test_open_sides_are_the_ends_of_time() -> None:
    """Without a time range, nothing is left out by time."""
    assert (CoarseCalendar().start, CoarseCalendar().end) == (BEGINNING, FOREVER)
