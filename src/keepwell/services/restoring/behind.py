"""What copies still know of records behind the end of a restored journal: for telling, never for restoring.

A journal that breaks off is restored up to the break. Records behind it that prove themselves say by name and time
what should be there; `keepwell salvage` can bring such items back, a restore cannot: nothing proves what lies between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from keepwell.model.errors import Damaged, NotThere
from keepwell.model.names import AccountId, Digest, Kind
from keepwell.model.record import Facts, Op
from keepwell.storage.contract import Snapshot
from keepwell.vault.loss import Fate, Gap, LostItem
from keepwell.vault.vault import Vault


def lost_version(facts: Facts, fate: Fate, *, is_current: bool) -> LostItem:
    """A put, as a loss report tells it."""
    return LostItem(
        kind=facts.kind or Kind.SYSTEM,
        collection=facts.collection,
        name=facts.name,
        seq=facts.seq,
        at=facts.at,
        size=facts.size or 0,
        fate=fate,
        is_current=is_current,
    )


def facts_behind(vaults: Sequence[Vault], account: AccountId, sequence: int) -> list[Facts]:
    """The records behind `sequence` that anything still has, in order, each proven alone. Raises Locked, StorageFault.

    Where copies have different ones under a number, the first that is found is told.
    """
    found: dict[int, Facts] = {}
    for vault in vaults:
        for ref in vault.frames(account):
            if ref.frame.last > sequence:
                with suppress(Damaged, NotThere):
                    for line in vault.read_frame(ref):
                        found.setdefault(line.record.facts.seq, line.record.facts)
        for line in vault.tail_lines(account):
            found.setdefault(line.record.facts.seq, line.record.facts)
    return [found[seq] for seq in sorted(found) if seq > sequence]


Key = tuple[Kind | None, str, str]
"""An item's kind, collection and name."""


@dataclass(frozen=True, slots=True)
class Latest:
    """What records behind a break leave: of each item the last put (None: it was removed), and what was dropped."""

    items: Mapping[Key, Facts | None]
    dropped: frozenset[tuple[Kind | None, str]]

    def lost(self, there: Mapping[Key, Digest]) -> list[LostItem]:
        """What should be there and is not: an item under that name with those bytes."""
        return [
            lost_version(facts, Fate.LOST, is_current=True)
            for key, facts in self.items.items()
            if facts is not None and there.get(key) != facts.digest
        ]

    def is_past(self, key: Key, digest: Digest) -> bool:
        """Whether an item that is there was removed or changed since."""
        if key in self.items:
            facts = self.items[key]
            return facts is None or facts.digest != digest
        return key[:2] in self.dropped


def latest(behind: Iterable[Facts]) -> Latest:
    """What these records leave, one after the other."""
    items: dict[Key, Facts | None] = {}
    dropped: set[tuple[Kind | None, str]] = set()
    for facts in behind:
        key = facts.kind, facts.collection, facts.name
        if facts.op is Op.PUT:
            items[key] = facts
        elif facts.op is Op.REMOVE:
            items[key] = None
        elif facts.op is Op.DROP:
            items = {one: put for one, put in items.items() if one[:2] != key[:2]}
            dropped.add(key[:2])
    return Latest(items, frozenset(dropped))


def lost_items(behind: Sequence[Facts], snapshot: Snapshot) -> list[LostItem]:
    """What these records leave in their collections and is not there."""
    return latest(behind).lost(_there(snapshot)) if behind else []  # nearly always: reading all items costs more


def gaps_of(behind: Sequence[Facts], end: Facts | None, expected: int) -> list[Gap]:
    """The runs of records up to `expected` that nothing has, after record `end`, between the moments known."""
    gaps: list[Gap] = []
    seq, since = (end.seq, end.at) if end else (0, "")
    for facts in behind:
        if facts.seq > seq + 1:
            gaps.append(Gap(seq + 1, facts.seq - 1, since, facts.at))
        seq, since = facts.seq, facts.at
    return [*gaps, Gap(seq + 1, expected, since)] if expected > seq else gaps


def _there(snapshot: Snapshot) -> dict[Key, Digest]:
    return {
        (collection.kind, collection.name, item.name): item.digest
        for collection in snapshot.collections()
        for item in snapshot.items(collection.id)
    }
