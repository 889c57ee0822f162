"""Deciding about histories that went back: planned, recorded, and only then served again."""

from __future__ import annotations

from pathlib import Path

import pytest

from keepwell.model.errors import Forked, NotThere, Unavailable
from keepwell.model.names import AccountId, Kind, Lineage
from keepwell.model.record import Op
from keepwell.services.accounts import OPERATOR
from keepwell.services.catch_up import BEHIND
from keepwell.services.incidents import Incidents
from keepwell.services.library import Library
from keepwell.services.place import Place
from keepwell.services.restoring.settle import HELD_BY_RESTORE
from keepwell.storage.writers import Writers
from tests.services.history import ANNA, Home, World, actor
from tests.services.samples import card


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A data folder that went back: two cards and an event are missing, and held."""
    world = World(tmp_path)
    world.put("one")
    world.start()
    copy = world.copy()
    world.put("two", "three")
    world.put("tea", kind=Kind.CALENDAR)
    world.start()
    world.put_back(copy)
    world.start()
    assert list(world.held()) == [Kind.CONTACTS, Kind.CALENDAR]
    return world


def last_properties(world: World) -> dict[str, str]:
    with world.store.account(ANNA).reading() as snapshot:
        return list(snapshot.records())[-1].facts.properties or {}


def test_a_plan_says_what_is_known_and_changes_nothing(world: World) -> None:
    """Counts then and now, by kind; afterwards everything is held as before."""
    held, records = world.held(), world.records()
    plan = world.lineages.plan(ANNA)
    assert [(one.kind, one.known and one.known.count, one.count) for one in plan.kinds] == [
        (Kind.CONTACTS, 3, 1),
        (Kind.CALENDAR, 1, 0),
    ]
    assert (plan.sequence_known, plan.login, plan.is_here, plan.is_closed) == (8, "anna", True, False)
    assert (world.held(), world.records()) == (held, records)


def test_accepting_lets_go_and_is_recorded(world: World) -> None:
    """The account's own history says who decided, and what was known to be missing; the new lineage stays."""
    lineage = world.lineage()
    world.lineages.accept(ANNA, None, OPERATOR)
    assert world.held() == {}
    assert world.records()[-1] == (Op.OPEN, OPERATOR, lineage)
    properties = last_properties(world)
    assert properties["cause"] == "accepted"
    assert "3 items were known" in properties["missing-contacts"]
    (incident,) = Incidents(world.data).all()
    assert {one.accepted_by for one in incident.kinds.values()} == {OPERATOR}
    assert not incident.is_open


def test_one_kind_can_be_accepted_alone(world: World) -> None:
    """The other stays held, and waits in what is shown."""
    world.lineages.accept(ANNA, Kind.CALENDAR, OPERATOR)
    assert list(world.held()) == [Kind.CONTACTS]
    (state,) = world.lineages.all()
    assert [one.kind for one in state.kinds] == [Kind.CONTACTS]
    assert "missing-contacts" not in last_properties(world)


def test_what_was_accepted_is_not_found_again(world: World) -> None:
    """Not at the next start, not by a witness that another user's command could not note in, and not once noted."""
    known = world.witness.path.read_bytes()
    world.lineages.accept(ANNA, None, OPERATOR)
    world.witness.path.write_bytes(known)
    assert world.start() == []
    assert world.held() == {}
    world.put("four")
    assert world.start() == []


def test_what_was_accepted_can_go_back_again(world: World) -> None:
    """A decision is about what was missing then: a further older copy is found."""
    copy = world.copy()
    world.lineages.accept(ANNA, None, OPERATOR)
    world.put("four")
    world.start()
    world.put_back(copy)
    (incident,) = world.start()
    assert "2 items were known" in incident.kinds[Kind.CONTACTS].reason


def test_accepting_what_does_not_wait_is_refused(world: World) -> None:
    """A kind that is whole, and an account of which nothing is held."""
    with pytest.raises(NotThere, match="photos"):
        world.lineages.accept(ANNA, Kind.PHOTOS, OPERATOR)
    world.lineages.accept(ANNA, None, OPERATOR)
    with pytest.raises(NotThere):
        world.lineages.accept(ANNA, None, OPERATOR)
    with pytest.raises(NotThere):
        world.lineages.of(AccountId("a_nobodynobodynobo"))


