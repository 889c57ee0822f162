"""Generated files: well-formed ones with every habit that programs have, and the same ones damaged."""

from hypothesis import strategies as st

_NAMES = st.sampled_from(
    [
        "FN",
        "N",
        "note",
        "TEL",
        "X-PHONETIC_NAME",
        "item1.EMAIL",
        "item1.X-ABLabel",
        "DTSTART",
        "SUMMARY",
        "AGENT",
        "UID",
        "VERSION",
    ]
)
_PARAMETERS = st.sampled_from(
    [
        "",
        "",
        "",
        ";TYPE=home,work",
        ";HOME;VOICE",
        ';CN="Doe; Jane: a, b"',
        ";X-A=^n^'^^;X-B=",
        ';X-QUOTE=5" wide',
        ";ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8",
        ";ENCODING=BASE64",
        ";TZID=Europe/Berlin",
    ]
)
_VALUES = st.one_of(
    st.sampled_from(["", "a=", "=C3=A4=", "AAAA", "20260105T090000", "20260105", "3.0", "2.1", "x,y;z\\n", "end\t "]),
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=40),
)
_COMPONENTS = st.sampled_from(["VCARD", "VCALENDAR", "VEVENT", "VTODO", "VALARM", "VTIMEZONE", "X-OTHER"])
_LINE_ENDS = st.sampled_from(["\r\n", "\r\n", "\n", "\r"])

#: Texts that matter to the syntax, to be put anywhere into a file.
TOKENS = st.sampled_from(
    [
        b"\r\n", b"\n", b"\r", b"\r\n ", b"\n\t", b"\n\n", b"=\r\n", b'"', b";", b":", b",", b"^", b"\\", b"=",
        b"\x00", b"\x0b", b"\xc3", b"\xff", b"\xef\xbb\xbf", b"BEGIN:VCARD\r\n", b"END:VCARD\r\n", b"BEGIN:VEVENT\n",
        b"END:VEVENT\n",
        b"ENCODING=BASE64", b";QUOTED-PRINTABLE:", b"UID:a\r\n", b"VERSION:4.0\r\n", b"METHOD:PUBLISH\r\n",
        b"RRULE:FREQ=DAILY\r\n", b"DTSTART:20260105\r\n", b"RECURRENCE-ID:20260105\r\n", b"AGENT:\r\n",
    ]
)  # fmt: skip


@st.composite
def _line(draw: st.DrawFn) -> str:
    return f"{draw(_NAMES)}{draw(_PARAMETERS)}:{draw(_VALUES)}"


@st.composite
def _component(draw: st.DrawFn, depth: int) -> list[str]:
    name = draw(_COMPONENTS)
    parts = draw(st.lists(st.one_of(_line().map(lambda line: [line]), _nested(depth)), max_size=6))
    return [f"BEGIN:{name}", *(line for part in parts for line in part), f"END:{name}"]


