"""Physical removal has one door: it plans, marks, waits, refuses while a vault is unverified, and leaves no trace."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from keepwell.app.retention_chore import retention_chore
from keepwell.app.start import prepare
from keepwell.app.wiring import open_keepwell
from keepwell.model.erasures import Scope
from keepwell.model.errors import BadRequest, Forbidden, NotThere
from keepwell.model.names import SYSTEM_ACCOUNT, Home, Kind
from keepwell.model.record import Op, digest_of
from keepwell.services.actor import Actor
from keepwell.services.retention import retention as retention_module
from keepwell.services.retention.orders import Orders
from keepwell.services.retention.retention import Retention
from keepwell.services.rewind import Rewinder
from keepwell.storage.sqlite import SqliteStore
from keepwell.storage.sqlite_account import SqliteAccount
from keepwell.vault.reading import read_account
from tests.services.retention.world import PHOTO, SCOPE, SECRET, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A card with a secret that was changed once, a photo, another card; a vault that has all, verified."""
    made = World(tmp_path)
    made.add_vault()
    made.put("secret.vcf", SECRET)
    made.put("secret.vcf", SECRET + b"new")
    made.put("photo.jpg", PHOTO, Kind.PHOTOS, "photos")
    made.put("other.vcf", b"of somebody else")
    made.start()
    made.verify()
    return made


def due(world: World) -> None:
    world.pass_days(7.1)
    world.verify()


def test_an_item_is_erased_from_every_copy(world: World) -> None:
    """Marked, waited, removed by a record, and then gone: no file holds it, and every record is there and proven."""
    before = [one.record for one in world.carried()]
    world.mark()
    due(world)
    retained = world.retain()
    assert (retained.bodies, retained.against) == (2, ())
    assert "photo.jpg" in world.items()
    assert world.traces(b"unmistakable person") == []
    after = world.carried()
    assert [one.record for one in after[:-1]] == before
    assert (after[-1].record.facts.op, after[-1].record.facts.name) == (Op.REMOVE, "secret.vcf")
    assert [one.record.facts.name for one in after if one.erased] == ["secret.vcf"] * 2
    [order] = world.orders()
    assert order.done_at
    assert world.damage() == []
    world.verify()


def test_a_large_item_is_erased_from_every_copy(world: World) -> None:
    """Its blobs go, in the store and in the vault."""
    world.mark(Scope(Home.PHOTOS, "photos", "photo.jpg"))
    due(world)
    world.retain()
    assert world.traces(b"unmistakable photo") == []
    assert list((world.data / "blobs").glob("*/*")) == []
    assert list((world.folder / "near" / "blobs").glob("*/*")) == []
    world.verify()


def test_before_it_is_due_nothing_happens(world: World) -> None:
    """A mark changes nothing, and can be taken back."""
    order = world.mark()
    world.pass_days(6.9)
    world.verify()
    assert world.retain().bodies == 0
    assert "secret.vcf" in world.items()
    with world.opened() as keepwell:
        keepwell.retention.undo(order.id)
    world.pass_days(30)
    world.verify()
    world.retain()
    assert world.orders() == []
    assert len(world.traces(b"unmistakable person")) >= 2


def test_once_it_was_begun_it_cannot_be_taken_back(world: World) -> None:
    """What is gone is gone, and the order says why."""
    order = world.mark()
    due(world)
    world.retain()
    with world.opened() as keepwell:
        with pytest.raises(Forbidden, match="cannot be taken back"):
            keepwell.retention.undo(order.id)
        with pytest.raises(NotThere):
            keepwell.retention.undo("nonsense")


def test_while_a_vault_is_unverified_nothing_goes(world: World) -> None:
    """Neither from the store nor from the vault; the reason is told, and after a verification it goes by itself."""
    world.mark()
    world.pass_days(7.5)
    retained = world.retain()
    assert "7.5 days ago" in retained.against[0]
    assert (retained.bodies, world.orders()[0].begun_at) == (0, "")
    world.verify()
    assert world.retain().done


def test_while_a_vault_is_away_nothing_goes(world: World) -> None:
    """It would keep the bytes, and could not be gone through."""
    world.mark()
    due(world)
    (world.folder / "near").rename(world.folder / "away")
    assert "near cannot be written to" in world.retain().against[0]
    (world.folder / "away").rename(world.folder / "near")
    assert world.retain().done


def test_without_any_vault_only_an_override_erases(tmp_path: Path) -> None:
    """It is kept in the order."""
    world = World(tmp_path)
    world.put("secret.vcf", SECRET)
    world.mark()
    world.pass_days(8)
    assert world.retain().against == ("there is no vault, so there is one copy only",)
    assert "secret.vcf" in world.items()
    world.mark(override="the law says by tomorrow")
    world.pass_days(8)
    assert world.retain().done
    assert world.traces(b"unmistakable person") == []
    assert "the law says by tomorrow" in [one.override for one in world.orders()]


