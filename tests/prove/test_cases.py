"""Every case of the proving ground in short form, with fixed seeds: nothing is lost, nothing is invented."""

from __future__ import annotations

from pathlib import Path

import pytest
from prove.case import Case, missing, run_unit
from prove.cases import CASES

FIRST_SEED = 1


@pytest.mark.parametrize(
    ("case", "seed"),
    [
        pytest.param(case, FIRST_SEED + number, id=f"{case.name}-{FIRST_SEED + number}")
        for case in CASES
        for number in range(case.short)
    ],
)
def test_nothing_is_lost(case: Case, seed: int, tmp_path: Path) -> None:
    """What the clients claim is there, and nothing else."""
    assert not missing(case), "\n".join(missing(case))
    unit = run_unit(case, seed, tmp_path, full=False)
    assert unit.figures["units"] == 1
