"""What an answer in XML can carry."""

import re

from hypothesis import given
from hypothesis import strategies as st
from tests.formats.strategies import TOKENS

from keepwell.formats.xmltext import fits_xml, for_xml

_ALLOWED = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")


@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(lambda text: text.encode(errors="replace")), TOKENS))
def test_text_for_xml_is_carried_and_unchanged_where_it_fits(data: bytes) -> None:
    """Every result is XML's, and it is the file itself if and only if that fits."""
    text = for_xml(data)
    assert _ALLOWED.fullmatch(text)
    assert (text.encode() == data) == fits_xml(data)


def test_control_characters_are_left_out() -> None:
    """One control character costs itself and nothing else."""
    assert for_xml(b"NOTE:a\x0bb\r\n") == "NOTE:ab\r\n"


def test_a_character_torn_by_a_fold_is_mended() -> None:
    """A fold inside a character goes, any other stays."""
    assert for_xml(b"NOTE:\xc3\r\n \xa4\r\n b") == "NOTE:ä\r\n b"
