"""What every storage engine promises, and the values that cross its border.

An account is one journal and the projections of it: collections, items, indexes, ledger. A `Work` is a function that
runs inside a write transaction: it reads, checks its preconditions, and appends records; when it raises, everything
it appended is undone and nothing else is. `AccountStore.transact` runs many works with one commit and one sync.

Promises, held by `tests/storage/contract_suite.py` for every engine:

1. When `transact` returns, every work whose verdict is not an error is committed and synced, or `transact` raises
   StorageFault and none of them may be acknowledged.
2. Works see what the works before them in the same batch did. A failed work leaves no trace.
3. Records are numbered 1, 2, 3 … without gaps, each chained by hash to the one before.
4. A snapshot does not change while it is open, whatever is written meanwhile.
5. The bytes of an item are the client's bytes; content is held once by digest and stays when the item goes.
6. What another copy carries comes in as it was sealed: the same records, hashes and lineages, every link proven.

What is made for every item of a listing is a msgspec struct: making one costs a twentieth of a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import msgspec

from keepwell.model.ledger import LedgerEntry
from keepwell.model.names import AccountId, Digest, Home, Kind, Lineage
from keepwell.model.record import Op, Properties, Record

SPAN_START_MIN = -(1 << 62)
SPAN_END_MAX = 1 << 62


class Head(msgspec.Struct, frozen=True, gc=False):
    """An account's last record: its sequence and hash (0 and sixty-four zeros when there is none)."""

    sequence: int
    hash: str


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection now. `id` is the sequence of the record that made it, so a name used again has another id."""

    id: int
    kind: Kind
    name: str
    properties: Properties
    sequence: int
    """Of the last change to the collection or an item of it."""
    count: int
    octets: int


class Item(msgspec.Struct, frozen=True, gc=False):
    """An item now. `sequence` is that of the record that last changed it; `modified` its moment."""

    collection_id: int
    name: str
    sequence: int
    uid: str
    media_type: str
    digest: Digest
    size: int
    created: str
    modified: str
    component: str
    properties: Properties | None


class Change(msgspec.Struct, frozen=True, gc=False):
    """One name in a sync answer: the item as it is now, or None when it was removed."""

    name: str
    sequence: int
    item: Item | None


class Index(msgspec.Struct, frozen=True, gc=False):
    """What queries need of an item's bytes; a projection, never a source.

    The span is [`span_start`, `span_end`) in Unix seconds; an instant is one second long, so that strict comparison
    gives RFC 4791 9.9. `span_exact` says that the span alone decides a plain time range.
    """

    component: str = ""
    span_start: int | None = None
    span_end: int | None = None
    span_exact: bool = False
    search_text: str = ""


NO_INDEX = Index()


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A change to append: a record without what the journal itself adds (account, sequence, moment, chain)."""

    op: Op
    by: str
    kind: Kind | None = None
    collection: str = ""
    name: str = ""
    uid: str = ""
    media_type: str = ""
    digest: Digest | None = None
    size: int | None = None
    properties: Properties | None = None


class Carried(msgspec.Struct, frozen=True, gc=False):
    """A record on its way between copies, with the bytes that it brought.

    `body` is None when the record brings none: it is no put, an earlier record of the account brought the same bytes,
    or they were erased by law, and then `erased` says so.

    `proven` says that whoever read it has just hashed both, the record's facts and the bytes, and found them to be what
    they should; what is left to prove is that it follows the record before. To hash all once more takes a tenth of the
    time of a restore.
    """

    record: Record
    body: bytes | None = None
    erased: bool = False
    proven: bool = False


@dataclass(frozen=True, slots=True)
class SpanQuery:
    """Items whose span overlaps [start, end); `component` narrows to one component name."""

    component: str | None = None
    start: int = SPAN_START_MIN
    end: int = SPAN_END_MAX


