"""Restoring into an empty place: whole, proven, in stages, and nothing that is there is overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyrage.x25519 import Identity

from keepwell.model.errors import AlreadyThere, BadRequest, Locked, Unavailable
from keepwell.model.names import SYSTEM_ACCOUNT, Kind
from keepwell.services.check import Checker
from keepwell.services.restoring.place import LOSS_REPORT, RestoreNote, open_place
from keepwell.services.restoring.restore import RestoreOrder
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.keys import make_keys
from keepwell.vault.layout import BLOBS
from keepwell.vault.sealing import AgeSeal
from tests.vault.journals import ANNA, BERT
from tests.vault.restores import (
    PHOTO,
    card_with_photo,
    folder_vault,
    held_in,
    journal_in,
    journal_of,
    people,
    put_photo,
    records_of,
    remove_of,
    restored,
    server_vault,
    write_tail,
)
from tests.vault.vaults import fill


def assert_sound(folder: Path, *accounts: str) -> None:
    """Every page, chain, digest and projection is right."""
    store = SqliteStore(folder)
    try:
        checker = Checker(store)
        assert set(store.accounts()) == {SYSTEM_ACCOUNT, *accounts}
        assert [finding for account in store.accounts() for finding in checker.check(account)] == []
    finally:
        store.close()


def test_everything_comes_back_as_it_was_sealed(tmp_path: Path) -> None:
    """Records, bytes and projections are there, proven, and nothing is held or lost."""
    anna, bert = journal_of(ANNA), journal_of(BERT, 3)
    put_photo(anna, "sea.jpg")
    server_vault(tmp_path / "near", anna, bert)
    outcome = restored(RestoreOrder(tmp_path / "into"), tmp_path / "near")
    assert outcome.loss is None
    assert (outcome.accounts, outcome.blobs, outcome.blob_octets) == (3, 1, len(PHOTO))
    assert outcome.items == {Kind.CONTACTS: 10, Kind.PHOTOS: 1, Kind.SYSTEM: 2}
    assert journal_in(tmp_path / "into") == records_of(anna)
    assert journal_in(tmp_path / "into", BERT) == records_of(bert)
    assert_sound(tmp_path / "into", ANNA, BERT)
    assert not (tmp_path / "into.restoring").exists()
    assert not (tmp_path / "into" / LOSS_REPORT).exists()


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    """The place may be there, as long as nothing is in it."""
    server_vault(tmp_path / "near", journal_of())
    (tmp_path / "into").mkdir()
    restored(RestoreOrder(tmp_path / "into"), tmp_path / "near")
    assert_sound(tmp_path / "into", ANNA)


@pytest.mark.parametrize("there", ["a file", "a file in it", "a link"])
def test_nothing_that_is_there_is_overwritten(tmp_path: Path, there: str) -> None:
    """A place that is taken is refused before anything is made."""
    server_vault(tmp_path / "near", journal_of())
    into = tmp_path / "into"
    if there == "a file":
        into.write_bytes(b"mine")
    elif there == "a file in it":
        into.mkdir()
        (into / "mine").write_bytes(b"mine")
    else:
        into.symlink_to(tmp_path)
    with pytest.raises(AlreadyThere):
        restored(RestoreOrder(into), tmp_path / "near")
    assert not (tmp_path / "into.restoring").exists()


def test_a_mount_point_is_refused(tmp_path: Path) -> None:
    """No folder can be renamed to where a file system is mounted: that is said at the beginning."""
    server_vault(tmp_path / "near", journal_of())
    with pytest.raises((BadRequest, AlreadyThere)):
        restored(RestoreOrder(Path("/proc")), tmp_path / "near")


def test_two_restores_into_one_place_do_not_meet(tmp_path: Path) -> None:
    """The second is told that another works there."""
    vault = server_vault(tmp_path / "near", journal_of())
    note = RestoreNote(vaults=(vault.document.id,), accounts=None, target="", began_at="2026-11-23T08:00:00.000000Z")
    place = open_place(tmp_path / "into", note)
    with pytest.raises(Unavailable):
        restored(RestoreOrder(tmp_path / "into"), tmp_path / "near")
    place.release()
    restored(RestoreOrder(tmp_path / "into"), tmp_path / "near")
    assert_sound(tmp_path / "into", ANNA)


def test_a_place_that_another_restore_began_is_left_alone(tmp_path: Path) -> None:
    """What was begun from another vault is not mixed with this one."""
    server_vault(tmp_path / "near", journal_of())
    other = RestoreNote(vaults=("v_other",), accounts=None, target="", began_at="2026-11-23T08:00:00.000000Z")
    open_place(tmp_path / "into", other).release()
    with pytest.raises(AlreadyThere):
        restored(RestoreOrder(tmp_path / "into"), tmp_path / "near")


def test_one_account_comes_alone_with_the_logins(tmp_path: Path) -> None:
    """The others' data is left out; the system account is whole."""
    anna, bert = journal_of(ANNA), journal_of(BERT)
    server_vault(tmp_path / "near", anna, bert)
    restored(RestoreOrder(tmp_path / "into", chosen=(BERT,)), tmp_path / "near")
    assert_sound(tmp_path / "into", BERT)
    assert journal_in(tmp_path / "into", SYSTEM_ACCOUNT) == records_of(people(anna, bert))


