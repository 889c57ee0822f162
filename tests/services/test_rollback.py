"""Histories that went back: what is found by the witness, what is held, and what brings it back."""

from __future__ import annotations

from pathlib import Path

import pytest

from keepwell.model.errors import StorageFault
from keepwell.model.names import SYSTEM_ACCOUNT, Kind, Lineage
from keepwell.model.record import Op
from keepwell.services.incidents import Cause, Incidents
from keepwell.services.rollback import Rollbacks
from keepwell.storage.contract import NO_INDEX, Index
from tests.services.history import ANNA, BERT, CARLA, World, actor, open_account

PEOPLES = [kind for kind in Kind if kind is not Kind.SYSTEM]


def index(_home: object, _body: bytes) -> Index:
    return NO_INDEX


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Three cards and an event; a copy of the data folder was made when there was one card."""
    world = World(tmp_path)
    world.put("one")
    world.put("tea", kind=Kind.CALENDAR)
    assert world.start() == []
    return world


def test_a_start_finds_nothing_when_nothing_is_missing(world: World) -> None:
    """Neither an unchanged folder nor one that has more than was noted is taken for an older one."""
    lineage = world.lineage()
    world.put("two")
    assert world.start() == []
    assert (world.held(), world.lineage(), world.told) == ({}, lineage, [])


def test_an_older_copy_is_held_where_it_lacks_something(world: World) -> None:
    """The kind with changes after the copy is held with the counts of then and now; the others are served."""
    copy, lineage = world.copy(), world.lineage()
    world.put("two", "three")
    world.start()
    world.put_back(copy)
    (incident,) = world.start()
    assert list(world.held()) == [Kind.CONTACTS]
    assert world.held()[Kind.CONTACTS].startswith("3 items were known at record 8; here are 1, and the history ends")
    assert incident.cause is Cause.WITNESS
    assert (incident.sequence_known, incident.sequence_here) == (8, 6)
    assert (incident.lineage_before, incident.lineage) == (lineage, world.lineage())
    assert any("anna" in sentence and "contacts" in sentence for sentence in world.told)


def test_a_deletion_after_the_copy_is_missed_too(world: World) -> None:
    """What came back by the older copy, though it was deleted, is not served either."""
    copy = world.copy()
    world.remove("one")
    world.start()
    world.put_back(copy)
    world.start()
    assert world.held()[Kind.CONTACTS].startswith("0 items were known at record 7; here are 1")


def test_a_new_lineage_begins_once(world: World) -> None:
    """It begins with a record that says why, and a further start while it waits begins no other."""
    copy = world.copy()
    world.put("two")
    world.start()
    world.put_back(copy)
    world.start()
    lineage, records = world.lineage(), world.records()
    assert records[-1] == (Op.OPEN, "keepwell", lineage)
    with world.store.account(ANNA).reading() as snapshot:
        properties = list(snapshot.records())[-1].facts.properties
    assert properties is not None
    assert properties["cause"] == "history went back"
    assert "2 items were known" in properties["missing-contacts"]
    world.put("more", kind=Kind.CALENDAR)
    assert world.start() == []
    assert (world.lineage(), list(world.held())) == (lineage, [Kind.CONTACTS])


def test_a_copy_that_was_written_to_since_is_found(world: World) -> None:
    """The journal has grown past the noted head, but with other records: what was there before is missing."""
    copy = world.copy()
    world.put("two")
    world.start()
    world.put_back(copy)
    world.put("other", "another", "third")
    (incident,) = world.start()
    assert list(incident.kinds) == [Kind.CONTACTS]


def test_the_same_items_by_other_records_are_whole(world: World) -> None:
    """Nothing is held when everything is here again, imported or united; but tokens of the other records end."""
    copy, lineage = world.copy(), world.lineage()
    world.put("two")
    world.remove("one")
    world.start()
    world.put_back(copy)
    world.remove("one")
    world.put("two")
    assert world.start() == []
    assert world.held() == {}
    assert world.lineage() != lineage
    began = world.lineage()
    assert world.start() == []
    assert world.lineage() == began


def test_the_right_copy_put_back_later_is_whole(world: World) -> None:
    """What was known is not forgotten while a kind is held: the newer folder is recognised, and so is the older."""
    old = world.copy()
    world.put("two")
    new = world.copy()
    world.start()
    world.put_back(old)
    world.start()
    world.put("late", kind=Kind.CALENDAR)
    world.start()
    world.put_back(new)
    (incident,) = world.start()
    assert list(incident.kinds) == [Kind.CALENDAR], "what was written in the older one meanwhile is what is missing"
    assert world.names() == ["one", "two"]


@pytest.mark.parametrize("step", ["hold", "begin_lineage", "add"])
def test_a_crash_at_any_step_is_found_again(world: World, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Whatever a crash left undone, the next start holds the same."""
    copy = world.copy()
    world.put("two")
    world.start()
    world.put_back(copy)

    def crash(*_arguments: object) -> None:
        raise KeyboardInterrupt

    where = {"hold": type(world.store.account(ANNA)), "begin_lineage": Rollbacks, "add": Incidents}[step]
    with monkeypatch.context() as patch:
        patch.setattr(where, step, crash)
        with pytest.raises(KeyboardInterrupt):
            world.start()
    (incident,) = world.start()
    assert list(world.held()) == [Kind.CONTACTS]
    assert incident.lineage == world.lineage() != incident.lineage_before


