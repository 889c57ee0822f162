"""What is left of one account, over all copies together: here, in a vault, or nowhere.

Everything is proven anew. The records that count are the longest run from the first that proves itself, each from the
store's journal or, where that is damaged or ends, from the vaults; the bytes that count match their digest. What an
item comes to:

    here        the store has its record and its bytes
    elsewhere   the store lacks one of them, and a vault has it
    incomplete  its record is proven, its bytes are nowhere
    lost        the copies' ledgers count it, or a record behind a gap names it, and nothing leads to it

When the run breaks off before the last record that any copy knows of, and the store's own journal goes on behind the
break, what the store lists now is taken for what is left: it is served. The ledgers say whether that is all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from keepwell.model.erasures import NO_ERASURES
from keepwell.model.errors import NotThere
from keepwell.model.ledger import LedgerEntry
from keepwell.model.names import AccountId, Digest, Kind
from keepwell.model.record import Facts, Op, Record, digest_of, seal
from keepwell.services.check import readable_records
from keepwell.services.restoring.behind import Key, facts_behind, gaps_of, latest, lost_version
from keepwell.storage.contract import Head, Item, Snapshot, Store
from keepwell.storage.memory_transaction import replayed
from keepwell.storage.sqlite_audit import reading_unproven
from keepwell.vault.catalogue import NOTHING
from keepwell.vault.loss import AccountLoss, Expected, Fate, LostItem, ObjectFault, There, loss_of
from keepwell.vault.pack import LedgerNote, note_of
from keepwell.vault.reading import Bodies, Findings, erasures_in, read_lines
from keepwell.vault.vault import Vault

STORE: Final = "store"
"""How the live copy is called among the others."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a copy says of an account's end, proven by nothing; `hash` and `ledger` as far as it says them."""

    copy: str
    name: str
    sequence: int
    hash: str | None = None
    ledger: Mapping[Kind, LedgerNote] | None = None


@dataclass(frozen=True, slots=True)
class Assessed:
    """What came of one account, and what was passed over on the way."""

    loss: AccountLoss
    faults: tuple[ObjectFault, ...]


@dataclass(slots=True)
class Own:
    """What the store has of an account, as far as it can be read; records prove themselves, each alone."""

    snapshot: Snapshot | None = None
    records: dict[int, Record] = field(default_factory=dict)
    faults: list[ObjectFault] = field(default_factory=list)

    def has_bytes(self, digest: Digest) -> bool:
        """Whether the bytes are here and prove themselves."""
        if self.snapshot is None:
            return False
        try:
            body = self.snapshot.content(digest)
        except Exception as error:  # a flipped bit can raise anything
            self.tell(f"bytes {digest}", str(error))
            return False
        return body is not None and digest_of(body) == digest

    def is_erased(self, digest: Digest) -> bool:
        """Whether the bytes were here and were erased for good."""
        with suppress(Exception):  # what is damaged says nothing
            return self.snapshot is not None and self.snapshot.is_erased(digest)
        return False

    def tell(self, name: str, message: str) -> None:
        """Something here that cannot be used."""
        self.faults.append(ObjectFault(STORE, name, message))

    def held(self) -> dict[Kind, str]:
        """Kinds that are not served, and why."""
        with suppress(Exception):  # what is damaged says nothing
            return dict(self.snapshot.held()) if self.snapshot else {}
        return {}

    def said(self) -> Iterator[Said]:
        """What the store itself says of its end: its last record, and its ledger, which may know of a later one."""
        last = max(self.records, default=0)
        if last:
            yield Said(STORE, "its journal", last, self.records[last].hash)
        ledger: dict[Kind, LedgerNote] = {}
        with suppress(Exception):  # what is damaged says nothing
            ledger = note_of(self.snapshot.ledger()) if self.snapshot else {}
        if ledger:
            yield Said(STORE, "its ledger", max(last, *(note[0] for note in ledger.values())), None, ledger)


