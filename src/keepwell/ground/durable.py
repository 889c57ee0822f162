"""The durable door: the only place that calls fsync.

Order of a durable write, and what a power cut leaves behind at each step:

1. write a temporary file beside the target: a stray `.tmp-…` file, the target untouched;
2. fsync the file: the same, with its bytes on the medium;
3. rename over the target: the old or the new name, both whole;
4. fsync the folder: the new name for certain.

After an error in any step the target is either the old or the new whole file, and the caller is told by the OSError.

A durable creation is the same but for step 3, which links the temporary file to the target's name instead: that refuses
a name that is taken, where a rename would replace it. The temporary name goes before step 4. Whoever finds the name
taken syncs the folder too: the one who took it may have died between steps 3 and 4.

A sync that failed must not be tried again (the system may have forgotten what it could not write): SyncFailed tells it
from the errors after which trying again is right.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

_Identity = tuple[int, int]
"""Device and inode."""

_durable_folders: Final[set[tuple[Path, _Identity]]] = set()
"""Folders whose names this process knows to be synced."""


class SyncFailed(OSError):
    """A sync failed: what was written since the last one may be lost, even when a later sync returns."""


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut. Raises SyncFailed."""
    _sync_path(folder, os.O_RDONLY | os.O_DIRECTORY)


def sync_file(path: Path) -> None:
    """Make the bytes of `path` survive a power cut. Raises SyncFailed."""
    _sync_path(path, os.O_RDONLY)


def sync_data(descriptor: int) -> None:
    """Make the bytes of an open file survive a power cut, and its length when that grew. Raises SyncFailed."""
    _sync(os.fdatasync, descriptor)


def make_folder(folder: Path, *, mode: int = 0o700) -> None:
    """Make `folder` and its parents, durably; may be called again.

    One that is there may have been made by someone who died, or has not got so far yet, before its name was synced. So
    its name is synced as well, once in a process.
    """
    found = _identity(folder)
    if (folder, found) in _durable_folders:
        return
    if found is None:
        make_folder(folder.parent, mode=mode)
        with suppress(FileExistsError):
            folder.mkdir(mode=mode)
        sync_folder(folder.parent)
        found = _identity(folder)
    elif not _is_mounted_or_top(folder, found):
        with suppress(PermissionError):  # then it is not ours: whoever made it may read it
            sync_folder(folder.parent)
    if found is not None:
        _durable_folders.add((folder, found))


def write_file(path: Path, octets: bytes, *, mode: int = 0o600) -> None:
    """Put `octets` at `path` whole or not at all; on return they survive a power cut."""
    temporary = _temporary(path)
    try:
        _write_synced(temporary, octets, mode)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def replace_file(path: Path, octets: bytes, *, mode: int = 0o600) -> None:
    """Put `octets` at `path` whole or not at all for whoever reads it now; a power cut may leave nothing of it.

    For what is true at this moment only: it costs no sync.
    """
    temporary = _temporary(path)
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(octets)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def create_file(path: Path, octets: bytes, *, mode: int = 0o600) -> None:
    """Put `octets` at `path` whole or not at all; on return they survive a power cut.

    Raises FileExistsError when the name is taken, and then what is there survives a power cut as well.
    """
    try:
        _require_free(path)
        _link_new(path, octets, mode)
    except FileExistsError:
        sync_folder(path.parent)
        raise
    sync_folder(path.parent)


def remove_file(path: Path) -> None:
    """Remove `path`; on return it is gone also after a power cut. Raises FileNotFoundError."""
    path.unlink()
    sync_folder(path.parent)


def _identity(folder: Path) -> _Identity | None:
    """Device and inode of a folder; None when there is none."""
    try:
        found = folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None


def _is_mounted_or_top(folder: Path, identity: _Identity) -> bool:
    """Whether no name stands for the folder that a sync of the folder above could make durable."""
    above = _identity(folder.absolute().parent)
    return above is None or above == identity or above[0] != identity[0]


def _require_free(path: Path) -> None:
    """Refuse early: the link would refuse as well, but only after all bytes were written."""
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))


def _link_new(path: Path, octets: bytes, mode: int) -> None:
    temporary = _temporary(path)
    try:
        _write_synced(temporary, octets, mode)
        os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    return path.with_name(f".tmp-{os.getpid()}-{os.urandom(6).hex()}")


def _write_synced(path: Path, octets: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)
        file.flush()
        _sync(os.fsync, file.fileno())


def _sync_path(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        _sync(os.fsync, descriptor)
    finally:
        os.close(descriptor)


def _sync(how: Callable[[int], None], descriptor: int) -> None:
    try:
        how(descriptor)
    except OSError as error:
        raise SyncFailed(error.errno, f"sync failed: {error.strerror}") from error
