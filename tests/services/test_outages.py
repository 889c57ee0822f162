"""When a vault took no part: known for longer than the process that saw it."""

from __future__ import annotations

from pathlib import Path

import pytest

from keepwell.model.errors import StorageFault
from keepwell.services.outages import FILE, KEPT_MAX, Outage, OutageBook
from keepwell.services.vault_settings import FOLDER, Role
from keepwell.vault.memory_medium import MemoryMedium
from tests.services.vault_desk import Desk, establish, gone, nothing, put


@pytest.fixture
def book(tmp_path: Path) -> OutageBook:
    return OutageBook(tmp_path)


@pytest.fixture
def medium() -> MemoryMedium:
    made = MemoryMedium()
    establish(made)
    return made


def degrading(medium: MemoryMedium, book: OutageBook, before: Desk | None = None) -> Desk:
    """A desk that goes on without its vault; over the store of another, it is a server's next start."""
    if before is None:
        return Desk([medium], role=Role.CONFIRMS_WHILE_THERE, book=book)
    return Desk([medium], role=Role.CONFIRMS_WHILE_THERE, book=book, store=before.store, clock=before.clock)


def test_it_is_kept_before_a_write_is_answered_with_one_copy_less(medium: MemoryMedium, book: OutageBook) -> None:
    """What a crash leaves is what counts: the process never closes its links."""
    desk = degrading(medium, book).open()
    medium.before = gone()
    desk.write(put("one"))
    assert [(one.until, "gone" in one.reason) for one in book.all()["v0"]] == [("", True)]
    again = degrading(medium, book, desk)
    medium.before = nothing
    desk.clock.advance(60)
    again.open()
    [outage] = book.all()["v0"]
    assert outage.since < outage.until
    assert again.links[0].outages == [outage]
    again.close()


def test_a_vault_that_is_gone_at_the_start_is_told_from_then_on(medium: MemoryMedium, book: OutageBook) -> None:
    """Its writes have one copy less, though it never fell. A process that ends writes nothing any more."""
    desk = degrading(medium, book)
    desk.links[0].go_down(StorageFault("it is not mounted"))
    desk.links[0].go_down(StorageFault("nor is it now"))
    desk.write(put("one"))
    [outage] = book.all()["v0"]
    assert (outage.reason, outage.until) == ("it is not mounted", "")
    desk.clock.advance(60)
    desk.close()
    assert [one.until > one.since for one in book.all()["v0"]] == [True]


def test_what_one_process_sees_ends_nothing_of_another(medium: MemoryMedium, book: OutageBook) -> None:
    """A command may end while the server goes on without the vault."""
    server = degrading(medium, book)
    server.links[0].go_down(StorageFault("gone"))
    server.clock.advance(1)
    command = degrading(medium, book, server)
    command.links[0].go_down(StorageFault("gone"))
    command.close()
    assert [bool(one.until) for one in book.all()["v0"]] == [False, True]


def test_the_oldest_go_first_and_an_end_is_never_taken_back(book: OutageBook) -> None:
    outages = [Outage(f"2026-11-23T{hour // 60:02}:{hour % 60:02}", "gone") for hour in range(KEPT_MAX + 5)]
    for one in outages:
        book.keep("v0", one)
    book.keep("v0", Outage(outages[-1].since, "gone", "2026-11-24T00:00"))
    book.keep("v0", outages[-1])
    book.keep("v1", outages[0])
    kept = book.all()
    assert kept["v0"][:-1] == tuple(outages[5:-1])
    assert kept["v0"][-1].until == "2026-11-24T00:00"
    assert kept["v1"] == (outages[0],)


def test_a_file_that_cannot_be_read_or_written_holds_up_nobody(book: OutageBook, tmp_path: Path) -> None:
    """It is logged: people are served all the same."""
    book.keep("v0", Outage("2026-11-23T07:00", "gone"))
    path = tmp_path / FOLDER / FILE
    path.write_bytes(path.read_bytes().replace(b"gone", b"gene"))
    assert book.all() == {}
    path.unlink()
    path.mkdir()
    book.keep("v0", Outage("2026-11-23T07:00", "gone"))
    assert book.all() == {}
