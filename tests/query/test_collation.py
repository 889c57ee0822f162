"""Collations: which texts are the same (RFC 4790, RFC 5051)."""

from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepwell.services.query.collation import Collation, MatchType, TextMatch, _folded_needle, collation_named, fold
from keepwell.services.query.errors import UnsupportedCollation


@pytest.mark.parametrize(
    ("collation", "value", "text", "expected"),
    [
        (Collation.ASCII_CASEMAP, "bob", "BOB", True),
        (Collation.ASCII_CASEMAP, "ä", "Ä", False),
        (Collation.OCTET, "bob", "Bob", False),
        (Collation.OCTET, "bob", "bob", True),
        (Collation.UNICODE_CASEMAP, "ä", "Ä", True),
        (Collation.UNICODE_CASEMAP, "a\u0308", "Ä", True),
        (Collation.UNICODE_CASEMAP, "ﬁ", "ﬁ", True),
        (Collation.UNICODE_CASEMAP, "жук", "ЖУК", True),
        (Collation.UNICODE_CASEMAP, "ｂｏｂ", "Bob", True),
        (Collation.UNICODE_CASEMAP, "bob", "bab", False),
    ],
)
def test_collation_compares_as_it_is_defined(collation: Collation, value: str, text: str, expected: bool) -> None:
    """Letters of ASCII, of all scripts or of none are compared without regard to case."""
    assert TextMatch(value, collation, match_type=MatchType.EQUALS).accepts(text) is expected


@pytest.mark.parametrize(
    ("match_type", "value", "expected"),
    [
        (MatchType.EQUALS, "one two", True),
        (MatchType.EQUALS, "one", False),
        (MatchType.CONTAINS, "e t", True),
        (MatchType.CONTAINS, "x", False),
        (MatchType.STARTS_WITH, "one", True),
        (MatchType.STARTS_WITH, "two", False),
        (MatchType.ENDS_WITH, "two", True),
        (MatchType.ENDS_WITH, "one", False),
    ],
)
def test_match_type_says_where(match_type: MatchType, value: str, expected: bool) -> None:
    """A text is sought in the whole, anywhere, at the start or at the end; negated, the answer turns."""
    assert TextMatch(value, Collation.OCTET, match_type=match_type).accepts("one two") is expected
    assert TextMatch(value, Collation.OCTET, negate=True, match_type=match_type).accepts("one two") is not expected


def test_unknown_collation_is_refused() -> None:
    """A collation that is not known raises an error with its precondition, and "default" is the default."""
    with pytest.raises(UnsupportedCollation) as caught:
        collation_named("i;klingon", Collation.OCTET)
    assert caught.value.condition == "supported-collation"
    assert collation_named("default", Collation.OCTET) is Collation.OCTET


@given(before=st.text(), value=st.text(), after=st.text())
def test_folding_keeps_what_is_contained(before: str, value: str, after: str) -> None:
    """What is contained in a text is contained in it after folding."""
    assert fold(value) in fold(before + value + after)


@given(text=st.text())
def test_case_of_ascii_does_not_matter_to_the_index(text: str) -> None:
    """What i;ascii-casemap finds equal folds to the same."""
    swapped = "".join(letter.swapcase() if letter.isascii() else letter for letter in text)

    assert fold(text) == fold(swapped)


def test_long_searched_text_is_not_remembered() -> None:
    """What a query searches for is remembered only while it is short."""
    before = _folded_needle.cache_info().currsize
    for number in range(10):
        assert TextMatch("x" * 1_001 + str(number), Collation.UNICODE_CASEMAP, negate=True).accepts("y")
    assert _folded_needle.cache_info().currsize == before


@given(st.text())
def test_folding_is_the_title_case_of_each_character_decomposed(text: str) -> None:
    """However quickly it is done, a fold is what RFC 5051 makes of each character by itself."""
    titles = [one.title() if len(one.title()) == 1 else one for one in text]
    assert fold(text) == "".join(normalize("NFKD", one) for one in titles)
