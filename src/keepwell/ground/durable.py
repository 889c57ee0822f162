"""The durable door: the only place that calls fsync.

Order of a durable write, and what a power cut leaves behind at each step:

1. write a temporary file beside the target: a stray `.tmp-…` file, the target untouched;
2. fsync the file: the same, with its bytes on the medium;
3. rename over the target: the old or the new name, both whole;
4. fsync the folder: the new name for certain.

After an error in any step the target is either the old or the new whole file, and the caller is told by the OSError.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the bytes of `path` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, *, mode: int = 0o700) -> None:
    """Make `folder` and its parents, durably; may be called again."""
    if folder.is_dir():
        return
    make_folder(folder.parent, mode=mode)
    with suppress(FileExistsError):
        folder.mkdir(mode=mode)
    sync_folder(folder.parent)


def write_file(path: Path, octets: bytes, *, mode: int = 0o600) -> None:
    """Put `octets` at `path` whole or not at all; on return they survive a power cut."""
    temporary = path.with_name(f".tmp-{os.getpid()}-{os.urandom(6).hex()}")
    try:
        _write_synced(temporary, octets, mode)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _write_synced(path: Path, octets: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
