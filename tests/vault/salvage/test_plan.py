"""The plan for one account: the unbroken run stays, what is behind a gap comes anew, and nothing is invented."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepwell.model.names import Digest, Home, Kind, Lineage
from keepwell.model.record import Facts, Op, Record, digest_of, seal
from keepwell.storage.contract import Carried
from keepwell.storage.replay import Replay
from keepwell.storage.sqlite_fragments import ItemSaid
from keepwell.vault.salvage.assess import Said, assess
from keepwell.vault.salvage.plan import AccountPlan, plan_account
from keepwell.vault.salvage.unite import unite
from tests.vault.journals import ANNA, Journal

NEW = Lineage("newnewnewnewnew2")
AT = "2026-11-24T00:00:00.000000Z"
Story = Callable[[Journal], object]


def everything(_digest: Digest) -> bool:
    return True


def without(*bodies: bytes) -> Callable[[Digest], bool]:
    missing = {digest_of(body) for body in bodies}
    return lambda digest: digest not in missing


def planned(
    journal: Journal, gone: Iterable[int] = (), has_bytes: Callable[[Digest], bool] = everything
) -> AccountPlan:
    gone = set(gone)
    records = [one.record for one in journal.carried if one.record.facts.seq not in gone]
    return plan_account(ANNA, unite(records), has_bytes)


def sealed(plan: AccountPlan) -> list[Record]:
    return list(plan.sealed(NEW, AT, {"because": "salvage"}))


def items(plan: AccountPlan) -> dict[str, Digest]:
    return {f"{collection}/{name}": digest for (_home, collection, name), digest in plan.items.items()}


def told(records: Sequence[Record]) -> list[tuple[str, str, str, str]]:
    return [(one.facts.op, one.facts.collection, one.facts.name, one.facts.by) for one in records]


def test_a_whole_journal_stays_as_it_is() -> None:
    """With every record and all bytes everything is kept, nothing comes anew."""
    journal = Journal()
    journal.put("bob")
    plan = planned(journal)
    assert plan.kept == [one.record for one in journal.carried]
    assert (plan.anew, plan.lacking, plan.is_unbroken) == ([], [], True)


def test_behind_a_gap_every_change_comes_anew() -> None:
    """The run before the gap is kept; then a new lineage; the changes behind it with their moment, maker and number."""
    journal = Journal()
    for name in ("a", "b", "c", "d"):
        journal.put(name, name.encode())
    journal.remove("a")
    plan = planned(journal, {4})
    records = sealed(plan)
    assert records[:3] == [one.record for one in journal.carried[:3]]
    assert told(records[3:]) == [
        ("open", "", "", "keepwell"),
        ("put", "friends", "c", "test (salvaged, was record 5)"),
        ("put", "friends", "d", "test (salvaged, was record 6)"),
        ("remove", "friends", "a", "test (salvaged, was record 7)"),
    ]
    assert [one.facts.at for one in records[4:]] == [one.record.facts.at for one in journal.carried[4:]]
    assert items(plan) == {"friends/c": digest_of(b"c"), "friends/d": digest_of(b"d")}


def test_the_new_journal_is_a_whole_chain() -> None:
    """What is sealed follows record by record, and the new lineage begins behind what was kept."""
    journal = Journal()
    for number in range(9):
        journal.put(f"card{number % 3}", b"%d" % number)
    records = sealed(planned(journal, {5, 8}))
    for before, record in itertools.pairwise(records):
        assert (record.facts.prev, record.facts.seq) == (before.hash, before.facts.seq + 1)
    assert [one.facts.lineage == NEW for one in records] == [False] * 4 + [True] * (len(records) - 4)


def change(op: Op, collection: str, name: str = "", *, kind: Kind = Kind.CONTACTS, body: bytes | None = None) -> Story:
    return lambda journal: journal.add(
        op, kind, collection, name, body=body, properties={} if op in {Op.MAKE, Op.SET} else None
    )


SHOWN: dict[str, tuple[list[Story], list[int], list[tuple[str, str, str, bool]]]] = {
    "a put into a collection whose making is gone": (
        [change(Op.MAKE, "work"), change(Op.PUT, "work", "bob", body=b"bob")],
        [3],
        [("make", "work", "", True), ("put", "work", "bob", False)],
    ),
    "a change of a collection whose making is gone": (
        [change(Op.MAKE, "work"), change(Op.SET, "work")],
        [3],
        [("make", "work", "", True), ("set", "work", "", False)],
    ),
    "a making of what is there: its dropping is gone": (
        [change(Op.DROP, "friends"), change(Op.MAKE, "friends")],
        [3],
        [("drop", "friends", "", True), ("make", "friends", "", False)],
    ),
    "a put into a collection that has another kind now": (
        [
            change(Op.MAKE, "plans", kind=Kind.CALENDAR),
            change(Op.DROP, "plans", kind=Kind.CALENDAR),
            change(Op.MAKE, "plans", kind=Kind.TASKS),
            change(Op.PUT, "plans", "buy", kind=Kind.TASKS, body=b"buy"),
        ],
        [4, 5],
        [("drop", "plans", "", True), ("make", "plans", "", True), ("put", "plans", "buy", False)],
    ),
    "a removal of what was put in the gap": (
        [change(Op.PUT, "friends", "bob", body=b"bob"), change(Op.REMOVE, "friends", "bob")],
        [3],
        [],
    ),
    "a dropping of what was made in the gap": (
        [change(Op.MAKE, "work"), change(Op.DROP, "work")],
        [3],
        [],
    ),
    "folders above a folder of photos": (
        [
            change(Op.MAKE, "trips", kind=Kind.PHOTOS),
            change(Op.MAKE, "trips/rome", kind=Kind.PHOTOS),
            change(Op.PUT, "trips/rome", "one.jpg", kind=Kind.PHOTOS, body=b"jpg"),
        ],
        [3, 4],
        [("make", "trips", "", True), ("make", "trips/rome", "", True), ("put", "trips/rome", "one.jpg", False)],
    ),
    "a dropping of a folder takes what is nested in it": (
        [
            change(Op.MAKE, "trips", kind=Kind.PHOTOS),
            change(Op.MAKE, "trips/rome", kind=Kind.PHOTOS),
            change(Op.DROP, "trips/rome", kind=Kind.PHOTOS),
            change(Op.DROP, "trips", kind=Kind.PHOTOS),
        ],
        [5],
        [("drop", "trips/rome", "", True), ("drop", "trips", "", False)],
    ),
}


@pytest.mark.parametrize("case", SHOWN.values(), ids=SHOWN)
def test_only_what_a_record_shows_is_made_up_for(
    case: tuple[list[Story], list[int], list[tuple[str, str, str, bool]]],
) -> None:
    """A record behind a gap says what must have happened in it: that much is done, by Keepwell, and no more."""
    stories, gone, expected = case
    journal = Journal()
    for story in stories:
        story(journal)
    anew = planned(journal, gone).anew
    assert [(one.op, one.collection, one.name, one.by == "keepwell") for one in anew] == expected


def test_two_items_never_share_a_uid() -> None:
    """When an item has the UID of an older one, that one was removed in the gap."""
    journal = Journal()
    journal.put("old", b"old")
    journal.remove("old")
    journal.add(Op.PUT, Kind.CONTACTS, "friends", "new", body=b"new")
    facts = msgspec.structs.replace(journal.carried[-1].record.facts, uid="old")
    journal.carried[-1] = Carried(seal(facts), b"new")
    plan = planned(journal, {4})
    assert [(one.op, one.name) for one in plan.anew] == [("remove", "old"), ("put", "new")]


def test_without_its_bytes_an_item_keeps_its_last_version_that_has_them() -> None:
    """The newest version's bytes are nowhere: the one before stays, and the loss is told with name and moment."""
    journal = Journal()
    journal.put("bob", b"first")
    record = journal.put("bob", b"second")
    journal.put("eve", b"eve")
    plan = planned(journal, has_bytes=without(b"second"))
    assert items(plan) == {"friends/bob": digest_of(b"first"), "friends/eve": digest_of(b"eve")}
    [lacking] = plan.lacking
    assert (lacking.facts, lacking.is_current) == (record.facts, True)
    assert [one.facts.seq for one in sealed(plan)] == [1, 2, 3, 4, 5]


