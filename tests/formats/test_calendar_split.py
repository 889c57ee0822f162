"""Calendar files: what shares a UID comes together, everything else apart, and nothing good is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.formats.strategies import calendars, damaged_files

from keepwell.formats import icalendar
from keepwell.formats.split import Bad, Good, Piece, split_calendar


def _event(uid: str, *lines: str) -> str:
    return "\r\n".join(["BEGIN:VEVENT", f"UID:{uid}", "DTSTART:20260105T090000Z", *lines, "END:VEVENT", ""])


def _zone(tzid: str) -> str:
    return "\r\n".join(["BEGIN:VTIMEZONE", f"TZID:{tzid}", "END:VTIMEZONE", ""])


_HEAD = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nX-WR-CALNAME:Home\r\n"
_END = "END:VCALENDAR\r\n"


def _calendar(*parts: str, head: str = _HEAD) -> bytes:
    return (head + "".join(parts) + _END).encode()


def _split(data: bytes) -> tuple[list[Good], list[Bad]]:
    pieces: list[Piece] = list(split_calendar(data))
    good = [piece for piece in pieces if isinstance(piece, Good)]
    return good, [piece for piece in pieces if isinstance(piece, Bad)]


def test_a_file_that_is_one_object_is_untouched() -> None:
    """A single valid resource is the file itself."""
    data = b"\xef\xbb\xbf" + _calendar(_zone("unused"), _event("a"), "BEGIN:X-OTHER\r\nEND:X-OTHER\r\n") + b"\r\n"
    assert list(split_calendar(data)) == [Good(data, 1, "a")]


def test_components_are_grouped_by_uid_and_type() -> None:
    """Overrides come with their event, another type of the same UID apart, each in the calendar's own lines."""
    override = _event("a", "RECURRENCE-ID:20260106T090000Z")
    todo = "BEGIN:VTODO\r\nUID:a\r\nEND:VTODO\r\n"
    good, bad = _split(_calendar(_event("a"), todo, _event("b"), override))
    assert [(piece.body, piece.first_line, piece.uid) for piece in good] == [
        (_calendar(_event("a"), override), 4, "a"),
        (_calendar(todo), 8, "a"),
        (_calendar(_event("b")), 11, "b"),
    ]
    assert bad == []


def test_only_the_time_zones_that_are_used_come_along() -> None:
    """A piece has the VTIMEZONEs to which any of its lines refers, in the order of the file."""
    data = _calendar(_zone("X"), _zone("Y"), _event("a", "EXDATE;TZID=X:20260105T090000"), _event("b"))
    good, _ = _split(data)
    assert [piece.body for piece in good] == [
        _calendar(_zone("X"), _event("a", "EXDATE;TZID=X:20260105T090000")),
        _calendar(_event("b")),
    ]


def test_method_is_left_out() -> None:
    """RFC 4791 4.1: a stored object has no METHOD, and exports often have one."""
    good, _ = _split(_calendar(_event("a"), head=_HEAD + "METHOD:PUBLISH\r\n"))
    assert good[0].body == _calendar(_event("a"))


def test_the_uid_of_the_whole_is_left_out() -> None:
    """RFC 7986 5.3: the UID of a calendar names the whole; vdirsyncer would take it for each piece's own."""
    good, _ = _split(_calendar(_event("a"), _event("b"), head=_HEAD + "UID:whole\r\n"))
    assert [piece.body for piece in good] == [_calendar(_event("a")), _calendar(_event("b"))]


def test_calendar_lines_between_components_belong_to_the_calendar() -> None:
    """Own lines of the calendar are kept wherever they stand."""
    good, _ = _split(_calendar(_event("a"), "X-LATE:1\r\n", _event("b")))
    assert good[1].body == _calendar(_event("b"), head=_HEAD + "X-LATE:1\r\n")