def test_a_login_that_has_another_account_now_is_held(world: World) -> None:
    """An account was added again under its login: what its devices have is not taken for deleted there."""
    world.put("two")
    world.start()
    copy = world.copy()
    del copy[ANNA]
    world.put_back(copy)
    world.store.create(CARLA, [open_account])
    world.logins["anna"] = CARLA
    (incident,) = world.start()
    assert (incident.account, incident.formerly) == (CARLA, ANNA)
    assert "with 2 items; here are 0" in world.held(CARLA)[Kind.CONTACTS]
    assert world.start() == []
    world.lineages.accept(CARLA, None, "operator")
    assert world.held(CARLA) == {}
    assert world.start() == []


def test_an_account_that_is_missing_is_told_until_it_is_given_up(world: World) -> None:
    """Nothing can be held of it; it is told once, shown, and missed no more once that was decided."""
    copy = world.copy()
    del copy[ANNA]
    world.put_back(copy)
    (incident,) = world.start()
    assert (incident.cause, incident.account) == (Cause.MISSING, ANNA)
    assert world.start() == []
    (state,) = world.lineages.all()
    assert (state.is_here, state.login) == (False, "anna")
    world.lineages.accept(ANNA, None, "operator")
    assert world.start() == world.lineages.all() == []


def test_a_missing_account_that_comes_back_is_told_no_more(world: World) -> None:
    """Its file was put back: nothing is left to decide."""
    whole = world.copy()
    world.put_back({SYSTEM_ACCOUNT: whole[SYSTEM_ACCOUNT]})
    world.start()
    world.store.restore(ANNA, whole[ANNA], index)
    world.start()
    assert world.lineages.all() == []


def test_an_older_system_account_is_held_and_a_new_one_is_not(world: World) -> None:
    """An older one has passwords that were taken back since; in a new one nobody can sign in who should not."""
    copy = world.copy()
    world.put("key", kind=Kind.SYSTEM, account=SYSTEM_ACCOUNT)
    world.start()
    world.put_back(copy)
    world.start()
    assert list(world.held(SYSTEM_ACCOUNT)) == [Kind.SYSTEM]
    world.put_back({ANNA: copy[ANNA]})
    world.store.create(SYSTEM_ACCOUNT, [open_account])
    assert world.start() == []
    assert world.held(SYSTEM_ACCOUNT) == {}


def test_a_vault_out_of_reach_closes_the_account(world: World) -> None:
    """It may have what is missing, so nothing is appended, not even the record of a new lineage."""
    copy, lineage = world.copy(), world.lineage()
    world.put("two")
    world.start()
    world.put_back(copy)
    world.vaults_are_here = False
    records = world.records()
    (incident,) = world.start()
    assert set(world.held()) == set(Kind)
    assert (world.records(), world.lineage(), incident.lineage) == (records, lineage, None)
    assert world.start() == []
    assert world.records() == records


def test_what_the_vault_brings_back_lets_go(world: World) -> None:
    """When the vault is in reach again and has it, the account is whole, in its old lineage."""
    copy, lineage = world.copy(), world.lineage()
    world.put("two")
    whole = world.copy()
    world.start()
    world.put_back(copy)
    world.vaults_are_here = False
    world.start()
    world.store.account(ANNA).extend(whole[ANNA][len(copy[ANNA]) :], index)
    world.rollbacks.review()
    assert (world.held(), world.lineage(), world.lineages.all()) == ({}, lineage, [])


