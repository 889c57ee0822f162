"""CARDDAV:addressbook-query, RFC 6352 section 8.6: what the report makes of filters and limits.

What the filters themselves mean is tested where they are matched.
"""

from __future__ import annotations

import pytest
from tests.dav.reports.face import ANNA, BERTA, FRIENDS, WORK, Answer, Face, card

from keepwell.dav.reports import size
from keepwell.model.names import Home

PROP = "<D:prop><D:getetag/></D:prop>"


def text_filter(name: str, text: str, attributes: str = "", test: str = "anyof") -> str:
    match = f"<A:text-match {attributes}>{text}</A:text-match>"
    return f'<A:filter test="{test}"><A:prop-filter name="{name}">{match}</A:prop-filter></A:filter>'


def query(
    face: Face, asked: str, path: str = FRIENDS, *, prop: str = PROP, depth: str | None = "1", login: str = "anna"
) -> Answer:
    return face.report(path, f"<A:addressbook-query>{prop}{asked}</A:addressbook-query>", depth, login)


@pytest.fixture
def friends(face: Face) -> Face:
    """Three cards."""
    face.put(f"{FRIENDS}zoe.vcf", card("zoe", "EMAIL;TYPE=home:zoe@example.org", name="Zoë Müller"))
    face.put(f"{FRIENDS}bob.vcf", card("bob", "EMAIL;TYPE=work:bob@example.com", "NICKNAME:Bobby", name="Bob"))
    face.put(f"{FRIENDS}company.vcf", card("company", "ORG:Müller & Sons", name="Company"))
    return face


@pytest.mark.parametrize("text", ["müller", "MÜLLER", "Zoë m"])
def test_a_text_is_found_in_any_case(friends: Face, text: str) -> None:
    assert query(friends, text_filter("FN", text)).hrefs() == {"zoe.vcf"}


def test_a_text_is_looked_for_in_the_property_that_was_named(friends: Face) -> None:
    assert query(friends, text_filter("ORG", "müller")).hrefs() == {"company.vcf"}


def test_octet_collation_minds_the_case(friends: Face) -> None:
    assert query(friends, text_filter("FN", "bob", 'collation="i;octet"')).hrefs() == set()
    assert query(friends, text_filter("FN", "Bob", 'collation="i;octet"')).hrefs() == {"bob.vcf"}


@pytest.mark.parametrize(
    ("match_type", "text", "found"),
    [
        ("equals", "Bob", {"bob.vcf"}),
        ("equals", "Bo", set()),
        ("starts-with", "bo", {"bob.vcf"}),
        ("ends-with", "ob", {"bob.vcf"}),
        ("contains", "o", {"bob.vcf", "company.vcf", "zoe.vcf"}),
    ],
)
def test_the_match_type_says_where(friends: Face, match_type: str, text: str, found: set[str]) -> None:
    assert query(friends, text_filter("FN", text, f'match-type="{match_type}"')).hrefs() == found


def test_a_negated_text_finds_the_others(friends: Face) -> None:
    assert query(friends, text_filter("FN", "bob", 'negate-condition="yes"')).hrefs() == {"zoe.vcf", "company.vcf"}


def test_a_property_that_is_not_there_can_be_asked_for(friends: Face) -> None:
    asked = '<A:filter><A:prop-filter name="EMAIL"><A:is-not-defined/></A:prop-filter></A:filter>'
    assert query(friends, asked).hrefs() == {"company.vcf"}


def test_a_parameter_can_be_asked_for(friends: Face) -> None:
    inner = '<A:param-filter name="TYPE"><A:text-match match-type="equals">work</A:text-match></A:param-filter>'
    asked = f'<A:filter><A:prop-filter name="EMAIL">{inner}</A:prop-filter></A:filter>'
    assert query(friends, asked).hrefs() == {"bob.vcf"}


@pytest.mark.parametrize(("test", "found"), [("anyof", {"zoe.vcf", "bob.vcf"}), ("allof", set())])
def test_one_or_all_of_the_filters_must_hold(friends: Face, test: str, found: set[str]) -> None:
    one = '<A:prop-filter name="FN"><A:text-match>zoë</A:text-match></A:prop-filter>'
    other = '<A:prop-filter name="NICKNAME"><A:text-match>bobby</A:text-match></A:prop-filter>'
    assert query(friends, f'<A:filter test="{test}">{one}{other}</A:filter>').hrefs() == found


