"""Behind a jump of the clock nothing is removed for good until what was there before is old in truth."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keepwell.model.errors import Unavailable
from keepwell.services.retention.jumps import ClockFile, ClockSeen, against_jump, looked
from tests.services.retention.world import SECRET, World

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
TEN_YEARS = 3652


def at(days: float) -> datetime:
    """So many days from now."""
    return NOW + timedelta(days=days)


def seen(*days: float) -> ClockSeen:
    """What is known after looks on these days."""
    known = None
    for day in days:
        known = looked(known, at(day))
    assert known is not None
    return known


@pytest.mark.parametrize("days", [(0,), (0, 1), (0, 29, 58, 87), (0, -365), (0, TEN_YEARS, 1), (0, 40, 69, 98, 100.1)])
def test_a_clock_that_goes_on_or_back_stands_against_nothing(days: tuple[float, ...]) -> None:
    """Nor does a jump that was undone, or one that is as long ago as a history is kept at least."""
    assert against_jump(seen(*days)) == ""


@pytest.mark.parametrize("days", [(0, TEN_YEARS), (0, 31), (0, TEN_YEARS, TEN_YEARS + 29), (0, -365, 0)])
def test_a_jump_ahead_stands_against_removing(days: tuple[float, ...]) -> None:
    """Also one that only takes back how far the clock had gone back: what came meanwhile looks old and is not."""
    assert "the clock went from" in against_jump(seen(*days))


def test_what_is_known_is_kept_in_the_folder(tmp_path: Path) -> None:
    """Another process, or a later one, knows of the jump; once trusted, none does."""
    ClockFile(tmp_path).look(NOW)
    assert ClockFile(tmp_path).look(at(TEN_YEARS)).jumped_to
    assert ClockFile(tmp_path).look(at(TEN_YEARS + 1)).jumped_to
    ClockFile(tmp_path).trust(at(TEN_YEARS + 1))
    assert not ClockFile(tmp_path).look(at(TEN_YEARS + 2)).jumped_to


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A card that was changed, a vault that has it, verified; and it was looked at the clock."""
    made = World(tmp_path)
    made.add_vault()
    made.put("secret.vcf", SECRET)
    made.put("secret.vcf", b"new")
    made.put("secret.vcf", b"newest")
    made.start()
    made.verify()
    assert made.retain().against == ()
    return made


def test_what_was_marked_is_not_erased_when_the_clock_jumps(world: World) -> None:
    """Though it is due by the clock, and every vault was verified since."""
    world.mark()
    world.pass_days(TEN_YEARS)
    world.verify()
    [reason] = world.retain().against
    assert "the clock went from" in reason
    assert world.traces(SECRET)
    with world.opened() as keepwell:
        keepwell.retention.trust_clock()
    assert world.retain().done
    assert world.traces(SECRET) == []


def test_nothing_is_marked_by_a_clock_that_jumped(world: World) -> None:
    """The order would not be due for ten years, once the clock is right, and no other could be made."""
    world.pass_days(TEN_YEARS)
    with world.opened() as keepwell:
        assert keepwell.retention.plan_thinning(60)
        with pytest.raises(Unavailable, match="the clock went from"):
            keepwell.retention.mark_history(60)
        assert keepwell.retention.orders.all() == []
