"""DAV:expand-property, RFC 3253 section 3.8."""

from __future__ import annotations

import pytest
from tests.dav.reports.face import DECLARED, FRIENDS, NAMESPACES, WORK, Face, card, event

from keepwell.dav.reports import size

ME = "/dav/principals/anna/"


def test_a_pointed_to_resource_stands_in_place_of_its_href(face: Face) -> None:
    body = (
        '<D:expand-property><D:property name="current-user-principal">'
        '<D:property name="displayname"/></D:property></D:expand-property>'
    )
    answer = face.report("/dav/", body, "0")
    inside = "D:response/D:propstat/D:prop/D:current-user-principal/D:response"
    assert answer.texts(f"{inside}/D:href") == [ME]
    assert answer.texts(f"{inside}/D:propstat/D:prop/D:displayname") == ["Anna Ångström"]


def test_a_property_without_inner_properties_is_given_as_it_is(face: Face) -> None:
    answer = face.report(ME, '<D:expand-property><D:property name="principal-URL"/></D:expand-property>', "0")
    assert answer.texts("D:response/D:propstat/D:prop/D:principal-URL/D:href") == [ME]


def test_other_namespaces_are_named_by_an_attribute(face: Face) -> None:
    body = (
        f'<D:expand-property><D:property name="calendar-home-set" namespace="{NAMESPACES["C"]}">'
        '<D:property name="owner"/></D:property></D:expand-property>'
    )
    answer = face.report(ME, body, "0")
    assert answer.texts(".//C:calendar-home-set/D:response/D:href") == ["/dav/calendars/anna/"]
    assert answer.texts(".//D:owner/D:href") == [ME]


def test_a_mail_address_is_not_followed(face: Face) -> None:
    body = (
        f'<D:expand-property><D:property name="calendar-user-address-set" namespace="{NAMESPACES["C"]}">'
        '<D:property name="displayname"/></D:property></D:expand-property>'
    )
    answer = face.report("/dav/principals/berta@example.org/", body, "0", "berta@example.org")
    assert answer.texts(".//C:calendar-user-address-set/D:href") == ["mailto:berta@example.org"]
    assert answer.texts(".//C:calendar-user-address-set/D:response/D:href") == ["/dav/principals/berta@example.org/"]


def test_an_unknown_property_is_a_404_in_its_propstat(face: Face) -> None:
    body = '<D:expand-property><D:property name="nothing" namespace="urn:x"/></D:expand-property>'
    answer = face.report(ME, body, "0")
    assert answer.texts("D:response/D:propstat/D:status") == ["HTTP/1.1 404 Not Found"]


def test_depth_one_tells_of_the_members_that_are_no_items(face: Face) -> None:
    answer = face.report("/dav/calendars/anna/", '<D:expand-property><D:property name="owner"/></D:expand-property>')
    assert WORK in answer.statuses()
    assert len(answer.statuses()) == 4


def test_an_item_has_its_properties(face: Face) -> None:
    face.put(f"{FRIENDS}a.vcf", card("a"))
    body = '<D:expand-property><D:property name="getetag"/><D:property name="owner"/></D:expand-property>'
    answer = face.report(f"{FRIENDS}a.vcf", body, "0")
    assert answer.texts(".//D:getetag")[0].startswith('"')
    assert answer.texts(".//D:owner/D:href") == [ME]


def test_nesting_is_bounded(face: Face) -> None:
    opening = '<D:property name="current-user-principal">'
    body = f"<D:expand-property>{opening * 50}{'</D:property>' * 50}</D:expand-property>"
    assert face.report(ME, body, "0").status == 400


def test_an_answer_follows_a_bounded_number_of_hrefs(face: Face) -> None:
    one = '<D:property name="current-user-principal"><D:property name="owner"/></D:property>'
    body = f"<D:expand-property>{one * 200}</D:expand-property>"
    answer = face.report("/dav/calendars/anna/", body, "1")
    assert (answer.status, answer.conditions()) == (403, ["D:number-of-matches-within-limits"])


def test_a_name_that_is_no_xml_name_is_a_bad_request(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a"))
    assert face.report(WORK, '<D:expand-property><D:property name="a b"/></D:expand-property>', "0").status == 400
    assert face.report(WORK, "<D:expand-property><D:property/></D:expand-property>", "0").status == 400


def test_the_names_of_a_request_are_bounded(face: Face) -> None:
    """Five hundred properties may be named, at all levels together."""
    one = '<D:property name="current-user-principal"><D:property name="owner"/></D:property>'
    assert face.report(ME, f"<D:expand-property>{one * 250}</D:expand-property>", "0").status == 207
    assert face.report(ME, f"<D:expand-property>{one * 251}</D:expand-property>", "0").status == 400


@pytest.mark.parametrize(
    "namespace",
    ["a b", "a}b", "a{b", "http://www.w3.org/2000/xmlns/", "http://www.w3.org/XML/1998/namespace"],
)
def test_a_namespace_that_no_answer_can_repeat_is_a_bad_request(face: Face, namespace: str) -> None:
    """No answer is ill-formed because of a name in the request."""
    body = f'<D:expand-property><D:property name="x" namespace="{namespace}"/></D:expand-property>'
    assert face.report(WORK, body, "0").status == 400
    prop = "<xml:x/>" if namespace.endswith("namespace") else f'<x:x xmlns:x="{namespace}"/>'
    asking = f"<D:propfind {DECLARED}><D:prop>{prop}</D:prop></D:propfind>"
    assert face.request("PROPFIND", WORK, asking, {"Depth": "0"}).status == 400
    setting = f"<D:propertyupdate {DECLARED}><D:set><D:prop>{prop}</D:prop></D:set></D:propertyupdate>"
    assert face.request("PROPPATCH", WORK, setting).status == 400


def test_a_namespace_that_is_no_uri_is_a_bad_request(face: Face) -> None:
    """An answer that names it could not be read by every parser."""
    for namespace in ("urn:%x", "http://[::1"):
        body = f'<D:expand-property><D:property name="x" namespace="{namespace}"/></D:expand-property>'
        assert face.report(WORK, body, "0").status == 400


def test_a_name_is_one_element_and_nothing_besides(face: Face) -> None:
    """No attribute comes into an answer by a name."""
    body = "<D:expand-property><D:property name='a b=\"c\"'/></D:expand-property>"
    assert face.report(WORK, body, "0").status == 400


def test_the_size_of_an_answer_is_bounded(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is followed may bring large properties, again and again."""
    large = '<D:property name="supported-report-set"/>' * 20
    body = f'<D:expand-property><D:property name="owner">{large}</D:property></D:expand-property>'
    assert face.report("/dav/calendars/anna/", body, "1").status == 207
    monkeypatch.setattr(size, "ANSWER_OCTETS_MAX", 20_000)
    answer = face.report("/dav/calendars/anna/", body, "1")
    assert (answer.status, answer.conditions()) == (403, ["D:number-of-matches-within-limits"])
