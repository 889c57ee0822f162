"""Partial retrieval and expansion: what a client gets when it asks for less (RFC 4791 9.6, RFC 6352 10.4)."""

from datetime import UTC, tzinfo

import pytest

from keepwell.formats.contentlines import Component, parse
from keepwell.formats.expansion import Budget, TooManyInstances
from keepwell.formats.partial import (
    AddressDataRequest,
    CalendarDataRequest,
    CompRequest,
    PropRequest,
    partial_calendar,
    partial_card,
)
from keepwell.formats.times import TimeRange
from tests.query.building import NEW_YORK, alarm, calendar, component, event, octets, span
from tests.query.test_timezones import EASTERN

WEEK = span("20260105T000000", "20260108T000000")
FOLDED = event(
    "DTSTART:20260105T090000Z", "SUMMARY:a long", "  text", 'X-ODD;P="a:b":v', alarm("TRIGGER:-PT15M"), "LOCATION:here"
)


def lines(text: str) -> list[str]:
    return text.replace("\r\n ", "").split("\r\n")[:-1]


def asked(parsed: Component, request: CalendarDataRequest, zone: tzinfo = UTC) -> list[str]:
    return lines(partial_calendar(parsed, request, zone))


def expand(*components: str, within: TimeRange = WEEK, zone: tzinfo = UTC) -> Component:
    text = partial_calendar(calendar(*components), CalendarDataRequest(expand=within), zone)
    return parse(text.encode()).components[0]


def values(part: Component, *names: str) -> tuple[str | None, ...]:
    return tuple(part.value(name) for name in names)


def test_nothing_asked_is_everything() -> None:
    """Without a request the text is the object's, octet for octet."""
    assert partial_calendar(calendar(FOLDED), CalendarDataRequest(), UTC).encode() == octets(FOLDED)
    assert CalendarDataRequest().is_whole


def test_named_properties_stand_as_they_were() -> None:
    """Only what is named comes, folded as it was stored, and without a value where that is asked."""
    wanted = CompRequest(
        "VCALENDAR",
        all_properties=False,
        properties=(PropRequest("VERSION"),),
        all_components=False,
        components=(
            CompRequest(
                "VEVENT",
                all_properties=False,
                properties=(PropRequest("SUMMARY"), PropRequest("X-ODD", no_value=True)),
                all_components=False,
            ),
        ),
    )

    text = partial_calendar(calendar(FOLDED), CalendarDataRequest(wanted), UTC)

    assert "SUMMARY:a long\r\n  text\r\n" in text
    assert lines(text) == [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "BEGIN:VEVENT",
        "SUMMARY:a long text",
        'X-ODD;P="a:b":',
        "END:VEVENT",
        "END:VCALENDAR",
    ]


def test_all_of_a_component_keeps_its_components() -> None:
    """allprop and allcomp bring everything of the component that names them."""
    wanted = CompRequest("VCALENDAR", all_components=False, components=(CompRequest("VEVENT"),))

    assert asked(calendar(EASTERN, FOLDED), CalendarDataRequest(wanted)) == lines(octets(FOLDED).decode())


def test_series_becomes_instances() -> None:
    """Instances in the range come one by one with UTC times and a RECURRENCE-ID, without rule and zone."""
    found = expand(
        EASTERN,
        event(
            "DTSTART;TZID=Office;X-A=b:20260101T090000",
            "DTEND;TZID=Office:20260101T100000",
            "RRULE:FREQ=DAILY",
            "EXDATE;TZID=Office:20260106T090000",
            "RDATE;TZID=Office:20260106T120000",
            "SUMMARY:same",
            alarm("TRIGGER:-PT15M"),
        ),
    )

    assert [part.name for part in found.components] == ["VEVENT"] * 3
    assert [values(part, "RECURRENCE-ID", "DTSTART", "DTEND", "SUMMARY") for part in found.components] == [
        ("20260105T140000Z", "20260105T140000Z", "20260105T150000Z", "same"),
        ("20260106T170000Z", "20260106T170000Z", "20260106T180000Z", "same"),
        ("20260107T140000Z", "20260107T140000Z", "20260107T150000Z", "same"),
    ]
    for part in found.components:
        assert not {"RRULE", "EXDATE", "RDATE"} & {line.name for line in part.properties}
        assert all(line.parameter("TZID") is None for line in part.properties)
        assert [inner.name for inner in part.components] == ["VALARM"]


