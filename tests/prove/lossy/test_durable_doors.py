"""What Keepwell promises to have made durable survives a cut at every request that it makes of the disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from random import Random

import pytest
from prove.lossy.disk import LossyDisk
from prove.lossy.fate import Mode

from keepwell.ground import durable
from keepwell.model.errors import KeepwellError, NotThere
from keepwell.model.record import digest_of
from keepwell.storage.blobs import FileBlobs
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.folder_medium import FolderMedium
from tests.storage.contract_suite import ANNA, done, friends, make, names, put

SEEDS = 8
OLD, NEW = b"old" * 1000, b"new" * 1000

Step = Callable[[Path], object]


def through_every_cut(
    disk: LossyDisk, prepare: Step, act: Step, check: Callable[[Path, bool], None], *, seeds: int = SEEDS
) -> None:
    """Cut `act` off at its first request, at its second, and so on until it ends; and then once more after its end.

    `check` is told whether it returned. What `prepare` did not sync has no cut before `act`.
    """
    for seed in range(seeds):
        random = Random(seed)
        for number in count(1):
            place = disk.folder / f"{seed}-{number}"
            durable.make_folder(place)
            prepare(place)
            mode = random.choice(list(Mode))
            disk.cut(mode, f"{seed}/{number}", after=number)
            returned = False
            with suppress(OSError, KeepwellError):
                act(place)
                returned = True
            if not disk.is_dead():
                assert returned
                disk.cut(mode, f"{seed}/{number}")
            disk.restart()
            check(place, returned)
            if returned:
                break
        assert number > 1


def read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def nothing(_place: Path) -> None:
    """Prepare nothing."""


def write_unsynced(path: Path, octets: bytes) -> None:
    """As a process that died before it synced the folder has left it."""
    with path.open("wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file)


def test_a_written_file_is_old_or_new(disk: LossyDisk) -> None:
    """Whole in both cases; and new when the writing returned."""

    def check(place: Path, returned: bool) -> None:
        assert read(place / "a") in ({NEW} if returned else {OLD, NEW})

    through_every_cut(
        disk,
        lambda place: durable.write_file(place / "a", OLD),
        lambda place: durable.write_file(place / "a", NEW),
        check,
    )


def test_a_created_file_is_whole_or_not_there(disk: LossyDisk) -> None:
    """And there when the creation returned."""

    def check(place: Path, returned: bool) -> None:
        assert read(place / "a") in ({NEW} if returned else {None, NEW})

    through_every_cut(disk, nothing, lambda place: durable.create_file(place / "a", NEW), check)


def test_a_name_that_is_taken_is_durable(disk: LossyDisk) -> None:
    """Whoever took it may have died before it synced the folder; then the one who is told so has done it."""

    def act(place: Path) -> None:
        with suppress(FileExistsError):
            durable.create_file(place / "a", NEW)

    def check(place: Path, returned: bool) -> None:
        assert read(place / "a") in ({OLD} if returned else {None, OLD})

    through_every_cut(disk, lambda place: write_unsynced(place / "a", OLD), act, check)


def test_a_removed_file_is_gone(disk: LossyDisk) -> None:
    """When the removal returned; otherwise whole or gone."""

    def check(place: Path, returned: bool) -> None:
        assert read(place / "a") in ({None} if returned else {None, OLD})

    through_every_cut(
        disk,
        lambda place: durable.write_file(place / "a", OLD),
        lambda place: durable.remove_file(place / "a"),
        check,
    )


@pytest.mark.parametrize("left", ["", "a", "a/b"])
def test_a_made_folder_is_there(disk: LossyDisk, left: str) -> None:
    """With all above it and what is put into it; also where a process that died has made a part of it."""

    def prepare(place: Path) -> None:
        if left:
            durable.make_folder((place / left).parent)
            (place / left).mkdir()

    def act(place: Path) -> None:
        durable.make_folder(place / "a" / "b")
        durable.write_file(place / "a" / "b" / "c", NEW)

    def check(place: Path, returned: bool) -> None:
        assert read(place / "a" / "b" / "c") in ({NEW} if returned else {None, NEW})

    through_every_cut(disk, prepare, act, check)


@pytest.mark.parametrize("left", [None, OLD, NEW])
def test_a_blob_is_whole_or_not_there(disk: LossyDisk, left: bytes | None) -> None:
    """And there when it was put; also where a process that died left it without a sync, or with other bytes."""
    digest = digest_of(NEW)

    def prepare(place: Path) -> None:
        if left is not None:
            (place / digest[:2]).mkdir()
            write_unsynced(place / digest[:2] / digest, left)

    def check(place: Path, returned: bool) -> None:
        allowed = {NEW} if returned else {None, NEW, left}
        assert read(place / digest[:2] / digest) in allowed

    through_every_cut(disk, prepare, lambda place: FileBlobs(place).put(NEW), check)


def test_an_object_of_a_vault_is_whole_or_not_there(disk: LossyDisk) -> None:
    """And there when it was created."""

    def check(place: Path, returned: bool) -> None:
        try:
            assert FolderMedium(place).read("packs/1") == NEW
        except NotThere:
            assert not returned

    through_every_cut(disk, nothing, lambda place: FolderMedium(place).create("packs/1", NEW), check)


def test_what_a_log_took_is_there(disk: LossyDisk) -> None:
    """Every append that returned, in its place, in every log that was opened."""
    lines = [b"%d\n" % number * 300 for number in range(4)]
    told: list[bytes] = []

    def act(place: Path) -> None:
        told.clear()
        log = FolderMedium(place).open_log("tails/1")
        assert log is not None
        with closing(log):
            for line in lines:
                log.append(line)
                told.append(line)

    def check(place: Path, _returned: bool) -> None:
        if told:
            assert FolderMedium(place).read("tails/1").startswith(b"".join(told))

    through_every_cut(disk, nothing, act, check, seeds=3)


def test_an_account_is_whole_or_not_there(disk: LossyDisk) -> None:
    """And there with every change that was acknowledged."""
    told: list[str] = []

    def act(place: Path) -> None:
        told.clear()
        with closing(SqliteStore(place)) as store:
            account = store.create(ANNA, [make()])
            for name in ("a", "b", "c"):
                done(account, put(name, NEW))
                told.append(name)

    def check(place: Path, _returned: bool) -> None:
        with closing(SqliteStore(place)) as store:
            try:
                account = store.account(ANNA)
            except NotThere:
                assert not told
                return
            assert account.check_medium() == []
            with account.reading() as snapshot:
                found = names(snapshot)
                assert found[: len(told)] == told
                assert all(body == NEW for _item, body in snapshot.items_with_bodies(friends(snapshot).id))

    through_every_cut(disk, nothing, act, check, seeds=1)


def test_an_account_that_is_set_aside_is_never_lost(disk: LossyDisk) -> None:
    """Its file, with all changes, is in its place or aside."""

    def prepare(place: Path) -> None:
        with closing(SqliteStore(place)) as store:
            done(store.create(ANNA, [make()]), put("a"))

    def act(place: Path) -> None:
        with closing(SqliteStore(place)) as store:
            store.set_aside(ANNA)

    def check(place: Path, returned: bool) -> None:
        with closing(SqliteStore(place)) as store:
            if store.accounts():
                assert not returned
                with store.account(ANNA).reading() as snapshot:
                    assert names(snapshot) == ["a"]
            else:
                assert [path.name for path in place.glob("set-aside/*/*.db")] == [f"{ANNA}.db"]

    through_every_cut(disk, prepare, act, check, seeds=3)
