"""Writing an account's SQLite file: the `Transaction` half of the contract.

One instance lives for one batch, between BEGIN and COMMIT. It holds what every record of the batch needs (head,
ledger, collections) in memory and writes the changed ledger and collection rows once, in `flush`.

States of one work: nothing appended yet (no savepoint) → appended (a savepoint is open) → released, or rolled back
together with the values in memory. The connection's transaction itself is the caller's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import cast

import apsw
import msgspec

from keepwell.ground.clock import Clock, render_moment
from keepwell.model.errors import AlreadyThere
from keepwell.model.ledger import LedgerEntry
from keepwell.model.names import HOME_OF, AccountId, Digest, Home, Kind, Lineage
from keepwell.model.record import Facts, Op, Properties, Record, seal
from keepwell.storage.carrying import check_carried, unfit
from keepwell.storage.contract import (
    NO_INDEX,
    BlobStore,
    Carried,
    Collection,
    Entry,
    Head,
    Index,
    Indexer,
    Verdict,
    Work,
)
from keepwell.storage.sqlite_snapshot import ERASED, NOTHING_DIGEST, SqliteSnapshot

BLOB_OCTETS_MIN = 128 * 1024
"""From this size on, bytes live in the blob store, not in the account's file."""

_encode_json = msgspec.json.Encoder(order="sorted").encode

INSERT_JOURNAL = f"INSERT INTO journal VALUES ({', '.join('?' * 15)})"
INSERT_ITEM = f"INSERT OR REPLACE INTO items VALUES ({', '.join('?' * 16)})"
INSERT_CONTENT = "INSERT INTO content (digest, body) VALUES (?, ?)"
INSERT_SEARCH = "INSERT INTO search VALUES (?, ?, ?, ?)"
INSERT_LEDGER = "INSERT OR REPLACE INTO ledger VALUES (?, ?, ?, ?)"
_DELETE_SEARCH = "DELETE FROM search WHERE collection_id = ? AND seq = ?"


def render_properties(properties: Properties | None) -> str | None:
    """Properties for their column."""
    return None if properties is None else _encode_json(properties).decode()


def journal_row(record: Record) -> tuple[int | str | bytes | None, ...]:
    """A record for its row in the journal."""
    facts = record.facts
    return (
        facts.seq,
        facts.at,
        facts.by,
        facts.op,
        facts.kind,
        facts.collection,
        facts.name,
        facts.uid,
        facts.media_type,
        None if facts.digest is None else bytes.fromhex(facts.digest),
        facts.size,
        render_properties(facts.properties),
        facts.lineage,
        bytes.fromhex(facts.prev),
        bytes.fromhex(record.hash),
    )


@dataclass(slots=True)
class _Held:
    """What a batch keeps in memory; a failed work puts the copy taken before it back."""

    head: Head
    lineage: Lineage
    ledger: dict[Kind, LedgerEntry]
    collections: dict[tuple[Home, str], Collection]
    kinds_changed: set[Kind]
    collections_changed: set[tuple[Home, str]]

    def copy(self) -> _Held:
        return _Held(
            self.head,
            self.lineage,
            dict(self.ledger),
            dict(self.collections),
            set(self.kinds_changed),
            set(self.collections_changed),
        )


