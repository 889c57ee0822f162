"""Catching up at a start: the plan as a table, and each deed on a real store and vault."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from unittest.mock import Mock

import apsw
import pytest

from keepwell.model.errors import Damaged, Fenced, StorageFault
from keepwell.model.names import SYSTEM_ACCOUNT, Kind
from keepwell.model.record import digest_of
from keepwell.services import catch_up as module
from keepwell.services.catch_up import CaughtUp, Deed, Step, catch_up, plan_catch_up
from keepwell.services.indexing import index_again
from keepwell.services.repair import HELD
from keepwell.storage.contract import Head
from keepwell.storage.memory import MemoryStore
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.memory_medium import MemoryMedium
from keepwell.vault.ship import pack_tails, ship
from keepwell.vault.vault import Vault
from tests.services.vault_desk import ANNA, BERT, OTHER, Desk, establish, looked_at, make, names_in, put

NONE = Head(0, "0" * 64)
ONE, TWO, TWO_ELSE = Head(1, "a" * 64), Head(2, "b" * 64), Head(2, "c" * 64)


@pytest.mark.parametrize(
    ("here", "vaults", "expected"),
    [
        (TWO, [TWO], []),
        (TWO, [ONE], [Deed.SHIP]),
        (TWO, [NONE], [Deed.SHIP]),
        (ONE, [TWO], [Deed.EXTEND]),
        (None, [TWO], [Deed.RESTORE]),
        (Damaged("flipped"), [TWO], [Deed.RESTORE]),
        (Damaged("flipped"), [NONE], [Deed.HOLD]),
        (TWO, [TWO_ELSE], [Deed.HOLD]),
        (ONE, [TWO, ONE], [Deed.EXTEND, Deed.SHIP]),
        (ONE, [ONE, TWO], [Deed.EXTEND, Deed.SHIP]),
        (None, [NONE, TWO], [Deed.RESTORE, Deed.SHIP]),
        (TWO, [TWO, NONE], [Deed.SHIP]),
    ],
)
def test_the_plan(here: Head | BaseException | None, vaults: list[Head], expected: list[Deed]) -> None:
    """What is done about an account follows from its heads alone."""
    store = {} if here is None else {ANNA: here}
    steps = plan_catch_up(store, [{ANNA: head} if head.sequence else {} for head in vaults], is_complete=True)
    assert [step.deed for step in steps] == expected


def test_what_cannot_be_read_is_not_replaced_by_what_may_have_less() -> None:
    """A vault that only follows may lack the last records, which the damaged file may have still."""
    [step] = plan_catch_up({ANNA: Damaged("flipped")}, [{ANNA: TWO}], is_complete=False)
    assert (step.deed, step.held) == (Deed.HOLD, HELD)


def test_the_fullest_vault_is_read_from() -> None:
    """Of several vaults the one that leads farthest is the source."""
    assert plan_catch_up({ANNA: ONE}, [{ANNA: ONE}, {ANNA: TWO}], is_complete=False)[0] == Step(Deed.EXTEND, ANNA, 1)


def test_the_system_account_comes_first() -> None:
    """Logins are needed before anything else can be told."""
    steps = plan_catch_up({}, [{ANNA: ONE, SYSTEM_ACCOUNT: ONE, BERT: ONE}], is_complete=False)
    assert [step.account for step in steps] == [SYSTEM_ACCOUNT, ANNA, BERT]


@pytest.fixture
def medium() -> MemoryMedium:
    return established()


def established() -> MemoryMedium:
    made = MemoryMedium()
    establish(made)
    return made


def taken_over(medium: MemoryMedium) -> Vault:
    """The vault, opened for writing by another server."""
    vault = looked_at(medium)
    vault.claim(OTHER)
    return vault


def written(path: Path, medium: MemoryMedium, names: list[str]) -> None:
    """Write these items with a server of its own life: store and vault opened, filled and closed."""
    store = SqliteStore(path)
    desk = Desk([medium], store=store).open()
    for name in names:
        desk.write(put(name, f"body of {name}".encode()))
    desk.close()
    store.close()


def caught_up(path: Path, medium: MemoryMedium, *, is_complete: bool = True) -> tuple[SqliteStore, CaughtUp]:
    store = SqliteStore(path)
    return store, catch_up(store, [taken_over(medium)], is_complete=is_complete)


def names_here(store: SqliteStore) -> list[str]:
    with store.account(ANNA).reading() as snapshot:
        return [one.facts.name for one in snapshot.records() if one.facts.name]


def test_an_older_copy_that_was_put_back_is_healed(tmp_path: Path, medium: MemoryMedium) -> None:
    """The store is behind: what the vault has more comes back, under the same lineage, and nothing is shipped twice."""
    written(tmp_path / "data", medium, ["one", "two"])
    shutil.copytree(tmp_path / "data", tmp_path / "yesterday")
    written(tmp_path / "data", medium, ["three", "four"])
    shutil.rmtree(tmp_path / "data")
    shutil.move(tmp_path / "yesterday", tmp_path / "data")
    with SqliteStore(tmp_path / "data").account(ANNA).reading() as snapshot:
        lineage = snapshot.lineage()
    store, done = caught_up(tmp_path / "data", medium)
    assert names_here(store) == ["one", "two", "three", "four"]
    assert done.extended == {ANNA: 2}
    with store.account(ANNA).reading() as snapshot:
        assert snapshot.lineage() == lineage
        assert snapshot.ledger()[Kind.CONTACTS].count == 4
    store.close()


@pytest.mark.parametrize("what", ["blobs/", "packs/"])
@pytest.mark.parametrize("is_older", [True, False])
def test_what_is_damaged_in_one_vault_comes_from_another(what: str, is_older: bool) -> None:
    """Be the store an older copy or lost: each vault has something that the other cannot read any more."""
    media = [established(), established()]
    store, body = MemoryStore(), b"x" * 200_000
    desk = Desk(media, store=store).open()
    desk.write(put("one"))
    older = {one.name: media[0].read(one.name) for one in media[0].list()}
    desk.write(put("two", body))
    for link in desk.links:
        link.roll()
    for one in media[0].list(what):
        if one.name not in older:
            media[0].replace(one.name, media[0].read(one.name)[:-60] + b"?" * 60)
    empty = MemoryStore()
    if is_older:
        with store.account(ANNA).reading() as snapshot:
            empty.restore(ANNA, list(snapshot.carried())[:2], index_again)
    vaults = [taken_over(medium) for medium in media]
    done = catch_up(empty, vaults, is_complete=True)
    assert done.held == {}
    with empty.account(ANNA).reading() as snapshot:
        assert snapshot.head().sequence == 3
        assert snapshot.content(digest_of(body)) == body


@pytest.mark.parametrize("is_older", [True, False])
def test_vaults_complete_each_other(is_older: bool) -> None:
    """One has the first records alone, the other the last ones alone: together they have all."""
    media = [established(), established()]
    desk = Desk(media, store=MemoryStore()).open()
    for name in ("one", "two"):
        desk.write(put(name))
        for link in desk.links:
            link.roll()
    first, last = (
        next(one.name for one in media[number].list("packs/") if text in media[number].read(one.name))
        for number, text in ((1, b'"first":1'), (0, b'"last":3'))
    )
    media[1].remove(first)
    media[0].remove(last)
    store = MemoryStore()
    if is_older:
        with desk.store.account(ANNA).reading() as snapshot:
            store.restore(ANNA, list(snapshot.carried())[:2], index_again)
    vaults = [taken_over(medium) for medium in media]
    done = catch_up(store, vaults, is_complete=True)
    assert done.held == {}
    with store.account(ANNA).reading() as snapshot:
        assert (snapshot.head().sequence, snapshot.held()) == (3, {})


def test_nothing_is_brought_anywhere_from_a_vault_that_was_lost_meanwhile() -> None:
    """What it has may be of a server that had lost it before: of two servers each may hold one of two vaults."""
    near, far = established(), established()
    desk = Desk([near], store=MemoryStore()).open()
    desk.write(put("one"))
    desk.close()
    store, vaults = MemoryStore(), [taken_over(far), taken_over(near)]
    taken_over(near)
    with pytest.raises(Fenced):
        catch_up(store, vaults, is_complete=True)
    assert store.accounts() == []
    assert names_in(far) == []


def test_a_lost_account_is_restored(tmp_path: Path, medium: MemoryMedium) -> None:
    """With the whole data folder gone every account comes back."""
    written(tmp_path / "data", medium, ["one", "two"])
    shutil.rmtree(tmp_path / "data")
    store, _ = caught_up(tmp_path / "data", medium)
    assert names_here(store) == ["one", "two"]
    store.close()


def test_a_damaged_account_is_set_aside_and_restored(tmp_path: Path, medium: MemoryMedium) -> None:
    """A file that cannot be read is kept elsewhere, and the account is made anew from the vault."""
    written(tmp_path / "data", medium, ["one", "two"])
    [path] = (tmp_path / "data").glob("accounts/an/*.db")
    octets = bytearray(path.read_bytes())
    for page in range(1, len(octets) // 4096):
        octets[page * 4096 + 100] ^= 0xFF
    path.write_bytes(octets)
    store, done = caught_up(tmp_path / "data", medium)
    assert done.restored == {ANNA: 3}
    assert names_here(store) == ["one", "two"]
    assert list((tmp_path / "data" / "set-aside").rglob("*.db")) != []
    store.close()


@pytest.mark.parametrize("error", [apsw.FullError("disk full"), OSError("too many open files")])
def test_a_file_that_cannot_be_read_for_now_is_left_alone(
    tmp_path: Path, medium: MemoryMedium, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """It says nothing about what is in it: nothing is set aside, and whoever asked tries again."""
    written(tmp_path / "data", medium, ["one"])
    with monkeypatch.context() as patched:
        patched.setattr(SqliteStore, "read_heads", lambda _store: iter([(ANNA, error)]))
        with pytest.raises(StorageFault, match="cannot be read now"):
            caught_up(tmp_path / "data", medium)
    assert not (tmp_path / "data" / "set-aside").exists()
    store, done = caught_up(tmp_path / "data", medium)
    assert (names_here(store), done.restored) == (["one"], {})
    store.close()


def test_an_account_is_let_go_once_it_could_be_extended(
    tmp_path: Path, medium: MemoryMedium, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was behind a vault that could not be read, and is served again when that is whole and everything is back."""
    written(tmp_path / "data", medium, ["one"])
    shutil.copytree(tmp_path / "data", tmp_path / "yesterday")
    written(tmp_path / "data", medium, ["two"])
    with monkeypatch.context() as patched:
        patched.setattr(module, "read_account", Mock(side_effect=Damaged("a pack is gone")))
        store, done = caught_up(tmp_path / "yesterday", medium)
        assert ANNA in done.held
        assert len(store.read_held(ANNA)) == len(Kind)
        store.close()
    store, done = caught_up(tmp_path / "yesterday", medium)
    assert (done.extended, done.held) == ({ANNA: 1}, {})
    assert store.read_held(ANNA) == {}
    assert names_here(store) == ["one", "two"]
    store.close()


