"""PROPFIND (RFC 4918 section 9.1) and what properties answer."""

from __future__ import annotations

import pytest
from tests.dav.reports.face import DECLARED, FRIENDS, NAMESPACES, PHOTOS, WORK, Answer, Face, card, event

from keepwell.dav import properties
from keepwell.dav.live import LIVE
from keepwell.dav.names import split
from keepwell.dav.properties import NAMES_CHARACTERS_MAX

PRINCIPAL = "/dav/principals/anna/"


def propfind(face: Face, path: str, props: str, depth: str = "0", **headers: str) -> Answer:
    body = f"<D:propfind {DECLARED}>{props}</D:propfind>"
    sent = {"Depth": depth, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return face.request("PROPFIND", path, body, sent)


@pytest.mark.parametrize("headers", [{}, {"Depth": "infinity"}])
def test_infinite_depth_is_refused_by_its_precondition(face: Face, headers: dict[str, str]) -> None:
    """A PROPFIND without Depth means infinity, which no server should walk (RFC 4918 section 9.1.1)."""
    answer = face.request("PROPFIND", "/dav/", headers=headers)
    assert answer.status == 403
    assert answer.conditions() == ["D:propfind-finite-depth"]


def test_found_and_missing_come_apart(face: Face) -> None:
    """What is there comes in a 200 propstat, what is not in a 404 propstat, whatever its namespace."""
    face.put(FRIENDS + "bob.vcf", card("bob"))
    props = '<D:prop><D:getetag/><D:nonsense/><x:y xmlns:x="urn:x"/><z/></D:prop>'
    answer = propfind(face, FRIENDS + "bob.vcf", props)
    found, missing = answer.root.findall("D:response/D:propstat", NAMESPACES)
    assert [child.tag for child in found[0]] == ["{DAV:}getetag"]
    assert [child.tag for child in missing[0]] == ["{DAV:}nonsense", "{urn:x}y", "z"]


def test_return_minimal_leaves_the_missing_out(face: Face) -> None:
    """RFC 8144 section 2.1: no 404 propstat, and the preference is said to be applied."""
    answer = propfind(face, WORK, "<D:prop><D:nonsense/></D:prop>", Prefer="return=minimal")
    (only,) = answer.root.findall("D:response/D:propstat", NAMESPACES)
    assert only.findtext("D:status", namespaces=NAMESPACES) == "HTTP/1.1 200 OK"
    assert answer.headers[b"preference-applied"] == b"return=minimal"


def test_depth_noroot_leaves_the_collection_out(face: Face) -> None:
    """RFC 8144 section 3: a client that lists members may ask for them alone."""
    face.put(WORK + "a.ics", event("a"))
    props = "<D:prop><D:getetag/></D:prop>"
    assert set(propfind(face, WORK, props, "1").statuses()) == {WORK, WORK + "a.ics"}
    answer = propfind(face, WORK, props, "1", Prefer="depth-noroot")
    assert set(answer.statuses()) == {WORK + "a.ics"}
    assert answer.headers[b"preference-applied"] == b"depth-noroot"


def test_a_client_finds_its_way_from_the_root(face: Face) -> None:
    """Root → principal → homes → collections is how every program finds what is there (RFC 5397, 4791, 6352)."""
    root = propfind(face, "/dav/", "<D:prop><D:current-user-principal/></D:prop>")
    assert root.texts(".//D:current-user-principal/D:href") == [PRINCIPAL]
    homes = propfind(face, PRINCIPAL, "<D:prop><C:calendar-home-set/><A:addressbook-home-set/></D:prop>")
    assert homes.texts(".//C:calendar-home-set/D:href") == ["/dav/calendars/anna/"]
    assert homes.texts(".//A:addressbook-home-set/D:href") == ["/dav/contacts/anna/"]
    listed = propfind(face, "/dav/calendars/anna/", "<D:prop><D:resourcetype/></D:prop>", "1")
    assert WORK in listed.statuses()
    assert len(listed.root.findall(".//C:calendar", NAMESPACES)) == 3


def test_a_principal_is_an_organizer_too(face: Face) -> None:
    """Clients look for themselves among organizers by calendar-user-address-set, which is never empty."""
    answer = propfind(face, PRINCIPAL, "<D:prop><C:calendar-user-address-set/></D:prop>", "1")
    assert answer.texts(".//C:calendar-user-address-set/D:href") == [PRINCIPAL]


def test_allprop_gives_what_rfc_4918_defines_and_what_clients_stored(face: Face) -> None:
    """Costly properties of other RFCs come only when they are named, or included."""
    face.put(WORK + "a.ics", event("a"))
    plain = propfind(face, WORK + "a.ics", "<D:allprop/>")
    tags = {child.tag for child in plain.root.iterfind(".//D:prop/*", NAMESPACES)}
    assert "{DAV:}getetag" in tags
    assert "{DAV:}acl" not in tags
    more = propfind(face, WORK + "a.ics", "<D:allprop/><D:include><D:owner/></D:include>")
    assert more.texts(".//D:owner/D:href") == [PRINCIPAL]


@pytest.mark.parametrize("path", ["/dav/", PRINCIPAL, "/dav/calendars/anna/", WORK, WORK + "a.ics", FRIENDS, PHOTOS])
def test_propname_names_exactly_what_prop_finds(face: Face, path: str) -> None:
    """Every property that is named has a value, and every live property that has one is named."""
    face.put(WORK + "a.ics", event("a"))
    named = propfind(face, path, "<D:propname/>")
    tags = [child.tag for child in named.root.iterfind(".//D:prop/*", NAMESPACES)]
    asked = "".join(f'<p:{local} xmlns:p="{namespace}"/>' for namespace, local in map(split, LIVE))
    valued = propfind(face, path, f"<D:prop>{asked}</D:prop>", Prefer="return=minimal")
    assert sorted(map(str, tags)) == sorted(str(c.tag) for c in valued.root.iterfind(".//D:prop/*", NAMESPACES))


def test_an_unsafe_name_comes_as_a_safe_href(face: Face) -> None:
    """Names that XML and URLs cannot carry as they are arrive encoded and lead back."""
    path = PHOTOS + "%3C%26%3E%20%22%C3%A4.txt"
    face.put(path, b"x")
    listed = propfind(face, PHOTOS, "<D:prop><D:getcontentlength/></D:prop>", "1").statuses()
    assert path in listed


def test_the_ctag_changes_with_every_change(face: Face) -> None:
    """Clients without sync-collection look at getctag to see whether anything is new."""
    props = "<D:prop><S:getctag/></D:prop>"
    before = propfind(face, WORK, props).texts(".//S:getctag")
    face.put(WORK + "a.ics", event("a"))
    after = propfind(face, WORK, props).texts(".//S:getctag")
    face.remove(WORK + "a.ics")
    assert len({*before, *after, *propfind(face, WORK, props).texts(".//S:getctag")}) == 3


@pytest.mark.parametrize("body", ["<x", "<D:propfind xmlns:D='DAV:'/>", "<!DOCTYPE x><x/>"])
def test_a_body_that_asks_nothing_readable_is_a_bad_request(face: Face, body: str) -> None:
    """Malformed XML never becomes an allprop."""
    assert face.request("PROPFIND", "/dav/", body, {"Depth": "0"}).status == 400


def test_names_that_are_missing_do_not_multiply_an_answer(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each item repeats what it lacks: a megabyte of names for each of a thousand items would fill any memory."""
    long = f'<D:prop><x:a xmlns:x="{"u" * NAMES_CHARACTERS_MAX}"/></D:prop>'
    assert propfind(face, FRIENDS, long, "1").status == 400
    monkeypatch.setattr(properties, "MISSING_OCTETS_MAX", 20_000)
    face.put(FRIENDS + "bob.vcf", card("bob"))
    shorter = f'<D:prop><x:a xmlns:x="{"u" * 10_000}"/></D:prop>'
    usual = f'<D:prop><x:a xmlns:x="{"u" * 2_000}"/></D:prop>'
    assert propfind(face, FRIENDS, shorter, "1").status == 207
    for number in range(10):
        face.put(f"{FRIENDS}{number}.vcf", card(str(number)))
    refused = propfind(face, FRIENDS, shorter, "1")
    assert (refused.status, refused.conditions()) == (403, ["D:number-of-matches-within-limits"])
    assert propfind(face, FRIENDS, shorter, "1", Prefer="return=minimal").status == 207
    assert propfind(face, FRIENDS, usual, "1").status == 207
