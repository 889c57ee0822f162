"""The two ways of reading lines agree."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.formats.strategies import damaged_files, files

from keepwell.formats.refusals import DEFAULT_CAPS
from keepwell.formats.rows import read_carefully, read_leanly, read_rows


@given(st.one_of(files(), damaged_files()))
@settings(max_examples=500)
def test_what_the_lean_way_reads_the_careful_way_reads_alike(data: bytes) -> None:
    """Wherever the lean way takes a text, the careful way finds the same rows."""
    text = data.decode(errors="replace").removeprefix("\ufeff").lstrip(" \t\r\n")
    rows = read_leanly(text)
    if rows is not None:
        assert rows == read_carefully(text, 1)


def test_a_folded_head_behind_base64_is_left_to_the_careful_way() -> None:
    """A line without a colon may go on with the block before it, so the lean way does not take it."""
    assert read_leanly("BEGIN:VCARD\r\nFN;ENCODING=BASE64:\r\nFN;\r\n TYPE=X:a\r\nEND:VCARD\r\n") is None


def test_the_lean_way_takes_what_programs_write_today() -> None:
    """Ordinary cards and events, folds included, are read the lean way."""
    text = 'BEGIN:VCARD\r\nitem1.TEL;TYPE=HOME:1\r\nNOTE;X="a:b":x\r\n  y\r\nEND:VCARD\r\n'
    assert read_leanly(text) is not None


def test_the_raw_texts_are_the_file() -> None:
    """Prefix and raw texts in order are the whole file."""
    data = b"\xef\xbb\xbf\r\nBEGIN:A\r\nX:\r\n y\r\n\r\nEND:A"
    found = read_rows(data, DEFAULT_CAPS)
    assert found.prefix + "".join(row[0] for row in found.rows) == data.decode()
    assert [found.number(index) for index in range(3)] == [2, 3, 6]
