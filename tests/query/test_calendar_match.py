"""Calendar filters: properties, parameters, texts and alarms (RFC 4791 section 9.7), applied to objects."""

from datetime import UTC

import pytest

from keepwell.formats.times import TimeRange
from keepwell.services.query.calendar_filter import CompFilter, ParamFilter, PropFilter
from keepwell.services.query.calendar_match import matches
from keepwell.services.query.collation import Collation, MatchType, TextMatch
from tests.query.building import alarm, calendar, component, event, span, within

MEETING = calendar(
    event(
        "DTSTART:20260105T090000Z",
        "DTEND:20260105T100000Z",
        "SUMMARY:Lunch\\, then work",
        "CATEGORIES:WORK,FOOD",
        "ATTENDEE;PARTSTAT=NEEDS-ACTION;CN=Bob:mailto:bob@example.com",
        "ATTENDEE;PARTSTAT=ACCEPTED:mailto:ann@example.com",
        "STATUS:CONFIRMED",
        alarm("TRIGGER:-PT15M"),
    )
)


def text(value: str, collation: Collation = Collation.ASCII_CASEMAP, *, negate: bool = False) -> TextMatch:
    return TextMatch(value, collation, negate, MatchType.CONTAINS)


def asks(*parts: CompFilter, properties: tuple[PropFilter, ...] = ()) -> CompFilter:
    return CompFilter("VCALENDAR", prop_filters=properties, comp_filters=parts)


FILTERS = [
    ("whatever", asks(), True),
    ("an event", asks(CompFilter("VEVENT")), True),
    ("a task", asks(CompFilter("VTODO")), False),
    ("no task", asks(CompFilter("VTODO", is_not_defined=True)), True),
    ("no event", asks(CompFilter("VEVENT", is_not_defined=True)), False),
    ("both, of which one is absent", asks(CompFilter("VEVENT"), CompFilter("VTODO")), False),
    ("a property of the calendar", asks(properties=(PropFilter("VERSION"),)), True),
    ("a property", asks(CompFilter("VEVENT", prop_filters=(PropFilter("SUMMARY"),))), True),
    ("an absent property", asks(CompFilter("VEVENT", prop_filters=(PropFilter("LOCATION"),))), False),
    ("no property", asks(CompFilter("VEVENT", prop_filters=(PropFilter("LOCATION", is_not_defined=True),))), True),
    (
        "no present property",
        asks(CompFilter("VEVENT", prop_filters=(PropFilter("STATUS", is_not_defined=True),))),
        False,
    ),
    (
        "a text in any case",
        asks(CompFilter("VEVENT", prop_filters=(PropFilter("SUMMARY", text_match=text("LUNCH, t")),))),
        True,
    ),
    (
        "a text in its case",
        asks(CompFilter("VEVENT", prop_filters=(PropFilter("SUMMARY", text_match=text("LUNCH", Collation.OCTET)),))),
        False,
    ),
    (
        "another text",
        asks(CompFilter("VEVENT", prop_filters=(PropFilter("STATUS", text_match=text("CANCELLED", negate=True)),))),
        True,
    ),
    (
        "another text of an absent property",
        asks(CompFilter("VEVENT", prop_filters=(PropFilter("CLASS", text_match=text("PRIVATE", negate=True)),))),
        False,
    ),
    (
        "a parameter",
        asks(CompFilter("VEVENT", prop_filters=(PropFilter("ATTENDEE", param_filters=(ParamFilter("CN"),)),))),
        True,
    ),
    (
        "no parameter",
        asks(CompFilter("VEVENT", prop_filters=(PropFilter("STATUS", param_filters=(ParamFilter("CN", True),)),))),
        True,
    ),
    (
        "text and parameter of the same property",
        asks(
            CompFilter(
                "VEVENT",
                prop_filters=(
                    PropFilter(
                        "ATTENDEE",
                        text_match=text("bob@"),
                        param_filters=(ParamFilter("PARTSTAT", text_match=text("needs-action")),),
                    ),
                ),
            )
        ),
        True,
    ),
    (
        "text and parameter of different properties",
        asks(
            CompFilter(
                "VEVENT",
                prop_filters=(
                    PropFilter(
                        "ATTENDEE",
                        text_match=text("ann@"),
                        param_filters=(ParamFilter("PARTSTAT", text_match=text("needs-action")),),
                    ),
                ),
            )
        ),
        False,
    ),
    ("an alarm", asks(CompFilter("VEVENT", comp_filters=(CompFilter("VALARM"),))), True),
    ("no alarm", asks(CompFilter("VEVENT", comp_filters=(CompFilter("VALARM", is_not_defined=True),))), False),
]


@pytest.mark.parametrize(("what", "wanted", "expected"), FILTERS, ids=[row[0] for row in FILTERS])
def test_filter_is_true_of_what_it_asks_for(what: str, wanted: CompFilter, expected: bool) -> None:
    """A filter matches when all of it is true of the same component, property and parameter."""
    assert matches(MEETING, wanted, UTC) is expected


