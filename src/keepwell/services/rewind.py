"""Rewinding: a collection is made again what it was at a moment, by new records.

Nothing is taken back in the journal: a rewind appends what leads from the state now to the state then, in one
transaction, and can itself be rewound. `plan_rewind` decides, purely; `Rewinder.rewind` plans again inside the
transaction, so that what is written always fits what is there, and carries that plan out.

A collection that was dropped is made again with its properties and items; one that did not exist then is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from keepwell.ground.clock import render_moment
from keepwell.model.errors import AlreadyThere, BadRequest, Damaged, Forbidden, NotThere, PreconditionFailed
from keepwell.model.names import Digest, Home, Kind
from keepwell.model.record import Facts, Op, Properties, Record
from keepwell.services.actor import Actor
from keepwell.services.history import Spot
from keepwell.services.indexing import index_again
from keepwell.storage.contract import NO_INDEX, Entry, Index, Snapshot, Store, Transaction
from keepwell.storage.holding import require_home
from keepwell.storage.writers import Ticket, Writers


@dataclass(frozen=True, slots=True)
class ItemThen:
    """An item at some moment: what a put of it says."""

    digest: Digest
    size: int
    uid: str
    media_type: str
    properties: Properties | None


@dataclass(frozen=True, slots=True)
class CollectionThen:
    """A collection at some moment. `sequence` is that of the last record of it until then."""

    kind: Kind
    properties: Properties
    sequence: int
    items: Mapping[str, ItemThen] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One record that the rewind appends; `item` is what a put puts."""

    op: Op
    kind: Kind
    name: str = ""
    properties: Properties | None = None
    item: ItemThen | None = None
    is_new: bool = False
    """Of a put: nothing has this name now."""


@dataclass(frozen=True, slots=True)
class RewindPlan:
    """What leads a collection from its state now to its state after record `target`."""

    spot: Spot
    target: int
    based_on: int
    """The collection's last record when this was planned."""
    steps: tuple[Step, ...]

    def count(self, op: Op) -> int:
        """How many of its steps are of this sort."""
        return sum(step.op is op for step in self.steps)


def plan_rewind(
    spot: Spot, target: int, now: CollectionThen | None, then: CollectionThen | None, based_on: int
) -> RewindPlan:
    """The fewest steps that make `now` like `then`; pure. Removals come first, so no UID is there twice."""
    steps: list[Step] = []
    if now is not None and (then is None or then.kind is not now.kind):
        steps.append(Step(Op.DROP, now.kind))
        now = None
    if then is not None:
        if now is None:
            steps.append(Step(Op.MAKE, then.kind, properties=then.properties))
            now = replace(then, items={})
        elif now.properties != then.properties:
            steps.append(Step(Op.SET, then.kind, properties=then.properties))
        steps += _item_steps(then.kind, now.items, then.items)
    return RewindPlan(spot, target, based_on, tuple(steps))


def _item_steps(kind: Kind, now: Mapping[str, ItemThen], then: Mapping[str, ItemThen]) -> list[Step]:
    removals = [Step(Op.REMOVE, kind, name, item=now[name]) for name in sorted(now.keys() - then.keys())]
    puts = [
        Step(Op.PUT, kind, name, item=item, is_new=name not in now)
        for name, item in sorted(then.items())
        if now.get(name) != item
    ]
    return removals + puts


def state_after(records: Iterable[Record], sequence: int) -> CollectionThen | None:
    """The collection whose records these are, after record `sequence`; None when there was none."""
    making = CollectionInTheMaking()
    for record in records:
        if record.facts.seq > sequence:
            break
        making.take(record.facts)
    return making.state()


