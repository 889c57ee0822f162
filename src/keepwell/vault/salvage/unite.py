"""Uniting the records of one account: which of them are one history, where it has gaps, and what went another way.

Records prove themselves, and by `prev` which one they follow; so linked records are certain to belong together, and a
record whose number follows another's without being linked to it is certain not to. What lies between is decided so,
purely:

- the history is that of the newest lineage, which is the one with the latest record: a lineage begins when history was
  taken back on purpose, so what the older one had above that does not count any more;
- in it the history is the one that leads farthest: it ends with the record of the highest sequence (of two, the later);
- it is followed back by its links; where a link's record is missing there is a gap, and the history goes on with the
  highest record below the gap, of which one of the same lineage is preferred;
- every other record went another way: a fork. It is told and kept aside, never mixed in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from keepwell.model.names import Lineage
from keepwell.model.record import GENESIS, Record
from keepwell.vault.loss import Gap


@dataclass(frozen=True, slots=True)
class History:
    """What the records of an account come to: linked runs in order, with a gap before each but one that begins at 1."""

    runs: tuple[tuple[Record, ...], ...]
    gaps: tuple[Gap, ...]
    forks: tuple[tuple[Record, ...], ...]

    @property
    def reach(self) -> int:
        """The sequence of the last record; 0 when there is none."""
        return self.runs[-1][-1].facts.seq if self.runs else 0

    @property
    def past(self) -> set[Lineage]:
        """The lineages that a newer one took the place of: what is known of their ends does not count any more."""
        records = (record.facts.lineage for run in (*self.runs, *self.forks) for record in run)
        return set(records) - {run[-1].facts.lineage for run in self.runs[-1:]}

    @property
    def until(self) -> str:
        """The moment of the last record."""
        return self.runs[-1][-1].facts.at if self.runs else ""


def unite(records: Iterable[Record]) -> History:
    """The history of one account's proven records; pure, and the same for any order of the records."""
    by_hash = {one.hash: one for one in records}
    downwards = sorted(by_hash.values(), key=_rank, reverse=True)
    newest = max(by_hash.values(), key=lambda one: (one.facts.at, *_rank(one)), default=None)
    runs: list[tuple[Record, ...]] = []
    top = next((one for one in downwards if newest and one.facts.lineage == newest.facts.lineage), None)
    while top is not None:
        runs.append(_run_to(top, by_hash))
        top = _below(runs[-1][0], downwards)
    runs.reverse()
    used = {one.hash for run in runs for one in run}
    forks = _linked(one for one in reversed(downwards) if one.hash not in used)
    return History(tuple(runs), tuple(_gaps(runs)), forks)


def _rank(record: Record) -> tuple[int, str, str]:
    return record.facts.seq, record.facts.at, record.hash


def _run_to(top: Record, by_hash: dict[str, Record]) -> tuple[Record, ...]:
    run = [top]
    while (before := by_hash.get(run[-1].facts.prev)) is not None and before.facts.seq == run[-1].facts.seq - 1:
        run.append(before)
    return tuple(reversed(run))


def _below(first: Record, downwards: list[Record]) -> Record | None:
    """The record that the history goes on with below the gap before `first`.

    Of the number right before `first` there may be one; as it is not the one that `first` names it went another way.
    """
    facts = first.facts
    if facts.prev == GENESIS:
        return None
    lower = [one for one in downwards if one.facts.seq < facts.seq - 1]
    alike = [one for one in lower if one.facts.seq == lower[0].facts.seq]
    return next((one for one in alike if one.facts.lineage == facts.lineage), alike[0] if alike else None)


def _gaps(runs: list[tuple[Record, ...]]) -> Iterable[Gap]:
    last, since = 0, ""
    for run in runs:
        facts = run[0].facts
        if facts.seq > last + 1:
            yield Gap(last + 1, facts.seq - 1, since, facts.at)
        last, since = run[-1].facts.seq, run[-1].facts.at


def _linked(records: Iterable[Record]) -> tuple[tuple[Record, ...], ...]:
    """Records in order of sequence, as runs of those that are linked."""
    runs: dict[str, list[Record]] = {}
    for record in records:
        run = runs.pop(record.facts.prev, [])
        run.append(record)
        runs[record.hash] = run
    return tuple(sorted((tuple(run) for run in runs.values()), key=lambda run: _rank(run[0])))
