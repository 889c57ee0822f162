"""What is left of a vault in which objects are faulty, worked out from the world's own objects and from nothing else.

A frame of a pack is left where its bytes are as they were, at their place, in whatever pack; an index where it ends its
pack as it did; a line of a tail where it is whole; a manifest where its bytes are those that its name says. What is
*told* of an account is the highest number that any of these names, whether what leads there is left or not. Only these
go by: records that lay nowhere else than in what is gone, and to which nothing that is left leads, nobody can tell of.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import msgspec

from keepwell.model.names import AccountId, Kind
from keepwell.model.record import Op, Record
from keepwell.vault.documents import Manifest, parse_manifest
from keepwell.vault.layout import BLOBS, MANIFESTS, PACKS, TAILS
from keepwell.vault.loss import Gap
from keepwell.vault.pack import PackIndex, read_index
from prove.claims import digest_of
from prove.small_world import BLOB_OCTETS, SmallWorld

_hashed: Final = re.compile(r"-([0-9a-f]{64})\.json\.zst$")


@dataclass(slots=True)
class Left:
    """What is left of one account."""

    records: tuple[Record, ...]
    """All that it had."""
    there: set[int] = field(default_factory=set)
    """The numbers of those that are left."""
    told: int = 0
    """The highest number that anything names."""
    counted: int = 0
    """The highest number after which anything left says how many items of each kind there were."""
    lacking: frozenset[str] = frozenset()
    """Digests whose bytes are nowhere."""

    @property
    def reach(self) -> int:
        """The last of the unbroken records from the first."""
        return next((seq - 1 for seq in range(1, len(self.records) + 2) if seq not in self.there), 0)

    @property
    def behind(self) -> list[Record]:
        """The records behind the first gap that are left."""
        return [one for one in self.records[self.reach :] if one.facts.seq in self.there]

    def gaps(self) -> list[Gap]:
        """What is missing up to the last record that is told of."""
        found, moments, reach = list[Gap](), [one.facts.at for one in self.records], self.reach
        known = [reach, *(one.facts.seq for one in self.behind), self.told + 1]
        for before, after in pairwise(known):
            if after > before + 1:
                until = moments[after - 1] if after <= self.told else ""
                found.append(Gap(before + 1, after - 1, moments[before - 1] if before else "", until))
        return found


ItemKey = tuple[Kind, str, str]


def items_at(records: tuple[Record, ...], sequence: int) -> dict[ItemKey, Record]:
    """The items of an account after this record, each with the record that put it."""
    return _items_of(records[:sequence])


def last_puts(records: list[Record]) -> dict[ItemKey, Record]:
    """What these records alone leave."""
    return _items_of(tuple(records))


def _items_of(records: tuple[Record, ...]) -> dict[ItemKey, Record]:
    items: dict[ItemKey, Record] = {}
    for record in records:
        facts = record.facts
        if facts.kind is None:
            continue
        key = (facts.kind, facts.collection, facts.name)
        if facts.op is Op.PUT:
            items[key] = record
        elif facts.op is Op.REMOVE:
            items.pop(key, None)
        elif facts.op is Op.DROP:
            items = {one: put for one, put in items.items() if one[:2] != key[:2]}
    return items


def left_of(world: SmallWorld, vault: Mapping[str, bytes]) -> dict[AccountId, Left]:
    """What is left of every account in a vault that holds these objects."""
    lefts = {account: Left(journal.records) for account, journal in world.journals.items()}
    for account, first, last in _records_in(world, vault):
        lefts[account].there.update(range(first, last + 1))
    for account, last, is_counted in _ends_in(world, vault):
        lefts[account].told = max(lefts[account].told, last)
        if is_counted:
            lefts[account].counted = max(lefts[account].counted, last)
    blobs = {name.rpartition("/")[2]: digest_of(octets) for name, octets in vault.items() if name.startswith(BLOBS)}
    here = {digest for name, digest in blobs.items() if name == digest}
    for account, left in lefts.items():
        left.told = max([left.told, *left.there])
        bodies = world.journals[account].bodies
        left.lacking = frozenset(one for one, body in bodies.items() if len(body) >= BLOB_OCTETS and one not in here)
    return lefts


def _records_in(world: SmallWorld, vault: Mapping[str, bytes]) -> Iterator[tuple[AccountId, int, int]]:
    """The runs of records that are left."""
    packs = [(octets, index_of(octets)) for octets in _of(world.vault_files, PACKS)]
    for stored in _of(vault, PACKS):
        for octets, index in packs:
            for frame in index.frames:
                part = slice(frame.offset, frame.offset + frame.length)
                if stored[part] == octets[part]:
                    yield frame.account, frame.first, frame.last
    lines = {line for octets in _of(world.vault_files, TAILS) for line in octets.splitlines(keepends=True)}
    for stored in _of(vault, TAILS):
        for line in stored.splitlines(keepends=True):
            if line in lines and line.strip():
                account, seq = _place_of(line)
                yield account, seq, seq


def _ends_in(world: SmallWorld, vault: Mapping[str, bytes]) -> Iterator[tuple[AccountId, int, bool]]:
    """Where indexes and the manifest that counts say that accounts end, and whether they count the items there."""
    packs = [(octets, index_of(octets)) for octets in _of(world.vault_files, PACKS)]
    for stored in _of(vault, PACKS):
        for octets, index in packs:
            if stored.endswith(octets[_end_of_frames(index) :]):
                yield from ((frame.account, frame.last, bool(frame.ledger)) for frame in index.frames)
    manifest = _manifest_in(vault)
    for account, note in manifest.accounts.items() if manifest else ():
        yield account, note.seq, True


def _manifest_in(vault: Mapping[str, bytes]) -> Manifest | None:
    whole = [
        octets
        for name, octets in sorted(vault.items())
        if name.startswith(MANIFESTS)
        and (found := _hashed.search(name)) is not None
        and found[1] == hashlib.sha256(octets).hexdigest()
    ]
    return max(map(parse_manifest, whole), key=lambda one: (one.epoch, one.number), default=None)


def index_of(octets: bytes) -> PackIndex:
    """What a pack of the world says of itself."""
    index = read_index(octets)
    if index is None:
        raise ValueError("a pack of the world has no index")
    return index


def _end_of_frames(index: PackIndex) -> int:
    return max(frame.offset + frame.length for frame in index.frames)


def _of(files: Mapping[str, bytes], sort: str) -> list[bytes]:
    return [octets for name, octets in files.items() if name.startswith(sort)]


class _Place(msgspec.Struct):
    account: AccountId
    seq: int


def _place_of(line: bytes) -> tuple[AccountId, int]:
    place = msgspec.json.decode(line, type=_Place)
    return place.account, place.seq
