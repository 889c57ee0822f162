"""Proving that a restored account is what its copies say: the head, and the ledger of what is there now.

The ledger is worked out from the items that are there, not from what the restore counted. A copy may know more records
than it noted a ledger for (those in a tail); then the journal is replayed up to the noted record, and compared there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile

from keepwell.model.errors import Damaged
from keepwell.model.ledger import SET_HASH_MODULUS, LedgerEntry, item_term
from keepwell.model.names import Kind
from keepwell.storage.contract import Head, Snapshot
from keepwell.storage.memory_transaction import replayed
from keepwell.vault.loss import Expected
from keepwell.vault.pack import LedgerNote, note_of
from keepwell.vault.restore_plan import Note, newest_note


@dataclass(frozen=True, slots=True)
class Proof:
    """What is there, what should be, and what the copies say that cannot be right."""

    head: Head
    ledger: Mapping[Kind, LedgerNote]
    expected: Expected
    contradictions: tuple[Note, ...] = field(default=())
    """Notes of the same record with another hash, or another ledger: their objects are damaged, or of a fork."""


def prove(snapshot: Snapshot, notes: Iterable[Note]) -> Proof:
    """Compare an account with the notes of its copies. Raises Damaged when its projections contradict each other."""
    head, ledger = snapshot.head(), snapshot.ledger()
    _require_counted(snapshot, ledger)
    kept, contradictions = list[Note](), list[Note]()
    for note in notes:
        wrong = note.head.sequence == head.sequence and note.head.hash != head.hash
        (contradictions if wrong else kept).append(note)
    newest = newest_note(kept)
    noted = newest_note(note for note in kept if note.ledger is not None)
    expected = _expected_ledger(snapshot, noted, note_of(ledger))
    seq = newest.head.sequence if newest else head.sequence
    at = max(noted.head.sequence if noted else 0, head.sequence)
    return Proof(head, note_of(ledger), Expected(snapshot.account(), seq, expected, at), tuple(contradictions))


def _expected_ledger(
    snapshot: Snapshot, noted: Note | None, ledger: Mapping[Kind, LedgerNote]
) -> Mapping[Kind, LedgerNote]:
    """What the ledger should be after the last record: the noted one, or that of here when it leads on from there."""
    if noted is None or noted.ledger is None:
        return {}
    sequence = noted.head.sequence
    if sequence >= snapshot.head().sequence:
        return noted.ledger
    records = takewhile(lambda record: record.facts.seq <= sequence, snapshot.records())
    then = note_of(replayed(snapshot.account(), snapshot.lineage(), list(records)).ledger())
    return ledger if then == noted.ledger else noted.ledger


def _require_counted(snapshot: Snapshot, ledger: Mapping[Kind, LedgerEntry]) -> None:
    terms: dict[Kind, list[int]] = {kind: [] for kind in ledger}
    for collection in snapshot.collections():
        kind, name = collection.kind, collection.name
        terms.setdefault(kind, []).extend(
            item_term(kind, name, item.name, item.digest) for item in snapshot.items(collection.id)
        )
    for kind, found in terms.items():
        there = ledger.get(kind)
        if there is None or (there.count, there.set_hash) != (len(found), sum(found) % SET_HASH_MODULUS):
            raise Damaged(
                f"the {kind} of {snapshot.account()} that were restored are not those that its ledger counts",
                hint="This is a fault of Keepwell. Nothing was put in place; please report it.",
            )
