"""The shelf: everything that proved itself, from every place, in one scratch database, so that memory stays small.

It is a working file of one salvage: never synced, thrown away at the end; after a crash one begins anew. Bytes of items
are copied to it; blobs and files, which may be large, are remembered by where they lie and proven again when read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from pathlib import Path
from typing import Final, cast

import apsw
import msgspec

from keepwell.model.errors import Damaged
from keepwell.model.names import AccountId, Digest, Kind, Lineage
from keepwell.model.record import Facts, Record, canonical, digest_of
from keepwell.storage.sqlite_fragments import CollectionSaid, ItemSaid
from keepwell.vault.pack import LedgerNote

_SCHEMA: Final = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE record (account TEXT, seq INTEGER, hash BLOB, facts BLOB, PRIMARY KEY (account, seq, hash)) WITHOUT ROWID;
CREATE TABLE body (digest BLOB UNIQUE, octets BLOB, place INTEGER, name TEXT);
CREATE TABLE head (account TEXT, lineage TEXT, seq INTEGER, hash BLOB, PRIMARY KEY (account, lineage, seq, hash))
    WITHOUT ROWID;
CREATE TABLE ledger (
    account TEXT, lineage TEXT, kind TEXT, seq INTEGER, count INTEGER, set_hash TEXT,
    PRIMARY KEY (account, lineage, kind)
) WITHOUT ROWID;
CREATE TABLE collection (
    account TEXT, lineage TEXT, id INTEGER, kind TEXT, name TEXT, PRIMARY KEY (account, lineage, id)
) WITHOUT ROWID;
CREATE TABLE item (
    account TEXT, lineage TEXT, collection INTEGER, name TEXT, seq INTEGER, said BLOB,
    PRIMARY KEY (account, lineage, collection, name)
) WITHOUT ROWID;
CREATE TABLE erased (account TEXT, digest BLOB, PRIMARY KEY (account, digest)) WITHOUT ROWID;
CREATE TABLE asked (digest BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE file (place INTEGER, name TEXT, digest BLOB, size INTEGER);
BEGIN;
"""


class LooseFile(msgspec.Struct, frozen=True):
    """A file that is no part of a copy: an export's, or any other."""

    place: int
    name: str
    digest: Digest
    size: int


ReadAt = Callable[[int, str], bytes]
"""Reads what will be a body: given the number of the place and the object's name."""


