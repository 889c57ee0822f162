"""The plan of a restore: pure, from what the vaults say, with what is known to be missing."""

from __future__ import annotations

from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Kind
from keepwell.model.record import Op
from keepwell.services.restoring.sources import holding_of
from keepwell.storage.contract import Head
from keepwell.vault.restore_plan import Choice, Holding, newest_ledger, newest_note, notes_of, plan_restore
from keepwell.vault.vault import Vault
from tests.vault.journals import ANNA, BERT, Journal
from tests.vault.vaults import fill, new_vault, reopened

PHOTO = b"\xff\xd8 a photograph " * 20_000


def journal_of(account: AccountId, records: int) -> Journal:
    journal = Journal(account)
    for number in range(records - len(journal.carried)):
        journal.put(f"friend {number}", f"body {number}".encode())
    return journal


def holdings(*vaults: Vault) -> list[Holding]:
    return [holding_of(reopened(vault)) for vault in vaults]


def test_the_system_account_comes_first() -> None:
    """Logins are there before anybody's data, whatever the ids' order is."""
    vault = new_vault()
    for account in (ANNA, BERT, SYSTEM_ACCOUNT):
        fill(vault, journal_of(account, 3))
    plan = plan_restore(holdings(vault), Choice(), {ANNA: "anna"})
    assert [one.account for one in plan.accounts] == [SYSTEM_ACCOUNT, ANNA, BERT]
    assert [one.login for one in plan.accounts] == ["", "anna", ""]


def test_a_choice_of_accounts_brings_the_system_account_along_and_says_what_is_left_out() -> None:
    """One account is of no use without its login."""
    vault = new_vault()
    for account in (ANNA, BERT, SYSTEM_ACCOUNT):
        fill(vault, journal_of(account, 3))
    plan = plan_restore(holdings(vault), Choice(frozenset({BERT})), {})
    assert [one.account for one in plan.accounts] == [SYSTEM_ACCOUNT, BERT]
    assert plan.left_out == 1


def test_records_and_counts_are_those_of_the_newest_copy() -> None:
    """The vault that knows more decides what is expected; both are sources."""
    journal, near, far = journal_of(ANNA, 9), new_vault("near"), new_vault("far")
    fill(near, journal, 1, 5)
    fill(far, journal, 1, 5)
    fill(far, journal, 6, 9)
    (planned,) = plan_restore(holdings(near, far), Choice(), {}).accounts
    assert (planned.records, planned.reachable, planned.sources) == (9, 9, ("near", "far"))
    assert planned.counts == {Kind.CONTACTS: 7}


def test_frames_that_cover_each_other_are_counted_once() -> None:
    """What was merged is not read twice, so it is not planned twice."""
    journal, vault = journal_of(ANNA, 9), new_vault()
    fill(vault, journal, 1, 4)
    fill(vault, journal, 5, 9)
    before = plan_restore(holdings(vault), Choice(), {}).octets
    fill(vault, journal)
    assert plan_restore(holdings(vault), Choice(), {}).octets == before


def test_a_missing_pack_is_known_from_the_manifest() -> None:
    """The plan says that records are missing before anything is read."""
    journal, vault = journal_of(ANNA, 9), new_vault()
    fill(vault, journal, 1, 4)
    gone = fill(vault, journal, 5, 9)
    vault.put_manifest()
    vault.medium.remove(gone)
    (planned,) = plan_restore(holdings(vault), Choice(), {}).accounts
    assert (planned.records, planned.reachable) == (9, 4)


def test_large_bytes_are_counted_and_measured_where_they_were_looked_up() -> None:
    """The lengths of blobs are no part of an index: they are told when a listing knows them."""
    journal, vault = journal_of(ANNA, 4), new_vault()
    journal.add(Op.PUT, Kind.CONTACTS, "friends", "large", body=PHOTO)
    fill(vault, journal)
    opened = reopened(vault)
    (planned,) = plan_restore([holding_of(opened)], Choice(), {}).accounts
    assert (planned.blobs, planned.blob_octets) == (1, 0)
    (planned,) = plan_restore([holding_of(opened, blobs=True)], Choice(), {}).accounts
    assert (planned.blobs, planned.blob_octets) == (1, len(PHOTO))


def test_the_newest_note_with_a_ledger_is_found_beside_a_newer_one_without() -> None:
    """A tail leads farther than any ledger: both are known."""
    journal, vault = journal_of(ANNA, 9), new_vault()
    fill(vault, journal, 1, 7)
    held = holding_of(reopened(vault))
    tail = Holding(held.vault, held.heads, held.frames, {ANNA: Head(9, journal.carried[-1].record.hash)})
    notes = notes_of([tail], ANNA)
    newest = newest_note(notes)
    assert newest is not None
    assert (newest.head.sequence, newest.ledger) == (9, None)
    assert newest_ledger(notes) == journal.ledger(7)


def test_the_whole_is_the_sum_of_the_accounts() -> None:
    """Records, bytes and large objects, whatever is restored."""
    vault = new_vault()
    for account in (ANNA, BERT):
        journal = journal_of(account, 3)
        journal.put("large", PHOTO)
        fill(vault, journal)
    plan = plan_restore(holdings(vault), Choice(), {})
    frames = [ref.frame for account in (ANNA, BERT) for ref in vault.frames(account)]
    assert (plan.records, plan.blobs) == (8, 2)
    assert plan.octets == sum(frame.octets for frame in frames)
    assert plan.octets_stored == sum(frame.length for frame in frames)
