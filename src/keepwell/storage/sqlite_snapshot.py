"""Reading an account's SQLite file: the `Snapshot` half of the contract.

A snapshot is one read transaction on one connection. Nothing here writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import cast

import apsw
import msgspec

from keepwell.model.errors import Damaged, NotThere
from keepwell.model.ledger import LedgerEntry
from keepwell.model.names import HOME_OF, AccountId, Digest, Home, Kind, Lineage
from keepwell.model.record import GENESIS, Facts, Op, Properties, Record, digest_of
from keepwell.storage.carrying import erased, missing
from keepwell.storage.contract import BlobStore, Carried, Change, Collection, Head, Item, SpanQuery

_ITEM = "collection_id, name, seq, uid, media_type, digest, size, created, modified, component, properties"
_ITEM_OF_I = ", ".join(f"i.{column}" for column in _ITEM.split(", "))
_COLLECTION = "id, kind, name, properties, seq, count, octets"
_JOURNAL = "seq, at, by, op, kind, collection, name, uid, media_type, digest, size, properties, lineage, prev, hash"
_ITEM_AT = (
    f"SELECT {_ITEM_OF_I}, c.body FROM collections l JOIN items i ON i.collection_id = l.id"
    " LEFT JOIN content c ON c.id = i.content_id"
    " WHERE l.home = ? AND l.name = ? AND i.name = ? AND i.digest IS NOT NULL"
)
_CARRIED = (
    f"SELECT {', '.join(f'j.{column}' for column in _JOURNAL.split(', '))}, c.id, c.body"
    " FROM journal j LEFT JOIN content c ON c.digest = j.digest WHERE j.seq > ? ORDER BY j.seq"
)
HELD_KEY = "held"
"""Where `meta` has the kinds that are not whole, as JSON."""

ERASED = b""
"""The body of a content whose bytes were erased. The bytes that are nothing have it as well, and cannot be erased."""

NOTHING_DIGEST = digest_of(b"")

NAMES_MAX = 500
"""Names bound into one statement."""

_decode_properties = msgspec.json.Decoder(dict[str, str]).decode
_decode_held = msgspec.json.Decoder(dict[Kind, str]).decode

ItemRow = tuple[int, str, int, str, str, bytes, int, str, str, str, str | None]


def is_erased(digest: Digest, body: object) -> bool:
    """Whether this body of a content says that its bytes were erased."""
    return body == ERASED and digest != NOTHING_DIGEST


def parse_properties(text: str | None) -> Properties | None:
    """Properties from their column."""
    return None if text is None else _decode_properties(text)


def render_held(reasons: Mapping[Kind, str]) -> str:
    """Kinds that are not whole, for their place in `meta`."""
    return msgspec.json.encode(dict(reasons)).decode()


def parse_held(text: str | None) -> dict[Kind, str]:
    """Kinds that are not whole, from their place in `meta`."""
    return {} if text is None else _decode_held(text)


def item_from(row: ItemRow) -> Item:
    """An item from the columns of `_ITEM`."""
    collection_id, name, seq, uid, media_type, digest, size, created, modified, component, properties = row
    return Item(
        collection_id,
        name,
        seq,
        uid,
        media_type,
        Digest(digest.hex()),
        size,
        created,
        modified,
        component,
        None if properties is None else _decode_properties(properties),
    )


@lru_cache(maxsize=64)
def _marks(count: int) -> str:
    return ", ".join("?" * count)


def record_from(account: AccountId, row: tuple[object, ...]) -> Record:
    """A record from the columns of the journal; proven by nothing yet."""
    seq, at, by, op, kind, collection, name, uid, media_type, digest, size, properties, lineage, prev, hashed = row
    facts = Facts(
        account=account,
        at=cast(str, at),
        by=cast(str, by),
        collection=cast(str, collection),
        digest=None if digest is None else Digest(cast(bytes, digest).hex()),
        kind=None if kind is None else Kind(cast(str, kind)),
        lineage=Lineage(cast(str, lineage)),
        media_type=cast(str, media_type),
        name=cast(str, name),
        op=Op(cast(str, op)),
        prev=cast(bytes, prev).hex(),
        properties=parse_properties(cast("str | None", properties)),
        seq=cast(int, seq),
        size=cast("int | None", size),
        uid=cast(str, uid),
    )
    return Record(facts, cast(bytes, hashed).hex())


class SqliteSnapshot:
    """A consistent view of one account's file, while its read transaction is open."""

    def __init__(self, connection: apsw.Connection, account: AccountId, blobs: BlobStore) -> None:
        """Over a connection whose transaction someone else opens and ends."""
        self._connection = connection
        self._execute = connection.execute
        self._account = account
        self._blobs = blobs

    def account(self) -> AccountId:
        """Whose."""
        return self._account

    def lineage(self) -> Lineage:
        """The id of this unbroken history."""
        return Lineage(cast(str, self._execute("SELECT value FROM meta WHERE key = 'lineage'").get))

    def head(self) -> Head:
        """The last record."""
        row = self._execute("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
        return Head(0, GENESIS) if row is None else Head(cast(int, row[0]), cast(bytes, row[1]).hex())

    def ledger(self) -> dict[Kind, LedgerEntry]:
        """Every kind that ever had a change."""
        rows = self._execute("SELECT kind, seq, count, set_hash FROM ledger ORDER BY kind")
        return {
            Kind(cast(str, kind)): LedgerEntry(
                Kind(cast(str, kind)), cast(int, seq), cast(int, count), int(cast(str, set_hash), 16)
            )
            for kind, seq, count, set_hash in rows
        }

    def collections(self, home: Home | None = None) -> list[Collection]:
        """All collections, or those of one home, by name."""
        rows = self._execute(
            f"SELECT {_COLLECTION} FROM collections WHERE ?1 IS NULL OR home = ?1 ORDER BY home, name", (home,)
        )
        return [_collection_from(row) for row in rows]

    def collection(self, home: Home, name: str) -> Collection | None:
        """One collection."""
        sql = f"SELECT {_COLLECTION} FROM collections WHERE home = ? AND name = ?"
        row = self._execute(sql, (home, name)).fetchone()
        return None if row is None else _collection_from(row)

    def item(self, collection_id: int, name: str) -> Item | None:
        """One item."""
        sql = f"SELECT {_ITEM} FROM items WHERE collection_id = ? AND name = ? AND digest IS NOT NULL"
        row = self._execute(sql, (collection_id, name)).fetchone()
        return None if row is None else item_from(cast(ItemRow, row))

    def item_with_body(self, collection_id: int, name: str) -> tuple[Item, bytes] | None:
        """One item and its bytes. Raises Damaged when the bytes do not match their digest."""
        return next(self._with_bodies("i.name = ?", (collection_id, name)), None)

    def item_at(self, home: Home, collection: str, name: str) -> tuple[Item, bytes] | None:
        """One item and its bytes, found in one statement. Raises Damaged when they do not match their digest."""
        row = self._execute(_ITEM_AT, (home, collection, name)).fetchone()
        if row is None:
            return None
        item = item_from(cast(ItemRow, row[:-1]))
        return item, self._proven(item.digest, cast("bytes | None", row[-1]))

    def items(self, collection_id: int) -> Iterator[Item]:
        """All items, by name."""
        sql = f"SELECT {_ITEM} FROM items WHERE collection_id = ? AND digest IS NOT NULL ORDER BY name"
        for row in self._execute(sql, (collection_id,)):
            yield item_from(cast(ItemRow, row))

    def items_with_bodies(self, collection_id: int, names: Sequence[str] | None = None) -> Iterator[tuple[Item, bytes]]:
        """Items (all, or those of `names` that exist) with their bytes, by name. Raises Damaged."""
        if names is None:
            yield from self._with_bodies("1", (collection_id,))
            return
        ordered = sorted(set(names))
        for start in range(0, len(ordered), NAMES_MAX):
            some = ordered[start : start + NAMES_MAX]
            yield from self._with_bodies(f"i.name IN ({_marks(len(some))})", (collection_id, *some))

    def _with_bodies(self, condition: str, bindings: tuple[int | str, ...]) -> Iterator[tuple[Item, bytes]]:
        rows = self._execute(
            f"SELECT {_ITEM_OF_I}, c.body FROM items i LEFT JOIN content c ON c.id = i.content_id"
            f" WHERE i.collection_id = ? AND {condition} AND i.digest IS NOT NULL ORDER BY i.name",
            bindings,
        )
        for row in rows:
            item = item_from(cast(ItemRow, row[:-1]))
            yield item, self._proven(item.digest, cast("bytes | None", row[-1]))

    def _proven(self, digest: Digest, body: bytes | None) -> bytes:
        """The bytes, from the row or else the blob store, once they match their digest."""
        if body is None:
            try:
                return self._blobs.read(digest)
            except NotThere as error:
                raise Damaged(f"{error.message}, which {self._account} has") from error
        if digest_of(body) != digest:
            if body == ERASED:
                raise erased(self._account, digest)
            raise Damaged(f"the bytes of {digest} in {self._account} do not match their digest")
        return body

    def uid_holder(self, collection_id: int, uid: str) -> Item | None:
        """The item that has this UID."""
        sql = (
            f"SELECT {_ITEM} FROM items INDEXED BY items_by_uid"
            " WHERE collection_id = ? AND uid = ? AND uid <> '' AND digest IS NOT NULL LIMIT 1"
        )
        row = self._execute(sql, (collection_id, uid)).fetchone()
        return None if row is None else item_from(cast(ItemRow, row))

    def changes(self, collection_id: int, after: int, limit: int) -> list[Change]:
        """What changed after sequence `after`, at most `limit` names, oldest change first."""
        found: list[Change] = []
        position = after
        while len(found) < limit:
            rows = self._changed_rows(collection_id, position, limit - len(found), removals=after > 0)
            for born, row in rows:
                change = self._change(born, row, after)
                if change is not None:
                    found.append(change)
            if len(rows) == 0:
                break
            position = rows[-1][1][2]
        return found

    def _changed_rows(
        self, collection_id: int, position: int, count: int, *, removals: bool
    ) -> list[tuple[int, ItemRow]]:
        rows = self._execute(
            f"SELECT born, {_ITEM} FROM items WHERE collection_id = ? AND seq > ?"
            " AND (digest IS NOT NULL OR ?) ORDER BY seq LIMIT ?",
            (collection_id, position, removals, count),
        )
        return [(cast(int, row[0]), cast(ItemRow, row[1:])) for row in rows]

    def _change(self, born: int, row: ItemRow, after: int) -> Change | None:
        name, sequence, digest = row[1], row[2], row[5]
        if digest is not None:
            return Change(name, sequence, item_from(row))
        if born <= after or self._was_there(row[0], name, after):
            return Change(name, sequence, None)
        return None

    def _was_there(self, collection_id: int, name: str, at: int) -> bool:
        """Whether an item had this name at sequence `at`: then its removal is news, else it came and went."""
        op = self._execute(
            "SELECT j.op FROM collections c JOIN journal j ON j.collection = c.name AND j.kind = c.kind"
            " WHERE c.id = ?1 AND j.name = ?2 AND j.seq > ?1 AND j.seq <= ?3 ORDER BY j.seq DESC LIMIT 1",
            (collection_id, name, at),
        ).get
        return cast(str, op) == Op.PUT

    def in_span(self, collection_id: int, query: SpanQuery) -> list[tuple[Item, bool]]:
        """Items whose span may overlap the query's, by name, each with whether its span is exact."""
        rows = self._execute(
            f"SELECT span_exact, {_ITEM} FROM items INDEXED BY items_by_span WHERE collection_id = ?"
            " AND span_end > ? AND span_start < ? AND (? IS NULL OR component = ?)"
            " AND span_end IS NOT NULL AND digest IS NOT NULL ORDER BY name",
            (collection_id, query.start, query.end, query.component, query.component),
        )
        return [(item_from(cast(ItemRow, row[1:])), bool(row[0])) for row in rows]

    def search_texts(self, collection_id: int, needles: Sequence[str]) -> list[tuple[str, str]]:
        """(item name, search text) of the items whose search text has at least one of `needles` (none: all)."""
        condition = " OR ".join(["instr(text, ?) > 0"] * len(needles)) or "1"
        rows = self._execute(
            f"SELECT name, text FROM search WHERE collection_id = ? AND ({condition}) ORDER BY name",
            (collection_id, *needles),
        )
        return [(cast(str, name), cast(str, text)) for name, text in rows]

    def records(self, after: int = 0, *, collection: tuple[Home, str] | None = None) -> Iterator[Record]:
        """The journal after sequence `after`, in order; of one collection name when asked."""
        sql = f"SELECT {_JOURNAL} FROM journal WHERE seq > ?"
        bindings: tuple[int | str, ...] = (after,)
        if collection is not None:
            sql, bindings = sql + " AND collection = ?", (after, collection[1])
        for row in self._execute(sql + " ORDER BY seq", bindings):
            record = record_from(self._account, row)
            kind = record.facts.kind
            if collection is None or (kind is not None and HOME_OF[kind] is collection[0]):
                yield record

    def sequence_at(self, moment: str) -> int:
        """The last sequence whose record's moment is not after `moment`; 0 when there is none."""
        return cast(int, self._execute("SELECT coalesce(max(seq), 0) FROM journal WHERE at <= ?", (moment,)).get)

    def carried(self, after: int = 0) -> Iterator[Carried]:
        """The journal after sequence `after`, each put with its bytes unless one before it here had them."""
        brought: set[Digest] = set()
        for row in self._execute(_CARRIED, (after,)):
            record = record_from(self._account, row[:-2])
            digest = record.facts.digest
            if digest is None or digest in brought:
                yield Carried(record)
                continue
            if is_erased(digest, row[-1]):
                yield Carried(record, erased=True)
                continue
            brought.add(digest)
            if row[-2] is None:
                raise missing(record)
            yield Carried(record, self._proven(digest, cast("bytes | None", row[-1])))

    def lacking(self) -> Iterator[Digest]:
        """Digests that records here name and whose bytes are not here."""
        for (digest,) in self._execute("SELECT digest FROM content WHERE body IS NULL"):
            found = Digest(cast(bytes, digest).hex())
            if not self._blobs.has(found):
                yield found

    def held(self) -> Mapping[Kind, str]:
        """Kinds that are not whole at the moment, and why."""
        text = self._execute("SELECT value FROM meta WHERE key = ?", (HELD_KEY,)).get
        return parse_held(cast("str | None", text))

    def content(self, digest: Digest) -> bytes | None:
        """Bytes by digest, of items past and present. Raises Damaged when they do not match it."""
        row = self._execute("SELECT body FROM content WHERE digest = ?", (bytes.fromhex(digest),)).fetchone()
        if row is None or is_erased(digest, row[0]):
            return None
        return self._proven(digest, cast("bytes | None", row[0]))

    def is_erased(self, digest: Digest) -> bool:
        """Whether these bytes were here and were erased."""
        row = self._execute("SELECT body FROM content WHERE digest = ?", (bytes.fromhex(digest),)).fetchone()
        return row is not None and is_erased(digest, row[0])


def _collection_from(row: tuple[object, ...]) -> Collection:
    number, kind, name, properties, seq, count, octets = row
    return Collection(
        cast(int, number),
        Kind(cast(str, kind)),
        cast(str, name),
        parse_properties(cast(str, properties)) or {},
        cast(int, seq),
        cast(int, count),
        cast(int, octets),
    )