class Shelf:
    """One salvage's findings. Invariant: every record on it proves itself."""

    def __init__(self, path: Path, read_at: ReadAt) -> None:
        """In a new file."""
        self._connection = apsw.Connection(str(path), vfs="unix")
        self._execute = self._connection.execute
        self._execute(_SCHEMA).fetchall()
        self._read_at = read_at

    def add_record(self, record: Record) -> None:
        """Put a proven record on the shelf; may be called again."""
        facts = record.facts
        self._execute(
            "INSERT OR IGNORE INTO record VALUES (?, ?, ?, ?)",
            (facts.account, facts.seq, bytes.fromhex(record.hash), canonical(facts)),
        )
        if facts.digest is not None:
            self._execute("INSERT OR IGNORE INTO asked VALUES (?)", (bytes.fromhex(facts.digest),))

    def add_body(self, body: bytes) -> Digest:
        """Put bytes on the shelf, by the digest that they have."""
        digest = digest_of(body)
        bindings = (bytes.fromhex(digest), body)
        self._execute("INSERT INTO body VALUES (?, ?, NULL, NULL) ON CONFLICT DO NOTHING", bindings)
        return digest

    def add_body_at(self, digest: Digest, place: int, name: str) -> None:
        """Remember where bytes lie that had this digest when they were read."""
        bindings = (bytes.fromhex(digest), place, name)
        self._execute("INSERT INTO body VALUES (?, NULL, ?, ?) ON CONFLICT DO NOTHING", bindings)

    def add_file(self, file: LooseFile) -> None:
        """Remember a file that is no part of a copy, and that it may have the bytes of an item."""
        self._execute(
            "INSERT INTO file VALUES (?, ?, ?, ?)", (file.place, file.name, bytes.fromhex(file.digest), file.size)
        )
        self.add_body_at(file.digest, file.place, file.name)

    def say_head(self, account: AccountId, lineage: Lineage, sequence: int, hashed: str = "") -> None:
        """That the account had a record with this sequence and hash, when the hash is known."""
        bindings = (account, lineage, sequence, bytes.fromhex(hashed))
        self._execute("INSERT OR IGNORE INTO head VALUES (?, ?, ?, ?)", bindings)

    def say_ledger(self, account: AccountId, lineage: Lineage, kind: Kind, note: LedgerNote) -> None:
        """That this kind of the account came to this; the newest counts."""
        self._execute(
            "INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET seq = excluded.seq,"
            " count = excluded.count, set_hash = excluded.set_hash WHERE seq < excluded.seq",
            (account, lineage, kind, *note),
        )
        self.say_head(account, lineage, note[0])

    def say_collection(self, account: AccountId, lineage: Lineage, said: CollectionSaid) -> None:
        """That the account had such a collection."""
        bindings = (account, lineage, said.id, said.kind, said.name)
        self._execute("INSERT OR IGNORE INTO collection VALUES (?, ?, ?, ?, ?)", bindings)

    def say_item(self, account: AccountId, lineage: Lineage, said: ItemSaid) -> None:
        """That the account had such an item; the newest of its name counts."""
        self._execute(
            "INSERT INTO item VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET seq = excluded.seq,"
            " said = excluded.said WHERE seq < excluded.seq",
            (account, lineage, said.collection_id, said.name, said.sequence, msgspec.json.encode(said)),
        )
        self.say_head(account, lineage, said.sequence)

    def say_erased(self, account: AccountId, digest: Digest) -> None:
        """That these bytes of the account were erased."""
        self._execute("INSERT OR IGNORE INTO erased VALUES (?, ?)", (account, bytes.fromhex(digest)))

    def accounts(self) -> list[AccountId]:
        """Every account of which there is a record, or a word, in order."""
        rows = self._execute("SELECT account FROM record UNION SELECT account FROM head ORDER BY account")
        return [AccountId(cast(str, row[0])) for row in rows]

    def records(self, account: AccountId) -> Iterator[Record]:
        """The account's records by sequence; more than one of a sequence where there is a fork."""
        sql = "SELECT facts, hash FROM record WHERE account = ? ORDER BY seq, hash"
        for facts, hashed in self._execute(sql, (account,)):
            yield Record(msgspec.json.decode(cast(bytes, facts), type=Facts), cast(bytes, hashed).hex())

    def head(self, account: AccountId, past: Set[Lineage]) -> int:
        """The highest sequence that the account is said to have had, of a record that is not on the shelf; or 0.

        Here and below, what is said of lineages that are `past` does not count.
        """
        sql = (
            "SELECT coalesce(max(h.seq), 0) FROM head h LEFT JOIN record r"
            " ON r.account = h.account AND r.seq = h.seq AND r.hash = h.hash"
            " WHERE h.account = ? AND r.hash IS NULL AND h.lineage NOT IN (SELECT value FROM json_each(?))"
        )
        return cast(int, self._execute(sql, (account, _listed(past))).get)

    def ledger(self, account: AccountId, past: Set[Lineage]) -> dict[Kind, LedgerNote]:
        """The newest that is said of each of its kinds."""
        sql = (
            "SELECT kind, seq, count, set_hash FROM ledger"
            " WHERE account = ? AND lineage NOT IN (SELECT value FROM json_each(?)) ORDER BY seq"
        )
        rows = self._execute(sql, (account, _listed(past)))
        return {Kind(cast(str, row[0])): cast(LedgerNote, row[1:]) for row in rows}

    def collections(self, account: AccountId, past: Set[Lineage]) -> dict[int, CollectionSaid]:
        """Which collections it is said to have had, by their ids."""
        sql = (
            "SELECT id, kind, name FROM collection"
            " WHERE account = ? AND lineage NOT IN (SELECT value FROM json_each(?))"
        )
        rows = self._execute(sql, (account, _listed(past)))
        found = (CollectionSaid(cast(int, row[0]), Kind(cast(str, row[1])), cast(str, row[2])) for row in rows)
        return {one.id: one for one in found}

    def items(self, account: AccountId, past: Set[Lineage]) -> list[ItemSaid]:
        """Which items it is said to have had, by the sequence of the record that put them."""
        sql = "SELECT said FROM item WHERE account = ? AND lineage NOT IN (SELECT value FROM json_each(?)) ORDER BY seq"
        rows = self._execute(sql, (account, _listed(past)))
        return [msgspec.json.decode(cast(bytes, row[0]), type=ItemSaid) for row in rows]

    def is_erased(self, facts: Facts) -> bool:
        """Whether the bytes of this record are said to be erased: then they do not come back, whatever has them."""
        digest = bytes.fromhex(facts.digest or "")
        sql = "SELECT 1 FROM erased WHERE account = ? AND digest = ?"
        return self._execute(sql, (facts.account, digest)).get is not None

    def has_body(self, digest: Digest) -> bool:
        """Whether bytes with this digest were found."""
        return self._execute("SELECT 1 FROM body WHERE digest = ?", (bytes.fromhex(digest),)).get is not None

    def body(self, digest: Digest) -> bytes:
        """Bytes that were found, proven. Raises Damaged when they are not what they were, StorageFault."""
        sql = "SELECT octets, place, name FROM body WHERE digest = ?"
        row = self._execute(sql, (bytes.fromhex(digest),)).fetchone()
        if row is None:
            raise Damaged(f"the bytes {digest} were not found")
        octets, place, name = row
        body = cast("bytes | None", octets)
        if body is None:
            body = self._read_at(cast(int, place), cast(str, name))
        if digest_of(body) != digest:
            raise Damaged(f"{name} is not what it was a moment ago", hint="Nobody else may write there meanwhile.")
        return body

    def files(self) -> list[LooseFile]:
        """Every loose file."""
        return self._files("SELECT place, name, digest, size FROM file ORDER BY place, name")

    def unknown_files(self) -> list[LooseFile]:
        """The loose files whose bytes no record names."""
        return self._files(
            "SELECT place, name, digest, size FROM file WHERE digest NOT IN (SELECT digest FROM asked)"
            " ORDER BY place, name"
        )

    def _files(self, sql: str) -> list[LooseFile]:
        return [
            LooseFile(cast(int, place), cast(str, name), Digest(cast(bytes, digest).hex()), cast(int, size))
            for place, name, digest, size in self._execute(sql)
        ]

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        self._connection.close(True)


def _listed(past: Set[Lineage]) -> str:
    return msgspec.json.encode(sorted(past)).decode()