def test_an_item_that_never_had_bytes_is_not_there() -> None:
    """The only version's bytes are nowhere: the item is told, and not served empty."""
    journal = Journal()
    journal.put("bob", b"only")
    plan = planned(journal, has_bytes=without(b"only"))
    assert (items(plan), [one.is_current for one in plan.lacking]) == ({}, [True])
    assert not plan.is_unbroken


@pytest.mark.parametrize(
    "later",
    [change(Op.PUT, "friends", "bob", body=b"third"), change(Op.REMOVE, "friends", "bob"), change(Op.DROP, "friends")],
    ids=["put again", "removed", "dropped with its collection"],
)
def test_bytes_that_only_an_older_version_had_are_told_as_such(later: Story) -> None:
    """A later change of the item is known: what it lacks is no loss of the item as it is."""
    journal = Journal()
    journal.put("bob", b"first")
    journal.put("bob", b"second")
    later(journal)
    plan = planned(journal, has_bytes=without(b"second"))
    assert [one.is_current for one in plan.lacking] == [False]


def test_items_are_counted_at_the_record_that_is_asked_for() -> None:
    """How many items of a kind there were after some record, as it was numbered."""
    journal = Journal()
    for name in "abcd":
        journal.put(name)
    records = [one.record for one in journal.carried if one.record.facts.seq != 4]
    counts = [plan_account(ANNA, unite(records), everything, {Kind.CONTACTS: at}).counts for at in (2, 3, 4, 5, 6, 99)]
    assert [one[Kind.CONTACTS] for one in counts] == [0, 1, 1, 2, 3, 3]


