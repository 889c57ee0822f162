"""Where an account's files appear and vanish: `accounts/ab/a_….db` with `-wal` and `-shm`, and `set-aside/`.

A file appears whole: it was built and synced under a temporary name, then it is linked to its own, which refuses to
replace another, then the folder is synced. What a file that is gone has left behind (SQLite would take an old `-wal`
for that of the new file) is set aside before.

Setting aside, and what a crash leaves behind at each step:

1. make the folder `set-aside/a_…-DAY-WORD`: an empty folder, the account untouched;
2. give each file a second name in it, sync the folder: the account untouched;
3. take the first name from the `.db`: the account is not there, a `-wal` may be, which the next step or the next
   file of the account takes away; the folder has everything;
4. take it from `-wal` and `-shm`, sync.

Both happen under a lock on the folder of the account, which whoever writes to an account shares. So nothing is ever
committed to a file that was set aside, by whatever process that had it open; and of two processes that restore one
account one is told no, and neither takes the other's `-wal` away.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from keepwell.ground.durable import make_folder, sync_folder
from keepwell.model.errors import BadRequest, Unavailable
from keepwell.model.names import AccountId, parse_account_id

Identity = tuple[int, int]
"""Device and inode of a file: it stays when its name goes to another."""

_SUFFIXES = ("", "-wal", "-shm")
"""The one without which the others mean nothing comes first."""


def account_of(path: Path) -> AccountId | None:
    """Whose file this is by its name; None when it is nobody's."""
    try:
        return parse_account_id(path.stem)
    except BadRequest:
        return None


def identity_of(path: Path) -> Identity:
    """Which file has this name now. Raises FileNotFoundError."""
    found = os.stat(path)  # noqa: PTH116  (a third of the time of Path.stat, and on the path of every request)
    return found.st_dev, found.st_ino


@contextmanager
def staying(path: Path, identity: Identity) -> Iterator[None]:
    """While nobody sets the file aside or puts another in its place. Raises Unavailable when that has happened."""
    with holding(path.parent):
        try:
            there = identity_of(path)
        except FileNotFoundError:
            there = None
        if there != identity:
            raise Unavailable(f"{path.stem} was put in place anew", retry_after_seconds=1)
        yield


def appear(temporary: Path, path: Path, aside: Path) -> None:
    """Give the finished file its name; leftovers go to `aside`. Raises FileExistsError, OSError."""
    with _locked(path.parent, fcntl.LOCK_EX):
        if path.exists():
            raise FileExistsError(path)
        _move(path, aside)
        path.hardlink_to(temporary)
        sync_folder(path.parent)


def vanish(path: Path, aside: Path, look: Callable[[], None]) -> None:
    """Take the file out of use, and what SQLite keeps beside it; all of it is kept in `aside`. Raises OSError.

    `look` is called when nobody can write to the file any more; what it raises keeps the file in its place.
    """
    with _locked(path.parent, fcntl.LOCK_EX):
        look()
        _move(path, aside)


def _move(path: Path, aside: Path) -> None:
    there = [file for suffix in _SUFFIXES if (file := path.with_name(path.name + suffix)).exists()]
    if not there:
        return
    make_folder(aside)
    for file in there:
        (aside / file.name).hardlink_to(file)
    sync_folder(aside)
    for file in there:
        file.unlink()
    sync_folder(path.parent)


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """While no account's file appears in the folder or vanishes from it; many may hold it at once."""
    with _locked(folder, fcntl.LOCK_SH):
        yield


@contextmanager
def _locked(folder: Path, sort: int) -> Iterator[None]:
    # Not on the file itself: closing it would take SQLite's locks away, which belong to the process.
    descriptor = _descriptor(folder)
    try:
        if descriptor is not None:
            fcntl.flock(descriptor, sort)
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _descriptor(folder: Path) -> int | None:
    """The folder, opened; None when it is not there, and nothing in it to lock."""
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