def test_properties_are_asked_of_the_component_that_is_in_the_range() -> None:
    """A summary of an override does not make the master's instances match, nor the other way round."""
    parsed = calendar(
        event("DTSTART:20260105T090000Z", "RRULE:FREQ=DAILY;COUNT=5", "SUMMARY:usual"),
        event("RECURRENCE-ID:20260107T090000Z", "DTSTART:20260107T090000Z", "SUMMARY:special"),
    )
    special, usual = (PropFilter("SUMMARY", text_match=text(word)) for word in ("special", "usual"))

    assert matches(parsed, within("VEVENT", span("20260107T000000", "20260108T000000"), special), UTC)
    assert not matches(parsed, within("VEVENT", span("20260107T000000", "20260108T000000"), usual), UTC)
    assert not matches(parsed, within("VEVENT", span("20260106T000000", "20260107T000000"), special), UTC)
    assert matches(parsed, within("VEVENT", span("20260106T000000", "20260107T000000"), usual), UTC)


@pytest.mark.parametrize(
    ("name", "lines", "prop", "start", "end", "expected"),
    [
        ("VEVENT", "DTSTART:20260105T090000Z", "DTSTART", "20260105T090000", "20260105T100000", True),
        ("VEVENT", "DTSTART:20260105T090000Z", "DTSTART", "20260105T080000", "20260105T090000", False),
        ("VEVENT", "DTSTART:20260105T090000Z", "DTEND", "20260105T080000", "20260105T120000", False),
        ("VEVENT", "DTSTART:20260105T090000Z DURATION:PT1H", "DTEND", "20260105T100000", "20260105T110000", True),
        ("VEVENT", "DTSTART:20260105T090000Z DURATION:PT1H", "DTEND", "20260105T090000", "20260105T100000", False),
        ("VTODO", "DTSTART:20260105T090000Z DURATION:PT1H", "DUE", "20260105T100000", "20260105T110000", True),
        ("VTODO", "COMPLETED:20260105T090000Z", "COMPLETED", "20260105T000000", "20260106T000000", True),
        ("VTODO", "COMPLETED:20260105T090000Z", "COMPLETED", "20260106T000000", "", False),
        ("VTODO", "LAST-MODIFIED:20260105T090000Z", "LAST-MODIFIED", "", "20260106T000000", True),
    ],
)
def test_time_range_on_a_property(name: str, lines: str, prop: str, start: str, end: str, expected: bool) -> None:
    """A property is in a range by (start <= date-time) AND (end > date-time); DURATION stands for the end."""
    parsed = calendar(component(name, *lines.split(" ")))
    wanted = asks(CompFilter(name, prop_filters=(PropFilter(prop, time_range=span(start, end)),)))

    assert matches(parsed, wanted, UTC) is expected


def alarm_in(asked: TimeRange, owner: str = "VEVENT") -> CompFilter:
    return asks(CompFilter(owner, comp_filters=(CompFilter("VALARM", time_range=asked),)))


@pytest.mark.parametrize(
    ("trigger", "start", "end", "expected"),
    [
        ("TRIGGER:-PT15M", "084500", "090000", True),
        ("TRIGGER:-PT15M", "080000", "084500", False),
        ("TRIGGER:-PT15M", "084501", "090000", False),
        ("TRIGGER;RELATED=END:PT5M", "100500", "110000", True),
        ("TRIGGER;RELATED=END:PT5M", "090000", "100500", False),
        ("TRIGGER;VALUE=DATE-TIME:20260105T033000Z", "033000", "040000", True),
        ("TRIGGER;VALUE=DATE-TIME:20260105T033000Z", "080000", "100000", False),
        ("TRIGGER:-PT15M REPEAT:4 DURATION:PT5M", "090500", "090501", True),
        ("TRIGGER:-PT15M REPEAT:4 DURATION:PT5M", "090501", "100000", False),
        ("TRIGGER:-PT15M REPEAT:4 DURATION:PT5M", "090100", "090500", False),
        ("TRIGGER:-PT15M REPEAT:999999999 DURATION:PT1S", "230000", "230001", True),
        ("TRIGGER:soon", "230000", "230001", True),
        ("DESCRIPTION:never", "000000", "230001", False),
    ],
)
def test_alarm_is_in_a_range_when_it_goes_off_in_it(trigger: str, start: str, end: str, expected: bool) -> None:
    """An alarm overlaps by (start <= trigger-time) AND (end > trigger-time), each repetition counting."""
    parsed = calendar(event("DTSTART:20260105T090000Z", "DTEND:20260105T100000Z", alarm(*trigger.split(" "))))

    assert matches(parsed, alarm_in(span(f"20260105T{start}", f"20260105T{end}")), UTC) is expected


def test_alarm_goes_off_for_every_instance() -> None:
    """An alarm a day ahead of a weekly event is found on the eve of each, years later too."""
    parsed = calendar(event("DTSTART:20200106T090000Z", "RRULE:FREQ=WEEKLY", alarm("TRIGGER:-P1D")))

    assert matches(parsed, alarm_in(span("20260111T090000", "20260111T090001")), UTC)
    assert not matches(parsed, alarm_in(span("20260112T000000", "20260117T000000")), UTC)


def test_alarm_of_a_task_counts_from_its_due_date() -> None:
    """A task with a due date only has alarms relative to it."""
    parsed = calendar(component("VTODO", "DUE:20260105T090000Z", alarm("TRIGGER:-PT1H")))

    assert matches(parsed, alarm_in(span("20260105T080000", "20260105T080001"), "VTODO"), UTC)


def test_outermost_filter_must_be_of_a_calendar() -> None:
    """A filter on anything but VCALENDAR is true only when it asks for absence."""
    assert not matches(MEETING, CompFilter("VEVENT"), UTC)
    assert matches(MEETING, CompFilter("VEVENT", is_not_defined=True), UTC)
