"""What becomes of one account: which records stay as they were, which are appended anew, and what is lost. Pure.

A journal is a chain: what lies behind a gap cannot be in it as it was sealed. So

1. the unbroken run from record 1 stays as it was, up to the first record whose bytes, or predecessor, are nowhere;
2. an `open` record begins a new lineage, because history went back, and says why;
3. every proven record behind it is appended anew, in order: the same change with its moment and who made it, its number
   of before noted, sealed into the new chain. The state thus reflects every proven change.

A record behind a gap may show that something happened in it, and only what is shown is made up for, by Keepwell:

- a collection that is changed is there: it is made (its properties are not known);
- a collection that is made was gone; one that has another kind now was dropped and made anew: the old one is dropped;
- of two items with one UID in a collection the older was removed;
- what is removed and not there was put in the gap: nothing is left to remove.

What nothing proves (`Addition`: an item that only a row or an export has) is added at the end, and only on demand:
where nothing has its name, or what is there is older by the row's own number; never against an item with its UID.

Bytes that were erased by order do not come back, and are no loss: their records stay in the unbroken run, and are left
out behind it.

A put whose bytes are nowhere is left out: the item stays as it was in its last version that has bytes, or away when
there is none, and is told as incomplete. It is never served empty.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, cast

import msgspec

from keepwell.model.errors import AlreadyThere
from keepwell.model.ledger import LedgerEntry
from keepwell.model.names import HOME_OF, AccountId, Digest, Home, Kind, Lineage
from keepwell.model.record import GENESIS, Facts, Op, Properties, Record, seal
from keepwell.storage.replay import Replay, ReplayedCollection
from keepwell.vault.salvage.unite import History

BY: Final = "keepwell"

HasBytes = Callable[[Digest], bool]
"""Whether bytes with this digest were found."""

IsErased = Callable[[Facts], bool]
"""Whether the bytes of a record were erased."""

Name = tuple[Home, str, str]
"""An item's home, collection and name."""


class Addition(msgspec.Struct, frozen=True, kw_only=True):
    """An item that no record proves, and whose bytes are there; `origin` is where it was found."""

    account: AccountId
    kind: Kind
    collection: str
    name: str
    uid: str
    media_type: str
    digest: Digest
    size: int
    at: str
    origin: str
    is_newer: bool = False
    """Whether it says itself that it came after every known change of its name."""
    properties: Properties | None = None


@dataclass(frozen=True, slots=True)
class Lacking:
    """A put that proves itself and whose bytes are nowhere; `is_current` when no later change of the item is known."""

    facts: Facts
    is_current: bool


@dataclass(slots=True)
class AccountPlan:
    """One account as it will be: `kept` records as they were sealed, then `anew`, whose chain is sealed by `sealed`."""

    account: AccountId
    history: History
    kept: list[Record] = field(default_factory=list)
    anew: list[Facts] = field(default_factory=list)
    lacking: list[Lacking] = field(default_factory=list)
    ledger: list[LedgerEntry] = field(default_factory=list)
    items: dict[Name, Digest] = field(default_factory=dict)
    """What is there at the end."""
    changed: dict[Name, int] = field(default_factory=dict)
    """The number, as it was, of the last proven change of each item ever named; under '' that made or dropped all."""
    kinds: dict[Kind, int] = field(default_factory=dict)
    """The number, as it was, of the last proven change of each kind."""
    counts: dict[Kind, int] = field(default_factory=dict)
    """Items of each kind that are known to have been there right after the record of which `count_at` was asked.

    Those without bytes count, and those that rows added.
    """

    @property
    def is_unbroken(self) -> bool:
        """Whether every known record stays as it was, and nothing is added."""
        return len(self.kept) == self.history.reach and not self.anew

    def sealed(self, lineage: Lineage, at: str, why: Properties) -> Iterator[Record]:
        """What is kept, then the record that begins the new lineage, then what is anew, as one chain."""
        yield from self.kept
        before = self.kept[-1].hash if self.kept else GENESIS
        opening = Facts(
            account=self.account,
            at=at,
            by=BY,
            lineage=lineage,
            op=Op.OPEN,
            prev=before,
            properties=why,
            seq=len(self.kept) + 1,
        )
        for facts in (opening, *self.anew):
            record = seal(msgspec.structs.replace(facts, prev=before, lineage=lineage))
            before = record.hash
            yield record


def plan_account(
    account: AccountId,
    history: History,
    has_bytes: HasBytes,
    count_at: dict[Kind, int] | None = None,
    additions: Iterable[Addition] = (),
    *,
    is_erased: IsErased = lambda _facts: False,
) -> AccountPlan:
    """Decide what becomes of an account; `count_at` says after which record to count the items of a kind."""
    planning = _Planning(AccountPlan(account, history), has_bytes, is_erased, count_at or {})
    records = [record for run in history.runs for record in run]
    for record in records:
        planning.count_before(record.facts.seq)
        planning.take(record)
    planning.count_before(history.reach + 1)
    for addition in additions:
        planning.add(addition)
    planning.finish()
    return planning.plan


