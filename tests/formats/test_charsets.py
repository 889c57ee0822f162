"""Guessing the encoding of old files."""

import pytest

from keepwell.formats.charsets import advice, likely_charset, wide_charset


@pytest.mark.parametrize(
    ("encoding", "charset"),
    [
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16LE"),
        ("utf-16-be", "UTF-16BE"),
        ("utf-32", "UTF-32"),
        ("utf-8", ""),
        ("latin-1", ""),
    ],
)
def test_wide_characters_are_recognised(encoding: str, charset: str) -> None:
    """UTF-16 and UTF-32 are told by their mark or their zeros."""
    assert wide_charset("BEGIN:VCARD\r\n".encode(encoding)) == charset


@pytest.mark.parametrize(
    ("data", "charset"),
    [
        (b"FN:J\xe4ne", "ISO-8859-1"),
        (b"FN:\x93Jane\x94", "WINDOWS-1252"),
        (b"FN;CHARSET=iso-8859-15:\xa4", "ISO-8859-15"),
        (b"FN;CHARSET=UTF-8:\xe4", "ISO-8859-1"),
    ],
)
def test_the_likely_charset_is_named(data: bytes, charset: str) -> None:
    """What the card declares comes first, then a guess from the octets."""
    assert likely_charset(data) == charset


def test_advice_is_a_command_that_can_be_run() -> None:
    """The advice names the tool and the encoding."""
    assert advice("UTF-16") == "it seems to be UTF-16; `iconv -f UTF-16 -t UTF-8` mends it"


def test_no_octets_have_no_wide_charset() -> None:
    """An empty file is not taken for anything."""
    assert wide_charset(b"") == wide_charset(b"\x00") == wide_charset(b"\x00\r\nBEGIN:VCARD") == ""
