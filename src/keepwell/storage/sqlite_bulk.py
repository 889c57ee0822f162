"""Writing all projections of an account's file at once, from a replay of its journal: for restoring and rebuilding.

Several times as fast as record by record, because nothing is written or indexed that later records replace. The rows
are those that `SqliteTransaction.project` comes to; `services.check` compares them with the journal, and the tests
compare the two ways over random histories.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import cast

import apsw

from keepwell.model.names import HOME_OF, Digest, Home
from keepwell.storage.contract import NO_INDEX, Index
from keepwell.storage.replay import Replay, ReplayedCollection, ReplayedItem
from keepwell.storage.sqlite_transaction import INSERT_ITEM, INSERT_LEDGER, INSERT_SEARCH, render_properties

ITEMS_OF_BATCH = 250
"""Items whose bytes and indexes are in memory at once."""

_INSERT_COLLECTION = "INSERT INTO collections VALUES (?, ?, ?, ?, ?, ?, ?, ?)"

IndexesOf = Callable[[Home, list[Digest]], list[Index]]
"""The indexes of the bytes that have these digests."""

Row = tuple[int | str | bytes | None, ...]


def write_projections(
    connection: apsw.Connection, replay: Replay, content_ids: Mapping[Digest, int], indexes_of: IndexesOf
) -> None:
    """Fill the projections, which are empty, in the open transaction."""
    collections = replay.collections()
    connection.executemany(_INSERT_COLLECTION, map(_collection_row, collections))
    ledger = [(one.kind, one.seq, one.count, one.set_hash_text) for one in replay.ledger()]
    connection.executemany(INSERT_LEDGER, ledger)
    for collection in collections:
        names = iter(sorted(collection.names))
        while batch := [collection.names[name] for name in islice(names, ITEMS_OF_BATCH)]:
            _write_items(connection, collection, batch, content_ids, indexes_of)


def _write_items(
    connection: apsw.Connection,
    collection: ReplayedCollection,
    batch: list[ReplayedItem],
    content_ids: Mapping[Digest, int],
    indexes_of: IndexesOf,
) -> None:
    there = [item for item in batch if item.is_there]
    digests = [cast(Digest, item.put.digest) for item in there]
    # Reading all, then indexing all, then writing all takes a fifth less than one after the other: each is in the
    # processor's caches then.
    indexes = indexes_of(HOME_OF[collection.kind], digests)
    rows = [_item_row(collection.id, item, None, NO_INDEX) for item in batch if not item.is_there]
    texts = list[Row]()
    for item, digest, index in zip(there, digests, indexes, strict=True):
        rows.append(_item_row(collection.id, item, content_ids[digest], index))
        if index.search_text:
            texts.append((collection.id, item.sequence, item.put.name, index.search_text))
    connection.executemany(INSERT_ITEM, rows)
    connection.executemany(INSERT_SEARCH, sorted(texts))


def _collection_row(collection: ReplayedCollection) -> Row:
    items = collection.items()
    return (
        collection.id,
        HOME_OF[collection.kind],
        collection.kind,
        collection.name,
        render_properties(collection.properties),
        collection.sequence,
        len(items),
        sum(cast(int, item.put.size) for item in items),
    )


def _item_row(collection_id: int, item: ReplayedItem, content_id: int | None, index: Index) -> Row:
    put, is_there = item.put, item.is_there
    return (
        collection_id,
        put.name,
        item.sequence,
        item.born,
        put.uid,
        put.media_type,
        bytes.fromhex(cast(Digest, put.digest)) if is_there else None,
        put.size if is_there else 0,
        content_id,
        item.created,
        put.at,
        index.component,
        index.span_start,
        index.span_end,
        index.span_exact,
        render_properties(put.properties) if is_there else None,
    )
