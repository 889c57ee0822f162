"""Spans: the index never hides what a query would find, and knows when it is sure."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepwell.formats.contentlines import parse
from keepwell.formats.expansion import Budget
from keepwell.formats.icalendar import examine
from keepwell.formats.recurrence import Span, span_of
from keepwell.formats.times import BEGINNING, FOREVER, TimeRange
from tests.query.building import BERLIN, at, component, event, is_found, octets
from tests.query.test_timezones import EASTERN


def span_of_octets(data: bytes) -> Span:
    return span_of(examine(data), data)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            ("DTSTART:20260105T090000Z", "DTEND:20260105T100000Z"),
            Span(at("20260105T090000"), at("20260105T100000"), True),
        ),
        (("DTSTART:20260105T090000Z",), Span(at("20260105T090000"), at("20260105T090001"), True)),
        (
            ("DTSTART;TZID=Europe/Berlin:20260105T090000", "DURATION:PT1H"),
            Span(at("20260105T080000"), at("20260105T090000"), True),
        ),
        (
            ("DTSTART;TZID=Office:20260705T090000", "DURATION:PT1H"),
            Span(at("20260705T130000"), at("20260705T140000"), True),
        ),
    ],
)
def test_simple_event_has_an_exact_span(lines: tuple[str, ...], expected: Span) -> None:
    """The span of an event with known zones that does not recur is the time that it covers."""
    assert span_of_octets(octets(EASTERN, event(*lines))) == expected


@pytest.mark.parametrize(
    "line",
    ["DTSTART:20260105T090000", "DTSTART;VALUE=DATE:20260105", "DTSTART;TZID=Atlantis:20260105T090000"],
)
def test_time_without_a_zone_has_a_wide_span(line: str) -> None:
    """What is read differently in different zones has a span that holds all readings."""
    found = span_of_octets(octets(event(line)))

    assert not found.exact
    assert found.start <= at("20260104T190000")
    assert found.end >= at("20260105T210000")


def test_span_of_a_series_ends_with_it() -> None:
    """A series is in the index up to its UNTIL or COUNT, and one without for ever."""
    start = "DTSTART:20260105T090000Z"

    until = span_of_octets(octets(event(start, "RRULE:FREQ=DAILY;UNTIL=20260201T000000Z")))
    count = span_of_octets(octets(event(start, "RRULE:FREQ=WEEKLY;BYDAY=MO,TU;COUNT=4")))
    endless = span_of_octets(octets(event(start, "RRULE:FREQ=WEEKLY")))

    assert at("20260131T000000") < until.end < at("20260205T000000")
    assert at("20260113T090000") < count.end < at("20260117T000000")
    assert endless.end == FOREVER


def test_span_of_what_cannot_be_understood_is_everything() -> None:
    """An object in another calendar's rules is read on every query."""
    found = span_of_octets(octets(event("DTSTART:20260105T090000Z", "RRULE:RSCALE=HEBREW;FREQ=YEARLY")))

    assert found == Span(BEGINNING, FOREVER, False)


ZONES = ["", ";TZID=Europe/Berlin", ";TZID=America/New_York", ";TZID=Office", ";TZID=Atlantis", "Z", "D"]


def _moment(name: str, zone: str, moment: datetime) -> str:
    if zone == "D":
        return f"{name};VALUE=DATE:{moment:%Y%m%d}"
    return f"{name}:{moment:%Y%m%dT%H%M%S}Z" if zone == "Z" else f"{name}{zone}:{moment:%Y%m%dT%H%M%S}"


@st.composite
def objects(draw: st.DrawFn) -> str:
    """Events and tasks with all sorts of times and recurrences."""
    zone = draw(st.sampled_from(ZONES))
    moments = st.datetimes(datetime(2025, 12, 1), datetime(2026, 3, 1)).map(lambda one: one.replace(microsecond=0))
    start = draw(moments)
    name = draw(st.sampled_from(["VEVENT", "VTODO"]))
    lines = [_moment("DTSTART", zone, start)]
    length = draw(st.sampled_from([None, timedelta(), timedelta(hours=1), timedelta(days=2), timedelta(days=-1)]))
    if length is not None and draw(st.booleans()):
        lines.append(_moment("DTEND" if name == "VEVENT" else "DUE", zone, start + length))
    elif length is not None and length >= timedelta():
        lines.append(f"DURATION:P{length.days}DT{length.seconds}S")
    lines.append(
        draw(
            st.sampled_from(
                [
                    "SUMMARY:x",
                    "RRULE:FREQ=DAILY;COUNT=4",
                    "RRULE:FREQ=WEEKLY",
                    "RRULE:FREQ=DAILY;UNTIL=20260115T000000Z",
                ]
            )
        )
    )
    if draw(st.booleans()):
        lines.append(_moment("RDATE", zone, draw(moments)))
    if draw(st.booleans()):
        lines.append(_moment("EXDATE", zone, start))
    parts = [EASTERN, component(name, *lines)]
    if draw(st.booleans()):
        ranged = draw(st.sampled_from(["", ";RANGE=THISANDFUTURE"]))
        identity = _moment("RECURRENCE-ID" + ranged, zone, start + timedelta(days=1))
        parts.append(component(name, identity, _moment("DTSTART", zone, draw(moments))))
    return "\n".join(parts)


