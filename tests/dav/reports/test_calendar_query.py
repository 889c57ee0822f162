"""CALDAV:calendar-query, RFC 4791 section 7.8: what the report makes of filters, depths and time zones.

What the filters themselves mean is tested where they are matched.
"""

from __future__ import annotations

import pytest
from tests.dav.reports.face import ANNA, BERTA, FRIENDS, WORK, Answer, Face, calendar, event

from keepwell.dav.reports import question, size
from keepwell.model.names import Home

JUNE = '<C:time-range start="20260601T000000Z" end="20260701T000000Z"/>'
BERLIN = "\r\n".join(
    (
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//t//t//EN",
        "BEGIN:VTIMEZONE",
        "TZID:Berlin",
        "BEGIN:STANDARD",
        "DTSTART:19700101T000000",
        "TZOFFSETFROM:+0200",
        "TZOFFSETTO:+0200",
        "END:STANDARD",
        "END:VTIMEZONE",
        "END:VCALENDAR",
        "",
    )
)


def events(inner: str = "") -> str:
    """A filter for events."""
    return in_calendar(f'<C:comp-filter name="VEVENT">{inner}</C:comp-filter>')


def in_calendar(inner: str) -> str:
    return f'<C:filter><C:comp-filter name="VCALENDAR">{inner}</C:comp-filter></C:filter>'


def query(
    face: Face,
    asked: str,
    path: str = WORK,
    *,
    prop: str = "<D:prop><D:getetag/></D:prop>",
    depth: str | None = "1",
    login: str = "anna",
) -> Answer:
    return face.report(path, f"<C:calendar-query>{prop}{asked}</C:calendar-query>", depth, login)


def range_of(start: str, end: str) -> str:
    return f'<C:time-range start="{start}" end="{end}"/>'


@pytest.fixture
def year(face: Face) -> Face:
    """An event in each month of 2026, on the first at 10:00 UTC for an hour."""
    for month in range(1, 13):
        face.put(f"{WORK}{month}.ics", event(str(month), f"DTSTART:2026{month:02d}01T100000Z", "DURATION:PT1H"))
    return face


def test_a_time_range_selects_what_overlaps_it(year: Face) -> None:
    assert query(year, events(JUNE)).hrefs() == {"6.ics"}


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        ("20260601T090000Z", "20260601T100000Z", False),
        ("20260601T090000Z", "20260601T100001Z", True),
        ("20260601T105959Z", "20260601T120000Z", True),
        ("20260601T110000Z", "20260601T120000Z", False),
    ],
)
def test_a_time_range_is_without_its_end(year: Face, start: str, end: str, found: bool) -> None:
    assert bool(query(year, events(range_of(start, end))).hrefs()) is found


def test_a_time_range_may_be_open_at_either_end(year: Face) -> None:
    assert query(year, events('<C:time-range start="20261101T000000Z"/>')).hrefs() == {"11.ics", "12.ics"}
    assert query(year, events('<C:time-range end="20260301T000000Z"/>')).hrefs() == {"1.ics", "2.ics"}


def test_without_a_time_range_everything_of_the_component_is_found(year: Face) -> None:
    year.put(f"{WORK}t.ics", calendar("VTODO", "t", "SUMMARY:x"))
    assert len(query(year, events()).hrefs()) == 12
    assert query(year, in_calendar('<C:comp-filter name="VTODO"/>')).hrefs() == {"t.ics"}


def test_a_filter_on_the_calendar_alone_finds_every_component(face: Face) -> None:
    face.put(f"{WORK}e.ics", event("e"))
    face.put(f"{WORK}t.ics", calendar("VTODO", "t"))
    face.put(f"{WORK}j.ics", calendar("VJOURNAL", "j"))
    assert query(face, in_calendar("")).hrefs() == {"e.ics", "t.ics", "j.ics"}


