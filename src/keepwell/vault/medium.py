"""What a vault lies on: a folder, or a bucket of an S3-compatible store.

Objects are immutable: `create` refuses a name that is taken, and returns when the bytes survive a power cut. A medium
that can append besides (a folder) has logs, whose `append` returns after one sync. Everything here may be called from
many threads at once.

Promises, held by `tests/vault/medium_suite.py` for every medium:

1. After `create` returned, every `read`, `exists` and `list` sees the object, whole.
2. Two creates of one name: one wins, the other raises AlreadyThere and changes nothing.
3. A name is there with all its bytes or not at all, also after a crash.
4. Errors of the medium are StorageFault, and say what was tried; after one the caller must take nothing for granted.
   A create that failed may have been done: `claim` and `create_or_same` find out, and may be called again.
5. A medium that is gone (a disk unmounted, a bucket removed) is a StorageFault: it is never told as an object that is
   not there or as a short listing.
6. No name leads out of the vault: what is no name of an object is refused (BadRequest) and never listed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

from keepwell.model.errors import AlreadyThere, BadRequest, Damaged

_part = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_name: Final = re.compile(rf"{_part}(?:/{_part})*")


class ObjectInfo(msgspec.Struct, frozen=True):
    """One object: its name in the vault (parts joined by `/`), and its length in bytes."""

    name: str
    size: int


class Medium(Protocol):
    """Where the objects of one vault are."""

    def create(self, name: str, octets: bytes) -> None:
        """Keep an object, durably. Raises AlreadyThere, StorageFault."""
        ...

    def read(self, name: str) -> bytes:
        """All bytes of an object. Raises NotThere, StorageFault."""
        ...

    def read_range(self, name: str, offset: int, length: int) -> bytes:
        """A part of an object, shorter where the object ends.

        A negative offset counts from the object's end; one that is before its beginning is its beginning.
        Raises NotThere, StorageFault.
        """
        ...

    def exists(self, name: str) -> bool:
        """Whether an object is there. Raises StorageFault."""
        ...

    def keeps(self, name: str) -> bool:
        """Whether an object is there; if it is, its name survives a power cut on return. Raises StorageFault.

        `exists` finds also what another thread or process is about to make durable.
        """
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object whose name begins with `prefix`, in order; temporary files are none. Raises StorageFault."""
        ...

    def remove(self, name: str) -> None:
        """Remove an object; nothing happens when it is not there. Raises StorageFault."""
        ...

    def open_log(self, name: str) -> Log | None:
        """A new log under this name; None when this medium cannot append. Raises AlreadyThere, StorageFault.

        Reading the object may give line feeds at its end that were not appended: space taken beforehand.
        """
        ...

    def settle(self, logs: str) -> None:
        """Make durable what can be read now: every name, and the bytes of those logs whose name begins with `logs`.

        A process that was killed may have left them before they were synced, and whoever finds them would count on
        them. Of bytes whose sync failed this says nothing. Raises StorageFault.
        """
        ...

    def identity(self) -> MediumIdentity:
        """What the medium stands on, for judging independence. Raises StorageFault."""
        ...

    def close(self) -> None:
        """Let go; may be called twice."""
        ...


class Log(Protocol):
    """An object that grows at its end, written by one process."""

    def append(self, octets: bytes) -> None:
        """Add to its end; on return the bytes survive a power cut.

        Raises StorageFault, and from then on always: what was appended last may be there or not.
        """
        ...

    def size(self) -> int:
        """Bytes appended so far."""
        ...

    def close(self) -> None:
        """Let go of it; the object stays. May be called twice."""
        ...


class MediumIdentity(msgspec.Struct, frozen=True):
    """What a medium stands on.

    `devices` are the block devices below a folder (`8:1`; `0:35` for a file system without one that can be seen),
    empty when it is remote.
    """

    scheme: str
    place: str
    host: str
    devices: tuple[str, ...] = ()


def is_object_name(name: str) -> bool:
    """Whether an object can have this name: plain parts joined by `/`, none of which begins with a dot."""
    return _name.fullmatch(name) is not None


def require_object_name(name: str) -> None:
    """Refuse what is no name of an object, such as `../elsewhere`. Raises BadRequest."""
    if not is_object_name(name):
        raise BadRequest(f"{name!r} cannot be the name of an object in a vault")


def claim(medium: Medium, name: str, octets: bytes) -> bool:
    """Keep an object unless another has its name: whether these bytes are there now.

    A create whose answer was lost has been done: so a name that is taken by these very bytes is ours, and bytes that no
    one else would write (a random word in them) tell who won. Raises StorageFault, NotThere when it was just removed.
    """
    try:
        medium.create(name, octets)
    except AlreadyThere:
        return medium.read(name) == octets
    return True


def create_or_same(medium: Medium, name: str, octets: bytes) -> None:
    """Keep an object whose name comes from its bytes; done when it is there already. Raises Damaged, StorageFault."""
    if not claim(medium, name, octets):
        raise Damaged(
            f"{name} is in the vault already, with other bytes than its name says",
            hint="What is there was damaged. Keep it for looking at, under another name, and ship again.",
        )
