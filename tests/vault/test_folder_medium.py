"""Folders pass the medium contract, and what can go wrong under a folder is told as what it is."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from keepwell.model.errors import NotThere, StorageFault
from keepwell.vault import folder_log, folder_medium
from keepwell.vault.folder_medium import FolderMedium
from tests.vault.medium_suite import LogContract, MediumContract, log_of, names


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "vault"
    folder.mkdir()
    return folder


@pytest.fixture
def medium(folder: Path) -> FolderMedium:
    return FolderMedium(folder)


class TestFolderMedium(MediumContract, LogContract):
    pass


def failing(number: int) -> Callable[..., None]:
    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_objects_are_plain_files(medium: FolderMedium, folder: Path) -> None:
    """An object lies in a file of its name with nothing but its bytes, readable by its owner alone."""
    medium.create("blobs/ab/one", b"octets")
    assert (folder / "blobs/ab/one").read_bytes() == b"octets"
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["one"]
    assert (folder / "blobs/ab/one").stat().st_mode & 0o777 == 0o600
    assert (folder / "blobs").stat().st_mode & 0o777 == 0o700


def test_what_is_no_object_is_not_listed(medium: FolderMedium, folder: Path) -> None:
    """Temporary files of a crash, and what systems and people leave in folders, are no objects."""
    medium.create("packs/one", b"octets")
    (folder / "packs" / ".tmp-7-abc").write_bytes(b"half")
    (folder / ".Trash-1000").mkdir()
    (folder / ".Trash-1000" / "old").write_bytes(b"")
    (folder / "lost+found").mkdir()
    (folder / "lost+found" / "found").write_bytes(b"")
    (folder / "packs" / "a copy of one").write_bytes(b"")
    assert names(medium) == ["packs/one"]


def test_what_is_neither_file_nor_folder_is_not_listed(medium: FolderMedium, folder: Path) -> None:
    """A pipe has no bytes to read: whoever put it there meant something else."""
    medium.create("packs/one", b"one")
    os.mkfifo(folder / "packs/two")
    assert [info.name for info in medium.list()] == ["packs/one"]


def test_a_log_whose_name_may_not_last_is_not_given(medium: FolderMedium, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the folder cannot be synced, nothing may be confirmed in a log of it."""
    monkeypatch.setattr(folder_medium, "sync_folder", failing(errno.EIO))
    with pytest.raises(StorageFault):
        medium.open_log("tails/one.jsonl")


def test_a_missing_folder_is_a_fault(tmp_path: Path) -> None:
    """A folder that is not there (its disk is not mounted) is never an empty vault, and is not made."""
    with pytest.raises(StorageFault, match="cannot be opened") as caught:
        FolderMedium(tmp_path / "vault")
    assert "mounted" in caught.value.hint
    assert not (tmp_path / "vault").exists()


def test_a_file_in_its_place_is_a_fault(tmp_path: Path) -> None:
    """A vault's folder must be one."""
    (tmp_path / "vault").write_bytes(b"")
    with pytest.raises(StorageFault):
        FolderMedium(tmp_path / "vault")


@pytest.mark.parametrize("empty_mount_point", [True, False], ids=["an empty folder is left", "nothing is left"])
def test_an_unmounted_disk_is_a_fault_and_not_an_empty_vault(
    medium: FolderMedium, folder: Path, empty_mount_point: bool
) -> None:
    """When another folder, or none, is where the vault was, nothing is said to be missing and nothing is written."""
    medium.create("packs/one", b"octets")
    folder.rename(folder.with_name("elsewhere"))
    if empty_mount_point:
        folder.mkdir()
    for call in (
        lambda: medium.read("packs/one"),
        lambda: medium.read_range("packs/one", 0, 1),
        lambda: medium.exists("packs/one"),
        lambda: medium.list(),
        lambda: medium.create("packs/two", b""),
        lambda: medium.open_log("tails/one"),
        lambda: medium.remove("packs/one"),
        lambda: medium.identity(),
    ):
        with pytest.raises(StorageFault, match="opened"):
            call()
    assert [path.name for path in folder.parent.iterdir() if path.is_dir()].count("vault") == empty_mount_point
    assert not empty_mount_point or list(folder.iterdir()) == []


def test_a_full_disk_is_told_and_passes(medium: FolderMedium, monkeypatch: pytest.MonkeyPatch) -> None:
    """A create on a full disk leaves nothing, says what to do, and works again when there is room."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", failing(errno.ENOSPC))
        with pytest.raises(StorageFault, match="packs/one") as caught:
            medium.create("packs/one", b"octets")
    assert "make room" in caught.value.hint
    assert names(medium) == []
    medium.create("packs/one", b"octets")


def test_a_file_system_without_hard_links_is_told(medium: FolderMedium, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where names cannot be taken by links, the fault says which file systems can."""
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    with pytest.raises(StorageFault) as caught:
        medium.create("packs/one", b"octets")
    assert "hard links" in caught.value.hint


