"""A medium in memory, for tests: it keeps every promise of `medium.py` but surviving the process.

Faults are put in by two callables that are asked with the operation (`create`, `append`, …) and the object's name, one
before it is done and one after: what they raise, the caller gets. Raised after, it is the answer that was lost: the
operation has been done.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from keepwell.model.errors import AlreadyThere, NotThere, StorageFault
from keepwell.vault.medium import Log, MediumIdentity, ObjectInfo, require_object_name

Hook = Callable[[str, str], None]

_SPACE_AHEAD = b"\n\n"


class MemoryMedium:
    """Objects in a dictionary; with `appends=False` it has no logs, like a bucket."""

    def __init__(self, *, appends: bool = True, host: str = "memory") -> None:
        """Start empty, without faults."""
        self.before: Hook = _nothing
        self.after: Hook = _nothing
        self._appends = appends
        self._host = host
        self._lock = threading.Lock()
        self._objects: dict[str, bytes] = {}

    def create(self, name: str, octets: bytes) -> None:
        """Keep an object. Raises AlreadyThere."""
        require_object_name(name)
        self.before("create", name)
        self._add(name, bytes(octets))
        self.after("create", name)

    def read(self, name: str) -> bytes:
        """All bytes of an object. Raises NotThere."""
        return self._read("read", name)

    def read_range(self, name: str, offset: int, length: int) -> bytes:
        """A part of an object. Raises NotThere."""
        octets = self._read("read_range", name)
        start = offset if offset >= 0 else max(0, len(octets) + offset)
        return octets[start : start + length]

    def exists(self, name: str) -> bool:
        """Whether an object is there."""
        require_object_name(name)
        self.before("exists", name)
        return name in self._objects

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object whose name begins with `prefix`, in order."""
        self.before("list", prefix)
        with self._lock:
            found = [ObjectInfo(name, len(octets)) for name, octets in self._objects.items()]
        return iter(sorted((one for one in found if one.name.startswith(prefix)), key=lambda one: one.name))

    def remove(self, name: str) -> None:
        """Remove an object, if it is there."""
        require_object_name(name)
        self.before("remove", name)
        with self._lock:
            self._objects.pop(name, None)
        self.after("remove", name)

    def open_log(self, name: str) -> Log | None:
        """A new log; None when this medium has none. Raises AlreadyThere."""
        require_object_name(name)
        if not self._appends:
            return None
        self.before("open_log", name)
        self._add(name, _SPACE_AHEAD)
        return MemoryLog(self, name)

    def identity(self) -> MediumIdentity:
        """A place that nothing else shares."""
        self.before("identity", "")
        return MediumIdentity("memory", f"memory at {id(self):x}", self._host)

    def close(self) -> None:
        """Let go: nothing is held."""

    def replace(self, name: str, octets: bytes) -> None:
        """Change an object that is there, past all promises: a log that grows, or damage for tests."""
        with self._lock:
            if name in self._objects:
                self._objects[name] = octets

    def _add(self, name: str, octets: bytes) -> None:
        with self._lock:
            if name in self._objects:
                raise AlreadyThere(f"{name} is taken")
            self._objects[name] = octets

    def _read(self, operation: str, name: str) -> bytes:
        require_object_name(name)
        self.before(operation, name)
        try:
            return self._objects[name]
        except KeyError:
            raise NotThere(f"{name} is not in this vault") from None


class MemoryLog:
    """A log in memory: after one fault it takes nothing more."""

    def __init__(self, medium: MemoryMedium, name: str) -> None:
        """Start empty."""
        self._medium = medium
        self._name = name
        self._lock = threading.Lock()
        self._appended = b""
        self._usable = True

    def append(self, octets: bytes) -> None:
        """Add to its end. Raises StorageFault, and from then on always."""
        with self._lock:
            if not self._usable:
                raise StorageFault(f"the log {self._name} takes nothing more: it failed before or was closed")
            self._usable = False
            self._medium.before("append", self._name)
            self._appended += octets
            self._medium.replace(self._name, self._appended + _SPACE_AHEAD)
            self._medium.after("append", self._name)
            self._usable = True

    def size(self) -> int:
        """Bytes appended so far."""
        return len(self._appended)

    def close(self) -> None:
        """Let go, and give back the space taken beforehand; may be called twice."""
        with self._lock:
            if self._usable:
                self._medium.replace(self._name, self._appended)
            self._usable = False


def _nothing(_operation: str, _name: str) -> None:
    """No fault."""
