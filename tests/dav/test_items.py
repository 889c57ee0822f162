"""GET, PUT, POST and DELETE of items."""

from __future__ import annotations

import pytest
from tests.dav.reports.face import FRIENDS, PHOTOS, WORK, Face, card, event


def test_bytes_come_back_as_they_went(face: Face) -> None:
    """A PUT answers with a strong entity tag, because what is served is octet for octet what was sent."""
    body = card("bob").replace(b"\r\n", b"\n") + b"\n"
    put = face.request("PUT", FRIENDS + "bob.vcf", body)
    got = face.request("GET", FRIENDS + "bob.vcf")
    assert (put.status, got.status, got.body) == (201, 200, body)
    assert got.headers[b"etag"] == put.headers[b"etag"]
    assert put.headers[b"etag"].startswith(b'"')
    head = face.request("HEAD", FRIENDS + "bob.vcf")
    assert (head.body, head.headers[b"content-length"]) == (b"", str(len(body)).encode())
    assert face.request("PUT", FRIENDS + "bob.vcf", card("bob", name="Bob B")).status == 204


@pytest.mark.parametrize("path", [FRIENDS, FRIENDS[:-1], "/dav/contacts/anna/", "/dav/", "/dav/principals/anna/"])
def test_a_put_never_replaces_a_collection(face: Face, path: str) -> None:
    """RFC 4918 section 9.7.2: 405, with what is allowed, and everything is still there."""
    face.put(FRIENDS + "bob.vcf", card("bob"))
    answer = face.request("PUT", path, card("eve"))
    assert answer.status == 405
    assert b"PROPFIND" in answer.headers[b"allow"]
    assert face.request("GET", FRIENDS + "bob.vcf").status == 200


@pytest.mark.parametrize("path", ["/dav/contacts/anna/missing/a.vcf", "/dav/photos/anna/missing/sub/a.jpg"])
def test_a_put_without_its_collection_conflicts(face: Face, path: str) -> None:
    """RFC 4918 section 9.7.1: the collection must be there first; none is made by itself."""
    assert face.request("PUT", path, card("a")).status == 409


@pytest.mark.parametrize(
    ("path", "body", "status", "condition"),
    [
        (FRIENDS + "x.vcf", b"HAHA:YES", 403, "A:valid-address-data"),
        (WORK + "x.ics", b"HAHA:YES", 403, "C:valid-calendar-data"),
        (WORK + "x.ics", card("x"), 403, "C:supported-calendar-data"),
        ("/dav/calendars/anna/tasks/x.ics", event("x"), 403, "C:supported-calendar-component"),
        (FRIENDS + "other.vcf", card("bob"), 409, "A:no-uid-conflict"),
    ],
)
def test_a_refusal_names_its_precondition(face: Face, path: str, body: bytes, status: int, condition: str) -> None:
    """What a collection cannot hold is refused with the element that its RFC names, and a sentence."""
    face.put(FRIENDS + "bob.vcf", card("bob"))
    answer = face.request("PUT", path, body)
    assert (answer.status, answer.conditions()) == (status, [condition])
    assert answer.root.findtext("{https://keepwell.invalid/ns}message")


def test_a_uid_conflict_names_the_holder(face: Face) -> None:
    """RFC 4791 section 5.3.2.1: the client learns which resource has the UID."""
    face.put(WORK + "first.ics", event("same"))
    answer = face.request("PUT", WORK + "second.ics", event("same"), {"If-None-Match": "*"})
    assert answer.texts("C:no-uid-conflict/D:href") == [WORK + "first.ics"]


@pytest.mark.parametrize(
    ("headers", "status"), [({"Content-Range": "bytes 0-1/5"}, 400), ({"Content-Encoding": "gzip"}, 415)]
)
def test_a_put_of_something_other_than_the_whole_is_refused(face: Face, headers: dict[str, str], status: int) -> None:
    """A part or an encoding taken for the whole would be kept as the item."""
    assert face.request("PUT", FRIENDS + "a.vcf", card("a"), headers).status == status


def test_a_body_over_the_limit_is_refused(face: Face) -> None:
    """Too large is 413 with the limit's precondition, before anything is parsed."""
    answer = face.request("PUT", FRIENDS + "a.vcf", b"x" * (10 * 1024 * 1024 + 1))
    assert (answer.status, answer.conditions()) == (413, ["A:max-resource-size"])


@pytest.mark.parametrize("path", [FRIENDS, FRIENDS + ";add-member"])
def test_a_posted_member_gets_a_name(face: Face, path: str) -> None:
    """RFC 5995: the server names the new member and tells where it is."""
    answer = face.request("POST", path, card("new"))
    assert answer.status == 201
    got = face.request("GET", answer.headers[b"location"].decode())
    assert (got.body, got.headers[b"etag"]) == (card("new"), answer.headers[b"etag"])


def test_a_removed_item_is_gone(face: Face) -> None:
    """DELETE is 204 once and 404 then."""
    face.put(FRIENDS + "bob.vcf", card("bob"))
    assert face.request("DELETE", FRIENDS + "bob.vcf").status == 204
    assert face.request("DELETE", FRIENDS + "bob.vcf").status == 404
    assert face.request("GET", FRIENDS + "bob.vcf").status == 404


@pytest.mark.parametrize("path", ["/dav/", "/dav/contacts/", "/dav/contacts/anna/", "/dav/principals/anna/"])
def test_homes_and_principals_stay(face: Face, path: str) -> None:
    """Only collections and items can be removed."""
    assert face.request("DELETE", path).status == 403


def test_files_cannot_run_in_the_browser(face: Face) -> None:
    """A kept page is served so that nothing in it runs with the rights of Keepwell's own pages."""
    face.put(PHOTOS + "evil.html", b"<script>alert(1)</script>")
    answer = face.request("GET", PHOTOS + "evil.html")
    assert b"sandbox" in answer.headers[b"content-security-policy"]
    assert answer.headers[b"x-content-type-options"] == b"nosniff"


@pytest.mark.parametrize("path", ["/dav/", "/dav/contacts/anna/", FRIENDS, PHOTOS[:-1]])
def test_a_collection_can_be_looked_at(face: Face, path: str) -> None:
    """A browser gets a readable listing, in which names are text."""
    face.put(PHOTOS + "%3Cb%3E.txt", b"x")
    answer = face.request("GET", path)
    assert answer.status == 200
    assert b"<b>" not in answer.body