@given(
    text=objects(),
    start=st.integers(at("20251120T000000"), at("20260320T000000")),
    length=st.integers(1, 40 * 86400),
    zone=st.sampled_from([UTC, BERLIN, ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Etc/GMT+12")]),
)
@settings(deadline=None, max_examples=300)
def test_span_holds_every_match(text: str, start: int, length: int, zone: ZoneInfo) -> None:
    """Whatever a query finds is in the index, and what an exact span says is what a query finds."""
    data, asked = octets(text), TimeRange(start, start + length)
    name = "VTODO" if "VTODO" in text else "VEVENT"
    found = span_of_octets(data)

    is_match = is_found(parse(data).components[0], asked, name, zone)

    assert asked.overlaps(found.start, found.end) or not is_match
    assert not found.exact or asked.overlaps(found.start, found.end) is is_match


@given(
    day=st.integers(0, 300),
    interval=st.integers(1, 5),
    unit=st.sampled_from(["DAILY", "WEEKLY"]),
    minutes=st.integers(0, 3000),
    asked_day=st.integers(-20, 500),
    asked_hours=st.integers(1, 900),
    count=st.integers(1, 60),
)
@settings(deadline=None, max_examples=150)
def test_simple_series_matches_as_counted_by_hand(
    day: int, interval: int, unit: str, minutes: int, asked_day: int, asked_hours: int, count: int
) -> None:
    """A series in UTC overlaps a range exactly when one of its instances, written out, does."""
    first = datetime(2026, 1, 1, 9, tzinfo=UTC) + timedelta(days=day)
    step, length = timedelta(days=interval * (7 if unit == "WEEKLY" else 1)), timedelta(minutes=minutes)
    text = event(
        f"DTSTART:{first:%Y%m%dT%H%M%SZ}",
        f"DURATION:PT{minutes}M",
        f"RRULE:FREQ={unit};INTERVAL={interval};COUNT={count}",
    )
    begin = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day + asked_day)
    end = begin + timedelta(hours=asked_hours)
    by_hand = any(
        begin < max(start + length, start + timedelta(seconds=1)) and end > start
        for start in (first + number * step for number in range(count))
    )

    asked = TimeRange(int(begin.timestamp()), int(end.timestamp()))

    assert is_found(parse(octets(text)).components[0], asked) is by_hand


def test_object_with_many_rules_has_the_unknown_span() -> None:
    """More rules than anybody writes are not followed: the span is that of everything."""
    rules = [f"RRULE:FREQ=YEARLY;COUNT={9000 + number};BYYEARDAY=-366" for number in range(100)]

    assert span_of_octets(octets(event("DTSTART:20260105T090000Z", *rules))) == Span(BEGINNING, FOREVER, False)


def test_counting_for_one_object_takes_one_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many components, each with rules that are counted in vain, take no more steps than one object may."""
    taken: list[int] = []
    spend = Budget.spend

    def counting(budget: Budget, steps: int = 1) -> None:
        taken.append(steps)
        spend(budget, steps)

    monkeypatch.setattr(Budget, "spend", counting)
    parts = [
        event(
            f"DTSTART:20260105T09{number:02d}00Z",
            f"RECURRENCE-ID:20260105T09{number:02d}00Z",
            f"RRULE:FREQ=YEARLY;COUNT={8000 + number};BYYEARDAY=-366",
        )
        for number in range(40)
    ]
    found = span_of_octets(octets(*parts))

    assert not found.exact
    # Each step is spent of the rule and of the object; a rule may ask for one year more than there is.
    assert sum(taken) <= 2 * 20_000 + 41 * 400
