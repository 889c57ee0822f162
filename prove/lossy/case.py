"""Data and confirming vault on lossy disks, which are cut under load, one or both, and again while Keepwell recovers.

What was acknowledged was synced on both disks, so it is there whichever is cut, in whatever way: also when both are,
since neither takes back what it synced. And each has it alone:

- a start has nothing to bring back from the vault, because the store has synced first what the vault has;
- after a cut of the vault's disk the store is deleted sometimes, and comes back from what that disk has;
- every third unit has no vault, and the data disk alone must have what it acknowledged.
"""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Final

from keepwell.ground.durable import sync_folder
from prove.case import Case, Unit
from prove.claims import Verdict
from prove.haste import hasty_environment
from prove.lossy.disk import LossyDisk
from prove.lossy.fate import Mode
from prove.lossy.mounting import FUSE_DEVICE
from prove.operations import Load
from prove.power_cuts import TOLD_OF_LOSS
from prove.readback import Reader
from prove.world import World

ROUNDS: Final = 8
ROUNDS_SHORT: Final = 2
MODES: Final = {Mode.DROP: 2, Mode.KEEP: 1, Mode.SOME: 3, Mode.TEAR: 4}
CHANGES_UNDER_LOAD_MAX: Final = 2500
"""A cut comes at one of so many requests to the disk that change or sync anything."""
CHANGES_IN_RECOVERY_MAX: Final = 60
DEATH_SECONDS_MAX: Final = 10.0
"""After which a disk is cut although it did not get to that request."""
RETURN_SECONDS_MAX: Final = 60.0
"""Within which a server that lives must take writes again when its vault is back."""
WRITES_UNTIL_BACK: Final = 30


