"""Items: bytes come back as they went in, conditions hold, and pages lose nothing."""

from __future__ import annotations

import base64

import pytest

from keepwell.api.call import JSON_OCTETS_MAX
from keepwell.model.names import Home
from keepwell.services.content import octets_max
from tests.api.desk import CALENDAR, CONTACTS, PHOTOS, Desk, problem
from tests.services.samples import card, event, todo

BOB = f"{CONTACTS}/items/bob.vcf"


def test_bytes_come_back_as_they_went_in(here: Desk) -> None:
    """An item's bytes, odd line ends included, are served under a strong entity tag."""
    body = card("b", ending="\n")
    put = here.put(BOB, body)
    assert (put.status_code, put.json()["name"], put.json()["uid"]) == (201, "bob.vcf", "b")
    got = here.get(BOB)
    assert got.content == body
    assert got.headers["etag"] == put.headers["etag"] == put.json()["etag"]
    assert got.headers["content-type"] == "text/vcard"
    assert "sandbox" in got.headers["content-security-policy"]


def test_a_photo_keeps_its_media_type(here: Desk) -> None:
    """Any bytes are kept as a photo, with the type that the client said."""
    assert here.put(f"{PHOTOS}/items/a.jpg", b"\xff\xd8", **{"content-type": "image/jpeg"}).status_code == 201
    got = here.get(f"{PHOTOS}/items/a.jpg")
    assert (got.content, got.headers["content-type"]) == (b"\xff\xd8", "image/jpeg")


def test_head_is_get_without_the_body(here: Desk) -> None:
    """HEAD tells tag and length and sends nothing."""
    here.put(BOB, card("b"))
    head = here.ask("HEAD", BOB)
    assert (head.content, head.headers["content-length"]) == (b"", str(len(card("b"))))


@pytest.mark.parametrize("name", ["a%2Fb.vcf", "%00.vcf", "%2E%2E", "x" * 256])
def test_names_that_cannot_be_are_refused(here: Desk, name: str) -> None:
    """A name with a slash or NUL, a dot segment or one that is too long is 400."""
    assert problem(here.put(f"{CONTACTS}/items/{name}", card("b"))) == (400, "invalidRequest")


def test_a_path_that_is_not_utf8_is_refused(here: Desk) -> None:
    """Percent-encoded bytes that are not UTF-8 are 400."""
    assert problem(here.get(f"{CONTACTS}/items/%ff")) == (400, "invalidRequest")


@pytest.mark.parametrize("name", ["ünïcödé 日本.vcf", "100%.vcf", "a+b?c#d.vcf", "line\nfeed.vcf", "%2F.vcf"])
def test_any_other_name_works(here: Desk, name: str) -> None:
    """A client may make names of any other characters; each is encoded once."""
    encoded = "".join(f"%{octet:02X}" for octet in name.encode())
    assert here.put(f"{CONTACTS}/items/{encoded}", card("b")).status_code == 201
    assert here.get(f"{CONTACTS}/items/{encoded}").content == card("b")
    assert [one["name"] for one in here.get(f"{CONTACTS}/items").json()["items"]] == [name]


def test_if_none_match_keeps_what_is_there(here: Desk) -> None:
    """`If-None-Match: *` makes a new item and never replaces one."""
    only_new = {"if-none-match": "*"}
    assert here.put(BOB, card("b"), **only_new).status_code == 201
    assert problem(here.put(BOB, card("b", "Other"), **only_new)) == (412, "preconditionFailed")
    assert here.get(BOB).content == card("b")


def test_if_match_replaces_and_removes_what_is_known(here: Desk) -> None:
    """A write under If-Match succeeds for the tag that is there and fails for another, or when nothing is there."""
    tag = here.put(BOB, card("b")).headers["etag"]
    assert problem(here.put(BOB, card("b", "X"), **{"if-match": '"0"'})) == (412, "preconditionFailed")
    assert here.put(BOB, card("b", "X"), **{"if-match": f'"0", {tag}'}).status_code == 200
    assert problem(here.ask("DELETE", BOB, headers={"if-match": tag})) == (412, "preconditionFailed")
    assert here.ask("DELETE", BOB, headers={"if-match": "*"}).status_code == 204
    assert problem(here.put(BOB, card("b"), **{"if-match": "*"})) == (412, "preconditionFailed")


def test_conditional_reads(here: Desk) -> None:
    """A read is 304 for bytes that the caller has, also under a weak tag, and 412 for a tag that is gone."""
    tag = here.put(BOB, card("b")).headers["etag"]
    known = here.get(BOB, **{"if-none-match": f"W/{tag}"})
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", tag)
    assert here.get(BOB, **{"if-match": tag}).status_code == 200
    assert problem(here.get(BOB, **{"if-match": f"W/{tag}"})) == (412, "preconditionFailed")
    assert problem(here.get(BOB, **{"if-match": "no quotes"})) == (400, "invalidRequest")


