"""Making an account's projections anew from its journal and content, in one transaction.

A crash before the commit leaves the old projections; the journal and the content are only read.
"""

from __future__ import annotations

from typing import cast

import apsw

from keepwell.model.names import AccountId, Digest, Home
from keepwell.model.record import Op
from keepwell.storage.carrying import missing
from keepwell.storage.contract import BlobStore, Index, Indexer
from keepwell.storage.replay import Replay
from keepwell.storage.sqlite_bulk import write_projections
from keepwell.storage.sqlite_snapshot import SqliteSnapshot


def rebuild_projections(connection: apsw.Connection, account: AccountId, blobs: BlobStore, indexer: Indexer) -> None:
    """Empty the projections and fill them from every record again. Raises Damaged when content is missing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for table in ("items", "search", "collections", "ledger"):
            connection.execute(f"DELETE FROM {table}")
        snapshot = SqliteSnapshot(connection, account, blobs)
        rows = connection.execute("SELECT digest, id FROM content")
        content_ids = {Digest(cast(bytes, digest).hex()): cast(int, number) for digest, number in rows}
        replay = _replayed(snapshot, content_ids)

        def indexes_of(home: Home, digests: list[Digest]) -> list[Index]:
            bodies = [snapshot.content(digest) or b"" for digest in digests]
            return [indexer(home, body) for body in bodies]

        write_projections(connection, replay, content_ids, indexes_of)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _replayed(snapshot: SqliteSnapshot, content_ids: dict[Digest, int]) -> Replay:
    replay = Replay()
    for record in snapshot.records():
        if record.facts.op is Op.PUT and record.facts.digest not in content_ids:
            raise missing(record)
        replay.take(record.facts)
    return replay