def test_the_end_that_sqlite_dropped_comes_back(tmp_path: Path, medium: MemoryMedium) -> None:
    """A log that was cut off leaves a shorter journal that proves itself; only the vault knows better."""
    store = SqliteStore(tmp_path / "data")
    desk = Desk([medium], store=store).open()
    for number in range(6):
        desk.write(put(f"{number}"))
    shutil.copytree(tmp_path / "data", tmp_path / "crashed")
    desk.close()
    store.close()
    [wal] = (tmp_path / "crashed").glob("accounts/an/*.db-wal")
    octets = bytearray(wal.read_bytes())
    octets[len(octets) - 5000] ^= 1
    wal.write_bytes(octets)
    healed, _ = caught_up(tmp_path / "crashed", medium)
    assert names_here(healed) == [str(number) for number in range(6)]
    healed.close()


def test_two_histories_are_held_and_neither_is_overwritten(tmp_path: Path, medium: MemoryMedium) -> None:
    """The same number with another record: nothing of the account is served, and both sides keep what they have."""
    written(tmp_path / "data", medium, ["one"])
    shutil.copytree(tmp_path / "data", tmp_path / "fork")
    written(tmp_path / "data", medium, ["ours"])
    other = SqliteStore(tmp_path / "fork")
    other.account(ANNA).transact([put("theirs")])
    vault = looked_at(medium)
    vault.claim(OTHER)
    done = catch_up(other, [vault], is_complete=True)
    assert ANNA in done.held
    with other.account(ANNA).reading() as snapshot:
        assert set(snapshot.held()) == set(Kind)
    assert names_here(other) == ["one", "theirs"]
    assert names_in(medium) == ["one", "ours"]
    other.close()


