"""Plans of upgrades and of going back are pure: a table of facts and what they come to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keepwell.model.names import AccountId
from keepwell.services.upgrading.plan import (
    BackFacts,
    LastDrill,
    UpgradeFacts,
    plan_back,
    plan_upgrade,
)
from keepwell.storage.contract import Head
from tests.support.clock import FakeClock

ANNA, BERT = AccountId("a_annaannaannaanna"), AccountId("a_bertbertbertbert")
GOOD = LastDrill("2026-11-20T08:00:00.000000Z", "near", passed=True)
FACTS = UpgradeFacts(
    formats={ANNA: 1, BERT: 1},
    known=frozenset({1, 2}),
    target=2,
    settings_format=1,
    settings_target=1,
    vaults=["near"],
    drill=GOOD,
    now=FakeClock().now(),
    octets=1000,
    octets_free=1000,
)


def test_an_older_format_is_upgraded_behind_a_fresh_drill() -> None:
    """All accounts, from the format that they have, and nothing stands against it."""
    plan = plan_upgrade(FACTS)
    assert (plan.accounts, plan.against, plan.refusals) == ({ANNA: 1, BERT: 1}, (), ())


def test_with_all_accounts_in_this_format_nothing_is_done_and_no_drill_is_asked_for() -> None:
    """The gate is for changes: where there is none, there is no gate."""
    facts = replace(FACTS, formats={ANNA: 2, BERT: 2}, drill=None)
    assert (plan_upgrade(facts).accounts, plan_upgrade(facts).against) == ({}, ())


def test_one_account_of_another_format_has_all_of_them_built_anew() -> None:
    """A generation is switched as a whole, so it must have everybody."""
    assert plan_upgrade(replace(FACTS, formats={ANNA: 2, BERT: 1})).accounts == {ANNA: 2, BERT: 1}


def test_a_rebuild_builds_all_anew_behind_the_same_gate() -> None:
    """It rewrites every file, so it asks for the same proof."""
    facts = replace(FACTS, formats={ANNA: 2}, rebuild=True, drill=None)
    assert plan_upgrade(facts).accounts == {ANNA: 2}
    assert plan_upgrade(facts).against


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"vaults": []}, "there is no vault"),
        ({"drill": None}, "no drill has proven"),
        ({"drill": LastDrill(GOOD.at, "gone", passed=True)}, "of the vault gone, which is not there any more"),
        ({"drill": LastDrill(GOOD.at, "near", passed=False)}, "failed"),
        ({"drill": LastDrill("2026-11-15T08:00:00.000000Z", "near", passed=True)}, "8.0 days ago, more than 7"),
        ({"drill": LastDrill("2026-11-24T08:00:00.000000Z", "near", passed=True)}, "which cannot be"),
        ({"drill": LastDrill("yesterday", "near", passed=True)}, "which cannot be"),
        ({"drill_days_max": 2.0}, "3.0 days ago, more than 2"),
    ],
)
def test_without_a_fresh_drill_that_passed_the_gate_is_closed(changes: dict[str, object], words: str) -> None:
    """The reason is told; an override lifts it, so it is no refusal."""
    plan = plan_upgrade(replace(FACTS, **changes))  # type: ignore[arg-type]
    assert words in plan.against[0]
    assert plan.refusals == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"formats": {ANNA: 3}}, "format 3, which a newer Keepwell wrote"),
        ({"formats": {ANNA: 0}}, "format 0, from which no way leads to 2"),
        ({"unreadable": {BERT: "disk I/O error"}}, f"the file of {BERT} cannot be read: disk I/O error"),
        ({"settings_format": 2}, "the vaults' settings have format 2"),
        ({"octets_free": 999}, "999 are free"),
    ],
)
def test_what_cannot_be_done_is_refused_whatever_the_operator_says(changes: dict[str, object], words: str) -> None:
    """It stands among the refusals, which no override lifts."""
    assert words in plan_upgrade(replace(FACTS, **changes)).refusals[0]  # type: ignore[arg-type]


EARLY, LATE = Head(3, "3" * 64), Head(5, "5" * 64)
BACK = BackFacts(
    has_previous=True,
    now={ANNA: LATE, BERT: EARLY},
    before={ANNA: EARLY, BERT: EARLY},
    vaults={"near": {ANNA: LATE, BERT: EARLY}},
    can_be_written=True,
)


def test_going_back_brings_along_what_came_since() -> None:
    """Into a format that this program writes, whatever the vaults have."""
    assert plan_back(replace(BACK, vaults={})).bring == (ANNA,)


def test_going_back_to_an_older_format_leaves_what_came_since_to_a_vault() -> None:
    """This program cannot write there; the older one heals from the vault when it starts."""
    plan = plan_back(replace(BACK, can_be_written=False))
    assert (plan.bring, plan.left_to_vaults, plan.against) == ((), (ANNA,), ())


def test_going_back_to_an_older_format_without_a_vault_that_has_all_is_held_up() -> None:
    """Otherwise what came since would not be served any more."""
    for vaults in ({}, {"near": {ANNA: EARLY}}):
        assert ANNA in plan_back(replace(BACK, can_be_written=False, vaults=vaults)).against[0]


def test_an_account_that_was_made_since_is_brought_along() -> None:
    """It is not in the generation before at all."""
    assert plan_back(replace(BACK, before={ANNA: LATE})).bring == (BERT,)


def test_there_is_no_going_back_to_nothing() -> None:
    """Nothing is kept before the first upgrade."""
    assert plan_back(replace(BACK, has_previous=False)).refusals
