"""What an account's file still has, whatever became of it: records and bytes that prove themselves, and what it says.

Records are proven by their hash, bytes by their digest; pages with a bad checksum are read like any others. What only
says something (ledger, items, collections: projections, of which nothing proves a single row) is taken from pages whose
checksum is right, and kept apart, for telling what is lost; it never becomes data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, cast

import msgspec

from keepwell.model.errors import BadRequest
from keepwell.model.ledger import LedgerEntry
from keepwell.model.names import AccountId, Digest, Kind, parse_account_id
from keepwell.model.record import Properties, Record, is_proven
from keepwell.storage.sqlite_carving import COLLECTION, CONTENT, ITEM, JOURNAL, LEDGER, META, Pages, Value
from keepwell.storage.sqlite_snapshot import ItemRow, is_erased, item_from, record_from

_ITEM_COLUMNS: Final = (0, 1, 2, 4, 5, 6, 7, 9, 10, 11, 15)
"""Of the table's columns those that make an item."""


class CollectionSaid(msgspec.Struct, frozen=True):
    """That a collection with this id, the sequence of the record that made it, was there."""

    id: int
    kind: Kind
    name: str


class ItemSaid(msgspec.Struct, frozen=True):
    """That record `sequence` put these bytes under this name into a collection."""

    collection_id: int
    name: str
    sequence: int
    digest: Digest
    modified: str
    size: int
    uid: str = ""
    media_type: str = ""
    properties: Properties | None = None


def accounts_named(pages: Pages) -> list[AccountId]:
    """Whose file it says that it is; more than one when it is a mixture."""
    found: dict[AccountId, None] = {}
    for row in pages.rows(META):
        try:
            found[parse_account_id(str(row.values[1]))] = None
        except BadRequest:
            continue
    return list(found)


def proven_records(pages: Pages, accounts: Sequence[AccountId]) -> Iterator[Record]:
    """Every record that is one of these accounts', each once."""
    seen: set[str] = set()
    for row in pages.rows(JOURNAL):
        record = _proven(accounts, (row.number, *row.values[1:]))
        if record is not None and record.hash not in seen:
            seen.add(record.hash)
            yield record


def bodies(pages: Pages) -> Iterator[bytes]:
    """All bytes of items that are kept in the file; whose they are, their digest says. They may come again."""
    for row in pages.rows(CONTENT):
        if isinstance(row.values[2], bytes):
            yield row.values[2]


def erased_said(pages: Pages) -> Iterator[Digest]:
    """Digests of bytes that the file says were erased."""
    for row in pages.whole_rows(CONTENT):
        if isinstance(row.values[1], bytes) and is_erased(digest := Digest(row.values[1].hex()), row.values[2]):
            yield digest


def ledgers_said(pages: Pages) -> list[LedgerEntry]:
    """The newest ledger entry of each kind that can be read."""
    newest: dict[Kind, LedgerEntry] = {}
    for row in pages.whole_rows(LEDGER):
        try:
            kind, seq, count, set_hash = row.values
            entry = LedgerEntry(Kind(str(kind)), cast(int, seq), cast(int, count), int(str(set_hash), 16))
        except ValueError:
            continue
        if entry.kind not in newest or newest[entry.kind].seq < entry.seq:
            newest[entry.kind] = entry
    return list(newest.values())


def collections_said(pages: Pages) -> Iterator[CollectionSaid]:
    """Every collection row that can be read, of whatever age."""
    for row in pages.whole_rows(COLLECTION):
        kind, name = row.values[2:4]
        if kind in list(Kind) and isinstance(name, str):
            yield CollectionSaid(row.number, Kind(str(kind)), name)


def items_said(pages: Pages) -> Iterator[ItemSaid]:
    """Every row of an item that was there, of whatever age."""
    for row in pages.whole_rows(ITEM):
        try:
            item = item_from(cast(ItemRow, tuple(row.values[column] for column in _ITEM_COLUMNS)))
        except (ValueError, TypeError, AttributeError, msgspec.MsgspecError):
            continue  # the trace of one that was removed
        yield ItemSaid(
            item.collection_id,
            item.name,
            item.sequence,
            item.digest,
            item.modified,
            item.size,
            item.uid,
            item.media_type,
            item.properties,
        )


def _proven(accounts: Sequence[AccountId], row: tuple[Value, ...]) -> Record | None:
    for account in accounts:
        try:
            record = record_from(account, row)
            if is_proven(record):
                return record
        except (ValueError, TypeError, AttributeError, msgspec.MsgspecError):
            continue  # a chance likeness, or a damaged row: columns that no record can have
    return None
