"""The cuts that a unit makes are all that there are, whatever its seed."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest
from prove.cuts import CUTS, Cut, Moment, Step, plan


@pytest.mark.parametrize("seed", range(5))
def test_every_sort_of_cut_is_in_every_unit(seed: int) -> None:
    """Data, vault and both, at each moment; a data disk that is lost, with the vault's cut and without."""
    alone, with_vault = plan(Random(seed))
    wanted = {Step(cut, moment) for cut, moment in product((Cut.DATA, Cut.VAULT, Cut.BOTH), Moment)}
    assert wanted | {Step(cut, Moment.LOAD) for cut in (Cut.LOST, Cut.BOTH_LOST)} == set(with_vault)
    assert len(alone) + len(with_vault) == CUTS


def test_without_a_vault_only_the_data_disk_is_cut() -> None:
    """And never lost: there is nothing that could bring it back."""
    alone, _with_vault = plan(Random(1))
    assert {step.cut for step in alone} == {Cut.DATA}


def test_the_order_is_that_of_the_seed() -> None:
    """The same seed cuts the same way again, another one otherwise."""
    assert plan(Random(1)) == plan(Random(1))
    assert plan(Random(1)) != plan(Random(2))
