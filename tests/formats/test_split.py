"""Files of many cards: no good one is lost, whatever its neighbours are."""

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.formats.strategies import TOKENS, damaged_files

from keepwell.formats import vcard
from keepwell.formats.split import Bad, Good, sniff, split_cards


def _card(uid: str, *lines: str, line_end: str = "\r\n") -> bytes:
    return line_end.join(["BEGIN:VCARD", "VERSION:3.0", f"UID:{uid}", *lines, "END:VCARD", ""]).encode()


_BAD = st.one_of(
    st.sampled_from(
        [
            b"BEGIN:VCARD\r\nVERSION:3.0\r\n",
            b"BEGIN:VCARD\r\nrubbish\r\nEND:VCARD\r\n",
            b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:\xe4\r\nEND:VCARD\r\n",
            b"BEGIN:VCARD\r\nEND:VCARD\r\n",
            b"END:VCARD\r\n",
            b"From: someone\r\n\r\n",
            b"\r\n\r\n",
            b"\xef\xbb\xbf",
        ]
    ),
    TOKENS.map(lambda token: token + b"\r\n"),
)


@given(st.lists(st.lists(_BAD, max_size=2).map(b"".join), min_size=1, max_size=5))
def test_a_good_card_is_never_lost_because_its_neighbour_is_bad(neighbours: list[bytes]) -> None:
    """Whatever stands before and between them, all good cards are found, verbatim."""
    good = [_card(f"u{index}", f"FN:Card {index}") for index, _ in enumerate(neighbours)]
    data = b"".join(bad + card for bad, card in zip(neighbours, good, strict=True))
    uids = {piece.uid: piece.body for piece in split_cards(data) if isinstance(piece, Good)}
    assert all(card in uids[f"u{index}"] for index, card in enumerate(good))


@given(st.one_of(damaged_files(), st.lists(TOKENS, max_size=20).map(b"".join)))
def test_every_octet_ends_in_one_piece(data: bytes) -> None:
    """What is not blank is in a piece, in order; what is called good is one valid card with its UID."""
    pieces = list(split_cards(data))
    position = 0
    for piece in pieces:
        if isinstance(piece, Good):
            assert vcard.examine(piece.body).uid == piece.uid != ""
        if isinstance(piece, Bad) or not piece.note:
            start = data.index(piece.body, position)
            assert data[position:start].strip(b" \t\r\n\xef\xbb\xbf") == b"" or any(
                isinstance(other, Good) and other.note for other in pieces
            )
            position = start + len(piece.body)


def test_the_only_card_of_a_file_is_the_file() -> None:
    """Byte order mark and blank lines around a single card stay with it."""
    data = b"\xef\xbb\xbf\r\n" + _card("a") + b"\r\n\r\n"
    assert list(split_cards(data)) == [Good(data, 1, "a")]


def test_cards_are_told_with_their_lines() -> None:
    """Each piece knows on which line of the file it began and which line is at fault."""
    data = _card("a") + b"\r\nBEGIN:VCARD\r\nVERSION:3.0\r\nrubbish\r\nEND:VCARD\r\n" + _card("b")
    first, bad, second = split_cards(data)
    assert (first.first_line, bad.first_line, second.first_line) == (1, 6, 10)
    assert isinstance(bad, Bad)
    assert (bad.line, bad.reason) == (8, "a content line needs a colon after its name, and 'rubbish' has none")


def test_a_card_without_end_ends_where_the_next_begins() -> None:
    """A missing END costs its own card only."""
    bad, good = split_cards(b"BEGIN:VCARD\nVERSION:3.0\nFN:x\n" + _card("b"))
    assert bad == Bad(b"BEGIN:VCARD\nVERSION:3.0\nFN:x\n", 1, 3, "the text ends here, where END:VCARD was expected")
    assert isinstance(good, Good)
    assert good.uid == "b"


def test_the_card_of_an_agent_stays_in_its_card() -> None:
    """vCard 2.1: a card behind AGENT belongs to the card around it."""
    data = _card("a", "AGENT:", "BEGIN:VCARD", "VERSION:2.1", "END:VCARD")
    assert [piece.body for piece in split_cards(data + _card("b"))] == [data, _card("b")]


def test_text_between_cards_is_told() -> None:
    """What belongs to no card is a piece of its own."""
    pieces = list(split_cards(_card("a") + b"rubbish\r\nEND:VCARD\r\n" + _card("b")))
    assert pieces[1] == Bad(b"rubbish\r\nEND:VCARD\r\n", 5, 5, "text outside any card")


