"""A vault that becomes unable under load, and then the store is lost for good: every yes must be in the vault.

Without the loss nobody would see an answer that no vault confirmed: the store has the write, and ships it later. So in
each round the vault is taken away, or its calls fail, while clients write; once they are told "not now" the server is
killed and its whole data folder removed. What is restored from the vault must have everything that was answered 2xx.
"""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Callable
from typing import Final

from prove.case import Case, Unit
from prove.haste import hasty_environment
from prove.io_errors import SORTS, Failing, Fault
from prove.syscalls import Gatehouse
from prove.trial import Trial
from prove.world import VAULT_NAME, World

ROUNDS_EACH: Final = 3
LINGER_SECONDS: Final = 1.0
"""How long the server goes on at most after it first said "not now"."""
REFUSAL_SECONDS_MAX: Final = 20.0
FOR_GOOD: Final = 1_000_000


class Unconfirmed:
    """A world with a confirming vault. Invariant: between two rounds the vault is able, and no server runs."""

    def __init__(self, unit: Unit) -> None:
        """Nothing is started yet."""
        self.unit, self.random = unit, unit.random("rounds")
        self.vault, self.away = unit.folder / "vault", unit.folder / "away"
        self.unplugged = unit.folder / "unplugged"
        environment = hasty_environment(unit.folder / "haste")
        self.world = World(unit.folder / "ground", unit.folder / "data", str(self.vault), environment=environment)
        self.failing = Failing({"vault": str(self.vault)})
        self.house = Gatehouse((*SORTS["writes"], *SORTS["syncs"]), self.failing)
        self.trial = Trial(unit, self.world)

    def run(self) -> None:
        """Every sort of inability, in an order of its own."""
        sorts: list[Callable[[], None]] = [self.gone, self.full, self.failing_writes, self.failing_syncs]
        rounds = self.random.sample(sorts * ROUNDS_EACH, len(sorts) * ROUNDS_EACH) if self.unit.full else sorts[:2]
        try:
            self.world.found()
            for sort in rounds:
                self.lose_all_but_the_vault(sort)
                self.unit.figures["stores lost"] += 1
                self.unit.figures[f"vaults {sort.__name__.replace('_', ' ')}"] += 1
            self.trial.start("after all losses")
            self.trial.end("after all losses")
        finally:
            self.trial.count()
            self.world.close()
            self.house.close()

    def lose_all_but_the_vault(self, sort: Callable[[], None]) -> None:
        """Serve and check; let the vault become unable under load; lose the store; restore."""
        where = f"a vault {sort.__name__.replace('_', ' ')}"
        self.trial.start(f"before {where}", before=self.house.before())
        with self.trial.under_load(where):
            sort()
            self.trial.wait_for_refusals(where, REFUSAL_SECONDS_MAX)
            time.sleep(self.random.uniform(0, LINGER_SECONDS))
            self.world.kill()
        self.failing.end()
        if self.away.exists():
            shutil.rmtree(self.unplugged)
            self.away.rename(self.vault)
        shutil.rmtree(self.world.data)
        self.world.command("restore", "--from", str(self.vault), "--into", str(self.world.data))
        self.world.command("vault", "add", VAULT_NAME, str(self.vault), "--confirm")

    def gone(self) -> None:
        """It ends as it is between two system calls; what is written to its files after that is in no file of it."""
        self.world.pause(between_calls=True)
        try:
            shutil.copytree(self.vault, self.away)
            self.vault.rename(self.unplugged)
        finally:
            self.world.go_on()

    def full(self) -> None:
        """No byte more can be written to it."""
        self.fail("writes", errno.ENOSPC)

    def failing_writes(self) -> None:
        """Its disk reports errors when something is written."""
        self.fail("writes", errno.EIO)

    def failing_syncs(self) -> None:
        """Its disk reports errors when something is to be durable."""
        self.fail("syncs", errno.EIO)

    def fail(self, sort: str, number: int) -> None:
        """From now on, all of them."""
        self.failing.begin(Fault("vault", sort, number, 0, FOR_GOOD))


def run(unit: Unit) -> None:
    """One world, its store lost again and again."""
    Unconfirmed(unit).run()


CASE: Final = Case(
    "unconfirmed-answers",
    "a confirming vault becomes unable while clients write, and then the store is lost for good",
    run,
    full=20,
)