class CollectionInTheMaking:
    """One collection, as its records make it one after the other."""

    def __init__(self) -> None:
        """Before its first record."""
        self._state: CollectionThen | None = None
        self._items: dict[str, ItemThen] = {}

    def take(self, facts: Facts) -> None:
        """The next record of this collection's name."""
        if facts.op is Op.MAKE and facts.kind is not None:
            self._state, self._items = CollectionThen(facts.kind, facts.properties or {}, facts.seq), {}
        elif facts.op is Op.DROP:
            self._state, self._items = None, {}
        elif self._state is not None:
            self._state = self._after_change(self._state, facts)

    def state(self) -> CollectionThen | None:
        """As it is after the records taken; None when there is none."""
        return None if self._state is None else replace(self._state, items=dict(self._items))

    def _after_change(self, state: CollectionThen, facts: Facts) -> CollectionThen:
        if facts.op is Op.SET:
            return replace(state, properties=facts.properties or {}, sequence=facts.seq)
        if facts.op is Op.REMOVE:
            self._items.pop(facts.name, None)
        elif facts.digest is not None:
            item = ItemThen(facts.digest, facts.size or 0, facts.uid, facts.media_type, facts.properties)
            self._items[facts.name] = item
        return replace(state, sequence=facts.seq)


def parse_target(text: str) -> str:
    """A moment as the journal writes it, from RFC 3339, or a local date and time when it names no offset."""
    try:
        return render_moment(datetime.fromisoformat(text.strip()).astimezone(UTC))
    except (ValueError, OverflowError):
        raise BadRequest(
            f"{text!r} is not a moment",
            hint='Write 2026-11-23T10:00:00Z, or in local time "2026-11-23 10:00".',
        ) from None


def sequence_at(snapshot: Snapshot, moment: str) -> int:
    """The last record at `moment`. Raises NotThere when the account's history starts later."""
    found = snapshot.sequence_at(moment)
    if found == 0:
        first = next(iter(snapshot.records()), None)
        since = f"It starts at {first.facts.at}." if first else "It is empty."
        raise NotThere(f"the account has no history at {moment}", hint=since)
    return found


class Rewinder:
    """Rewinds collections, for their owner."""

    def __init__(self, store: Store, writers: Writers) -> None:
        """Over this store, writing through these writers."""
        self._store = store
        self._writers = writers

    def preview(self, actor: Actor, spot: Spot, target: int) -> RewindPlan:
        """What a rewind to the state after record `target` would do now. Raises NotThere, BadRequest, Held."""
        with self._store.account(actor.account).reading() as snapshot:
            return _plan(snapshot, spot, target)

    def rewind(self, actor: Actor, plan: RewindPlan, *, only_if_based_on: int | None = None) -> Ticket[RewindPlan]:
        """Carry out what `plan` is after, all or nothing; settles with the plan that was carried out.

        It is planned again inside the transaction. With `only_if_based_on` it settles with PreconditionFailed
        unless that is the collection's last record; otherwise what was done since the preview is rewound too.
        """
        indexes = self._indexes(actor, plan)

        def work(transaction: Transaction) -> RewindPlan:
            again = _plan(transaction, plan.spot, plan.target)
            if only_if_based_on not in {None, again.based_on}:
                raise PreconditionFailed(
                    f"{'/'.join(plan.spot)} changed after record {only_if_based_on}: it is at {again.based_on} now",
                    hint="Look at the new plan with --dry-run.",
                )
            _carry_out(transaction, actor, again, indexes)
            return again

        return self._writers.submit(actor.account, work)

    def _indexes(self, actor: Actor, plan: RewindPlan) -> dict[Digest, Index]:
        """The indexes of what comes back, made before the transaction so that it holds nobody up."""
        with self._store.account(actor.account).reading() as snapshot:
            return {
                step.item.digest: _index_of(snapshot, plan.spot[0], step.item.digest)
                for step in plan.steps
                if step.op is Op.PUT and step.item is not None
            }


