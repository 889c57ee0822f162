"""A kind that is not whole: everything of it is 503 and nothing of it is told, while the others are served."""

from __future__ import annotations

import pytest
from tests.dav.reports.face import ANNA, BERTA, FRIENDS, PHOTOS, WORK, Answer, Face, card, event

from keepwell.model.names import Home, Kind

REASON = "15 items were known, 10 are here"
TASKS = "/dav/calendars/anna/tasks/"
SYNC = "<D:sync-collection><D:sync-token>{}</D:sync-token><D:sync-level>1</D:sync-level><D:prop/></D:sync-collection>"
MULTIGET = "<A:addressbook-multiget><D:prop><D:getetag/></D:prop><D:href>{}</D:href></A:addressbook-multiget>"
QUERY = "<A:addressbook-query><D:prop><D:getetag/></D:prop><A:filter/></A:addressbook-query>"


@pytest.fixture
def filled(face: Face) -> Face:
    face.put(FRIENDS + "bob.vcf", card("bob"))
    face.put(WORK + "tea.ics", event("tea"))
    face.put(PHOTOS + "sea.jpg", b"sea")
    return face


def hold(face: Face, *kinds: Kind) -> None:
    face.store.account(ANNA).hold(dict.fromkeys(kinds, REASON))


def assert_held(answer: Answer) -> None:
    assert answer.status == 503, answer.body
    assert int(answer.headers[b"retry-after"]) > 0
    assert REASON.encode() in answer.body
    assert b"bob" not in answer.body


REQUESTS = [
    ("GET", FRIENDS + "bob.vcf", {}),
    ("HEAD", FRIENDS + "bob.vcf", {}),
    ("GET", FRIENDS + "nobody.vcf", {}),
    ("GET", FRIENDS, {}),
    ("GET", "/dav/contacts/anna/", {}),
    ("PROPFIND", FRIENDS, {"Depth": "0"}),
    ("PROPFIND", FRIENDS, {"Depth": "1"}),
    ("PROPFIND", FRIENDS + "bob.vcf", {"Depth": "0"}),
    ("PROPFIND", "/dav/contacts/anna/", {"Depth": "0"}),
    ("PROPFIND", "/dav/contacts/anna/", {"Depth": "1"}),
    ("PROPFIND", "/dav/contacts/", {"Depth": "1"}),
    ("PROPFIND", "/dav/contacts/anna/unknown/", {"Depth": "1"}),
    ("PUT", FRIENDS + "eve.vcf", {}),
    ("PUT", FRIENDS + "bob.vcf", {"If-Match": '"x"'}),
    ("DELETE", FRIENDS + "bob.vcf", {}),
    ("DELETE", FRIENDS + "nobody.vcf", {}),
    ("DELETE", FRIENDS, {}),
    ("MKCOL", "/dav/contacts/anna/new/", {}),
    ("COPY", FRIENDS + "bob.vcf", {"Destination": "/dav/contacts/anna/friends/bob2.vcf"}),
    ("MOVE", FRIENDS, {"Destination": "/dav/contacts/anna/moved/"}),
    ("POST", FRIENDS, {}),
]


@pytest.mark.parametrize(("method", "path", "headers"), REQUESTS, ids=lambda value: str(value))
def test_every_request_about_a_held_kind_is_503(filled: Face, method: str, path: str, headers: dict[str, str]) -> None:
    """Whatever is asked of a held kind, there or not, the answer is 503 with Retry-After and the reason."""
    hold(filled, Kind.CONTACTS)
    body = card("eve") if method in {"PUT", "POST"} else b""
    answer = filled.request(method, path, body, headers)
    if method == "HEAD":
        assert (answer.status, answer.body) == (503, b"")
    else:
        assert_held(answer)
    hold(filled)
    (item,) = filled.report(FRIENDS, QUERY).hrefs()
    assert item == "bob.vcf"


def test_every_report_about_a_held_kind_is_503(filled: Face) -> None:
    """Sync, queries and multiget are refused whole: not an empty set, not a 404 for each name, no valid-sync-token."""
    token = filled.report(FRIENDS, SYNC.format("")).token
    hold(filled, Kind.CONTACTS)
    for body in (SYNC.format(""), SYNC.format(token), SYNC.format("data:,x"), QUERY, MULTIGET.format(FRIENDS + "a")):
        assert_held(filled.report(FRIENDS, body))
    hold(filled)
    assert filled.report(FRIENDS, SYNC.format(token)).statuses() == {}


def test_other_kinds_go_on(filled: Face) -> None:
    """What is whole is read, listed and written as ever, and the principal still says where everything is."""
    hold(filled, Kind.CONTACTS)
    assert filled.request("GET", WORK + "tea.ics").status == 200
    assert filled.request("PROPFIND", "/dav/calendars/anna/", headers={"Depth": "1"}).status == 207
    filled.put(WORK + "more.ics", event("more"))
    principal = filled.request("PROPFIND", "/dav/principals/anna/", headers={"Depth": "0"})
    assert principal.status == 207
    assert filled.request("PROPFIND", "/dav/principals/", headers={"Depth": "1"}).status == 207


def test_a_home_with_a_held_kind_is_not_listed(filled: Face) -> None:
    """Of three kinds in one home one is held: the home is 503, or a collection could be missing in it; the others'
    collections are served at their paths."""
    hold(filled, Kind.TASKS)
    assert_held(filled.request("PROPFIND", "/dav/calendars/anna/", headers={"Depth": "1"}))
    assert_held(filled.request("PROPFIND", TASKS, headers={"Depth": "1"}))
    assert_held(filled.request("PROPFIND", "/dav/calendars/anna/unknown/", headers={"Depth": "0"}))
    assert filled.request("PROPFIND", WORK, headers={"Depth": "1"}).status == 207
    filled.put(WORK + "more.ics", event("more"))


def test_who_shares_sees_503_too(filled: Face) -> None:
    """A collection that another account shares is held for the one who reads it as for its owner."""
    filled.door.shared = {BERTA: {(ANNA, Home.CONTACTS, "friends"): True}}
    assert filled.request("GET", FRIENDS + "bob.vcf", login="berta@example.org").status == 200
    hold(filled, Kind.CONTACTS)
    assert_held(filled.request("GET", FRIENDS + "bob.vcf", login="berta@example.org"))
    assert_held(filled.request("PROPFIND", "/dav/contacts/", headers={"Depth": "1"}, login="berta@example.org"))
    target = {"Destination": "/dav/contacts/berta@example.org/friends/stolen.vcf"}
    assert_held(filled.request("COPY", FRIENDS + "bob.vcf", headers=target, login="berta@example.org"))


def test_folders_of_photos_are_held_with_all_that_is_in_them(filled: Face) -> None:
    """In the home where collections nest, a path that may be either is refused as well."""
    hold(filled, Kind.PHOTOS)
    for path in (PHOTOS + "sea.jpg", PHOTOS + "unknown", PHOTOS):
        assert_held(filled.request("GET", path))
        assert_held(filled.request("PROPFIND", path, headers={"Depth": "1"}))