def test_an_item_whose_bytes_were_gone_then_is_counted_all_the_same() -> None:
    """It is known to have been there: its later version is here now, and no other item is missing for it."""
    journal = Journal()
    journal.put("bob", b"first")
    journal.put("eve", b"eve")
    journal.put("bob", b"second")
    records = [one.record for one in journal.carried]
    plans = (plan_account(ANNA, unite(records), without(b"first"), {Kind.CONTACTS: at}) for at in (3, 4, 5))
    assert [plan.counts[Kind.CONTACTS] for plan in plans] == [1, 2, 2]
    noted = {Kind.CONTACTS: (4, 2, "f" * 64)}
    [kind] = assess(plan_account(ANNA, unite(records), without(b"first"), {Kind.CONTACTS: 4}), Said(5, noted)).kinds
    assert (kind.expected, kind.recovered, kind.incomplete, kind.lost, kind.proven) == (2, 2, 0, 0, True)


def test_an_item_of_which_two_versions_are_lost_is_told_once() -> None:
    """The bytes of the older are nowhere, the newer only a row names: it is one item, and lost."""
    journal = Journal()
    journal.put("bob", b"first")
    row = ItemSaid(2, "bob", 4, digest_of(b"second"), AT, 6)
    said = Said(4, {Kind.CONTACTS: (4, 1, "f" * 64)}, [row])
    history = unite(one.record for one in journal.carried)
    loss = assess(plan_account(ANNA, history, without(b"first"), {Kind.CONTACTS: 4}), said)
    assert [(one.seq, one.fate, one.is_current) for one in loss.items] == [(3, "incomplete", False), (4, "lost", True)]
    assert [(one.expected, one.recovered, one.incomplete, one.lost) for one in loss.kinds] == [(1, 0, 0, 1)]


def erased(*bodies: bytes) -> Callable[[Facts], bool]:
    gone = {digest_of(body) for body in bodies}
    return lambda facts: facts.digest in gone


def test_erased_bytes_break_no_chain_and_are_no_loss() -> None:
    """An older version was erased by order: its record stays, even when some copy still has the bytes."""
    journal = Journal()
    journal.put("bob", b"first")
    journal.put("bob", b"second")
    records = [one.record for one in journal.carried]
    for has_bytes in (everything, without(b"first")):
        plan = plan_account(ANNA, unite(records), has_bytes, is_erased=erased(b"first"))
        assert (plan.kept, plan.anew, plan.lacking, plan.is_unbroken) == (records, [], [], True)


def test_erased_bytes_behind_a_gap_are_left_out() -> None:
    """What comes anew brings its bytes; a record whose bytes were erased does not come, and is no loss."""
    journal = Journal()
    for body in (b"lost", b"erased", b"last"):
        journal.put("bob", body)
    records = [one.record for one in journal.carried if one.record.facts.seq != 3]
    plan = plan_account(ANNA, unite(records), everything, is_erased=erased(b"erased"))
    assert ([one.digest for one in plan.anew], plan.lacking) == ([digest_of(b"last")], [])


