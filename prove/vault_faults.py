"""The vault is slow, gone, an empty folder, rolled back to yesterday, or another server's; under load, or at a start.

While it is not what it must be, no write is acknowledged and reading goes on; where another server's data lies in its
place, or nothing, nothing is written there. Once it is right again, writes are taken again without a restart. A vault
that was rolled back gets everything that it lacks: at once when its folder is another one, or by the hourly look at
what must be there (which is in haste here) when its files were exchanged in their place.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Final

from prove.case import Case, Unit
from prove.copies import heads_in_vaults, heads_of
from prove.haste import HASTE
from prove.mutants import Edit, environment_of
from prove.syscalls import PASS, Call, Gatehouse, Ruling
from prove.trial import Trial, wait_until
from prove.world import VAULT_NAME, World

ROUNDS_EACH: Final = 2
ROUNDS_SHORT: Final = 4
SLOW_SECONDS: Final = (0.02, 0.3)
FAULT_SECONDS: Final = 0.6
LOOKING_OFTEN: Final = replace(
    HASTE,
    edits=(
        *HASTE.edits,
        Edit("keepwell.app.duties", "\nLOOK_SECONDS: Final = 60.0\n", "\nLOOK_SECONDS: Final = 0.2\n"),
        Edit("keepwell.services.verifying", "{Grade.EXISTENCE: 3600.0,", "{Grade.EXISTENCE: 0.5,"),
    ),
)


class VaultFaults:
    """A world with a vault, and another world's vault. Invariant: between two rounds the vault is the right one."""

    def __init__(self, unit: Unit) -> None:
        """Nothing is started yet."""
        environment = environment_of(LOOKING_OFTEN, unit.folder / "haste")
        self.unit, self.random = unit, unit.random("faults")
        self.vault, self.away = unit.folder / "vault", unit.folder / "away"
        self.others = unit.folder / "others-vault"
        self.world = World(unit.folder / "ground", unit.folder / "data", str(self.vault), environment=environment)
        self.trial = Trial(unit, self.world)
        self.house = Gatehouse(("fsync", "fdatasync"))

    def run(self) -> None:
        """All rounds: every sort of fault, in an order of its own; some of them in short."""
        sorts: list[Callable[[], None]] = [
            self.be_slow,
            self.be_gone,
            self.be_empty,
            self.be_anothers,
            self.go_back_a_day,
            self.go_back_a_day_in_place,
            self.be_anothers_at_a_start,
            self.go_back_a_day_while_stopped,
        ]
        rounds = self.random.sample(sorts * ROUNDS_EACH, len(sorts) * ROUNDS_EACH if self.unit.full else ROUNDS_SHORT)
        try:
            self.found_another()
            self.world.found()
            self.trial.start("at first", before=self.house.before())
            for sort in rounds:
                sort()
                self.unit.figures[sort.__name__.replace("_", " ").replace("be ", "vault ")] += 1
            self.trial.end("after all faults")
            self.require_same_heads("after all faults")
        finally:
            self.trial.count()
            self.world.close()
            self.house.close()

    def be_slow(self) -> None:
        """Every sync of it takes long: writes take long too, and nothing else."""
        slow = Slow(str(self.vault), self.random)
        with self.trial.under_load("a slow vault"):
            self.house.rule = slow
            time.sleep(FAULT_SECONDS)
            self.trial.wait_for_writes(1, "a slow vault")
            self.house.rule = lambda _call: PASS
        self.trial.check("a slow vault")
        self.unit.require_that(slow.delayed > 0, "no sync of the vault was delayed")

    def be_gone(self) -> None:
        """Its folder is not there."""
        self.replaced("a vault that is gone", lambda: None)

    def be_empty(self) -> None:
        """An empty folder is in its place, as when its disk is not mounted."""
        self.replaced("an empty folder for a vault", self.vault.mkdir)

    def be_anothers(self) -> None:
        """The vault of another server is in its place."""
        self.replaced("another server's vault", lambda: _copy(self.others, self.vault))

    def be_anothers_at_a_start(self) -> None:
        """The same, found by a start."""
        where = "another server's vault at a start"
        self.world.stop()
        self.vault.rename(self.away)
        _copy(self.others, self.vault)
        before = tree(self.vault)
        self.trial.start(where, before=self.house.before())
        with self.trial.asking(where):
            self.trial.require_none_acknowledged(where, FAULT_SECONDS)
        self.unit.require_that(tree(self.vault) == before, f"{where}: something was written there")
        self.put_right(where)

    def go_back_a_day(self) -> None:
        """An older copy of it is put in its place under the server."""
        self.go_back("a vault that was rolled back", is_stopped=False)

    def go_back_a_day_in_place(self) -> None:
        """The same, file by file in the folder that the server has open."""
        self.go_back("a vault that was rolled back in its place", is_stopped=False, in_place=True)

    def go_back_a_day_while_stopped(self) -> None:
        """The same, found by a start."""
        self.go_back("a vault that was rolled back before a start", is_stopped=True)

    def go_back(self, where: str, *, is_stopped: bool, in_place: bool = False) -> None:
        """Yesterday's copy is today's vault from now on."""
        self.world.stop()
        yesterday = self.unit.folder / "yesterday"
        _copy(self.vault, yesterday)
        self.trial.start(where, before=self.house.before())
        with self.trial.under_load(where):
            time.sleep(FAULT_SECONDS)
        if is_stopped:
            self.world.stop()
        with self.trial.asking(where):
            if in_place:
                lay_over(yesterday, self.vault)
            else:
                self.vault.rename(self.away)
                yesterday.rename(self.vault)
                shutil.rmtree(self.away)
            if not is_stopped:
                self.trial.wait_for_writes(1, where)
        if is_stopped:
            self.trial.start(where, before=self.house.before())
        self.trial.check(where)
        self.require_same_heads(where)

    def replaced(self, where: str, put: Callable[[], object]) -> None:
        """Something else is in its place for a while, and stays as it is; then it is there again."""
        with self.trial.under_load(where):
            self.vault.rename(self.away)
            put()
            before = tree(self.vault)
            self.trial.wait_for_refusals(where, 10)
            time.sleep(0.1)
            self.trial.require_none_acknowledged(where, FAULT_SECONDS)
        self.trial.check(where, settle=False)
        self.unit.require_that(tree(self.vault) == before, f"{where}: something was written there")
        self.put_right(where)

    def put_right(self, where: str) -> None:
        """The right one is there again."""
        if self.vault.exists():
            shutil.rmtree(self.vault)
        self.away.rename(self.vault)
        with self.trial.under_load(f"{where}, and then the right one"):
            pass
        self.trial.check(f"{where}, and then the right one")

    def found_another(self) -> None:
        """Make another server's data, and keep its vault."""
        other = World(self.unit.folder / "others-ground", self.unit.folder / "others-data", str(self.others))
        try:
            other.found()
        finally:
            other.close()

    def require_same_heads(self, where: str) -> None:
        """Store and vault come to end with the same records, while nobody writes."""

        def are_same() -> bool:
            return heads_of(self.world.data) == heads_in_vaults(self.world.data)[VAULT_NAME]

        if not wait_until(are_same, 30):
            here, there = heads_of(self.world.data), heads_in_vaults(self.world.data)[VAULT_NAME]
            self.unit.require_that(False, f"{where}: the vault ends with {there}, the store with {here}")


class Slow:
    """The rule: syncs below a folder take long."""

    def __init__(self, folder: str, random: Random) -> None:
        """As the seed says."""
        self._folder, self._random = folder, random
        self.delayed = 0

    def __call__(self, call: Call) -> Ruling:
        """What becomes of a call."""
        if not call.path.startswith(self._folder):
            return PASS
        self.delayed += 1
        return Ruling(seconds=self._random.uniform(*SLOW_SECONDS))


def tree(folder: Path) -> dict[str, str]:
    """Every file of a folder, by its bytes."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def lay_over(source: Path, target: Path) -> None:
    """Make a folder what another is, file by file, as `rsync --delete` does; the other goes."""
    for path in [one for one in target.rglob("*") if one.is_file() and not (source / one.relative_to(target)).exists()]:
        path.unlink(missing_ok=True)
    shutil.copytree(source, target, dirs_exist_ok=True)
    shutil.rmtree(source)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target)


def run(unit: Unit) -> None:
    """One world, and everything that can befall its vault."""
    VaultFaults(unit).run()


CASE: Final = Case(
    "vault-faults",
    "a vault that is slow, gone, an empty folder, rolled back to yesterday, or another server's",
    run,
    full=40,
)
