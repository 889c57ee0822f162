"""Shipping: what the store has and the vault has not, whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from keepwell.model.errors import Damaged, StorageFault
from keepwell.storage.contract import Carried, Head
from keepwell.storage.memory_snapshot import MemorySnapshot
from keepwell.vault import ship as shipping
from keepwell.vault.memory_medium import MemoryMedium
from keepwell.vault.ship import Comparison, Relation, plan_ship, ship, ship_from
from tests.vault.filled import PHOTO, Filled
from tests.vault.journals import ANNA, BERT, Journal
from tests.vault.vaults import fill, new_vault


@pytest.fixture
def made() -> Filled:
    made = Filled()
    made.grow(ANNA, cards=3)
    made.grow(BERT, cards=2)
    return made


def test_the_plan_tells_who_is_ahead_and_what_is_unlike() -> None:
    """By both heads of an account; one whose heads are the same is not in it."""
    one, other, next_one = Head(3, "a" * 64), Head(3, "b" * 64), Head(4, "c" * 64)
    assert plan_ship({ANNA: one, BERT: one}, {ANNA: other, BERT: one}) == [Comparison(ANNA, one, other)]
    pairs = [(one, one), (one, other), (next_one, one), (one, next_one)]
    assert [Comparison(ANNA, *pair).relation for pair in pairs] == [
        Relation.EQUAL,
        Relation.UNLIKE,
        Relation.STORE_AHEAD,
        Relation.STORE_BEHIND,
    ]


def test_a_vault_that_takes_no_blob_fails_the_shipment(made: Filled) -> None:
    """That is no fault of the account: it is raised, not told among the accounts that could not be shipped."""
    made.grow(ANNA, photo=PHOTO)

    def refuse(operation: str, name: str) -> None:
        if operation == "create" and name.startswith("blobs/"):
            raise StorageFault("the disk is full")

    assert isinstance(made.medium, MemoryMedium)
    made.medium.before = refuse
    with pytest.raises(StorageFault, match="full"):
        made.ship()


def test_an_account_whose_journal_breaks_off_is_not_shipped(made: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that do not lead to the head that the store tells are not all: nothing of them goes into the vault."""
    whole = MemorySnapshot.carried

    def cut_off(snapshot: MemorySnapshot, after: int = 0) -> Iterator[Carried]:
        carried = list(whole(snapshot, after))
        yield from carried[:-1] if snapshot.account() == ANNA else carried

    monkeypatch.setattr(MemorySnapshot, "carried", cut_off)
    shipped = ship(made.vault, made.store, [ANNA, BERT])
    assert {one: type(error) for one, error in shipped.failures.items()} == {ANNA: Damaged}
    assert (made.vault.head(ANNA).sequence, made.vault.head(BERT)) == (0, made.head(BERT))


def test_much_is_shipped_in_several_packs(made: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pack is put when it is large enough, so that little has to be kept in memory."""
    monkeypatch.setattr(shipping, "PACK_OCTETS", 1)
    assert ship(made.vault, made.store, [ANNA, BERT]).accounts == 2
    assert [[frame.account for frame in pack.index.frames] for pack in made.vault.packs()] == [[ANNA], [BERT]]


def test_only_what_is_behind_the_vaults_head_comes_from_another_vault() -> None:
    """The rest follows it; and when the other has no more, nothing is put."""
    journal = Journal()
    for number in range(6):
        journal.put(f"card{number}")
    here, there = new_vault("here"), new_vault("there")
    fill(here, journal, 1, 3)
    fill(there, journal)
    assert ship_from(here, [there], ANNA) == len(journal.carried) - 3
    assert here.packed_head(ANNA) == there.packed_head(ANNA)
    assert here.frames(ANNA)[-1].frame.first == 4
    packs = here.packs()
    assert ship_from(here, [there], ANNA) == 0
    assert here.packs() == packs
