"""What must come of a salvage for certain: records and bytes that no damage touched in one copy at least.

Worked out from the undamaged bytes and those that are there now, and from nothing that the product finds in them. A row
of an account's file is left when no byte from shortly before its first column to its last is another; so is a frame of
a pack at its place, a line of a tail, a blob under its name. What is touched may still be salvaged, in part: a frame
gives the lines before the damage. That is more than must be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from keepwell.model.names import AccountId
from keepwell.model.record import Record
from prove.claims import digest_of
from prove.left_of_vault import Left, left_of
from prove.small_world import BLOB_OCTETS, SmallWorld

HEADER_OCTETS_MAX: Final = 45
"""What stands before the first column of a row: its length, its number, and the types of fifteen columns."""

Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Certain:
    """Of one account: numbers of records, digests of bytes, and the highest number that is told of."""

    records: frozenset[int]
    bodies: frozenset[str]
    told: int
    counted: int
    """The highest number after which a manifest or an index that is left says how many items there were."""


def certain_of(world: SmallWorld, data: Files, vault: Files) -> dict[AccountId, Certain]:
    """What is left for certain of every account in both copies together."""
    lefts = left_of(world, vault)
    return {account: _certain(world, account, data, vault, lefts[account]) for account in world.journals}


def _certain(world: SmallWorld, account: AccountId, data: Files, vault: Files, left: Left) -> Certain:
    journal = world.journals[account]
    files = {name: octets for name, octets in world.data_files.items() if f"/{account}.db" in name}
    records = set(left.there)
    for record in journal.records:
        if any(
            _is_left(octets, data.get(name, b""), *span)
            for name, octets in files.items()
            for span in rows_of(octets, record)
        ):
            records.add(record.facts.seq)
    first: dict[str, int] = {}
    for record in journal.records:
        first.setdefault(record.facts.digest or "", record.facts.seq)
    # A line brings bytes when it is the first with them.
    bodies = {
        digest for digest, body in journal.bodies.items() if first[digest] in left.there and len(body) < BLOB_OCTETS
    }
    for digest, body in journal.bodies.items():
        if len(body) >= BLOB_OCTETS:
            found = any(
                name.endswith(digest) and digest_of(now) == digest for name, now in [*data.items(), *vault.items()]
            )
        else:
            found = any(
                _is_left(octets, data.get(name, b""), *span)
                for name, octets in files.items()
                for span in contents_of(octets, digest, body)
            )
        bodies |= {digest} if found else set()
    told = max([left.told, *records])
    return Certain(frozenset(records), frozenset(bodies), told, left.counted)


def rows_of(octets: bytes, record: Record) -> Iterator[tuple[int, int]]:
    """Where the rows of a record are: from before its moment, its first column, to its hash, its last."""
    last = bytes.fromhex(record.facts.prev) + bytes.fromhex(record.hash)
    end = octets.find(last)
    while end >= 0:
        begin = octets.rfind(record.facts.at.encode(), 0, end)
        if begin >= 0:
            yield max(0, begin - HEADER_OCTETS_MAX), end + len(last)
        end = octets.find(last, end + 1)


def contents_of(octets: bytes, digest: str, body: bytes) -> Iterator[tuple[int, int]]:
    """Where the rows of an item's bytes are: from before their digest to their end."""
    row = bytes.fromhex(digest) + body
    begin = octets.find(row)
    while begin >= 0:
        yield max(0, begin - HEADER_OCTETS_MAX), begin + len(row)
        begin = octets.find(row, begin + 1)


def _is_left(before: bytes, now: bytes, start: int, end: int) -> bool:
    return before[start:end] == now[start:end]