class _Planning:
    """The state after the records taken so far. Invariant: `plan.kept` is a whole chain, and its replay never fails."""

    def __init__(self, plan: AccountPlan, has_bytes: HasBytes, is_erased: IsErased, count_at: dict[Kind, int]) -> None:
        self.plan = plan
        self._has_bytes = has_bytes
        self._is_erased = is_erased
        self._count_at = dict(count_at)
        self._replay = Replay()
        self._uids: dict[tuple[Home, str], dict[str, str]] = {}
        self._lacking: dict[Name, list[Facts]] = {}
        self._counts: Counter[Kind] = Counter()

    def count_before(self, sequence: int) -> None:
        """Note the counts that were asked for, once the next record is behind them."""
        for kind in [kind for kind, at in self._count_at.items() if at < sequence]:
            self.plan.counts[kind] = self._known(kind)
            del self._count_at[kind]

    def _known(self, kind: Kind) -> int:
        """Items that are there now, and those that are not because nothing has their bytes."""
        lacking = (versions[-1] for versions in self._lacking.values() if versions[-1].kind is kind)
        return self._counts[kind] + sum(
            not self._is_there((HOME_OF[kind], facts.collection), facts) for facts in lacking
        )

    def take(self, record: Record) -> None:
        """Take in one record, as it was while the chain holds, else anew."""
        if not self._keep(record):
            for facts in self._changes(record.facts):
                self._append(facts)
        self._note(record.facts)

    def add(self, addition: Addition) -> None:
        """Add an item that nothing proves, unless something stands against it."""
        facts = _put_of(addition)
        place = (HOME_OF[addition.kind], addition.collection)
        collection = self._replay.collection(*place)
        holder = self._uids.get(place, {}).get(facts.uid, facts.name)
        is_other = collection is not None and collection.kind is not facts.kind
        if is_other or holder != facts.name or (self._is_there(place, facts) and not addition.is_newer):
            return
        is_new = not self._is_there(place, facts) and (*place, facts.name) not in self._lacking
        for one in (*self._made(place, facts), facts):
            self._append(one)
        if addition.is_newer and addition.kind in self.plan.counts:
            self.plan.counts[addition.kind] += is_new
        self._set_aside((*place, facts.name))

    def finish(self) -> None:
        """Complete the plan."""
        plan = self.plan
        self._remove_erased()
        plan.counts |= {kind: self._known(kind) for kind in self._count_at}
        plan.ledger = self._replay.ledger()
        plan.lacking += [
            Lacking(facts, facts is versions[-1]) for versions in self._lacking.values() for facts in versions
        ]
        for collection in self._replay.collections():
            for item in collection.items():
                name = (HOME_OF[collection.kind], collection.name, item.put.name)
                plan.items[name] = cast(Digest, item.put.digest)

    def _remove_erased(self) -> None:
        """Remove items whose bytes were erased: what took them away is in a gap."""
        for collection in self._replay.collections():
            for item in collection.items():
                if self._is_erased(item.put):
                    self._append(_implied(item.put, Op.REMOVE, collection.name, name=item.put.name, uid=item.put.uid))

    def _keep(self, record: Record) -> bool:
        kept, facts = self.plan.kept, record.facts
        follows = facts.prev == (kept[-1].hash if kept else GENESIS) and facts.seq == len(kept) + 1
        if not follows or self._lacks_bytes(facts):
            return False
        try:
            self._apply(facts)
        except (ValueError, AlreadyThere):
            return False
        kept.append(record)
        return True

    def _append(self, facts: Facts) -> None:
        # The record that begins the lineage comes first.
        sequence = len(self.plan.kept) + 2 + len(self.plan.anew)
        numbered = msgspec.structs.replace(facts, seq=sequence)
        self._apply(numbered)
        self.plan.anew.append(numbered)

    def _apply(self, facts: Facts) -> None:
        place = _place(facts)
        collection = None if place is None else self._replay.collection(*place)
        item = None if collection is None else collection.names.get(facts.name)
        was_there = item is not None and item.is_there
        uid = item.put.uid if item is not None and item.is_there else ""
        dropped = len(collection.items()) if collection is not None and facts.op is Op.DROP else 0
        self._replay.take(facts)
        if place is None or facts.kind is None:
            return
        self._counts[facts.kind] += (facts.op is Op.PUT) - was_there - dropped
        self._note_uids(place, facts, uid)

    def _note_uids(self, place: tuple[Home, str], facts: Facts, before: str) -> None:
        """Which item has which UID, after a change of one that had the UID `before`."""
        uids = self._uids.setdefault(place, {})
        if uids.get(before) == facts.name:
            del uids[before]
        if facts.op is Op.PUT and facts.uid:
            uids[facts.uid] = facts.name
        if facts.op is Op.DROP:
            del self._uids[place]

    def _lacks_bytes(self, facts: Facts) -> bool:
        if facts.op is not Op.PUT or self._is_erased(facts):
            return False
        return facts.digest is None or not self._has_bytes(facts.digest)

    def _note(self, facts: Facts) -> None:
        """What is known of the item after this record, in numbers as they were."""
        place = _place(facts)
        if place is None or facts.kind is None:
            return
        name = (*place, facts.name)
        self.plan.kinds[facts.kind] = facts.seq
        if facts.op is not Op.SET:
            self.plan.changed[name] = facts.seq
        if facts.op is Op.PUT and self._lacks_bytes(facts):
            self._lacking.setdefault(name, []).append(facts)
        elif facts.op in {Op.PUT, Op.REMOVE}:
            self._set_aside(name)
        elif facts.op in {Op.DROP, Op.MAKE}:
            for one in [one for one in self._lacking if one[:2] == place]:
                self._set_aside(one)

    def _set_aside(self, name: Name) -> None:
        """A later change of the item is known: what it lacks are only older versions."""
        self.plan.lacking += [Lacking(facts, is_current=False) for facts in self._lacking.pop(name, [])]

    def _changes(self, facts: Facts) -> Iterator[Facts]:
        """What the record does to the state as it is now, before it what it shows to have happened in a gap."""
        place = _place(facts)
        same = msgspec.structs.replace(facts, by=f"{facts.by} (salvaged, was record {facts.seq})")
        if place is None:
            yield same
            return
        match facts.op:
            case Op.MAKE:
                yield from self._dropped(place, facts)
                yield from self._parents_made(place, facts)
                yield same
            case Op.SET:
                yield from self._made(place, facts)
                yield same
            case Op.PUT if not (self._lacks_bytes(facts) or self._is_erased(facts)):
                yield from self._made(place, facts)
                yield from self._uid_freed(place, facts)
                yield same
            case Op.REMOVE if self._is_there(place, facts):
                yield same
            case Op.DROP:
                yield from self._dropped(place, facts, by=same.by)
            case _:
                pass

    def _is_there(self, place: tuple[Home, str], facts: Facts) -> bool:
        collection = self._replay.collection(*place)
        item = collection.names.get(facts.name) if collection is not None and collection.kind is facts.kind else None
        return item is not None and item.is_there

    def _made(self, place: tuple[Home, str], facts: Facts) -> Iterator[Facts]:
        collection = self._replay.collection(*place)
        if collection is not None and collection.kind is facts.kind:
            return
        yield from self._dropped(place, facts)
        yield from self._parents_made(place, facts)
        yield _implied(facts, Op.MAKE, place[1])

    def _parents_made(self, place: tuple[Home, str], facts: Facts) -> Iterator[Facts]:
        """Folders of photos nest: those above a folder are there when it is."""
        parts = place[1].split("/")[:-1] if place[0] is Home.PHOTOS else []
        for depth in range(1, len(parts) + 1):
            name = "/".join(parts[:depth])
            if self._replay.collection(place[0], name) is None:
                yield _implied(facts, Op.MAKE, name)

    def _dropped(self, place: tuple[Home, str], facts: Facts, by: str = BY) -> Iterator[Facts]:
        """Drop what has the name, with what is nested in it, the innermost first."""
        below = f"{place[1]}/"
        nested = [
            one
            for one in self._replay.collections()
            if place[0] is Home.PHOTOS and HOME_OF[one.kind] is place[0] and one.name.startswith(below)
        ]
        for one in sorted(nested, key=lambda one: one.name, reverse=True):
            yield _drop_of(one, facts, BY)
        found = self._replay.collection(*place)
        if found is not None:
            yield _drop_of(found, facts, by)

    def _uid_freed(self, place: tuple[Home, str], facts: Facts) -> Iterator[Facts]:
        holder = self._uids.get(place, {}).get(facts.uid, facts.name) if facts.uid else facts.name
        if holder != facts.name:
            yield _implied(facts, Op.REMOVE, facts.collection, name=holder, uid=facts.uid)


