"""Data and confirming vault on lossy disks, which are cut under load, one or both, and again while Keepwell recovers.

What was acknowledged was synced on both disks, so it is there whichever is cut, in whatever way: also when both are,
since neither takes back what it synced. And each has it alone:

- after a cut of the vault's disk the store is deleted sometimes, and comes back from what that disk has;
- every third unit has no vault, and the data disk alone must have what it acknowledged.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from random import Random
from typing import Final

from prove.case import Case, Unit
from prove.claims import Verdict
from prove.lossy.disk import LossyDisk
from prove.lossy.fate import Mode
from prove.lossy.mounting import FUSE_DEVICE
from prove.operations import Load
from prove.readback import Reader
from prove.world import World

ROUNDS: Final = 8
ROUNDS_SHORT: Final = 3
MODES: Final = {Mode.DROP: 2, Mode.KEEP: 1, Mode.SOME: 3, Mode.TEAR: 4}
CHANGES_UNDER_LOAD_MAX: Final = 1500
"""A cut comes at one of so many requests to the disk that change or sync anything."""
CHANGES_IN_RECOVERY_MAX: Final = 60
DEATH_SECONDS_MAX: Final = 10.0
"""After which a disk is cut although it did not get to that request."""
RETURN_SECONDS_MAX: Final = 60.0
"""Within which a server that lives must take writes again when its vault is back."""


@dataclass(slots=True)
class Bench:
    """A world whose data and vault lie on lossy disks. Invariant: each cut has a seed of its own."""

    unit: Unit
    world: World
    disks: dict[str, LossyDisk]
    random: Random
    cuts: int = 0

    def cut_under_load(self) -> None:
        """Clients work until a disk dies, or both; the server is killed on what is left, or it is only the vault's."""
        names = tuple(self.random.sample(sorted(self.disks), self.random.randint(1, len(self.disks))))
        with self._working():
            self._cut(names, self.random.randint(1, CHANGES_UNDER_LOAD_MAX))
            time.sleep(self.random.choice((0.0, 0.02, 0.2)))
            if names == ("vault",) and self.random.random() < 0.5:
                self._let_the_vault_return()
                return
            self.world.kill()
        self._restart(names)
        if "vault" in names and self.random.random() < 0.4:
            for part in ("accounts", "blobs"):
                shutil.rmtree(self.world.data / part, ignore_errors=True)
            self.unit.figures["stores deleted"] += 1

    def cut_in_recovery(self) -> None:
        """The server starts on what is left, and a disk dies meanwhile; at the latest when it serves."""
        names = (self.random.choice(sorted(self.disks)),)
        self.world.spawn()
        self._cut(names, self.random.randint(1, CHANGES_IN_RECOVERY_MAX), or_served=True)
        self.world.kill()
        self._restart(names)
        self.unit.figures["cuts in recovery"] += 1

    @contextmanager
    def _working(self) -> Iterator[None]:
        """While clients work; until the server is killed, or the end."""
        load = Load(self.world.port, self.world.passwords, self.world.claims, f"{self.unit.seed}/{self.cuts}")
        ended = threading.Event()
        working = threading.Thread(target=lambda: load.run(until=ended.is_set))
        working.start()
        try:
            yield
        finally:
            ended.set()
            working.join()
        self.unit.require_that(not load.errors, f"answers of the server's fault: {load.errors[:3]}")

    def _let_the_vault_return(self) -> None:
        self._restart(("vault",))
        enough = self.world.claims.counted[Verdict.OK] + 50
        deadline = time.monotonic() + RETURN_SECONDS_MAX
        while self.world.claims.counted[Verdict.OK] < enough:
            self.unit.require_that(time.monotonic() < deadline, "no writes are taken though the vault is back")
            time.sleep(0.05)
        self.unit.figures["vaults back under a living server"] += 1

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


def run(unit: Unit) -> None:
    """One world, so many rounds: load, cut, perhaps a cut of the recovery, restart, everything read back."""
    names = ("data",) if unit.seed % 3 == 0 else ("data", "vault")
    with ExitStack() as stack:
        disks = {name: stack.enter_context(LossyDisk(unit.folder / f"{name}-disk")) for name in names}
        vault = str(disks["vault"].folder / "vault") if "vault" in disks else None
        world = World(unit.folder / "ground", disks["data"].folder / "data", vault)
        stack.callback(world.close)
        world.found()
        bench, reader = Bench(unit, world, disks, unit.random("cuts")), Reader(world)
        world.start()
        for number in range(1, (ROUNDS if unit.full else ROUNDS_SHORT) + 1):
            bench.cut_under_load()
            while world.has_ended() and bench.random.random() < 0.4:
                bench.cut_in_recovery()
            if world.has_ended():
                world.start()
            unit.require(reader.check(), f"after {number} rounds")
        unit.require_that(reader.tokens_refused == 0, f"{reader.tokens_refused} sync tokens were refused")
        unit.figures["requests acknowledged"] += world.claims.counted[Verdict.OK]
        for disk in disks.values():
            unit.figures.update({f"unsynced {what}": count for what, count in disk.figures.items()})


CASE: Final = Case(
    "lossy-disk",
    "data and vault on disks that drop, reorder and tear what was not synced, cut under load and in recovery",
    run,
    short=2,
    full=300,
    needs=("root", str(FUSE_DEVICE)),
)
