"""The checker sees every sort of loss; otherwise its silence would say nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from prove.claims import Change, Claim, Claims, Expectation, Findings, Verdict, compare, learn

OK, REFUSED, UNKNOWN = Verdict.OK, Verdict.REFUSED, Verdict.UNKNOWN


def expecting(*claims: tuple[Verdict, list[tuple[str, str | None]]]) -> Expectation:
    expectation = Expectation()
    for verdict, changes in claims:
        expectation.take(Claim("c", "PUT", tuple(Change(*one) for one in changes)), verdict)
    return expectation


@pytest.mark.parametrize(
    ("claims", "found", "sort"),
    [
        ([(OK, [("a", "1")])], {}, "lost"),
        ([(OK, [("a", "1")]), (OK, [("a", "2")])], {"a": "1"}, "lost"),
        ([(OK, [("a", "1")]), (OK, [("a", None)])], {"a": "1"}, "resurrected"),
        ([(OK, [("a", "1")]), (REFUSED, [("a", None)])], {}, "lost"),
        ([(OK, [("a", "1")])], {"a": "1", "b": "9"}, "invented"),
        ([(OK, [("a", "1")])], {"a": "9"}, "invented"),
        ([(OK, [("a", "1")]), (UNKNOWN, [("a", None), ("b", "1")])], {}, "torn"),
        ([(OK, [("a", "1")]), (UNKNOWN, [("a", None), ("b", "1")])], {"a": "1", "b": "1"}, "torn"),
    ],
)
def test_every_sort_of_loss_is_seen(
    claims: list[tuple[Verdict, list[tuple[str, str | None]]]], found: dict[str, str], sort: str
) -> None:
    """A difference that must not be is found, by its name."""
    assert getattr(compare(expecting(*claims), found), sort)


@pytest.mark.parametrize("found", [{"a": "1"}, {"b": "1"}])
def test_a_move_of_unknown_fate_is_whole_or_absent(found: dict[str, str]) -> None:
    """Either side of it is right."""
    expectation = expecting((OK, [("a", "1")]), (UNKNOWN, [("a", None), ("b", "1")]))
    assert not compare(expectation, found)


def test_a_move_that_may_be_there_in_part_is_never_gone_from_both_places() -> None:
    """Records that a power cut left may be all that is left: what is put comes before what is removed."""
    expectation = expecting((OK, [("a", "1")]), (UNKNOWN, [("a", None), ("b", "1")]))
    expectation.divide()
    assert not compare(expectation, {"a": "1", "b": "1"})
    assert compare(expectation, {}).torn


@pytest.mark.parametrize("found", [{"a": "1"}, {"a": "2"}, {"a": "3"}])
def test_what_is_unknown_may_be_any_of_what_was_sent(found: dict[str, str]) -> None:
    """The last that is known, and whatever was sent since."""
    assert not compare(expecting((OK, [("a", "1")]), (UNKNOWN, [("a", "2")]), (UNKNOWN, [("a", "3")])), found)


def test_what_is_known_later_ends_the_doubt() -> None:
    """After an answer there is one value."""
    expectation = expecting((UNKNOWN, [("a", "1")]), (OK, [("a", "2")]))
    assert compare(expectation, {"a": "1"}).lost
    assert compare(expectation, {"a": "2"}) == Findings()


def test_what_was_not_ended_when_its_writer_died_is_unknown(tmp_path: Path) -> None:
    """Whoever comes after reads the file, and learns what is known and what is not."""
    claims = Claims(tmp_path / "claims.jsonl")
    known, left = Claim("c", "PUT", (Change("a", "1"),)), Claim("c", "PUT", (Change("a", "2"),))
    claims.ended(claims.intend(known), known, OK, "201")
    claims.intend(left)
    claims.close()
    expectation = Expectation()
    learn(expectation, tmp_path / "claims.jsonl")
    assert expectation.values == {"a": {"1", "2"}}
    assert compare(expectation, {}).lost
