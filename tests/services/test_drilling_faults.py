"""Faults that a drill plants are found where they are, and a blind verification or restore fails the drill."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from keepwell.ground.entropy import Draw
from keepwell.model.names import AccountId
from keepwell.services.drilling import finding
from keepwell.services.drilling.faults import PlannedFault, draw_faults
from keepwell.services.drilling.finding import (
    HASHED_OCTETS_MAX,
    Noticed,
    RestoreFrom,
    find,
    look_at_vault,
    some_objects,
)
from keepwell.services.drilling.trial import Stopwatch, carry_out_trial, noticed_by, plan_trial
from keepwell.services.drills import Fault
from keepwell.services.restoring.crew import MakeStore
from keepwell.services.restoring.sources import OpenedSource, Source
from keepwell.storage.memory import MemoryStore
from keepwell.vault.altered import AlteredMedium
from keepwell.vault.findings import Found
from keepwell.vault.layout import PACKS, TAILS
from keepwell.vault.medium import ObjectInfo
from keepwell.vault.memory_medium import MemoryMedium
from keepwell.vault.vault import Vault
from tests.vault.filled import Filled, filled
from tests.vault.journals import ANNA, BERT

SEEDS = range(40)


@pytest.fixture(scope="module")
def here() -> Filled:
    return filled()


def altered(here: Filled, planned: PlannedFault) -> Vault:
    vault = Vault("here", AlteredMedium(here.medium, planned.alteration), here.document, here.seal, here.clock)
    vault.look()
    return vault


@pytest.fixture
def restoring(here: Filled, tmp_path: Path) -> RestoreFrom:
    """A real restore, into memory."""
    numbers = itertools.count()

    def restore(vault: Vault, accounts: Sequence[AccountId]) -> Noticed:
        source = OpenedSource(vault, Source("memory", "here", vault.document, (), vault.catalogue()))
        into, watch = tmp_path / str(next(numbers)), Stopwatch(here.clock)
        plan = plan_trial(source, accounts)
        make_store: MakeStore = lambda _folder: MemoryStore(here.clock, here.entropy)  # noqa: E731
        return noticed_by(carry_out_trial(source, plan, accounts, into, make_store, watch, workers=1))

    return restore


def blind(_vault: Vault, _accounts: Sequence[AccountId]) -> Noticed:
    return Noticed()


def test_a_fault_of_each_sort_is_drawn_and_found(here: Filled, restoring: RestoreFrom) -> None:
    """Whatever the seed: in packs, blobs and manifests, at any byte, by verifying and by restoring."""
    objects = set()
    for seed in SEEDS:
        draw = Draw(seed)
        planned = draw_faults(here.vault, draw)
        assert [one.fault for one in planned] == list(Fault)
        for one in planned:
            verdict = find(one, altered(here, one), restoring, draw)
            assert verdict.problems == [], (seed, one)
            assert verdict.planted.found
            assert ("restoring" in verdict.planted.by) == bool(one.affected)
            objects.add(one.object.partition("/")[0])
    assert objects == {"packs", "blobs", "manifests", ANNA, BERT}


def test_the_same_seed_draws_the_same(here: Filled) -> None:
    """So that a drill that failed can be done again."""
    assert draw_faults(here.vault, Draw(7)) == draw_faults(here.vault, Draw(7))
    assert len({repr(draw_faults(here.vault, Draw(seed))) for seed in SEEDS}) > 10


@pytest.mark.parametrize("fault", list(Fault))
def test_a_verification_that_sees_nothing_fails_the_drill(
    here: Filled, fault: Fault, restoring: RestoreFrom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the restore notices it."""
    monkeypatch.setattr(finding, "verify_existence", lambda _vault: Found())
    monkeypatch.setattr(finding, "verify_content", lambda _vault, _objects: Found())
    planned = next(one for one in draw_faults(here.vault, Draw(1)) if one.fault is fault)
    verdict = find(planned, altered(here, planned), restoring, Draw(1))
    assert not verdict.planted.found
    assert "verifying did not find the planted fault" in verdict.problems[0]


def test_a_restore_that_notices_nothing_fails_the_drill(here: Filled) -> None:
    """Though verifying finds it: a restore that passes over damage in silence is the worst of all."""
    planned = [one for seed in SEEDS for one in draw_faults(here.vault, Draw(seed)) if one.affected]
    for one in planned[:12]:
        verdict = find(one, altered(here, one), blind, Draw(1))
        assert verdict.problems == [
            f"a restore of {', '.join(one.affected)} did not notice the planted fault ({one.fault}: {one.object})"
        ]


def told_besides(_vault: Vault, accounts: Sequence[AccountId]) -> Noticed:
    return Noticed(frozenset({"packs/other"}), frozenset(accounts))


def test_what_is_found_besides_the_fault_fails_the_drill(here: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only exactly what was planted proves that finding means something."""
    planned = next(one for one in draw_faults(here.vault, Draw(1)) if one.fault is Fault.MISSING_OBJECT)

    def seeing_ghosts(vault: Vault) -> Found:
        found = Found()
        found.damage(planned.object, "it is missing")
        found.damage("packs/ghost", "it is missing")
        return found

    monkeypatch.setattr(finding, "verify_existence", seeing_ghosts)
    verdict = find(planned, altered(here, planned), told_besides, Draw(1))
    assert len(verdict.problems) == 2
    assert "packs/ghost" in verdict.problems[0]
    assert "packs/other" in verdict.problems[1]


def test_without_a_manifest_nobody_could_tell_and_less_is_drawn() -> None:
    """A pack that no manifest names may be missing unnoticed, and an account too."""
    here = Filled()
    here.grow(ANNA)
    here.ship()
    here.vault.look()
    assert [one.fault for one in draw_faults(here.vault, Draw(1))] == [Fault.FLIPPED_BYTE]
    assert draw_faults(Filled().vault, Draw(1)) == []


def test_other_objects_are_hashed_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one at fault always; tails never, which grow while they are read."""
    here = filled()
    names = {info.name for info in some_objects(here.vault, "", Draw(1))}
    assert names == {info.name for info in here.medium.list() if not info.name.startswith(TAILS)}
    monkeypatch.setattr(finding, "HASHED_OCTETS_MAX", 0)
    pack = next(iter(here.medium.list(PACKS)))
    assert some_objects(here.vault, pack.name, Draw(1)) == [pack]
    assert HASHED_OCTETS_MAX > 0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda medium, pack: medium.remove(pack.name),
        lambda medium, pack: medium.replace(pack.name, bytes(pack.size)),
    ],
)
def test_a_vault_that_is_not_whole_is_said_to_be_so(spoil: Callable[[MemoryMedium, ObjectInfo], object]) -> None:
    """Before anything is planted."""
    here = filled()
    assert look_at_vault(here.vault, Draw(1)) == []
    assert isinstance(here.medium, MemoryMedium)
    pack = next(iter(here.medium.list(PACKS)))
    spoil(here.medium, pack)
    assert any(pack.name in problem for problem in look_at_vault(here.open(), Draw(1)))
