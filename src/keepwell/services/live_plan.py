"""What a restore into a live account does: pure, from what is here now, what a copy had, and what the person chose.

An item of the copy is compared with the item here that is the same thing: the one with its UID, else the one with its
name. What comes of it:

    nothing is it here         it comes back, under its name
    the bytes are the same     nothing
    the bytes differ           as chosen (`Keep`)
    only here                  it stays; with `Keep.RESTORED` it goes, when its collection is in the copy

A collection that is only here always stays. One that is only in the copy is made again. What cannot have its own place,
because something else lies there or because both versions shall be kept, goes into a collection beside it, "NAME
(LABEL)", as it was, byte for byte: with a UID of its own in the same collection it would be another text. The label
names the copy's state and not the day of the restore, so that repeating it finds what it kept before: it adds only what
is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from keepwell.model.names import NAME_OCTETS_MAX, Home, Kind
from keepwell.model.record import Op, Properties
from keepwell.services.history import Spot
from keepwell.services.rewind import CollectionThen, ItemThen, Step, plan_rewind

State = Mapping[Spot, CollectionThen]
"""An account's collections."""

_BESIDE_MAX: Final = 1000
"""Collections beside one that are tried: it takes as many different copies of one label to fill them."""


class Keep(StrEnum):
    """What happens where here and copy differ."""

    CURRENT = "current"
    """Here stays as it is."""
    RESTORED = "restored"
    """The collections that the copy has become what they were there."""
    BOTH = "both"
    """Here stays, and the copy's version comes into a collection beside it."""
    MERGE = "merge"
    """The lines that only the copy's version has come to those here; where that cannot be decided, as `BOTH`."""


Merge = Callable[[Spot, ItemThen, ItemThen], ItemThen | None]
"""The item that an item here and its version in the copy are merged to; None when that cannot be decided."""


@dataclass(frozen=True, slots=True)
class Placed:
    """One record to append, and where."""

    spot: Spot
    step: Step


@dataclass(slots=True)
class Tally:
    """Items of one collection: how many the copy has, and what becomes of them; and those that are only here."""

    items: int = 0
    same: int = 0
    back: int = 0
    differ: int = 0
    changed: int = 0
    """Of those that differ: they become the copy's version."""
    merged: int = 0
    twice: int = 0
    """Of those that differ: the copy's version comes beside them."""
    only_here: int = 0
    removed: int = 0
    """Of those only here: they go."""
    missing: int = 0
    """Items whose bytes no copy has, or that were erased: nothing is done about them, and they count nowhere else."""


@dataclass(frozen=True, slots=True)
class CollectionPlan:
    """What becomes of one collection of the copy; `spots` are the places that this depends on."""

    spot: Spot
    kind: Kind
    tally: Tally
    placed: tuple[Placed, ...]
    spots: frozenset[Spot]


@dataclass(frozen=True, slots=True)
class LivePlan:
    """What becomes of an account."""

    collections: tuple[CollectionPlan, ...] = ()

    def count(self, op: Op) -> int:
        """How many records of this sort."""
        return sum(one.step.op is op for plan in self.collections for one in plan.placed)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not any(plan.placed for plan in self.collections)


def never_merged(_spot: Spot, _here: ItemThen, _there: ItemThen) -> None:
    """Nothing can be merged."""
    return


def plan_live_restore(now: State, then: State, keep: Keep, label: str, merge: Merge = never_merged) -> LivePlan:
    """What brings back into `now` what `then` has. Folders come before what lies in them, removals before puts."""
    draft = _Draft(now, label)
    return LivePlan(tuple(_Planning(draft, keep, merge, spot, then[spot]).plan() for spot in sorted(then)))


@dataclass(slots=True)
class _Collection:
    """A collection in the draft; `uids` is which item has a UID."""

    kind: Kind
    properties: Properties
    items: dict[str, ItemThen] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, item: ItemThen) -> None:
        self.remove(name)
        self.items[name] = item
        if item.uid:
            self.uids[item.uid] = name

    def remove(self, name: str) -> None:
        before = self.items.pop(name, None)
        if before is not None and self.uids.get(before.uid) == name:
            del self.uids[before.uid]


