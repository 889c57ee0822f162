"""Filling a new account's file from the records of another copy, in bulk.

The records come one by one and go to the file in batches: only the last state of every name, the digests, and the
indexes of large bytes stay in memory. The projections are made at the end, of what is there then.

Order, and what a crash leaves behind: blobs are kept, each synced by the blob store, before the record that needs
them is written; the file itself is written without any sync, because until it is complete nobody knows its name. A
crash leaves a stray `.tmp-…` file and perhaps blobs that no record names; whoever asked syncs the finished file, then
gives it its name, then syncs the folder (`sqlite`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import apsw

from keepwell.model.errors import AlreadyThere, Damaged, NotThere
from keepwell.model.names import HOME_OF, AccountId, Digest, Home, Kind
from keepwell.model.record import Op, Record
from keepwell.storage.carrying import check_carried, missing, unfit
from keepwell.storage.contract import NO_INDEX, BlobStore, Carried, Index, Indexer
from keepwell.storage.replay import Replay
from keepwell.storage.sqlite_bulk import Row, write_projections
from keepwell.storage.sqlite_snapshot import ERASED, SqliteSnapshot
from keepwell.storage.sqlite_transaction import BLOB_OCTETS_MIN, INSERT_JOURNAL, journal_row

RECORDS_OF_BATCH = 500
OCTETS_OF_BATCH = 4 * 1024 * 1024
"""So much is gathered before it is written."""

KEPT_OCTETS_MAX = 16 * 1024 * 1024
"""Bytes that stay in memory until they are indexed: most accounts have no more, and nothing is read back of them."""

_INSERT_CONTENT = "INSERT INTO content VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET body = excluded.body"
"""What is updated are bytes that came again after they were erased. REPLACE would take a third longer for all."""


def restore_into(
    connection: apsw.Connection,
    account: AccountId,
    blobs: BlobStore,
    carried: Iterable[Carried],
    indexer: Indexer,
    *,
    may_lack: bool = False,
) -> None:
    """Fill a file that has no records yet, in one transaction. Raises Damaged; then the file is of no use."""
    connection.execute("BEGIN")
    restoring = _Restoring(connection, account, blobs, indexer)
    restoring.may_lack = may_lack
    for one in carried:
        restoring.take(one)
    restoring.finish()
    connection.execute("COMMIT")


class _Restoring:
    """Records on their way into one file. Invariant: what was taken is in the file or in the two batches."""

    def __init__(self, connection: apsw.Connection, account: AccountId, blobs: BlobStore, indexer: Indexer) -> None:
        self._connection = connection
        self._account = account
        self._blobs = blobs
        self._indexer = indexer
        self.may_lack = False
        """Whether a put is taken whose bytes nothing brings."""
        self._snapshot = SqliteSnapshot(connection, account, blobs)
        self._replay = Replay()
        self._before: Record | None = None
        self._content_ids: dict[Digest, int] = {}
        self._erased: set[Digest] = set()
        self._lacking: set[Digest] = set()
        self._large: dict[tuple[Home, Digest], Index] = {}
        self._kept: dict[Digest, bytes] = {}
        self._kept_octets = 0
        self._journal: list[Row] = []
        self._contents: list[Row] = []
        self._octets = 0

    def take(self, carried: Carried) -> None:
        check_carried(self._account, self._before, carried)
        record = self._before = carried.record
        try:
            self._replay.take(record.facts)
        except (ValueError, AlreadyThere) as error:
            raise unfit(record, error) from error
        if record.facts.op is Op.PUT:
            self._keep_content(record, carried)
        self._journal.append(journal_row(record))
        if len(self._journal) >= RECORDS_OF_BATCH or self._octets >= OCTETS_OF_BATCH:
            self._write()

    def finish(self) -> None:
        self._write()
        write_projections(self._connection, self._replay, self._content_ids, self._indexes_of)
        if self._before is not None:
            lineage = self._before.facts.lineage
            self._connection.execute("UPDATE meta SET value = ? WHERE key = 'lineage'", (lineage,))

    def _write(self) -> None:
        self._connection.executemany(INSERT_JOURNAL, self._journal)
        self._connection.executemany(_INSERT_CONTENT, self._contents)
        self._journal.clear()
        self._contents.clear()
        self._octets = 0

    def _keep_content(self, record: Record, carried: Carried) -> None:
        # A put without them was refused before (`check_carried`).
        digest, kind, body = cast(Digest, record.facts.digest), cast(Kind, record.facts.kind), carried.body
        if digest in self._content_ids and not (digest in self._erased and body is not None):
            return
        if carried.erased:
            self._erased.add(digest)
            body = ERASED
        elif body is None:
            body = self._kept_before(record)
        else:
            self._erased.discard(digest)
        number = self._content_ids.setdefault(digest, len(self._content_ids) + 1)
        if body is None:
            self._lacking.add(digest)
        elif len(body) >= BLOB_OCTETS_MIN:
            self._blobs.put(body)
            # Indexed while they are at hand: reading them back would double the time of a restore of photos.
            self._large[HOME_OF[kind], digest] = self._indexer(HOME_OF[kind], body)
            body = None
        else:
            self._octets += len(body)
            self._keep_for_index(digest, body)
        self._contents.append((number, bytes.fromhex(digest), body))

    def _keep_for_index(self, digest: Digest, body: bytes) -> None:
        self._kept.pop(digest, None)
        if self._kept_octets + len(body) <= KEPT_OCTETS_MAX:
            self._kept[digest] = body
            self._kept_octets += len(body)

    def _kept_before(self, record: Record) -> bytes | None:
        """Bytes that nothing brings: perhaps the blob store has them, from another account or an earlier attempt."""
        if not self.may_lack:
            raise missing(record)
        try:
            return self._blobs.read(cast(Digest, record.facts.digest))
        except (NotThere, Damaged):
            return None

    def _indexes_of(self, home: Home, digests: list[Digest]) -> list[Index]:
        indexes = {digest: self._large[home, digest] for digest in digests if (home, digest) in self._large}
        indexes |= {digest: NO_INDEX for digest in digests if digest in self._lacking}
        bodies = {digest: self._body(digest) for digest in digests if digest not in indexes}
        indexes |= {digest: self._indexer(home, body) for digest, body in bodies.items()}
        return [indexes[digest] for digest in digests]

    def _body(self, digest: Digest) -> bytes:
        body = self._kept.pop(digest, None)
        return body if body is not None else self._snapshot.content(digest) or b""
