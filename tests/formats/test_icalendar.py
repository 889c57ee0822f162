"""Calendar objects: which are taken, what is known of them, and why others are refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.formats.strategies import calendars, damaged_files

from keepwell.formats import icalendar, values
from keepwell.formats.contentlines import Component, Document, InvalidContent, parse

_EVENT = ("BEGIN:VEVENT", "UID:a", "DTSTART:20260105T090000Z", "END:VEVENT")


def _calendar(*lines: str, version: str = "VERSION:2.0") -> bytes:
    return "\r\n".join(["BEGIN:VCALENDAR", version, *lines, "END:VCALENDAR", ""]).encode()


def _event(*lines: str) -> bytes:
    return _calendar("BEGIN:VEVENT", "UID:a", "DTSTART:20260105T090000Z", *lines, "END:VEVENT")


def _is_right(data: bytes) -> bool:
    """The rules once more, in the plainest way, on the parsed tree."""
    try:
        document = parse(data)
    except InvalidContent:
        return False
    return _is_object(document)


def _is_object(document: Document) -> bool:
    if [component.name for component in document.components] != ["VCALENDAR"]:
        return False
    calendar = document.components[0]
    versions = [line.value.strip(" \t\r") for line in calendar.properties if line.name == "VERSION"]
    mains = [component for component in calendar.components if component.name in icalendar.MAIN_COMPONENTS]
    return (
        all("2.0" in version.split(";") for version in versions)
        and calendar.line("METHOD") is None
        and len({component.name for component in mains}) == 1
        and len({component.value("UID") for component in mains}) == 1
        and [component.line("RECURRENCE-ID") for component in mains].count(None) <= 1
        and all(_is_component(component) for component in mains)
    )


def _is_component(component: Component) -> bool:
    names = [line.name for line in component.properties]
    lines = [(line.name, line.value.strip(" \t\r")) for line in component.properties]
    return (
        (component.value("UID") or "").strip(" \t\r") != ""
        and all(names.count(name) <= 1 for name in ("UID", "DTSTART", "RECURRENCE-ID"))
        and ("DTSTART" in names or component.name != "VEVENT")
        and not any(
            values.why_no_moment(value) for name, value in lines if name in ("DTSTART", "DTEND", "RECURRENCE-ID")
        )
        and not any(values.why_no_recurrence(value) for name, value in lines if name == "RRULE")
    )


@given(st.one_of(calendars(), damaged_files()))
@settings(max_examples=500)
def test_a_calendar_object_is_taken_if_and_only_if_parsing_and_rules_agree(data: bytes) -> None:
    """The quick examination accepts exactly what the full parse and the rules accept."""
    facts = _examined(data)
    assert _is_right(data) == (not isinstance(facts, InvalidContent))
    if isinstance(facts, InvalidContent):
        assert facts.condition
    else:
        calendar = parse(data).components[0]
        mains = [component for component in calendar.components if component.name == facts.component]
        assert facts.components == tuple((component.name, component.properties) for component in mains)


def _examined(data: bytes) -> icalendar.CalendarFacts | InvalidContent:
    try:
        return icalendar.examine(data)
    except InvalidContent as refusal:
        return refusal


def test_the_facts_of_an_event_are_taken_from_it() -> None:
    """Type, UID, lines of each main component, recurrence and alarm are told."""
    data = _calendar(
        "BEGIN:VTIMEZONE", "TZID:X", "END:VTIMEZONE",
        "BEGIN:VEVENT", "UID:a\\,b", "DTSTART;TZID=X:20260105T090000", "RRULE:FREQ=DAILY",
        "BEGIN:VALARM", "TRIGGER:-PT5M", "END:VALARM", "END:VEVENT",
        "BEGIN:VEVENT", "UID:a\\,b", "RECURRENCE-ID;TZID=X:20260106T090000", "DTSTART;TZID=X:20260106T100000",
        "END:VEVENT",
    )  # fmt: skip
    facts = icalendar.examine(data)
    assert (facts.component, facts.uid, facts.has_recurrence, facts.has_alarm) == ("VEVENT", "a,b", True, True)
    assert [[line.name for line in lines] for _, lines in facts.components] == [
        ["UID", "DTSTART", "RRULE"],
        ["UID", "RECURRENCE-ID", "DTSTART"],
    ]
    assert facts.components[0][1][1].number == 8
    assert facts.components[0][1][1].parameter("TZID") == "X"


def test_a_plain_event_has_neither_recurrence_nor_alarm() -> None:
    """An event that happens once says so."""
    facts = icalendar.examine(_event())
    assert (facts.has_recurrence, facts.has_alarm, facts.control_characters) == (False, False, False)


@pytest.mark.parametrize(
    "data",
    [
        _calendar(*_EVENT, version="PRODID:none"),
        _calendar(*_EVENT, version="VERSION:1.0;2.0"),
        _calendar("BEGIN:X-OTHER", "END:X-OTHER", *_EVENT),
        _calendar("BEGIN:VTODO", "UID:a", "END:VTODO"),
        _calendar("BEGIN:VJOURNAL", "UID:a", "DTSTART;VALUE=DATE:20260105", "END:VJOURNAL"),
        _calendar(
            "BEGIN:VFREEBUSY",
            "UID:a",
            "FREEBUSY:20260105T090000Z/PT1H,20260105T100000Z/20260105T110000Z",
            "END:VFREEBUSY",
        ),
        _calendar("BEGIN:VAVAILABILITY", "UID:a", "BEGIN:AVAILABLE", "UID:b", "END:AVAILABLE", "END:VAVAILABILITY"),
        _calendar("BEGIN:VEVENT", "UID:a", "RECURRENCE-ID:20260106", "DTSTART:20260106", "END:VEVENT"),
        _event("DTEND:20260105T085959Z", "DTSTAMP:whenever", "SUMMARY:"),
        _event("RDATE:", "EXDATE:20260105T090000Z,20260106"),
        _event("RDATE;VALUE=PERIOD:20260105T090000Z/P1D"),
        _event("RRULE:FREQ=YEARLY;BYMONTH=5L;RSCALE=HEBREW;"),
        _event("DTEND;TZID=Nowhere/Nothing:20260105T100000"),
    ],
)
def test_what_can_be_kept_is_taken(data: bytes) -> None:
    """What others do badly but every query can answer about is kept."""
    assert icalendar.examine(data).uid == "a"


def test_control_characters_are_noticed() -> None:
    """An event with a control character is kept, and told."""
    assert icalendar.examine(_event("SUMMARY:a\x0bb")).control_characters


_OBJECT = "valid-calendar-object-resource"


@pytest.mark.parametrize(
    ("data", "line", "condition", "reason"),
    [
        (b"", 0, "valid-calendar-data", "there is no calendar in it"),
        (
            b"BEGIN:VCARD\nEND:VCARD\n",
            1,
            "supported-calendar-data",
            "BEGIN:VCARD found where BEGIN:VCALENDAR was expected",
        ),
        (
            b"BEGIN:VEVENT\nEND:VEVENT\n",
            1,
            "valid-calendar-data",
            "BEGIN:VEVENT found where BEGIN:VCALENDAR was expected",
        ),
        (_event() * 2, 8, _OBJECT, "a second VCALENDAR begins here, and a resource holds one"),
        (
            _calendar(*_EVENT, version="VERSION:1.0"),
            2,
            "supported-calendar-data",
            "VERSION is '1.0', and only 2.0 is known",
        ),
        (
            _calendar("METHOD:PUBLISH", *_EVENT),
            3,
            _OBJECT,
            "a METHOD makes this a message, and a stored calendar object has none",
        ),
        (_calendar(), 1, _OBJECT, "the calendar has no event, task, journal or free-busy"),
        (
            _calendar("BEGIN:VTIMEZONE", "END:VTIMEZONE"),
            1,
            _OBJECT,
            "the calendar has no event, task, journal or free-busy",
        ),
        (_calendar("BEGIN:VEVENT", "DTSTART:20260105", "END:VEVENT"), 3, _OBJECT, "the VEVENT has no UID"),
        (_calendar("BEGIN:VTODO", "UID: ", "END:VTODO"), 3, _OBJECT, "the VTODO has no UID"),
        (_calendar("BEGIN:VEVENT", "UID:a", "END:VEVENT"), 3, "valid-calendar-data", "the VEVENT has no DTSTART"),
        (_event("UID:b"), 6, "valid-calendar-data", "a second UID in one VEVENT"),
        (_event("DTSTART:20260105"), 6, "valid-calendar-data", "a second DTSTART in one VEVENT"),
        (
            _calendar(*_EVENT, *_EVENT),
            7,
            _OBJECT,
            "a second VEVENT without RECURRENCE-ID, and a resource holds at most one",
        ),
        (
            _calendar(*_EVENT, "BEGIN:VTODO", "UID:a", "END:VTODO"),
            7,
            _OBJECT,
            "a VTODO beside a VEVENT, and a resource holds one type of component",
        ),
        (
            _calendar(*_EVENT, "BEGIN:VEVENT", "UID:b", "DTSTART:20260105", "END:VEVENT"),
            7,
            _OBJECT,
            "UID 'b' beside UID 'a', and a resource has one UID",
        ),
        (_event("DTEND:2026-01-05"), 6, "valid-calendar-data", "DTEND: '2026-01-05' is neither a date nor a date-time"),
        (_event("DTEND:20260230"), 6, "valid-calendar-data", "DTEND: '20260230' names a time that does not exist"),
        (_event("DURATION:1 hour"), 6, "valid-calendar-data", "DURATION: '1 hour' is no duration"),
        (
            _event("BEGIN:VALARM", "END:VEVENT"),
            7,
            "valid-calendar-data",
            "END:VEVENT found where END:VALARM was expected",
        ),
    ],
)
def test_what_is_no_calendar_object_is_refused(data: bytes, line: int, condition: str, reason: str) -> None:
    """Each refusal names line, precondition and reason."""
    with pytest.raises(InvalidContent) as caught:
        icalendar.examine(data)
    refusal = caught.value
    assert (refusal.line, refusal.condition, refusal.reason) == (line, condition, reason)


@pytest.mark.parametrize(
    "line",
    [
        "DTEND:20260105T250000",
        "DUE:tomorrow",
        "COMPLETED:2026",
        "RECURRENCE-ID:x",
        "EXDATE:20260105,x",
        "RDATE:20260105T090000Z/x",
        "FREEBUSY:x/y",
        "DURATION:",
        "RRULE:",
        "RRULE:FREQ=NEVER",
        "RRULE:FREQ=DAILY;INTERVAL=0",
    ],
)
def test_values_that_queries_need_must_make_sense(line: str) -> None:
    """A date, duration or rule that nobody can read is refused at its line."""
    with pytest.raises(InvalidContent) as caught:
        icalendar.examine(_event(line))
    assert (caught.value.line, caught.value.condition) == (6, "valid-calendar-data")
    assert caught.value.reason.startswith(line.partition(":")[0])
