"""The loss report: counts by kind from the ledgers, names where they are known, and nothing proven that is not."""

from __future__ import annotations

from keepwell.model.names import Kind
from keepwell.vault.loss import ITEMS_MAX, Expected, Fate, Gap, KindLoss, LostItem, There, loss_of
from tests.vault.journals import ANNA

LEDGER = {Kind.CONTACTS: (40, 30, "a" * 64), Kind.CALENDAR: (12, 5, "b" * 64)}


def item(name: str, fate: Fate, *, is_current: bool = True, seq: int = 7) -> LostItem:
    return LostItem(
        kind=Kind.CONTACTS,
        collection="friends",
        name=name,
        seq=seq,
        at="2026-11-23T08:00:00.000000Z",
        size=100,
        fate=fate,
        is_current=is_current,
    )


def contacts(kinds: tuple[KindLoss, ...]) -> KindLoss:
    return next(one for one in kinds if one.kind is Kind.CONTACTS)


def test_an_account_that_equals_its_ledger_is_whole() -> None:
    """Same records, same ledger: everything is recovered, and proven."""
    loss = loss_of(Expected(ANNA, 40, LEDGER), There(40, LEDGER))
    assert loss.is_whole
    assert [(one.expected, one.recovered, one.incomplete, one.lost, one.proven) for one in loss.kinds] == [
        (30, 30, 0, 0, True),
        (5, 5, 0, 0, True),
    ]


def test_items_without_bytes_are_incomplete_and_not_recovered() -> None:
    """Though the ledger is the right one, an item whose bytes are gone is not counted as recovered."""
    there = There(40, LEDGER, [item("bob", Fate.INCOMPLETE), item("eve", Fate.INCOMPLETE)])
    loss = loss_of(Expected(ANNA, 40, LEDGER), there)
    assert contacts(loss.kinds) == KindLoss(
        kind=Kind.CONTACTS, expected=30, recovered=28, incomplete=2, lost=0, proven=False
    )
    assert not loss.is_whole


def test_an_older_version_without_bytes_leaves_the_kind_proven_and_the_account_not_whole() -> None:
    """The items now are all there; what is gone from the history is told by name."""
    loss = loss_of(Expected(ANNA, 40, LEDGER), There(40, LEDGER, [item("bob", Fate.INCOMPLETE, is_current=False)]))
    assert contacts(loss.kinds).proven
    assert contacts(loss.kinds).recovered == 30
    assert not loss.is_whole


def test_a_journal_that_breaks_off_loses_what_the_ledger_counts_more() -> None:
    """Items are lost by count, and the records that nothing has are a gap."""
    there = There(31, {Kind.CONTACTS: (31, 22, "c" * 64), Kind.CALENDAR: LEDGER[Kind.CALENDAR]})
    loss = loss_of(Expected(ANNA, 40, LEDGER), there)
    assert contacts(loss.kinds).lost == 8
    assert loss.gaps == (Gap(32, 40),)
    assert [one.proven for one in loss.kinds] == [False, True]


def test_names_that_are_known_count_when_they_are_more_than_the_difference() -> None:
    """Equal counts can hide that one item came for another: the names tell."""
    there = There(31, {Kind.CONTACTS: (31, 30, "c" * 64)})
    behind = [item("bob", Fate.LOST, seq=35), item("eve", Fate.LOST, seq=36)]
    loss = loss_of(Expected(ANNA, 40, LEDGER), there, behind=behind, gaps=[Gap(32, 34)])
    assert contacts(loss.kinds).lost == 2
    assert [one.name for one in loss.items] == ["bob", "eve"]


def test_items_that_came_back_though_removed_later_are_not_proven() -> None:
    """More than expected is no loss of items, and not what was there last either."""
    there = There(31, {Kind.CONTACTS: (31, 33, "c" * 64)})
    found = contacts(loss_of(Expected(ANNA, 40, LEDGER), there).kinds)
    assert (found.lost, found.proven) == (0, False)


def test_without_any_ledger_what_came_back_is_what_is_known() -> None:
    """An account of which only a tail is left is proven when its last known record came back."""
    ledger = {Kind.CONTACTS: (3, 1, "d" * 64)}
    assert loss_of(Expected(ANNA, 3), There(3, ledger)).is_whole
    assert not contacts(loss_of(Expected(ANNA, 5), There(3, ledger)).kinds).proven


def test_a_long_list_of_names_is_cut_and_says_so() -> None:
    """A lost disk of photos does not make a report of a million lines."""
    lacking = [item(f"photo {number}", Fate.INCOMPLETE, seq=number) for number in range(ITEMS_MAX + 5)]
    loss = loss_of(Expected(ANNA, 2000), There(2000, {Kind.CONTACTS: (2000, 1500, "e" * 64)}, lacking))
    assert (len(loss.items), loss.items_left_out) == (ITEMS_MAX, 5)
    assert contacts(loss.kinds).incomplete == ITEMS_MAX + 5
