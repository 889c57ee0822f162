"""One account of a restore: its journal and all bytes in it, proven; then its large bytes, in portions.

States of an account, and what a crash leaves:

1. nothing: its file is being built under a temporary name, which the next run clears away;
2. whole but for large bytes: its file appeared, synced; the next run finds it, proves it again, and goes on here;
3. whole: each portion of large bytes is kept, synced, before the next; what is there is not fetched again.

Nothing here decides what a loss means: what did not come back is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

import msgspec

from keepwell.model.errors import Damaged, Forked, NotThere, StorageFault
from keepwell.model.names import AccountId, Digest, Kind
from keepwell.model.record import Op
from keepwell.services.indexing import index_again
from keepwell.services.restoring.behind import facts_behind, gaps_of, latest, lost_items
from keepwell.services.restoring.proof import Proof, prove
from keepwell.storage.contract import AccountStore, Carried, Head, Snapshot, Store
from keepwell.vault.catalogue import NOTHING
from keepwell.vault.loss import Expected, Gap, LostItem, ObjectFault
from keepwell.vault.pack import LedgerNote
from keepwell.vault.reading import Bodies, Fault, Findings, FoundLine, erasures_in, read_lines
from keepwell.vault.restore_plan import Note
from keepwell.vault.vault import Vault


class AccountTask(msgspec.Struct, frozen=True):
    """An account to restore, and everything that its copies noted of its end."""

    account: AccountId
    notes: tuple[Note, ...]
    may_replace: bool
    """Whether what an earlier run made may be set aside for something longer."""


class Deferred(msgspec.Struct, frozen=True):
    """A put whose bytes are not in the store yet; `vault` and `blob` say which object should have them, if any."""

    kind: Kind
    collection: str
    name: str
    seq: int
    at: str
    size: int
    digest: Digest
    vault: str
    blob: str | None


class RestoredAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an account; without a record there is no file of it."""

    account: AccountId
    head: Head
    ledger: dict[Kind, LedgerNote]
    expected_seq: int
    expected_ledger: dict[Kind, LedgerNote]
    expected_ledger_seq: int
    """After which record that ledger was noted."""
    deferred: tuple[Deferred, ...] = ()
    behind: tuple[LostItem, ...] = ()
    gaps: tuple[Gap, ...] = ()
    faults: tuple[ObjectFault, ...] = ()

    @property
    def is_proven(self) -> bool:
        """Whether the journal is the one that was expected, and leads to the ledger that was."""
        ledger = self.expected_ledger
        return self.expected_seq <= self.head.sequence and (not ledger or ledger == self.ledger)

    @property
    def expected(self) -> Expected:
        """As a loss report wants it."""
        return Expected(self.account, self.expected_seq, self.expected_ledger, self.expected_ledger_seq)


class Portion(msgspec.Struct, frozen=True):
    """Large bytes of one account that are fetched together."""

    account: AccountId
    wanted: tuple[Deferred, ...]


class Fetched(msgspec.Struct, frozen=True):
    """What came of a portion: how many of how many bytes, and of which records nothing has them."""

    account: AccountId
    count: int
    octets: int
    missing: tuple[Deferred, ...] = ()
    faults: tuple[ObjectFault, ...] = ()


def restore_account(store: Store, vaults: Sequence[Vault], task: AccountTask) -> RestoredAccount:
    """Bring one account's journal back, or find it there from an earlier run, and prove it.

    Raises Damaged (the records prove themselves and yet do not fit: nothing is made), Locked, StorageFault.
    """
    try:
        found = _found(store, vaults, task)
    except (Damaged, StorageFault):
        if not task.may_replace:
            raise
        found = None
    if found is not None:
        return found
    with suppress(NotThere):
        store.set_aside(task.account)
    stream = _Stream(vaults, task.account)
    place = _made(store, stream)
    return _nothing(task, stream) if place is None else _proven(place, task, vaults, stream)


def fetch(store: Store, bodies: Bodies, findings: Findings, portion: Portion) -> Fetched:
    """Bring these large bytes from whichever vault has them. Raises Locked, StorageFault."""
    missing, octets = list[Deferred](), 0
    place = store.account(portion.account)
    for one in portion.wanted:
        body = bodies.find(one.digest, one.vault, one.blob)
        if body is None:
            missing.append(one)
        else:
            place.supply([body], index_again)
            octets += len(body)
    faults = tuple(map(_object_fault, findings.faults))
    findings.faults.clear()
    return Fetched(portion.account, len(portion.wanted) - len(missing), octets, tuple(missing), faults)