@contextmanager
def own_of(store: Store, account: AccountId) -> Iterator[Own]:
    """The account in the store, as it is now; whatever is wrong with it is told and survived."""
    own = Own()
    with ExitStack() as stack:
        try:
            place = store.account(account)
            own.snapshot = stack.enter_context(reading_unproven(place))
            for record in readable_records(own.snapshot, own.tell):
                if seal(record.facts).hash == record.hash:
                    own.records[record.facts.seq] = record
                else:
                    own.tell(f"record {record.facts.seq}", "its hash does not match its fields")
        except NotThere:
            own.tell(account, "its file is not here")
        except Exception as error:  # a damaged file can raise anything when it is opened
            own.tell(account, str(error))
        yield own


def assess(own: Own, vaults: Sequence[Vault], account: AccountId, said: Iterable[Said], login: str = "") -> Assessed:
    """What is left of an account, and what is not. Raises Locked, StorageFault of a vault."""
    findings = Findings()
    united = unite(own, vaults, account, findings)
    expected, forks = _expected(account, united, [*said, *own.said()])
    behind = _behind(own, vaults, account, united.last) if expected.seq > united.last else []
    left = _left(own, united, account)
    after = latest(facts for facts in behind if facts.seq > left.sequence)
    digests = {key: item.digest for key, item in left.items.items()}
    left = replace(left, items={key: one for key, one in left.items.items() if not after.is_past(key, one.digest)})
    there = There(
        left.sequence,
        _like(_ledger(left.items), expected.ledger),
        list(_lacking(own, united, left, vaults, Bodies(vaults, account, findings))),
        united.last - len(united.here),
    )
    end = united.records[-1].facts if united.records else None
    gaps = gaps_of(behind, end, expected.seq) if expected.seq > united.last else ()
    loss = loss_of(expected, there, login, after.lost(digests), gaps)
    loss = msgspec.structs.replace(loss, forks=tuple(sorted({one.copy for one in forks})), held=own.held())
    faults = [ObjectFault(fault.vault, fault.name, fault.error.message) for fault in findings.faults]
    return Assessed(loss, (*own.faults, *faults, *forks))


@dataclass(slots=True)
class United:
    """The longest run from the first record that proves itself; `here` are the numbers that the store has as well."""

    records: list[Record] = field(default_factory=list)
    here: set[int] = field(default_factory=set)

    @property
    def last(self) -> int:
        """The last record of the run."""
        return len(self.records)

    @property
    def head(self) -> Head:
        """Where the run ends."""
        return Head(self.last, self.records[-1].hash) if self.records else NOTHING

    def add(self, record: Record, own: Record | None) -> None:
        """The next record, and what the store has under its number."""
        self.records.append(record)
        if own is not None and own.hash == record.hash:
            self.here.add(record.facts.seq)


def unite(own: Own, vaults: Sequence[Vault], account: AccountId, findings: Findings) -> United:
    """The store's records as far as they lead, then the vaults', and so on. Raises Locked, StorageFault."""
    united = United()
    reached = -1
    while reached < united.last:
        reached = united.last
        record = own.records.get(united.last + 1)
        while record is not None and record.facts.prev == united.head.hash:
            united.add(record, record)
            record = own.records.get(united.last + 1)
        for found in read_lines(vaults, account, united.head, findings):
            united.add(found.line.record, own.records.get(found.line.record.facts.seq))
    return united


def _expected(account: AccountId, united: United, said: Sequence[Said]) -> tuple[Expected, list[ObjectFault]]:
    """How far the account went and what it came to, and which copies say that a record is another."""
    forks = [
        ObjectFault(one.copy, one.name, f"it says that record {one.sequence} of {account} is another")
        for one in said
        if 0 < one.sequence <= united.last and one.hash not in {None, united.records[one.sequence - 1].hash}
    ]
    beyond = [one for one in said if one.sequence > united.last]
    counted = [one for one in beyond if one.ledger is not None]
    newest = max(counted, key=lambda one: one.sequence, default=None)
    last = max([united.last, *(one.sequence for one in beyond)])
    if newest is None or newest.ledger is None:
        return Expected(account, last, _replayed_ledger(account, united), united.last), forks
    return Expected(account, last, newest.ledger, newest.sequence), forks


