"""Broken builds are as broken as they say, and each is seen by its case."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from prove.cases import CASES
from prove.gate import try_mutant
from prove.haste import HASTE
from prove.mutants import MUTANTS, DoesNotFitError, Edit, Mutant, environment_of, require_fit, was_used

ASKING = "from keepwell.model.names import Home; print(Home.CONTACTS)"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.name)
def test_the_mutant_is_seen(mutant: Mutant) -> None:
    """Its case fails on it; on the product as it is the same case passes (`test_cases`).

    `python -m prove.gate` demands it within a minute, of a machine that does nothing else.
    """
    # Cases have sockets in their folders, whose paths may have a hundred characters.
    with tempfile.TemporaryDirectory(prefix="gate-") as folder:
        outcome = try_mutant(mutant, Path(folder), seconds_max=600)
    assert outcome.seen, f"{mutant.name} ({mutant.breaks}) was not seen: {outcome.said[-2000:]}"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.name)
def test_a_mutant_names_a_case_that_there_is(mutant: Mutant) -> None:
    """And its texts are in the product."""
    assert mutant.case in {case.name for case in CASES}
    require_fit(mutant)


def test_haste_fits() -> None:
    """What makes the keeper hasty in some cases changes what is there."""
    require_fit(HASTE)


def test_a_process_runs_the_broken_text(tmp_path: Path) -> None:
    """What is imported in the environment of a mutant has the new text, and that is noted."""
    edit = Edit("keepwell.model.names", 'CONTACTS = "contacts"\n    CALENDARS', 'CONTACTS = "broken"\n    CALENDARS')
    mutant = Mutant("tried", "a name", "none", (edit,))
    environment = environment_of(mutant, tmp_path)
    assert not was_used(mutant, tmp_path)
    done = subprocess.run([sys.executable, "-c", ASKING], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "broken"
    assert was_used(mutant, tmp_path)


def test_two_mutants_at_once_are_both_put_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A case may alter what it runs, and is run on a mutant all the same: neither hides the other."""
    name = Edit("keepwell.model.names", 'CONTACTS = "contacts"\n    CALENDARS', 'CONTACTS = "broken"\n    CALENDARS')
    limit = Edit("keepwell.vault.merge_plan", "TIER_PACKS_MAX: Final = 8", "TIER_PACKS_MAX: Final = 2")
    first, second = Mutant("first", "a name", "none", (name,)), Mutant("second", "a limit", "none", (limit,))
    monkeypatch.setenv("PYTHONPATH", environment_of(first, tmp_path / "first")["PYTHONPATH"])
    environment = environment_of(second, tmp_path / "second")
    asking = f"{ASKING}; from keepwell.vault.merge_plan import TIER_PACKS_MAX; print(TIER_PACKS_MAX)"
    done = subprocess.run([sys.executable, "-c", asking], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["broken", "2"]
    assert was_used(first, tmp_path / "first")
    assert was_used(second, tmp_path / "second")


def test_a_mutant_that_does_not_fit_says_so(tmp_path: Path) -> None:
    """When the product changes, a mutant does not become one that breaks nothing."""
    mutant = Mutant("old", "nothing", "none", (Edit("keepwell.model.names", "what was never there", ""),))
    with pytest.raises(DoesNotFitError, match="0 times"):
        environment_of(mutant, tmp_path)
