"""Restoring to a moment: the whole journal comes back, and then new records lead to what was then."""

from __future__ import annotations

from pathlib import Path

from keepwell.model.names import SYSTEM_ACCOUNT, Kind
from keepwell.model.record import Op
from keepwell.services.restoring.restore import RestoreOrder
from keepwell.storage.sqlite import SqliteStore
from tests.vault.journals import ANNA, BERT, Journal
from tests.vault.restores import card, journal_in, journal_of, people, records_of, restored, server_vault


def items_in(folder: Path) -> dict[str, bytes]:
    """Anna's items as they are now, by collection and name."""
    store = SqliteStore(folder)
    try:
        with store.account(ANNA).reading() as snapshot:
            return {
                f"{collection.name}/{item.name}": body
                for collection in snapshot.collections()
                for item, body in snapshot.items_with_bodies(collection.id)
            }
    finally:
        store.close()


def changed_journal() -> tuple[Journal, int, str]:
    """Three cards, then much that went wrong; and the record and the moment before."""
    anna = journal_of(ANNA, 3)
    last = anna.carried[-1].record.facts
    anna.put("friend 0.vcf", card("Overwritten"))
    anna.remove("friend 1.vcf")
    anna.put("spam.vcf", card("Spam"))
    anna.add(Op.MAKE, Kind.PHOTOS, "junk")
    anna.add(Op.MAKE, Kind.PHOTOS, "junk/deep")
    anna.add(Op.MAKE, Kind.PHOTOS, "junk/deep/deeper")
    return anna, last.seq, last.at


def as_it_was() -> dict[str, bytes]:
    return {f"friends/friend {number}.vcf": card(f"Friend {number}") for number in range(3)}


def test_a_moment_is_reached_by_new_records(tmp_path: Path) -> None:
    """Nothing of the history is taken back; every collection is what it was, and new ones are gone again."""
    anna, _, at = changed_journal()
    server_vault(tmp_path / "near", anna)
    into = tmp_path / "into"
    outcome = restored(RestoreOrder(into, moment=at), tmp_path / "near")
    assert items_in(into) == as_it_was()
    records = journal_in(into)
    assert records[: len(anna.carried)] == records_of(anna)
    assert len(records) == len(anna.carried) + outcome.rewound == len(anna.carried) + 6
    assert {one.facts.by for one in records[len(anna.carried) :]} == {"keepwell restore"}


def test_a_record_is_reached_in_the_one_account(tmp_path: Path) -> None:
    """A sequence says the same as a moment, exactly."""
    anna, sequence, _ = changed_journal()
    server_vault(tmp_path / "near", anna)
    into = tmp_path / "into"
    restored(RestoreOrder(into, chosen=(ANNA,), sequence=sequence), tmp_path / "near")
    assert items_in(into) == as_it_was()


def test_running_it_again_adds_nothing(tmp_path: Path) -> None:
    """What is as it was then needs no record, so a run that was stopped can be repeated."""
    anna, _, at = changed_journal()
    server_vault(tmp_path / "near", anna)
    into = tmp_path / "into"
    restored(RestoreOrder(into, moment=at), tmp_path / "near")
    before = journal_in(into)
    again = restored(RestoreOrder(into, moment=at), tmp_path / "near")
    assert (again.rewound, again.loss) == (0, None)
    assert journal_in(into) == before


def test_logins_and_passwords_stay_as_they_last_were(tmp_path: Path) -> None:
    """With an older system account, what was revoked would open accounts again."""
    anna, _, _ = changed_journal()
    system = people(anna)
    server_vault(tmp_path / "near", anna)
    restored(RestoreOrder(tmp_path / "into", moment=system.carried[0].record.facts.at), tmp_path / "near")
    assert journal_in(tmp_path / "into", SYSTEM_ACCOUNT) == records_of(system)


def test_an_account_that_began_later_stays_and_is_told(tmp_path: Path) -> None:
    """There is nothing to go back to: it is kept as it is."""
    bert = journal_of(BERT, 2)
    server_vault(tmp_path / "near", bert)
    outcome = restored(RestoreOrder(tmp_path / "into", moment="2020-01-01T00:00:00.000000Z"), tmp_path / "near")
    assert journal_in(tmp_path / "into", BERT) == records_of(bert)
    assert outcome.notes == ("bert began later and stays as it is",)