class Snapshot(Protocol):
    """A consistent view of one account."""

    def account(self) -> AccountId:
        """Whose."""
        ...

    def lineage(self) -> Lineage:
        """The id of this unbroken history."""
        ...

    def head(self) -> Head:
        """The last record."""
        ...

    def ledger(self) -> dict[Kind, LedgerEntry]:
        """Every kind that ever had a change."""
        ...

    def collections(self, home: Home | None = None) -> list[Collection]:
        """All collections, or those of one home, by name."""
        ...

    def collection(self, home: Home, name: str) -> Collection | None:
        """One collection."""
        ...

    def item(self, collection_id: int, name: str) -> Item | None:
        """One item."""
        ...

    def item_with_body(self, collection_id: int, name: str) -> tuple[Item, bytes] | None:
        """One item and its bytes. Raises Damaged when the bytes do not match their digest."""
        ...

    def items(self, collection_id: int) -> Iterator[Item]:
        """All items, by name."""
        ...

    def items_with_bodies(self, collection_id: int, names: Sequence[str] | None = None) -> Iterator[tuple[Item, bytes]]:
        """Items (all, or those of `names` that exist) with their bytes, by name. Raises Damaged."""
        ...

    def uid_holder(self, collection_id: int, uid: str) -> Item | None:
        """The item that has this UID."""
        ...

    def changes(self, collection_id: int, after: int, limit: int) -> list[Change]:
        """What changed after sequence `after`, at most `limit` names, oldest change first.

        A name is in it when its item now differs from its item at `after`; an item that came and went since is not.
        With `after` 0 there are no removals.
        """
        ...

    def in_span(self, collection_id: int, query: SpanQuery) -> list[tuple[Item, bool]]:
        """Items whose span may overlap the query's, by name, each with whether its span is exact."""
        ...

    def search_texts(self, collection_id: int, needles: Sequence[str]) -> list[tuple[str, str]]:
        """(item name, search text) of the items that have a search text with at least one of `needles` (none: all)."""
        ...

    def records(self, after: int = 0, *, collection: tuple[Home, str] | None = None) -> Iterator[Record]:
        """The journal after sequence `after`, in order; of one collection name when asked."""
        ...

    def sequence_at(self, moment: str) -> int:
        """The last sequence whose record's moment is not after `moment`; 0 when there is none."""
        ...

    def carried(self, after: int = 0) -> Iterator[Carried]:
        """The journal after sequence `after`, in order, each put with its bytes unless one before it here had them.

        Raises Damaged at bytes that do not match their digest, and at bytes that are missing but were not erased.
        """
        ...

    def content(self, digest: Digest) -> bytes | None:
        """Bytes by digest, of items past and present; None when there never were any, or they were erased.

        Raises Damaged when they do not match it.
        """
        ...

    def is_erased(self, digest: Digest) -> bool:
        """Whether these bytes were here and were erased."""
        ...

    def lacking(self) -> Iterator[Digest]:
        """Digests that records here name and whose bytes are not here: they were left out when this was restored.

        Reading such bytes raises Damaged.
        """
        ...

    def held(self) -> Mapping[Kind, str]:
        """Kinds that are not whole at the moment, and why: nothing of them may be listed or served.

        When it is every kind, the account is closed: nobody may append to its journal, not even the operator.
        """
        ...


class Transaction(Snapshot, Protocol):
    """A snapshot that can be written to."""

    def append(self, entry: Entry, body: bytes | None = None, index: Index = NO_INDEX) -> Record:
        """Add a record and bring every projection to it; a put needs `body` unless its digest is held already.

        The work decides whether a change is allowed; `append` refuses with ValueError only what cannot be done at
        all (a put into a collection that is not there).
        """
        ...

    def begin_lineage(self, lineage: Lineage, by: str, properties: Properties) -> Record:
        """Begin a new history: an `open` record in it, which says in `properties` why; later records are in it too.

        Nothing else changes and the chain goes on, but no state or sync token of before is answered any more.
        """
        ...


Work = Callable[[Transaction], object]
Verdict = object
"""What a work returned, or the exception that it raised."""

Indexer = Callable[[Home, bytes], Index]
"""The index of an item's bytes in a home: formats are not known here."""


