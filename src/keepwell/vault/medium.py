"""What a vault lies on: a folder, or a bucket of an S3-compatible store.

Objects are immutable: `create` refuses a name that is taken, and returns when the bytes survive a power cut. A medium
that can append besides (a folder) has logs, whose `append` returns after one sync. Everything here may be called from
many threads at once.

Promises, held by `tests/vault/medium_suite.py` for every medium:

1. After `create` returned, every `read`, `exists` and `list` sees the object, whole.
2. Two creates of one name: one wins, the other raises AlreadyThere and changes nothing.
3. A name is there with all its bytes or not at all, also after a crash.
4. Errors of the medium are StorageFault, and say what was tried; after one the caller must take nothing for granted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import msgspec


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
        """A part of an object; shorter where the object ends; a negative offset counts from its end.

        Raises NotThere, StorageFault.
        """
        ...

    def exists(self, name: str) -> bool:
        """Whether an object is there. Raises StorageFault."""
        ...

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object whose name begins with `prefix`, in order; temporary files are none. Raises StorageFault."""
        ...

    def remove(self, name: str) -> None:
        """Remove an object; nothing happens when it is not there. Raises StorageFault."""
        ...

    def open_log(self, name: str) -> Log | None:
        """A new log under this name; None when this medium cannot append. Raises AlreadyThere, StorageFault."""
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
    """What a medium stands on. `devices` are the block devices below a folder (`8:1`), empty when it is remote."""

    scheme: str
    place: str
    host: str
    devices: tuple[str, ...] = ()
