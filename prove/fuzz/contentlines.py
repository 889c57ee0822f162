"""Files of vCard and iCalendar: read, rendered, examined and split.

Checked: what is refused is refused with a line of the file and a sentence; what is accepted is rendered octet for
octet; the lean and the careful reader agree; splitting loses no octet, and each good piece is what `examine` takes;
what an XML answer would have of a file is XML; the work grows with the size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from lxml import etree

from keepwell.dav.xml import escape_octets
from keepwell.formats import icalendar, vcard
from keepwell.formats.contentlines import parse, render
from keepwell.formats.recurrence import span_of
from keepwell.formats.refusals import InvalidContent
from keepwell.formats.rows import read_carefully, read_leanly
from keepwell.formats.split import Good, Piece, sniff, split_calendar, split_cards
from prove.fuzz.target import bounded, require, require_same, words

STEPS_FIXED: Final = 200_000
STEPS_PER_OCTET: Final = 400
"""Every octet is read a dozen times over here. What grows faster than the file passes this at some length."""

WORDS: Final = words(
    b"BEGIN:VCARD|END:VCARD|VERSION:3.0|VERSION:4.0|VERSION:2.1|BEGIN:VCALENDAR|END:VCALENDAR|VERSION:2.0",
    b"BEGIN:VEVENT|END:VEVENT|BEGIN:VTODO|END:VTODO|BEGIN:VTIMEZONE|END:VTIMEZONE|BEGIN:VALARM|END:VALARM",
    b"UID:1|FN:a|N:a;b|DTSTART:20260101T000000Z|RRULE:FREQ=DAILY|METHOD:PUBLISH|RECURRENCE-ID:20260101",
    b";ENCODING=QUOTED-PRINTABLE:|;ENCODING=b:|;BASE64:|;TYPE=|;CHARSET=|AGENT:|TZID:|;TZID=|item1.",
    b'\r\n|\r|\n |\r\n\t|=\r\n|\n\n|\xef\xbb\xbf|\xc3\n \xa4|"|^n|\\n',
)


def check(data: bytes) -> None:
    """One file."""
    with bounded(data, STEPS_FIXED + STEPS_PER_OCTET * len(data)):
        _check_codec(data)
        _check_pieces(data, _uid_of_card(data), list(split_cards(data)), _uid_of_card)
        _check_pieces(data, _uid_of_calendar(data), list(split_calendar(data)), _uid_of_calendar)
        sniff(data)
    _check_octets(data)
    etree.fromstring(f"<a>{escape_octets(data)}</a>")


def _check_codec(data: bytes) -> None:
    try:
        require_same(render(parse(data)), data, "what was accepted is rendered otherwise")
    except InvalidContent as refusal:
        _check_refusal(refusal, data)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    rows = read_leanly(text)
    if rows:
        require_same(rows, read_carefully(text, 1), "the lean and the careful reader")


def _check_refusal(refusal: InvalidContent, data: bytes) -> None:
    lines = data.count(b"\n") + data.count(b"\r") + 1
    require(0 <= refusal.line <= lines, f"line {refusal.line} of a file of {lines}")
    require(0 < len(refusal.reason) < 400 and refusal.reason.isprintable(), f"the reason {refusal.reason!r}")


def _uid_of_card(data: bytes) -> str | None:
    """The UID of what is accepted; None for what is refused."""
    try:
        return vcard.examine(data).uid
    except InvalidContent as refusal:
        _check_refusal(refusal, data)
        require(refusal.condition != "", "a card is refused without a precondition")
        return None


def _uid_of_calendar(data: bytes) -> str | None:
    try:
        facts = icalendar.examine(data)
    except InvalidContent as refusal:
        _check_refusal(refusal, data)
        require(refusal.condition != "", "a calendar object is refused without a precondition")
        return None
    span_of(facts, data)
    return facts.uid


def _check_pieces(data: bytes, uid: str | None, pieces: Sequence[Piece], uid_of: Callable[[bytes], str | None]) -> None:
    """What is called good would be accepted as it is; a file that is one resource is its only piece."""
    for piece in pieces:
        if isinstance(piece, Good):
            require(piece.uid != "", "a good piece without a UID")
            require_same(uid_of(piece.body), piece.uid, "the UID of a good piece")
        else:
            require(piece.reason != "" and min(piece.line, piece.first_line) >= 1, f"told as {piece}")
    if uid:
        require_same(list(pieces), [Good(data, 1, uid)], "a file that is one resource")


def _check_octets(data: bytes) -> None:
    """Every octet that is not blank is in one piece of a file of cards, in order."""
    whole = _without_blanks(data)
    bodies = [_as_it_stood(piece, whole) for piece in split_cards(data)]
    require_same(b"".join(bodies), whole, "what the pieces hold")


def _as_it_stood(piece: Piece, whole: bytes) -> bytes:
    """The octets of a piece that are not blank, without the UID that it was given, in a line of its own or not."""
    body = _without_blanks(piece.body)
    if not (isinstance(piece, Good) and piece.note):
        return body
    in_a_line = b"".join(body.rpartition(b"UID:" + piece.uid.encode())[::2])
    return in_a_line if in_a_line in whole else b"".join(body.rpartition(piece.uid.encode())[::2])


def _without_blanks(octets: bytes) -> bytes:
    return b"".join(octets.replace(b"\xef\xbb\xbf", b"").split())
