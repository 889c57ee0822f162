"""RFC 4791 section 9.9: each row of each table, with the times at which its conditions turn."""

from datetime import UTC

import pytest

from keepwell.formats.icalendar import examine
from keepwell.formats.recurrence import span_of
from keepwell.services.query.calendar_match import matches
from tests.query.building import NEW_YORK, calendar, component, is_found, octets, span, within

# Each row: the component, its lines, start and end of the range (all on 5 January 2026), whether it overlaps.
EVENT_ROWS = [
    # VEVENT with DTEND: (start < DTEND AND end > DTSTART)
    ("DTSTART:20260105T090000Z DTEND:20260105T100000Z", "080000", "090000", False),
    ("DTSTART:20260105T090000Z DTEND:20260105T100000Z", "080000", "090001", True),
    ("DTSTART:20260105T090000Z DTEND:20260105T100000Z", "095959", "110000", True),
    ("DTSTART:20260105T090000Z DTEND:20260105T100000Z", "100000", "110000", False),
    ("DTSTART:20260105T090000Z DTEND:20260105T100000Z", "", "090001", True),
    ("DTSTART:20260105T090000Z DTEND:20260105T100000Z", "", "090000", False),
    ("DTSTART:20260105T090000Z DTEND:20260105T100000Z", "095959", "", True),
    ("DTSTART:20260105T090000Z DTEND:20260105T100000Z", "100000", "", False),
    # ... also when both are the same: it is in no range that starts with it
    ("DTSTART:20260105T090000Z DTEND:20260105T090000Z", "080000", "100000", True),
    ("DTSTART:20260105T090000Z DTEND:20260105T090000Z", "090000", "100000", False),
    # VEVENT with DURATION over zero: (start < DTSTART+DURATION AND end > DTSTART)
    ("DTSTART:20260105T090000Z DURATION:PT1H", "095959", "110000", True),
    ("DTSTART:20260105T090000Z DURATION:PT1H", "100000", "110000", False),
    ("DTSTART:20260105T090000Z DURATION:PT1H", "080000", "090000", False),
    # VEVENT with DURATION of zero: (start <= DTSTART AND end > DTSTART)
    ("DTSTART:20260105T090000Z DURATION:PT0S", "090000", "100000", True),
    ("DTSTART:20260105T090000Z DURATION:PT0S", "090001", "100000", False),
    ("DTSTART:20260105T090000Z DURATION:PT0S", "080000", "090000", False),
    # VEVENT without either, DTSTART a DATE-TIME: (start <= DTSTART AND end > DTSTART)
    ("DTSTART:20260105T090000Z", "090000", "100000", True),
    ("DTSTART:20260105T090000Z", "090001", "100000", False),
    ("DTSTART:20260105T090000Z", "080000", "090000", False),
    # VEVENT without either, DTSTART a DATE: (start < DTSTART+P1D AND end > DTSTART)
    ("DTSTART;VALUE=DATE:20260105", "235959", "", True),
    ("DTSTART;VALUE=DATE:20260104", "000000", "", False),
    ("DTSTART;VALUE=DATE:20260105", "", "000000", False),
    ("DTSTART;VALUE=DATE:20260105", "", "000001", True),
]
TASK_ROWS = [
    # DTSTART and DURATION: (start <= DTSTART+DURATION) AND ((end > DTSTART) OR (end >= DTSTART+DURATION))
    ("DTSTART:20260105T090000Z DURATION:PT1H", "100000", "110000", True),
    ("DTSTART:20260105T090000Z DURATION:PT1H", "100001", "110000", False),
    ("DTSTART:20260105T090000Z DURATION:PT1H", "080000", "090000", False),
    ("DTSTART:20260105T090000Z DURATION:PT1H", "080000", "090001", True),
    ("DTSTART:20260105T090000Z DURATION:PT0S", "080000", "090000", True),
    ("DTSTART:20260105T090000Z DURATION:PT0S", "080000", "085959", False),
    # DTSTART and DUE: ((start < DUE) OR (start <= DTSTART)) AND ((end > DTSTART) OR (end >= DUE))
    ("DTSTART:20260105T090000Z DUE:20260105T100000Z", "095959", "110000", True),
    ("DTSTART:20260105T090000Z DUE:20260105T100000Z", "100000", "110000", False),
    ("DTSTART:20260105T090000Z DUE:20260105T100000Z", "080000", "090000", False),
    ("DTSTART:20260105T090000Z DUE:20260105T090000Z", "090000", "100000", True),
    ("DTSTART:20260105T090000Z DUE:20260105T090000Z", "080000", "090000", True),
    ("DTSTART:20260105T090000Z DUE:20260105T090000Z", "090001", "100000", False),
    # DTSTART only: (start <= DTSTART) AND (end > DTSTART)
    ("DTSTART:20260105T090000Z", "090000", "100000", True),
    ("DTSTART:20260105T090000Z", "080000", "090000", False),
    ("DTSTART:20260105T090000Z", "090001", "100000", False),
    # DUE only: (start < DUE) AND (end >= DUE)
    ("DUE:20260105T090000Z", "080000", "090000", True),
    ("DUE:20260105T090000Z", "090000", "100000", False),
    ("DUE:20260105T090000Z", "080000", "085959", False),
    # COMPLETED and CREATED: ((start <= CREATED) OR (start <= COMPLETED)) AND ((end >= CREATED) OR (end >= COMPLETED))
    ("CREATED:20260105T090000Z COMPLETED:20260105T100000Z", "100000", "110000", True),
    ("CREATED:20260105T090000Z COMPLETED:20260105T100000Z", "100001", "110000", False),
    ("CREATED:20260105T090000Z COMPLETED:20260105T100000Z", "080000", "090000", True),
    ("CREATED:20260105T090000Z COMPLETED:20260105T100000Z", "080000", "085959", False),
    # COMPLETED only: (start <= COMPLETED) AND (end >= COMPLETED)
    ("COMPLETED:20260105T090000Z", "090000", "100000", True),
    ("COMPLETED:20260105T090000Z", "080000", "090000", True),
    ("COMPLETED:20260105T090000Z", "090001", "100000", False),
    # CREATED only: (end > CREATED)
    ("CREATED:20260105T090000Z", "080000", "090000", False),
    ("CREATED:20260105T090000Z", "080000", "090001", True),
    ("CREATED:20260105T090000Z", "200000", "210000", True),
    # none of them: TRUE
    ("SUMMARY:someday", "080000", "090000", True),
    ("SUMMARY:someday", "", "090000", True),
]
JOURNAL_ROWS = [
    # DTSTART a DATE-TIME: (start <= DTSTART) AND (end > DTSTART)
    ("DTSTART:20260105T090000Z", "090000", "100000", True),
    ("DTSTART:20260105T090000Z", "090001", "100000", False),
    ("DTSTART:20260105T090000Z", "080000", "090000", False),
    # DTSTART a DATE: (start < DTSTART+P1D) AND (end > DTSTART)
    ("DTSTART;VALUE=DATE:20260105", "235959", "", True),
    ("DTSTART;VALUE=DATE:20260104", "000000", "", False),
    # no DTSTART: FALSE
    ("SUMMARY:undated", "080000", "090000", False),
    ("SUMMARY:undated", "", "090000", False),
    ("SUMMARY:undated", "080000", "", False),
]
FREE_BUSY_ROWS = [
    # DTSTART and DTEND: (start <= DTEND) AND (end > DTSTART)
    ("DTSTART:20260105T090000Z DTEND:20260105T100000Z", "100000", "110000", True),
    ("DTSTART:20260105T090000Z DTEND:20260105T100000Z", "100001", "110000", False),
    ("DTSTART:20260105T090000Z DTEND:20260105T100000Z", "080000", "090000", False),
    # FREEBUSY only: (start < period-end) AND (end > period-start)
    ("FREEBUSY:20260105T090000Z/PT1H,20260105T150000Z/20260105T160000Z", "100000", "150000", False),
    ("FREEBUSY:20260105T090000Z/PT1H,20260105T150000Z/20260105T160000Z", "100000", "150001", True),
    ("FREEBUSY:20260105T090000Z/PT1H,20260105T150000Z/20260105T160000Z", "095959", "150000", True),
    # neither: FALSE
    ("DTSTART:20260105T090000Z", "080000", "100000", False),
]
ROWS = [
    *(("VEVENT", *row) for row in EVENT_ROWS),
    *(("VTODO", *row) for row in TASK_ROWS),
    *(("VJOURNAL", *row) for row in JOURNAL_ROWS),
    *(("VFREEBUSY", *row) for row in FREE_BUSY_ROWS),
]


