"""The kernel's FUSE requests and answers as bytes (Linux, `include/uapi/linux/fuse.h`, version 7.31).

Only what a lossy disk needs. The kernel is told that the rest is not there and does without.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final

MAJOR: Final = 7
MINOR: Final = 31
WRITE_OCTETS_MAX: Final = 128 * 1024
REQUEST_OCTETS_MAX: Final = WRITE_OCTETS_MAX + 4096
NAME_OCTETS_MAX: Final = 255
CACHE_SECONDS: Final = 3600
"""How long the kernel may go by what it was told: nobody else changes anything."""


class Operation(IntEnum):
    """What is asked."""

    LOOKUP = 1
    FORGET = 2
    GETATTR = 3
    SETATTR = 4
    MKNOD = 8
    MKDIR = 9
    UNLINK = 10
    RMDIR = 11
    RENAME = 12
    LINK = 13
    READ = 15
    WRITE = 16
    STATFS = 17
    FSYNC = 20
    INIT = 26
    OPENDIR = 27
    READDIR = 28
    RELEASEDIR = 29
    FSYNCDIR = 30
    INTERRUPT = 36
    DESTROY = 38
    BATCH_FORGET = 42


class Feature(IntFlag):
    """What is agreed on at the beginning."""

    ASYNC_READ = 1 << 0
    BIG_WRITES = 1 << 5
    MAX_PAGES = 1 << 22


class Change(IntFlag):
    """What SETATTR changes."""

    MODE = 1 << 0
    SIZE = 1 << 3
    ACCESSED = 1 << 4
    MODIFIED = 1 << 5
    ACCESSED_NOW = 1 << 7
    MODIFIED_NOW = 1 << 8


_request = struct.Struct("<IIQQIIIHH")
_answer = struct.Struct("<IiQ")
_init_in = struct.Struct("<IIII")
_init_out = struct.Struct("<IIIIHHIIHHI28x")
_attributes = struct.Struct("<QQQQQQIIIIIIIIII")
_entry = struct.Struct("<QQQQII")
_attributes_answer = struct.Struct("<QII")
_setattr = struct.Struct("<IIQQQQQQIIIIIIII")
_read = struct.Struct("<QQI")
_written = struct.Struct("<II")
_opened = struct.Struct("<QII")
_statfs = struct.Struct("<QQQQQIIII24x")
_entry_in_folder = struct.Struct("<QQII")
_forget_one = struct.Struct("<QQ")
_number = struct.Struct("<Q")
_two = struct.Struct("<II")

WRITE_HEAD_OCTETS: Final = 40
LINK_HEAD_OCTETS: Final = 8
RENAME_HEAD_OCTETS: Final = 8
MKDIR_HEAD_OCTETS: Final = 8
MKNOD_HEAD_OCTETS: Final = 16


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `body` is what follows its head."""

    operation: int
    unique: int
    node: int
    body: memoryview


@dataclass(frozen=True, slots=True)
class Attributes:
    """What `stat` tells."""

    number: int
    octets: int
    mode: int
    links: int
    accessed: int
    modified: int
    changed: int


@dataclass(frozen=True, slots=True)
class NewAttributes:
    """What SETATTR asks for; what `change` does not name is of no meaning."""

    change: Change
    octets: int
    mode: int
    accessed: int
    modified: int


def parse_request(octets: memoryview) -> Request:
    """A request as it was read."""
    _length, operation, unique, node, _user, _group, _process, _extension, _pad = _request.unpack_from(octets)
    return Request(operation, unique, node, octets[_request.size :])


def render_answer(unique: int, body: bytes = b"", *, error: int = 0) -> bytes:
    """An answer; with an error it has no body."""
    return _answer.pack(_answer.size + len(body), -error, unique) + body


def parse_version(body: memoryview) -> tuple[int, int, Feature]:
    """INIT: (version, subversion, what the kernel can)."""
    major, minor, _readahead, flags = _init_in.unpack_from(body)
    return major, minor, Feature(flags & ~0) & (Feature.ASYNC_READ | Feature.BIG_WRITES | Feature.MAX_PAGES)


