"""Bringing bytes into an account's file that its records name and that are not there.

Large bytes are synced in the blob store before the transaction that makes their indexes; a crash between leaves the
bytes there and the indexes empty, so the same bytes may be supplied again, and then the indexes are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import apsw

from keepwell.model.names import Home
from keepwell.model.record import digest_of
from keepwell.storage.contract import NO_INDEX, BlobStore, Indexer
from keepwell.storage.sqlite_snapshot import is_erased
from keepwell.storage.sqlite_transaction import BLOB_OCTETS_MIN, INSERT_SEARCH

_ITEMS_WITH = (
    "SELECT l.home, i.collection_id, i.name, i.seq FROM items i JOIN collections l ON l.id = i.collection_id"
    " WHERE i.content_id = ?"
)
_SET_INDEX = (
    "UPDATE items SET component = ?, span_start = ?, span_end = ?, span_exact = ? WHERE collection_id = ? AND name = ?"
)


def supply_bodies(connection: apsw.Connection, blobs: BlobStore, bodies: Sequence[bytes], indexer: Indexer) -> None:
    """Take these bytes in one transaction; those that no record names, or that were erased, are passed over."""
    connection.execute("BEGIN IMMEDIATE")
    for body in bodies:
        digest = digest_of(body)
        row = connection.execute("SELECT id, body FROM content WHERE digest = ?", (bytes.fromhex(digest),)).fetchone()
        if row is not None and not is_erased(digest, row[1]):
            _keep(connection, blobs, cast(int, row[0]), body)
            _index(connection, cast(int, row[0]), body, indexer)
    connection.execute("COMMIT")


def _keep(connection: apsw.Connection, blobs: BlobStore, content_id: int, body: bytes) -> None:
    if len(body) >= BLOB_OCTETS_MIN:
        blobs.put(body)
    else:
        connection.execute("UPDATE content SET body = ? WHERE id = ?", (body, content_id))


def _index(connection: apsw.Connection, content_id: int, body: bytes, indexer: Indexer) -> None:
    for row in connection.execute(_ITEMS_WITH, (content_id,)).fetchall():
        home, collection_id, name, seq = cast("tuple[str, int, str, int]", row)
        index = indexer(Home(home), body)
        if index == NO_INDEX:
            continue
        span = index.span_start, index.span_end, index.span_exact
        connection.execute(_SET_INDEX, (index.component, *span, collection_id, name))
        connection.execute("DELETE FROM search WHERE collection_id = ? AND seq = ?", (collection_id, seq))
        if index.search_text:
            connection.execute(INSERT_SEARCH, (collection_id, seq, name, index.search_text))