def _replayed_ledger(account: AccountId, united: United) -> dict[Kind, LedgerNote]:
    return note_of(_replayed(account, united).ledger()) if united.records else {}


def _replayed(account: AccountId, united: United) -> Snapshot:
    return replayed(account, united.records[-1].facts.lineage, united.records)


def _behind(own: Own, vaults: Sequence[Vault], account: AccountId, sequence: int) -> list[Facts]:
    """Every record behind the run that proves itself alone."""
    found = {facts.seq: facts for facts in facts_behind(vaults, account, sequence)}
    found |= {seq: record.facts for seq, record in own.records.items() if seq > sequence}
    return [found[seq] for seq in sorted(found)]


@dataclass(frozen=True, slots=True)
class _Left:
    """Items as they were after record `sequence`, as far as that is known; `listed` when the store lists them so."""

    sequence: int
    items: Mapping[Key, Item]
    listed: bool


def _left(own: Own, united: United, account: AccountId) -> _Left:
    """The newest state that is known: what the run comes to, or where the store goes on behind it, what it lists."""
    end = max(own.records, default=0)
    if end > united.last and own.snapshot is not None:
        with suppress(Exception):  # the rows are damaged as well
            return _Left(end, _items(own.snapshot), listed=True)
    items = _items(_replayed(account, united)) if united.records else {}
    return _Left(united.last, items, listed=False)


def _items(snapshot: Snapshot) -> dict[Key, Item]:
    return {
        (collection.kind, collection.name, item.name): item
        for collection in snapshot.collections()
        for item in snapshot.items(collection.id)
    }


def _ledger(items: Mapping[Key, Item]) -> dict[Kind, LedgerEntry]:
    entries: dict[Kind, LedgerEntry] = {}
    for (kind, collection, name), item in items.items():
        if kind is not None:
            entries[kind] = entries.get(kind, LedgerEntry(kind)).with_item(collection, name, item.digest)
    return entries


def _like(ledger: Mapping[Kind, LedgerEntry], expected: Mapping[Kind, LedgerNote]) -> dict[Kind, LedgerNote]:
    """What the items come to, for comparing: the record of the last change is taken from what is expected."""
    return {
        kind: (expected.get(kind, (0, 0, ""))[0], one.count, one.set_hash_text)
        for kind in ledger.keys() | expected.keys()
        for one in (ledger.get(kind, LedgerEntry(kind)),)
    }


def _lacking(own: Own, united: United, left: _Left, vaults: Sequence[Vault], bodies: Bodies) -> Iterator[LostItem]:
    """Items, and older versions, that the store does not have whole, but for bytes that were erased."""
    puts = {facts.digest: facts for facts in _puts(own, united)}
    absent = {digest for digest in puts if digest and not own.has_bytes(digest) and not own.is_erased(digest)}
    nowhere = {digest for digest in absent if bodies.find(digest, "", None) is None}
    erasures = erasures_in(vaults) if nowhere else NO_ERASURES
    erased = {digest for digest in nowhere if erasures.names(puts[digest])}
    absent, nowhere = absent - erased, nowhere - erased
    current = set[Digest]()
    for (kind, collection, name), item in left.items.items():
        current.add(item.digest)
        if item.digest in absent or not (left.listed or item.sequence in united.here):
            yield LostItem(
                kind=kind or Kind.SYSTEM,
                collection=collection,
                name=name,
                seq=item.sequence,
                at=item.modified,
                size=item.size,
                fate=Fate.INCOMPLETE if item.digest in nowhere else Fate.ELSEWHERE,
                is_current=True,
            )
    for digest in absent - current:
        fate = Fate.INCOMPLETE if digest in nowhere else Fate.ELSEWHERE
        yield lost_version(puts[digest], fate, is_current=False)


def _puts(own: Own, united: United) -> Iterator[Facts]:
    """The first put of each digest, in the run and in what the store has behind it."""
    seen = set[Digest]()
    behind = (own.records[seq] for seq in sorted(own.records) if seq > united.last)
    for record in (*united.records, *behind):
        facts = record.facts
        if facts.op is Op.PUT and facts.digest is not None and facts.digest not in seen:
            seen.add(facts.digest)
            yield facts
