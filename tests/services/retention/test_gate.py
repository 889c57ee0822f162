"""Nothing is removed for good while any vault is away, damaged, or was not verified lately."""

from __future__ import annotations

import pytest

from keepwell.services.retention.gate import VaultFact, against_removal
from tests.support.clock import FakeClock

NOW = FakeClock().now()
GOOD = VaultFact("near", verified_at="2026-11-20T08:00:00.000000Z")


def test_with_every_vault_verified_lately_the_door_is_open() -> None:
    """Nothing stands against it."""
    assert against_removal([GOOD, GOOD], NOW) == ()


def test_without_any_vault_it_is_closed() -> None:
    """There would be one copy only, and nothing to have back from."""
    assert against_removal([], NOW) == ("there is no vault, so there is one copy only",)


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        (VaultFact("far", fault="it is gone", verified_at=GOOD.verified_at), "cannot be written to: it is gone"),
        (VaultFact("far"), "never verified"),
        (VaultFact("far", verified_at=GOOD.verified_at, damaged=2), "is damaged: 2 things"),
        (VaultFact("far", verified_at="2026-11-15T08:00:00.000000Z"), "8.0 days ago, and 7 are allowed"),
        (VaultFact("far", verified_at="2026-11-24T08:00:00.000000Z"), "-1.0 days ago"),
    ],
)
def test_one_vault_that_is_not_well_closes_it(fact: VaultFact, words: str) -> None:
    """However well the others are, and the reason is told."""
    [reason] = against_removal([GOOD, fact], NOW)
    assert words in reason