class SqliteTransaction(SqliteSnapshot):
    """A batch of works on one account's file, while its write transaction is open."""

    def __init__(self, connection: apsw.Connection, account: AccountId, blobs: BlobStore, clock: Clock) -> None:
        """Over a connection in an open write transaction."""
        super().__init__(connection, account, blobs)
        self._clock = clock
        self._held = _Held(super().head(), super().lineage(), super().ledger(), {}, set(), set())
        self._held.collections = {(HOME_OF[one.kind], one.name): one for one in super().collections()}
        self._kinds_held: Mapping[Kind, str] | None = None
        self._before: _Held | None = None
        self._appended_before = 0
        self.appended: list[Carried] = []
        """What the works appended, with the bytes that were not held before."""

    def lineage(self) -> Lineage:
        """The id of this unbroken history."""
        return self._held.lineage

    def held(self) -> Mapping[Kind, str]:
        """Kinds that are not whole, and why; looked up once, because no batch changes them."""
        if self._kinds_held is None:
            self._kinds_held = super().held()
        return self._kinds_held

    def head(self) -> Head:
        """The last record, those of this batch included."""
        return self._held.head

    def ledger(self) -> dict[Kind, LedgerEntry]:
        """Every kind that ever had a change."""
        return dict(self._held.ledger)

    def collections(self, home: Home | None = None) -> list[Collection]:
        """All collections, or those of one home, by name."""
        held = sorted(self._held.collections.items())
        return [one for (its_home, _), one in held if home is None or its_home is home]

    def collection(self, home: Home, name: str) -> Collection | None:
        """One collection."""
        return self._held.collections.get((home, name))

    def run(self, work: Work) -> Verdict:
        """Do one work: its result, or the exception that it raised with all it appended undone.

        Storage errors are not verdicts: they pass through and end the batch.
        """
        try:
            result = work(self)
        except apsw.Error:
            raise
        except Exception as error:  # whatever a work raises is its own verdict
            self._undo()
            return error
        if self._before is not None:
            self._execute("RELEASE work")
            self._before = None
        return result

    def _undo(self) -> None:
        if self._before is not None:
            self._execute("ROLLBACK TO work")
            self._execute("RELEASE work")
            self._held = self._before
            self._before = None
            del self.appended[self._appended_before :]

    def flush(self) -> None:
        """Write what was held in memory; the last thing before COMMIT."""
        held = self._held
        for kind in held.kinds_changed:
            entry = held.ledger[kind]
            self._execute(
                INSERT_LEDGER,
                (kind, entry.seq, entry.count, entry.set_hash_text),
            )
        for key in held.collections_changed & held.collections.keys():
            one = held.collections[key]
            self._execute(
                "UPDATE collections SET seq = ?, count = ?, octets = ? WHERE id = ?",
                (one.sequence, one.count, one.octets, one.id),
            )

    def append(self, entry: Entry, body: bytes | None = None, index: Index = NO_INDEX) -> Record:
        """Add a record and bring every projection to it."""
        self._begin_work()
        record = self._seal(entry)
        content_id, is_new = None, False
        if entry.op is Op.PUT:
            content_id, is_new = self._keep_content(entry.digest, body)
        self._execute(INSERT_JOURNAL, journal_row(record))
        self.project(record, content_id, index)
        self.appended.append(Carried(record, body if is_new else None))
        return record

    def begin_lineage(self, lineage: Lineage, by: str, properties: Properties) -> Record:
        """Begin a new history with an `open` record in it, which says in `properties` why."""
        self._begin_work()
        self._held.lineage = lineage
        self._execute("UPDATE meta SET value = ? WHERE key = 'lineage'", (lineage,))
        return self.append(Entry(Op.OPEN, by, properties=properties))

    def extend(self, carried: Iterable[Carried], indexer: Indexer) -> None:
        """Take records that another copy sealed, and bring every projection and the lineage to them. Raises Damaged."""
        before = next(self.records(self._held.head.sequence - 1), None)
        for one in carried:
            self._take(one, before, indexer)
            before = one.record
        self._execute("UPDATE meta SET value = ? WHERE key = 'lineage'", (self._held.lineage,))

    def _begin_work(self) -> None:
        """Before the first change of a work: what it must be undone to."""
        if self._before is None:
            self._execute("SAVEPOINT work")
            self._before = self._held.copy()
            self._appended_before = len(self.appended)

    def _take(self, carried: Carried, before: Record | None, indexer: Indexer) -> None:
        check_carried(self._account, before, carried)
        record, content_id, index = carried.record, None, NO_INDEX
        facts = record.facts
        try:
            if facts.op is Op.PUT and facts.digest is not None and facts.kind is not None:
                if carried.erased:
                    content_id = self._keep_erased(facts.digest)
                else:
                    content_id, _is_new = self._keep_content(facts.digest, carried.body)
                body = carried.body if carried.body is not None else self.content(facts.digest)
                index = indexer(HOME_OF[facts.kind], body or b"")
            self._execute(INSERT_JOURNAL, journal_row(record))
            self.project(record, content_id, index)
        except (ValueError, AlreadyThere) as error:
            raise unfit(record, error) from error
        self._held.head = Head(facts.seq, record.hash)
        self._held.lineage = facts.lineage

    def _seal(self, entry: Entry) -> Record:
        head = self._held.head
        record = seal(
            Facts(
                account=self._account,
                at=render_moment(self._clock.now()),
                by=entry.by,
                collection=entry.collection,
                digest=entry.digest,
                kind=entry.kind,
                lineage=self._held.lineage,
                media_type=entry.media_type,
                name=entry.name,
                op=entry.op,
                prev=head.hash,
                properties=entry.properties,
                seq=head.sequence + 1,
                size=entry.size,
                uid=entry.uid,
            )
        )
        self._held.head = Head(record.facts.seq, record.hash)
        return record

    def _keep_content(self, hexadecimal: Digest | None, body: bytes | None) -> tuple[int, bool]:
        """The content's id, and whether its bytes were not held before."""
        if hexadecimal is None:
            raise ValueError("a put needs a digest")
        digest = bytes.fromhex(hexadecimal)
        found = self._execute("SELECT id, body = x'', body IS NULL FROM content WHERE digest = ?", (digest,)).fetchone()
        number, is_empty, is_outside = cast("tuple[int, int, int]", found or (0, 0, 0))
        is_held = number > 0 and not (is_empty and hexadecimal != NOTHING_DIGEST)
        if body is None:
            if not is_held:
                raise ValueError(f"a put of {hexadecimal} needs its bytes: they are not held")
            return number, False
        if is_held and not is_outside:
            return number, False
        is_new = not is_held or not self._blobs.has(hexadecimal)
        if len(body) >= BLOB_OCTETS_MIN:
            self._blobs.put(body)  # heals a blob that was lost since: this "yes" is about bytes that are there
            body = None
        if number == 0:
            self._execute(INSERT_CONTENT, (digest, body))
            return self._connection.last_insert_rowid(), True
        if body is not None or not is_held:  # they were erased or lost, and have come again
            self._execute("UPDATE content SET body = ? WHERE id = ?", (body, number))
        return number, is_new

    def _keep_erased(self, hexadecimal: Digest) -> int:
        """The content's id; its bytes were erased, unless they came again before."""
        digest = bytes.fromhex(hexadecimal)
        known = self._execute("SELECT id FROM content WHERE digest = ?", (digest,)).get
        if known is not None:
            return cast(int, known)
        self._execute(INSERT_CONTENT, (digest, ERASED))
        return self._connection.last_insert_rowid()

    def project(self, record: Record, content_id: int | None, index: Index) -> None:
        """Bring collections, items and ledger to `record`."""
        match record.facts.op:
            case Op.PUT:
                self._project_put(record.facts, content_id, index)
            case Op.REMOVE:
                self._project_remove(record.facts)
            case Op.MAKE:
                self._project_make(record.facts)
            case Op.SET:
                self._project_set(record.facts)
            case Op.DROP:
                self._project_drop(record.facts)
            case _:
                pass  # the account was opened or closed

    def _collection_of(self, facts: Facts) -> Collection:
        found = None if facts.kind is None else self.collection(HOME_OF[facts.kind], facts.collection)
        if found is None or found.kind is not facts.kind:
            raise ValueError(f"there is no {facts.kind} collection {facts.collection!r}")
        return found

    def _project_put(self, facts: Facts, content_id: int | None, index: Index) -> None:
        collection = self._collection_of(facts)
        digest, size = cast(Digest, facts.digest), cast(int, facts.size)
        row = self._execute(
            "SELECT digest, size, born, created, seq FROM items WHERE collection_id = ? AND name = ?",
            (collection.id, facts.name),
        ).fetchone()
        born, created = facts.seq, facts.at
        entry = self._ledger_of(collection.kind)
        octets, count = collection.octets + size, collection.count + 1
        if row is not None and row[0] is not None:
            born, created = cast(int, row[2]), cast(str, row[3])
            octets, count = octets - cast(int, row[1]), collection.count
            entry = entry.without_item(facts.collection, facts.name, Digest(cast(bytes, row[0]).hex()))
            self._execute(_DELETE_SEARCH, (collection.id, cast(int, row[4])))
        if index.search_text:
            self._execute(INSERT_SEARCH, (collection.id, facts.seq, facts.name, index.search_text))
        self._execute(
            INSERT_ITEM,
            (
                collection.id,
                facts.name,
                facts.seq,
                born,
                facts.uid,
                facts.media_type,
                bytes.fromhex(digest),
                size,
                content_id,
                created,
                facts.at,
                index.component,
                index.span_start,
                index.span_end,
                index.span_exact,
                render_properties(facts.properties),
            ),
        )
        self._note(collection, facts.seq, entry.with_item(facts.collection, facts.name, digest), count, octets)

    def _project_remove(self, facts: Facts) -> None:
        collection = self._collection_of(facts)
        item = self.item(collection.id, facts.name)
        if item is None:
            raise ValueError(f"there is no item {facts.collection}/{facts.name}")
        self._execute(
            "UPDATE items SET seq = ?, digest = NULL, content_id = NULL, span_start = NULL, span_end = NULL,"
            " size = 0, properties = NULL, component = '', span_exact = 0 WHERE collection_id = ? AND name = ?",
            (facts.seq, collection.id, facts.name),
        )
        self._execute(_DELETE_SEARCH, (collection.id, item.sequence))
        entry = self._ledger_of(collection.kind).without_item(facts.collection, facts.name, item.digest)
        self._note(collection, facts.seq, entry, collection.count - 1, collection.octets - item.size)

    def _project_make(self, facts: Facts) -> None:
        kind = cast(Kind, facts.kind)
        home = HOME_OF[kind]
        if (home, facts.collection) in self._held.collections:
            raise AlreadyThere(f"there is a collection {home}/{facts.collection} already")
        made = Collection(facts.seq, kind, facts.collection, facts.properties or {}, facts.seq, 0, 0)
        self._execute(
            "INSERT INTO collections VALUES (?, ?, ?, ?, ?, ?, 0, 0)",
            (facts.seq, home, kind, facts.collection, render_properties(made.properties), facts.seq),
        )
        self._note(made, facts.seq, self._ledger_of(kind), 0, 0)

    def _project_set(self, facts: Facts) -> None:
        collection = replace(self._collection_of(facts), properties=facts.properties or {})
        self._execute(
            "UPDATE collections SET properties = ? WHERE id = ?",
            (render_properties(collection.properties), collection.id),
        )
        ledger_entry = self._ledger_of(collection.kind)
        self._note(collection, facts.seq, ledger_entry, collection.count, collection.octets)

    def _project_drop(self, facts: Facts) -> None:
        collection = self._collection_of(facts)
        entry = self._ledger_of(collection.kind)
        for item in self.items(collection.id):
            entry = entry.without_item(facts.collection, item.name, item.digest)
        self._execute("DELETE FROM items WHERE collection_id = ?", (collection.id,))
        self._execute("DELETE FROM search WHERE collection_id = ?", (collection.id,))
        self._execute("DELETE FROM collections WHERE id = ?", (collection.id,))
        self._held.ledger[collection.kind] = replace(entry, seq=facts.seq)
        self._held.kinds_changed.add(collection.kind)
        del self._held.collections[HOME_OF[collection.kind], collection.name]

    def _ledger_of(self, kind: Kind) -> LedgerEntry:
        return self._held.ledger.get(kind, LedgerEntry(kind))

    def _note(self, collection: Collection, seq: int, entry: LedgerEntry, count: int, octets: int) -> None:
        """Hold the collection's and the ledger's new values until `flush`."""
        key = (HOME_OF[collection.kind], collection.name)
        held = self._held
        held.collections[key] = replace(collection, sequence=seq, count=count, octets=octets)
        held.collections_changed.add(key)
        held.ledger[collection.kind] = replace(entry, seq=seq)
        held.kinds_changed.add(collection.kind)
