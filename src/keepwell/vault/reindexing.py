"""What the index of a pack should say, made anew from the pack's own frames when it is damaged.

Its frames prove themselves without it, record by record; so one flipped bit in the last line of a pack costs nothing
that is in it, and nobody is told of records that never were. Only the ledgers, which no record says, stay unknown.

Pure: bytes in, an index out. Damage raises nothing here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Final

from backports import zstd

from keepwell.model.errors import Damaged, Locked
from keepwell.vault.lines import Line, parse_lines
from keepwell.vault.pack import FRAME_OCTETS_MAX, PACK_VERSION, SKIPPABLE_MAGIC, Frame, PackIndex
from keepwell.vault.sealing import Seal

_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_AGE_MAGIC: Final = b"age-encryption.org/v1\n"
_TRAILER: Final = b'\n{"pack":'
_HEADER_OCTETS: Final = 8
"""Of the skippable frame that the index lies in."""


def reindexed(stored: bytes, vault: str, seal: Seal) -> tuple[PackIndex, bool]:
    """The index of what can be read of a pack in this vault, and whether that is all that the pack has.

    It counts as written in no epoch, since that is known from nothing else.
    """
    found = list(_sealed_frames(stored, seal) if seal.sealed else _frames(stored))
    ends = [0, *(frame.offset + frame.length for frame in found)]
    is_all = all(frame.offset == end for frame, end in zip(found, ends, strict=False))
    return PackIndex(PACK_VERSION, vault, 0, "", tuple(found)), is_all and _is_trailer(stored[ends[-1] :], seal)


def _is_trailer(octets: bytes, seal: Seal) -> bool:
    """Whether an index begins here and no frame: as written, but for one byte, since something in it is damaged."""
    header = b"" if seal.sealed else struct.pack("<II", SKIPPABLE_MAGIC, max(0, len(octets) - _HEADER_OCTETS))
    begins = header + _TRAILER
    unlike = sum(one != other for one, other in zip(begins, octets, strict=False))
    return len(octets) > len(begins) and unlike <= 1


def _frames(stored: bytes) -> Iterator[Frame]:
    offset = stored.find(_ZSTD_MAGIC)
    while offset >= 0:
        end = offset + 1
        with suppress(Damaged):
            unpacked, length = _unpacked(stored[offset:])
            yield _frame_of(unpacked, offset, length)
            end = offset + length
        offset = stored.find(_ZSTD_MAGIC, end)


def _sealed_frames(stored: bytes, seal: Seal) -> Iterator[Frame]:
    offset = stored.find(_AGE_MAGIC)
    while offset >= 0:
        next_offset = stored.find(_AGE_MAGIC, offset + 1)
        # Of the line feed before the index and its first word one is as it was written.
        ends = [next_offset] if next_offset >= 0 else [stored.rfind(_TRAILER[1:]) - 1, stored.rfind(b"\n", 0, -1)]
        for end in dict.fromkeys(end for end in ends if end > offset):
            with suppress(Damaged, Locked):
                unpacked, _length = _unpacked(seal.unseal(stored[offset:end]))
                yield _frame_of(unpacked, offset, end - offset)
                break
        offset = next_offset


def _unpacked(packed: bytes) -> tuple[bytes, int]:
    """What the zstd frame at the beginning gives, and its length. Raises Damaged."""
    try:
        decompressor = zstd.ZstdDecompressor()
        unpacked = decompressor.decompress(packed, max_length=FRAME_OCTETS_MAX)
    except zstd.ZstdError as error:
        raise Damaged(f"a frame cannot be unpacked: {error}") from error
    if not decompressor.eof:
        raise Damaged("a frame is not whole")
    return unpacked, len(packed) - len(decompressor.unused_data)


def _frame_of(unpacked: bytes, offset: int, length: int) -> Frame:
    """What an index would say of a frame. Raises Damaged when its records are no run."""
    lines = parse_lines(unpacked)
    if not lines:
        raise Damaged("a frame has no records")
    _require_run(lines)
    first, last = lines[0].record.facts, lines[-1].record
    return Frame(
        account=first.account,
        lineage=last.facts.lineage,
        first=first.seq,
        last=last.facts.seq,
        prev=first.prev,
        head=last.hash,
        since=first.at,
        until=last.facts.at,
        offset=offset,
        length=length,
        octets=len(unpacked),
        ledger={},
        blobs=tuple(dict.fromkeys(line.blob for line in lines if line.blob is not None)),
    )


def _require_run(lines: list[Line]) -> None:
    for before, line in pairwise(lines):
        facts = line.record.facts
        if (facts.account, facts.prev) != (before.record.facts.account, before.record.hash):
            raise Damaged(f"record {facts.seq} of {facts.account} does not follow the one before")
