"""The plan of a restore into a live account: each item of the copy against what is here, and what was chosen."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from keepwell.model.names import NAME_OCTETS_MAX, Digest, Home, Kind
from keepwell.model.record import Op, Properties
from keepwell.services.history import Spot
from keepwell.services.live_plan import Keep, LivePlan, State, kinds_of, name_beside, plan_live_restore
from keepwell.services.rewind import CollectionThen, ItemThen

FRIENDS: Spot = (Home.CONTACTS, "friends")
BESIDE: Spot = (Home.CONTACTS, "friends (restored D)")
LABEL = "restored D"


def item(digest: str, uid: str | None = None) -> ItemThen:
    """An item with these bytes; its UID is the first letter of them unless another is said."""
    return ItemThen(Digest(digest), 1, digest[0] if uid is None else uid, "text/vcard", None)


def state(properties: Properties | None = None, kind: Kind = Kind.CONTACTS, **items: ItemThen) -> CollectionThen:
    return CollectionThen(kind, properties or {}, 1, items)


def friends(**items: ItemThen) -> State:
    return {FRIENDS: state(**items)}


def steps(plan: LivePlan) -> list[tuple[Op, str, str, str]]:
    """Each record: what it does, in which collection, to which name, with which bytes."""
    placed = [one for collection in plan.collections for one in collection.placed]
    return [
        (
            one.step.op,
            one.spot[1],
            one.step.name,
            one.step.item.digest if one.step.op is Op.PUT and one.step.item else "",
        )
        for one in placed
    ]


def tally(plan: LivePlan) -> dict[str, int]:
    """Of the only collection, what is not zero."""
    (collection,) = plan.collections
    return {name: count for name, count in asdict(collection.tally).items() if count}


def carried_out(now: State, plan: LivePlan) -> State:
    """What `now` becomes."""
    result = {spot: (one.kind, one.properties, dict(one.items)) for spot, one in now.items()}
    for placed in (one for collection in plan.collections for one in collection.placed):
        step = placed.step
        if step.op is Op.MAKE:
            assert placed.spot not in result
            result[placed.spot] = (step.kind, step.properties or {}, {})
        elif step.op is Op.SET:
            result[placed.spot] = (step.kind, step.properties or {}, result[placed.spot][2])
        elif step.op is Op.REMOVE:
            del result[placed.spot][2][step.name]
        elif step.item is not None:
            result[placed.spot][2][step.name] = step.item
    return {spot: CollectionThen(kind, properties, 1, items) for spot, (kind, properties, items) in result.items()}


PUT, MAKE, REMOVE = Op.PUT, Op.MAKE, Op.REMOVE
B, C, B2 = item("b"), item("c"), item("b2")


@pytest.mark.parametrize(
    ("now", "then", "keep", "expected", "counts"),
    [
        (friends(b=B), friends(b=B), Keep.CURRENT, [], {"items": 1, "same": 1}),
        (friends(), friends(b=B), Keep.CURRENT, [(PUT, "friends", "b", "b")], {"items": 1, "back": 1}),
        (friends(b=B2), friends(b=B), Keep.CURRENT, [], {"items": 1, "differ": 1}),
        (
            friends(b=B2),
            friends(b=B),
            Keep.RESTORED,
            [(PUT, "friends", "b", "b")],
            {"items": 1, "differ": 1, "changed": 1},
        ),
        (
            friends(b=B2),
            friends(b=B),
            Keep.BOTH,
            [(MAKE, BESIDE[1], "", ""), (PUT, BESIDE[1], "b", "b")],
            {"items": 1, "differ": 1, "twice": 1},
        ),
        (
            friends(b=B2),
            friends(b=B),
            Keep.MERGE,
            [(MAKE, BESIDE[1], "", ""), (PUT, BESIDE[1], "b", "b")],
            {"items": 1, "differ": 1, "twice": 1},
        ),
        (friends(c=C), friends(), Keep.CURRENT, [], {"only_here": 1}),
        (friends(c=C), friends(), Keep.BOTH, [], {"only_here": 1}),
        (friends(c=C), friends(), Keep.RESTORED, [(REMOVE, "friends", "c", "")], {"only_here": 1, "removed": 1}),
        (friends(c=C), {}, Keep.RESTORED, [], None),
        (
            {},
            friends(b=B),
            Keep.CURRENT,
            [(MAKE, "friends", "", ""), (PUT, "friends", "b", "b")],
            {"items": 1, "back": 1},
        ),
        (friends(x=B), friends(b=B), Keep.CURRENT, [], {"items": 1, "same": 1}),
        (friends(x=B2), friends(b=B), Keep.CURRENT, [], {"items": 1, "differ": 1}),
        (
            friends(x=B2),
            friends(b=B),
            Keep.RESTORED,
            [(REMOVE, "friends", "x", ""), (PUT, "friends", "b", "b")],
            {"items": 1, "back": 1, "only_here": 1, "removed": 1},
        ),
        (
            friends(b=C),
            friends(b=B),
            Keep.CURRENT,
            [(PUT, "friends", "b (restored D)", "b")],
            {"items": 1, "back": 1, "only_here": 1},
        ),
        (friends(b=item("b2", "")), friends(b=B), Keep.CURRENT, [], {"items": 1, "differ": 1}),
    ],
    ids=[
        "same",
        "only there",
        "differs, current",
        "differs, restored",
        "differs, both",
        "differs, not mergeable",
        "only here, current",
        "only here, both",
        "only here, restored",
        "collection only here",
        "collection only there",
        "same, renamed",
        "differs, renamed",
        "restored, renamed",
        "name taken by another thing",
        "name taken, no UID",
    ],
)
def test_what_becomes_of_an_item(
    now: State, then: State, keep: Keep, expected: list[tuple[Op, str, str, str]], counts: dict[str, int] | None
) -> None:
    """Nothing that is here goes unless that was chosen, and everything that only the copy has comes back."""
    plan = plan_live_restore(now, then, keep, LABEL)
    assert steps(plan) == expected
    if counts is not None:
        assert tally(plan) == counts


@pytest.mark.parametrize("keep", list(Keep))
def test_a_restore_that_is_repeated_has_nothing_to_do(keep: Keep) -> None:
    """What a first one brought is found by the second, under whatever name it came."""
    now = {FRIENDS: state({"x": "1"}, b=B2, c=C, d=item("e")), BESIDE: state(b=item("b9"))}
    then = {
        FRIENDS: state({"x": "2", "y": "3"}, b=B, c=C, d=item("d"), f=item("f")),
        (Home.CONTACTS, "gone"): state(g=item("g")),
    }
    after = carried_out(now, plan_live_restore(now, then, keep, LABEL))
    assert after != now
    assert plan_live_restore(after, then, keep, LABEL).is_empty


def test_lines_are_merged_where_that_can_be_decided() -> None:
    """The merged item has the name of the item here; one that is what is here already needs no record."""
    merged = {("b2", "b"): item("b3"), ("c2", "c"): item("c2")}
    plan = plan_live_restore(
        friends(x=B2, c=item("c2")),
        friends(b=B, c=C),
        Keep.MERGE,
        LABEL,
        lambda _spot, here, there: merged[here.digest, there.digest],
    )
    assert steps(plan) == [(PUT, "friends", "x", "b3")]
    assert tally(plan) == {"items": 2, "differ": 2, "merged": 1}


@pytest.mark.parametrize(
    ("keep", "expected"),
    [
        (Keep.CURRENT, None),
        (Keep.BOTH, None),
        (Keep.MERGE, {"x": "here", "y": "there"}),
        (Keep.RESTORED, {"x": "there", "y": "there"}),
    ],
)
def test_properties_follow_the_choice(keep: Keep, expected: Properties | None) -> None:
    """A merge adds what is missing; only a restored collection gets the properties that it had."""
    now, then = {FRIENDS: state({"x": "here"})}, {FRIENDS: state({"x": "there", "y": "there"})}
    (collection,) = plan_live_restore(now, then, keep, LABEL).collections
    assert [placed.step.properties for placed in collection.placed] == ([] if expected is None else [expected])


def test_a_uid_is_never_there_twice() -> None:
    """When the names of two items were exchanged since, each is compared with itself."""
    plan = plan_live_restore(friends(b=C, c=B2), friends(b=B, c=C), Keep.BOTH, LABEL)
    assert steps(plan) == [(MAKE, BESIDE[1], "", ""), (PUT, BESIDE[1], "b", "b")]
    assert tally(plan) == {"items": 2, "same": 1, "differ": 1, "twice": 1}


def test_another_version_of_the_same_day_gets_a_collection_of_its_own() -> None:
    """Beside what an earlier restore kept of that day, nothing is overwritten."""
    now = {FRIENDS: state(b=B2), BESIDE: state(b=item("b9"))}
    plan = plan_live_restore(now, friends(b=B), Keep.BOTH, LABEL)
    assert [step[:2] for step in steps(plan)] == [(MAKE, "friends (restored D, 2)"), (PUT, "friends (restored D, 2)")]


def test_a_collection_of_another_kind_is_left_alone() -> None:
    """Where the name is a task list now, the calendar comes beside it, whatever was chosen."""
    spot: Spot = (Home.CALENDARS, "plans")
    for keep in Keep:
        plan = plan_live_restore({spot: state(kind=Kind.TASKS)}, {spot: state(kind=Kind.CALENDAR, b=B)}, keep, LABEL)
        assert [step[:2] for step in steps(plan)] == [(MAKE, "plans (restored D)"), (PUT, "plans (restored D)")]


def photos(*names: str, **items: ItemThen) -> State:
    """Folders; the first has the items."""
    return {(Home.PHOTOS, name): state(kind=Kind.PHOTOS, **(items if name == names[0] else {})) for name in names}


def photo(digest: str) -> ItemThen:
    return item(digest, "")


@pytest.mark.parametrize("keep", list(Keep))
@pytest.mark.parametrize(
    ("now", "then", "expected"),
    [
        (photos("a"), photos("a", "a/b", "a/b/c"), [(MAKE, "a/b", ""), (MAKE, "a/b/c", "")]),
        (
            {},
            photos("a/b/c", x=photo("1")),
            [(MAKE, "a", ""), (MAKE, "a/b", ""), (MAKE, "a/b/c", ""), (PUT, "a/b/c", "x")],
        ),
        (
            photos("a", b=photo("1")),
            photos("a", "a/b", "a/b/c", b=photo("1")) | {(Home.PHOTOS, "a"): state(kind=Kind.PHOTOS, b=photo("1"))},
            [(MAKE, "a/b (restored D)", ""), (MAKE, "a/b (restored D)/c", "")],
        ),
        (
            photos("a", "a/x"),
            photos("a", x=photo("1")),
            [(MAKE, "a (restored D)", ""), (PUT, "a (restored D)", "x")],
        ),
    ],
    ids=["nested", "the copy lacks parents", "a file has the name", "a folder has the name"],
)
def test_folders_have_a_place(now: State, then: State, expected: list[tuple[Op, str, str]], keep: Keep) -> None:
    """No folder lies in none, and none shares its name with a file."""
    assert [step[:3] for step in steps(plan_live_restore(now, then, keep, LABEL))] == expected


def test_the_kept_collection_tells_people_what_it_is() -> None:
    """Its name for people says so too."""
    then = {FRIENDS: state({"displayname": "Friends", "color": "#111"}, b=B)}
    (collection,) = plan_live_restore(friends(b=B2), then, Keep.BOTH, LABEL).collections
    assert collection.placed[0].step.properties == {"displayname": "Friends (restored D)", "color": "#111"}


def test_long_names_stay_names() -> None:
    """A name beside another is cut, between characters, to what a name may have."""
    name = name_beside("folder/" + "ä" * 127, LABEL)
    assert name.startswith("folder/ää")
    assert name.endswith("ä (restored D)")
    assert len(name.encode()) - len("folder/") <= NAME_OCTETS_MAX


def test_kinds_are_chosen_and_keepwells_own_documents_never_are() -> None:
    """Without a kind everything of people's is brought back."""
    every = {FRIENDS: state(), (Home.PHOTOS, "p"): state(kind=Kind.PHOTOS), (Home.SYSTEM, "s"): state(kind=Kind.SYSTEM)}
    assert set(kinds_of(every, None)) == {FRIENDS, (Home.PHOTOS, "p")}
    assert set(kinds_of(every, Kind.PHOTOS)) == {(Home.PHOTOS, "p")}
