"""Merging two versions of a card loses no line, and decides only what the version before proves."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepwell.formats.card_merge import ONCE, merge_cards
from keepwell.formats.contentlines import parse


def card(*lines: str, version: str = "3.0", uid: str = "bob", ending: str = "\r\n") -> bytes:
    return ending.join(["BEGIN:VCARD", f"VERSION:{version}", f"UID:{uid}", *lines, "END:VCARD", ""]).encode()


def lines_of(data: bytes | None) -> list[str]:
    """What the card says, without its frame."""
    assert data is not None
    return data.decode().splitlines()[3:-1]


@pytest.mark.parametrize(
    ("current", "other", "base", "merged"),
    [
        (["FN:Bob", "TEL:1"], ["FN:Bob", "TEL:1"], None, ["FN:Bob", "TEL:1"]),
        (["FN:Bob"], ["FN:Bob", "TEL:1", "EMAIL:b@x"], None, ["FN:Bob", "TEL:1", "EMAIL:b@x"]),
        (["FN:Bob", "TEL:2"], ["FN:Bob", "TEL:1"], ["FN:Bob", "TEL:1"], ["FN:Bob", "TEL:2", "TEL:1"]),
        (["FN:Bob Berg", "NOTE:new"], ["FN:Bob", "TEL:1"], ["FN:Bob", "TEL:1"], ["FN:Bob Berg", "NOTE:new", "TEL:1"]),
        (["FN:Bob"], ["FN:Bob Berg"], ["FN:Bob"], ["FN:Bob Berg"]),
        (["FN:Bob"], ["FN:Bob", "BDAY:2001-01-01"], ["FN:Bob", "BDAY:2001-01-01"], ["FN:Bob", "BDAY:2001-01-01"]),
        (["FN:Bob", "REV:2"], ["FN:Bob", "REV:1", "PRODID:x"], None, ["FN:Bob", "REV:2"]),
        (["FN:Bob", "TEL;TYPE=home:1"], ["FN:Bob", "TEL;type=home:1"], None, ["FN:Bob", "TEL;TYPE=home:1"]),
    ],
    ids=["same", "lost lines", "a changed number is two", "a changed name is new", "theirs", "gone", "REV", "spelling"],
)
def test_lines_that_only_the_other_version_has_come_to_those_of_the_current(
    current: list[str], other: list[str], base: list[str] | None, merged: list[str]
) -> None:
    """What there may be many of is united; what there is once is as the version that changed it has it."""
    before = None if base is None else card(*base)
    assert lines_of(merge_cards(card(*current), card(*other), before)) == merged


@pytest.mark.parametrize(
    ("current", "other", "base"),
    [
        (card("FN:Bob"), card("FN:Rob"), None),
        (card("FN:Bob"), card("FN:Rob"), card("FN:Rib")),
        (card("FN:Bob", version="3.0"), card("FN:Bob", version="4.0"), None),
        (card("FN:Bob"), card("FN:Bob", uid="rob"), None),
        (card("FN:Bob"), card("FN:Bob", "AGENT:", "BEGIN:VCARD", "VERSION:2.1", "FN:A", "END:VCARD"), None),
        (card("FN:Bob"), card("FN:Bob") * 2, None),
        (card("FN:Bob"), b"no card", None),
        (card("FN:Bob", "g.BDAY:1", "g.NOTE:a"), card("FN:Bob", "BDAY:2"), card("FN:Bob", "g.BDAY:1", "g.NOTE:a")),
        (card("FN:Bob", "BDAY:2"), card("FN:Bob", "g.BDAY:1", "g.NOTE:a"), card("FN:Bob", "g.BDAY:1", "g.NOTE:a")),
    ],
    ids=[
        "who changed it",
        "both changed it",
        "version",
        "uid",
        "card inside",
        "two cards",
        "no card",
        "label",
        "label there",
    ],
)
def test_what_a_person_must_decide_is_not_decided(current: bytes, other: bytes, base: bytes | None) -> None:
    """Without proof of who changed what, there is no result."""
    assert merge_cards(current, other, base) is None


def test_a_group_that_comes_gets_a_free_name() -> None:
    """Two versions may have used one group name for different things."""
    ours = card("FN:Bob", "item1.TEL:1", "item1.X-ABLABEL:boat")
    theirs = card("FN:Bob", "item1.EMAIL:b@x", "item1.X-ABLABEL:work", "ITEM2.URL:u", "ITEM2.X-ABLABEL:blog")
    assert lines_of(merge_cards(ours, theirs)) == [
        "FN:Bob",
        "item1.TEL:1",
        "item1.X-ABLABEL:boat",
        "item2.EMAIL:b@x",
        "item2.X-ABLABEL:work",
        "item3.URL:u",
        "item3.X-ABLABEL:blog",
    ]


def test_lines_keep_their_octets() -> None:
    """Folds, line ends and odd spelling come as they stood."""
    theirs = b"BEGIN:VCARD\nVERSION:3.0\nUID:bob\nFN:Bob\nnote:one\n  two\n\nEND:VCARD\n"
    merged = merge_cards(card("FN:Bob"), theirs)
    assert merged == b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:bob\r\nFN:Bob\r\nnote:one\n  two\n\nEND:VCARD\r\n"


def test_a_fold_within_the_name_of_a_group_is_left_to_a_person() -> None:
    """Such a line cannot be given another group name without touching its octets."""
    theirs = b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:bob\r\nFN:Bob\r\nit\r\n em1.TEL:1\r\nEND:VCARD\r\n"
    assert merge_cards(card("FN:Bob"), theirs) is None


VALUES = st.sampled_from(["a", "b", "c"])
LINES = st.lists(
    st.tuples(
        st.sampled_from(["TEL", "NOTE", "BDAY", "item1.TEL", "item1.X-ABLABEL", "item1.BDAY", "item2.URL"]), VALUES
    ),
    max_size=6,
)


def said(data: bytes) -> Counter[tuple[str, str]]:
    """What each line says, whatever its group."""
    return Counter((line.name, line.value) for line in parse(data).components[0].properties)


@given(current=LINES, other=LINES, base=st.none() | LINES)
def test_no_line_is_lost(
    current: list[tuple[str, str]], other: list[tuple[str, str]], base: list[tuple[str, str]] | None
) -> None:
    """The result says all that two versions say, but for what a card has once; merging again adds nothing."""
    ours, theirs = (card("FN:Bob", *(f"{name}:{value}" for name, value in one)) for one in (current, other))
    before = None if base is None else card("FN:Bob", *(f"{name}:{value}" for name, value in base))
    merged = merge_cards(ours, theirs, before)
    if merged is None:
        assert any("BDAY" in name for name, _value in current) or any("BDAY" in name for name, _value in other)
        return
    many = {one for one in said(ours) | said(theirs) if one[0] not in ONCE}
    assert many <= said(merged).keys() <= said(ours).keys() | said(theirs).keys()
    assert merge_cards(merged, theirs, before) == merged
    if "BDAY" in {name for name, _value in said(theirs)}:
        assert "BDAY" in {name for name, _value in said(merged)}