def test_a_vault_that_has_no_more_leaves_it_to_decide(world: World) -> None:
    """When the vault is in reach and has nothing more, a lineage begins and only what is missing stays held."""
    copy, lineage = world.copy(), world.lineage()
    world.put("two")
    world.start()
    world.put_back(copy)
    world.vaults_are_here = False
    world.start()
    world.vaults_are_here = True
    world.rollbacks.review()
    assert list(world.held()) == [Kind.CONTACTS]
    assert world.lineage() != lineage
    assert world.start() == []
    assert world.records().count((Op.OPEN, "keepwell", world.lineage())) == 1


def test_a_state_of_the_future_holds_everything_of_its_owner(world: World) -> None:
    """Whoever saw record 9 of a journal that ends with 6 proves that three are missing, of whatever kind."""
    before = Lineage(world.lineage())
    assert world.rollbacks.brought(actor(), ANNA, before, 9)
    assert list(world.held()) == PEOPLES
    assert world.held()[Kind.PHOTOS].startswith("a device has seen record 9, and here the history ends with record 6")
    assert world.lineage() != before
    lineage = world.lineage()
    assert world.rollbacks.brought(actor(), ANNA, before, 12)
    assert world.lineage() == lineage, "what is held already is not held again"


def test_who_shares_cannot_hold_another_account(world: World) -> None:
    """A state can be invented; of another's account it proves nothing to anyone else."""
    lineage = Lineage(world.lineage())
    assert world.rollbacks.brought(actor(BERT, "bert"), ANNA, lineage, 9)
    assert (world.held(), world.lineage(), world.lineages.all()) == ({}, lineage, [])


def test_states_of_a_lineage_that_nobody_knows_prove_nothing(world: World) -> None:
    """Programs that were moved here from another server bring such."""
    assert not world.rollbacks.brought(actor(), ANNA, Lineage("another"), 9)
    assert world.held() == {}


def test_states_of_the_lost_part_hold_what_the_witness_did_not_know(world: World) -> None:
    """The last seconds before the fall were not noted; a state of them still proves, until somebody decided."""
    copy, lineage = world.copy(), Lineage(world.lineage())
    world.put("two")
    world.start()
    world.put_back(copy)
    world.start()
    assert not world.rollbacks.brought(actor(), ANNA, lineage, 6), "what is here is known, and only too old to answer"
    assert list(world.held()) == [Kind.CONTACTS]
    assert world.rollbacks.brought(actor(), ANNA, lineage, 9)
    assert list(world.held()) == PEOPLES
    world.lineages.accept(ANNA, None, "operator")
    assert not world.rollbacks.brought(actor(), ANNA, lineage, 9)
    assert world.held() == {}


def test_a_state_while_a_vault_is_out_of_reach_closes(world: World) -> None:
    """Nothing is appended then either."""
    world.vaults_are_here = False
    records = world.records()
    assert world.rollbacks.brought(actor(), ANNA, Lineage(world.lineage()), 9)
    assert set(world.held()) == set(Kind)
    assert world.records() == records
    world.vaults_are_here = True
    world.rollbacks.review()
    assert list(world.held()) == PEOPLES


def test_a_store_that_cannot_be_marked_is_still_503(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """When even holding fails, the one who asked is not sent to start over."""

    def fail(*_arguments: object) -> None:
        raise StorageFault("the disk is on fire")

    monkeypatch.setattr(type(world.store.account(ANNA)), "hold", fail)
    assert world.rollbacks.brought(actor(), ANNA, Lineage(world.lineage()), 9)


def test_a_witness_that_cannot_be_written_is_told(world: World) -> None:
    """The start goes on and says where it wanted to note."""
    world.witness.path.unlink()
    world.witness.path.mkdir()
    assert world.start() == []
    assert "KEEPWELL_WITNESS" in world.told[0]


def test_accounts_are_told_apart(world: World) -> None:
    """Only the account that went back is held."""
    world.store.create(BERT, [open_account])
    world.put("b", account=BERT)
    copy = world.copy()
    world.put("two")
    world.start()
    world.put_back(copy)
    world.start()
    assert (list(world.held(ANNA)), list(world.held(BERT))) == ([Kind.CONTACTS], [])