def test_a_whole_account_is_erased(world: World) -> None:
    """Its items, its login, its passwords and what it shared; nobody can sign in, and others go on."""
    with world.opened() as keepwell:
        keepwell.accounts.add("bert")
        secret = keepwell.accounts.add_password("anna", "an unmistakable phone")
        keepwell.accounts.grant("anna", Home.CONTACTS, "contacts", "bert", write=False)
    world.start()
    world.mark(None)
    due(world)
    world.retain()
    assert world.traces() == []
    assert world.items() == []
    assert world.carried()[-1].record.facts.op is Op.CLOSE
    with world.opened() as keepwell:
        assert keepwell.directory.logins() == ["bert"]
        assert keepwell.directory.shared_with(keepwell.directory.account_of("bert") or world.anna) == {}
        assert secret
    assert world.damage() == []
    world.verify()


def test_bytes_that_something_else_has_stay(world: World) -> None:
    """They are not only the erased item's; the item itself is removed."""
    world.put("twin.vcf", SECRET)
    with world.opened() as keepwell:
        preview = keepwell.retention.preview(world.anna, SCOPE)
        assert (preview.versions, preview.stays) == (1, 1)
    world.mark()
    due(world)
    world.retain()
    assert sorted(world.items()) == ["other.vcf", "photo.jpg", "twin.vcf"]
    assert digest_of(SECRET) in [digest_of(one.body) for one in world.carried() if one.body]
    world.verify()


def test_there_must_be_such_an_item(world: World) -> None:
    """Now or in the history; a mistyped name erases nothing a week later."""
    with pytest.raises(NotThere):
        world.mark(Scope(Home.CONTACTS, "contacts", "nobody.vcf"))


