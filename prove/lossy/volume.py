"""Answers the kernel's requests from a tree, until the cut; after it everything is EIO.

Files are opened without asking (the kernel then keeps what it read, as it does for a disk), so what is opened when
is not known here, and need not be: a file is there as long as the kernel has not forgotten its node. Locks, memory maps
and what is read ahead are the kernel's own matter.
"""

from __future__ import annotations

import errno
import stat
import time
from collections.abc import Callable
from typing import Final

from prove.lossy import protocol
from prove.lossy.protocol import Change, Operation, Request
from prove.lossy.tree import File, Folder, Node, Tree

BLOCKS: Final = 1 << 18

_UNANSWERED: Final = frozenset({Operation.FORGET, Operation.BATCH_FORGET, Operation.INTERRUPT})
_CHANGING: Final = frozenset(
    {
        Operation.SETATTR,
        Operation.MKNOD,
        Operation.MKDIR,
        Operation.UNLINK,
        Operation.RMDIR,
        Operation.RENAME,
        Operation.LINK,
        Operation.WRITE,
        Operation.FSYNC,
        Operation.FSYNCDIR,
    }
)


class Volume:
    """One mount of a tree. Invariant: `_nodes` has what the kernel knows, `_told` how often it was told each."""

    def __init__(self, tree: Tree) -> None:
        """On a tree that no living volume has."""
        self._tree = tree
        self._nodes: dict[int, Node] = {tree.root.number: tree.root}
        self._told: dict[int, int] = {tree.root.number: 1}
        self._listings: dict[int, list[tuple[str, Node]]] = {}
        self._last_handle = 0
        self._answers: dict[int, Callable[[Request], bytes]] = {
            Operation.INIT: self._init,
            Operation.LOOKUP: self._lookup,
            Operation.GETATTR: self._getattr,
            Operation.SETATTR: self._setattr,
            Operation.MKNOD: self._mknod,
            Operation.MKDIR: self._mkdir,
            Operation.UNLINK: self._unlink,
            Operation.RMDIR: self._rmdir,
            Operation.RENAME: self._rename,
            Operation.LINK: self._link,
            Operation.READ: self._read,
            Operation.WRITE: self._write,
            Operation.STATFS: self._statfs,
            Operation.FSYNC: self._fsync,
            Operation.FSYNCDIR: self._fsyncdir,
            Operation.OPENDIR: self._opendir,
            Operation.READDIR: self._readdir,
            Operation.RELEASEDIR: self._releasedir,
            Operation.DESTROY: lambda _request: b"",
        }

    @staticmethod
    def changes(request: Request) -> bool:
        """Whether a request changes or syncs anything."""
        return request.operation in _CHANGING

    def answer(self, request: Request) -> bytes | None:
        """What to tell the kernel; None: nothing."""
        if request.operation in _UNANSWERED:
            self._forget(request)
            return None
        known = self._answers.get(request.operation, _unknown)
        try:
            return protocol.render_answer(request.unique, known(request))
        except OSError as error:
            return protocol.render_answer(request.unique, error=error.errno or errno.EIO)

    def refuse(self, request: Request) -> bytes | None:
        """What a dead disk tells."""
        if request.operation in _UNANSWERED:
            return None
        error = errno.EIO if request.operation in self._answers else errno.ENOSYS
        return protocol.render_answer(request.unique, error=error)

    def _init(self, request: Request) -> bytes:
        major, minor, features = protocol.parse_version(request.body)
        if (major, minor) < (protocol.MAJOR, protocol.MINOR):
            raise OSError(errno.EPROTO, f"the kernel speaks FUSE {major}.{minor}")
        return protocol.render_version(features)

    def _lookup(self, request: Request) -> bytes:
        return self._entry(self._tree.find(self._folder(request.node), protocol.parse_name(request.body)))

    def _forget(self, request: Request) -> None:
        if request.operation == Operation.FORGET:
            forgotten = [(request.node, protocol.parse_number(request.body))]
        elif request.operation == Operation.BATCH_FORGET:
            forgotten = protocol.parse_forgotten(request.body)
        else:
            return
        for number, times in forgotten:
            self._told[number] -= times
            if not self._told[number]:
                del self._told[number], self._nodes[number]

    def _getattr(self, request: Request) -> bytes:
        return protocol.render_attributes(_attributes(self._nodes[request.node]))

    def _setattr(self, request: Request) -> bytes:
        node, new = self._nodes[request.node], protocol.parse_setattr(request.body)
        if Change.SIZE in new.change:
            self._file(request.node).content.resize(new.octets)
            node.facts.touch()
        if Change.MODE in new.change:
            node.facts.mode = stat.S_IFMT(node.facts.mode) | stat.S_IMODE(new.mode)
        if Change.ACCESSED in new.change:
            node.facts.accessed = time.time_ns() if Change.ACCESSED_NOW in new.change else new.accessed
        if Change.MODIFIED in new.change:
            node.facts.modified = time.time_ns() if Change.MODIFIED_NOW in new.change else new.modified
        return protocol.render_attributes(_attributes(node))

    def _mknod(self, request: Request) -> bytes:
        mode = protocol.parse_mode(request.body)
        if not stat.S_ISREG(mode):
            raise OSError(errno.EPERM, "only files and folders")
        name = protocol.parse_name(request.body, protocol.MKNOD_HEAD_OCTETS)
        return self._entry(self._tree.make_file(self._folder(request.node), name, mode))

    def _mkdir(self, request: Request) -> bytes:
        mode, name = protocol.parse_mode(request.body), protocol.parse_name(request.body, protocol.MKDIR_HEAD_OCTETS)
        return self._entry(self._tree.make_folder(self._folder(request.node), name, mode))

    def _unlink(self, request: Request) -> bytes:
        self._tree.unlink(self._folder(request.node), protocol.parse_name(request.body))
        return b""

    def _rmdir(self, request: Request) -> bytes:
        self._tree.remove_folder(self._folder(request.node), protocol.parse_name(request.body))
        return b""

    def _rename(self, request: Request) -> bytes:
        source, target = protocol.parse_names(request.body, protocol.RENAME_HEAD_OCTETS)
        into = self._folder(protocol.parse_number(request.body))
        self._tree.rename((self._folder(request.node), source), (into, target))
        return b""

    def _link(self, request: Request) -> bytes:
        node, name = (
            self._nodes[protocol.parse_number(request.body)],
            protocol.parse_name(request.body, protocol.LINK_HEAD_OCTETS),
        )
        self._tree.link(node, self._folder(request.node), name)
        return self._entry(node)

    def _read(self, request: Request) -> bytes:
        _handle, offset, octets = protocol.parse_read(request.body)
        return bytes(self._file(request.node).content.seen[offset : offset + octets])

    def _write(self, request: Request) -> bytes:
        _handle, offset, octets = protocol.parse_read(request.body)
        file, start = self._file(request.node), protocol.WRITE_HEAD_OCTETS
        file.content.write(offset, bytes(request.body[start : start + octets]))
        file.facts.touch()
        return protocol.render_written(octets)

    def _statfs(self, _request: Request) -> bytes:
        return protocol.render_statfs(BLOCKS, BLOCKS, BLOCKS)

    def _fsync(self, request: Request) -> bytes:
        self._file(request.node).content.sync()
        return b""

    def _fsyncdir(self, request: Request) -> bytes:
        self._tree.sync_folder(self._folder(request.node))
        return b""

    def _opendir(self, request: Request) -> bytes:
        self._last_handle += 1
        self._listings[self._last_handle] = list(self._folder(request.node).seen.items())
        return protocol.render_opened(self._last_handle)

    def _readdir(self, request: Request) -> bytes:
        handle, offset, octets = protocol.parse_read(request.body)
        if offset == 0:
            self._listings[handle] = list(self._folder(request.node).seen.items())
        answer = b""
        for place, (name, node) in enumerate(self._listings[handle][offset:], offset + 1):
            entry = protocol.render_entry_in_folder(node.number, place, node.facts.mode >> 12, name)
            if len(answer) + len(entry) > octets:
                break
            answer += entry
        return answer

    def _releasedir(self, request: Request) -> bytes:
        self._listings.pop(protocol.parse_number(request.body), None)
        return b""

    def _entry(self, node: Node) -> bytes:
        self._nodes[node.number] = node
        self._told[node.number] = self._told.get(node.number, 0) + 1
        return protocol.render_entry(_attributes(node))

    def _folder(self, number: int) -> Folder:
        node = self._nodes[number]
        if not isinstance(node, Folder):
            raise OSError(errno.ENOTDIR, "no folder")
        return node

    def _file(self, number: int) -> File:
        node = self._nodes[number]
        if not isinstance(node, File):
            raise OSError(errno.EISDIR, "no file")
        return node


def _unknown(request: Request) -> bytes:
    raise OSError(errno.ENOSYS, f"operation {request.operation} is not done here")


def _attributes(node: Node) -> protocol.Attributes:
    facts, octets = node.facts, len(node.content.seen) if isinstance(node, File) else 4096
    return protocol.Attributes(
        node.number, octets, facts.mode, node.links, facts.accessed, facts.modified, facts.changed
    )