def test_a_fork_with_a_longer_store_is_held_as_well(tmp_path: Path, medium: MemoryMedium) -> None:
    """The store is ahead by sequence, but the vault's last record is not in it."""
    written(tmp_path / "data", medium, ["one"])
    shutil.copytree(tmp_path / "data", tmp_path / "fork")
    written(tmp_path / "data", medium, ["ours"])
    other = SqliteStore(tmp_path / "fork")
    other.account(ANNA).transact([put("theirs"), put("more of theirs")])
    vault = looked_at(medium)
    vault.claim(OTHER)
    assert ANNA in catch_up(other, [vault], is_complete=True).held
    assert names_in(medium) == ["one", "ours"]
    other.close()


def test_a_store_that_is_ahead_is_shipped(tmp_path: Path, medium: MemoryMedium) -> None:
    """What was committed and never confirmed is in the vault after the start."""
    written(tmp_path / "data", medium, ["one"])
    store = SqliteStore(tmp_path / "data")
    store.account(ANNA).transact([put("two")])
    store.close()
    store, done = caught_up(tmp_path / "data", medium)
    assert done.shipped == 1
    assert names_in(medium) == ["one", "two"]
    store.close()


def test_tails_of_a_killed_server_are_packed_and_removed(medium: MemoryMedium) -> None:
    """What a tail confirmed is in packs before the tail goes; a healthy store needs nothing else."""
    desk = Desk([medium], store=MemoryStore()).open()
    desk.write(put("one"))
    vault = looked_at(medium)
    vault.claim(OTHER)
    assert vault.tails() != []
    catch_up(desk.store, [vault], is_complete=True)
    pack_tails(vault, desk.store)
    assert (list(medium.list("tails/")), names_in(medium)) == ([], ["one"])