class _Draft:
    """The account as it will be, so far. Invariant: it is what `now` and the steps planned until here come to."""

    def __init__(self, now: State, label: str) -> None:
        self.label = label
        self.moved: dict[Spot, Spot] = {}
        """Folders of the copy that came under another name."""
        self._collections: dict[Spot, _Collection] = {}
        for spot, state in now.items():
            made = self._collections[spot] = _Collection(state.kind, state.properties)
            for name, item in state.items.items():
                made.put(name, item)

    def get(self, spot: Spot) -> _Collection | None:
        return self._collections.get(spot)

    def make(self, spot: Spot, kind: Kind, properties: Properties) -> _Collection:
        made = self._collections[spot] = _Collection(kind, properties)
        return made

    def is_folder(self, spot: Spot, name: str) -> bool:
        """Whether a folder has the name that an item there would have."""
        return spot[0] is Home.PHOTOS and (spot[0], f"{spot[1]}/{name}") in self._collections

    def is_item(self, spot: Spot) -> bool:
        """Whether an item has the name that a folder there would have."""
        parent, _, last = spot[1].rpartition("/")
        above = self._collections.get((spot[0], parent)) if parent else None
        return above is not None and last in above.items

    def beside(self, spot: Spot) -> Iterator[Spot]:
        """The places beside a collection, the first choice first."""
        for number in range(1, _BESIDE_MAX):
            yield spot[0], name_beside(spot[1], self.label if number == 1 else f"{self.label}, {number}")


class _Planning:
    """The plan of one collection."""

    def __init__(self, draft: _Draft, keep: Keep, merge: Merge, spot: Spot, then: CollectionThen) -> None:
        self._draft = draft
        self._keep = keep
        self._merge = merge
        self._spot = spot
        self._then = then
        self._placed: list[Placed] = []
        self._spots: set[Spot] = set()
        self._tally = Tally(items=len(then.items))

    def plan(self) -> CollectionPlan:
        main = self._main()
        here = self._draft.get(main)
        if here is None:
            here = self._make(main, self._then.properties)
        if self._keep is Keep.RESTORED:
            self._make_like_then(main, here)
        else:
            self._add_to(main, here)
        return CollectionPlan(self._spot, self._then.kind, self._tally, tuple(self._placed), frozenset(self._spots))

    def _main(self) -> Spot:
        """Where the collection comes: its own place, unless something else lies there."""
        home, name = self._spot
        parent, _, last = name.rpartition("/")
        spot = self._spot
        if parent:
            above = self._draft.moved.get((home, parent), (home, parent))
            self._make_folders(above)
            spot = (home, f"{above[1]}/{last}")
        if not self._is_fit(spot):
            spot = self._draft.moved[self._spot] = next(filter(self._is_fit, self._draft.beside(spot)))
        elif spot != self._spot:
            self._draft.moved[self._spot] = spot
        self._spots.add(spot)
        return spot

    def _is_fit(self, spot: Spot) -> bool:
        found = self._draft.get(spot)
        return found.kind is self._then.kind if found else not self._draft.is_item(spot)

    def _make_folders(self, spot: Spot) -> None:
        """The folders that a folder lies in, which the copy does not have when it is damaged."""
        parent = spot[1].rpartition("/")[0]
        if parent:
            self._make_folders((spot[0], parent))
        if self._draft.get(spot) is None:
            self._make(spot, {})

    def _make(self, spot: Spot, properties: Properties) -> _Collection:
        self._spots.add(spot)
        self._placed.append(Placed(spot, Step(Op.MAKE, self._then.kind, properties=properties)))
        return self._draft.make(spot, self._then.kind, properties)

    def _set(self, spot: Spot, here: _Collection, properties: Properties) -> None:
        if properties != here.properties:
            self._placed.append(Placed(spot, Step(Op.SET, here.kind, properties=properties)))
            here.properties = properties

    def _put(self, spot: Spot, here: _Collection, name: str, item: ItemThen) -> None:
        step = Step(Op.PUT, here.kind, name, item=item, is_new=name not in here.items)
        self._placed.append(Placed(spot, step))
        here.put(name, item)

    def _make_like_then(self, main: Spot, here: _Collection) -> None:
        self._set(main, here, self._then.properties)
        wanted = {name: item for name, item in self._then.items.items() if not self._draft.is_folder(main, name)}
        for step in plan_rewind(main, 0, _as_state(here), replace(self._then, items=wanted), 0).steps:
            self._placed.append(Placed(main, step))
        tally = self._tally
        for name, item in wanted.items():
            before = here.items.get(name)
            tally.same += before == item
            tally.back += before is None
            tally.changed += before is not None and before != item
        tally.differ = tally.changed
        tally.only_here = tally.removed = len(here.items.keys() - wanted.keys())
        for name in here.items.keys() - wanted.keys():
            here.remove(name)
        for name, item in wanted.items():
            here.put(name, item)
        for name in sorted(self._then.items.keys() - wanted.keys()):
            tally.back += self._put_beside(main, name, self._then.items[name])

    def _add_to(self, main: Spot, here: _Collection) -> None:
        if self._keep is Keep.MERGE:
            self._set(main, here, self._then.properties | here.properties)
        only_here = set(here.items)
        for name, item in sorted(self._then.items.items()):
            partner = here.uids.get(item.uid) if item.uid else None
            if partner is None and _is_same_thing(here.items.get(name), item):
                partner = name
            if partner is None:
                self._bring_back(main, here, name, item)
            else:
                only_here.discard(partner)
                self._compare(main, here, partner, name, item)
        self._tally.only_here = len(only_here)

    def _bring_back(self, main: Spot, here: _Collection, name: str, item: ItemThen) -> None:
        if self._draft.is_folder(main, name):
            self._count_beside(self._put_beside(main, name, item))
            return
        self._tally.back += 1
        self._put(main, here, _free_name(here, name, self._draft.label), item)

    def _compare(self, main: Spot, here: _Collection, partner: str, name: str, item: ItemThen) -> None:
        """`partner` is the item here, `name` that in the copy."""
        current = here.items[partner]
        if current.digest == item.digest:
            self._tally.same += 1
            return
        self._tally.differ += 1
        if self._keep is Keep.CURRENT:
            return
        merged = self._merge(main, current, item) if self._keep is Keep.MERGE else None
        if merged is None:
            self._tally.twice += self._put_beside(main, name, item)
        elif merged.digest != current.digest:
            self._tally.merged += 1
            self._put(main, here, partner, merged)

    def _count_beside(self, is_new: bool) -> None:
        self._tally.back += is_new
        self._tally.same += not is_new

    def _put_beside(self, main: Spot, name: str, item: ItemThen) -> bool:
        """Whether it was not there yet."""
        free: Spot | None = None
        for spot in self._draft.beside(main):
            there = self._draft.get(spot)
            self._spots.add(spot)
            if not self._is_fit(spot):
                continue
            if there is None:
                free = free or spot
                break
            if name in there.items and there.items[name].digest == item.digest:
                return False
            is_vacant = name not in there.items and item.uid not in there.uids
            if free is None and is_vacant and not self._draft.is_folder(spot, name):
                free = spot
        if free is None:
            raise ValueError(f"there are {_BESIDE_MAX} collections beside {main[1]} already")
        there = self._draft.get(free) or self._make(free, _properties_beside(self._then.properties, self._draft.label))
        self._put(free, there, name, item)
        return True