def test_an_empty_filter_finds_every_card(friends: Face) -> None:
    assert len(query(friends, "<A:filter/>").hrefs()) == 3


def test_a_folded_line_is_searched_as_one(face: Face) -> None:
    face.put(f"{FRIENDS}a.vcf", card("a", "NOTE:a long no", " te that is folded"))
    assert query(face, text_filter("NOTE", "long note")).hrefs() == {"a.vcf"}


def test_a_limit_truncates_and_says_so(friends: Face) -> None:
    answer = query(friends, "<A:filter/><A:limit><A:nresults>2</A:nresults></A:limit>")
    assert answer.status == 207
    assert len(answer.hrefs()) == 2
    assert answer.statuses()[FRIENDS] == "507"
    (error,) = answer.root.iterfind("{DAV:}response/{DAV:}error")
    assert [element.tag for element in error] == ["{DAV:}number-of-matches-within-limits"]


def test_a_limit_that_is_just_met_is_no_truncation(friends: Face) -> None:
    answer = query(friends, "<A:filter/><A:limit><A:nresults>3</A:nresults></A:limit>")
    assert FRIENDS not in answer.statuses()


def test_a_limit_counts_what_matches(friends: Face) -> None:
    answer = query(friends, text_filter("FN", "Zoë") + "<A:limit><A:nresults>1</A:nresults></A:limit>")
    assert answer.statuses() == {f"{FRIENDS}zoe.vcf": "200"}


def test_content_comes_with_what_was_found(friends: Face) -> None:
    prop = '<D:prop><A:address-data><A:prop name="FN"/></A:address-data></D:prop>'
    (text,) = query(friends, text_filter("FN", "zoë"), prop=prop).texts(".//A:address-data")
    assert "FN:Zoë Müller" in text
    assert "EMAIL" not in text


def test_depth_zero_finds_no_members(friends: Face) -> None:
    assert query(friends, "<A:filter/>", depth="0").statuses() == {}


def test_no_depth_finds_members(friends: Face) -> None:
    assert len(query(friends, "<A:filter/>", depth=None).hrefs()) == 3


def test_a_card_can_be_asked_about_itself(friends: Face) -> None:
    assert query(friends, text_filter("FN", "bob"), f"{FRIENDS}bob.vcf").hrefs() == {"bob.vcf"}
    assert query(friends, text_filter("FN", "bob"), f"{FRIENDS}zoe.vcf").hrefs() == set()


def test_an_unknown_collation_is_refused_by_its_precondition(face: Face) -> None:
    answer = query(face, text_filter("FN", "x", 'collation="i;none"'))
    assert (answer.status, answer.conditions()) == (403, ["A:supported-collation"])


def test_a_request_without_a_filter_is_refused(face: Face) -> None:
    answer = query(face, "")
    assert (answer.status, answer.conditions()) == (403, ["A:supported-filter"])


def test_a_filter_that_cannot_be_read_is_refused_by_a_precondition_of_carddav(face: Face) -> None:
    answer = query(face, '<A:filter test="someof"/>')
    assert (answer.status, answer.conditions()) == (403, ["A:supported-filter"])


def test_calendars_hold_no_cards(face: Face) -> None:
    assert query(face, "<A:filter/>", WORK).conditions() == ["D:supported-report"]


def test_a_grantee_queries_what_is_shared_and_nothing_else(friends: Face) -> None:
    assert query(friends, "<A:filter/>", login="berta@example.org").status == 404
    friends.door.shared[BERTA] = {(ANNA, Home.CONTACTS, "friends"): False}
    assert len(query(friends, "<A:filter/>", login="berta@example.org").hrefs()) == 3


def test_an_answer_that_grows_too_large_is_cut_and_says_so(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the octets of an answer the address book itself has a 507."""
    for name in ("a", "b", "c"):
        face.put(f"{FRIENDS}{name}.vcf", card(name))
    monkeypatch.setattr(size, "ANSWER_OCTETS_MAX", 10)
    body = "<A:addressbook-query><D:prop><A:address-data/></D:prop><A:filter/></A:addressbook-query>"
    answer = face.report(FRIENDS, body)
    assert len(answer.hrefs()) == 1
    assert answer.statuses()[FRIENDS] == "507"
