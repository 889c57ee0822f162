"""A medium in memory, for tests: it keeps every promise of `medium.py` but surviving the process.

Faults are put in by three callables that are asked with the operation (`create`, `append`, …) and the object's name:
what they raise, the caller gets.

- `before` it is done: nothing was changed;
- `syncing`, when whoever reads sees the change already, and it is not synced yet: a sync that failed;
- `after`: the operation has been done, and its answer is lost.

A change that was not synced is gone, or there in part, after a `cut` of the power. As in a folder, a sync of one name
makes every name in its folder durable, and bytes of a log whose sync failed stay in doubt for ever. A medium that does
not append is like a bucket: what it has created is durable at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from keepwell.model.errors import AlreadyThere, NotThere, StorageFault
from keepwell.vault.medium import Log, MediumIdentity, ObjectInfo, require_object_name

Hook = Callable[[str, str], None]
Stays = Callable[[int], int]
"""Asked at a cut how much of a change stays: from 0 up to the given number."""

_SPACE_AHEAD = b"\n\n"


@dataclass(frozen=True, slots=True)
class _Name:
    """A name that came or went; `octets` are those of one that went."""

    name: str
    octets: bytes | None = None

    @property
    def folder(self) -> str:
        return self.name.rpartition("/")[0]


@dataclass(slots=True)
class _Bytes:
    """Bytes that a log got behind those that it had."""

    name: str
    before: bytes
    added: bytes
    is_given_up: bool = False
    """A sync of them failed: a later one says nothing of them."""


class MemoryMedium:
    """Objects in a dictionary; with `appends=False` it has no logs, like a bucket."""

    def __init__(self, *, appends: bool = True, host: str = "memory") -> None:
        """Start empty, without faults."""
        self.before: Hook = _nothing
        self.syncing: Hook = _nothing
        self.after: Hook = _nothing
        self._appends = appends
        self._host = host
        self._lock = threading.Lock()
        self._objects: dict[str, bytes] = {}
        self._unsynced: list[_Name | _Bytes] = []

    def create(self, name: str, octets: bytes) -> None:
        """Keep an object. Raises AlreadyThere."""
        require_object_name(name)
        self.before("create", name)
        self._add("create", name, bytes(octets))
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

    def keeps(self, name: str) -> bool:
        """Whether an object is there; if it is, its name stays."""
        if not self.exists(name):
            return False
        if self._appends:
            self._sync_names("keeps", name)
        return True

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
            octets = self._objects.pop(name, None)
            if octets is not None:
                self._unsynced.append(_Name(name, octets))
        if octets is not None:
            self._sync_names("remove", name)
        self.after("remove", name)

    def open_log(self, name: str) -> Log | None:
        """A new log; None when this medium has none. Raises AlreadyThere."""
        require_object_name(name)
        if not self._appends:
            return None
        self.before("open_log", name)
        self._add("open_log", name, _SPACE_AHEAD)
        return MemoryLog(self, name)

    def settle(self, logs: str) -> None:
        """Whatever came before the sync begins stays."""
        self.before("settle", logs)
        with self._lock:
            settled = [
                one
                for one in self._unsynced
                if isinstance(one, _Name) or (one.name.startswith(logs) and not one.is_given_up)
            ]
        self.syncing("settle", logs)
        with self._lock:
            self._unsynced = [one for one in self._unsynced if not any(one is other for other in settled)]
        self.after("settle", logs)

    def identity(self) -> MediumIdentity:
        """A place that nothing else shares."""
        self.before("identity", "")
        return MediumIdentity("memory", f"memory at {id(self):x}", self._host)

    def close(self) -> None:
        """Let go: nothing is held."""

    def replace(self, name: str, octets: bytes) -> None:
        """Change an object that is there, past all promises: a log that gives back space, or damage for tests."""
        with self._lock:
            if name in self._objects:
                self._objects[name] = octets

    def take_away(self, name: str) -> None:
        """Lose an object, past all promises: damage for tests."""
        with self._lock:
            self._objects.pop(name, None)

    def objects(self) -> dict[str, bytes]:
        """Everything that whoever reads sees now."""
        with self._lock:
            return dict(self._objects)

    def put_back(self, objects: Mapping[str, bytes]) -> None:
        """Be as it was when these were all its objects: an older copy of it was put back."""
        with self._lock:
            self._objects, self._unsynced = dict(objects), []

    def cut(self, stays: Stays) -> None:
        """Cut the power: of each change that was not synced, the latest first, as much is there afterwards as `stays`.

        Of bytes in a log it is asked how many of them; of a name, whether it came (or went): 0 or 1.
        """
        with self._lock:
            for change in reversed(self._unsynced):
                if isinstance(change, _Bytes):
                    kept = change.added[: stays(len(change.added))]
                    if change.name in self._objects:
                        self._objects[change.name] = change.before + kept + _SPACE_AHEAD
                elif not stays(1):
                    self._undo(change)
            self._unsynced = []

    def append(self, name: str, before: bytes, octets: bytes) -> None:
        """For logs: let `octets` come behind what was there before, and sync them. Raises StorageFault."""
        change = _Bytes(name, before, octets)
        with self._lock:
            if name not in self._objects:
                raise StorageFault(f"appending to {name} failed: it was removed")
            self._unsynced.append(change)
            self._objects[name] = before + octets + _SPACE_AHEAD
        try:
            self.syncing("append", name)
        except StorageFault:
            change.is_given_up = True
            raise
        with self._lock:
            self._unsynced = [one for one in self._unsynced if one is not change]

    def _undo(self, change: _Name) -> None:
        if change.octets is None:
            self._objects.pop(change.name, None)
        else:
            self._objects.setdefault(change.name, change.octets)

    def _add(self, operation: str, name: str, octets: bytes) -> None:
        """Raises AlreadyThere, once it is certain that what is there stays."""
        with self._lock:
            is_taken = name in self._objects
            if not is_taken:
                self._objects[name] = octets
                if self._appends:
                    self._unsynced.append(_Name(name))
        if self._appends:
            self._sync_names(operation, name)
        if is_taken:
            raise AlreadyThere(f"{name} is taken")

    def _sync_names(self, operation: str, name: str) -> None:
        self.syncing(operation, name)
        folder = _Name(name).folder
        with self._lock:
            self._unsynced = [one for one in self._unsynced if isinstance(one, _Bytes) or one.folder != folder]

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
            before, self._appended = self._appended, self._appended + octets
            self._medium.append(self._name, before, octets)
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