@dataclass(slots=True)
class LossyWorld:
    """A world whose data and vault lie on lossy disks. Invariant: each cut has a seed of its own."""

    unit: Unit
    world: World
    disks: dict[str, LossyDisk]
    random: Random = field(init=False)
    reader: Reader = field(init=False)
    cuts: int = 0
    is_lost: bool = False
    """Whether the start to come finds no store."""

    def __post_init__(self) -> None:
        """The disks are empty yet."""
        self.random, self.reader = self.unit.random("cuts"), Reader(self.world)

    def run(self) -> None:
        """So many rounds: load, cut, perhaps a cut of the recovery, start, everything read back."""
        self.world.found()
        self._serve()
        for _ in range(ROUNDS if self.unit.full else ROUNDS_SHORT):
            self._cut_under_load()
            while self.world.has_ended() and self.random.random() < 0.4:
                self._cut_in_recovery()
            self._serve()
        self._prove_what_is_left()

    def keep_what_is_left(self) -> None:
        """Copy what is on the disks into the unit's folder: for whoever looks at it."""
        self.world.kill()
        for name, disk in self.disks.items():
            with suppress(OSError):
                if disk.is_dead():
                    disk.restart()
                shutil.copytree(disk.folder, self.unit.folder / f"{name}-left")

    def count(self) -> None:
        """What came out, also when it failed."""
        counted, figures = self.world.claims.counted, self.unit.figures
        figures["requests acknowledged"] += counted[Verdict.OK]
        figures["requests of unknown fate"] += counted[Verdict.UNKNOWN]
        figures["earlier sync tokens tried"] += self.reader.tokens_tried
        for disk in self.disks.values():
            figures.update({f"unsynced {what}": count for what, count in disk.figures.items()})

    def _serve(self) -> None:
        """Start, if it does not serve already, and check it."""
        if self.world.has_ended():
            logged = len(self.world.logged())
            self.world.start()
            lines = self.world.logged(logged).splitlines()
            told = [line for line in lines if any(word in line for word in TOLD_OF_LOSS)]
            self.unit.require_that(self.is_lost or not told, f"the start had to mend what a cut must not break: {told}")
            self.is_lost = False
        self.unit.require(self.reader.check(), f"after {self.cuts} cuts")

    def _cut_under_load(self) -> None:
        """Clients work until a disk dies, or both; the server is killed on what is left, or it is only the vault's."""
        names = tuple(self.random.sample(sorted(self.disks), self.random.randint(1, len(self.disks))))
        world = self.world
        load = Load(world.port, world.passwords, world.claims, f"{self.unit.seed}/{self.cuts}")
        with load.going_on() as stop:
            self._cut(names, self.random.randint(1, CHANGES_UNDER_LOAD_MAX))
            time.sleep(self.random.choice((0.0, 0.02, 0.2)))
            if names == ("vault",) and self.random.random() < 0.5:
                self._let_the_vault_return()
            else:
                stop.set()
                world.kill()
        self.unit.require_that(not load.errors, f"answers of the server's fault: {load.errors[:3]}")
        if world.has_ended():
            self._restart(names)
            if "vault" in names and self.random.random() < 0.4:
                self._delete_store()

    def _cut_in_recovery(self) -> None:
        """The server starts on what is left, and a disk dies meanwhile; at the latest when it serves."""
        names = (self.random.choice(sorted(self.disks)),)
        self.world.spawn()
        self._cut(names, self.random.randint(1, CHANGES_IN_RECOVERY_MAX), or_served=True)
        self.world.kill()
        self._restart(names)
        self.unit.figures["cuts in recovery"] += 1

    def _let_the_vault_return(self) -> None:
        self._restart(("vault",))
        enough = self.world.claims.counted[Verdict.OK] + WRITES_UNTIL_BACK
        deadline = time.monotonic() + RETURN_SECONDS_MAX
        while self.world.claims.counted[Verdict.OK] < enough:
            self.unit.require_that(time.monotonic() < deadline, "no writes are taken though the vault is back")
            time.sleep(0.02)
        self.unit.figures["vaults back under a living server"] += 1

    def _delete_store(self) -> None:
        for part in ("accounts", "blobs"):
            shutil.rmtree(self.world.data / part, ignore_errors=True)
        # Else the next cut may bring a part of it back: an account's file without its blobs, which is another fault.
        sync_folder(self.world.data)
        self.is_lost = True
        self.unit.figures["stores deleted"] += 1

    def _cut(self, names: tuple[str, ...], after: int, *, or_served: bool = False) -> None:
        """The first disk dies at a request, the other at once after it."""
        first = self.disks[names[0]]
        first.cut(self._mode(), self._seed(), after=after)
        deadline = time.monotonic() + DEATH_SECONDS_MAX
        while not first.wait_until_dead(0.05) and time.monotonic() < deadline:
            if or_served and (self.world.has_ended() or self.world.answers()):
                break
        for name in names:
            if not self.disks[name].is_dead():
                self.disks[name].cut(self._mode(), self._seed())
            self.unit.figures[f"cuts of the {name} disk"] += 1

    def _restart(self, names: tuple[str, ...]) -> None:
        for name in names:
            self.disks[name].restart()

    def _mode(self) -> Mode:
        return self.random.choices(list(MODES), list(MODES.values()))[0]

    def _seed(self) -> str:
        self.cuts += 1
        return f"{self.unit.seed}/{self.cuts}"

    def _prove_what_is_left(self) -> None:
        """The product itself finds nothing wrong with either copy."""
        self.world.stop()
        self.world.command("check")
        if "vault" in self.disks:
            self.world.command("verify", "--grade", "records")
        refused = self.reader.tokens_refused
        self.unit.require_that(refused == 0, f"{refused} sync tokens were refused")


def run(unit: Unit) -> None:
    """One world and its cuts."""
    names = ("data",) if unit.seed % 3 == 2 else ("data", "vault")
    with ExitStack() as stack:
        disks = {name: stack.enter_context(LossyDisk(unit.folder / f"{name}-disk")) for name in names}
        vault = str(disks["vault"].folder / "vault") if "vault" in disks else None
        environment = hasty_environment(unit.folder / "haste")
        world = World(unit.folder / "ground", disks["data"].folder / "data", vault, environment=environment)
        stack.callback(world.close)
        lossy = LossyWorld(unit, world, disks)
        try:
            lossy.run()
        except BaseException:
            lossy.keep_what_is_left()
            raise
        finally:
            lossy.count()


CASE: Final = Case(
    "lossy-disk",
    "data and vault on disks that drop, reorder and tear what was not synced, cut under load and in recovery",
    run,
    short=2,
    full=300,
    needs=("root", str(FUSE_DEVICE)),
)
