"""Restoring into a live account: what a copy had comes back by new records, while the account is served.

Nothing is taken back in the journal, so devices see it as changes that they have not seen, and every collection can be
rewound to what it was before. `LiveRestorer.preview` plans (`live_plan`, pure) and changes nothing: it also finds out
whether the bytes of everything that would come back are there, here or in the copy, and prove themselves.

Order, and what a crash leaves behind: collections one after the other, folders before what lies in them; each is one
work (where the copy must bring many bytes, several), all or nothing, confirmed like any other write. Whatever was not
reached is planned again when the restore is repeated, and nothing else: it adds only what is missing.

A work looks whether its collections are what they were when it was planned. When a device changed one meanwhile,
nothing of that work is done, and everything is planned again from what is there then; a caller who names the record
that the preview was based on gets PreconditionFailed instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from keepwell.formats.card_merge import merge_cards
from keepwell.model.errors import Damaged, KeepwellError, PreconditionFailed, Unavailable
from keepwell.model.names import Digest, Home, Kind
from keepwell.model.record import Op, Record
from keepwell.services.actor import Actor
from keepwell.services.content import prepare
from keepwell.services.copies import Copy
from keepwell.services.history import Spot
from keepwell.services.indexing import index_again
from keepwell.services.live_plan import CollectionPlan, Keep, LivePlan, Placed, State, kinds_of, plan_live_restore
from keepwell.services.live_then import Then, Wish, read_then, state_now
from keepwell.services.rewind import CollectionThen, ItemThen, append_step
from keepwell.storage.contract import NO_INDEX, Index, Snapshot, Store, Transaction
from keepwell.storage.holding import require_kind
from keepwell.storage.writers import Writers

TRIES_MAX: Final = 5
"""How often everything is planned again because a device was faster."""

PORTION_OCTETS: Final = 64 * 1024 * 1024
"""Bytes that the copy brings for one work: what is held in memory at a time."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Missing:
    """An item of the copy whose bytes are neither in it nor here, or were erased here for good."""

    spot: Spot
    name: str
    item: ItemThen


@dataclass(frozen=True, slots=True)
class Preview:
    """What a restore would do now. `based_on` is the live account's last record when it was planned."""

    plan: LivePlan
    sequence: int
    at: str
    based_on: int
    missing: tuple[Missing, ...]
    supplies: tuple[Digest, ...]
    """Bytes of items that are the same here and in the copy, and that only the copy has: they come without a record."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return self.plan.is_empty and not self.supplies


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done: the plans that were carried out, and how many records that took.

    `based_on` is the account's last record before: a rewind to it undoes everything in `changed`.
    """

    preview: Preview
    records: int
    based_on: int
    changed: tuple[Spot, ...]


class _Moved(KeepwellError):
    """A collection is not what it was when the work was planned."""