class _Stream:
    """The account's lines on their way into the store. What it passes over and what it defers is known at the end."""

    def __init__(self, vaults: Sequence[Vault], account: AccountId) -> None:
        self.account = account
        self.findings = Findings()
        self.deferred: dict[Digest, Deferred] = {}
        self.vaults = vaults
        self._brought = set[Digest]()

    def carried(self) -> Iterator[Carried]:
        for found in read_lines(self.vaults, self.account, findings=self.findings):
            line = found.line
            if line.record.facts.op is Op.PUT:
                if self._is_erased(found):
                    yield Carried(line.record, erased=True)
                    continue
                self._note(found)
            yield Carried(line.record, line.body, proven=not line.strange)

    def leads_beyond(self, head: Head) -> bool:
        """Whether the vaults have a record that follows."""
        return next(read_lines(self.vaults, self.account, head, self.findings), None) is not None

    def find_lacking(self, lacking: set[Digest]) -> None:
        """Read the lines again, for the objects that should have these bytes."""
        if lacking:
            for _carried in self.carried():
                pass
            self.deferred = {digest: one for digest, one in self.deferred.items() if digest in lacking}

    def of_its_history(self, notes: Iterable[Note]) -> list[Note]:
        """The notes but those of objects that were found to be of another history."""
        forked = {(fault.vault, fault.name) for fault in self.findings.faults if isinstance(fault.error, Forked)}
        return [note for note in notes if (note.vault, note.name) not in forked]

    def _is_erased(self, found: FoundLine) -> bool:
        """Whether the line brings nothing, no line before it did, and an order says why."""
        line = found.line
        if line.body is not None or line.blob is not None or line.record.facts.digest in self._brought:
            return False
        return erasures_in(self.vaults).names(line.record.facts)

    def _note(self, found: FoundLine) -> None:
        facts, line = found.line.record.facts, found.line
        if facts.digest is None or facts.kind is None or facts.digest in self._brought:
            return
        self._brought.add(facts.digest)
        if line.body is None:
            self.deferred[facts.digest] = Deferred(
                facts.kind,
                facts.collection,
                facts.name,
                facts.seq,
                facts.at,
                facts.size or 0,
                facts.digest,
                found.vault.name,
                line.blob,
            )


def _found(store: Store, vaults: Sequence[Vault], task: AccountTask) -> RestoredAccount | None:
    """What an earlier run made, proven; None when there is nothing, or the vaults that are read now have more of it."""
    stream = _Stream(vaults, task.account)
    try:
        place = store.account(task.account)
    except NotThere:
        return None
    with place.reading() as snapshot:
        head, lacking = snapshot.head(), set(snapshot.lacking())
    if task.may_replace and stream.leads_beyond(head):
        return None
    stream.find_lacking(lacking)
    return _proven(place, task, vaults, stream)


def _made(store: Store, stream: _Stream) -> AccountStore | None:
    """The account from its records; None when there is not a single one."""
    carried = stream.carried()
    first = next(carried, None)
    if first is None:
        return None
    return store.restore(stream.account, _again(first, carried), index_again, may_lack=True)


def _again(first: Carried, rest: Iterator[Carried]) -> Iterator[Carried]:
    yield first
    yield from rest


def _proven(place: AccountStore, task: AccountTask, vaults: Sequence[Vault], stream: _Stream) -> RestoredAccount:
    with place.reading() as snapshot:
        return _told(snapshot, prove(snapshot, stream.of_its_history(task.notes)), vaults, stream)


def _told(snapshot: Snapshot, proof: Proof, vaults: Sequence[Vault], stream: _Stream) -> RestoredAccount:
    expected, head = proof.expected, proof.head
    breaks_off = expected.seq > head.sequence
    behind = facts_behind(vaults, stream.account, head.sequence) if breaks_off else []
    end = next(snapshot.records(head.sequence - 1), None)
    contradictions = [
        ObjectFault(note.vault, note.name, f"it says that record {note.head.sequence} of {stream.account} is another")
        for note in proof.contradictions
    ]
    return RestoredAccount(
        account=stream.account,
        head=head,
        ledger=dict(proof.ledger),
        expected_seq=expected.seq,
        expected_ledger=dict(expected.ledger),
        expected_ledger_seq=expected.seq if expected.ledger_seq is None else expected.ledger_seq,
        deferred=tuple(stream.deferred.values()),
        behind=tuple(lost_items(behind, snapshot)),
        gaps=tuple(gaps_of(behind, end.facts if end else None, expected.seq)) if breaks_off else (),
        faults=(*map(_object_fault, stream.findings.faults), *contradictions),
    )


def _nothing(task: AccountTask, stream: _Stream) -> RestoredAccount:
    notes = stream.of_its_history(task.notes)
    seq = max((note.head.sequence for note in notes), default=0)
    behind = facts_behind(stream.vaults, task.account, 0)
    ledger = next((note.ledger for note in notes if note.head.sequence == seq and note.ledger is not None), {})
    return RestoredAccount(
        account=task.account,
        head=NOTHING,
        ledger={},
        expected_seq=seq,
        expected_ledger=dict(ledger),
        expected_ledger_seq=seq,
        behind=tuple(latest(behind).lost({})),
        gaps=tuple(gaps_of(behind, None, seq)),
        faults=tuple(map(_object_fault, stream.findings.faults)),
    )


def _object_fault(fault: Fault) -> ObjectFault:
    return ObjectFault(fault.vault, fault.name, fault.error.message)
