"""Writing an account's state in memory: the `Transaction` half of the contract, and the replay for `check`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import msgspec

from keepwell.ground.clock import Clock, SystemClock, render_moment
from keepwell.model.errors import AlreadyThere
from keepwell.model.ledger import LedgerEntry
from keepwell.model.names import HOME_OF, AccountId, Digest, Lineage
from keepwell.model.record import Facts, Op, Properties, Record, digest_of, seal
from keepwell.storage.carrying import check_carried, unfit
from keepwell.storage.contract import NO_INDEX, Carried, Collection, Entry, Index, Indexer, Item, Verdict, Work
from keepwell.storage.memory_snapshot import MemorySnapshot, State


class MemoryTransaction(MemorySnapshot):
    """A batch of works on a copy of the state."""

    def __init__(self, state: State, clock: Clock) -> None:
        """On a state that nobody else sees."""
        super().__init__(state)
        self._clock = clock
        self._before: State | None = None
        self._appended_before = 0
        self.appended: list[Carried] = []
        """What the works appended, with the bytes that were not held before."""

    @property
    def state(self) -> State:
        """What the works came to."""
        return self._state

    def run(self, work: Work) -> Verdict:
        """Do one work: its result, or the exception that it raised with all it appended undone."""
        self._before = None
        try:
            return work(self)
        except Exception as error:  # whatever a work raises is its own verdict
            if self._before is not None:
                self._state = self._before
                del self.appended[self._appended_before :]
            return error

    def append(self, entry: Entry, body: bytes | None = None, index: Index = NO_INDEX) -> Record:
        """Add a record and bring every projection to it."""
        self._begin_work()
        head = self.head()
        facts = Facts(
            account=self._state.account,
            at=render_moment(self._clock.now()),
            by=entry.by,
            collection=entry.collection,
            digest=entry.digest,
            kind=entry.kind,
            lineage=self._state.lineage,
            media_type=entry.media_type,
            name=entry.name,
            op=entry.op,
            prev=head.hash,
            properties=entry.properties,
            seq=head.sequence + 1,
            size=entry.size,
            uid=entry.uid,
        )
        is_new = entry.op is Op.PUT and self._keep_content(entry.digest, body)
        record = seal(facts)
        self.replay(record, index)
        self.appended.append(Carried(record, body if is_new else None))
        return record

    def begin_lineage(self, lineage: Lineage, by: str, properties: Properties) -> Record:
        """Begin a new history with an `open` record in it, which says in `properties` why."""
        self._begin_work()
        self._state.lineage = lineage
        return self.append(Entry(Op.OPEN, by, properties=properties))

    def _begin_work(self) -> None:
        """Before the first change of a work: what it must be undone to."""
        if self._before is None:
            self._before = self._state.copied()
            self._appended_before = len(self.appended)

    def extend(self, carried: Iterable[Carried], indexer: Indexer, *, may_lack: bool = False) -> None:
        """Take records that another copy sealed, and bring every projection and the lineage to them. Raises Damaged."""
        for one in carried:
            journal = self._state.journal
            check_carried(self._state.account, journal[-1] if journal else None, one)
            try:
                self._take(one, indexer, may_lack=may_lack)
            except (ValueError, AlreadyThere) as error:
                raise unfit(one.record, error) from error

    def _take(self, carried: Carried, indexer: Indexer, *, may_lack: bool) -> None:
        facts, index = carried.record.facts, NO_INDEX
        if facts.op is Op.PUT and facts.kind is not None and facts.digest is not None:
            if carried.erased and facts.digest not in self._state.contents:
                self._state.erased.add(facts.digest)
            elif not carried.erased and (carried.body is not None or not may_lack):
                self._keep_content(facts.digest, carried.body)
            if facts.digest in self._state.contents:
                index = indexer(HOME_OF[facts.kind], self._state.contents[facts.digest])
            elif carried.erased:
                index = indexer(HOME_OF[facts.kind], b"")
        self.replay(carried.record, index)
        self._state.lineage = facts.lineage

    def supply(self, body: bytes, indexer: Indexer) -> None:
        """Take bytes that a record names, and bring the indexes of items to them."""
        digest = digest_of(body)
        if digest in self._state.erased or all(one.facts.digest != digest for one in self._state.journal):
            return
        self._state.contents[digest] = body
        for collection in self._state.collections.values():
            items = self._state.items[collection.id]
            for name, (item, _index) in items.items():
                if item.digest == digest:
                    index = indexer(HOME_OF[collection.kind], body)
                    items[name] = (msgspec.structs.replace(item, component=index.component), index)

    def _keep_content(self, digest: Digest | None, body: bytes | None) -> bool:
        """Whether the bytes were not held before."""
        if digest in self._state.contents:
            return False
        if digest is None or body is None:
            raise ValueError(f"a put of {digest} needs its bytes: they are not held")
        self._state.contents[digest] = body
        self._state.erased.discard(digest)
        return True

    def replay(self, record: Record, index: Index = NO_INDEX) -> None:
        """Take a record that is already sealed and bring every projection to it."""
        match record.facts.op:
            case Op.PUT:
                self._replay_put(record.facts, index)
            case Op.REMOVE:
                self._replay_remove(record.facts)
            case Op.MAKE:
                self._replay_make(record.facts)
            case Op.SET:
                collection = self._collection_of(record.facts)
                self._note(replace(collection, properties=record.facts.properties or {}), record.facts)
            case Op.DROP:
                self._replay_drop(record.facts)
            case Op.OPEN | Op.CLOSE:
                pass
        self._state.journal.append(record)

    def _collection_of(self, facts: Facts) -> Collection:
        found = None if facts.kind is None else self.collection(HOME_OF[facts.kind], facts.collection)
        if found is None or found.kind is not facts.kind:
            raise ValueError(f"there is no {facts.kind} collection {facts.collection!r}")
        return found

    def _replay_put(self, facts: Facts, index: Index) -> None:
        collection = self._collection_of(facts)
        old = self.item(collection.id, facts.name)
        if facts.digest is None or facts.size is None:
            raise ValueError("a put needs a digest and a size")
        item = Item(
            collection.id,
            facts.name,
            facts.seq,
            facts.uid,
            facts.media_type,
            facts.digest,
            facts.size,
            facts.at if old is None else old.created,
            facts.at,
            index.component,
            facts.properties,
        )
        self._state.items[collection.id][facts.name] = (item, index)
        self._note(collection, facts, gone=old, come=item)

    def _replay_remove(self, facts: Facts) -> None:
        collection = self._collection_of(facts)
        old = self.item(collection.id, facts.name)
        if old is None:
            raise ValueError(f"there is no item {facts.collection}/{facts.name}")
        del self._state.items[collection.id][facts.name]
        self._note(collection, facts, gone=old)

    def _replay_make(self, facts: Facts) -> None:
        if facts.kind is None:
            raise ValueError("a collection needs a kind")
        if (HOME_OF[facts.kind], facts.collection) in self._state.collections:
            raise AlreadyThere(f"there is a collection {facts.collection} already")
        made = Collection(facts.seq, facts.kind, facts.collection, facts.properties or {}, facts.seq, 0, 0)
        self._state.items[made.id] = {}
        self._note(made, facts)

    def _replay_drop(self, facts: Facts) -> None:
        collection = self._collection_of(facts)
        for item in list(self.items(collection.id)):
            self._note(collection, facts, gone=item)
        self._note(collection, facts)
        del self._state.items[collection.id]
        del self._state.collections[HOME_OF[collection.kind], collection.name]

    def _note(
        self, collection: Collection, facts: Facts, *, gone: Item | None = None, come: Item | None = None
    ) -> None:
        """Count an item that went and one that came, in the collection and the ledger."""
        count, octets = collection.count, collection.octets
        entry = self._state.ledger.get(collection.kind, LedgerEntry(collection.kind))
        if gone is not None:
            entry = entry.without_item(collection.name, gone.name, gone.digest)
            count, octets = count - 1, octets - gone.size
        if come is not None:
            entry = entry.with_item(collection.name, come.name, come.digest)
            count, octets = count + 1, octets + come.size
        self._state.ledger[collection.kind] = replace(entry, seq=facts.seq)
        self._state.collections[HOME_OF[collection.kind], collection.name] = replace(
            collection, sequence=facts.seq, count=count, octets=octets
        )


def replaying(account: AccountId, lineage: Lineage) -> MemoryTransaction:
    """An account that comes to what is given to its `replay`, record by record, without any bytes."""
    return MemoryTransaction(State(account, lineage), SystemClock())


def replayed(account: AccountId, lineage: Lineage, records: Iterable[Record]) -> MemorySnapshot:
    """What these records come to, without any bytes."""
    transaction = replaying(account, lineage)
    for record in records:
        transaction.replay(record)
    return MemorySnapshot(transaction.state)
