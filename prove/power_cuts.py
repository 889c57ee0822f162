"""Power cuts of the data disk and the vault disk: under load, during the recovery from the cut before, while the server
ends in order; the data disk also lost for good.

A unit is one world. It begins with one copy, and after some cuts gets a confirming vault. Which disk has which file
system goes by the seed, every sort of cut is in every unit, and the order of the cuts, their moments and all that the
clients do come from the seed.

After each cut: what was acknowledged is there, nothing is invented, every earlier sync token is good. A start has
nothing to bring back from the vault, because the store has synced first what the vault has (only a lost disk is brought
back); while the vault's disk is cut no write is acknowledged, and reading goes on.
"""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Final

from prove.case import Case, Unit
from prove.claims import Verdict
from prove.cuts import CUTS, Cut, Moment, Step, plan
from prove.disks import NEEDS, Disk, DiskError, FileSystem
from prove.haste import hasty_environment
from prove.operations import Load
from prove.readback import Reader
from prove.world import VAULT_NAME, World

CLIENTS: Final = 6
LOAD_SECONDS: Final = (0.05, 0.35)
LINGER_SECONDS: Final = 0.05
"""How long the server goes on, at most, on a disk that was cut."""
END_SECONDS: Final = 0.2
"""Within which the server is cut after it was asked to end."""
AGAIN_SECONDS_MAX: Final = 30.0
TOLD_OF_LOSS: Final = ("was behind its vault", "was lost or damaged", "is held", "went back")
"""What a start says when the store lacked something."""


