"""A vault in a folder: one file an object, in folders after the parts of its name.

`create` is the durable creation of `ground/durable.py` (its docstring says what a crash leaves at each step), in a
folder that was made durably before; so a crash leaves the object whole, or not at all beside a stray `.tmp-…`, which is
never listed. The file system must know hard links: they are what refuses a name that is taken.

Two things make the whole medium a StorageFault until it is opened anew:

- a sync failed: the system may have forgotten what it could not write, so a later sync that returns proves nothing;
- another folder lies at the path than the one that was opened: its disk was unmounted, and what is there now (an empty
  mount point) is not the vault. Looked at before each change, and before anything is said not to be there.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from keepwell.ground.durable import SyncFailed, create_file, make_folder, remove_file, sync_file, sync_folder
from keepwell.model.errors import AlreadyThere, NotThere, StorageFault
from keepwell.vault.devices import folder_identity
from keepwell.vault.folder_log import FolderLog
from keepwell.vault.medium import Log, MediumIdentity, ObjectInfo, is_object_name, require_object_name

_HINTS: Final = {
    errno.ENOSPC: "The vault's disk is full: make room on it.",
    errno.EDQUOT: "The quota on the vault's disk is used up: make room on it.",
    errno.EROFS: "The vault's disk is mounted read-only: look at why (a fault of the disk does this), mount it again.",
    errno.EACCES: "The vault's folder must belong to the user that runs Keepwell.",
    errno.EPERM: "The vault's folder must belong to the user that runs Keepwell, on a file system with hard links.",
    errno.EOPNOTSUPP: "The vault must lie on a file system with hard links, such as ext4, XFS, Btrfs or ZFS.",
}
_LOOK: Final = "Look at the vault's disk (mounted? healthy?), then open the vault anew."


class FolderMedium:
    """One folder that is there. Invariant: after a failed sync nothing is confirmed on it any more."""

    def __init__(self, folder: Path) -> None:
        """Open a folder that is there; it is never made here. Raises StorageFault."""
        self._folder = folder
        self._failed_sync = ""
        self._opened = self._folder_now()

    def create(self, name: str, octets: bytes) -> None:
        """Keep an object, durably. Raises AlreadyThere, StorageFault."""
        path = self._path(name)
        with self._doing("keeping", name):
            self._require_usable()
            make_folder(path.parent)
            try:
                create_file(path, octets)
            except FileExistsError:
                raise AlreadyThere(f"{name} is taken in {self._folder}") from None

    def read(self, name: str) -> bytes:
        """All bytes of an object. Raises NotThere, StorageFault."""
        path = self._path(name)
        with self._finding("reading", name):
            return path.read_bytes()

    def read_range(self, name: str, offset: int, length: int) -> bytes:
        """A part of an object, shorter where it ends. Raises NotThere, StorageFault."""
        path = self._path(name)
        with self._finding("reading", name), path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(offset if offset >= 0 else max(0, size + offset))
            return file.read(length)

    def exists(self, name: str) -> bool:
        """Whether an object is there. Raises StorageFault."""
        path = self._path(name)
        try:
            with self._finding("looking for", name):
                return stat.S_ISREG(path.stat().st_mode)
        except NotThere:
            return False

    def keeps(self, name: str) -> bool:
        """Whether an object is there; if it is, its name survives a power cut on return. Raises StorageFault."""
        path = self._path(name)
        if not self.exists(name):
            return False
        with self._doing("syncing the name of", name):
            self._require_usable()
            make_folder(path.parent)
            sync_folder(path.parent)
        return True

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object whose name begins with `prefix`, in order. Raises StorageFault."""
        start = prefix.rpartition("/")[0]
        if start:
            require_object_name(start)
        with self._doing("listing", prefix or "everything"):
            self._require_same_folder()
            found = [one for one in self._walk(start) if one.name.startswith(prefix)]
            self._require_same_folder()
        return iter(sorted(found, key=lambda one: one.name))

    def remove(self, name: str) -> None:
        """Remove an object, durably; nothing happens when it is not there. Raises StorageFault."""
        path = self._path(name)
        with suppress(NotThere), self._finding("removing", name):
            self._require_usable()
            remove_file(path)

    def open_log(self, name: str) -> Log | None:
        """A new log under this name, its name durable. Raises AlreadyThere, StorageFault."""
        path = self._path(name)
        with self._doing("opening the log", name):
            self._require_usable()
            make_folder(path.parent)
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            except FileExistsError:
                raise AlreadyThere(f"{name} is taken in {self._folder}") from None
            log = FolderLog(path, descriptor, on_sync_failed=self._note_failed_sync)
            try:
                sync_folder(path.parent)
            except BaseException:
                log.close()
                raise
            return log

    def settle(self, logs: str) -> None:
        """Sync every folder, and the files of these logs. Raises StorageFault."""
        with self._doing("syncing what is in", logs):
            self._require_usable()
            for name in list(self._folders("")):
                with suppress(FileNotFoundError):
                    sync_folder(self._folder / name)
            for info in self.list(logs):
                with suppress(FileNotFoundError):  # removed meanwhile
                    sync_file(self._folder / info.name)

    def identity(self) -> MediumIdentity:
        """The host and the block devices that the folder lies on. Raises StorageFault."""
        with self._doing("looking at the devices of", self._folder.name):
            self._require_same_folder()
            return folder_identity(self._folder)

    def close(self) -> None:
        """Let go: nothing is held open between calls."""

    def _path(self, name: str) -> Path:
        require_object_name(name)
        return self._folder / name

    def _walk(self, start: str) -> Iterator[ObjectInfo]:
        folders = [start]
        while folders:
            inside = folders.pop()
            for entry in _entries(self._folder / inside):
                name = f"{inside}/{entry.name}" if inside else entry.name
                if not is_object_name(name):
                    continue
                if entry.is_dir():
                    folders.append(name)
                elif entry.is_file():
                    with suppress(FileNotFoundError):  # removed meanwhile
                        yield ObjectInfo(name, entry.stat().st_size)

    def _folders(self, inside: str) -> Iterator[str]:
        yield inside
        for entry in _entries(self._folder / inside):
            name = f"{inside}/{entry.name}" if inside else entry.name
            if entry.is_dir() and is_object_name(name):
                yield from self._folders(name)

    def _require_usable(self) -> None:
        if self._failed_sync:
            raise StorageFault(f"{self._folder} takes nothing more: {self._failed_sync}", hint=_LOOK)
        self._require_same_folder()

    def _require_same_folder(self) -> None:
        if self._folder_now() != self._opened:
            raise StorageFault(f"{self._folder} is not the folder that was opened: was its disk unmounted?", hint=_LOOK)

    def _folder_now(self) -> tuple[int, int]:
        try:
            found = self._folder.stat()
            if not stat.S_ISDIR(found.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        except OSError as error:
            raise StorageFault(
                f"the vault's folder {self._folder} cannot be opened: {error.strerror}",
                hint="Is its disk mounted? A vault that is new is made by `keepwell vault add`.",
            ) from error
        return found.st_dev, found.st_ino

    def _note_failed_sync(self, error: OSError) -> None:
        self._failed_sync = error.strerror or str(error)

    @contextmanager
    def _finding(self, what: str, name: str) -> Iterator[None]:
        """As `_doing`, for one object: an object is told as not there, a folder that is gone never is."""
        with self._doing(what, name):
            try:
                yield
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
                self._require_same_folder()
                raise NotThere(f"{name} is not in {self._folder}") from error

    @contextmanager
    def _doing(self, what: str, name: str) -> Iterator[None]:
        """Turn the system's errors into ours."""
        try:
            yield
        except OSError as error:
            if isinstance(error, SyncFailed):
                self._note_failed_sync(error)
            raise StorageFault(
                f"{what} {name} in {self._folder} failed: {error.strerror}", hint=_HINTS.get(error.errno or 0, _LOOK)
            ) from error


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What is in a folder; nothing when it is none: a prefix need not name one, and empty folders may go."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []
