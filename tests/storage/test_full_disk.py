"""A disk that is really full, when nothing is open that reading could go on with."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from keepwell.model.errors import StorageFault
from keepwell.model.weight import Weight
from keepwell.services.check import Checker
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