def _plan(snapshot: Snapshot, spot: Spot, target: int) -> RewindPlan:
    require_home(snapshot.held(), spot[0])
    head = snapshot.head().sequence
    if not 1 <= target <= head:
        raise NotThere(f"{snapshot.account()} has no record {target}", hint=f"Its records are 1 to {head}.")
    records = list(snapshot.records(collection=spot))
    if not records:
        raise NotThere(f"there is no collection {'/'.join(spot)}, now or in the history")
    now, then = state_after(records, head), _without_erased(snapshot, state_after(records, target))
    plan = plan_rewind(spot, target, now, then, records[-1].facts.seq)
    _require_folders_whole(snapshot, plan)
    return plan


def _without_erased(snapshot: Snapshot, then: CollectionThen | None) -> CollectionThen | None:
    """The state without items whose bytes were erased since: they do not come back."""
    if then is None:
        return None
    items = {name: item for name, item in then.items.items() if not snapshot.is_erased(item.digest)}
    return replace(then, items=items)


def _require_folders_whole(snapshot: Snapshot, plan: RewindPlan) -> None:
    """Where folders nest, none goes from under another, none comes where its parent is missing, and none shares a name.

    A file and a folder of one name could neither be told apart by a client nor be exported.
    """
    home, name = plan.spot
    if home is not Home.PHOTOS:
        return
    names = {one.name for one in snapshot.collections(home)}
    below = sorted(one for one in names if one.startswith(name + "/"))
    if plan.count(Op.DROP) and below:
        raise Forbidden(f"{home}/{name} holds {below[0]}, which would be lost", hint="Rewind that one first.")
    parent = name.rpartition("/")[0]
    if plan.count(Op.MAKE) and parent and parent not in names:
        raise NotThere(f"{home}/{name} lay in {home}/{parent}, which is gone", hint="Rewind that one first.")
    if plan.count(Op.MAKE) and parent:
        _require_no_item_named(snapshot, home, name)
    taken = [step.name for step in plan.steps if step.op is Op.PUT and f"{name}/{step.name}" in names]
    if taken:
        raise AlreadyThere(f"{home}/{name}/{taken[0]} is a folder now", hint="Rename or remove that folder first.")


def _require_no_item_named(snapshot: Snapshot, home: Home, name: str) -> None:
    parent, _, last = name.rpartition("/")
    above = snapshot.collection(home, parent)
    if above is not None and snapshot.item(above.id, last) is not None:
        raise AlreadyThere(f"{home}/{name} is a file now", hint="Rename or remove that file first.")


def _index_of(snapshot: Snapshot, home: Home, digest: Digest) -> Index:
    body = snapshot.content(digest)
    if body is None:
        raise Damaged(f"the bytes {digest} are missing in {snapshot.account()}", hint="Run: keepwell check")
    return index_again(home, body)


def _carry_out(transaction: Transaction, actor: Actor, plan: RewindPlan, indexes: Mapping[Digest, Index]) -> None:
    home, collection = plan.spot
    for step in plan.steps:
        index = NO_INDEX
        if step.op is Op.PUT and step.item is not None:
            index = indexes.get(step.item.digest) or _index_of(transaction, home, step.item.digest)
        append_step(transaction, actor, collection, step, index)


def append_step(
    transaction: Transaction, actor: Actor, collection: str, step: Step, index: Index, body: bytes | None = None
) -> Record:
    """Append the record of one step; a put brings `body` when its bytes are not held."""
    if step.op is Op.PUT and step.item is not None:
        return transaction.append(_entry_of_put(actor, collection, step, step.item), body, index)
    uid = step.item.uid if step.item else ""
    return transaction.append(
        Entry(step.op, actor.by, step.kind, collection, step.name, uid, properties=step.properties)
    )


def _entry_of_put(actor: Actor, collection: str, step: Step, item: ItemThen) -> Entry:
    return Entry(
        Op.PUT,
        actor.by,
        step.kind,
        collection,
        step.name,
        item.uid,
        item.media_type,
        item.digest,
        item.size,
        item.properties,
    )