def render_version(features: Feature) -> bytes:
    """The answer to INIT."""
    pages = WRITE_OCTETS_MAX // 4096
    return _init_out.pack(MAJOR, MINOR, WRITE_OCTETS_MAX, features, 64, 48, WRITE_OCTETS_MAX, 1, pages, 0, 0)


def parse_name(body: memoryview, skip: int = 0) -> str:
    """The name behind `skip` octets."""
    return parse_names(body, skip)[0]


def parse_names(body: memoryview, skip: int = 0) -> list[str]:
    """The names behind `skip` octets, each ended by a zero."""
    return [os.fsdecode(name) for name in bytes(body[skip:]).split(b"\0")[:-1]]


def parse_number(body: memoryview) -> int:
    """A first field of 64 bits: a handle, a node, a count."""
    return int(_number.unpack_from(body)[0])


def parse_mode(body: memoryview) -> int:
    """The mode of MKNOD and MKDIR; the kernel has applied the umask."""
    return int(_two.unpack_from(body)[0])


def parse_forgotten(body: memoryview) -> list[tuple[int, int]]:
    """BATCH_FORGET: (node, how often) of each."""
    count, _pad = _two.unpack_from(body)
    return [_forget_one.unpack_from(body, _two.size + place * _forget_one.size) for place in range(count)]


def parse_read(body: memoryview) -> tuple[int, int, int]:
    """READ, READDIR, WRITE: (handle, offset, octets)."""
    handle, offset, octets = _read.unpack_from(body)
    return handle, offset, octets


def parse_setattr(body: memoryview) -> NewAttributes:
    """SETATTR."""
    fields = _setattr.unpack_from(body)
    known = Change.MODE | Change.SIZE | Change.ACCESSED | Change.MODIFIED | Change.ACCESSED_NOW | Change.MODIFIED_NOW
    change = Change(fields[0] & known)
    accessed, modified = (fields[5] * 10**9 + fields[8], fields[6] * 10**9 + fields[9])
    return NewAttributes(change, fields[3], fields[11], accessed, modified)


def render_attributes(found: Attributes) -> bytes:
    """The answer to GETATTR and SETATTR."""
    return _attributes_answer.pack(CACHE_SECONDS, 0, 0) + _packed(found)


def render_entry(found: Attributes) -> bytes:
    """The answer to whatever names a node."""
    return _entry.pack(found.number, 0, CACHE_SECONDS, CACHE_SECONDS, 0, 0) + _packed(found)


def render_opened(handle: int) -> bytes:
    """The answer to OPENDIR."""
    return _opened.pack(handle, 0, 0)


def render_written(octets: int) -> bytes:
    """The answer to WRITE."""
    return _written.pack(octets, 0)


def render_statfs(blocks: int, free: int, nodes: int) -> bytes:
    """The answer to STATFS, in blocks of 4096 octets."""
    return _statfs.pack(blocks, free, free, nodes, nodes, 4096, NAME_OCTETS_MAX, 4096, 0)


def render_entry_in_folder(number: int, following: int, sort: int, name: str) -> bytes:
    """One entry of READDIR; `following` is the offset from which to go on."""
    encoded = os.fsencode(name)
    length = _entry_in_folder.size + len(encoded)
    return (_entry_in_folder.pack(number, following, len(encoded), sort) + encoded).ljust(-(-length // 8) * 8, b"\0")


def _packed(found: Attributes) -> bytes:
    times = (found.accessed, found.modified, found.changed)
    return _attributes.pack(
        found.number,
        found.octets,
        -(-found.octets // 512),
        *(moment // 10**9 for moment in times),
        *(moment % 10**9 for moment in times),
        found.mode,
        found.links,
        0,  # user
        0,  # group
        0,  # device
        4096,
        0,
    )