def test_override_takes_the_place_of_its_instance() -> None:
    """An overridden instance comes with what the override says, under its RECURRENCE-ID in UTC."""
    found = expand(
        event(
            "DTSTART;TZID=Europe/Berlin:20260105T090000", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=2", "SUMMARY:usual"
        ),
        event(
            "RECURRENCE-ID;TZID=Europe/Berlin:20260106T090000",
            "DTSTART;TZID=Europe/Berlin:20260106T110000",
            "SUMMARY:special",
        ),
    )

    assert [values(part, "RECURRENCE-ID", "DTSTART", "DURATION", "SUMMARY") for part in found.components] == [
        ("20260105T080000Z", "20260105T080000Z", "PT1H", "usual"),
        ("20260106T080000Z", "20260106T100000Z", None, "special"),
    ]


def test_all_day_series_stays_all_day() -> None:
    """Dates are not converted."""
    found = expand(event("DTSTART;VALUE=DATE:20260105", "DTEND;VALUE=DATE:20260107", "RRULE:FREQ=DAILY;COUNT=2"))

    assert [values(part, "RECURRENCE-ID", "DTSTART", "DTEND") for part in found.components] == [
        ("20260105", "20260105", "20260107"),
        ("20260106", "20260106", "20260108"),
    ]
    assert all(line.parameter("VALUE") == "DATE" for part in found.components for line in part.properties[2:5])


def test_floating_series_stays_floating() -> None:
    """Floating times are read in the asker's zone to choose them, and given as they are."""
    found = expand(event("DTSTART:20260105T220000", "DTEND:20260105T230000", "RRULE:FREQ=DAILY;COUNT=3"), zone=NEW_YORK)

    assert [values(part, "RECURRENCE-ID", "DTSTART", "DTEND") for part in found.components] == [
        ("20260105T220000", "20260105T220000", "20260105T230000"),
        ("20260106T220000", "20260106T220000", "20260106T230000"),
    ]


def test_period_of_an_added_date_has_its_own_end() -> None:
    """An RDATE with an end of its own comes with that end."""
    found = expand(event("DTSTART:20260105T090000Z", "DURATION:PT1H", "RDATE;VALUE=PERIOD:20260106T090000Z/PT3H"))

    assert [values(part, "DTSTART", "DURATION", "DTEND") for part in found.components] == [
        ("20260105T090000Z", "PT1H", None),
        ("20260106T090000Z", None, "20260106T120000Z"),
    ]


def test_single_event_only_loses_its_zone() -> None:
    """What does not recur comes in UTC, without a RECURRENCE-ID, wherever it is."""
    found = expand(EASTERN, event("DTSTART;TZID=Office:20300105T090000", "X-AT;TZID=Office:20300105T090000"))

    [part] = found.components
    assert values(part, "DTSTART", "X-AT", "RECURRENCE-ID") == ("20300105T140000Z", "20300105T140000Z", None)


def test_task_with_only_a_due_date_is_expanded_by_it() -> None:
    """A recurring task without DTSTART has instances by their due dates."""
    found = expand(component("VTODO", "DUE:20260105T090000Z", "RRULE:FREQ=DAILY;COUNT=2"))

    assert [values(part, "DUE", "RECURRENCE-ID") for part in found.components] == [
        ("20260105T090000Z", "20260105T090000Z"),
        ("20260106T090000Z", "20260106T090000Z"),
    ]


def test_expansion_is_bounded() -> None:
    """A series of too many instances is refused instead of filling the memory."""
    with pytest.raises(TooManyInstances):
        expand(event("DTSTART:20260101T000000Z", "RRULE:FREQ=SECONDLY"))


