"""Generations of the accounts' folder: the new one is built beside the old and put in its place by renames alone.

Which names lie in the data folder is all the state there is. `accounts` is served. The steps of an upgrade, each one
rename that is synced before the next, and what a start finds after a crash behind it:

| step | names | a start serves |
|---|---|---|
| 1. the new one is built in `accounts.next` | accounts, next | the old |
| 2. it was compared and found equal: it is called `accounts.ready` | accounts, ready | the old; ready is next again |
| 3. what an earlier upgrade kept is discarded | accounts, ready | the old, as after 2 |
| 4. `accounts` becomes `accounts.previous` | ready, previous | the new: a start does step 5 |
| 5. `accounts.ready` becomes `accounts` | accounts, previous | the new |

Going back:

| step | names | a start serves |
|---|---|---|
| 1. `accounts` becomes `accounts.undone` | previous, undone | the old: a start does step 2 |
| 2. `accounts.previous` becomes `accounts` | accounts, undone | the old |

Only a generation that was ready when `accounts` made way for it is ever put there, and never one that was left lying
about: a start that finds `accounts` takes the word ready back. Discarding is a rename first, so that half a generation
never has the name of a whole one.

Whoever has accounts open shares the lock file `accounts.lock`; whoever changes generations has it alone. So nothing is
written to a generation that is on its way out.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from keepwell.ground.durable import make_folder, remove_file, sync_folder
from keepwell.model.errors import Unavailable
from keepwell.model.names import AccountId

ACCOUNTS: Final = "accounts"
NEXT: Final = "accounts.next"
READY: Final = "accounts.ready"
PREVIOUS: Final = "accounts.previous"
UNDONE: Final = "accounts.undone"
DISCARDED: Final = "accounts.discarded"
LOCK_NAME: Final = "accounts.lock"
SET_ASIDE: Final = "set-aside"

Rename = tuple[str, str]


def unsettled(names: set[str]) -> Rename | None:
    """The rename that a start does first, by the names that lie in the data folder; pure."""
    if ACCOUNTS in names:
        return (READY, NEXT) if READY in names else None
    if {READY, PREVIOUS} <= names:
        return READY, ACCOUNTS
    if {UNDONE, PREVIOUS} <= names:
        return PREVIOUS, ACCOUNTS
    return None


class SharedHold:
    """A hold on the accounts of a data folder, shared with others; let go by `release` or the end of the process."""

    def __init__(self, data: Path) -> None:
        """Settle what a broken upgrade left, then hold. Raises Unavailable while generations change, OSError."""
        make_folder(data)
        self._descriptor: int | None = os.open(data / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if unsettled(_names(data)) is not None:
                _lock(self._descriptor, fcntl.LOCK_EX, data, "is being upgraded")
                settle(data)
            _lock(self._descriptor, fcntl.LOCK_SH, data, "is being upgraded")
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let go; may be called twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextmanager
def holding_alone(data: Path) -> Iterator[None]:
    """While nobody else has accounts of this folder open; settled first. Raises Unavailable when somebody has."""
    descriptor = os.open(data / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor, fcntl.LOCK_EX, data, "is in use by other processes")
        settle(data)
        yield
    finally:
        os.close(descriptor)


def settle(data: Path) -> None:
    """Finish what a crash interrupted; only while held alone."""
    rename = unsettled(_names(data))
    if rename is not None:
        move(data, *rename)


def move(data: Path, old: str, new: str) -> None:
    """Give a generation another name, durably."""
    (data / old).rename(data / new)
    sync_folder(data)


def discard(data: Path, name: str) -> None:
    """Remove a generation; nothing happens when it is not there. May be called again after a crash."""
    if (data / name).exists():
        shutil.rmtree(data / DISCARDED, ignore_errors=True)
        move(data, name, DISCARDED)
    shutil.rmtree(data / DISCARDED, ignore_errors=True)


def begin(data: Path) -> None:
    """Make an empty `accounts.next`; only while held alone."""
    discard(data, NEXT)
    make_folder(data / NEXT)


def switch(data: Path, told: Callable[[str], None] = lambda _step: None) -> None:
    """Steps 2 to 5: serve what was built in `accounts.next`, and keep what was served; only while held alone.

    `told` is called with a word behind each step.
    """
    _sync_below(data / NEXT)
    move(data, NEXT, READY)
    told("ready")
    for name in (UNDONE, PREVIOUS):
        discard(data, name)
    told("discarded")
    move(data, ACCOUNTS, PREVIOUS)
    told("kept")
    move(data, READY, ACCOUNTS)
    told("switched")


def switch_back(data: Path, told: Callable[[str], None] = lambda _step: None) -> None:
    """Serve what was served before the last upgrade, and keep what is served now; only while held alone."""
    discard(data, UNDONE)
    move(data, ACCOUNTS, UNDONE)
    told("undone")
    move(data, PREVIOUS, ACCOUNTS)
    told("switched")


def forget_account(data: Path, account: AccountId, *, and_set_aside: bool = False) -> None:
    """Remove an account's file from every generation that is kept and not served, and what was set aside of it.

    Going back brings it along from what is served. Raises OSError.
    """
    for name in (PREVIOUS, UNDONE):
        for path in (data / name).glob(f"??/{account}.db*"):
            remove_file(path)
    if and_set_aside:
        for folder in (data / SET_ASIDE).glob(f"{account}-*"):
            shutil.rmtree(folder)


def _names(data: Path) -> set[str]:
    return {name for name in (ACCOUNTS, READY, PREVIOUS, UNDONE) if (data / name).exists()}


def _sync_below(folder: Path) -> None:
    for below in folder.iterdir():
        if below.is_dir():
            sync_folder(below)
    sync_folder(folder)


def _lock(descriptor: int, how: int, data: Path, otherwise: str) -> None:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Unavailable(
            f"{data} {otherwise} at this moment", hint="Wait for them to end, or stop them, and try again."
        ) from None