@pytest.mark.parametrize("where", ["before", "behind"])
@pytest.mark.parametrize(
    ("owner", "name", "call"),
    [
        (Orders, "put", 1),
        (SqliteAccount, "erase", 1),
        (Orders, "put", 2),
        (Retention, "_sweep", 1),
        (SqliteStore, "sweep_blobs", 1),
        (Retention, "erase_in", 1),
        (retention_module, "erase_from", 2),
        (retention_module, "write_file", 1),
        (Orders, "put", 3),
    ],
)
def test_after_a_crash_anywhere_the_next_call_does_the_rest(
    world: World, owner: object, name: str, call: int, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And between the two a start serves what is there, with nothing that counts as damage."""
    world.mark()
    due(world)
    calls = 0
    done = getattr(owner, name)

    def crashing(*words: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls == call and where == "before":
            raise ZeroDivisionError
        result = done(*words, **options)
        if calls == call:
            raise ZeroDivisionError
        return result

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, crashing)
        with pytest.raises(ZeroDivisionError):
            world.retain()
    world.start()
    assert world.damage() == []
    world.verify()
    world.retain()
    assert world.orders()[0].done_at
    assert world.traces(b"unmistakable person") == []
    assert "other.vcf" in world.items()
    assert world.damage() == []
    world.verify()


def test_an_older_copy_that_is_put_back_is_erased_again(world: World) -> None:
    """At the start: the vault has the order, and what it names goes before anything is served."""
    copy = world.keep_copy()
    world.mark()
    due(world)
    world.retain()
    head = world.carried()[-1].record
    world.put_back(copy)
    world.start()
    assert world.traces(b"unmistakable person") == []
    assert world.carried()[-1].record == head
    assert world.damage() == []


def test_an_account_restored_from_before_is_erased_again(world: World) -> None:
    """Its file alone was put back, as it was before. While the vault is away nobody knows what came after, and so the
    item stays; when it is back it is gone.
    """
    file = next((world.data / "accounts").glob(f"??/{world.anna}.db"))
    before = file.read_bytes()
    world.mark()
    due(world)
    world.retain()
    file.write_bytes(before)
    for beside in file.parent.glob(f"{file.name}-*"):
        beside.unlink()
    (world.folder / "near").rename(world.folder / "away")
    world.start()
    assert "secret.vcf" in world.items()
    (world.folder / "away").rename(world.folder / "near")
    world.start()
    assert world.traces(b"unmistakable person") == []
    assert "secret.vcf" not in world.items()
    assert "other.vcf" in world.items()


def test_an_account_that_is_lost_comes_back_from_the_vault_without_what_was_erased(world: World) -> None:
    """Nothing is missed, and nothing is brought to light."""
    world.mark()
    due(world)
    world.retain()
    before = world.carried()
    next((world.data / "accounts").glob(f"??/{world.anna}.db")).unlink()
    world.start()
    assert world.carried() == before
    assert world.damage() == []


def test_a_vault_that_is_added_later_is_gone_through_as_well(world: World) -> None:
    """One that had been away since before the order was made: all it has of it goes."""
    world.add_vault("far", confirm=False)
    with world.opened() as keepwell:
        keepwell.vaults.settings.remove("far")
    world.mark()
    due(world)
    world.retain()
    assert world.traces(b"unmistakable person")
    world.add_vault("far", confirm=False)
    world.verify()
    world.retain()
    assert world.traces(b"unmistakable person") == []
    world.verify()


def test_bytes_that_come_again_are_kept_in_every_copy(world: World) -> None:
    """A phone that was away puts the same card again: it is a new one, in the store and in the vault."""
    world.mark()
    due(world)
    world.retain()
    world.put("secret.vcf", SECRET)
    world.start()
    world.retain()
    world.verify()
    assert not any(one.erased for one in world.carried() if one.record.facts.digest == digest_of(SECRET))
    with world.opened() as keepwell, closing(keepwell.vaults.open("near")) as vault:
        bodies = [one.body for one in read_account([vault], world.anna)]
    assert SECRET in bodies
    assert world.damage() == []


def test_what_was_kept_to_go_back_to_is_erased_as_well(world: World) -> None:
    """Generations that are not served, and damaged files that were set aside."""
    for name in ("accounts.previous/aa", "accounts.undone/aa", "set-aside"):
        (world.data / name).mkdir(parents=True)
    (world.data / "accounts.previous" / "aa" / f"{world.anna}.db").write_bytes(SECRET)
    (world.data / "accounts.undone" / "aa" / f"{world.anna}.db").write_bytes(SECRET)
    (world.data / "set-aside" / f"{world.anna}-2026").mkdir()
    (world.data / "set-aside" / f"{world.anna}-2026" / "x.db").write_bytes(SECRET)
    world.mark()
    due(world)
    world.retain()
    assert world.traces(b"unmistakable person") == []


def test_a_rewind_does_not_bring_back_what_was_erased(world: World) -> None:
    """It brings back everything else."""
    target = world.carried()[-1].record.facts.seq
    world.remove("other.vcf")
    world.mark()
    due(world)
    world.retain()
    with world.opened() as keepwell:
        actor = Actor(world.anna, "anna", "operator")
        rewinder = Rewinder(keepwell.store, keepwell.writers)
        rewinder.rewind(actor, rewinder.preview(actor, (Home.CONTACTS, "contacts"), target)).result()
    assert sorted(world.items()) == ["other.vcf", "photo.jpg"]


def thinned(world: World) -> World:
    """A card changed three times on one day two years ago, and again lately."""
    for body in (b"unmistakable first", b"unmistakable second", b"third"):
        world.put("bob.vcf", body)
    world.pass_days(700)
    world.put("bob.vcf", b"fourth")
    world.pass_days(500)
    return world


def test_a_history_is_thinned_behind_its_time(world: World) -> None:
    """Marked as it is now, and erased when due; the last of the month stays, and so do the records."""
    thinned(world)
    before = [one.record for one in world.carried()]
    with world.opened() as keepwell:
        plan = keepwell.retention.plan_thinning(365)
        assert plan[world.anna].versions == 3  # two of bob's, and the first of the secret card
        keepwell.retention.mark_history(365)
    due(world)
    assert world.retain().bodies == 3
    assert world.traces(b"unmistakable first") == []
    assert world.traces(b"third")
    assert [one.record for one in world.carried()] == before
    assert world.damage() == []
    world.verify()
    with world.opened() as keepwell:
        assert keepwell.retention.plan_thinning(365) == {}


def test_the_system_account_is_never_thinned(world: World) -> None:
    """Orders and logins are read from its whole journal."""
    with world.opened() as keepwell:
        for _ in range(3):
            keepwell.accounts.disable("anna")
            keepwell.accounts.enable("anna")
    world.pass_days(3000)
    with world.opened() as keepwell:
        assert SYSTEM_ACCOUNT not in keepwell.retention.plan_thinning(60)
        with pytest.raises(BadRequest):
            keepwell.retention.plan_thinning(59)


def test_what_comes_between_mark_and_due_is_not_thinned(world: World) -> None:
    """The mark says of when: whoever looks at the plan knows what goes."""
    thinned(world)
    with world.opened() as keepwell:
        keepwell.retention.mark_history(365)
    world.put("bob.vcf", b"unmistakable fifth")
    world.put("bob.vcf", b"sixth")
    due(world)
    world.retain()
    assert world.traces(b"unmistakable fifth")


def test_a_servers_keeper_carries_orders_out(world: World) -> None:
    """With the vaults that its links have open; tails that still have the bytes are packed first."""
    world.mark()
    due(world)
    family = "a-family"
    prepare(world.data, family, lambda _sentence: None, clock=world.clock, entropy=world.entropy)
    with open_keepwell(world.data, family=family, clock=world.clock, entropy=world.entropy) as keepwell:
        world.clock.step_seconds = 0.0
        chore = retention_chore(keepwell.retention, keepwell.confirming, keepwell.store)
        for _ in range(3):
            chore.carry_out()
        [order] = keepwell.retention.orders.all()
        assert order.done_at
    assert world.traces(b"unmistakable person") == []
    world.clock.step_seconds = 0.001
    world.verify()