def _place(facts: Facts) -> tuple[Home, str] | None:
    return None if facts.kind is None else (HOME_OF[facts.kind], facts.collection)


def _implied(facts: Facts, op: Op, collection: str, *, name: str = "", uid: str = "") -> Facts:
    """A change that the record shows to have happened, at the latest when the record did."""
    return Facts(
        account=facts.account,
        at=facts.at,
        by=BY,
        collection=collection,
        kind=facts.kind,
        lineage=facts.lineage,
        name=name,
        op=op,
        prev=GENESIS,
        properties={} if op is Op.MAKE else None,
        seq=0,
        uid=uid,
    )


def _put_of(addition: Addition) -> Facts:
    return Facts(
        account=addition.account,
        at=addition.at,
        by=f"{BY} (salvaged, unproven: {addition.origin})",
        collection=addition.collection,
        digest=addition.digest,
        kind=addition.kind,
        lineage=Lineage(""),
        media_type=addition.media_type,
        name=addition.name,
        op=Op.PUT,
        prev=GENESIS,
        properties=addition.properties,
        seq=0,
        size=addition.size,
        uid=addition.uid,
    )


def _drop_of(collection: ReplayedCollection, facts: Facts, by: str) -> Facts:
    return msgspec.structs.replace(_implied(facts, Op.DROP, collection.name), kind=collection.kind, by=by)
