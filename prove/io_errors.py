"""System calls of a running server fail (EIO, a full disk, a quota, a read-only disk), on the data or on
the vault; syncs, writes, reads or names; once, a few times, or for a while.

The server's calls pass a gate (`prove.syscalls`), which refuses those that are chosen: the kernel does nothing of them,
and the server is told the error. What the kernel does besides when a sync fails (it may drop what it could not write)
this does not show; `lossy-disk` and `power-cuts` do.
"""

from __future__ import annotations

import errno
import threading
from dataclasses import dataclass
from random import Random
from typing import Final

from prove.case import Case, Unit
from prove.haste import hasty_environment
from prove.syscalls import PASS, Call, Gatehouse, Ruling
from prove.trial import Trial, wait_until
from prove.world import World

ROUNDS: Final = 12
ROUNDS_SHORT: Final = 4
FAULT_SECONDS_MAX: Final = 2.0

SORTS: Final = {
    "syncs": ("fsync", "fdatasync"),
    "writes": ("write", "pwrite64", "ftruncate"),
    "reads": ("read", "pread64"),
    "names": ("openat", "open", "rename", "renameat", "renameat2", "link", "linkat", "mkdir", "mkdirat"),
}
ERRORS: Final = {
    "syncs": (errno.EIO, errno.ENOSPC),
    "writes": (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS),
    "reads": (errno.EIO,),
    "names": (errno.EIO, errno.ENOSPC, errno.EROFS),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Which calls fail how: those of a sort, below one folder, so many of them from the one with this number on."""

    place: str
    sort: str
    number: int
    first: int
    count: int

    def __str__(self) -> str:
        """For messages."""
        which = f"{self.count} {self.sort} from number {self.first} on"
        return f"{errno.errorcode[self.number]} for {which} below the {self.place}"


class Failing:
    """The rule: it fails the calls of a fault, and counts them. Used by the gate's thread."""

    def __init__(self, folders: dict[str, str]) -> None:
        """With the folder of each place."""
        self._folders = folders
        self._lock = threading.Lock()
        self._fault: Fault | None = None
        self._seen = 0
        self.failed = 0

    def begin(self, fault: Fault) -> None:
        """From now on."""
        with self._lock:
            self._fault, self._seen = fault, 0

    def end(self) -> None:
        """Everything is done again."""
        with self._lock:
            self._fault = None

    @property
    def is_over(self) -> bool:
        """Whether all of its calls have failed."""
        fault = self._fault
        return fault is None or self._seen >= fault.first + fault.count

    def __call__(self, call: Call) -> Ruling:
        """What becomes of a call."""
        with self._lock:
            fault = self._fault
            if fault is None or call.name not in SORTS[fault.sort] or not self._is_below(fault.place, call.path):
                return PASS
            self._seen += 1
            if not fault.first < self._seen <= fault.first + fault.count:
                return PASS
            self.failed += 1
            return Ruling(errno=fault.number)

    def _is_below(self, place: str, path: str) -> bool:
        return path.startswith(f"{self._folders[place]}/")


def fault_of(random: Random) -> Fault:
    """One that the seed chooses."""
    place, sort = random.choice(["data", "vault"]), random.choice(list(SORTS))
    count = random.choice([1, 1, 3, 10_000])
    return Fault(place, sort, random.choice(ERRORS[sort]), random.randrange(random.choice([12, 120])), count)


class IoErrors:
    """One server, and faults one after the other. Invariant: between two of them every call is done."""

    def __init__(self, unit: Unit) -> None:
        """Nothing is started yet."""
        environment = hasty_environment(unit.folder / "haste")
        folders = {"data": unit.folder / "data", "vault": unit.folder / "vault"}
        self.world = World(unit.folder / "ground", folders["data"], str(folders["vault"]), environment=environment)
        self.failing = Failing({place: str(folder) for place, folder in folders.items()})
        calls = sorted({call for sort in SORTS.values() for call in sort})
        self.house = Gatehouse(calls, self.failing)
        self.trial, self.unit = Trial(unit, self.world), unit

    def run(self) -> None:
        """All rounds."""
        random = self.unit.random("faults")
        try:
            self.world.found()
            self.trial.start("at first", before=self.house.before())
            for number in range(ROUNDS if self.unit.full else ROUNDS_SHORT):
                fault = fault_of(random)
                if number % 4 == 3:
                    self.during_a_start(fault)
                else:
                    self.under_load(fault)
                self.unit.figures["faults"] += 1
                self.unit.figures[f"faults of {fault.sort}"] += 1
            self.trial.end("after all faults")
        finally:
            self.unit.figures["calls that failed"] += self.failing.failed
            self.trial.count()
            self.world.close()
            self.house.close()

    def under_load(self, fault: Fault) -> None:
        """The server meets it while clients write, and takes writes again by itself."""
        with self.trial.under_load(f"{fault}"):
            self.failing.begin(fault)
            wait_until(lambda: self.failing.is_over, FAULT_SECONDS_MAX)
            self.failing.end()
            self.trial.wait_for_writes(1, f"after {fault}")
        self.trial.check(f"after {fault}")

    def during_a_start(self, fault: Fault) -> None:
        """A start meets it: it serves in the end, or ends and says why; then the next start serves."""
        self.world.kill()
        self.failing.begin(fault)
        self.world.spawn(before=self.house.before())
        wait_until(lambda: self.failing.is_over or self.world.has_ended(), FAULT_SECONDS_MAX)
        self.failing.end()
        if not wait_until(lambda: self.world.has_ended() or self.world.answers()):
            self.unit.require_that(False, f"a start with {fault} neither ended nor served\n{self.world.tail()}")
        if self.world.has_ended():
            self.unit.figures["starts that refused"] += 1
            self.world.kill()
            self.world.start(before=self.house.before())
        self.trial.check(f"after {fault} during a start")


def run(unit: Unit) -> None:
    """One server, so many faults."""
    IoErrors(unit).run()


CASE: Final = Case(
    "io-errors", "syncs, writes, reads and names of a running server fail, on the data and on the vault", run, full=100
)