@pytest.mark.parametrize(
    ("broken", "line", "reason"),
    [
        ("BEGIN:VEVENT\r\nUID:x\r\nEND:VEVENT\r\n", 8, "the VEVENT has no DTSTART"),
        (
            "BEGIN:VEVENT\r\nUID:x\r\nrubbish\r\nEND:VEVENT\r\n",
            10,
            "a content line needs a colon after its name, and 'rubbish' has none",
        ),
        ("BEGIN:VEVENT\r\nUID:x\r\nDTSTART:1\r\nEND:VEVENT\r\n", 10, "DTSTART: '1' is neither a date nor a date-time"),
        ("BEGIN:VEVENT\r\nUID:x\r\nDTSTART:20260105\r\n", 8, "BEGIN:VEVENT"),
        ("rubbish\r\n", 8, "a content line needs a colon after its name, and 'rubbish' has none"),
        ("END:VTODO\r\n", 8, "this END has no BEGIN"),
        ("BEGIN:X-OTHER\r\nEND:X-OTHER\r\n", 8, "a X-OTHER is no event, task, journal or free-busy"),
        (
            "BEGIN:VTIMEZONE\r\nrubbish\r\nEND:VTIMEZONE\r\n",
            9,
            "a content line needs a colon after its name, and 'rubbish' has none",
        ),
    ],
)
def test_a_bad_part_costs_nothing_else(broken: str, line: int, reason: str) -> None:
    """Whatever is wrong between two events, both are kept and the line at fault is told."""
    good, bad = _split(_calendar(_event("a"), broken, _event("b")))
    assert [piece.body for piece in good] == [_calendar(_event("a")), _calendar(_event("b"))]
    assert [piece.first_line for piece in bad] == [8]
    assert "VEVENT" in reason or (bad[0].line, bad[0].reason) == (line, reason)


def test_a_bad_override_rejects_its_own_event() -> None:
    """What shares a UID is kept or refused together, even when the bad part cannot be read."""
    good, bad = _split(_calendar(_event("a"), _event("b"), _event("a", "rubbish")))
    assert [piece.uid for piece in good] == ["b"]
    assert [(piece.first_line, piece.line) for piece in bad] == [(4, 15)]
    assert bad[0].body == _calendar(_event("a"), _event("a", "rubbish"))


def test_a_component_without_uid_gets_one_that_never_changes() -> None:
    """The UID follows from the octets of the component."""
    data = _calendar("BEGIN:VEVENT\r\nDTSTART:20260105\r\nEND:VEVENT\r\n", _event("b"))
    good, bad = _split(data)
    assert bad == []
    assert good == _split(data)[0]
    assert good[0].note == f"had no UID and was given {good[0].uid}"
    assert good[0].body == _calendar(f"BEGIN:VEVENT\r\nDTSTART:20260105\r\nUID:{good[0].uid}\r\nEND:VEVENT\r\n")


def test_a_uid_line_that_says_nothing_gets_the_uid() -> None:
    """With a second UID line the event would be refused; an alarm's own UID is not the event's."""
    alarm = "BEGIN:VALARM\r\nUID:\r\nTRIGGER:-PT5M\r\nEND:VALARM\r\n"
    data = _calendar(_event("", alarm.removesuffix("\r\n")), _event("b"))
    good, bad = _split(data)
    assert bad == []
    assert icalendar.examine(good[0].body).uid == good[0].uid
    assert good[0].body == _calendar(_event(good[0].uid, alarm.removesuffix("\r\n")))


def test_two_components_without_uid_stay_apart() -> None:
    """Different components without UID are different objects."""
    parts = [f"BEGIN:VEVENT\r\nDTSTART:2026010{day}\r\nEND:VEVENT\r\n" for day in (5, 6)]
    good, _ = _split(_calendar(*parts))
    assert len({piece.uid for piece in good}) == 2


def test_several_calendars_in_one_file_keep_their_own_lines() -> None:
    """Each object has the lines of the calendar that it stood in."""
    other = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nX-WR-CALNAME:Work\r\n"
    good, bad = _split(_calendar(_event("a")) + _calendar(_event("b"), head=other))
    assert [piece.body for piece in good] == [_calendar(_event("a")), _calendar(_event("b"), head=other)]
    assert bad == []


def test_a_component_outside_any_calendar_is_put_into_one() -> None:
    """A bare event is kept, in a plain calendar, and the note says so."""
    good, bad = _split(_event("a").encode())
    assert icalendar.examine(good[0].body).uid == "a"
    assert _event("a").encode() in good[0].body
    assert good[0].note == "stood outside any calendar and was put into a plain one"
    assert bad == []