def _nested(depth: int) -> st.SearchStrategy[list[str]]:
    return _component(depth - 1) if depth else st.just(list[str]())


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Well-formed files; folded anywhere, also inside characters."""
    line_end = draw(_LINE_ENDS)
    lines = [line for part in draw(st.lists(_component(2), max_size=3)) for line in part]
    octets = [_folded(line.encode(), draw(st.integers(0, 60)), line_end.encode()) for line in lines]
    blank = draw(st.sampled_from(["", "", line_end, line_end * 2])).encode()
    data = draw(st.sampled_from([b"", b"", b"\xef\xbb\xbf"])) + (line_end.encode() + blank).join(octets)
    return data + draw(st.sampled_from([line_end, line_end, "", line_end * 2])).encode()


def _folded(line: bytes, at: int, line_end: bytes) -> bytes:
    # A BEGIN or END that is folded in its name, after an unfinished value of vCard 2.1, is part of that value.
    first = len(b"BEGIN:") if line.startswith((b"BEGIN:", b"END:")) else 1
    if not first <= at < len(line):
        return line
    return line[:at] + line_end + b" " + line[at:]


@st.composite
def damaged_files(draw: st.DrawFn) -> bytes:
    """Files with a few pieces cut out, put in or doubled."""
    data = draw(files())
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 30)))
        data = data[:start] + draw(st.one_of(TOKENS, st.just(b""), st.binary(max_size=4))) + data[end:]
    return data


def _mostly(usual: list[str], *others: list[str]) -> st.SearchStrategy[list[str]]:
    return st.sampled_from([usual] * 8 + list(others))


_HEADS = _mostly(["VERSION:2.0"], [], ["VERSION:1.0"], ["METHOD:PUBLISH"], ["VERSION:2.0", "PRODID:x"])
_UIDS = _mostly(["UID:a"], [], ["UID:b"], ["UID:"], ["UID:a", "UID:a"])
_STARTS = _mostly(["DTSTART:20260105T090000Z"], [], ["DTSTART:20260230"], ["DTSTART;VALUE=DATE:20260105"])
_EXTRAS = st.sampled_from(
    [
        [],
        [],
        ["SUMMARY:x"],
        ["RRULE:FREQ=DAILY"],
        ["RRULE:FREQ=NEVER"],
        ["DTEND:20260106"],
        ["DTEND:x"],
        ["DTSTART:20260105"],
    ]
)
_OVERRIDES = _mostly(["RECURRENCE-ID:20260106T090000Z"], [], ["RECURRENCE-ID:x"])
_BESIDE = st.sampled_from([["BEGIN:VTIMEZONE", "END:VTIMEZONE"], ["BEGIN:X-OTHER", "X:1", "END:X-OTHER"]])


@st.composite
def _main_component(draw: st.DrawFn, *, is_override: bool) -> list[str]:
    (name,) = draw(_mostly(["VEVENT"], ["VTODO"]))
    override = draw(_OVERRIDES) if is_override else list[str]()
    return [f"BEGIN:{name}", *draw(_UIDS), *draw(_STARTS), *override, *draw(_EXTRAS), f"END:{name}"]


@st.composite
def calendars(draw: st.DrawFn) -> bytes:
    """Calendars which are just, or not quite, one calendar object."""
    first = draw(_main_component(is_override=False))
    others = draw(st.lists(st.one_of(_BESIDE, _main_component(is_override=True)), max_size=2))
    lines = [
        "BEGIN:VCALENDAR",
        *draw(_HEADS),
        *first,
        *(line for other in others for line in other),
        "END:VCALENDAR",
        "",
    ]
    return "\r\n".join(lines).encode()


@st.composite
def cards(draw: st.DrawFn) -> bytes:
    """Files which are nearly, or just, one card."""
    inner = st.sampled_from(
        [
            "VERSION:3.0",
            "VERSION:4.0",
            "VERSION:9",
            "UID:a",
            "FN:Jane",
            "AGENT:",
            "BEGIN:VCARD\r\nEND:VCARD",
            "NOTE:x\x0b",
        ]
    )
    lines = ["BEGIN:VCARD", *draw(st.lists(inner, max_size=5)), "END:VCARD", *draw(st.lists(inner, max_size=1))]
    return "\r\n".join([*lines, ""]).encode()


_PLAIN_HEADS = st.sampled_from(
    [
        "FN",
        "uid",
        "N",
        "item1.EMAIL;TYPE=INTERNET,HOME",
        'TEL;TYPE="cell,voice"',
        'X-A;B="c:d"',
        "NOTE;ENCODING=QUOTED-PRINTABLE",
        "NOTE;X=QUOTED",
        "PHOTO;ENCODING=b",
        "item2.Photo",
        "ADR;TYPE=HOME;LANGUAGE=de",
        "X Y",
        "BEGIN",
        "end",
        "",
        " folded",
        "a.b.C",
        "TEL;",
        "T\u00c4L",
    ]
)
_PLAIN_VALUES = st.one_of(
    st.text(alphabet="a\\n,;:=\u00e4\x0b\x1e\x1d\x85\u2028\r\n \t\ufeff", max_size=12),
    st.just("x" * 1_001),
    st.just("VCARD"),
)


@st.composite
def plain_cards(draw: st.DrawFn) -> bytes:
    """Cards as nearly all programs write them, and such as differ from those in one thing."""
    some = st.builds("{}:{}".format, _PLAIN_HEADS, _PLAIN_VALUES)
    lines = draw(st.lists(st.one_of(some, st.sampled_from(["", "FN", "VERSION:4.0"])), max_size=4))
    version = draw(
        st.sampled_from(["VERSION:3.0", "VERSION: 4 ", "version:2.1", "VERSION;X=1:3.0", "VERSION:9", "FN:a"])
    )
    end = draw(st.sampled_from(["END:VCARD\r\n"] * 6 + ["END:VCARD", "END:VCARD\r\n\r\n", "END:VCARD\n"]))
    line_end = draw(st.sampled_from(["\r\n"] * 6 + ["\n", "\r"]))
    return (line_end.join(["BEGIN:VCARD", version, *lines]) + line_end + end).encode()
