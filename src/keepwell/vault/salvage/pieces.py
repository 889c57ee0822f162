"""What is left in damaged objects of a vault: every line alone, every frame as far as it can be opened.

Reading for restore (`vault.lines`, `vault.pack`) wants whole runs and says what is wrong. Here a line that is broken is
passed over and the next one tried; of a broken line its record or its bytes may still prove themselves alone. Frames
are found by their first bytes, with or without an index; a damaged one gives what was packed before the damage.

Pure: bytes in, pieces out. Damage raises nothing here.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

import msgspec
import pyrage
from backports import zstd
from pyrage.x25519 import Identity

from keepwell.model.errors import Damaged
from keepwell.model.names import AccountId
from keepwell.model.record import Record, is_proven
from keepwell.model.unreadable import UNREADABLE
from keepwell.vault.lines import Line, parse_lines, record_in
from keepwell.vault.pack import FRAME_OCTETS_MAX, PackIndex, read_index

ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
AGE_MAGIC: Final = b"age-encryption.org/v1\n"

_FED_OCTETS: Final = 4096
"""A decompressor gives what it has after each such part, so an error costs no more than one block."""

_body: Final = re.compile(rb'"(body|body64)":("(?:[^"\\]|\\.)*")')
_sealed: Final = re.compile(rb'"age":"([A-Za-z0-9+/=]+)"')
_heads: Final = re.compile(rb'"heads":(\{[^{}]*\})')
_trailer: Final = re.compile(rb'\n(?=\{"pack")')

Heads = dict[AccountId, tuple[int, str]]


class Piece(msgspec.Struct, frozen=True):
    """What one line proves: its record, or bytes (by whatever digest they have), or both."""

    record: Record | None = None
    body: bytes | None = None
    blob: str | None = None


def pieces_of(lines: bytes) -> Iterator[Piece]:
    """What each line proves, those that prove nothing left out."""
    try:
        yield from (_piece(line) for line in parse_lines(lines) if is_proven(line.record))
    except Damaged:
        for text in filter(None, lines.split(b"\n")):
            yield from _alone(text)


def _piece(line: Line) -> Piece:
    return Piece(line.record, line.body, line.blob)


def _alone(text: bytes) -> Iterator[Piece]:
    try:
        yield from (_piece(line) for line in parse_lines(text) if is_proven(line.record))
    except Damaged:
        piece = Piece(record_in(text), _body_in(text))
        if piece != Piece():
            yield piece


def _body_in(text: bytes) -> bytes | None:
    """The bytes of a line whose record is damaged."""
    match = _body.search(text)
    try:
        value = "" if match is None else msgspec.json.decode(match[2], type=str)
        return None if match is None else value.encode() if match[1] == b"body" else base64.b64decode(value)
    except (*UNREADABLE, ValueError):  # ValueError: what is no base64, also beyond ASCII, and what is no UTF-8
        return None


def opened_tail(stored: bytes, keys: Sequence[Identity]) -> Iterator[bytes]:
    """The record lines of a tail; of one in an encrypted vault, those that the keys open."""
    yield b"\n".join(text for text in stored.split(b"\n") if not _sealed.search(text))
    for match in _sealed.finditer(stored):
        try:
            yield unsealed(base64.b64decode(match[1]), keys)
        except binascii.Error:
            continue


def heads_said(stored: bytes) -> Iterator[Heads]:
    """Where the lines of an encrypted tail say that they lead to."""
    for match in _heads.finditer(stored):
        try:
            yield msgspec.json.decode(match[1], type=Heads)
        except UNREADABLE:
            continue


def index_said(stored: bytes) -> PackIndex | None:
    """The index of a pack, when it can be read."""
    try:
        return read_index(stored)
    except Damaged:
        return None


def unpacked_frames(stored: bytes, keys: Sequence[Identity]) -> Iterator[bytes]:
    """What each frame of a pack, plain or encrypted, gives; found with or without the index."""
    starts = _starts(stored)
    if AGE_MAGIC in stored:
        ends = [*starts[1:], *[match.start() for match in _trailer.finditer(stored)], len(stored)]
        for start in starts:
            end = next(one for one in ends if one > start)
            yield b"".join(_unpacked(unsealed(stored[start:end], keys)))
    else:
        yield from _unpacked(stored)


def unsealed(stored: bytes, keys: Sequence[Identity]) -> bytes:
    """What an age file gives; one that breaks off or is damaged gives what stands before that, in steps of 64 KiB.

    One that is made for other keys gives nothing; so does one whose header is damaged, and the two look alike.
    """
    given = io.BytesIO()
    with suppress(pyrage.DecryptError, OSError):  # what was given until then is authentic, and all there is
        pyrage.decrypt_io(io.BytesIO(stored), given, list(keys))
    return given.getvalue()


def _starts(stored: bytes) -> list[int]:
    index = index_said(stored)
    known = {frame.offset for frame in index.frames} if index else set[int]()
    magic = AGE_MAGIC if AGE_MAGIC in stored else ZSTD_MAGIC
    return sorted(known | {match.start() for match in re.finditer(re.escape(magic), stored)})


def _unpacked(stored: bytes) -> Iterator[bytes]:
    done = 0
    for start in _starts(stored):
        if start >= done:
            unpacked, length = _decompressed(memoryview(stored)[start:])
            done = start + length
            yield unpacked


def _decompressed(stored: memoryview) -> tuple[bytes, int]:
    """What the frame at the beginning gives, and its length; 1 when it is damaged, so that the next one is looked for.

    The first bytes are put right: an index may know of a frame whose are damaged.
    """
    decompressor, parts, size = zstd.ZstdDecompressor(), list[bytes](), 0
    feed, fed = ZSTD_MAGIC + bytes(stored[len(ZSTD_MAGIC) : _FED_OCTETS]), 0
    try:
        while feed and size <= FRAME_OCTETS_MAX:
            parts.append(decompressor.decompress(feed))
            size, fed = size + len(parts[-1]), fed + len(feed)
            if decompressor.eof:
                return b"".join(parts), fed - len(decompressor.unused_data)
            feed = bytes(stored[fed : fed + _FED_OCTETS])
    except zstd.ZstdError:
        pass  # what was given until then is tried line by line
    return b"".join(parts), 1