def test_an_object_in_the_way_of_a_folder_is_a_fault(medium: FolderMedium) -> None:
    """Where an object lies, nothing can lie below it: a fault, not an object that is not there."""
    medium.create("packs", b"octets")
    with pytest.raises(StorageFault):
        medium.create("packs/one", b"octets")


def test_unreadable_is_not_missing(medium: FolderMedium, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object that cannot be read is a fault; only one that is not there is told as such."""
    medium.create("packs/one", b"octets")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", failing(errno.EIO))
        with pytest.raises(StorageFault):
            medium.read("packs/one")
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", failing(errno.EACCES))
        with pytest.raises(StorageFault):
            medium.list()
    with pytest.raises(NotThere):
        medium.read("packs/two")


@pytest.mark.parametrize("step", ["file", "folder"])
def test_after_a_failed_sync_nothing_is_confirmed_any_more(
    medium: FolderMedium, folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """A failed sync is not tried again: the medium takes nothing more, reads go on, and opening it anew helps."""
    medium.create("packs/one", b"octets")
    sync = os.fsync

    def fail_in_time(descriptor: int) -> None:
        if step == "folder" and not Path(f"/proc/self/fd/{descriptor}").is_dir():
            return sync(descriptor)
        return failing(errno.EIO)()

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail_in_time)
        with pytest.raises(StorageFault, match="sync failed"):
            medium.create("packs/two", b"octets")
    for call in (lambda: medium.create("packs/three", b""), lambda: medium.remove("packs/one"), lambda: log_of(medium)):
        with pytest.raises(StorageFault, match="takes nothing more"):
            call()
    assert medium.read("packs/one") == b"octets"
    FolderMedium(folder).create("packs/three", b"")


class Syncs:
    """Counts calls of fdatasync, and makes the first of them fail."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, _descriptor: int) -> None:
        self.count += 1
        if self.count == 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_log_whose_sync_failed_is_dead(medium: FolderMedium, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After one failed sync a log takes nothing more and is not synced again; its medium takes nothing more either."""
    log = log_of(medium)
    log.append(b"kept\n")
    syncs = Syncs()
    monkeypatch.setattr(os, "fdatasync", syncs)
    for _ in range(3):
        with pytest.raises(StorageFault, match=r"one\.jsonl"):
            log.append(b"last\n")
    assert syncs.count == 1
    assert log.size() == len(b"kept\n")
    with pytest.raises(StorageFault):
        medium.create("packs/one", b"")
    log.close()
    assert (folder / "tails/one.jsonl").read_bytes().startswith(b"kept\n")


def test_a_log_on_a_full_disk_is_dead_and_its_medium_is_not(
    medium: FolderMedium, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write that failed may have left half a line: that log is done with, objects can still be kept."""
    log = log_of(medium)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", failing(errno.ENOSPC))
        with pytest.raises(StorageFault):
            log.append(b"line\n")
    with pytest.raises(StorageFault):
        log.append(b"line\n")
    medium.create("packs/one", b"octets")


def test_a_log_whose_file_is_gone_confirms_nothing(medium: FolderMedium, folder: Path) -> None:
    """What is appended to a file without a name is lost with it."""
    log = medium.open_log("tails/1.jsonl")
    assert log is not None
    log.append(b"one\n")
    (folder / "tails" / "1.jsonl").unlink()
    for _ in range(2):
        with pytest.raises(StorageFault, match="removed"):
            log.append(b"two\n")
    log.close()


def test_a_log_is_written_whole_however_little_the_system_takes(
    medium: FolderMedium, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system call may write less than it was given; the rest follows."""
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda descriptor, octets, offset: write(descriptor, octets[:7], offset))
    monkeypatch.setattr(folder_log, "SPACE_AHEAD_BYTES", 100)
    log = log_of(medium)
    lines = [f"line number {number}\n".encode() for number in range(30)]
    for line in lines:
        log.append(line)
    log.close()
    assert medium.read("tails/one.jsonl") == b"".join(lines)


def test_a_new_log_begins_where_the_last_process_left_its_own(folder: Path) -> None:
    """A process that dies leaves its log with line feeds behind the lines; the next cannot take its name."""
    log = log_of(FolderMedium(folder))
    log.append(b"kept\n")  # and never closed
    left = (folder / "tails/one.jsonl").read_bytes()
    assert left.startswith(b"kept\n")
    assert left.rstrip(b"\n") == b"kept"
    assert len(left) > len(b"kept\n")
    log.close()
