"""Crashes and power cuts at every step of a folder's create: the name is not there, or there with all its bytes.

The steps are the calls that `keepwell.ground.durable` makes to the system. A crash is a call at which the process ends;
a power cut takes besides what was not synced: bytes of files, and names in folders.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from keepwell.model.errors import AlreadyThere
from keepwell.vault.folder_medium import FolderMedium
from tests.vault.medium_suite import names

STEPS = ("mkdir", "open", "fsync", "link", "unlink", "close")
OCTETS = b"octets" * 1000


class CrashError(BaseException):
    """The process ends here."""


class System:
    """The system calls of one create, in order; from the call numbered `ends_at` on nothing is done any more."""

    def __init__(self, ends_at: int | None = None) -> None:
        self.calls: list[str] = []
        self.ends_at = ends_at
        self.synced: set[int] = set()
        """The inodes of the files and folders that were synced after their last change."""

    def wrap(self, step: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            if self.ends_at is not None and len(self.calls) >= self.ends_at:
                raise CrashError
            self.calls.append(step)
            done = real(*arguments, **options)
            match step, arguments:
                case "fsync", (int(descriptor), *_):
                    self.synced.add(os.fstat(descriptor).st_ino)
                case (("mkdir" | "unlink"), (path, *_)):
                    self._changed(path)
                case "link", (_, path):
                    self._changed(path)
                case "open", (path, int(flags), *_) if flags & os.O_CREAT:
                    self._changed(path)
            return done

        return call

    def _changed(self, path: object) -> None:
        self.synced.discard(Path(str(path)).parent.stat().st_ino)


@contextmanager
def watched(system: System, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        for step in STEPS:
            patch.setattr(os, step, system.wrap(step, getattr(os, step)))
        yield


def steps_of_a_create(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    system, medium = System(), FolderMedium(folder)
    with watched(system, monkeypatch):
        medium.create("blobs/ab/one", OCTETS)
    return system.calls


def crashed(folder: Path, system: System, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Create and crash; whether the create came to its end."""
    medium = FolderMedium(folder)
    with watched(system, monkeypatch):
        try:
            medium.create("blobs/ab/one", OCTETS)
        except CrashError:
            return False
    return True


def new_folder(tmp_path: Path, number: int) -> Path:
    folder = tmp_path / f"vault-{number}"
    folder.mkdir()
    return folder


def test_after_a_crash_at_any_step_the_name_is_absent_or_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the process ends, the next one sees nothing of the object or all of it, and can create it."""
    count = len(steps_of_a_create(new_folder(tmp_path, 1000), monkeypatch))
    assert count > 8
    seen = set()
    for number in range(count):
        folder = new_folder(tmp_path, number)
        assert not crashed(folder, System(number), monkeypatch)
        medium = FolderMedium(folder)
        there = medium.exists("blobs/ab/one")
        assert names(medium) == (["blobs/ab/one"] if there else [])
        if there:
            with pytest.raises(AlreadyThere):
                medium.create("blobs/ab/one", OCTETS)
        else:
            medium.create("blobs/ab/one", OCTETS)
        assert medium.read("blobs/ab/one") == OCTETS
        seen.add(there)
    assert seen == {False, True}


def test_after_a_power_cut_at_any_step_the_name_is_absent_or_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that were not synced are lost with the power: the name never stands for fewer bytes than were given."""
    count = len(steps_of_a_create(new_folder(tmp_path, 1000), monkeypatch))
    for number in range(count):
        folder, system = new_folder(tmp_path, number), System(number)
        crashed(folder, system, monkeypatch)
        for path in folder.rglob("*"):
            if path.is_file() and path.stat().st_ino not in system.synced:
                path.write_bytes(b"")
        medium = FolderMedium(folder)
        assert not medium.exists("blobs/ab/one") or medium.read("blobs/ab/one") == OCTETS


def test_a_confirmed_name_survives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When create returns, the file and every folder on the way to it have been synced, each after its last change."""
    folder, system = new_folder(tmp_path, 1), System()
    assert crashed(folder, system, monkeypatch)
    ways = [folder, folder / "blobs", folder / "blobs/ab", folder / "blobs/ab/one"]
    assert {path.stat().st_ino for path in ways} <= system.synced


def test_whoever_finds_a_name_taken_makes_sure_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is taken is synced before that is told: whoever took it may have crashed before its own sync."""
    medium = FolderMedium(new_folder(tmp_path, 1))
    medium.create("packs/one", OCTETS)
    system = System()
    with watched(system, monkeypatch), pytest.raises(AlreadyThere):
        medium.create("packs/one", OCTETS)
    assert (tmp_path / "vault-1/packs").stat().st_ino in system.synced
    system = System()
    with watched(system, monkeypatch):
        assert medium.keeps("packs/one")
    assert (tmp_path / "vault-1/packs").stat().st_ino in system.synced


def test_a_removed_name_stays_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When remove returns, the folder has been synced: what was erased does not come back."""
    medium = FolderMedium(new_folder(tmp_path, 1))
    medium.create("packs/one", OCTETS)
    system = System()
    with watched(system, monkeypatch):
        medium.remove("packs/one")
    assert (tmp_path / "vault-1/packs").stat().st_ino in system.synced


def test_the_name_of_a_new_log_survives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a log is open, its folder has been synced: what is appended is found again."""
    medium = FolderMedium(new_folder(tmp_path, 1))
    system = System()
    with watched(system, monkeypatch):
        log = medium.open_log("tails/one.jsonl")
    assert log is not None
    assert {(tmp_path / "vault-1").stat().st_ino, (tmp_path / "vault-1/tails").stat().st_ino} <= system.synced
    log.close()


def test_settling_syncs_all_names_and_the_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed process left half synced is durable then; the bytes of objects were before they got their name."""
    folder = new_folder(tmp_path, 1)
    medium = FolderMedium(folder)
    medium.create("blobs/ab/one", OCTETS)
    log = medium.open_log("tails/one.jsonl")
    assert log is not None
    log.append(b"line\n")
    system = System()
    with watched(system, monkeypatch):
        medium.settle("tails/")
    wanted = [folder, *(folder / one for one in ("blobs", "blobs/ab", "tails", "tails/one.jsonl"))]
    assert {path.stat().st_ino for path in wanted} <= system.synced
    log.close()
