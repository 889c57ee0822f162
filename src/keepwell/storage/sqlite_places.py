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

Both happen under a lock on the folder of the account, which whoever opens, closes or writes to an account shares (and
which no work may ask for, since it runs while that is held). So nothing is ever committed to a file that was set aside,
by whatever process that had it open; and of two processes that restore one account one is told no, and neither takes
the other's `-wal` away.
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


def folder_of(account: AccountId) -> str:
    """The folder of `accounts` that the account's file is in: the first two letters after `a_`."""
    return account.removeprefix("a_")[:2]


def files_of_accounts(folder: Path) -> list[tuple[AccountId, Path]]:
    """Every account and its file, by account; another file that someone put among them is none."""
    found = ((_account_of(path), path) for path in folder.glob("??/a_*.db"))
    return sorted((account, path) for account, path in found if account and path.parent.name == folder_of(account))


def _account_of(path: Path) -> AccountId | None:
    try:
        return parse_account_id(path.stem)
    except BadRequest:
        return None


def identity_of(path: Path | str) -> Identity:
    """Which file has this name now; a microsecond for a text. Raises FileNotFoundError."""
    found = os.stat(path)  # noqa: PTH116  (half the time of Path.stat, and on the path of every request)
    return found.st_dev, found.st_ino


class PutAnew(Unavailable):
    """The file's name belongs to another file now, or to none."""


@contextmanager
def staying(path: Path, identity: Identity) -> Iterator[None]:
    """While nobody sets the file aside or puts another in its place. Raises PutAnew when that has happened."""
    with holding(path.parent):
        _require(path, identity)
        yield


class Hold:
    """The same to be taken again and again by one thread at a time: the folder stays open, which makes it cheap."""

    def __init__(self, path: Path, identity: Identity) -> None:
        """On the place of this file."""
        self._path = path
        self._identity = identity
        self._descriptor: int | None = None

    def __enter__(self) -> None:
        """Take it. Raises PutAnew, and then it was not taken."""
        if self._descriptor is None:
            self._descriptor = _descriptor(self._path.parent)
        if self._descriptor is None:
            raise _put_anew(self._path)
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)
        try:
            _require(self._path, self._identity)
        except BaseException:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            raise

    def __exit__(self, *_: object) -> None:
        """Let go."""
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the folder; may be called twice, also while it is held, and it may be taken again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _require(path: Path, identity: Identity) -> None:
    try:
        there = identity_of(path)
    except FileNotFoundError:
        there = None
    if there != identity:
        raise _put_anew(path)


def _put_anew(path: Path) -> PutAnew:
    return PutAnew(f"{path.stem} was put in place anew", retry_after_seconds=1)


def appear(temporary: Path, path: Path, aside: Path) -> None:
    """Give the finished file its name; leftovers go to `aside`. Raises FileExistsError, OSError."""
    with alone(path.parent):
        if path.exists():
            raise FileExistsError(path)
        _move(path, aside)
        path.hardlink_to(temporary)
        sync_folder(path.parent)


def vanish(path: Path, aside: Path, look: Callable[[], None]) -> None:
    """Take the file out of use, and what SQLite keeps beside it; all of it is kept in `aside`. Raises OSError.

    `look` is called when nobody can write to the file any more; what it raises keeps the file in its place.
    """
    with alone(path.parent):
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
def alone(folder: Path) -> Iterator[None]:
    """While nobody else holds the folder: no account's file is opened, closed or written to, appears or vanishes."""
    with _locked(folder, fcntl.LOCK_EX):
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