def test_kinds_that_are_not_asked_for_are_held_until_their_bytes_come(tmp_path: Path) -> None:
    """Contacts are served at once; a later run into the same place brings the photographs and opens them."""
    anna = journal_of(ANNA)
    put_photo(anna, "sea.jpg")
    server_vault(tmp_path / "near", anna)
    into = tmp_path / "into"
    first = restored(RestoreOrder(into), tmp_path / "near", kinds=[Kind.CONTACTS])
    assert (first.loss, first.left_out, first.blobs) == (None, {Kind.PHOTOS: 1}, 0)
    assert set(held_in(into)) == {Kind.PHOTOS}
    second = restored(RestoreOrder(into), tmp_path / "near")
    assert (second.loss, second.left_out, second.blobs) == (None, {}, 1)
    assert held_in(into) == {}
    assert_sound(into, ANNA)


def test_a_kind_whose_bytes_are_all_small_is_whole_without_being_asked_for(tmp_path: Path) -> None:
    """What lies in the journal comes with it: leaving it out would save nothing, and nothing is held for it."""
    server_vault(tmp_path / "near", journal_of())
    outcome = restored(RestoreOrder(tmp_path / "into"), tmp_path / "near", kinds=[Kind.PHOTOS])
    assert (outcome.left_out, outcome.held) == ({}, {})
    assert_sound(tmp_path / "into", ANNA)


def test_filling_changes_nothing_that_was_written_since(tmp_path: Path) -> None:
    """A folder that is served already is filled without touching what came meanwhile."""
    anna = journal_of(ANNA)
    put_photo(anna, "sea.jpg")
    server_vault(tmp_path / "near", anna)
    into = tmp_path / "into"
    restored(RestoreOrder(into), tmp_path / "near", kinds=[Kind.CONTACTS])
    store = SqliteStore(into)
    (verdict,) = store.account(ANNA).transact([lambda transaction: transaction.append(remove_of("friend 0.vcf"))])
    assert not isinstance(verdict, BaseException)
    store.close()
    assert restored(RestoreOrder(into), tmp_path / "near").loss is None
    assert len(journal_in(into)) == len(anna.carried) + 1
    assert held_in(into) == {}
    assert_sound(into, ANNA)


def test_what_came_into_the_vault_later_is_not_told_as_lost_from_a_finished_folder(tmp_path: Path) -> None:
    """The same command again, after the vault went on: refused, and nothing of the folder is held."""
    anna = journal_of(ANNA)
    vault = server_vault(tmp_path / "near", anna)
    into = tmp_path / "into"
    restored(RestoreOrder(into), tmp_path / "near")
    anna.put("late.vcf", b"written after the restore")
    fill(vault, anna, len(anna.carried))
    with pytest.raises(BadRequest, match="more records"):
        restored(RestoreOrder(into), tmp_path / "near")
    assert held_in(into) == {}
    assert not (into / LOSS_REPORT).exists()
    assert_sound(into, ANNA)