def test_an_item_is_not_there_with_erased_bytes() -> None:
    """What took the erased version away is lost: the item is removed, never there without bytes."""
    journal = Journal()
    journal.put("bob", b"erased")
    journal.put("bob", b"second")
    records = [one.record for one in journal.carried[:3]]
    plan = plan_account(ANNA, unite(records), everything, is_erased=erased(b"erased"))
    assert (plan.items, [(one.op, one.name) for one in plan.anew]) == ({}, [("remove", "bob")])


@given(
    steps=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(0, 3)), max_size=40),
    gone=st.sets(st.integers(3, 42), max_size=12),
    lost_bodies=st.sets(st.integers(0, 3), max_size=2),
)
def test_whatever_is_gone_the_new_journal_can_be_replayed(
    steps: list[tuple[int, int, int]], gone: set[int], lost_bodies: set[int]
) -> None:
    """For any history and any gaps the journal is a chain that fits, and what it comes to is what the plan says."""
    journal = told_by(steps)
    has_bytes = without(*(b"%d" % number for number in lost_bodies))
    plan = planned(journal, gone, has_bytes)
    records = plan.kept if plan.is_unbroken else sealed(plan)
    replay = Replay()
    for record in records:
        assert record.facts.op is not Op.PUT or (record.facts.digest and has_bytes(record.facts.digest))
        replay.take(record.facts)
    assert replay.ledger() == plan.ledger
    there = {(Home.CONTACTS, one.name, item.put.name) for one in replay.collections() for item in one.items()}
    assert there == plan.items.keys()


def told_by(steps: list[tuple[int, int, int]]) -> Journal:
    """A history that the rules allow, from random steps: those that do not fit are left out."""
    journal, state = Journal(), {"friends": set[str]()}
    for what, where, number in steps:
        collection, name = ("friends", "work")[where % 2], f"card{where}"
        there = state.get(collection)
        if what <= 2 and there is not None:
            journal.add(Op.PUT, Kind.CONTACTS, collection, name, body=b"%d" % number)
            there.add(name)
        elif what == 3 and there is not None and name in there:
            journal.add(Op.REMOVE, Kind.CONTACTS, collection, name)
            there.remove(name)
        elif what == 4 and there is None:
            journal.add(Op.MAKE, Kind.CONTACTS, collection, properties={})
            state[collection] = set()
        elif what == 5 and there is not None:
            journal.add(Op.DROP, Kind.CONTACTS, collection)
            del state[collection]
    return journal


def test_a_record_that_does_not_fit_comes_anew_with_what_it_shows() -> None:
    """It follows the one before and puts a card into an address book that nothing made: that was there, then."""
    journal = Journal()
    journal.add(Op.PUT, Kind.CONTACTS, "foes", "bob", body=b"Bob")
    plan = planned(journal)
    assert [one.facts.seq for one in plan.kept] == [1, 2]
    assert [(one.op, one.collection) for one in plan.anew] == [(Op.MAKE, "foes"), (Op.PUT, "foes")]


def test_what_was_said_of_the_account_behind_a_gap_is_said_again() -> None:
    """That it was closed, and opened: it changes no item."""
    journal = Journal()
    journal.put("bob")
    journal.add(Op.CLOSE)
    plan = planned(journal, gone=[3])
    assert [one.op for one in plan.anew] == [Op.CLOSE]


def test_of_the_folders_above_only_those_that_are_not_there_are_made() -> None:
    """A photo behind a gap shows that the folder that it is in was there, and those above that one."""
    journal = Journal()
    journal.add(Op.MAKE, Kind.PHOTOS, "trip")
    journal.add(Op.MAKE, Kind.PHOTOS, "trip/monday")
    journal.add(Op.MAKE, Kind.PHOTOS, "trip/monday/morning")
    journal.add(Op.PUT, Kind.PHOTOS, "trip/monday/morning", "sun.jpg", body=b"sun")
    plan = planned(journal, gone=[4, 5])
    assert [(one.op, one.collection) for one in plan.anew] == [
        (Op.MAKE, "trip/monday"),
        (Op.MAKE, "trip/monday/morning"),
        (Op.PUT, "trip/monday/morning"),
    ]