def test_a_tail_that_the_store_lacks_is_not_removed(medium: MemoryMedium) -> None:
    """Without the store's records the tail is the only copy: it stays until they are elsewhere."""
    desk = Desk([medium], store=MemoryStore()).open()
    desk.write(put("one"))
    vault = looked_at(medium)
    vault.claim(OTHER)
    empty = MemoryStore()
    empty.create(ANNA, [make()])
    pack_tails(vault, empty)
    assert names_in(medium) == ["one"]


def test_a_tail_of_an_account_that_the_store_lacks_is_not_removed(medium: MemoryMedium) -> None:
    """Packs lead as far, and that they have the same records only a store could say that shipped them."""
    desk = Desk([medium], store=MemoryStore()).open()
    desk.write(put("one"))
    vault = looked_at(medium)
    vault.claim(OTHER)
    tails = vault.tails()
    ship(vault, desk.store, [ANNA])
    pack_tails(vault, MemoryStore())
    assert [info.name for info in medium.list("tails/")] == tails != []
    pack_tails(vault, desk.store)
    assert (list(medium.list("tails/")), names_in(medium)) == ([], ["one"])


def test_a_damaged_tail_stays_while_it_proves_what_nothing_else_has(medium: MemoryMedium) -> None:
    """The store is lost, a line of the tail damaged: what stands behind it is kept, whatever gets its numbers later."""
    desk = Desk([medium], store=MemoryStore()).open()
    for name in ("one", "two", "three"):
        desk.write(put(name))
    [tail] = [info.name for info in medium.list("tails/")]
    medium.replace(tail, medium.read(tail).replace(b'"name":"two"', b'"name":"too"'))
    made_anew = MemoryStore()
    vault = looked_at(medium)
    vault.claim(OTHER)
    assert catch_up(made_anew, [vault], is_complete=True).restored == {ANNA: 2}
    pack_tails(vault, made_anew)
    made_anew.account(ANNA).transact([put("other"), put("another"), put("more")])
    pack_tails(vault, made_anew)
    assert names_in(medium) == ["one", "other", "another", "more"]
    assert b'"name":"three"' in medium.read(tail)