def test_a_finished_folder_takes_no_accounts_that_were_left_out(tmp_path: Path) -> None:
    """Filling brings large bytes only; for the rest there is another way, which is said."""
    server_vault(tmp_path / "near", journal_of(ANNA), journal_of(BERT))
    restored(RestoreOrder(tmp_path / "into", chosen=(ANNA,)), tmp_path / "near")
    with pytest.raises(BadRequest):
        restored(RestoreOrder(tmp_path / "into"), tmp_path / "near")
    assert_sound(tmp_path / "into", ANNA)


def test_a_large_card_is_found_by_queries_after_it_came(tmp_path: Path) -> None:
    """Indexes that could not be made before the bytes were there are made with them."""
    anna = journal_of(ANNA, 1)
    anna.put("large.vcf", card_with_photo())
    server_vault(tmp_path / "near", anna)
    restored(RestoreOrder(tmp_path / "into"), tmp_path / "near")
    assert_sound(tmp_path / "into", ANNA)


def test_records_of_a_tail_come_back(tmp_path: Path) -> None:
    """What was confirmed and not packed yet is restored, and the noted ledger is proven where it was noted."""
    anna = journal_of(ANNA)
    vault = server_vault(tmp_path / "near", anna)
    anna.put("late.vcf", b"confirmed last")
    write_tail(vault, anna, first=len(anna.carried))
    outcome = restored(RestoreOrder(tmp_path / "into"), tmp_path / "near")
    assert outcome.loss is None
    assert journal_in(tmp_path / "into") == records_of(anna)


def test_an_encrypted_vault_is_opened_by_one_of_its_keys(tmp_path: Path) -> None:
    """The operator's secret key is enough."""
    keys = make_keys(Identity.generate())
    seal = AgeSeal(keys.recipients().public_keys(), [keys.operator])
    anna = journal_of(ANNA)
    put_photo(anna, "sea.jpg")
    server_vault(tmp_path / "near", anna, seal=seal, recipients=keys.recipients())
    outcome = restored(RestoreOrder(tmp_path / "into"), tmp_path / "near", identities=[keys.operator])
    assert outcome.loss is None
    assert_sound(tmp_path / "into", ANNA)


@pytest.mark.parametrize("given", ["none", "wrong"])
def test_an_encrypted_vault_without_its_key_is_refused_before_anything_is_made(tmp_path: Path, given: str) -> None:
    """The answer says that a key is needed, and no folder is left behind."""
    keys = make_keys(Identity.generate())
    seal = AgeSeal(keys.recipients().public_keys(), [keys.operator])
    server_vault(tmp_path / "near", journal_of(), seal=seal, recipients=keys.recipients())
    identities = [] if given == "none" else [Identity.generate()]
    with pytest.raises(Locked):
        restored(RestoreOrder(tmp_path / "into"), tmp_path / "near", identities=identities)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["near"]


def test_helpers_come_to_the_same(tmp_path: Path) -> None:
    """Several processes restore what one does."""
    anna, bert = journal_of(ANNA, 3_000), journal_of(BERT, 3_000)
    put_photo(bert, "sea.jpg")
    server_vault(tmp_path / "near", anna, bert)
    outcome = restored(RestoreOrder(tmp_path / "into", workers=2), tmp_path / "near")
    assert outcome.loss is None
    assert journal_in(tmp_path / "into") == records_of(anna)
    assert journal_in(tmp_path / "into", BERT) == records_of(bert)
    assert_sound(tmp_path / "into", ANNA, BERT)


def test_an_account_in_many_packs_and_two_vaults_comes_once(tmp_path: Path) -> None:
    """Overlaps and copies of the same records do no harm."""
    anna = journal_of(ANNA, 30)
    near = folder_vault(tmp_path / "near")
    far = folder_vault(tmp_path / "far")
    for first, last in ((1, 10), (8, 20), (11, 32)):
        fill(near, anna, first, last)
    fill(far, anna, 1, 25)
    for vault in (near, far):
        fill(vault, people(anna))
    assert restored(RestoreOrder(tmp_path / "into"), tmp_path / "near", tmp_path / "far").loss is None
    assert journal_in(tmp_path / "into") == records_of(anna)
    assert next(near.medium.list(BLOBS), None) is None