@dataclass
class PowerCuts:
    """A world on two disks. Invariant: between two steps no server runs and both disks are mounted."""

    unit: Unit
    random: Random = field(init=False)
    start_seconds: float = field(default=0.5, init=False)
    """What the last start took: a recovery is cut within this time."""
    is_lost: bool = field(default=False, init=False)
    """Whether the start to come finds an empty data disk."""
    loads: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Nothing is made yet."""
        folder, kinds = self.unit.folder, list(FileSystem)
        self.random = self.unit.random("cuts")
        self.data = Disk(folder / "data-disk", kinds[self.unit.seed % 2])
        self.vault = Disk(folder / "vault-disk", kinds[self.unit.seed // 2 % 2])
        environment = hasty_environment(folder / "haste")
        self.world = World(folder / "ground", self.data.at / "data", environment=environment)
        self.vault_folder = str(self.vault.at / "vault")
        self.settings = self.world.data / "vaults" / "settings.json"
        self.reader = Reader(self.world)

    def run(self) -> None:
        """All cuts, and the proof of what is left."""
        with ExitStack() as stack:
            for tidy in (self.count, self.vault.close, self.data.close, self.world.close):
                stack.callback(tidy)
            try:
                self.cut_all()
            except BaseException:
                self.keep_what_is_left()
                raise

    def cut_all(self) -> None:
        """The cuts with one copy, those with a vault, and what the product then says."""
        self.data.make()
        self.vault.make()
        self.world.found()
        alone, with_vault = plan(self.random)
        for step in alone:
            self.carry_out(step)
        self.add_vault()
        shutil.copy(self.settings, self.world.ground)
        for step in with_vault:
            self.carry_out(step)
        self.prove_what_is_left()

    def carry_out(self, step: Step) -> None:
        """Serve, cut, and give the power back."""
        if step.moment is Moment.RECOVERY:
            self.world.spawn()
            self.cut_within(self.start_seconds, step)
        else:
            self.serve()
            self.cut_at_work(step)
            if step.goes_on:
                self.go_on_without_the_vault()
        self.world.kill()
        self.give_power_back(step.cut)

    def cut_at_work(self, step: Step) -> None:
        """Cut while clients are at work; they get no answer that tells of a fault of the server's."""
        load = self.load()
        with load.going_on() as stop:
            time.sleep(self.random.uniform(*LOAD_SECONDS))
            if step.moment is Moment.END:
                self.world.ask_to_end()
            self.cut_within(END_SECONDS if step.moment is Moment.END else 0, step)
            stop.set()
            if not step.goes_on:
                self.world.kill()
        self.unit.require_that(not load.errors, f"answers of the server's fault: {load.errors[:3]}")

    def cut_within(self, seconds: float, step: Step) -> None:
        """Cut the disks of a step, in either order: the whole machine with them, or the server goes on for a moment."""
        time.sleep(self.random.uniform(0, seconds))
        disks = [*[self.data] * step.cut.takes_data, *[self.vault] * step.cut.takes_vault]
        goes_on = step.goes_on or self.random.random() < 0.5
        try:
            self.world.pause(between_calls=goes_on)
            for disk in self.random.sample(disks, len(disks)):
                disk.cut()
        except BaseException:
            self.world.kill()  # else clients would wait for one that is stopped
            raise
        for figure in ("power cuts", f"cuts {step.cut}", f"cuts {step.moment}"):
            self.unit.figures[figure] += 1
        if goes_on:
            self.unit.figures["cuts that the server went on after"] += 1
            self.world.go_on()
            time.sleep(self.random.uniform(0, LINGER_SECONDS))

    def give_power_back(self, cut: Cut) -> None:
        """Mount what was cut; a lost disk is replaced by an empty one, and what was on it comes from the vault."""
        if cut.takes_vault:
            self.vault.power_on()
        if cut.loses_data:
            self.data.replace()
            self.is_lost = True
            self.random.choice([self.restore, self.let_the_start_restore])()
        elif cut.takes_data:
            self.data.power_on()

    def restore(self) -> None:
        """Bring everything back by the command, which may be cut as well and is then run again."""
        words = ("restore", "--from", self.vault_folder, "--into", str(self.world.data))
        if self.random.random() < 0.5:
            self.world.spawn_command(*words)
            self.cut_within(self.start_seconds, Step(Cut.DATA, Moment.RECOVERY))
            self.world.kill()
            self.data.power_on()
        self.world.command(*words)
        self.add_vault()

    def let_the_start_restore(self) -> None:
        """Put back nothing but the file that names the vault, as an operator does."""
        self.settings.parent.mkdir(parents=True)
        shutil.copy(self.world.ground / self.settings.name, self.settings)
        self.data.sync()

    def serve(self) -> None:
        """Start on what is there, and check it."""
        logged, began = len(self.world.logged()), time.monotonic()
        self.world.start()
        self.start_seconds = time.monotonic() - began
        told = [line for line in self.world.logged(logged).splitlines() if any(word in line for word in TOLD_OF_LOSS)]
        self.unit.require_that(self.is_lost or not told, f"the start had to mend what a cut must not break: {told}")
        self.is_lost = False
        self.unit.require(self.reader.check(), f"after {self.unit.figures['power cuts']} cuts")

    def load(self) -> Load:
        """The clients, for the next time."""
        self.loads += 1
        seed = f"{self.unit.seed}/{self.loads}"
        return Load(self.world.port, self.world.passwords, self.world.claims, seed, clients=CLIENTS)

    def go_on_without_the_vault(self) -> None:
        """While the vault's disk is off nothing is acknowledged, and everything can be read; it may come back."""
        acknowledged = self.acknowledged_of(self.load(), each=2)
        self.unit.require_that(not acknowledged, f"{acknowledged} writes were acknowledged without the vault")
        self.unit.require(self.reader.check(settle=False), "while the vault's disk was off")
        if self.random.random() < 0.5:
            self.vault.plug_in_again()
            deadline = time.monotonic() + AGAIN_SECONDS_MAX
            while not self.acknowledged_of(self.load(), each=1):
                self.unit.require_that(time.monotonic() < deadline, "no write is taken though the vault's disk is back")
            self.unit.figures["vault disks plugged in again under the server"] += 1
            self.unit.require(self.reader.check(settle=False), "after the vault's disk was plugged in again")

    def acknowledged_of(self, load: Load, *, each: int) -> int:
        """How many requests are acknowledged when each client makes so many."""
        counted = self.world.claims.counted
        before = counted[Verdict.OK]
        load.run(each=each)
        self.unit.require_that(not load.errors, f"answers of the server's fault: {load.errors[:3]}")
        return counted[Verdict.OK] - before

    def add_vault(self) -> None:
        """Let the world have its vault."""
        self.world.command("vault", "add", VAULT_NAME, self.vault_folder, "--confirm")

    def prove_what_is_left(self) -> None:
        """Everything is read once more, and the product itself finds nothing wrong with either copy."""
        self.serve()
        self.world.stop()
        self.world.command("check")
        self.world.command("verify", "--grade", "records")
        refused = self.reader.tokens_refused
        self.unit.require_that(refused == 0, f"{refused} sync tokens were refused")

    def keep_what_is_left(self) -> None:
        """Copy what is on the disks into the unit's folder, as far as it can be read: for whoever looks at it."""
        self.world.kill()
        for disk, name in ((self.data, "data-left"), (self.vault, "vault-left")):
            with suppress(OSError, DiskError):
                disk.power_on()
                disk.keep_copy(self.unit.folder / name)

    def count(self) -> None:
        """What came out, also when it failed."""
        counted, figures = self.world.claims.counted, self.unit.figures
        figures["requests acknowledged"] += counted[Verdict.OK]
        figures["requests of unknown fate"] += counted[Verdict.UNKNOWN]
        figures["earlier sync tokens tried"] += self.reader.tokens_tried


def run(unit: Unit) -> None:
    """One world and all cuts of the plan."""
    PowerCuts(unit).run()


CASE: Final = Case("power-cuts", f"{CUTS} power cuts of data and vault disks", run, short=2, full=100, needs=NEEDS)