def test_a_crash_while_accepting_can_be_accepted_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the last step it is held; doing it again opens it."""

    def crash(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(world.store.account(ANNA)), "hold", crash)
        with pytest.raises(KeyboardInterrupt):
            world.lineages.accept(ANNA, None, OPERATOR)
    assert list(world.held()) == [Kind.CONTACTS, Kind.CALENDAR]
    world.lineages.accept(ANNA, None, OPERATOR)
    assert world.held() == {}


def test_without_its_incident_what_is_held_can_be_accepted(world: World) -> None:
    """The file with the incidents was lost: another lineage begins, because nobody knows whether one did."""
    (world.data / "incidents.json").unlink()
    lineage = world.lineage()
    world.lineages.accept(ANNA, None, OPERATOR)
    assert world.held() == {}
    assert world.lineage() != lineage


def test_a_fork_is_not_for_accepting(world: World) -> None:
    """An account that is closed because its vault has other records cannot be opened by leaving that out of sight."""
    (world.data / "incidents.json").unlink()
    world.store.account(ANNA).hold(dict.fromkeys(Kind, "record 6 is another here than in the vault"))
    with pytest.raises(Forked, match="record 6 is another"):
        world.lineages.accept(ANNA, None, OPERATOR)
    assert len(world.held()) == len(Kind)


def test_while_a_vault_may_have_it_nobody_decides(tmp_path: Path) -> None:
    """A closed account waits for its vault; once that is given up, it is opened like others."""
    world = World(tmp_path)
    copy = world.copy()
    world.put("one")
    world.start()
    world.put_back(copy)
    world.vaults_are_here = False
    world.start()
    with pytest.raises(Unavailable, match="may still have"):
        world.lineages.accept(ANNA, None, OPERATOR)
    world.vaults_are_here = True
    assert [one.kind for one in world.lineages.plan(ANNA).kinds] == [Kind.CONTACTS]
    lineage = world.lineage()
    world.lineages.accept(ANNA, None, OPERATOR)
    assert world.held() == {}
    assert world.lineage() != lineage


def test_what_a_client_proved_is_accepted_whole(tmp_path: Path) -> None:
    """Nothing is known by kind, so every kind of a person's is opened, together or one after the other."""
    world = World(tmp_path)
    world.rollbacks.brought(actor(), ANNA, Lineage(world.lineage()), 50)
    world.lineages.accept(ANNA, Kind.PHOTOS, OPERATOR)
    assert Kind.PHOTOS not in world.held()
    world.lineages.accept(ANNA, None, OPERATOR)
    assert (world.held(), world.lineages.all()) == ({}, [])


def test_the_operator_writes_into_what_is_held_and_others_do_not(world: World) -> None:
    """An import comes before the decision; a closed account takes nothing from anybody."""
    writers = Writers(world.store, threads=1)
    place = Place(ANNA, Home.CONTACTS, "contacts", "two")
    try:
        with pytest.raises(Unavailable):
            Library(world.store, writers).put(actor(), place, card("two")).result()
        mending = Library(world.store, writers, for_operator=True)
        assert mending.put(actor(), place, card("two")).result().created
        world.store.account(ANNA).hold(dict.fromkeys(Kind, "closed"))
        with pytest.raises(Unavailable):
            mending.put(actor(), place, card("three")).result()
    finally:
        writers.close()


def test_a_login_given_again_is_held_at_once(world: World) -> None:
    """Who had it is missing and had items: the new account is not served as an empty one to the old one's devices."""
    assert world.lineages.look_for_former("bert") == []
    copy = world.copy()
    del copy[ANNA]
    world.put_back(copy)
    new = AccountId("a_carlacarlacarlaa")
    world.store.create(new, [])
    world.logins["anna"] = new
    (incident,) = world.lineages.look_for_former("anna")
    assert set(incident.kinds) == set(world.held(new)) == {Kind.CONTACTS, Kind.CALENDAR}
    assert world.lineages.look_for_former("anna") == []


@pytest.mark.parametrize("reason", [f"{BEHIND}its vaults tell of 9 records", f"{HELD_BY_RESTORE}records 9 are missing"])
def test_what_came_back_in_part_can_be_accepted_once_no_vault_may_have_the_rest(world: World, reason: str) -> None:
    """Nothing witnessed it, so there is no incident; all that is held is opened, in a new lineage."""
    (world.data / "incidents.json").unlink()
    world.store.account(ANNA).hold(dict.fromkeys(Kind, reason))
    lineage = world.lineage()
    world.vaults_are_here = False
    with pytest.raises(Unavailable):
        world.lineages.accept(ANNA, None, OPERATOR)
    world.vaults_are_here = True
    world.lineages.accept(ANNA, None, OPERATOR)
    assert world.held() == {}
    assert world.lineage() != lineage
