"""Three copies of one account are compared as of one record, and whatever differs is told."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from keepwell.model.names import HOME_OF, AccountId, Home, Kind
from keepwell.model.record import Op, digest_of
from keepwell.services.drilling.ledgers import compare_account, contents_at, lacking_accounts, live_ledger
from keepwell.storage.contract import Entry, Head, Snapshot, Store, Work
from keepwell.storage.memory import MemoryStore
from keepwell.vault.documents import AccountNote
from keepwell.vault.pack import note_of
from tests.services.vault_desk import ANNA, BERT, make, put
from tests.storage.contract_suite import worded
from tests.support.clock import FakeClock, SeededEntropy


@pytest.fixture
def live() -> MemoryStore:
    store = MemoryStore(FakeClock(step_seconds=1), SeededEntropy())
    store.create(ANNA, [make(), put("bob"), put("eve")])
    return store


def copy_of(store: Store, *, last: int | None = None) -> MemoryStore:
    """Another store with the account's records up to `last`."""
    made = MemoryStore()
    with store.account(ANNA).reading() as snapshot:
        made.restore(ANNA, list(snapshot.carried())[:last], worded)
    return made


def note(snapshot: Snapshot) -> AccountNote:
    head = snapshot.head()
    return AccountNote(seq=head.sequence, head=head.hash, lineage=snapshot.lineage(), ledger=note_of(snapshot.ledger()))


def compared(restored: Store, live: Store, changed: dict[str, object] | None = None) -> list[str]:
    with restored.account(ANNA).reading() as there, live.account(ANNA).reading() as here:
        noted = msgspec.structs.replace(note(there), **changed or {})
        return compare_account(there, here, noted)


def write(store: Store, *works: Work) -> None:
    store.account(ANNA).transact(works)


def test_equal_copies_have_nothing_to_tell(live: MemoryStore) -> None:
    """Also when the store has gone on since: it is compared as of the restored record."""
    restored = copy_of(live)
    assert compared(restored, live) == []
    write(live, put("ned"), lambda one: one.append(Entry(Op.REMOVE, "test", Kind.CONTACTS, "friends", "bob")))
    assert compared(restored, live) == []


def test_a_restored_account_that_is_of_another_history_is_told(live: MemoryStore) -> None:
    """The store has another record under that number."""
    restored = copy_of(live, last=2)
    write(restored, put("mallory"))
    assert "has not the record 3" in compared(restored, live)[0]


def test_a_restored_account_with_more_than_the_store_is_told(live: MemoryStore) -> None:
    """The store has lost something, which the vault knows."""
    restored = copy_of(live)
    write(restored, put("ned"))
    assert "has not the record 4" in compared(restored, live)[0]


def test_a_vault_that_notes_something_else_is_told(live: MemoryStore) -> None:
    """Another hash, or another ledger, for the same record; a note of an earlier one says nothing."""
    restored = copy_of(live)
    assert "than the vault notes" in compared(restored, live, {"head": "0" * 64})[0]
    assert "the vault notes" in compared(restored, live, {"ledger": {}})[0]
    assert compared(restored, live, {"seq": 2, "ledger": {}}) == []


def test_a_restored_ledger_that_the_journal_does_not_come_to_is_told(live: MemoryStore) -> None:
    """The records are the same, and what is counted of them is not."""
    restored = copy_of(live)
    ledger = restored.account(ANNA)._state.ledger
    ledger[Kind.CONTACTS] = replace(ledger[Kind.CONTACTS], count=1)
    assert any("not that of the store after record 3" in one for one in compared(restored, live))


def test_the_ledger_of_a_record_that_is_not_there_is_unknown(live: MemoryStore) -> None:
    """Neither behind the end, nor under another hash."""
    with live.account(ANNA).reading() as snapshot:
        assert live_ledger(snapshot, Head(9, "0" * 64)) is None
        assert live_ledger(snapshot, Head(2, "0" * 64)) is None
        assert live_ledger(snapshot, snapshot.head()) == note_of(snapshot.ledger())


def test_contents_follow_from_the_journal_alone() -> None:
    """Collections and items as they were after a record: made, put, removed, dropped, made again."""
    store = MemoryStore(FakeClock(step_seconds=1), SeededEntropy())
    store.create(
        ANNA,
        [
            make(),
            put("bob"),
            put("bob", b"other"),
            put("eve"),
            lambda one: one.append(Entry(Op.REMOVE, "test", Kind.CONTACTS, "friends", "eve")),
            lambda one: one.append(Entry(Op.MAKE, "test", Kind.TASKS, "todo", properties={})),
            lambda one: one.append(Entry(Op.SET, "test", Kind.TASKS, "todo", properties={"displayname": "x"})),
            lambda one: one.append(Entry(Op.DROP, "test", Kind.CONTACTS, "friends")),
            make(),
        ],
    )
    with store.account(ANNA).reading() as snapshot:
        before, after = contents_at(snapshot, 5), contents_at(snapshot, 9)
    assert before[Home.CONTACTS] == {"friends": {"bob": digest_of(b"other")}}
    assert before[Home.CALENDARS] == {}
    assert after[Home.CONTACTS] == {"friends": {}}
    assert after[HOME_OF[Kind.TASKS]] == {"todo": {}}


def test_accounts_of_which_the_vault_has_less_are_told() -> None:
    """Less, or nothing; one that could not be read before says nothing, and more is no lack."""
    there = {ANNA: Head(3, "a"), BERT: Head(5, "b")}
    before: dict[AccountId, Head | Exception] = {
        ANNA: Head(4, "c"),
        BERT: Head(5, "b"),
        AccountId("a_new"): Head(1, "d"),
        AccountId("a_bad"): OSError(),
    }
    assert lacking_accounts(before, there) == [ANNA, "a_new"]
    assert lacking_accounts({BERT: Head(4, "x")}, there) == []