@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\r"])
def test_a_card_without_uid_gets_one_that_never_changes(line_end: str) -> None:
    """The UID follows from the octets, stands before END, and ends like the other lines."""
    data = line_end.join(["BEGIN:VCARD", "VERSION:3.0", "FN:x", "END:VCARD", ""]).encode()
    first, second = (next(iter(split_cards(data))) for _ in range(2))
    assert isinstance(first, Good)
    assert first == second
    assert first.note == f"had no UID and was given {first.uid}"
    assert first.body == data.replace(b"END:", f"UID:{first.uid}{line_end}END:".encode())


@pytest.mark.parametrize(
    ("line", "filled"),
    [
        ("UID:", "UID:{}"),
        ("uid;X=y: ", "uid;X=y:{} "),
        ("item1.UID:\r\n ", "item1.UID:{}\r\n "),
        ("UID:\r\n\r\n", "UID:{}\r\n\r\n"),
    ],
)
def test_a_uid_line_that_says_nothing_gets_the_uid(line: str, filled: str) -> None:
    """A second line behind it would not count: whoever reads the card takes the first."""
    data = f"BEGIN:VCARD\r\nVERSION:3.0\r\n{line}\r\nFN:ä\r\nEND:VCARD\r\n".encode()
    (piece,) = split_cards(data)
    assert isinstance(piece, Good)
    assert vcard.examine(piece.body).uid == piece.uid
    assert piece.body == data.replace(line.encode(), filled.format(piece.uid).encode())


def test_the_derived_uid_is_the_same_for_ever() -> None:
    """Importing the same file with any version of Keepwell gives the same item."""
    (piece,) = split_cards(b"BEGIN:VCARD\nVERSION:3.0\nEND:VCARD\n")
    assert isinstance(piece, Good)
    assert piece.uid == "urn:uuid:49f9f26d-799e-56b3-8705-1240ece93789"


def test_files_of_lone_returns_are_split() -> None:
    """Old Macintosh exports have CR alone for a line end."""
    data = _card("a", line_end="\r") + _card("b", line_end="\r")
    assert [piece.first_line for piece in split_cards(data)] == [1, 5]
    assert b"".join(piece.body for piece in split_cards(data)) == data


def test_files_joined_with_their_byte_order_marks_are_split() -> None:
    """A byte order mark in the middle of a file hides no card."""
    data = b"\xef\xbb\xbf" + _card("a") + b"\xef\xbb\xbf" + _card("b")
    assert [piece.body for piece in split_cards(data)] == [_card("a"), _card("b")]


def test_another_encoding_is_named_with_what_mends_it() -> None:
    """Only the cards in another encoding are refused, with advice."""
    bad, good = split_cards(_card("a", "FN:J").replace(b"FN:J", b"FN:\xe4") + _card("b"))
    assert isinstance(bad, Bad)
    assert bad.line == 4
    assert bad.reason == (
        "the line is not UTF-8 (octet 0xE4); it seems to be ISO-8859-1; `iconv -f ISO-8859-1 -t UTF-8` mends it"
    )
    assert isinstance(good, Good)


def test_wide_characters_refuse_the_whole_file() -> None:
    """A file in UTF-16 is one bad piece with advice."""
    data = _card("a").decode().encode("utf-16")
    assert list(split_cards(data)) == [
        Bad(data, 1, 1, "the file is not UTF-8; it seems to be UTF-16; `iconv -f UTF-16 -t UTF-8` mends it")
    ]


def test_nothing_falls_into_no_pieces() -> None:
    """A blank file has no cards and nothing to complain about."""
    assert list(split_cards(b"\r\n \r\n")) == []


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (_card("a"), "vcard"),
        (b"\r\n\xef\xbb\xbfbegin : vcard\r\n", "vcard"),
        (b"X:1\rBEGIN:VCARD\r", "vcard"),
        (_card("a").decode().encode("utf-16"), "vcard"),
        (b"BEGIN:VCALENDAR\nBEGIN:VCARD\n", "icalendar"),
        (b"BEGIN:VEVENT\n", "icalendar"),
        (b"BEGIN:X-OTHER\n", None),
        (b"BEGIN:VEGETABLE\n", None),
        (b"", None),
        (b"\x00\xff\xd8", None),
    ],
)
def test_a_file_is_told_by_its_first_begin(data: bytes, kind: Literal["vcard", "icalendar"] | None) -> None:
    """Cards and calendars are told apart whatever the file is called."""
    assert sniff(data) == kind