class AccountStore(Protocol):
    """One account's place in a storage engine."""

    def reading(self) -> AbstractContextManager[Snapshot]:
        """A snapshot; may be taken on any thread, many at once."""
        ...

    def read_item(self, home: Home, collection: str, name: str) -> tuple[Item, bytes] | None:
        """One item and its bytes, when that is all one wants to know: one statement, a snapshot of its own.

        Raises Damaged when the bytes do not match their digest, and Held when the item's kind is held, or may be.
        """
        ...

    def version(self) -> int:
        """A number that is another one after every commit, by whatever process; a few microseconds."""
        ...

    def transact(self, works: Sequence[Work], appended: list[Carried] | None = None) -> list[Verdict]:
        """Run the works in order in one transaction; one commit, one sync. Raises StorageFault.

        After the commit, what the works appended is added to `appended`, in order.
        """
        ...

    def extend(self, carried: Sequence[Carried], indexer: Indexer) -> None:
        """Append records of another copy, sealed as they are, in one transaction; none when one does not fit.

        Each must prove itself and follow the one before; the lineage becomes that of the last. Raises Damaged.
        """
        ...

    def erase(self, through: int, digests: Sequence[Digest]) -> list[Digest]:
        """Drop these bytes for good, and every trace of them in the account's own place; the records stay.

        Only bytes that no item has now, and that no record after sequence `through` names; those whose bytes are not
        here any more when this returns. May be called again. Raises StorageFault, Unavailable.
        """
        ...

    def supply(self, bodies: Sequence[bytes], indexer: Indexer) -> None:
        """Bring bytes that records here name and that are not here or are damaged; durable on return.

        The indexes of items that have them follow. Bytes that no record names are not kept. Raises StorageFault.
        """
        ...

    def hold(self, reasons: Mapping[Kind, str]) -> None:
        """Set which kinds are not whole, and why; with an empty mapping all are served again. Raises StorageFault."""
        ...


class Store(Protocol):
    """All accounts."""

    def accounts(self) -> list[AccountId]:
        """Every account that has a place here, in order."""
        ...

    def account(self, account: AccountId) -> AccountStore:
        """The account's place. Raises NotThere."""
        ...

    def create(self, account: AccountId, works: Sequence[Work] = ()) -> AccountStore:
        """Make the account's place, whole or not at all, with these works done. Raises AlreadyThere."""
        ...

    def restore(
        self, account: AccountId, carried: Iterable[Carried], indexer: Indexer, *, may_lack: bool = False
    ) -> AccountStore:
        """Make the account's place from the records of another copy, whole or not at all.

        They are all its records, the first to the last, as for `AccountStore.extend`. With `may_lack` a put is taken
        though nothing brings its bytes: they are lacking until they are supplied. Raises AlreadyThere, Damaged.
        """
        ...

    def set_aside(self, account: AccountId, *, last: Head | None = None) -> str:
        """Take an account that is damaged out of use; it is kept under the name that is returned.

        With `last` only while that is its last record: nothing is committed between the look and the end of its use.
        Raises NotThere, Unavailable when it is not the last.
        """
        ...

    def sweep_blobs(self, digests: Iterable[Digest]) -> list[Digest]:
        """Remove those of the large bytes beside the accounts that no account has any more; which went.

        While an account is in the making, or one cannot be read, none goes. May be called again. Raises StorageFault.
        """
        ...

    def read_heads(self) -> Iterator[tuple[AccountId, Head | Exception]]:
        """Every account's head, or why it cannot be read; of many accounts in a fraction of a millisecond each."""
        ...

    def read_held(self, account: AccountId) -> Mapping[Kind, str]:
        """What `Snapshot.held` says of an account, as quickly as `read_heads`.

        Raises NotThere, StorageFault, Unavailable (it is being put in its place), CannotStart.
        """
        ...

    def close(self) -> None:
        """Let go of files; may be called twice."""
        ...


class BlobStore(Protocol):
    """Content-addressed bytes outside the accounts."""

    def put(self, body: bytes) -> Digest:
        """Keep `body`; on return it survives a power cut. May be called again with the same bytes."""
        ...

    def read(self, digest: Digest) -> bytes:
        """The bytes. Raises NotThere, or Damaged when they do not match."""
        ...

    def has(self, digest: Digest) -> bool:
        """Whether there is one of this name; only reading proves it."""
        ...

    def digests(self) -> Iterable[Digest]:
        """All that are held."""
        ...
