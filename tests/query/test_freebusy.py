"""Free-busy answers: what counts as busy, and how it is told (RFC 4791 section 7.10)."""

from datetime import UTC, tzinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepwell.formats.contentlines import Component, parse
from keepwell.services.query.freebusy import Busy, BusyType, busy_times, free_busy, merged
from tests.query.building import NEW_YORK, at, calendar, component, event, span

DAY = span("20260105T000000", "20260106T000000")
TIMES = ("DTSTART:20260105T090000Z", "DTEND:20260105T100000Z")
NINE, TEN, ELEVEN = at("20260105T090000"), at("20260105T100000"), at("20260105T110000")


def busy(parsed: Component, zone: tzinfo = UTC) -> list[Busy]:
    return merged(busy_times(parsed, DAY, zone))


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((), BusyType.BUSY),
        (("STATUS:CONFIRMED",), BusyType.BUSY),
        (("STATUS:TENTATIVE",), BusyType.TENTATIVE),
        (("STATUS:CANCELLED",), None),
        (("TRANSP:OPAQUE",), BusyType.BUSY),
        (("TRANSP:TRANSPARENT",), None),
        (("TRANSP:TRANSPARENT", "STATUS:TENTATIVE"), None),
        (("STATUS:X-ODD",), BusyType.BUSY),
    ],
)
def test_event_is_as_busy_as_it_says(lines: tuple[str, ...], expected: BusyType | None) -> None:
    """TRANSP and STATUS of an event say whether it makes busy, and how."""
    found = busy(calendar(event(*TIMES, *lines)))

    assert found == ([] if expected is None else [Busy(NINE, TEN, expected)])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("FREEBUSY:20260105T090000Z/PT1H", BusyType.BUSY),
        ("FREEBUSY;FBTYPE=BUSY-UNAVAILABLE:20260105T090000Z/20260105T100000Z", BusyType.UNAVAILABLE),
        ("FREEBUSY;FBTYPE=busy-tentative:20260105T090000Z/PT1H", BusyType.TENTATIVE),
        ("FREEBUSY;FBTYPE=FREE:20260105T090000Z/PT1H", None),
        ("FREEBUSY;FBTYPE=X-ODD:20260105T090000Z/PT1H", BusyType.BUSY),
        ("FREEBUSY:nonsense", None),
    ],
)
def test_stored_free_busy_counts_by_its_type(line: str, expected: BusyType | None) -> None:
    """Periods of a stored VFREEBUSY are told by their FBTYPE, free ones not at all."""
    found = busy(calendar(component("VFREEBUSY", line)))

    assert found == ([] if expected is None else [Busy(NINE, TEN, expected)])


def test_only_the_asked_time_is_told() -> None:
    """A series is cut to the asked range, and an all-day event is a day of the asker's."""
    series = calendar(event("DTSTART:20251201T220000Z", "DURATION:PT4H", "RRULE:FREQ=DAILY"))
    whole_day = calendar(event("DTSTART;VALUE=DATE:20260105"))

    assert busy(series) == [
        Busy(DAY.start, at("20260105T020000"), BusyType.BUSY),
        Busy(at("20260105T220000"), DAY.end, BusyType.BUSY),
    ]
    assert busy(whole_day, NEW_YORK) == [Busy(at("20260105T050000"), DAY.end, BusyType.BUSY)]


def test_tasks_do_not_make_busy() -> None:
    """Only events and stored free-busy components count."""
    assert busy(calendar(component("VTODO", "DTSTART:20260105T090000Z", "DUE:20260105T100000Z"))) == []


def test_stronger_times_hide_weaker_ones() -> None:
    """Where types overlap, only the strongest is told."""
    found = merged([Busy(0, 10, BusyType.TENTATIVE), Busy(3, 5, BusyType.BUSY), Busy(4, 7, BusyType.UNAVAILABLE)])

    assert found == [
        Busy(0, 3, BusyType.TENTATIVE),
        Busy(3, 5, BusyType.BUSY),
        Busy(5, 7, BusyType.UNAVAILABLE),
        Busy(7, 10, BusyType.TENTATIVE),
    ]


@given(st.lists(st.builds(Busy, st.integers(0, 30), st.integers(0, 30), st.sampled_from(list(BusyType))), max_size=12))
def test_merging_changes_no_second(times: list[Busy]) -> None:
    """Every second has the strongest type that covers it, and no two merged times overlap or touch needlessly."""
    found = merged([one for one in times if one.start < one.end])

    for second in range(31):
        covering = [kind for kind in BusyType for one in times if one.type is kind and one.start <= second < one.end]
        told = [one.type for one in found if one.start <= second < one.end]
        assert told == covering[:1]


def test_answer_is_one_free_busy_component() -> None:
    """The answer can be read, names its range and time, and lists each type on its own lines."""
    data = free_busy(
        [Busy(TEN, ELEVEN, BusyType.TENTATIVE), Busy(NINE, TEN, BusyType.BUSY)], DAY, uid="answer", stamp=NINE
    )

    [part] = parse(data).components[0].components

    assert part.name == "VFREEBUSY"
    assert [(line.name, line.parameter("FBTYPE"), line.value) for line in part.properties] == [
        ("UID", None, "answer"),
        ("DTSTAMP", None, "20260105T090000Z"),
        ("DTSTART", None, "20260105T000000Z"),
        ("DTEND", None, "20260106T000000Z"),
        ("FREEBUSY", None, "20260105T090000Z/20260105T100000Z"),
        ("FREEBUSY", "BUSY-TENTATIVE", "20260105T100000Z/20260105T110000Z"),
    ]


def test_nothing_to_tell_is_an_answer_too() -> None:
    """A VFREEBUSY without FREEBUSY says that there is nothing."""
    assert b"BEGIN:VFREEBUSY" in free_busy([], DAY, uid="answer", stamp=0)
    assert b"FREEBUSY:" not in free_busy([], DAY, uid="answer", stamp=0)
