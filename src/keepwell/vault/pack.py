"""Packs: records of many accounts in one immutable object, each account's run in a frame of its own.

A frame is one zstd frame (encrypted for itself in an encrypted vault), so that one account can be read by its bytes
alone while `zstdcat` prints the whole. The index is the last line of the stored bytes; in a plain pack it lies in a
skippable frame (RFC 8878 section 3.1.2), which decoders pass over. It ends with the hash of itself; one that does not
match is not gone by, since what it says of where accounts end is believed before any record is read.

Pure: bytes in, bytes out.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Sequence
from typing import Final

import msgspec
from backports import zstd

from keepwell.ground.clock import parse_moment
from keepwell.model.errors import Damaged
from keepwell.model.ledger import LedgerEntry
from keepwell.model.names import AccountId, Kind, Lineage, is_account_id
from keepwell.model.unreadable import UNREADABLE
from keepwell.vault.lines import Line, parse_lines
from keepwell.vault.sealing import Seal

PACK_VERSION: Final = 1

SHIP_LEVEL: Final = 3
"""1.1 MB of cards become 175 kB in 6 ms; level 9 takes 32 ms for 168 kB, level 19 takes 827 ms for 153 kB."""

MERGE_LEVEL: Final = 9
"""Merged packs are written once and kept for long."""

FRAME_OCTETS_MAX: Final = 1 << 30
"""What a frame may be unpacked: a damaged or hostile one must not fill the memory."""

SKIPPABLE_MAGIC: Final = 0x184D2A50

_index_hash: Final = re.compile(rb',"hash":"([^"]*)"\}\n?$')

LedgerNote = tuple[int, int, str]
"""Sequence of the last change, count of items, set-hash in hexadecimal."""


class Frame(msgspec.Struct, frozen=True):
    """Where a run of one account's records lies in a pack, and what it leads from and to."""

    account: AccountId
    lineage: Lineage
    first: int
    last: int
    prev: str
    head: str
    since: str
    until: str
    offset: int
    length: int
    octets: int
    ledger: dict[Kind, LedgerNote]
    blobs: tuple[str, ...] = ()


class PackIndex(msgspec.Struct, frozen=True):
    """What a pack says of itself."""

    pack: int
    vault: str
    epoch: int
    at: str
    frames: tuple[Frame, ...]


class Run(msgspec.Struct, frozen=True):
    """What becomes a frame: rendered lines of one account's successive records, and the facts of the index."""

    account: AccountId
    lineage: Lineage
    first: int
    last: int
    prev: str
    head: str
    since: str
    until: str
    lines: bytes
    ledger: dict[Kind, LedgerNote]
    blobs: tuple[str, ...] = ()


def render_pack(
    runs: Sequence[Run], *, vault: str, epoch: int, at: str, seal: Seal, level: int = SHIP_LEVEL
) -> tuple[bytes, PackIndex]:
    """The stored bytes of a pack of these runs, and its index."""
    parts: list[bytes] = []
    frames: list[Frame] = []
    offset = 0
    for run in runs:
        stored = seal.seal(_compress(run.lines, level))
        frames.append(_frame_of(run, offset, len(stored)))
        parts.append(stored)
        offset += len(stored)
    index = PackIndex(PACK_VERSION, vault, epoch, at, tuple(frames))
    parts.append(_index_trailer(index, skippable=not seal.sealed))
    return b"".join(parts), index


def cut_pack(stored: bytes, index: PackIndex, account: AccountId, *, sealed: bool) -> bytes | None:
    """The stored bytes of the same pack without this account's frames; None when nothing would be left."""
    parts: list[bytes] = []
    frames: list[Frame] = []
    offset = 0
    for frame in index.frames:
        if frame.account != account:
            parts.append(stored[frame.offset : frame.offset + frame.length])
            frames.append(msgspec.structs.replace(frame, offset=offset))
            offset += frame.length
    if not frames:
        return None
    kept = msgspec.structs.replace(index, frames=tuple(frames))
    return b"".join([*parts, _index_trailer(kept, skippable=not sealed)])


def read_index(end: bytes) -> PackIndex | None:
    """The index, from the end of a pack's stored bytes; None when more of the end is needed. Raises Damaged."""
    start = end.rfind(b"\n", 0, -1)
    if start < 0:
        return None
    text = end[start + 1 :]
    hashed = _index_hash.search(text)
    if hashed is not None and _hash_of_index(text[: hashed.start()]) != hashed[1]:
        raise Damaged("the index of a pack is not as it was written")
    try:
        index = msgspec.json.decode(text, type=PackIndex)
    except UNREADABLE as error:
        raise Damaged(f"the index of a pack cannot be read: {error}") from error
    if index.pack > PACK_VERSION:
        raise Damaged(
            f"a pack has format {index.pack}; this Keepwell knows up to {PACK_VERSION}",
            hint="A newer Keepwell wrote it. Use that version, or a newer one.",
        )
    _require_possible(index)
    return index


