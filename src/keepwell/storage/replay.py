"""What a journal comes to, worked out in memory without any bytes: collections, items, traces of removals, ledger.

For making all projections at once (`sqlite_bulk`), which is several times as fast as record by record: only the last
state of every name is kept here, so only that is ever written and indexed. What records may do is the same as in
`sqlite_transaction`; the tests compare the two over random histories.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from keepwell.model.errors import AlreadyThere
from keepwell.model.ledger import SET_HASH_MODULUS, LedgerEntry, item_term
from keepwell.model.names import HOME_OF, Digest, Home, Kind
from keepwell.model.record import Facts, Op, Properties


@dataclass(slots=True)
class ReplayedItem:
    """One name in a collection: its last put, and when it was last changed, which is later when it was removed."""

    put: Facts
    born: int
    created: str
    sequence: int
    is_there: bool = True


@dataclass(slots=True)
class ReplayedCollection:
    """A collection with all the names that it has or had."""

    id: int
    kind: Kind
    name: str
    properties: Properties
    sequence: int
    names: dict[str, ReplayedItem] = field(default_factory=dict)

    def items(self) -> list[ReplayedItem]:
        """What is there now."""
        return [item for item in self.names.values() if item.is_there]

    def removed(self) -> list[ReplayedItem]:
        """What was there and is not."""
        return [item for item in self.names.values() if not item.is_there]


class Replay:
    """The state after the records taken so far."""

    def __init__(self) -> None:
        """Before the first record."""
        self._collections: dict[tuple[Home, str], ReplayedCollection] = {}
        self._changed: dict[Kind, int] = {}

    def collections(self) -> list[ReplayedCollection]:
        """Every collection, in the order in which they were made."""
        return sorted(self._collections.values(), key=lambda collection: collection.id)

    def collection(self, home: Home, name: str) -> ReplayedCollection | None:
        """One collection."""
        return self._collections.get((home, name))

    def ledger(self) -> list[LedgerEntry]:
        """Every kind that ever had a change."""
        return [self._ledger_entry(kind, sequence) for kind, sequence in self._changed.items()]

    def _ledger_entry(self, kind: Kind, sequence: int) -> LedgerEntry:
        terms = [
            item_term(kind, collection.name, name, cast(Digest, item.put.digest))
            for collection in self._collections.values()
            if collection.kind is kind
            for name, item in collection.names.items()
            if item.is_there
        ]
        return LedgerEntry(kind, sequence, len(terms), sum(terms) % SET_HASH_MODULUS)

    def take(self, facts: Facts) -> None:
        """Bring the state to this record. Raises ValueError or AlreadyThere when it does not fit."""
        match facts.op:
            case Op.PUT:
                self._put(self._changing(facts), facts)
            case Op.REMOVE:
                self._remove(self._changing(facts), facts)
            case Op.MAKE:
                self._make(facts)
            case Op.SET:
                self._changing(facts).properties = facts.properties or {}
            case Op.DROP:
                collection = self._changing(facts)
                del self._collections[HOME_OF[collection.kind], collection.name]
            case _:
                pass  # the account was opened or closed

    def _changing(self, facts: Facts) -> ReplayedCollection:
        kind = facts.kind
        collection = None if kind is None else self._collections.get((HOME_OF[kind], facts.collection))
        if collection is None or kind is None or collection.kind is not kind:
            raise ValueError(f"there is no {kind} collection {facts.collection!r}")
        collection.sequence = self._changed[kind] = facts.seq
        return collection

    def _put(self, collection: ReplayedCollection, facts: Facts) -> None:
        old = collection.names.get(facts.name)
        if old is None or not old.is_there:
            collection.names[facts.name] = ReplayedItem(facts, facts.seq, facts.at, facts.seq)
        else:
            old.put, old.sequence = facts, facts.seq

    def _remove(self, collection: ReplayedCollection, facts: Facts) -> None:
        item = collection.names.get(facts.name)
        if item is None or not item.is_there:
            raise ValueError(f"there is no item {facts.collection}/{facts.name}")
        item.is_there, item.sequence = False, facts.seq

    def _make(self, facts: Facts) -> None:
        if facts.kind is None:
            raise ValueError("a collection needs a kind")
        key = HOME_OF[facts.kind], facts.collection
        if key in self._collections:
            raise AlreadyThere(f"there is a collection {facts.collection} already")
        self._collections[key] = ReplayedCollection(
            facts.seq, facts.kind, facts.collection, facts.properties or {}, facts.seq
        )
        self._changed[facts.kind] = facts.seq
