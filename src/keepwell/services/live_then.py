"""The two states that a live restore compares: the account in the copy as it is wished for, and as it is now.

What both share is found by the records' hashes: as they are chained, everything before a record that both have is the
same in both.
"""

from __future__ import annotations

from dataclasses import dataclass

from keepwell.model.errors import NotThere
from keepwell.model.names import HOME_OF, AccountId, Kind
from keepwell.model.record import Facts, Record
from keepwell.services.copies import Copy
from keepwell.services.history import Spot
from keepwell.services.live_plan import Keep, State
from keepwell.services.rewind import CollectionInTheMaking, CollectionThen, ItemThen
from keepwell.storage.contract import Snapshot


@dataclass(frozen=True, slots=True)
class Wish:
    """What shall come back: of which account of the copy, as of when (0 and "": its last record), of which kind."""

    account: AccountId
    keep: Keep = Keep.CURRENT
    kind: Kind | None = None
    sequence: int = 0
    moment: str = ""


@dataclass(frozen=True, slots=True)
class Then:
    """The account in the copy after record `sequence`, made at `at`.

    `base` is the account at the last record that copy and live account share: `state` itself, unless they went
    different ways.
    """

    state: State
    base: State
    sequence: int
    at: str
    leads_on: bool
    """Whether the copy has the whole live journal, and more behind it."""


def read_then(copy: Copy, wish: Wish, live: Snapshot) -> Then:
    """The account in the copy as it is wished for, and what it shares with the live one.

    Raises NotThere when the copy does not have that moment.
    """
    target = _target(copy, wish)
    making, base = _AccountInTheMaking(), None
    ours, shared, leads_on = iter(live.records()), True, False
    then: Record | None = None
    for record in copy.records(wish.account):
        is_wished = target == 0 or record.facts.seq <= target
        if shared:
            own = next(ours, None)
            shared, leads_on = own is not None and own.hash == record.hash, own is None
            base = making.state() if is_wished and not shared else base
        if is_wished:
            making.take(record.facts)
            then = record
    if then is None or (target and then.facts.seq != target):
        ends = then.facts.seq if then else 0
        raise NotThere(f"{copy.name} has records 1 to {ends} of {wish.account}, not record {target}")
    state = making.state()
    return Then(state, state if base is None else base, then.facts.seq, then.facts.at, leads_on)


def state_now(snapshot: Snapshot) -> State:
    """The collections of an account as they are."""
    return {
        (HOME_OF[one.kind], one.name): CollectionThen(
            one.kind,
            one.properties,
            one.sequence,
            {
                item.name: ItemThen(item.digest, item.size, item.uid, item.media_type, item.properties)
                for item in snapshot.items(one.id)
            },
        )
        for one in snapshot.collections()
    }


class _AccountInTheMaking:
    """All collections, as an account's records make them one after the other."""

    def __init__(self) -> None:
        self._collections: dict[Spot, CollectionInTheMaking] = {}

    def take(self, facts: Facts) -> None:
        if facts.kind is not None and facts.collection:
            spot = HOME_OF[facts.kind], facts.collection
            self._collections.setdefault(spot, CollectionInTheMaking()).take(facts)

    def state(self) -> State:
        found = ((spot, one.state()) for spot, one in self._collections.items())
        return {spot: state for spot, state in found if state is not None}


def _target(copy: Copy, wish: Wish) -> int:
    """The record after which the account is wished for; 0 for the last."""
    if not wish.moment:
        return wish.sequence
    target, first = 0, ""
    for record in copy.records(wish.account):
        first = first or record.facts.at
        if record.facts.at <= wish.moment:
            target = record.facts.seq
    if target == 0:
        raise NotThere(f"{copy.name} has no history of it at {wish.moment}", hint=f"It starts at {first}.")
    return target
