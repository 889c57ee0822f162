"""Making an account's projections anew from its journal and content, in one transaction.

A crash before the commit leaves the old projections; the journal and the content are only read.
"""

from __future__ import annotations

import apsw

from keepwell.ground.clock import SystemClock
from keepwell.model.errors import Damaged
from keepwell.model.names import HOME_OF, AccountId
from keepwell.model.record import Op, Record
from keepwell.storage.contract import NO_INDEX, BlobStore, Indexer
from keepwell.storage.sqlite_snapshot import SqliteSnapshot
from keepwell.storage.sqlite_transaction import SqliteTransaction


def rebuild_projections(connection: apsw.Connection, account: AccountId, blobs: BlobStore, indexer: Indexer) -> None:
    """Empty the projections and project every record again. Raises Damaged when content is missing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for table in ("items", "search", "collections", "ledger"):
            connection.execute(f"DELETE FROM {table}")
        transaction = SqliteTransaction(connection, account, blobs, SystemClock())
        records = list(SqliteSnapshot(connection, account, blobs).records())
        for record in records:
            _project(transaction, connection, record, indexer)
        transaction.flush()
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _project(transaction: SqliteTransaction, connection: apsw.Connection, record: Record, indexer: Indexer) -> None:
    facts = record.facts
    if facts.op is not Op.PUT or facts.digest is None or facts.kind is None:
        transaction.project(record, None, NO_INDEX)
        return
    row = connection.execute("SELECT id FROM content WHERE digest = ?", (bytes.fromhex(facts.digest),)).fetchone()
    body = transaction.content(facts.digest)
    if row is None or body is None:
        raise Damaged(f"record {facts.seq} of {facts.account}: its bytes {facts.digest} are missing")
    transaction.project(record, row[0], indexer(HOME_OF[facts.kind], body))