def test_a_put_in_an_old_state_keeps_nothing(here: Desk) -> None:
    """If-In-State guards puts and removals of items too."""
    state = here.state()
    assert here.put(BOB, card("b"), **{"if-in-state": state}).status_code == 201
    assert problem(here.put(BOB, card("b", "X"), **{"if-in-state": state})) == (412, "stateMismatch")
    assert problem(here.ask("DELETE", BOB, headers={"if-in-state": "nonsense"})) == (412, "stateMismatch")
    assert here.ask("DELETE", BOB, headers={"if-in-state": here.state()}).status_code == 204


def test_bytes_that_do_not_fit_are_refused_with_line_and_condition(here: Desk) -> None:
    """A broken card is 422 with its line; a task in a calendar of events says which component it is."""
    broken = here.put(BOB, b"BEGIN:VCARD\r\nVERSION:3.0\r\nnonsense\r\nEND:VCARD\r\n")
    assert problem(broken) == (422, "contentRefused")
    assert broken.json()["condition"] == "valid-address-data"
    assert broken.json()["line"] == 3
    here.ask("POST", "/collections", json={"name": "events", "kind": "calendar", "components": ["VEVENT"]})
    wrong = here.put("/collections/calendars/events/items/t.ics", todo("t"))
    assert problem(wrong) == (422, "contentRefused")
    assert wrong.json()["condition"] == "supported-calendar-component"


def test_a_uid_is_in_a_collection_once(here: Desk) -> None:
    """A second item with the UID is 409 and tells who has it."""
    here.put(BOB, card("b"))
    again = here.put(f"{CONTACTS}/items/other.vcf", card("b"))
    assert problem(again) == (409, "uidConflict")
    assert again.json()["holder"] == "bob.vcf"


def test_bodies_over_their_limit_are_refused(here: Desk) -> None:
    """An item or JSON body over its limit is 413 with the limit, announced or not."""
    limit = octets_max(Home.CONTACTS)
    large = here.put(BOB, b"x" * (limit + 1))
    assert problem(large) == (413, "tooLarge")
    assert large.json()["limit"] == limit
    text = b'{"label":"' + b"x" * JSON_OCTETS_MAX + b'"}'
    sent = here.client.post(
        "/api/v1/app-passwords",
        headers={**here.headers("anna"), "content-type": "application/json"},
        content=iter([text[:1000], text[1000:]]),
    )
    assert problem(sent) == (413, "tooLarge")


def test_an_encoded_body_is_refused(here: Desk) -> None:
    """A compressed body would be kept so, and is 415."""
    assert problem(here.put(BOB, b"x", **{"content-encoding": "gzip"})) == (415, "unsupportedMediaType")


def test_pages_lose_nothing(here: Desk) -> None:
    """Pages by name hold every item once, and say when there are more."""
    names = [f"{number:02}.ics" for number in range(7)]
    for name in names:
        here.put(f"{CALENDAR}/items/{name}", event(name))
    seen: list[str] = []
    more = True
    while more:
        page = here.get(f"{CALENDAR}/items?limit=3&after={seen[-1] if seen else ''}").json()
        assert "body" not in page["items"][0]
        seen += [one["name"] for one in page["items"]]
        more = page["hasMore"]
    assert seen == names
    assert page["state"] == here.state(CALENDAR)


def test_bodies_come_when_asked_for(here: Desk) -> None:
    """With bodies=true the bytes come as text, or in base64 when they are not UTF-8; those of photos never do."""
    torn = card("t", "M\u00fcller").replace("\u00fc".encode(), b"\xc3\r\n \xbc")
    here.put(BOB, card("b"))
    here.put(f"{CONTACTS}/items/torn.vcf", torn)
    bob, other = here.get(f"{CONTACTS}/items?bodies=true").json()["items"]
    assert bob["body"].encode() == card("b")
    assert base64.b64decode(other["bodyBase64"]) == torn
    assert problem(here.get(f"{PHOTOS}/items?bodies=true")) == (400, "invalidRequest")


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=1001", "limit=1&limit=2", "unknown=1", "bodies=maybe"])
def test_queries_that_are_not_understood_are_refused(here: Desk, query: str) -> None:
    """A query parameter that is unknown, repeated or out of range is 400."""
    assert problem(here.get(f"{CONTACTS}/items?{query}")) == (400, "invalidRequest")


def test_what_is_not_there_is_404(here: Desk) -> None:
    """An unknown item, collection, home or path is a problem of its own."""
    for path in (BOB, "/collections/contacts/none/items", "/collections/system/accounts/items", "/none"):
        assert problem(here.get(path)) == (404, "notFound")
    assert problem(here.ask("DELETE", BOB)) == (404, "notFound")
    assert problem(here.put("/collections/contacts/none/items/a.vcf", card("a"))) == (404, "notFound")
