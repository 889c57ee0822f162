"""The lossless codec: what goes in comes out, and what is refused is refused with its line."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.formats.strategies import TOKENS, damaged_files, files

from keepwell.formats.contentlines import (
    Caps,
    Component,
    Document,
    InvalidContent,
    Line,
    Parameter,
    make_line,
    parse,
    parse_parameters,
    render,
    render_component,
)


def _card(*lines: str, line_end: str = "\r\n") -> bytes:
    return line_end.join(["BEGIN:VCARD", *lines, "END:VCARD", ""]).encode()


def _first_line(data: bytes) -> Line:
    return parse(data).components[0].properties[0]


@given(files())
def test_well_formed_files_are_accepted_and_rendered_octet_for_octet(data: bytes) -> None:
    """Every well-formed file, however folded and ended, is accepted and comes back as it was."""
    assert render(parse(data)) == data


@given(st.one_of(damaged_files(), st.lists(TOKENS, max_size=20).map(b"".join), st.binary(max_size=100)))
@settings(max_examples=500)
def test_whatever_is_accepted_is_rendered_octet_for_octet(data: bytes) -> None:
    """Nothing is accepted that would not come back as it was, and nothing fails in another way than refused."""
    document = _parsed(data)
    if isinstance(document, InvalidContent):
        assert document.reason
        assert 0 <= document.line <= data.count(b"\n") + data.count(b"\r") + 1
    else:
        assert render(document) == data


def _parsed(data: bytes) -> Document | InvalidContent:
    try:
        return parse(data)
    except InvalidContent as refusal:
        return refusal


@pytest.mark.parametrize("line_end", ["\r\n", "\n", "\r"])
def test_every_line_end_is_understood(line_end: str) -> None:
    """CRLF, LF and lone CR end lines alike."""
    data = _card("FN:Jane", "NOTE:a", line_end=line_end)
    assert [line.value for line in parse(data).components[0].properties] == ["Jane", "a"]
    assert [line.number for line in parse(data).components[0].properties] == [2, 3]


def test_a_lone_return_within_a_line_is_part_of_its_value() -> None:
    """In a file with LF, a CR elsewhere ends no line."""
    assert _first_line(_card("NOTE:a\rb:c")).value == "a\rb:c"


def test_folds_are_removed_from_values_and_kept_in_raw() -> None:
    """A folded line has its value in one piece and its text as it stood."""
    line = _first_line(_card("NOTE:one\r\n  two\r\n\tthree"))
    assert line.value == "one twothree"
    assert line.raw == "NOTE:one\r\n  two\r\n\tthree\r\n"


def test_a_fold_inside_a_character_is_mended_in_the_value() -> None:
    """RFC 6350 3.2: folding happens on octets, so unfolding comes before decoding."""
    data = _card("FN:J").replace(b"FN:J", b"FN:\xc3\r\n \xa4")
    assert _first_line(data).value == "ä"
    assert render(parse(data)) == data


def test_a_fold_in_name_or_parameters_is_understood() -> None:
    """A fold may stand anywhere in a line."""
    line = _first_line(_card("NO\r\n TE;LANG\r\n UAGE=en:x"))
    assert (line.name, line.parameter("LANGUAGE"), line.value) == ("NOTE", "en", "x")


def test_blank_lines_belong_to_the_line_before_them() -> None:
    """Blank lines mean nothing and are kept."""
    data = b"\r\n" + _card("FN:Jane\r\n\r\n", "NOTE:x") + b"\r\n"
    document = parse(data)
    assert [line.value for line in document.components[0].properties] == ["Jane", "x"]
    assert document.prefix == "\r\n"
    assert render(document) == data


def test_a_byte_order_mark_is_kept() -> None:
    """A byte order mark is no part of the first line and comes back."""
    data = b"\xef\xbb\xbf" + _card("FN:Jane")
    assert parse(data).components[0].name == "VCARD"
    assert render(parse(data)) == data


def test_groups_and_names_are_parted() -> None:
    """A group keeps its spelling; a name is given in upper case."""
    line = _first_line(_card("Item1.x-abLabel:_$!<HomePage>!$_"))
    assert (line.group, line.name, line.value) == ("Item1", "X-ABLABEL", "_$!<HomePage>!$_")


def test_control_characters_in_values_are_kept() -> None:
    """A value may hold control characters, even NUL."""
    assert _first_line(_card("NOTE:a\x00\x0bb\x1f")).value == "a\x00\x0bb\x1f"


def test_quoted_printable_goes_on_after_a_soft_line_break() -> None:
    """vCard 2.1: a value ends with = where it goes on in the next line, whatever stands there."""
    line = _first_line(_card("NOTE;ENCODING=QUOTED-PRINTABLE:one =", "two: =", "three", "FN:Jane"))
    assert line.value == "one two: three"


def test_a_soft_line_break_never_swallows_the_end() -> None:
    """A stray = at the end of the last value leaves END where it is."""
    assert _first_line(_card("NOTE;QUOTED-PRINTABLE:x=")).value == "x="


def test_a_value_that_ends_with_an_equals_sign_is_no_soft_line_break() -> None:
    """Only quoted-printable values have soft line breaks."""
    assert [line.value for line in parse(_card("NOTE:x=", "FN:Jane")).components[0].properties] == ["x=", "Jane"]


def test_a_base64_block_may_stand_without_folds() -> None:
    """vCard 2.1: a base64 block runs up to an empty line, and some programs do not indent it."""
    lines = parse(_card("PHOTO;JPEG;BASE64:", "/9j/4AAQ", "AAAA==", "", "FN:Jane")).components[0].properties
    assert [(line.name, line.value) for line in lines] == [("PHOTO", "/9j/4AAQAAAA=="), ("FN", "Jane")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (";TYPE=home,work", [("TYPE", ("home", "work"))]),
        (";type=home;TYPE=pref", [("TYPE", ("home",)), ("TYPE", ("pref",))]),
        (";HOME;VOICE", [("TYPE", ("HOME",)), ("TYPE", ("VOICE",))]),
        (";QUOTED-PRINTABLE", [("ENCODING", ("QUOTED-PRINTABLE",))]),
        (";URL", [("VALUE", ("URL",))]),
        (';CN="Doe; Jane: x, y"', [("CN", ("Doe; Jane: x, y",))]),
        (';MEMBER="mailto:a","mailto:b"', [("MEMBER", ("mailto:a", "mailto:b"))]),
        (";LABEL=a^nb^^c^'d^e", [("LABEL", ('a\nb^c"d^e',))]),
        (";X=", [("X", ("",))]),
        (';X=""', [("X", ("",))]),
        (';X=5" wide', [("X", ("5 wide",))]),
        (";;X=y;", [("X", ("y",))]),
        ("", []),
    ],
)
def test_parameters_are_read_as_they_are_meant(text: str, expected: list[tuple[str, tuple[str, ...]]]) -> None:
    """Quotes, RFC 6868 and the bare parameters of vCard 2.1 are understood."""
    assert parse_parameters(text) == tuple(Parameter(name, values) for name, values in expected)


def test_a_long_parameter_list_is_read_like_a_short_one() -> None:
    """Parameters too long to be remembered are read just as well."""
    assert parse_parameters(";CN=" + "x" * 500) == (Parameter("CN", ("x" * 500,)),)


def test_a_colon_in_quotes_ends_no_parameters() -> None:
    """Parameters end at the first colon outside quotes."""
    line = _first_line(_card('ATTENDEE;SENT-BY="mailto:x@example.com":mailto:y@example.com'))
    assert (line.parameter("SENT-BY"), line.value) == ("mailto:x@example.com", "mailto:y@example.com")


def test_a_quote_without_a_partner_is_an_ordinary_character() -> None:
    """When quotes do not pair up, parameters end at the first colon."""
    line = _first_line(_card('X;A=5" wide:value'))
    assert (line.parameter("A"), line.value) == ("5 wide", "value")


def test_components_are_found_by_name() -> None:
    """Lines, values and subcomponents are looked up in a component."""
    data = b"begin:VCALENDAR\nVERSION:2.0\nBEGIN:vevent\nUID:a\nEND:VEVENT \nPRODID:x\nEND:VCALENDAR\n"
    calendar = parse(data).components[0]
    assert [component.name for component in calendar.components] == ["VEVENT"]
    assert (calendar.value("PRODID"), calendar.value("UID")) == ("x", None)
    assert calendar.line("VERSION") == calendar.properties[0]
    assert [type(part) for part in calendar.content] == [Line, Component, Line]
    assert render_component(calendar.components[0]) == "BEGIN:vevent\nUID:a\nEND:VEVENT \n"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=200))
def test_a_made_line_is_folded_and_reads_as_it_was_meant(value: str) -> None:
    """A new line is folded at 75 octets, never inside a character, and parses to its value."""
    line = make_line("SUMMARY;LANGUAGE=en", value)
    assert all(len(physical.encode()) <= 75 for physical in line.raw.split("\r\n"))
    parsed = _first_line(b"BEGIN:VEVENT\r\n" + line.raw.encode() + b"END:VEVENT\r\n")
    assert (parsed.name, parsed.parameters, parsed.value) == (line.name, line.parameters, value)


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        (b"BEGIN:VCARD\nFN\nEND:VCARD\n", 2, "a content line needs a colon after its name, and 'FN' has none"),
        (b" BEGIN:VCARD\n", 1, "the folded line ' BEGIN:VCARD' continues nothing"),
        (b"BEGIN:VCARD\n=x:y\nEND:VCARD\n", 2, "'=x:y' does not start with the name of a property"),
        (b"BEGIN:A\nBEGIN:B\n\nEND:A\n", 4, "END:A found where END:B was expected"),
        (b"BEGIN:A\r\nX:1\r\n 2\r\n", 2, "the text ends here, where END:A was expected"),
        (b"END:A\n", 1, "END:A found where a BEGIN was expected"),
        (b"FN:Jane\n", 1, "FN found where a BEGIN was expected"),
        (b"BEGIN:A\nX:\xe4\nEND:A\n", 2, "the line is not UTF-8 (octet 0xE4)"),
        (b"BEGIN:A\rX:\xe4\rEND:A\r", 2, "the line is not UTF-8 (octet 0xE4)"),
    ],
)
def test_what_is_broken_is_refused_with_its_line(data: bytes, line: int, reason: str) -> None:
    """A refusal names the physical line and says in one sentence what was found."""
    with pytest.raises(InvalidContent) as caught:
        parse(data)
    assert (caught.value.line, caught.value.reason) == (line, reason)
    assert str(caught.value) == f"line {line}: {reason}"


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        (b"X" * 101, 0, "the file has 101 octets where at most 100 are taken"),
        (b"X\n" * 6, 0, "the file has 6 lines where at most 5 are taken"),
        (b"X\r" * 6, 0, "the file has 6 lines where at most 5 are taken"),
        (b"BEGIN:A\nX:34567890\n 1234567890\nEND:A\n", 2, "the unfolded line has 20 octets where at most 19 are taken"),
    ],
)
def test_size_caps_are_kept(data: bytes, line: int, reason: str) -> None:
    """Octets, lines and unfolded lines over their caps are refused as too large."""
    caps = Caps(100, 5, 19, 2)
    with pytest.raises(InvalidContent) as caught:
        parse(data, caps)
    assert (caught.value.line, caught.value.reason) == (line, reason)
    assert caught.value.condition == "max-resource-size"


def test_what_just_fits_the_caps_is_taken() -> None:
    """Caps name the largest that is taken."""
    data = b"BEGIN:A\nBEGIN:B\nX:3456789012345678\nEND:B\nEND:A\n"
    assert render(parse(data, Caps(len(data), 5, 18, 2))) == data


def test_deep_nesting_is_refused_at_the_line_that_goes_too_deep() -> None:
    """The nesting cap names the BEGIN that passes it."""
    with pytest.raises(InvalidContent, match="line 3: components nest deeper than 2 levels"):
        parse(b"BEGIN:A\nBEGIN:B\nBEGIN:C\nEND:C\nEND:B\nEND:A\n", Caps(100, 100, 100, nesting_max=2))


def test_a_refusal_can_be_told_anywhere() -> None:
    """A reason that quotes the file is short and printable."""
    with pytest.raises(InvalidContent) as caught:
        parse(b"BEGIN:\x00" + b"\x1b" * 10_000 + b"\n")
    assert caught.value.reason.isprintable()
    assert len(caught.value.reason) < 400


@pytest.mark.parametrize(
    "shape",
    [
        b"\r" * 300_000,
        b"X:" + b"\r" * 300_000 + b"x\n",
        b"\n" * 150_000 + b" x",
        b"X;A=" + b'"' * 300_001 + b":\n",
        b"X;A=" + b'"a' * 150_000 + b'":\n',
        b"X" + b";" * 300_000 + b"\n",
        b'X;A="' + b"\n " * 150_000 + b"\n",
        b"X;QUOTED-PRINTABLE;" + b"A" * 300_000 + b":=\n" + b"a=\n" * 100_000,
        b"X;BASE64:a\n" + b"aaaa\n" * 100_000,
    ],
)
def test_hostile_shapes_take_linear_time(shape: bytes) -> None:
    """What would make a backtracking or re-reading parser run for hours is over at once."""
    data = b"BEGIN:VCARD\n" + shape + b"END:VCARD\n"
    document = _parsed(data)
    assert isinstance(document, InvalidContent) or render(document) == data
