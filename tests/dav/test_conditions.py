"""The If header (RFC 4918 section 10.4) and conditional requests (RFC 9110 section 13)."""

from __future__ import annotations

import time

import pytest
from tests.dav.reports.face import FRIENDS, Face, card

from keepwell.dav.conditions import if_header_holds
from keepwell.model.errors import BadRequest

TAGS = {None: '"one"', "/dav/photos/anna/other": '"two"'}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('(["one"])', True),
        ('(["two"])', False),
        ('(["two"]) (["one"])', True),
        ('(["one"] <opaquelocktoken:x>)', False),
        ('(Not <DAV:no-lock> ["one"])', True),
        ("(<DAV:no-lock>)", False),
        ('(Not ["one"])', False),
        ('<http://h/dav/photos/anna/other> (["two"])', True),
        ('<http://h/dav/photos/anna/other> (["one"])', False),
        ('<http://h/dav/photos/anna/missing> (Not ["one"])', True),
    ],
)
def test_an_if_header_holds_when_one_of_its_lists_does(text: str, holds: bool) -> None:
    """Without locks a state token never holds, and an entity tag holds for the resource that its list is about."""
    assert if_header_holds(text, TAGS.get) is holds


@pytest.mark.parametrize("text", ["", "()", '["one"]', '(["one"]', "((<x>))", "nonsense"])
def test_an_if_header_that_cannot_be_read_is_a_bad_request(text: str) -> None:
    """A condition that is not understood is refused, never ignored."""
    with pytest.raises(BadRequest):
        if_header_holds(text, TAGS.get)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Match": "{tag}"}, 204),
        ({"If-Match": '"other"'}, 412),
        ({"If-Match": "W/{tag}"}, 412),
        ({"If-None-Match": "*"}, 412),
        ({"If-None-Match": "W/{tag}"}, 412),
        ({"If-Unmodified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"}, 412),
        ({"If-Unmodified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, 204),
        ({"If": "([{tag}])"}, 204),
        ({"If": '(["other"])'}, 412),
        ({"If": "(<opaquelocktoken:gone>)"}, 412),
    ],
)
def test_a_put_happens_only_when_its_conditions_hold(face: Face, headers: dict[str, str], status: int) -> None:
    """If-Match compares strongly, If-None-Match weakly; dates and If headers count too."""
    path = FRIENDS + "bob.vcf"
    tag = face.request("PUT", path, card("bob")).headers[b"etag"].decode()
    sent = {name: value.replace("{tag}", tag) for name, value in headers.items()}
    assert face.request("PUT", path, card("bob", name="Robert"), sent).status == status
    assert (b"Robert" in face.request("GET", path).body) is (status == 204)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_if_match_on_nothing_does_not_hold(face: Face, method: str) -> None:
    """A write for the version that the client knows does nothing when there is no version."""
    answer = face.request(method, FRIENDS + "none.vcf", card("none"), {"If-Match": "*"})
    assert answer.status in (404, 412)
    assert face.request("GET", FRIENDS + "none.vcf").status == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": "{tag}"}, 304),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-None-Match": '"other"', "If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, 200),
        ({"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, 304),
        ({"If-Modified-Since": "nonsense"}, 200),
        ({"If-Match": '"other"'}, 412),
        ({"If-Unmodified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"}, 412),
    ],
)
def test_a_get_is_conditional(face: Face, headers: dict[str, str], status: int) -> None:
    """Conditions of a GET are evaluated in the order of RFC 9110 section 13.2.2."""
    face.put(FRIENDS + "bob.vcf", card("bob"))
    tag = face.request("GET", FRIENDS + "bob.vcf").headers[b"etag"].decode()
    sent = {name: value.replace("{tag}", tag) for name, value in headers.items()}
    answer = face.request("GET", FRIENDS + "bob.vcf", headers=sent)
    assert answer.status == status
    assert (answer.body == card("bob")) is (status == 200)


def test_tags_are_read_in_one_pass(face: Face) -> None:
    """White space where a tag could be costs nothing: sixty thousand spaces once took a minute."""
    face.put(FRIENDS + "bob.vcf", card("bob"))
    started = time.process_time()
    assert face.request("GET", FRIENDS + "bob.vcf", headers={"If-Match": f",{' ' * 60_000}x"}).status == 412
    assert time.process_time() - started < 5


def test_an_if_header_has_a_bounded_number_of_conditions() -> None:
    """A hundred conditions are read, one more is refused, and each resource is looked at once."""
    asked: list[str | None] = []

    def tag_at(path: str | None) -> str | None:
        asked.append(path)
        return None

    assert not if_header_holds('(["one"])' * 100, tag_at)
    assert asked == [None]
    with pytest.raises(BadRequest):
        if_header_holds('(["one"])' * 101, tag_at)
