"""A disk that is really full, with something open that reading could go on with, and with nothing."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from keepwell.model.errors import StorageFault, Unavailable
from keepwell.model.weight import Weight
from keepwell.services.check import Checker
from keepwell.storage import sqlite_files
from keepwell.storage.moves import Moves
from keepwell.storage.sqlite import SqliteStore
from tests.storage.contract_suite import ANNA, done, friends, make, names, put
from tests.support.clock import SeededEntropy

DISK_OCTETS = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, with little room."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system (tmpfs) needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_OCTETS}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Take all the room that is left."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(512))
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        (disk / "probe").write_bytes(bytes(8192))
    return ballast


def test_it_is_read_without_room_to_open_it(disk: Path) -> None:
    """By one reader after the other, and changes are seen; writes are refused, and taken again with room."""
    with closing(SqliteStore(disk)) as before:
        done(before.create(ANNA, [make()]), put("a"), put("b", b"the other"))
    ballast = fill(disk)
    with closing(SqliteStore(disk)) as store:
        account = store.account(ANNA)
        version = account.version()
        for _ in range(2):
            with account.reading() as snapshot:
                assert names(snapshot) == ["a", "b"]
        assert account._idle == []
        assert account.version() == version
        with pytest.raises(StorageFault, match=r"full|disk I/O"):
            account.transact([put("c", b"x" * 20_000)])
        with account.reading() as snapshot:
            assert names(snapshot) == ["a", "b"]
        ballast.unlink()
        done(account, put("c", b"x" * 20_000))
        assert account.version() != version
        with account.reading() as snapshot:
            assert names(snapshot) == ["a", "b", "c"]
            assert snapshot.item(friends(snapshot).id, "c") is not None
    with closing(SqliteStore(disk)) as after, after.account(ANNA).reading() as snapshot:
        assert names(snapshot) == ["a", "b", "c"]


def test_what_cannot_be_opened_for_want_of_room_is_not_called_damaged(disk: Path) -> None:
    """An operator who is told of damage would bring back an older copy."""
    with closing(SqliteStore(disk)) as before:
        done(before.create(ANNA, [make()]), put("a"))
    fill(disk)
    with closing(SqliteStore(disk)) as store:
        found = Checker(store).check(ANNA)
        assert {one.weight for one in found} == {Weight.UNREAD}
        with pytest.raises(StorageFault, match="not rebuilt"):
            Checker(store).rebuild(ANNA)
    (disk / "ballast").unlink()
    with closing(SqliteStore(disk)) as store:
        assert Checker(store).check(ANNA) == []


def test_another_process_sees_on_a_full_disk_that_an_account_was_moved(disk: Path) -> None:
    """The word that tells it has no place in memory then; looking there would end the process."""
    with closing(Moves(disk, SeededEntropy(1))) as before:
        before.note()
    with closing(Moves(disk, SeededEntropy(2))) as moves:
        word = moves.word()
    os.truncate(disk / "moves", 0)
    os.truncate(disk / "moves", len(word))
    ballast = fill(disk)
    with closing(Moves(disk, SeededEntropy(3))) as moves:
        assert moves.word() == bytes(len(word))
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            moves.prepare()
        ballast.unlink()
        moves.note()
        assert moves.word() != bytes(len(word))


def test_what_is_open_for_reading_is_read_on(disk: Path) -> None:
    """A write that finds no room leaves the reader that is open as it is; with room writing goes on as well."""
    with closing(SqliteStore(disk)) as store:
        account = store.create(ANNA, [make()])
        done(account, put("a"))
        with account.reading() as snapshot:
            assert names(snapshot) == ["a"]
        [reader] = account._idle
        ballast = fill(disk)
        with pytest.raises(StorageFault, match="full"):
            account.transact([put("b", b"x" * 20_000)])
        assert (account._idle, account._writer) == ([reader], None)
        with account.reading() as snapshot:
            assert names(snapshot) == ["a"]
        ballast.unlink()
        done(account, put("b", b"x" * 20_000))
        with account.reading() as snapshot:
            assert names(snapshot) == ["a", "b"]


def test_without_room_to_share_it_whoever_else_reads_has_to_wait(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while he is told to try again: it is in use, and nothing is wrong with it. So is who writes or checks."""
    with closing(SqliteStore(disk)) as before:
        done(before.create(ANNA, [make()]), put("a"))
    ballast = fill(disk)
    monkeypatch.setattr(sqlite_files, "BUSY_MILLISECONDS", 1)
    with closing(SqliteStore(disk)) as store, closing(SqliteStore(disk)) as another:
        for place in (store.account(ANNA), another.account(ANNA)):
            waiting = [
                lambda place=place: place.reading().__enter__(),
                place.version,
                lambda place=place: place.transact([put("b")]),
                place.check_medium,
                place.prove_readable,
            ]
            with store.account(ANNA).reading() as snapshot:
                for each in waiting:
                    with pytest.raises(Unavailable) as caught:
                        each()
                    assert not isinstance(caught.value, StorageFault)
                assert names(snapshot) == ["a"]
        with another.account(ANNA).reading() as snapshot:
            assert names(snapshot) == ["a"]
        ballast.unlink()
        assert (store.suspects.all(), another.account(ANNA).check_medium()) == ([], [])
