"""Cards: which are taken, what is known of them, and why others are refused."""

import dataclasses

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.formats.strategies import cards, damaged_files, files, plain_cards

from keepwell.formats import vcard
from keepwell.formats.contentlines import DEFAULT_CAPS, Caps, Component, InvalidContent, Line, parse


def _card(*lines: str) -> bytes:
    return "\r\n".join(["BEGIN:VCARD", *lines, "END:VCARD", ""]).encode()


def _is_right(data: bytes) -> bool:
    """The rules once more, in the plainest way, on the parsed tree."""
    try:
        document = parse(data)
    except InvalidContent:
        return False
    if [component.name for component in document.components] != ["VCARD"]:
        return False
    card = document.components[0]
    version = (card.value("VERSION") or "").strip(" \t\r")
    return version in ("2.1", "3.0", "4.0", "3", "4") and _agents_are_right(card)


def _agents_are_right(card: Component) -> bool:
    inner = [(index, part) for index, part in enumerate(card.content) if isinstance(part, Component)]
    return all(part.name != "VCARD" or _is_agent(card, index) for index, part in inner)


def _is_agent(card: Component, index: int) -> bool:
    before = card.content[index - 1] if index else card.begin
    return not isinstance(before, Component) and before.name == "AGENT"


@given(st.one_of(cards(), files(), damaged_files()))
@settings(max_examples=400)
def test_a_card_is_taken_if_and_only_if_parsing_and_rules_agree(data: bytes) -> None:
    """The quick examination accepts exactly what the full parse and the rules accept."""
    facts = _examined(data)
    assert _is_right(data) == (not isinstance(facts, InvalidContent))
    if isinstance(facts, InvalidContent):
        assert facts.condition
    else:
        lines = parse(data).components[0].properties
        assert [name for name, _ in facts.texts] == [line.name for line in lines if not _is_binary(line)]


_AS_STRICT = dataclasses.replace(DEFAULT_CAPS)
"""The same limits, and not the usual object: with others than the usual a card is read by its rows."""


@given(st.one_of(plain_cards(), cards(), files(), damaged_files()))
@example(_card("VERSION:2.1", "NOTE;ENCODING=QUOTED-PRINTABLE:J=C3=A4ne"))
@example(_card("VERSION:3.0", "X-PICTURE;ENCODING=b:AAAA"))
@example(_card("VERSION:2.1", "X-PICTURE;BASE64:AAAA"))
@example(_card("VERSION:3.0", "NOTE:a\nFN"))
@example(_card("VERSION:3.0", "NOTE:a\rb"))
@example(_card("VERSION:3.0", "NOTE:a\n b"))
@example(_card("VERSION:3.0", "FN"))
@example(_card("VERSION:3.0", "AGENT:", "BEGIN:VCARD", "VERSION:3.0", "END:VCARD"))
@example(_card("VERSION:3.0", "UID:a", "uid:b", "item1.TEL;TYPE=CELL:1", 'X;Y="a:b":c'))
@settings(max_examples=400)
def test_plain_cards_are_read_in_one_go_with_the_same_outcome(data: bytes) -> None:
    """What is taken from a card is the same whether it is read in one go or by its rows; so is what is refused."""
    try:
        carefully: vcard.CardFacts | str = vcard.examine(data, _AS_STRICT)
    except InvalidContent as refusal:
        carefully = str(refusal)
    quickly = _examined(data)
    assert carefully == (str(quickly) if isinstance(quickly, InvalidContent) else quickly)


def _examined(data: bytes) -> vcard.CardFacts | InvalidContent:
    try:
        return vcard.examine(data)
    except InvalidContent as refusal:
        return refusal


def _is_binary(line: Line) -> bool:
    return line.name in vcard.BINARY_PROPERTIES or (line.parameter("ENCODING") or "").upper() in ("B", "BASE64")


def test_the_facts_of_a_card_are_taken_from_it() -> None:
    """Version, UID, name and searchable texts come out decoded and in order."""
    data = _card("VERSION:3.0", "item1.EMAIL;TYPE=x:a@example.com", "FN:Jane\\, Doe", "UID: u-1 ", "NOTE:a\\nb\\;c")
    assert vcard.examine(data) == vcard.CardFacts(
        version="3.0",
        uid="u-1",
        texts=(
            ("VERSION", "3.0"),
            ("EMAIL", "a@example.com"),
            ("FN", "Jane, Doe"),
            ("UID", " u-1 "),
            ("NOTE", "a\nb;c"),
        ),
        truncated=False,
    )


@pytest.mark.parametrize(
    ("written", "meant"), [("2.1", "2.1"), ("3.0", "3.0"), ("4.0", "4.0"), (" 3 ", "3.0"), ("4", "4.0")]
)
def test_known_versions_are_taken(written: str, meant: str) -> None:
    """The three versions are taken, also abbreviated."""
    assert vcard.examine(_card(f"VERSION:{written}")).version == meant


def test_a_card_may_lack_uid_and_name() -> None:
    """What real exports lack is told as empty, not refused."""
    assert vcard.examine(_card("VERSION:3.0")).uid == ""


