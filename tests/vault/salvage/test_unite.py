"""Uniting: which records of an account are one history, where it has gaps, and what went another way."""

from __future__ import annotations

import random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from keepwell.model.names import Lineage
from keepwell.model.record import Op, Record, seal
from keepwell.storage.contract import Carried
from keepwell.vault.loss import Gap
from keepwell.vault.salvage.unite import History, unite
from tests.vault.journals import Journal


def journal_of(count: int) -> Journal:
    journal = Journal()
    for number in range(count - len(journal.carried)):
        journal.put(f"card{number}", b"%d" % number)
    return journal


def records_of(journal: Journal) -> list[Record]:
    return [one.record for one in journal.carried]


def spans(runs: tuple[tuple[Record, ...], ...]) -> list[tuple[int, int]]:
    return [(run[0].facts.seq, run[-1].facts.seq) for run in runs]


def forked(journal: Journal, after: int, names: list[str]) -> Journal:
    """Another way from record `after` on."""
    other = Journal()
    other.carried = journal.carried[:after]
    for name in names:
        other.put(name, b"otherwise")
    return other


def test_nothing_is_no_history() -> None:
    """Of no records there is no run, no gap and no fork."""
    assert unite([]) == History((), (), ())


def test_whole_is_one_run() -> None:
    """Every record from the first on, linked, is one run without a gap."""
    history = unite(records_of(journal_of(9)))
    assert (spans(history.runs), history.gaps, history.forks) == ([(1, 9)], (), ())


@given(gone=st.sets(st.integers(1, 12), max_size=11), seed=st.integers(0, 9))
def test_what_is_missing_is_a_gap(gone: set[int], seed: int) -> None:
    """Whatever is missing, the rest is the history, in order; the gaps below its end are exactly what is missing."""
    kept = [record for record in records_of(journal_of(12)) if record.facts.seq not in gone]
    shuffled = kept * 2
    random.Random(seed).shuffle(shuffled)
    history = unite(shuffled)
    assert [record for run in history.runs for record in run] == kept
    missing = {seq for gap in history.gaps for seq in range(gap.first, gap.last + 1)}
    assert missing == {seq for seq in gone if kept and seq < kept[-1].facts.seq}
    assert history.forks == ()


def test_a_gap_says_between_which_moments() -> None:
    """The moments of a gap are those of the records on its two sides."""
    records = records_of(journal_of(9))
    assert unite([*records[:3], *records[6:]]).gaps == (Gap(4, 6, records[2].facts.at, records[6].facts.at),)
    assert unite(records[5:]).gaps == (Gap(1, 5, "", records[5].facts.at),)


def test_of_two_ways_the_one_that_leads_farther_is_taken() -> None:
    """Behind a fork the longer way is the history; the shorter one is told, in order."""
    journal = journal_of(9)
    other = forked(journal, 6, ["a", "b"])
    history = unite([*records_of(journal), *records_of(other)])
    assert spans(history.runs) == [(1, 9)]
    assert history.forks == (tuple(records_of(other)[6:]),)


def test_a_record_right_before_a_gap_that_is_not_linked_is_a_fork() -> None:
    """When record 8 names another record 7 than the one that is there, that one went another way: 7 is a gap."""
    journal = journal_of(9)
    other = forked(journal, 6, ["a"])
    records = records_of(journal)
    history = unite([*records[:6], *records[7:], *records_of(other)])
    assert (spans(history.runs), [(gap.first, gap.last) for gap in history.gaps]) == ([(1, 6), (8, 9)], [(7, 7)])
    assert spans(history.forks) == [(7, 7)]


def test_of_equal_ways_the_later_is_taken() -> None:
    """Two last records with one number: the later by its clock is the history."""
    journal = journal_of(9)
    other = forked(journal, 7, ["a", "b"])
    last = other.carried[-1].record
    later = unite([*records_of(journal), *records_of(other)])
    assert later.runs[-1][-1] == max(last, journal.carried[-1].record, key=lambda one: (one.facts.at, one.hash))


def test_a_newer_lineage_counts_even_when_it_is_shorter() -> None:
    """History was taken back on purpose and went on: what the older lineage had above that is a fork."""
    journal = journal_of(9)
    newer = Journal()
    newer.carried = journal.carried[:5]
    for _number in range(2):
        facts = newer.carried[-1].record
        opened = msgspec.structs.replace(
            facts.facts,
            op=Op.OPEN,
            lineage=Lineage("newnewnewnewnew2"),
            at="2026-12-01T00:00:00.000000Z",
            prev=facts.hash,
            seq=facts.facts.seq + 1,
        )
        newer.carried.append(Carried(seal(opened)))
    history = unite([*records_of(journal), *records_of(newer)])
    assert (spans(history.runs), spans(history.forks)) == ([(1, 7)], [(6, 9)])