def test_a_flipped_bit_in_an_index_is_no_fork(medium: MemoryMedium) -> None:
    """What an index says of heads, ahead of the store or other than it, is not believed when it is damaged."""
    desk = Desk([medium], store=MemoryStore()).open()
    desk.write(put("one"))
    desk.links[0].roll()
    pack, stored = next(
        (one.name, octets) for one in medium.list("packs/") if b'"last":2' in (octets := medium.read(one.name))
    )
    for word, other in ((rb'"last":2', b'"last":9'), (rb'"head":"\w', b'"head":"x')):
        medium.replace(pack, re.sub(word, other, stored))
        vault = looked_at(medium)
        vault.claim(OTHER)
        done = catch_up(desk.store, [vault], is_complete=True)
        assert (done.held, done.extended, done.restored) == ({}, {}, {})
        assert [pack in fault for fault in done.faults] == [True]


def test_an_account_that_comes_back_in_part_is_held_until_the_rest_is_found(medium: MemoryMedium) -> None:
    """The store is lost and a pack damaged: what can be read is there, and nobody is told that it was all."""
    desk = Desk([medium], store=MemoryStore()).open()
    for name in ("one", "two"):
        desk.write(put(name))
        desk.links[0].roll()
    newest = next(one.name for one in medium.list("packs/") if b'"last":3' in medium.read(one.name))
    stored, store = medium.read(newest), MemoryStore()
    for damaged in (stored.replace(stored[20:24], b"????", 1), stored[:20] + b"????" + stored[24:], stored):
        medium.replace(newest, damaged)
        vault = looked_at(medium)
        vault.claim(OTHER)
        done = catch_up(store, [vault], is_complete=True)
        with store.account(ANNA).reading() as snapshot:
            assert (snapshot.head().sequence, set(snapshot.held())) == (
                (3, set()) if damaged == stored else (2, set(Kind))
            )
        assert (ANNA in done.held) == (damaged != stored)


def test_an_account_whose_beginning_is_nowhere_stops_no_start() -> None:
    """The store has nothing of it, and the vault only what came later: it is told, and the others are brought back."""
    medium = MemoryMedium()
    establish(medium)
    full = MemoryStore()
    full.create(ANNA, [make()])
    full.create(BERT, [make(), put("b.vcf")])
    vault = looked_at(medium)
    vault.claim(OTHER)
    ship(vault, full, [ANNA])
    full.account(ANNA).transact([put("a.vcf")])
    ship(vault, full, [ANNA, BERT])
    beginning = next(ref.pack for ref in vault.frames(ANNA) if ref.frame.first == 1)
    medium.remove(beginning)
    store = MemoryStore()
    done = catch_up(store, [taken_over(medium)], is_complete=True)
    assert done.restored == {BERT: 2}
    assert "tell of 2 records and give only 0" in done.held[ANNA]