@pytest.mark.parametrize(
    "line",
    [
        "PHOTO:data:image/png;base64,AAAA",
        "X-PICTURE;ENCODING=b:AAAA",
        "X-PICTURE;BASE64:AAAA",
        "Key;TYPE=x:AAAA",
        "item1.LOGO:x",
    ],
)
def test_binary_properties_are_no_texts(line: str) -> None:
    """Pictures, sounds and keys are left out of the searchable texts."""
    assert [name for name, _ in vcard.examine(_card("VERSION:3.0", line)).texts] == ["VERSION"]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("NOTE;ENCODING=QUOTED-PRINTABLE:J=C3=A4ne", "Jäne"),
        ("NOTE;QUOTED-PRINTABLE;CHARSET=ISO-8859-1:J=E4ne", "Jäne"),
        ("NOTE;QUOTED-PRINTABLE;CHARSET=no-such:J=C3=A4ne", "Jäne"),
        ("NOTE;QUOTED-PRINTABLE;CHARSET=idna:J=C3=A4ne", "Jäne"),
        ("NOTE;QUOTED-PRINTABLE;CHARSET=undefined:J=C3=A4ne", "Jäne"),
        ("NOTE;QUOTED-PRINTABLE;CHARSET=a\0b:J=C3=A4ne", "Jäne"),
        ("NOTE;QUOTED-PRINTABLE:one=\r\n two=\r\nthree", "one twothree"),
    ],
)
def test_quoted_printable_is_decoded(line: str, text: str) -> None:
    """vCard 2.1: texts are decoded by their own character set."""
    assert vcard.examine(_card("VERSION:2.1", line)).texts[1] == ("NOTE", text)


def test_long_texts_are_cut_and_the_card_says_so() -> None:
    """A search has to look into the card itself when a text was cut."""
    facts = vcard.examine(_card("VERSION:3.0", "NOTE:" + "x" * 1001))
    assert facts.truncated
    assert facts.texts[1] == ("NOTE", "x" * vcard.TEXT_CHARACTERS_MAX)
    assert not vcard.examine(_card("VERSION:3.0", "NOTE:" + "x" * 1000)).truncated


def test_an_agent_may_be_a_card_within_the_card() -> None:
    """vCard 2.1 puts the agent's card behind AGENT; its lines are not the card's."""
    data = _card("VERSION:2.1", "AGENT:", "BEGIN:VCARD", "VERSION:2.1", "UID:b", "END:VCARD", "UID:a")
    assert vcard.examine(data).uid == "a"


@pytest.mark.parametrize(
    ("data", "line", "condition", "reason"),
    [
        (b"", 0, "valid-address-data", "there is no card in it"),
        (b"BEGIN:VCARD\nVERSION:3.0\n", 2, "valid-address-data", "the text ends here, where END:VCARD was expected"),
        (
            _card("VERSION:3.0") * 2,
            4,
            "valid-address-data",
            "a second card begins here, and a resource holds exactly one",
        ),
        (
            _card("VERSION:3.0", "BEGIN:VCARD", "END:VCARD"),
            3,
            "valid-address-data",
            "BEGIN:VCARD found where END:VCARD was expected",
        ),
        (_card("FN:Jane"), 1, "supported-address-data", "the card has no VERSION"),
        (
            _card("FN:Jane", "VERSION:5.0"),
            3,
            "supported-address-data",
            "VERSION is '5.0', and only 2.1, 3.0 and 4.0 are known",
        ),
        (
            b"BEGIN:VCALENDAR\nEND:VCALENDAR\n",
            1,
            "supported-address-data",
            "BEGIN:VCALENDAR found where BEGIN:VCARD was expected",
        ),
        (
            _card("VERSION:3.0", "FN:J") + b"x\n",
            5,
            "valid-address-data",
            "a content line needs a colon after its name, and 'x' has none",
        ),
        (
            _card("VERSION:3.0", "FN:x").replace(b":x", b":\xe4"),
            3,
            "valid-address-data",
            "the line is not UTF-8 (octet 0xE4)",
        ),
    ],
)
def test_what_is_no_single_card_is_refused(data: bytes, line: int, condition: str, reason: str) -> None:
    """Each refusal names line, precondition and reason."""
    with pytest.raises(InvalidContent) as caught:
        vcard.examine(data)
    refusal = caught.value
    assert (refusal.line, refusal.condition, refusal.reason) == (line, condition, reason)


def test_a_card_over_a_cap_is_refused_as_too_large() -> None:
    """The precondition of a cap is its own, not that of broken data."""
    with pytest.raises(InvalidContent) as caught:
        vcard.examine(_card("VERSION:3.0"), Caps(10, 10, 10, 10))
    assert caught.value.condition == "max-resource-size"


def test_facts_are_values() -> None:
    """Two examinations of the same octets give equal facts."""
    facts = vcard.examine(_card("VERSION:3.0"))
    assert replace(facts) == vcard.examine(_card("VERSION:3.0"))