def name_beside(name: str, label: str) -> str:
    """The name of a collection beside another; shortened when it would be too long."""
    parent, slash, last = name.rpartition("/")
    room = NAME_OCTETS_MAX - len(f" ({label})".encode())
    return f"{parent}{slash}{last.encode()[:room].decode(errors='ignore')} ({label})"


def kinds_of(state: State, kind: Kind | None) -> State:
    """The collections of one kind, or all of people's data."""
    return {
        spot: one for spot, one in state.items() if (one.kind is not Kind.SYSTEM if kind is None else one.kind is kind)
    }


def _is_same_thing(here: ItemThen | None, item: ItemThen) -> bool:
    """Whether an item that has the name is the same thing: two that say they are not, by their UIDs, are two."""
    return here is not None and (here.uid == item.uid or not here.uid or not item.uid)


def _free_name(here: _Collection, name: str, label: str) -> str:
    stem, dot, ending = name.rpartition(".") if "." in name[1:] else (name, "", "")
    free, number = name, 1
    while free in here.items:
        extra = f" ({label})" if number == 1 else f" ({label}, {number})"
        room = NAME_OCTETS_MAX - len(f"{extra}{dot}{ending}".encode())
        free, number = f"{stem.encode()[:room].decode(errors='ignore')}{extra}{dot}{ending}", number + 1
    return free


def _properties_beside(properties: Properties, label: str) -> Properties:
    shown = properties.get("displayname")
    return properties | {"displayname": f"{shown} ({label})"} if shown else properties


def _as_state(here: _Collection) -> CollectionThen:
    return CollectionThen(here.kind, here.properties, 0, here.items)