def _require_possible(index: PackIndex) -> None:
    """Nothing proves an index. What is decided by it before anything is read must at least make sense."""
    try:
        parse_moment(index.at)
    except (ValueError, OverflowError) as error:
        raise Damaged(f"the index of a pack is of {index.at[:40]!r}, which is no moment") from error
    for frame in index.frames:
        if not is_account_id(frame.account):
            raise Damaged(f"the index of a pack speaks of {frame.account[:40]!r}, which is no account id")
        if not (frame.offset >= 0 and frame.length > 0 and 1 <= frame.first <= frame.last):
            raise Damaged(f"the index of a pack says what cannot be: {_where(frame)}, {frame.length} bytes")


def read_frame(stored: bytes, frame: Frame, seal: Seal) -> list[Line]:
    """The records of a frame, each proven, and the run proven to be what the index says. Raises Damaged, Locked."""
    return parse_frame(unpack_frame(stored, frame, seal), frame)


def unpack_frame(stored: bytes, frame: Frame, seal: Seal) -> bytes:
    """The lines of a frame as they were written, not proven yet. Raises Damaged, Locked."""
    where = _where(frame)
    if len(stored) != frame.length:
        raise Damaged(f"{where}: {len(stored)} of {frame.length} bytes are there")
    return unpack(seal.unseal(stored), frame.octets, where)


def parse_frame(octets: bytes, frame: Frame) -> list[Line]:
    """The records of a frame's lines, each proven, and the run proven to be what the index says. Raises Damaged."""
    lines = parse_lines(octets)
    _require_run(lines, frame, _where(frame))
    return lines


def unpack(packed: bytes, octets: int, where: str) -> bytes:
    """Decompress what has `octets` bytes unpacked. Raises Damaged."""
    if not 0 <= octets <= FRAME_OCTETS_MAX:
        raise Damaged(f"{where}: {octets} bytes cannot be in one frame")
    try:
        decompressor = zstd.ZstdDecompressor()
        unpacked = decompressor.decompress(packed, max_length=octets + 1)
    except zstd.ZstdError as error:
        raise Damaged(f"{where}: they cannot be unpacked: {error}") from error
    if len(unpacked) != octets or not decompressor.eof:
        raise Damaged(f"{where}: they are not the {octets} bytes that the index says")
    return unpacked


def note_of(ledger: dict[Kind, LedgerEntry]) -> dict[Kind, LedgerNote]:
    """A ledger as an index has it."""
    return {kind: (entry.seq, entry.count, entry.set_hash_text) for kind, entry in ledger.items()}


def _compress(lines: bytes, level: int) -> bytes:
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: level,
        zstd.CompressionParameter.checksum_flag: 1,
    }
    return zstd.compress(lines, options=options)


def _frame_of(run: Run, offset: int, length: int) -> Frame:
    return Frame(
        run.account,
        run.lineage,
        run.first,
        run.last,
        run.prev,
        run.head,
        run.since,
        run.until,
        offset,
        length,
        len(run.lines),
        run.ledger,
        run.blobs,
    )


def _index_trailer(index: PackIndex, *, skippable: bool) -> bytes:
    said = msgspec.json.encode(index)[:-1]
    text = b'\n%s,"hash":"%s"}\n' % (said, _hash_of_index(said))
    return struct.pack("<II", SKIPPABLE_MAGIC, len(text)) + text if skippable else text


def _hash_of_index(said: bytes) -> bytes:
    """Of the index's line up to its hash. Packs that were written before it had one are read without."""
    return hashlib.sha256(said).hexdigest().encode()


def _where(frame: Frame) -> str:
    return f"records {frame.first} to {frame.last} of {frame.account}"


def _require_run(lines: list[Line], frame: Frame, where: str) -> None:
    """The index is plain JSON that nothing proves: what it says counts only when the records say the same."""
    before, seq = frame.prev, frame.first
    for line in lines:
        facts = line.record.facts
        if (facts.account, facts.seq, facts.prev) != (frame.account, seq, before):
            raise Damaged(f"{where}: record {facts.seq} of {facts.account} does not follow record {seq - 1}")
        before, seq = line.record.hash, seq + 1
    if (seq - 1, before) != (frame.last, frame.head):
        raise Damaged(f"{where}: they end with record {seq - 1}")
