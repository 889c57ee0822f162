"""Folders, names and files of a lossy disk: as programs see them, and as they may be on the medium after a cut.

An operation on names is a `Naming`: it gives names what they stand for, all of its names or none. Those that no sync
made certain wait in one list, in their order; the package's docstring says which of them may be there without others.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from prove.lossy.content import Content
from prove.lossy.fate import Fate

ROOT_NUMBER: Final = 1


@dataclass(slots=True)
class Facts:
    """What `stat` tells besides size and sort; certain at once."""

    mode: int
    accessed: int = field(default_factory=time.time_ns)
    modified: int = field(default_factory=time.time_ns)
    changed: int = field(default_factory=time.time_ns)

    def touch(self) -> None:
        """It was written to just now."""
        self.modified = self.changed = time.time_ns()


@dataclass(eq=False, slots=True)
class File:
    """A file, under as many names as there are."""

    number: int
    facts: Facts
    content: Content = field(default_factory=Content)
    links: int = 0


@dataclass(eq=False, slots=True)
class Folder:
    """`seen`: what its names stand for; `synced`: the same, as it certainly is on the medium."""

    number: int
    facts: Facts
    seen: dict[str, Node] = field(default_factory=dict)
    synced: dict[str, Node] = field(default_factory=dict)
    links: int = 1


Node = File | Folder
Slot = tuple[Folder, str]


@dataclass(frozen=True, slots=True, eq=False)
class Naming:
    """What names stand for after it. `gone`: a folder that is none any more."""

    names: tuple[tuple[Slot, Node | None], ...]
    gone: Folder | None = None

    @property
    def slots(self) -> Iterator[Slot]:
        """The names."""
        return (slot for slot, _node in self.names)

    @property
    def folders(self) -> Iterator[Folder]:
        """Where the names are."""
        return (folder for (folder, _name), _node in self.names)

    @property
    def moves_folder(self) -> bool:
        """Whether a folder has another place after it, or none."""
        return self.gone is not None or (len(self.names) > 1 and isinstance(self.names[-1][1], Folder))

    def carry_out_on_medium(self) -> None:
        """Make it certain."""
        for (folder, name), node in self.names:
            if node is None:
                folder.synced.pop(name, None)
            else:
                folder.synced[name] = node


class Tree:
    """Invariant: what is seen is what was synced with the pending operations carried out, in their order."""

    def __init__(self) -> None:
        """An empty disk."""
        self.root = Folder(ROOT_NUMBER, Facts(stat.S_IFDIR | 0o755))
        self._last = ROOT_NUMBER
        self._pending: list[Naming] = []

    def find(self, folder: Folder, name: str) -> Node:
        """What a name stands for. Raises FileNotFoundError."""
        try:
            return folder.seen[name]
        except KeyError:
            raise _error(errno.ENOENT) from None

    def make_file(self, folder: Folder, name: str, mode: int) -> File:
        """A new, empty file. Raises FileExistsError."""
        _require_free(folder, name)
        self._last += 1
        made = File(self._last, Facts(stat.S_IFREG | stat.S_IMODE(mode)))
        self._name(Naming((((folder, name), made),)))
        return made

    def make_folder(self, folder: Folder, name: str, mode: int) -> Folder:
        """A new, empty folder. Raises FileExistsError."""
        _require_free(folder, name)
        self._last += 1
        made = Folder(self._last, Facts(stat.S_IFDIR | stat.S_IMODE(mode)))
        self._name(Naming((((folder, name), made),)))
        return made

    def link(self, node: Node, folder: Folder, name: str) -> None:
        """Give a file another name. Raises FileExistsError, PermissionError."""
        if isinstance(node, Folder):
            raise _error(errno.EPERM)
        _require_free(folder, name)
        self._name(Naming((((folder, name), node),)))

    def unlink(self, folder: Folder, name: str) -> None:
        """Take a name from a file. Raises FileNotFoundError, IsADirectoryError."""
        if isinstance(self.find(folder, name), Folder):
            raise _error(errno.EISDIR)
        self._name(Naming((((folder, name), None),)))

    def remove_folder(self, folder: Folder, name: str) -> None:
        """Remove an empty folder. Raises FileNotFoundError, NotADirectoryError, OSError."""
        gone = self.find(folder, name)
        if isinstance(gone, File):
            raise _error(errno.ENOTDIR)
        if gone.seen:
            raise _error(errno.ENOTEMPTY)
        self._name(Naming((((folder, name), None),), gone))

    def rename(self, source: Slot, target: Slot) -> None:
        """Move a name, and take away what had the new one. Raises FileNotFoundError, OSError."""
        node, replaced = self.find(*source), target[0].seen.get(target[1])
        if replaced is node:
            return
        if isinstance(replaced, Folder):
            if isinstance(node, File):
                raise _error(errno.EISDIR)
            if replaced.seen:
                raise _error(errno.ENOTEMPTY)
        elif isinstance(replaced, File) and isinstance(node, Folder):
            raise _error(errno.ENOTDIR)
        self._name(Naming(((source, None), (target, node)), replaced if isinstance(replaced, Folder) else None))

    def sync_folder(self, folder: Folder) -> None:
        """Make the names in the folder certain, and with them what they stand on."""
        certain, self._pending = _certain_with(folder, self._pending)
        for naming in certain:
            naming.carry_out_on_medium()

    def survive(self, fate: Fate) -> None:
        """Be what the medium has after a cut: that is then seen, and certain."""
        for naming in _surviving(self._pending, fate):
            naming.carry_out_on_medium()
        self._pending.clear()
        files: dict[File, int] = {}
        folders = [self.root]
        for folder in folders:
            folder.seen = dict(folder.synced)
            for node in folder.seen.values():
                if isinstance(node, Folder):
                    folders.append(node)
                else:
                    files[node] = files.get(node, 0) + 1
        for file, links in files.items():
            file.links = links
            file.content.survive(fate)

    def _name(self, naming: Naming) -> None:
        for (folder, name), node in naming.names:
            before = folder.seen.pop(name, None)
            if before is not None:
                before.links -= 1
            if node is not None:
                folder.seen[name] = node
                node.links += 1
            folder.facts.touch()
        self._pending.append(naming)


def _certain_with(synced: Folder, pending: list[Naming]) -> tuple[list[Naming], list[Naming]]:
    """(what the sync of a folder makes certain, what it does not), both in their order."""
    slots: set[Slot] = set()
    folders = {synced}
    moves = False
    certain, left = [], []
    for naming in reversed(pending):
        if slots.intersection(naming.slots) or folders.intersection(naming.folders) or (moves and naming.moves_folder):
            certain.append(naming)
            slots.update(naming.slots)
            folders.update({naming.gone} if naming.gone else ())
            moves = moves or naming.moves_folder
        else:
            left.append(naming)
    return certain[::-1], left[::-1]


def _surviving(pending: list[Naming], fate: Fate) -> Iterator[Naming]:
    """Those that are there after a cut, in their order."""
    dropped: set[Slot] = set()
    touched: set[Folder] = set()
    never_made: set[Folder] = set()
    moves_dropped = False
    shares: Folder | None = None
    for naming in pending:
        (folder, _name), node = naming.names[-1]
        if folder is not shares:
            shares = folder
            fate.turn_to_another()
        possible = not (
            dropped.intersection(naming.slots)
            or (moves_dropped and naming.moves_folder)
            or naming.gone in touched
            or folder in never_made
        )
        if fate.keeps_name(possible=possible):
            yield naming
            continue
        dropped.update(naming.slots)
        touched.update(naming.folders)
        moves_dropped = moves_dropped or naming.moves_folder
        if isinstance(node, Folder) and len(naming.names) == 1:
            never_made.add(node)


def _require_free(folder: Folder, name: str) -> None:
    if name in folder.seen:
        raise _error(errno.EEXIST)


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
