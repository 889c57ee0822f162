"""Card filters (RFC 6352 section 10.5), applied to cards and to the index of cards."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepwell.formats import vcard
from keepwell.formats.contentlines import parse
from keepwell.formats.texts import from_quoted_printable
from keepwell.services.query.card_filter import CardFilter, CardPropFilter, Combination, ParamFilter
from keepwell.services.query.card_index import coarse_card, search_text, verdict
from keepwell.services.query.card_match import matches
from keepwell.services.query.collation import Collation, MatchType, TextMatch


def octets(*lines: str) -> bytes:
    return "\r\n".join(["BEGIN:VCARD", "VERSION:3.0", *lines, "END:VCARD", ""]).encode()


BOB = octets(
    "UID:bob",
    "FN:Bob Müller",
    "N:Müller;Bob;;;",
    "EMAIL;TYPE=HOME:bob@home.example",
    "item1.EMAIL;TYPE=WORK,INTERNET:bob@work.example",
    "NOTE:likes tea\\, and\\ncoffee",
    "PHOTO;ENCODING=b;TYPE=JPEG:Ym9i",
    "TITLE;ENCODING=QUOTED-PRINTABLE;CHARSET=utf-8:Z=C3=BCchter",
)


def text(value: str, match_type: MatchType = MatchType.CONTAINS, *, negate: bool = False) -> TextMatch:
    return TextMatch(value, Collation.UNICODE_CASEMAP, negate, match_type)


def one(name: str, *texts: TextMatch, **rest: object) -> CardFilter:
    return CardFilter(prop_filters=(CardPropFilter(name, text_matches=texts, **rest),))  # type: ignore[arg-type]


EMAIL = CardPropFilter("EMAIL", text_matches=(text("home"),))
OTHER = CardPropFilter("FN", text_matches=(text("alice"),))
FILTERS = [
    ("every card", CardFilter(), True),
    ("a property", one("EMAIL"), True),
    ("an absent property", one("TEL"), False),
    ("no property", one("TEL", is_not_defined=True), True),
    ("no present property", one("EMAIL", is_not_defined=True), False),
    ("a text in any case", one("FN", text("MÜLLER")), True),
    ("a whole text", one("FN", text("bob müller", MatchType.EQUALS)), True),
    ("a whole text that is a part", one("FN", text("bob", MatchType.EQUALS)), False),
    ("a start", one("FN", text("bob", MatchType.STARTS_WITH)), True),
    ("an end", one("EMAIL", text("work.example", MatchType.ENDS_WITH)), True),
    ("an unescaped text", one("NOTE", text("tea, and\ncoffee")), True),
    ("a quoted-printable text", one("TITLE", text("züchter")), True),
    ("a text of a picture", one("PHOTO", text("Ym9i")), False),
    ("a text that one of two has not", one("EMAIL", text("work", negate=True)), True),
    ("a text that none lacks", one("EMAIL", text("bob", negate=True)), False),
    ("a group", one("EMAIL", group="ITEM1"), True),
    ("a text of another group", one("EMAIL", text("home"), group="ITEM1"), False),
    ("an absent group", one("EMAIL", group="ITEM2"), False),
    ("a parameter", one("EMAIL", param_filters=(ParamFilter("TYPE", text_match=text("internet")),)), True),
    ("a parameter of none", one("EMAIL", param_filters=(ParamFilter("TYPE", text_match=text("fax")),)), False),
    ("no parameter", one("FN", param_filters=(ParamFilter("TYPE", is_not_defined=True),)), True),
    (
        "text or parameter",
        one("EMAIL", text("alice"), param_filters=(ParamFilter("TYPE", text_match=text("home")),)),
        True,
    ),
    (
        "text and parameter of the same",
        one(
            "EMAIL",
            text("@work"),
            param_filters=(ParamFilter("TYPE", text_match=text("home")),),
            test=Combination.ALLOF,
        ),
        False,
    ),
    ("any of two properties", CardFilter(Combination.ANYOF, (EMAIL, OTHER)), True),
    ("all of two properties", CardFilter(Combination.ALLOF, (EMAIL, OTHER)), False),
    ("any of two texts", one("FN", text("alice"), text("bob")), True),
    ("all of two texts", one("FN", text("alice"), text("bob"), test=Combination.ALLOF), False),
]


@pytest.mark.parametrize(("what", "wanted", "expected"), FILTERS, ids=[row[0] for row in FILTERS])
def test_filter_is_true_of_what_it_asks_for(what: str, wanted: CardFilter, expected: bool) -> None:
    """A filter matches when any, or all, of its conditions are true of the same property."""
    assert matches(parse(BOB).components[0], wanted) is expected


@pytest.mark.parametrize(("what", "wanted", "expected"), FILTERS, ids=[row[0] for row in FILTERS])
def test_index_agrees_with_the_card(what: str, wanted: CardFilter, expected: bool) -> None:
    """The needles are in the text of every card that matches, and a verdict is never wrong."""
    found, needles = search_text(vcard.examine(BOB)), coarse_card(wanted).needles

    assert not expected or not needles or any(needle in found for needle in needles)
    assert verdict(wanted, found) in (expected, None)


@pytest.mark.parametrize("position", [0, 996, 5000])
def test_cut_value_is_read_instead(position: int) -> None:
    """A text beyond what the index keeps is still found, by reading the card."""
    data = octets("FN:x", "NOTE:" + "-" * position + "needle")
    wanted = one("NOTE", text("needle"))
    found = search_text(vcard.examine(data))

    assert any(needle in found for needle in coarse_card(wanted).needles)
    assert verdict(wanted, found) is (None if position > 900 else True)


def test_other_collations_are_decided_by_the_card() -> None:
    """The index says no for every collation, but yes only for the one that it is folded by."""
    found = search_text(vcard.examine(BOB))
    exact, absent = (one("FN", TextMatch(value, Collation.OCTET)) for value in ("bob", "alice"))

    assert verdict(exact, found) is None
    assert verdict(absent, found) is False


WORDS = st.sampled_from(["bob", "Bob", "müller", "MÜLLER", "", "a;b", "tea, coffee", "x" * 1001])
MATCHES = st.builds(TextMatch, WORDS, st.sampled_from(list(Collation)), st.booleans(), st.sampled_from(list(MatchType)))
PROP_FILTERS = st.builds(
    CardPropFilter,
    name=st.sampled_from(["FN", "NOTE", "EMAIL", "PHOTO"]),
    group=st.sampled_from(["", "", "ITEM1"]),
    is_not_defined=st.booleans(),
    test=st.sampled_from(list(Combination)),
    text_matches=st.lists(MATCHES, max_size=2).map(tuple),
    param_filters=st.lists(
        st.builds(ParamFilter, st.sampled_from(["TYPE", "PREF"]), st.booleans(), st.none() | MATCHES), max_size=1
    ).map(tuple),
)
LINES = st.builds(
    "{}{}{}:{}".format,
    st.sampled_from(["", "item1."]),
    st.sampled_from(["FN", "NOTE", "EMAIL"]),
    st.sampled_from(["", ";TYPE=bob", ";ENCODING=b"]),
    WORDS.map(lambda word: word.replace(";", "\\;").replace(",", "\\,")),
)


@given(
    lines=st.lists(LINES, max_size=4),
    wanted=st.builds(CardFilter, st.sampled_from(list(Combination)), st.lists(PROP_FILTERS, max_size=3).map(tuple)),
)
@settings(deadline=None, max_examples=500)
def test_index_never_contradicts_a_card(lines: list[str], wanted: CardFilter) -> None:
    """For any card and filter, narrowing drops no match and a verdict is what reading the card says."""
    data = octets(*lines)
    expected = matches(parse(data).components[0], wanted)
    found, needles = search_text(vcard.examine(data)), coarse_card(wanted).needles

    assert not expected or not needles or any(needle in found for needle in needles)
    assert verdict(wanted, found) in (expected, None)


@pytest.mark.parametrize(
    "charset", ["idna", "punycode", "undefined", "unicode_escape", "hex", "no-such-charset", "x" * 5000, "\0", "é"]
)
def test_character_set_that_is_none_breaks_no_search(charset: str) -> None:
    """Whatever a card calls its character set, its text is read in the same way for the index and by a query."""
    data = octets("FN:x", f"NOTE;CHARSET={charset};ENCODING=QUOTED-PRINTABLE:tea =5Cq =FF.=FF")
    wanted = one("NOTE", text("tea"))

    assert matches(parse(data).components[0], wanted)
    assert verdict(wanted, search_text(vcard.examine(data))) in (True, None)


@pytest.mark.parametrize("charset", ["ISO-8859-1", "windows-1252", "latin1", "cp1252"])
def test_character_set_of_old_cards_is_read(charset: str) -> None:
    """Quoted-printable text is read in the character set that the card names."""
    data = octets("FN:x", f"NOTE;CHARSET={charset};ENCODING=QUOTED-PRINTABLE:Z=FCchter")

    assert matches(parse(data).components[0], one("NOTE", text("züchter")))


def test_character_set_of_ukrainian_cards_is_read() -> None:
    """KOI8-U is known, which has no other name in the table of names."""
    assert from_quoted_printable("=A4", "KOI8-U") == "є"