def _time(text: str) -> str:
    return f"20260105T{text}" if text else ""


@pytest.mark.parametrize(("name", "lines", "start", "end", "overlaps"), ROWS)
def test_component_overlaps_as_its_row_says(name: str, lines: str, start: str, end: str, overlaps: bool) -> None:
    """A component overlaps a time range exactly when its row of the table says so."""
    parsed = calendar(component(name, *lines.split(" ")))

    assert matches(parsed, within(name, span(_time(start), _time(end))), UTC) is overlaps


@pytest.mark.parametrize(("name", "lines", "start", "end", "overlaps"), ROWS)
def test_span_agrees_with_the_row(name: str, lines: str, start: str, end: str, overlaps: bool) -> None:
    """The index finds what the table says, and when its span is exact, nothing else."""
    if name == "VEVENT" and "DTSTART" not in lines:
        pytest.skip("refused before it is indexed")
    data, asked = octets(component(name, *lines.split(" "))), span(_time(start), _time(end))

    found = span_of(examine(data), data)

    if found.exact:
        assert asked.overlaps(found.start, found.end) is overlaps
    else:
        assert asked.overlaps(found.start, found.end) or not overlaps


def test_component_without_time_is_in_the_range_of_a_query_without_one() -> None:
    """What overlaps no time range is still found by a query that asks for none."""
    data = octets(component("VJOURNAL", "SUMMARY:undated"))

    found = span_of(examine(data), data)

    assert span().overlaps(found.start, found.end)


def test_date_is_a_day_in_the_zone_of_the_asker() -> None:
    """An all-day event starts at midnight of the zone that floating times are read in."""
    parsed = calendar(component("VEVENT", "DTSTART;VALUE=DATE:20260105"))

    assert not is_found(parsed, span("20260105T000000", "20260105T050000"), zone=NEW_YORK)
    assert is_found(parsed, span("20260106T045959", "20260107T000000"), zone=NEW_YORK)
    assert not is_found(parsed, span("20260106T050000", "20260107T000000"), zone=NEW_YORK)


def test_floating_time_is_read_in_the_zone_of_the_asker() -> None:
    """A floating event at nine is at 14:00 UTC for somebody in New York."""
    parsed = calendar(component("VEVENT", "DTSTART:20260105T090000", "DTEND:20260105T100000"))

    assert is_found(parsed, span("20260105T143000", "20260105T150000"), zone=NEW_YORK)
    assert not is_found(parsed, span("20260105T090000", "20260105T140000"), zone=NEW_YORK)
