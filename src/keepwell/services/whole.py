"""Looking at an account only as far as it is whole: nothing of a held kind is found, listed or changed.

`whole` and `whole_transaction` give the view through which every face sees an account; with nothing held, which is
nearly always, they give back what they were given. Where something is held:

- a collection of a held kind, and a name under which there is none in a home with a held kind, raise Held: "not there"
  would have a device delete it;
- a home with a held kind is not listed at all. Listing what is left, or listing the collections and refusing only what
  is in them, could leave out a collection that was made in the part that is missing, and programs take one that is not
  listed any more from the device with everything in it (DAVx5 and Apple's do). A program that asks for a collection by
  its own path (vdirsyncer, DAVx5, Thunderbird once set up) goes on with those of other kinds;
- the journal stays readable: it is what there is, says so, and is what a decision is made from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType

from keepwell.model.ledger import LedgerEntry
from keepwell.model.names import AccountId, Digest, Home, Kind, Lineage
from keepwell.model.record import Properties, Record
from keepwell.storage.contract import (
    NO_INDEX,
    Carried,
    Change,
    Collection,
    Entry,
    Head,
    Index,
    Item,
    Snapshot,
    SpanQuery,
    Transaction,
)
from keepwell.storage.holding import require_home, require_kind, require_place


def whole(snapshot: Snapshot) -> Snapshot:
    """The snapshot, or where something is held a view of it that raises Held for everything of those kinds."""
    return WholeSnapshot(snapshot) if snapshot.held() else snapshot


def whole_transaction(transaction: Transaction) -> Transaction:
    """The same for writing."""
    return WholeTransaction(transaction) if transaction.held() else transaction


def whole_collections(snapshot: Snapshot) -> list[Collection]:
    """The collections of the kinds that are whole, for whoever also tells which are not; never for a device."""
    every = snapshot.every_collection() if isinstance(snapshot, WholeSnapshot) else snapshot.collections()
    held = snapshot.held()
    return [one for one in every if one.kind not in held]


class WholeReading:
    """A reading that gives `whole` snapshots. A class, not a generator: this is on the path of every request."""

    __slots__ = ("_reading",)

    def __init__(self, reading: AbstractContextManager[Snapshot]) -> None:
        """Of this reading."""
        self._reading = reading

    def __enter__(self) -> Snapshot:
        """The snapshot."""
        snapshot = self._reading.__enter__()
        try:
            return whole(snapshot)
        except BaseException as error:
            self._reading.__exit__(type(error), error, error.__traceback__)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._reading.__exit__(kind, error, trace)


class WholeSnapshot:
    """A snapshot in which something is held. What is found by a collection's id was found by its name before."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Before this snapshot."""
        self._snapshot = snapshot
        self._held = snapshot.held()

    def account(self) -> AccountId:
        """Whose."""
        return self._snapshot.account()

    def lineage(self) -> Lineage:
        """The id of this unbroken history."""
        return self._snapshot.lineage()

    def head(self) -> Head:
        """The last record."""
        return self._snapshot.head()

    def ledger(self) -> dict[Kind, LedgerEntry]:
        """Every kind that ever had a change."""
        return self._snapshot.ledger()

    def collections(self, home: Home | None = None) -> list[Collection]:
        """All collections, or those of one home, by name. Raises Held when any of them is, or may be missing."""
        require_home(self._held, home)
        return self._snapshot.collections(home)

    def every_collection(self) -> list[Collection]:
        """Those of held kinds too."""
        return self._snapshot.collections()

    def collection(self, home: Home, name: str) -> Collection | None:
        """One collection. Raises Held when it is, or when there is none and it may be missing."""
        found = self._snapshot.collection(home, name)
        require_place(self._held, home, found)
        return found

    def item(self, collection_id: int, name: str) -> Item | None:
        """One item."""
        return self._snapshot.item(collection_id, name)

    def item_with_body(self, collection_id: int, name: str) -> tuple[Item, bytes] | None:
        """One item and its bytes. Raises Damaged when the bytes do not match their digest."""
        return self._snapshot.item_with_body(collection_id, name)

    def items(self, collection_id: int) -> Iterator[Item]:
        """All items, by name."""
        return self._snapshot.items(collection_id)

    def items_with_bodies(self, collection_id: int, names: Sequence[str] | None = None) -> Iterator[tuple[Item, bytes]]:
        """Items (all, or those of `names` that exist) with their bytes, by name. Raises Damaged."""
        return self._snapshot.items_with_bodies(collection_id, names)

    def uid_holder(self, collection_id: int, uid: str) -> Item | None:
        """The item that has this UID."""
        return self._snapshot.uid_holder(collection_id, uid)

    def changes(self, collection_id: int, after: int, limit: int) -> list[Change]:
        """What changed after sequence `after`, at most `limit` names, oldest change first."""
        return self._snapshot.changes(collection_id, after, limit)

    def in_span(self, collection_id: int, query: SpanQuery) -> list[tuple[Item, bool]]:
        """Items whose span may overlap the query's, by name, each with whether its span is exact."""
        return self._snapshot.in_span(collection_id, query)

    def search_texts(self, collection_id: int, needles: Sequence[str]) -> list[tuple[str, str]]:
        """(item name, search text) of the items that have a search text with at least one of `needles` (none: all)."""
        return self._snapshot.search_texts(collection_id, needles)

    def records(self, after: int = 0, *, collection: tuple[Home, str] | None = None) -> Iterator[Record]:
        """The journal after sequence `after`, in order; of one collection name when asked."""
        return self._snapshot.records(after, collection=collection)

    def sequence_at(self, moment: str) -> int:
        """The last sequence whose record's moment is not after `moment`; 0 when there is none."""
        return self._snapshot.sequence_at(moment)

    def carried(self, after: int = 0) -> Iterator[Carried]:
        """The journal after sequence `after`, in order, each put with its bytes unless one before it here had them."""
        return self._snapshot.carried(after)

    def content(self, digest: Digest) -> bytes | None:
        """Bytes by digest, of items past and present. Raises Damaged when they do not match it."""
        return self._snapshot.content(digest)

    def is_erased(self, digest: Digest) -> bool:
        """Whether these bytes were here and were erased."""
        return self._snapshot.is_erased(digest)

    def lacking(self) -> Iterator[Digest]:
        """Digests that records here name and whose bytes are not here."""
        return self._snapshot.lacking()

    def held(self) -> Mapping[Kind, str]:
        """Kinds that are not whole, and why."""
        return self._held


class WholeTransaction(WholeSnapshot):
    """A transaction in which something is held: nothing of that is changed."""

    def __init__(self, transaction: Transaction) -> None:
        """Before this transaction."""
        super().__init__(transaction)
        self._transaction = transaction

    def append(self, entry: Entry, body: bytes | None = None, index: Index = NO_INDEX) -> Record:
        """Add a record. Raises Held when its kind is."""
        if entry.kind is not None:
            require_kind(self._held, entry.kind)
        return self._transaction.append(entry, body, index)

    def begin_lineage(self, lineage: Lineage, by: str, properties: Properties) -> Record:
        """Begin a new history; which kinds are held stays."""
        return self._transaction.begin_lineage(lineage, by, properties)
