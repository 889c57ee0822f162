"""CALDAV:calendar-multiget (RFC 4791 section 7.9) and CARDDAV:addressbook-multiget (RFC 6352 section 8.7)."""

from __future__ import annotations

import pytest
from tests.dav.reports.face import ANNA, BERTA, DECLARED, FRIENDS, WORK, Answer, Face, card, event

from keepwell.dav.reports import size
from keepwell.model.names import Home

CARD_DATA = ".//A:address-data"
CALENDAR_DATA = ".//C:calendar-data"


def cards(face: Face, *hrefs: str, prop: str = "<D:getetag/><A:address-data/>", path: str = FRIENDS) -> Answer:
    listed = "".join(f"<D:href>{href}</D:href>" for href in hrefs)
    body = f"<A:addressbook-multiget><D:prop>{prop}</D:prop>{listed}</A:addressbook-multiget>"
    return face.report(path, body, None)


def events(face: Face, *hrefs: str, prop: str = "<D:getetag/><C:calendar-data/>", path: str = WORK) -> Answer:
    listed = "".join(f"<D:href>{href}</D:href>" for href in hrefs)
    body = f"<C:calendar-multiget><D:prop>{prop}</D:prop>{listed}</C:calendar-multiget>"
    return face.report(path, body, None)


def test_items_come_with_entity_tag_and_content(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a", "SUMMARY:Tea & <b>biscuits</b>"))
    answer = events(face, f"{WORK}a.ics")
    served = face.request("GET", f"{WORK}a.ics")
    assert answer.status == 207
    assert answer.texts(".//D:getetag") == [served.headers[b"etag"].decode()]
    assert answer.texts(CALENDAR_DATA) == [served.body.decode().replace("\r\n", "\n")]


def test_an_absolute_href_means_the_same_item(face: Face) -> None:
    face.put(f"{FRIENDS}a.vcf", card("a"))
    assert cards(face, f"https://dav.example.org{FRIENDS}a.vcf").hrefs() == {"a.vcf"}


@pytest.mark.parametrize("href", [f"{FRIENDS}a%40b%20c.vcf", f"{FRIENDS}a@b%20c.vcf", f"{FRIENDS}%61@b%20c.vcf"])
def test_a_href_may_be_encoded_in_any_way(face: Face, href: str) -> None:
    face.put(f"{FRIENDS}a@b%20c.vcf", card("a"))
    assert cards(face, href).statuses() == {f"{FRIENDS}a@b%20c.vcf": "200"}


@pytest.mark.parametrize(
    "href",
    [
        f"{FRIENDS}nothing.vcf",
        f"{WORK}a.ics",
        "/dav/contacts/berta@example.org/friends/a.vcf",
        f"{FRIENDS}../friends/a.vcf",
        f"{FRIENDS}a%2Fb.vcf",
        f"{FRIENDS}%ff.vcf",
        f"{FRIENDS}%00.vcf",
        FRIENDS,
        "/",
        "a.vcf",
        "mailto:a@example.org",
        "http://[::1",
    ],
)
def test_a_href_that_means_no_item_of_this_collection_is_a_404_of_its_own(face: Face, href: str) -> None:
    face.put(f"{WORK}a.ics", event("a"))
    face.put(f"{FRIENDS}a.vcf", card("a"))
    answer = cards(face, f"{FRIENDS}a.vcf", href)
    assert answer.statuses() == {f"{FRIENDS}a.vcf": "200", href: "404"}


def test_an_item_named_twice_is_answered_once(face: Face) -> None:
    face.put(f"{FRIENDS}a.vcf", card("a"))
    assert cards(face, f"{FRIENDS}a.vcf", f"{FRIENDS}a.vcf", f"{FRIENDS}%61.vcf").hrefs() == {"a.vcf"}


def test_a_request_without_hrefs_is_a_bad_request(face: Face) -> None:
    assert cards(face).status == 400


def test_properties_alone_need_no_content(face: Face) -> None:
    face.put(f"{FRIENDS}a.vcf", card("a"))
    answer = cards(face, f"{FRIENDS}a.vcf", f"{FRIENDS}b.vcf", prop="<D:getetag/>")
    assert answer.statuses() == {f"{FRIENDS}a.vcf": "200", f"{FRIENDS}b.vcf": "404"}
    assert answer.texts(CARD_DATA) == []


def test_a_control_character_is_left_out_of_the_answer_and_kept_in_the_item(face: Face) -> None:
    body = card("a", "NOTE:before\x0bafter")
    face.put(f"{FRIENDS}a.vcf", body)
    answer = cards(face, f"{FRIENDS}a.vcf")
    assert "NOTE:beforeafter" in answer.texts(CARD_DATA)[0]
    assert face.request("GET", f"{FRIENDS}a.vcf").body == body


def test_parts_of_a_card_can_be_asked_for(face: Face) -> None:
    face.put(f"{FRIENDS}a.vcf", card("a", "TEL:1", "EMAIL:a@example.org"))
    prop = '<A:address-data><A:prop name="VERSION"/><A:prop name="EMAIL"/></A:address-data>'
    (text,) = cards(face, f"{FRIENDS}a.vcf", prop=prop).texts(CARD_DATA)
    assert text.split() == ["BEGIN:VCARD", "VERSION:3.0", "EMAIL:a@example.org", "END:VCARD"]


def test_parts_of_an_event_can_be_asked_for(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a", "SUMMARY:tea", "LOCATION:here"))
    inside = '<C:comp name="VEVENT"><C:prop name="SUMMARY"/></C:comp>'
    prop = f'<C:calendar-data><C:comp name="VCALENDAR"><C:prop name="VERSION"/>{inside}</C:comp></C:calendar-data>'
    (text,) = events(face, f"{WORK}a.ics", prop=prop).texts(CALENDAR_DATA)
    assert text.split() == [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "BEGIN:VEVENT",
        "SUMMARY:tea",
        "END:VEVENT",
        "END:VCALENDAR",
    ]


def test_a_recurring_event_can_be_expanded(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a", "RRULE:FREQ=DAILY;COUNT=5"))
    prop = '<C:calendar-data><C:expand start="20260602T000000Z" end="20260604T000000Z"/></C:calendar-data>'
    (text,) = events(face, f"{WORK}a.ics", prop=prop).texts(CALENDAR_DATA)
    assert [line for line in text.split() if line.startswith("DTSTART")] == [
        "DTSTART:20260602T100000Z",
        "DTSTART:20260603T100000Z",
    ]
    assert "RRULE" not in text


def test_an_event_with_too_many_instances_comes_as_it_is_instead_of_failing_the_others(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a", "RRULE:FREQ=SECONDLY"))
    face.put(f"{WORK}b.ics", event("b"))
    prop = '<C:calendar-data><C:expand start="20260601T000000Z" end="20260701T000000Z"/></C:calendar-data>'
    answer = events(face, f"{WORK}a.ics", f"{WORK}b.ics", prop=prop)
    assert answer.hrefs() == {"a.ics", "b.ics"}
    assert any("RRULE:FREQ=SECONDLY" in text for text in answer.texts(CALENDAR_DATA))


@pytest.mark.parametrize(
    "form", ['content-type="application/calendar+xml"', 'version="1.0"', 'content-type="text/vcard"']
)
def test_another_form_of_calendar_data_is_refused_by_its_precondition(face: Face, form: str) -> None:
    face.put(f"{WORK}a.ics", event("a"))
    answer = events(face, f"{WORK}a.ics", prop=f"<C:calendar-data {form}/>")
    assert (answer.status, answer.conditions()) == (403, ["C:supported-calendar-data"])


@pytest.mark.parametrize("form", ['content-type="application/vcard+json"', 'version="5.0"'])
def test_another_form_of_address_data_is_refused_by_its_precondition(face: Face, form: str) -> None:
    face.put(f"{FRIENDS}a.vcf", card("a"))
    answer = cards(face, f"{FRIENDS}a.vcf", prop=f"<A:address-data {form}/>")
    assert (answer.status, answer.conditions()) == (403, ["A:supported-address-data"])


def test_a_supported_version_is_no_wish_for_conversion(face: Face) -> None:
    face.put(f"{FRIENDS}a.vcf", card("a"))
    prop = '<A:address-data content-type="text/vcard" version="4.0"/>'
    assert "VERSION:3.0" in cards(face, f"{FRIENDS}a.vcf", prop=prop).texts(CARD_DATA)[0]


def test_an_item_can_be_asked_about_itself_only(face: Face) -> None:
    for name in ("a", "b"):
        face.put(f"{WORK}{name}.ics", event(name))
    answer = events(face, f"{WORK}a.ics", f"{WORK}b.ics", path=f"{WORK}a.ics")
    assert answer.statuses() == {f"{WORK}a.ics": "200", f"{WORK}b.ics": "404"}


def test_contacts_are_not_asked_for_among_calendars(face: Face) -> None:
    answer = cards(face, f"{WORK}a.vcf", path=WORK)
    assert (answer.status, answer.conditions()) == (403, ["D:supported-report"])


def test_what_is_not_shared_is_not_there(face: Face) -> None:
    face.door.shared[BERTA] = {(ANNA, Home.CONTACTS, "friends"): False}
    face.put(f"{FRIENDS}a.vcf", card("a"))
    face.put(f"{WORK}a.ics", event("a"))
    listed = f"<D:href>{FRIENDS}a.vcf</D:href><D:href>{WORK}a.ics</D:href>"
    body = f"<A:addressbook-multiget><D:prop/>{listed}</A:addressbook-multiget>"
    statuses = face.report(FRIENDS, body, None, "berta@example.org").statuses()
    assert statuses == {f"{FRIENDS}a.vcf": "200", f"{WORK}a.ics": "404"}


def test_minimal_answers_leave_out_what_is_missing_and_say_so(face: Face) -> None:
    face.put(f"{FRIENDS}a.vcf", card("a"))
    root = f"A:addressbook-multiget {DECLARED}"
    inner = f"<D:prop><D:getetag/><D:x/></D:prop><D:href>{FRIENDS}a.vcf</D:href>"
    ask = f"<{root}>{inner}</A:addressbook-multiget>"
    answer = face.request("REPORT", FRIENDS, ask, {"Prefer": "return=minimal"})
    assert answer.texts(".//D:propstat/D:status") == ["HTTP/1.1 200 OK"]
    assert answer.headers[b"preference-applied"] == b"return=minimal"


def test_a_request_that_names_no_properties_gets_hrefs(face: Face) -> None:
    face.put(f"{FRIENDS}a.vcf", card("a"))
    body = f"<A:addressbook-multiget><D:href>{FRIENDS}a.vcf</D:href></A:addressbook-multiget>"
    assert face.report(FRIENDS, body).hrefs() == {"a.vcf"}


def test_what_has_no_room_in_the_answer_has_a_507_of_its_own(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the octets of an answer each href that is left gets a 507, and those that mean nothing their 404."""
    for name in ("a", "b", "c"):
        face.put(f"{WORK}{name}.ics", event(name))
    monkeypatch.setattr(size, "ANSWER_OCTETS_MAX", 10)
    answer = events(face, f"{WORK}a.ics", f"{WORK}b.ics", f"{WORK}c.ics", "/elsewhere")
    statuses = {"a.ics": "200", "b.ics": "507", "c.ics": "507"}
    assert answer.statuses() == {"/elsewhere": "404"} | {WORK + name: status for name, status in statuses.items()}
