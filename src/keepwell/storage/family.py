"""One family of server processes to a data folder.

The first process of a server claims the folder and its workers join it; all hold a shared lock on `serve.lock` until
they end, however they end. A second server cannot claim the folder while any process of the first lives. Command
lines need no claim: SQLite arbitrates between them and the server, account by account.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from keepwell.ground.durable import make_folder
from keepwell.model.errors import CannotStart

LOCK_NAME: Final = "serve.lock"


class FamilyLock:
    """A hold on a data folder; let go by `release` or by the end of the process."""

    def __init__(self, descriptor: int) -> None:
        """Around an open, locked file."""
        self._descriptor = descriptor

    def release(self) -> None:
        """Let go; may be called once."""
        os.close(self._descriptor)


def claim(data: Path, family: str) -> FamilyLock:
    """Claim `data` for a new family of this name. Raises CannotStart when another lives."""
    make_folder(data)
    descriptor = os.open(data / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {family}\n".encode(), 0)
        # The change of a lock is not atomic: should another claim it in between, this fails and that one wins.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 200, 0).decode(errors="replace").split(" ")[0]
        os.close(descriptor)
        raise CannotStart(
            f"another Keepwell (process {holder or 'unknown'}) serves {data}",
            hint="Stop it first, or serve another folder with --data.",
        ) from None
    return FamilyLock(descriptor)


def join(data: Path, family: str) -> FamilyLock:
    """Join the family as a worker. Raises CannotStart when the folder is not this family's (any more)."""
    descriptor = os.open(data / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if os.pread(descriptor, 200, 0).decode(errors="replace").split()[-1:] == [family]:
            return FamilyLock(descriptor)
    except BlockingIOError:
        pass
    os.close(descriptor)
    raise CannotStart(f"{data} belongs to another Keepwell now", hint="Stop that one first.")


def is_served(data: Path) -> bool:
    """Whether a server's family holds the folder at this moment."""
    try:
        descriptor = os.open(data / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
