"""Comparing three copies of one account: what was restored, what the vault notes, and the live store as of that record.

The live store goes on while a drill runs, so its journal is replayed up to the record with which the restored one ends,
unless both end there.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile

from keepwell.model.names import HOME_OF, AccountId, Digest, Home, Kind
from keepwell.model.record import Op
from keepwell.storage.contract import Head, Snapshot
from keepwell.storage.memory_transaction import replayed
from keepwell.vault.documents import AccountNote
from keepwell.vault.pack import LedgerNote, note_of

Contents = Mapping[Home, Mapping[str, Mapping[str, Digest]]]
"""What is in an account: homes, collections, items by name, each by its digest."""


def compare_account(restored: Snapshot, live: Snapshot, note: AccountNote | None) -> list[str]:
    """What is not the same, a sentence each. Raises Damaged, StorageFault."""
    account, head, ledger = restored.account(), restored.head(), note_of(restored.ledger())
    problems = list[str]()
    if note is not None and note.seq == head.sequence:
        if note.head != head.hash:
            problems.append(f"{account}: record {head.sequence} is another one than the vault notes")
        elif note.ledger != ledger:
            problems.append(f"{account}: the restored ledger is not the one that the vault notes")
    there = live_ledger(live, head)
    if there is None:
        problems.append(f"{account}: the store has not the record {head.sequence} with which the restored one ends")
    elif there != ledger:
        problems.append(f"{account}: the restored ledger is not that of the store after record {head.sequence}")
    return problems


def live_ledger(live: Snapshot, head: Head) -> dict[Kind, LedgerNote] | None:
    """The ledger after this record; None when the journal does not have it."""
    if live.head() == head:
        return note_of(live.ledger())
    records = list(takewhile(lambda record: record.facts.seq <= head.sequence, live.records()))
    if not records or (records[-1].facts.seq, records[-1].hash) != (head.sequence, head.hash):
        return None
    return note_of(replayed(live.account(), live.lineage(), records).ledger())


def contents_at(live: Snapshot, sequence: int) -> Contents:
    """What was in the account after this record, from the journal alone: no projection is believed."""
    found: dict[Home, dict[str, dict[str, Digest]]] = {home: {} for home in Home}
    for record in takewhile(lambda one: one.facts.seq <= sequence, live.records()):
        facts = record.facts
        if facts.kind is None:
            continue
        home = found[HOME_OF[facts.kind]]
        match facts.op:
            case Op.MAKE:
                home[facts.collection] = {}
            case Op.DROP:
                home.pop(facts.collection, None)
            case Op.PUT if facts.digest is not None:
                home[facts.collection][facts.name] = facts.digest
            case Op.REMOVE:
                home[facts.collection].pop(facts.name, None)
            case _:
                pass
    return found


def lacking_accounts(before: Mapping[AccountId, Head | Exception], vault: Mapping[AccountId, Head]) -> list[AccountId]:
    """Accounts of which the vault has less than the store had before."""
    return [
        account
        for account, head in sorted(before.items())
        if isinstance(head, Head) and head.sequence > (vault[account].sequence if account in vault else 0)
    ]