def test_overrides_out_of_the_range_are_left_out() -> None:
    """limit-recurrence-set keeps the master and what is, or would have been, in the range, as they were stored."""
    master = event("DTSTART:20260101T090000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY")
    inside = event("RECURRENCE-ID:20260106T090000Z", "DTSTART:20260106T120000Z")
    moved_out = event("RECURRENCE-ID:20260107T090000Z", "DTSTART:20260307T120000Z")
    moved_in = event("RECURRENCE-ID:20260120T090000Z", "DTSTART:20260106T150000Z")
    outside = event("RECURRENCE-ID:20260121T090000Z", "DTSTART:20260121T100000Z")
    following = event("RECURRENCE-ID;RANGE=THISANDFUTURE:20260102T090000Z", "DTSTART:20260102T093000Z")
    request = CalendarDataRequest(limit_recurrence_set=WEEK)

    text = partial_calendar(calendar(master, inside, moved_out, moved_in, outside, following), request, UTC)

    assert text.encode() == octets(master, inside, moved_out, moved_in, following)


def test_busy_times_out_of_the_range_are_left_out() -> None:
    """limit-freebusy-set keeps the periods that overlap the range; lines that keep all stand as they were."""
    stored = component(
        "VFREEBUSY",
        "FREEBUSY:20260105T090000Z/PT1H",
        "FREEBUSY;FBTYPE=BUSY:20260106T090000Z/PT1H,20260206T090000Z/PT1H",
        "FREEBUSY:20260306T090000Z/PT1H",
    )

    found = asked(calendar(stored), CalendarDataRequest(limit_freebusy_set=WEEK))

    assert [line for line in found if line.startswith("FREEBUSY")] == [
        "FREEBUSY:20260105T090000Z/PT1H",
        "FREEBUSY;FBTYPE=BUSY:20260106T090000Z/PT1H",
    ]


CARD = b"BEGIN:VCARD\nVERSION:4.0\nFN:Bob\nitem1.EMAIL;TYPE=home:a@b\nEMAIL:c@d\nNOTE:secret\nEND:VCARD\n"


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        (None, CARD),
        ((PropRequest("FN"),), b"BEGIN:VCARD\nVERSION:4.0\nFN:Bob\nEND:VCARD\n"),
        (
            (PropRequest("EMAIL"),),
            b"BEGIN:VCARD\nVERSION:4.0\nitem1.EMAIL;TYPE=home:a@b\nEMAIL:c@d\nEND:VCARD\n",
        ),
        (
            (PropRequest("EMAIL", group="ITEM1", no_value=True),),
            b"BEGIN:VCARD\nVERSION:4.0\nitem1.EMAIL;TYPE=home:\nEND:VCARD\n",
        ),
    ],
)
def test_card_has_what_is_asked_for(properties: tuple[PropRequest, ...] | None, expected: bytes) -> None:
    """A card comes with its version and the named properties, of every group unless one is named."""
    assert partial_card(parse(CARD).components[0], AddressDataRequest(properties)).encode() == expected


def test_instances_of_a_large_event_are_too_many() -> None:
    """Instances count by their octets too: a hundred of 200 KiB are more than an answer holds for one object."""
    large = event("DTSTART:20260101T000000Z", "RRULE:FREQ=MINUTELY", "DESCRIPTION:" + "x" * 200_000)

    with pytest.raises(TooManyInstances):
        expand(large, within=span("20260105T000000", "20260105T014000"))
    assert len(expand(large, within=span("20260105T000000", "20260105T000500")).components) == 5


def test_spent_request_expands_nothing() -> None:
    """When the steps of a request are spent, expansion raises TooManyInstances, and the object is served whole."""
    parsed = calendar(event("DTSTART:20260101T000000Z", "RRULE:FREQ=DAILY"))

    with pytest.raises(TooManyInstances):
        partial_calendar(parsed, CalendarDataRequest(expand=WEEK), UTC, Budget(1))
