"""CALDAV:free-busy-query, RFC 4791 section 7.10."""

from __future__ import annotations

import pytest
from tests.dav.reports.face import ANNA, BERTA, FRIENDS, WORK, Answer, Face, calendar, event

from keepwell.dav.reports import question
from keepwell.model.names import Home

DAY = '<C:time-range start="20260601T000000Z" end="20260602T000000Z"/>'


def busy(face: Face, asked: str = DAY, path: str = WORK, depth: str | None = "1", login: str = "anna") -> Answer:
    return face.report(path, f"<C:free-busy-query>{asked}</C:free-busy-query>", depth, login)


def periods(answer: Answer) -> list[str]:
    text = answer.body.decode().replace("\r\n ", "")
    return [line for line in text.splitlines() if line.startswith("FREEBUSY")]


def test_the_answer_is_one_calendar_with_one_vfreebusy(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a"))
    answer = busy(face)
    assert answer.status == 200
    assert answer.headers[b"content-type"].startswith(b"text/calendar")
    assert answer.body.count(b"BEGIN:VFREEBUSY") == 1
    assert periods(answer) == ["FREEBUSY:20260601T100000Z/20260601T110000Z"]


def test_what_is_transparent_or_cancelled_is_free(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a", "TRANSP:TRANSPARENT"))
    face.put(f"{WORK}b.ics", event("b", "STATUS:CANCELLED"))
    assert periods(busy(face)) == []


def test_what_is_tentative_is_said_to_be(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a", "STATUS:TENTATIVE"))
    (line,) = periods(busy(face))
    assert "FBTYPE=BUSY-TENTATIVE" in line


def test_occurrences_of_a_recurrence_are_busy(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a", "DTSTART:20260101T080000Z", "DURATION:PT30M", "RRULE:FREQ=DAILY"))
    assert "20260601T080000Z/" in periods(busy(face))[0]


def test_tasks_are_never_busy(face: Face) -> None:
    face.put(f"{WORK}t.ics", calendar("VTODO", "t", "DTSTART:20260601T100000Z", "DUE:20260601T110000Z"))
    assert periods(busy(face)) == []


def test_nothing_is_told_but_times(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a", "SUMMARY:Secret"))
    assert b"Secret" not in busy(face).body


def test_depth_zero_looks_at_no_members(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a"))
    assert periods(busy(face, depth="0")) == []


def test_no_depth_looks_at_members(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a"))
    assert len(periods(busy(face, depth=None))) == 1


def test_a_request_without_a_time_range_is_refused(face: Face) -> None:
    for asked in ("", '<C:time-range start="x"/>', '<C:time-range start="20260601T000000Z"/>'):
        answer = busy(face, asked)
        assert (answer.status, answer.conditions()) == (403, ["C:valid-filter"])


def test_contacts_are_never_busy(face: Face) -> None:
    assert busy(face, path=FRIENDS).conditions() == ["D:supported-report"]


def test_a_grantee_may_ask(face: Face) -> None:
    face.put(f"{WORK}a.ics", event("a"))
    assert busy(face, login="berta@example.org").status == 404
    face.door.shared[BERTA] = {(ANNA, Home.CALENDARS, "work"): False}
    assert len(periods(busy(face, login="berta@example.org"))) == 1


def test_too_many_steps_for_all_items_are_refused(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the steps of a request are spent, no half answer says that somebody is free."""
    for name in ("a", "b", "c"):
        face.put(f"{WORK}{name}.ics", event(name, "DTSTART:20260105T100000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY"))
    monkeypatch.setattr(question, "STEPS_PER_REQUEST", 5)
    answer = busy(face)
    assert (answer.status, answer.conditions()) == (403, ["D:number-of-matches-within-limits"])