def test_a_calendar_without_end_is_completed() -> None:
    """A file that was cut off after a component loses nothing, and the note says so."""
    good, bad = _split((_HEAD + _event("a")).encode())
    assert good[0].body == _calendar(_event("a"))
    assert good[0].note == "stood in a calendar without END:VCALENDAR, which was added"
    assert bad == []


def test_a_calendar_of_another_version_is_refused_once() -> None:
    """vCalendar 1.0 is told once, not for each of its events."""
    data = _calendar(_event("a"), _event("b"), head="BEGIN:VCALENDAR\r\nVERSION:1.0\r\n")
    assert list(split_calendar(data)) == [Bad(data, 1, 2, "VERSION is '1.0', and only 2.0 is known")]


def test_a_calendar_of_nothing_is_told() -> None:
    """A calendar without events is a bad piece, not silence."""
    data = _calendar(_zone("X"))
    assert list(split_calendar(data)) == [Bad(data, 1, 1, "the calendar has no event, task, journal or free-busy")]


def test_text_outside_calendars_is_told() -> None:
    """What belongs to no calendar is a piece of its own."""
    good, bad = _split(_calendar(_event("a")) + b"X-COMMENT:made by hand\r\n")
    assert [piece.uid for piece in good] == ["a"]
    assert bad == [Bad(b"X-COMMENT:made by hand\r\n", 9, 9, "text outside any calendar")]


def test_files_of_lone_returns_are_split() -> None:
    """Old Macintosh exports have CR alone for a line end."""
    data = _calendar(_event("a"), _event("b")).replace(b"\r\n", b"\r")
    good, bad = _split(data)
    assert [piece.body for piece in good] == [
        _calendar(_event("a")).replace(b"\r\n", b"\r"),
        _calendar(_event("b")).replace(b"\r\n", b"\r"),
    ]
    assert bad == []


def test_a_missing_last_line_end_is_mended_between_parts() -> None:
    """Only where parts are put together is a line end added."""
    good, _ = _split(_calendar(_event("a"), _event("b")).removesuffix(b"\r\n"))
    assert [piece.body for piece in good] == [_calendar(_event("a")), _calendar(_event("b"))]


def test_folded_calendar_lines_are_kept_whole() -> None:
    """A fold, even across a blank line, does not tear a line of the calendar apart."""
    head = "BEGIN:VCALENDAR\r\nVERSION\r\n\r\n :2.0\r\nX-WR-CALDESC:one\r\n  two\r\n"
    good, bad = _split(_calendar(_event("a"), _event("b"), head=head))
    assert [piece.body for piece in good] == [
        _calendar(_event("a"), head=head),
        _calendar(_event("b"), head=head),
    ]
    assert bad == []


def test_wide_characters_refuse_the_whole_file() -> None:
    """A file in UTF-16 is one bad piece with advice."""
    data = _calendar(_event("a")).decode().encode("utf-16-le")
    (piece,) = split_calendar(data)
    assert isinstance(piece, Bad)
    assert piece.reason.endswith("`iconv -f UTF-16LE -t UTF-8` mends it")


@given(st.one_of(calendars(), damaged_files()))
def test_what_is_called_good_is_one_valid_object(data: bytes) -> None:
    """No piece is called good that a PUT would refuse, and no file makes splitting fail."""
    for piece in split_calendar(data):
        if isinstance(piece, Good):
            assert icalendar.examine(piece.body).uid == piece.uid


@given(
    st.lists(
        st.sampled_from(
            ["rubbish\r\n", "BEGIN:VEVENT\r\n", "END:VEVENT\r\n", "BEGIN:VEVENT\r\nx\r\nEND:VEVENT\r\n", "X:1\r\n"]
        )
    )
)
def test_a_good_event_is_never_lost_because_its_neighbour_is_bad(broken: list[str]) -> None:
    """Whatever stands around it, a good event is found, verbatim."""
    data = _calendar(*broken, _event("good"), *broken)
    assert [
        piece.uid for piece in split_calendar(data) if isinstance(piece, Good) and _event("good").encode() in piece.body
    ] == ["good"]
