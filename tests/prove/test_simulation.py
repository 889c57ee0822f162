"""The simulation: hypothesis drives it and finds nothing, it is the same in every run, and it sees planted bugs."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prove.claims import Findings
from prove.simulation.bounds import small_bounds
from prove.simulation.choices import SeededChoices
from prove.simulation.exhaustive import SCRIPTS, EnumeratedChoices, Script, changes_of, histories
from prove.simulation.schedule import run_schedule
from prove.simulation.tasks import CooperativeLock, Crash, Process, Scheduler

from keepwell.services import catch_up, epochs
from keepwell.services.confirming import Confirming
from keepwell.services.vault_link import VaultLink
from keepwell.storage.contract import Carried
from keepwell.vault import memory_medium
from keepwell.vault import vault as vault_module
from keepwell.vault.memory_medium import MemoryMedium
from keepwell.vault.vault import Vault

ROOT = Path(__file__).resolve().parents[2]
SCHEDULES_MAX = 400
"""Within so many schedules every planted bug is found."""


@pytest.fixture(autouse=True)
def bounds() -> Iterator[None]:
    with small_bounds():
        yield


class DrawnChoices:
    """Decisions that hypothesis makes, and shrinks."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def below(self, count: int) -> int:
        return self._data.draw(st.integers(0, count - 1))


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
@given(st.data())
def test_no_history_loses_or_invents_anything(data: st.DataObject) -> None:
    """Whatever happens between any two effects, everything acknowledged is there, and nothing else."""
    assert run_schedule(DrawnChoices(data)).findings == Findings()


def trace_of(seed: str) -> str:
    lines: list[str] = []
    run_schedule(SeededChoices(seed), lines.append)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def test_a_seed_is_one_history_in_every_process() -> None:
    """A failing schedule can be made again: nothing depends on the order of hashes, addresses or the clock."""
    program = (
        "from tests.prove.test_simulation import trace_of\n"
        "from prove.simulation.bounds import small_bounds\n"
        "with small_bounds(): print(*[trace_of(str(seed)) for seed in range(40)])"
    )
    expected = [trace_of(str(seed)) for seed in range(40)]
    for hashing in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
            env={"PYTHONHASHSEED": hashing, "PYTHONPATH": f"{ROOT}/src:{ROOT}"},
        )
        assert done.stdout.split() == expected


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.name for script in SCRIPTS])
def test_every_script_does_what_it_is_there_for(script: Script) -> None:
    """It has crash points enough, and none of a few of them loses anything."""
    changes = changes_of(script)
    assert changes > 60
    for point, findings in histories(script, range(7, changes, 90), options_max=2):
        assert findings == Findings(), str(point)


def test_an_enumeration_takes_every_choice_once() -> None:
    """The decisions that follow each other are all there are, in order; of many options the first and the last."""
    seen = []
    given: list[int] | None = []
    while given is not None:
        choices = EnumeratedChoices(given, options_max=3)
        seen.append((choices.below(2), choices.below(10) if not given or given[0] == 0 else choices.below(1)))
        given = choices.following()
    assert seen == [(0, 0), (0, 4), (0, 9), (1, 0)]


def test_a_process_that_ended_changes_nothing_any_more() -> None:
    """What its tasks have left to do is never done, not even while they clear up."""
    scheduler, process, done = Scheduler(), Process("one"), list[str]()

    def run() -> None:
        try:
            scheduler.reach("first")
            done.append("after the first effect")
        finally:
            scheduler.reach("second")
            done.append("while clearing up")

    task = scheduler.begin(process, "a task", run)
    scheduler.advance(task)
    scheduler.end(process)
    assert (task.is_done, done, scheduler.tasks) == (True, [], [])
    scheduler.current = task
    with pytest.raises(Crash):
        scheduler.reach("third")


def test_a_lock_is_waited_for_and_free_when_its_holder_ends() -> None:
    """A task goes on once nobody that lives holds the lock that it needs."""
    scheduler, done = Scheduler(), list[str]()
    lock = CooperativeLock(scheduler)

    def run(name: str) -> None:
        with lock:
            scheduler.reach("inside")
            done.append(name)

    processes = [Process("one"), Process("two")]
    tasks = [scheduler.begin(process, "a task", lambda name=process.name: run(name)) for process in processes]  # type: ignore[misc]
    for task in tasks:
        scheduler.advance(task)
    assert [task.can_go_on for task in tasks] == [True, False]
    scheduler.end(processes[0])
    scheduler.advance(tasks[1], 10)
    assert done == ["two"]


# Bugs that are planted on purpose. Each must be found within a bounded number of schedules.

Plant = Callable[[pytest.MonkeyPatch], None]