class LiveRestorer:
    """Brings back what a copy has into live accounts, for the operator."""

    def __init__(self, store: Store, writers: Writers, copy: Copy) -> None:
        """Into this store through these writers, out of this copy."""
        self._store = store
        self._writers = writers
        self._copy = copy

    def preview(self, actor: Actor, wish: Wish) -> Preview:
        """What would be done now. Raises NotThere, Unavailable (a start must heal), Locked, Damaged, StorageFault."""
        return self._prepare(actor, wish).preview

    def restore(
        self,
        actor: Actor,
        wish: Wish,
        *,
        only_if_based_on: int | None = None,
        progress: Progress = lambda _done, _all: None,
    ) -> Restored:
        """Do it. Raises as `preview`; PreconditionFailed, Held, Unavailable.

        After an error what was carried out before it stays; repeating does the rest.
        """
        based_on, records = 0, 0
        done: dict[Spot, CollectionPlan] = {}
        for _try in range(TRIES_MAX):
            prepared = self._prepare(actor, wish)
            based_on = based_on or prepared.preview.based_on
            if only_if_based_on not in {None, prepared.preview.based_on}:
                raise _changed(only_if_based_on)
            plans = prepared.preview.plan.collections
            self._supply(actor, wish, prepared.preview.supplies)
            try:
                for number, plan in enumerate(plans, start=1):
                    records += self._carry_out(actor, wish, prepared, plan)
                    if plan.placed or plan.spot not in done:
                        done[plan.spot] = plan
                    progress(number, len(plans))
            except _Moved as error:
                if only_if_based_on is not None:
                    raise _changed(only_if_based_on) from error
                continue
            preview = replace(prepared.preview, plan=LivePlan(tuple(done.values())))
            return Restored(preview, records, based_on, _changed_spots(done.values()))
        raise Unavailable(
            f"{actor.login} is changed all the time, so that no plan fits; {records} records were made",
            hint="Repeat it later: it adds only what is missing.",
        )

    def _prepare(self, actor: Actor, wish: Wish) -> _Prepared:
        with self._store.account(actor.account).reading() as snapshot:
            then = read_then(self._copy, wish, snapshot)
            if then.leads_on and self._copy.is_vault:
                raise _behind(self._copy.name, actor.login, snapshot.head().sequence)
            now = state_now(snapshot)
            planning = _Planning(snapshot, self._copy, wish, now, then)
            plan, missing = planning.plan()
            supplies = tuple(planning.supplies())
            preview = Preview(plan, then.sequence, then.at, snapshot.head().sequence, tuple(missing), supplies)
        basis = {spot: one.sequence for spot, one in now.items()}
        return _Prepared(preview, basis, planning.indexes, planning.lacking, planning.merged)

    def _supply(self, actor: Actor, wish: Wish, digests: Sequence[Digest]) -> None:
        place = self._store.account(actor.account)
        for _digest, body in self._copy.bodies(wish.account, set(digests)) if digests else ():
            place.supply([body], index_again)

    def _carry_out(self, actor: Actor, wish: Wish, prepared: _Prepared, plan: CollectionPlan) -> int:
        """How many records were made. Raises _Moved."""
        records = 0
        for portion in _portions(plan.placed, prepared.lacking):
            lacking = {digest for digest in _digests(portion) if digest in prepared.lacking}
            bodies = dict(self._copy.bodies(wish.account, lacking)) if lacking else {}
            for digest in lacking - bodies.keys():
                raise Damaged(f"{self._copy.name} does not have the bytes {digest} any more", hint="Repeat it.")
            records += self._write(actor, prepared, plan, portion, {**prepared.merged, **bodies})
        return records

    def _write(
        self,
        actor: Actor,
        prepared: _Prepared,
        plan: CollectionPlan,
        portion: Sequence[Placed],
        bodies: Mapping[Digest, bytes],
    ) -> int:
        def work(transaction: Transaction) -> list[Record]:
            require_kind(transaction.held(), Kind.SYSTEM)
            for spot in plan.spots:
                _require_unmoved(transaction, spot, prepared.basis.get(spot, 0))
            return [_append(transaction, actor, placed, prepared.indexes, bodies) for placed in portion]

        made = self._writers.submit(actor.account, work).result()
        for placed, record in zip(portion, made, strict=True):
            prepared.basis[placed.spot] = record.facts.seq
        return len(made)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A plan with all that carrying it out needs.

    `basis` says at which record each collection was, and is kept up to date with what is written; `lacking` are digests
    whose bytes the copy brings, with their sizes; `merged` are bytes that were made here.
    """

    preview: Preview
    basis: dict[Spot, int]
    indexes: Mapping[Digest, Index]
    lacking: Mapping[Digest, int]
    merged: Mapping[Digest, bytes]


class _Planning:
    """One plan in the making: the pure one, and what it needs to know of bytes."""

    def __init__(self, snapshot: Snapshot, copy: Copy, wish: Wish, now: State, then: Then) -> None:
        self._snapshot = snapshot
        self._copy = copy
        self._wish = wish
        self._now = now
        self._then = then
        self._fetched: dict[Digest, bytes] = {}
        self._bases: dict[Spot, Mapping[str, ItemThen]] = {}
        self.merged: dict[Digest, bytes] = {}
        self.indexes: dict[Digest, Index] = {}
        self.lacking: dict[Digest, int] = {}

    def plan(self) -> tuple[LivePlan, list[Missing]]:
        """The plan of everything whose bytes are there, and what that leaves out."""
        state = kinds_of(self._then.state, self._wish.kind)
        if self._wish.keep is Keep.MERGE:
            self._fetch_cards(state)
        plan = self._planned(state)
        nowhere = self._look_for_bytes(plan)
        if not nowhere:
            return plan, []
        missing = [
            Missing(spot, name, item)
            for spot, one in sorted(state.items())
            for name, item in sorted(one.items.items())
            if item.digest in nowhere
        ]
        return _counted(self._planned(_without(state, nowhere, self._now)), missing), missing

    def supplies(self) -> list[Digest]:
        """Bytes that items have here and in the copy, and that only the copy can prove: all of them are read for it."""
        here = {item.digest for one in self._now.values() for item in one.items.values()}
        state = kinds_of(self._then.state, self._wish.kind)
        both = {item.digest for one in state.values() for item in one.items.values() if item.digest in here}
        absent = {digest for digest in both if _held(self._snapshot, digest) is None}
        found = self._copy.bodies(self._wish.account, absent) if absent else ()
        return sorted(digest for digest, _body in found)

    def _planned(self, state: State) -> LivePlan:
        label = f"restored {self._then.at[:10]}"
        return plan_live_restore(self._now, state, self._wish.keep, label, self._merge)

    def _look_for_bytes(self, plan: LivePlan) -> set[Digest]:
        """Index what the plan puts; bytes that are nowhere, or must not come back."""
        wanted: dict[Digest, tuple[Home, int]] = {}
        for placed in (one for collection in plan.collections for one in collection.placed):
            item = placed.step.item
            if placed.step.op is Op.PUT and item is not None:
                wanted[item.digest] = placed.spot[0], item.size
        lacking, erased = set[Digest](), set[Digest]()
        for digest, (home, _size) in wanted.items():
            body = self.merged.get(digest) or _held(self._snapshot, digest)
            if body is not None:
                self.indexes[digest] = _index_of(home, body)
            else:
                (erased if self._snapshot.is_erased(digest) else lacking).add(digest)
        for digest, body in self._copy.bodies(self._wish.account, lacking) if lacking else ():
            self.indexes[digest] = _index_of(wanted[digest][0], body)
            self.lacking[digest] = wanted[digest][1]
        return erased | (lacking - self.lacking.keys())

    def _fetch_cards(self, state: State) -> None:
        """Bytes of cards that may have to be merged and are not here: sought once, not for each."""
        wanted = set[Digest]()
        for spot, one in state.items():
            if one.kind is Kind.CONTACTS:
                now = self._now.get(spot)
                same = {item.digest for item in now.items.values()} if now else set()
                wanted |= {item.digest for item in one.items.values()} - same
        lacking = {digest for digest in wanted if _held(self._snapshot, digest) is None}
        self._fetched.update(self._copy.bodies(self._wish.account, lacking) if lacking else ())

    def _merge(self, spot: Spot, here: ItemThen, there: ItemThen) -> ItemThen | None:
        if spot[0] is not Home.CONTACTS:
            return None
        base = self._base_of(spot).get(there.uid) if there.uid else None
        current, other, before = (self._body(one) for one in (here, there, base))
        merged = None if current is None or other is None else merge_cards(current, other, before)
        if merged is None:
            return None
        prepared = prepare(spot[0], merged)
        self.merged[prepared.digest] = merged
        return replace(here, digest=prepared.digest, size=len(merged), uid=prepared.uid)

    def _base_of(self, spot: Spot) -> Mapping[str, ItemThen]:
        """What the versions there and here come from, by UID."""
        if spot not in self._bases:
            collection = self._then.base.get(spot)
            self._bases[spot] = {item.uid: item for item in collection.items.values()} if collection else {}
        return self._bases[spot]

    def _body(self, item: ItemThen | None) -> bytes | None:
        if item is None:
            return None
        return self._fetched.get(item.digest) or _held(self._snapshot, item.digest)


def _held(snapshot: Snapshot, digest: Digest) -> bytes | None:
    """Bytes that are here and prove themselves."""
    try:
        return snapshot.content(digest)
    except Damaged:
        return None


def _index_of(home: Home, body: bytes) -> Index:
    return NO_INDEX if home is Home.PHOTOS else index_again(home, body)


def _without(state: State, nowhere: set[Digest], now: State) -> State:
    """The state without these bytes: where something has the name here, that stays."""
    return {spot: replace(one, items=dict(_left(one, nowhere, now.get(spot)))) for spot, one in state.items()}


def _left(then: CollectionThen, nowhere: set[Digest], now: CollectionThen | None) -> Iterator[tuple[str, ItemThen]]:
    for name, item in then.items.items():
        if item.digest not in nowhere:
            yield name, item
        elif now is not None and name in now.items:
            yield name, now.items[name]


def _counted(plan: LivePlan, missing: Iterable[Missing]) -> LivePlan:
    """With what is missing in its tallies."""
    counts: dict[Spot, int] = {}
    for one in missing:
        counts[one.spot] = counts.get(one.spot, 0) + 1
    collections = (replace(one, tally=replace(one.tally, missing=counts.get(one.spot, 0))) for one in plan.collections)
    return LivePlan(tuple(collections))


def _portions(placed: Sequence[Placed], lacking: Mapping[Digest, int]) -> Iterator[list[Placed]]:
    """As few as possible, none with more bytes of the copy than may be held in memory."""
    portion, octets = list[Placed](), 0
    for one in placed:
        size = lacking.get(one.step.item.digest, 0) if one.step.item else 0
        if portion and octets + size > PORTION_OCTETS:
            yield portion
            portion, octets = [], 0
        portion.append(one)
        octets += size
    if portion:
        yield portion


def _digests(portion: Iterable[Placed]) -> set[Digest]:
    return {one.step.item.digest for one in portion if one.step.op is Op.PUT and one.step.item is not None}


def _require_unmoved(transaction: Transaction, spot: Spot, sequence: int) -> None:
    found = transaction.collection(*spot)
    if (found.sequence if found else 0) != sequence:
        raise _Moved(f"{'/'.join(spot)} changed")


def _append(
    transaction: Transaction,
    actor: Actor,
    placed: Placed,
    indexes: Mapping[Digest, Index],
    bodies: Mapping[Digest, bytes],
) -> Record:
    (home, collection), step = placed.spot, placed.step
    if home is Home.PHOTOS:
        _require_apart(transaction, placed)
    if step.op is not Op.PUT or step.item is None:
        return append_step(transaction, actor, collection, step, NO_INDEX)
    digest = step.item.digest
    return append_step(transaction, actor, collection, step, indexes.get(digest, NO_INDEX), bodies.get(digest))


def _require_apart(transaction: Transaction, placed: Placed) -> None:
    """Raise _Moved where a file and a folder would share a name, or a folder lies in none."""
    (home, collection), step = placed.spot, placed.step
    if step.op is Op.PUT and transaction.collection(home, f"{collection}/{step.name}"):
        raise _Moved(f"{collection}/{step.name} is a folder now")
    parent, _, last = collection.rpartition("/")
    if step.op is Op.MAKE and parent:
        above = transaction.collection(home, parent)
        if above is None or transaction.item(above.id, last) is not None:
            raise _Moved(f"{collection} has no place now")


def _changed_spots(plans: Iterable[CollectionPlan]) -> tuple[Spot, ...]:
    return tuple(dict.fromkeys(placed.spot for plan in plans for placed in plan.placed))


def _behind(copy: str, login: str, sequence: int) -> Unavailable:
    """New records here would make two histories of one."""
    return Unavailable(
        f"{login} ends with record {sequence} here, and {copy} leads on from there",
        hint="Start the server with that vault (keepwell vault add): it takes those records as they are.",
    )


def _changed(based_on: int | None) -> PreconditionFailed:
    return PreconditionFailed(
        f"the account changed after record {based_on}", hint="Look at the new plan with --dry-run."
    )
