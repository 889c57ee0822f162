"""The reports about principals: RFC 3744 section 9."""

from __future__ import annotations

import pytest
from tests.dav.reports.face import ANNA, BERTA, FRIENDS, WORK, Answer, Face

from keepwell.model.names import Home

ME = "/dav/principals/anna/"
OTHER = "/dav/principals/berta@example.org/"
PROP = "<D:prop><D:displayname/></D:prop>"
ANYWHERE = ["/dav/", "/dav/principals/", ME]


def search(face: Face, inner: str, path: str = "/dav/principals/", depth: str = "0", login: str = "anna") -> Answer:
    return face.report(path, f"<D:principal-property-search {inner}</D:principal-property-search>", depth, login)


def by_name(text: str, attributes: str = "") -> str:
    match = f"<D:match{attributes}>{text}</D:match>"
    return f"<D:property-search><D:prop><D:displayname/></D:prop>{match}</D:property-search>"


@pytest.mark.parametrize("path", ANYWHERE)
def test_a_principal_is_found_by_a_part_of_its_name_in_any_case(face: Face, path: str) -> None:
    answer = search(face, f">{by_name('nna ÅNG')}{PROP}", path)
    assert answer.status == 207
    assert list(answer.statuses()) == [ME]
    assert answer.texts("D:response/D:propstat/D:prop/D:displayname") == ["Anna Ångström"]


def test_who_shares_nothing_with_me_is_not_found(face: Face) -> None:
    assert search(face, f">{by_name('berta')}{PROP}").statuses() == {}


def test_who_shares_something_with_me_is_found(face: Face) -> None:
    face.door.shared[BERTA] = {(ANNA, Home.CALENDARS, "work"): False}
    assert list(search(face, f">{by_name('anna')}{PROP}", login="berta@example.org").statuses()) == [ME]


def test_all_property_searches_must_hold_unless_the_test_is_anyof(face: Face) -> None:
    both = by_name("anna") + by_name("nobody") + PROP
    assert search(face, f">{both}").statuses() == {}
    assert list(search(face, f' test="anyof">{both}').statuses()) == [ME]


@pytest.mark.parametrize(("match_type", "text", "found"), [("equals", "anna", 0), ("starts-with", "anna", 1)])
def test_apples_match_types_are_heeded(face: Face, match_type: str, text: str, found: int) -> None:
    answer = search(face, ">" + by_name(text, f' match-type="{match_type}"') + PROP)
    assert len(answer.statuses()) == found


def test_a_principal_is_found_by_its_mail_address(face: Face) -> None:
    asked = (
        "<D:property-search><D:prop><C:calendar-user-address-set/></D:prop>"
        f"<D:match>berta@example</D:match></D:property-search>{PROP}"
    )
    assert list(search(face, f">{asked}", login="berta@example.org").statuses()) == [OTHER]


def test_the_markup_around_a_text_is_not_searched(face: Face) -> None:
    assert search(face, f">{by_name('displayname')}{PROP}").statuses() == {}


@pytest.mark.parametrize("path", ANYWHERE)
def test_without_any_search_every_visible_principal_is_listed_with_what_a_client_needs(face: Face, path: str) -> None:
    answer = search(face, "><D:prop/><C:calendar-home-set/><D:displayname/>", path)
    assert list(answer.statuses()) == [ME]
    assert answer.texts(".//D:displayname") == ["Anna Ångström"]
    assert answer.texts(".//C:calendar-home-set/D:href") == ["/dav/calendars/anna/"]


def test_a_depth_of_one_is_refused(face: Face) -> None:
    assert search(face, f">{PROP}", depth="1").status == 400


def test_the_search_set_lists_what_can_be_searched(face: Face) -> None:
    answer = face.report("/dav/principals/", "<D:principal-search-property-set/>", "0")
    names = [element.tag for element in answer.root.iterfind("{*}principal-search-property/{*}prop/*")]
    assert answer.status == 200
    assert answer.root.tag == "{DAV:}principal-search-property-set"
    assert names[:1] == ["{DAV:}displayname"]


@pytest.mark.parametrize("path", ANYWHERE)
def test_principal_match_finds_me(face: Face, path: str) -> None:
    answer = face.report(path, f"<D:principal-match><D:self/>{PROP}</D:principal-match>", "0")
    assert list(answer.statuses()) == [ME]


def test_principal_match_finds_nobody_where_no_principals_are(face: Face) -> None:
    answer = face.report(WORK, f"<D:principal-match><D:self/>{PROP}</D:principal-match>", "0")
    assert (answer.status, answer.statuses()) == (207, {})


def test_principal_match_finds_what_is_mine_by_a_property(face: Face) -> None:
    face.door.shared[ANNA] = {(BERTA, Home.CALENDARS, "work"): True}
    asked = "<D:principal-match><D:principal-property><D:owner/></D:principal-property></D:principal-match>"
    found = face.report("/dav/calendars/", asked, "0").statuses()
    assert WORK in found
    assert all("berta" not in href for href in found)


def test_acl_principal_prop_set_tells_of_the_owner(face: Face) -> None:
    answer = face.report(FRIENDS, f"<D:acl-principal-prop-set>{PROP}</D:acl-principal-prop-set>", "0")
    assert list(answer.statuses()) == [ME]


def test_an_unknown_report_is_refused_by_its_precondition(face: Face) -> None:
    answer = face.report("/dav/", "<D:version-tree/>", "0")
    assert (answer.status, answer.conditions()) == (403, ["D:supported-report"])


def test_a_search_is_bounded(face: Face) -> None:
    """A request may search five hundred properties."""
    one = "<D:property-search><D:prop><D:displayname/></D:prop><D:match>a</D:match></D:property-search>"
    body = f"<D:principal-property-search>{one * 501}</D:principal-property-search>"
    assert face.report("/dav/principals/", body, "0").status == 400