def test_a_recurrence_is_found_in_its_occurrences_only(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a", "DTSTART:20260105T100000Z", "DURATION:PT1H", "RRULE:FREQ=WEEKLY"))
    assert query(face, events(range_of("20460101T000000Z", "20460201T000000Z"))).hrefs() == {"a.ics"}
    assert query(face, events(range_of("20260106T000000Z", "20260107T000000Z"))).hrefs() == set()


def test_a_task_without_any_date_is_found_by_every_range(face: Face) -> None:
    face.put(f"{WORK}t.ics", calendar("VTODO", "t"))
    assert query(face, in_calendar(f'<C:comp-filter name="VTODO">{JUNE}</C:comp-filter>')).hrefs() == {"t.ics"}


def test_a_property_and_a_time_range_must_both_hold(year: Face) -> None:
    year.put(f"{WORK}tea.ics", event("tea", "SUMMARY:Tea with Zoë"))
    text = '<C:prop-filter name="SUMMARY"><C:text-match>TEA</C:text-match></C:prop-filter>'
    assert query(year, events(JUNE + text)).hrefs() == {"tea.ics"}
    assert query(year, events(range_of("20260701T000000Z", "20260801T000000Z") + text)).hrefs() == set()


def test_an_alarm_is_found_by_its_time(face: Face) -> None:
    alarm = ("BEGIN:VALARM", "ACTION:DISPLAY", "DESCRIPTION:x", "TRIGGER:-PT15M", "END:VALARM")
    face.put(f"{WORK}a.ics", event("a", *alarm))
    at_quarter = range_of("20260601T094000Z", "20260601T095000Z")
    at_start = range_of("20260601T100000Z", "20260601T101500Z")
    assert query(face, events(f'<C:comp-filter name="VALARM">{at_quarter}</C:comp-filter>')).hrefs() == {"a.ics"}
    assert query(face, events(f'<C:comp-filter name="VALARM">{at_start}</C:comp-filter>')).hrefs() == set()


def test_content_comes_with_what_was_found(year: Face) -> None:
    answer = query(year, events(JUNE), prop="<D:prop><D:getetag/><C:calendar-data/></D:prop>")
    served = year.request("GET", f"{WORK}6.ics").body.decode()
    assert answer.texts(".//C:calendar-data") == [served.replace("\r\n", "\n")]


def test_what_was_found_can_be_expanded(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a", "RRULE:FREQ=DAILY"))
    expand = '<C:expand start="20260610T000000Z" end="20260612T000000Z"/>'
    prop = f"<D:prop><C:calendar-data>{expand}</C:calendar-data></D:prop>"
    (text,) = query(face, events(JUNE), prop=prop).texts(".//C:calendar-data")
    assert text.count("BEGIN:VEVENT") == 2
    assert "RRULE" not in text


def test_a_floating_time_is_read_in_the_zone_of_the_request(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a", "DTSTART:20260601T100000", "DURATION:PT1H"))
    at_eight = events(range_of("20260601T080000Z", "20260601T090000Z"))
    assert query(face, at_eight).hrefs() == set()
    assert query(face, at_eight + f"<C:timezone>{BERLIN}</C:timezone>").hrefs() == {"a.ics"}


def test_a_floating_time_is_read_in_the_zone_of_its_calendar(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a", "DTSTART:20260601T100000", "DURATION:PT1H"))
    body = (
        '<D:propertyupdate xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><D:set><D:prop>'
        f"<C:calendar-timezone>{BERLIN}</C:calendar-timezone></D:prop></D:set></D:propertyupdate>"
    )
    assert face.request("PROPPATCH", WORK, body).status == 207
    assert query(face, events(range_of("20260601T080000Z", "20260601T090000Z"))).hrefs() == {"a.ics"}
    assert query(face, events(range_of("20260601T100000Z", "20260601T110000Z"))).hrefs() == set()


def test_a_time_zone_that_is_none_is_refused_by_its_precondition(face: Face) -> None:
    answer = query(face, events(JUNE) + "<C:timezone>nonsense</C:timezone>")
    assert (answer.status, answer.conditions()) == (403, ["C:valid-calendar-data"])


def test_depth_zero_finds_no_members(year: Face) -> None:
    assert query(year, events(), depth="0").statuses() == {}


@pytest.mark.parametrize("depth", ["1", "infinity", None])
def test_depth_one_or_more_or_none_finds_members(year: Face, depth: str | None) -> None:
    assert query(year, events(JUNE), depth=depth).hrefs() == {"6.ics"}


@pytest.mark.parametrize("depth", ["0", "1"])
def test_an_item_can_be_asked_about_itself(year: Face, depth: str) -> None:
    assert query(year, events(JUNE), f"{WORK}6.ics", depth=depth).hrefs() == {"6.ics"}
    assert query(year, events(JUNE), f"{WORK}7.ics", depth=depth).hrefs() == set()


def test_a_request_without_a_filter_is_refused(face: Face) -> None:
    answer = query(face, "")
    assert (answer.status, answer.conditions()) == (403, ["C:valid-filter"])


def test_a_filter_that_does_not_begin_with_the_calendar_is_refused(face: Face) -> None:
    answer = query(face, '<C:filter><C:comp-filter name="VEVENT"/></C:filter>')
    assert answer.status == 403
    assert set(answer.conditions()) <= {"C:valid-filter", "C:supported-filter"}


@pytest.mark.parametrize(
    "asked", ['<C:time-range start="yesterday"/>', "<C:time-range/>", range_of("20260601T000000", "x")]
)
def test_a_time_range_that_cannot_be_read_is_refused(face: Face, asked: str) -> None:
    answer = query(face, events(asked))
    assert (answer.status, answer.conditions()) == (403, ["C:valid-filter"])


def test_an_unknown_collation_is_refused_by_its_precondition(face: Face) -> None:
    text = '<C:prop-filter name="SUMMARY"><C:text-match collation="i;none">x</C:text-match></C:prop-filter>'
    answer = query(face, events(text))
    assert (answer.status, answer.conditions()) == (403, ["C:supported-collation"])


def test_allprop_and_no_properties_at_all_are_answered_too(year: Face) -> None:
    assert query(year, events(JUNE), prop="<D:allprop/>").texts(".//D:getcontentlength")
    assert query(year, events(JUNE), prop="").hrefs() == {"6.ics"}


@pytest.mark.parametrize("path", ["/dav/calendars/anna/", FRIENDS, "/dav/"])
def test_what_is_no_calendar_is_not_queried(face: Face, path: str) -> None:
    answer = query(face, events(), path)
    assert (answer.status, answer.conditions()) == (403, ["D:supported-report"])


def test_a_calendar_that_is_not_there_is_not_found(face: Face) -> None:
    assert query(face, events(), "/dav/calendars/anna/nothing/").status == 404


def test_a_grantee_queries_what_is_shared_and_nothing_else(year: Face) -> None:
    assert query(year, events(JUNE), login="berta@example.org").status == 404
    year.door.shared[BERTA] = {(ANNA, Home.CALENDARS, "work"): False}
    assert query(year, events(JUNE), login="berta@example.org").hrefs() == {"6.ics"}


def test_an_answer_that_grows_too_large_is_cut_and_says_so(year: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the octets of an answer the calendar itself has a 507, and what is there is whole."""
    prop = "<D:prop><C:calendar-data/></D:prop>"
    whole = query(year, events(), prop=prop)
    monkeypatch.setattr(size, "ANSWER_OCTETS_MAX", len(whole.body) // 2)
    answer = query(year, events(), prop=prop)
    assert 0 < len(answer.hrefs()) < 12
    assert answer.statuses()[WORK] == "507"
    assert answer.texts(".//C:calendar-data") == whole.texts(".//C:calendar-data")[: len(answer.hrefs())]


def test_a_request_has_one_budget_for_all_items(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the steps of a request are spent, what recurs is found, and served whole where instances were asked for."""
    for name in ("a", "b", "c"):
        face.put(f"{WORK}{name}.ics", event(name, "DTSTART:20260105T100000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY"))
    monkeypatch.setattr(question, "STEPS_PER_REQUEST", 45)
    expand = '<C:expand start="20260601T000000Z" end="20260701T000000Z"/>'
    texts = query(face, events(JUNE), prop=f"<D:prop><C:calendar-data>{expand}</C:calendar-data></D:prop>")
    assert texts.hrefs() == {"a.ics", "b.ics", "c.ics"}
    assert ["RRULE" in text for text in texts.texts(".//C:calendar-data")] == [False, True, True]