def answer_before_the_vault(patch: pytest.MonkeyPatch) -> None:
    confirm = Confirming.confirm

    def hasty(self: Confirming, account: str, carried: list[Carried], done: Callable[[None], None]) -> None:
        done(None)
        confirm(self, account, carried, lambda _fault: None)  # type: ignore[arg-type]

    patch.setattr(Confirming, "confirm", hasty)


def skip_a_record(patch: pytest.MonkeyPatch) -> None:
    missing = VaultLink._missing

    def short(self: VaultLink, batch: list[object]) -> tuple[list[Carried], object]:
        new, refused = missing(self, batch)  # type: ignore[arg-type]
        return (new[:-1] if len(new) > 1 else new), refused

    patch.setattr(VaultLink, "_missing", short)


def remove_the_tail_before_the_pack(patch: pytest.MonkeyPatch) -> None:
    roll = VaultLink.roll

    def hasty(self: VaultLink) -> None:
        if self._tail is not None:
            self.vault.remove_tails([self._tail.name])
        roll(self)

    patch.setattr(VaultLink, "roll", hasty)


def trust_the_older_head(patch: pytest.MonkeyPatch) -> None:
    steps = catch_up._steps

    def trusting(*arguments: object, **options: object) -> list[catch_up.Step]:
        planned = steps(*arguments, **options)  # type: ignore[arg-type]
        return [one for one in planned if one.deed is not catch_up.Deed.EXTEND]

    patch.setattr(catch_up, "_steps", trusting)
    patch.setattr(catch_up, "_known_and_there", lambda *_: (0, 0))


def drop_the_last_record_of_a_restore(patch: pytest.MonkeyPatch) -> None:
    read = catch_up.read_account

    def short(*arguments: object) -> Iterator[Carried]:
        carried = list(read(*arguments))  # type: ignore[arg-type]
        yield from carried[:-1] if len(carried) > 1 else carried

    patch.setattr(catch_up, "read_account", short)
    patch.setattr(catch_up, "_carry_out", carry_out_without_looking)


def carry_out_without_looking(store: object, vaults: list[Vault], step: catch_up.Step, _done: object) -> None:
    if step.deed is catch_up.Deed.RESTORE:
        catch_up.restore_from(store, [vaults[step.source]], step.account)  # type: ignore[arg-type]
    else:
        catch_up.extend_from(store, vaults, step.account)  # type: ignore[arg-type]


def never_sync(patch: pytest.MonkeyPatch) -> None:
    append = MemoryMedium.append

    def unsynced(self: MemoryMedium, name: str, before: bytes, octets: bytes) -> None:
        append(self, name, before, octets)
        self._unsynced.append(vault_medium_bytes(name, before, octets))

    patch.setattr(MemoryMedium, "append", unsynced)


def vault_medium_bytes(name: str, before: bytes, octets: bytes) -> object:
    return memory_medium._Bytes(name, before, octets)


def never_look_for_a_newer_epoch(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Vault, "require_epoch", lambda _self: None)


def believe_what_failed_to_sync(patch: pytest.MonkeyPatch) -> None:
    reopen = VaultLink.reopen

    def believing(self: VaultLink, *, again: bool = True) -> object:
        self._tail_heads, self._known, self._behind = {}, {}, set()
        return reopen(self, again=again)

    patch.setattr(VaultLink, "reopen", believing)


def begin_without_comparing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(epochs.Comparing, "_was_done", lambda _self, _vault: True)
    patch.setattr(VaultLink, "_require_level", lambda _self, _account: None)
    patch.setattr(VaultLink, "note_lagging", lambda _self: None)


def count_what_a_fenced_server_wrote(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(vault_module, "is_stray", lambda _pack, _manifest: False)


PLANTED: list[Plant] = [
    answer_before_the_vault,
    skip_a_record,
    trust_the_older_head,
    drop_the_last_record_of_a_restore,
    never_sync,
    never_look_for_a_newer_epoch,
    begin_without_comparing,
    count_what_a_fenced_server_wrote,
]

PLANTED_AT_A_POINT: list[Plant] = [remove_the_tail_before_the_pack, believe_what_failed_to_sync]
"""Bugs that one moment shows: every crash point of a script has it for certain."""


def is_wrong(seed: int) -> bool:
    try:
        return bool(run_schedule(SeededChoices(str(seed))).findings)
    except Exception:  # whatever the bug leads to: the product should never raise here
        return True


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A simulation that cannot see loss proves nothing."""
    plant(monkeypatch)
    assert any(map(is_wrong, range(SCHEDULES_MAX)))


@pytest.mark.parametrize("plant", PLANTED_AT_A_POINT, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found_at_a_crash_point(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    """What only one moment shows is found where every moment is tried."""
    plant(monkeypatch)
    script = replace(SCRIPTS[0], steps=SCRIPTS[0].steps[:6])  # up to the first tail that is put into a pack
    found = histories(script, range(1, changes_of(script)), options_max=2)
    assert any(findings for _point, findings in found)
