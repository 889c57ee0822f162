"""An account's state in memory, and reading it: the `Snapshot` half of the contract for the fake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field

from keepwell.model.errors import Damaged
from keepwell.model.ledger import LedgerEntry
from keepwell.model.names import HOME_OF, AccountId, Digest, Home, Kind, Lineage
from keepwell.model.record import GENESIS, Op, Record, digest_of
from keepwell.storage.contract import Carried, Change, Collection, Head, Index, Item, SpanQuery


@dataclass(slots=True)
class State:
    """Everything of one account."""

    account: AccountId
    lineage: Lineage
    journal: list[Record] = field(default_factory=list)
    contents: dict[Digest, bytes] = field(default_factory=dict)
    collections: dict[tuple[Home, str], Collection] = field(default_factory=dict)
    items: dict[int, dict[str, tuple[Item, Index]]] = field(default_factory=dict)
    ledger: dict[Kind, LedgerEntry] = field(default_factory=dict)
    held: dict[Kind, str] = field(default_factory=dict)
    erased: set[Digest] = field(default_factory=set)

    def copied(self) -> State:
        """A twin that can be changed without changing this one."""
        twin = copy(self)
        twin.journal = list(self.journal)
        twin.contents = dict(self.contents)
        twin.collections = dict(self.collections)
        twin.items = {number: dict(items) for number, items in self.items.items()}
        twin.ledger = dict(self.ledger)
        twin.erased = set(self.erased)
        return twin


class MemorySnapshot:
    """A consistent view of one account's state."""

    def __init__(self, state: State) -> None:
        """Of a state that does not change while this is used."""
        self._state = state

    def account(self) -> AccountId:
        """Whose."""
        return self._state.account

    def lineage(self) -> Lineage:
        """The id of this unbroken history."""
        return self._state.lineage

    def head(self) -> Head:
        """The last record."""
        if not self._state.journal:
            return Head(0, GENESIS)
        last = self._state.journal[-1]
        return Head(last.facts.seq, last.hash)

    def ledger(self) -> dict[Kind, LedgerEntry]:
        """Every kind that ever had a change."""
        return dict(self._state.ledger)

    def collections(self, home: Home | None = None) -> list[Collection]:
        """All collections, or those of one home, by name."""
        ordered = sorted(self._state.collections.items())
        return [one for (its_home, _), one in ordered if home is None or home is its_home]

    def collection(self, home: Home, name: str) -> Collection | None:
        """One collection."""
        return self._state.collections.get((home, name))

    def item(self, collection_id: int, name: str) -> Item | None:
        """One item."""
        found = self._state.items.get(collection_id, {}).get(name)
        return None if found is None else found[0]

    def item_with_body(self, collection_id: int, name: str) -> tuple[Item, bytes] | None:
        """One item and its bytes. Raises Damaged when the bytes do not match their digest."""
        return next(self.items_with_bodies(collection_id, [name]), None)

    def items(self, collection_id: int) -> Iterator[Item]:
        """All items, by name."""
        for _, (item, _index) in sorted(self._state.items.get(collection_id, {}).items()):
            yield item

    def items_with_bodies(self, collection_id: int, names: Sequence[str] | None = None) -> Iterator[tuple[Item, bytes]]:
        """Items (all, or those of `names` that exist) with their bytes, by name. Raises Damaged."""
        for item in self.items(collection_id):
            if names is None or item.name in names:
                body = self.content(item.digest)
                if body is None:
                    raise Damaged(f"the bytes of {item.digest} were erased, and an item still has them")
                yield item, body

    def uid_holder(self, collection_id: int, uid: str) -> Item | None:
        """The item that has this UID."""
        return next((item for item in self.items(collection_id) if uid and item.uid == uid), None)

    def changes(self, collection_id: int, after: int, limit: int) -> list[Change]:
        """What changed after sequence `after`, at most `limit` names, oldest change first."""
        then, last = self._names_then(collection_id, after)
        found = []
        for name, sequence in sorted(last.items(), key=lambda pair: pair[1]):
            item = self.item(collection_id, name)
            if item is not None or name in then:
                found.append(Change(name, sequence, item))
        return found[:limit]

    def _names_then(self, collection_id: int, after: int) -> tuple[set[str], dict[str, int]]:
        """The names that had an item at `after`, and the last change of each name since."""
        made = next((one for one in self._state.collections.values() if one.id == collection_id), None)
        then: set[str] = set()
        last: dict[str, int] = {}
        for record in self._state.journal[collection_id:]:
            facts = record.facts
            if made is None or (facts.kind, facts.collection) != (made.kind, made.name) or not facts.name:
                continue
            if facts.seq > after:
                last[facts.name] = facts.seq
            elif facts.op is Op.PUT:
                then.add(facts.name)
            else:
                then.discard(facts.name)
        return then, last

    def in_span(self, collection_id: int, query: SpanQuery) -> list[tuple[Item, bool]]:
        """Items whose span may overlap the query's, by name, each with whether its span is exact."""
        found = []
        for _, (item, index) in sorted(self._state.items.get(collection_id, {}).items()):
            if index.span_start is None or index.span_end is None:
                continue
            if query.component not in {None, index.component}:
                continue
            if index.span_end > query.start and index.span_start < query.end:
                found.append((item, index.span_exact))
        return found

    def search_texts(self, collection_id: int, needles: Sequence[str]) -> list[tuple[str, str]]:
        """(item name, search text) of the items whose search text has at least one of `needles` (none: all)."""
        ordered = sorted(self._state.items.get(collection_id, {}).items())
        texts = [(name, index.search_text) for name, (_, index) in ordered if index.search_text]
        return [(name, text) for name, text in texts if not needles or any(one in text for one in needles)]

    def records(self, after: int = 0, *, collection: tuple[Home, str] | None = None) -> Iterator[Record]:
        """The journal after sequence `after`, in order; of one collection name when asked."""
        for record in self._state.journal[after:]:
            kind = record.facts.kind
            place = None if kind is None else (HOME_OF[kind], record.facts.collection)
            if collection is None or collection == place:
                yield record

    def sequence_at(self, moment: str) -> int:
        """The last sequence whose record's moment is not after `moment`; 0 when there is none."""
        return max((one.facts.seq for one in self._state.journal if one.facts.at <= moment), default=0)

    def carried(self, after: int = 0) -> Iterator[Carried]:
        """The journal after sequence `after`, each put with its bytes unless one before it here had them."""
        brought: set[Digest] = set()
        for record in self.records(after):
            digest = record.facts.digest
            if digest is None or digest in brought:
                yield Carried(record)
                continue
            if digest in self._state.erased:
                yield Carried(record, erased=True)
                continue
            brought.add(digest)
            yield Carried(record, self.content(digest))

    def lacking(self) -> Iterator[Digest]:
        """Digests that records here name and whose bytes are not here."""
        here = self._state.contents.keys() | self._state.erased
        named = dict.fromkeys(one.facts.digest for one in self._state.journal)
        return (digest for digest in named if digest is not None and digest not in here)

    def is_erased(self, digest: Digest) -> bool:
        """Whether these bytes were here and were erased."""
        return digest in self._state.erased

    def held(self) -> Mapping[Kind, str]:
        """Kinds that are not whole at the moment, and why."""
        return dict(self._state.held)

    def content(self, digest: Digest) -> bytes | None:
        """Bytes by digest, of items past and present. Raises Damaged when they do not match it."""
        body = self._state.contents.get(digest)
        if body is None and digest in self.lacking():
            raise Damaged(f"the bytes of {digest} are missing")
        if body is not None and digest_of(body) != digest:
            raise Damaged(f"the bytes of {digest} do not match their digest")
        return body
