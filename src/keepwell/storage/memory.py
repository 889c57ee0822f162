"""The store in memory: a fake for tests that passes the same contract suite, and the reference that `check` replays.

A snapshot is the state as it was: a transaction works on a copy and puts it in place at its end.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace

from keepwell.ground.clock import Clock, SystemClock, render_moment
from keepwell.ground.entropy import Entropy, SystemEntropy, base32_word
from keepwell.model.errors import AlreadyThere, Damaged, NotThere
from keepwell.model.ledger import LedgerEntry
from keepwell.model.names import HOME_OF, AccountId, Digest, Home, Kind, Lineage
from keepwell.model.record import GENESIS, Facts, Op, Record, digest_of, seal
from keepwell.storage.contract import (
    NO_INDEX,
    Change,
    Collection,
    Entry,
    Head,
    Index,
    Item,
    Snapshot,
    SpanQuery,
    Verdict,
    Work,
)


class MemoryBlobs:
    """Blobs in a dictionary."""

    def __init__(self) -> None:
        """Empty."""
        self._bodies: dict[Digest, bytes] = {}

    def put(self, body: bytes) -> Digest:
        """Keep `body`."""
        digest = digest_of(body)
        self._bodies[digest] = body
        return digest

    def read(self, digest: Digest) -> bytes:
        """The bytes. Raises NotThere, or Damaged when they do not match."""
        if digest not in self._bodies:
            raise NotThere(f"there is no blob {digest}")
        if digest_of(self._bodies[digest]) != digest:
            raise Damaged(f"blob {digest} does not match its digest")
        return self._bodies[digest]

    def digests(self) -> Iterable[Digest]:
        """All that are held, in order."""
        return sorted(self._bodies)


@dataclass(slots=True)
class _State:
    """Everything of one account."""

    account: AccountId
    lineage: Lineage
    journal: list[Record] = field(default_factory=list)
    contents: dict[Digest, bytes] = field(default_factory=dict)
    collections: dict[tuple[Home, str], Collection] = field(default_factory=dict)
    items: dict[int, dict[str, tuple[Item, Index]]] = field(default_factory=dict)
    ledger: dict[Kind, LedgerEntry] = field(default_factory=dict)

    def copied(self) -> _State:
        twin = copy(self)
        twin.journal = list(self.journal)
        twin.contents = dict(self.contents)
        twin.collections = dict(self.collections)
        twin.items = {number: dict(items) for number, items in self.items.items()}
        twin.ledger = dict(self.ledger)
        return twin


class MemorySnapshot:
    """A consistent view of one account's state."""

    def __init__(self, state: _State) -> None:
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
                    raise Damaged(f"the bytes of {item.digest} are missing")
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

    def content(self, digest: Digest) -> bytes | None:
        """Bytes by digest, of items past and present. Raises Damaged when they do not match it."""
        body = self._state.contents.get(digest)
        if body is not None and digest_of(body) != digest:
            raise Damaged(f"the bytes of {digest} do not match their digest")
        return body


class MemoryTransaction(MemorySnapshot):
    """A batch of works on a copy of the state."""

    def __init__(self, state: _State, clock: Clock) -> None:
        """On a state that nobody else sees."""
        super().__init__(state)
        self._clock = clock
        self._before: _State | None = None

    @property
    def state(self) -> _State:
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
            return error

    def append(self, entry: Entry, body: bytes | None = None, index: Index = NO_INDEX) -> Record:
        """Add a record and bring every projection to it."""
        if self._before is None:
            self._before = self._state.copied()
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
        self._keep_content(entry, body)
        record = seal(facts)
        self.replay(record, index)
        return record

    def _keep_content(self, entry: Entry, body: bytes | None) -> None:
        if entry.op is not Op.PUT:
            return
        if entry.digest is None or (body is None and entry.digest not in self._state.contents):
            raise ValueError(f"a put of {entry.digest} needs its bytes: they are not held")
        if body is not None:
            self._state.contents.setdefault(entry.digest, body)

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


class MemoryAccount:
    """One account in memory."""

    def __init__(self, account: AccountId, lineage: Lineage, clock: Clock) -> None:
        """Empty."""
        self._state = _State(account, lineage)
        self._clock = clock
        self._lock = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[Snapshot]:
        """A snapshot; may be taken on any thread, many at once."""
        yield MemorySnapshot(self._state)

    def read_item(self, home: Home, collection: str, name: str) -> tuple[Item, bytes] | None:
        """One item and its bytes. Raises Damaged when the bytes do not match their digest."""
        with self.reading() as snapshot:
            found = snapshot.collection(home, collection)
            return None if found is None else snapshot.item_with_body(found.id, name)

    def version(self) -> int:
        """A number that is another one after every commit."""
        return len(self._state.journal)

    def transact(self, works: Sequence[Work]) -> list[Verdict]:
        """Run the works in order; what they came to is put in place at once."""
        with self._lock:
            transaction = MemoryTransaction(self._state.copied(), self._clock)
            verdicts = [transaction.run(work) for work in works]
            self._state = transaction.state
            return verdicts


class MemoryStore:
    """All accounts in memory."""

    def __init__(self, clock: Clock | None = None, entropy: Entropy | None = None) -> None:
        """Empty."""
        self._clock = clock or SystemClock()
        self._entropy = entropy or SystemEntropy()
        self._accounts: dict[AccountId, MemoryAccount] = {}

    def accounts(self) -> list[AccountId]:
        """Every account, in order."""
        return sorted(self._accounts)

    def account(self, account: AccountId) -> MemoryAccount:
        """The account. Raises NotThere."""
        if account not in self._accounts:
            raise NotThere(f"there is no account {account}")
        return self._accounts[account]

    def create(self, account: AccountId, works: Sequence[Work] = ()) -> MemoryAccount:
        """Make the account, whole or not at all, with these works done. Raises AlreadyThere."""
        if account in self._accounts:
            raise AlreadyThere(f"there is an account {account} already")
        made = MemoryAccount(account, Lineage(base32_word(self._entropy, 80)), self._clock)
        for verdict in made.transact(works):
            if isinstance(verdict, BaseException):
                raise verdict
        self._accounts[account] = made
        return made

    def close(self) -> None:
        """Nothing to let go of."""


def replayed(account: AccountId, lineage: Lineage, records: Iterable[Record]) -> MemorySnapshot:
    """What these records come to, without any bytes."""
    transaction = MemoryTransaction(_State(account, lineage), SystemClock())
    for record in records:
        transaction.replay(record)
    return MemorySnapshot(transaction.state)
