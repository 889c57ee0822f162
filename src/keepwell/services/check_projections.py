"""Comparing an account's projections with a replay of its journal: collections, items, indexes, ledger.

The reference is `memory_transaction.replayed`; what it does not have, the indexes, is made again from the bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from keepwell.model.names import HOME_OF, Digest, Kind
from keepwell.model.record import Op, Record
from keepwell.services.findings import Findings
from keepwell.services.indexing import index_again
from keepwell.storage.contract import NO_INDEX, Collection, Index, Item, Snapshot
from keepwell.storage.memory_transaction import replayed
from keepwell.storage.sqlite_audit import ProjectedRow, projected_rows


def check_projections(snapshot: Snapshot, records: Sequence[Record], findings: Findings) -> None:
    """Report every projection that is not what the journal comes to; the journal was proven before."""
    reference = findings.attempt("journal", lambda: replayed(snapshot.account(), snapshot.lineage(), records))
    if reference is None:
        return
    _check_ledger(snapshot, reference, findings)
    there, expected = _by_place(snapshot), _by_place(reference)
    for place in sorted(there.keys() - expected.keys()):
        findings.stale(place, "the collection is there, but the journal has none")
    for place in sorted(expected.keys() - there.keys()):
        findings.stale(place, "the collection is missing, but the journal has one")
    for place in sorted(expected.keys() & there.keys()):
        if there[place] != expected[place]:
            findings.stale(place, _difference(there[place], expected[place]))
        check = _CollectionCheck(snapshot, reference, records, expected[place], findings)
        findings.attempt(place, check.run)


def _by_place(snapshot: Snapshot) -> dict[str, Collection]:
    return {f"{HOME_OF[one.kind]}/{one.name}": one for one in snapshot.collections()}


def _check_ledger(snapshot: Snapshot, reference: Snapshot, findings: Findings) -> None:
    there, expected = snapshot.ledger(), reference.ledger()
    for kind in Kind:
        if there.get(kind) != expected.get(kind):
            findings.stale(f"ledger {kind}", _difference(there.get(kind), expected.get(kind)))


@dataclass(frozen=True, slots=True)
class _Trace:
    """When a name was last changed and since when it is there, by the journal."""

    sequence: int
    born: int


@dataclass(frozen=True, slots=True)
class _CollectionCheck:
    """Compares one collection's items."""

    snapshot: Snapshot
    reference: Snapshot
    records: Sequence[Record]
    collection: Collection
    findings: Findings

    def run(self) -> None:
        expected = {item.name: item for item in self.reference.items(self.collection.id)}
        there = {item.name: item for item in self.snapshot.items(self.collection.id)}
        indexes = self._indexes(expected)
        for name in sorted(expected.keys() | there.keys()):
            item = expected.get(name)
            wanted = item and msgspec.structs.replace(item, component=indexes.get(item.digest, NO_INDEX).component)
            self._compare(name, there.get(name), wanted)
        rows = projected_rows(self.snapshot, self.collection.id)
        if rows is not None:
            self._check_rows(rows, expected, indexes)

    def _compare(self, name: str, there: Item | None, expected: Item | None) -> None:
        if there is None:
            self.findings.stale(self._place(name), "the item is missing, but the journal has one")
        elif expected is None:
            self.findings.stale(self._place(name), "the item is there, but the journal has none")
        elif there != expected:
            self.findings.stale(self._place(name), _difference(there, expected))

    def _indexes(self, items: dict[str, Item]) -> dict[Digest, Index]:
        """The index of every item's bytes; damaged bytes, which were reported before, have none."""
        home = HOME_OF[self.collection.kind]
        indexes = {}
        for item in items.values():
            body = self.findings.attempt(self._place(item.name), partial(self.snapshot.content, item.digest))
            if body is not None:
                indexes[item.digest] = index_again(home, body)
        return indexes

    def _check_rows(self, rows: Iterable[ProjectedRow], items: dict[str, Item], indexes: dict[Digest, Index]) -> None:
        traces = self._traces()
        seen = set()
        for row in rows:
            seen.add(row.name)
            trace = traces.get(row.name)
            if trace is None or row.sequence != trace.sequence or (row.is_there and row.born != trace.born):
                self.findings.stale(self._place(row.name), f"its place in sync answers is wrong: {row.sequence}")
            item = items.get(row.name)
            if item is not None and row.is_there:
                self._check_index(row, indexes.get(item.digest, NO_INDEX))
        for name in sorted(traces.keys() - seen):
            self.findings.stale(self._place(name), "the trace of its removal is missing, which sync answers need")

    def _check_index(self, row: ProjectedRow, expected: Index) -> None:
        if not row.has_its_content:
            self.findings.stale(self._place(row.name), "it points at other bytes than its own")
        elif row.index != expected:
            self.findings.stale(self._place(row.name), f"its index is wrong: {_difference(row.index, expected)}")

    def _traces(self) -> dict[str, _Trace]:
        traces: dict[str, _Trace] = {}
        living: set[str] = set()
        for record in self.records[self.collection.id :]:
            facts = record.facts
            if facts.collection != self.collection.name or facts.kind is not self.collection.kind:
                continue
            if facts.op is Op.PUT:
                born = traces[facts.name].born if facts.name in living else facts.seq
                traces[facts.name] = _Trace(facts.seq, born)
                living.add(facts.name)
            elif facts.op is Op.REMOVE:
                traces[facts.name] = _Trace(facts.seq, 0)
                living.discard(facts.name)
        return traces

    def _place(self, name: str) -> str:
        return f"{HOME_OF[self.collection.kind]}/{self.collection.name}/{name}"


def _difference(there: object, expected: object) -> str:
    """Which fields differ, when both are there; values of people's data are not printed."""
    if there is None or expected is None:
        return "it is missing" if there is None else "it is there, but the journal has none"
    slots: tuple[str, ...] = getattr(type(expected), "__slots__", ())
    wrong = [name for name in slots if getattr(there, name) != getattr(expected, name)]
    return f"{', '.join(wrong)}: not what the journal comes to"
