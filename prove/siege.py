"""A server under attack: one person attacks it, another goes on working, and both are looked at.

Required, whatever the attack: the worker that began is the one that ends (granian replaces one that dies, and nobody
would notice); its memory stays within a bound; nothing is logged as a failure; the neighbour gets an answer to every
request, none of them 5xx other than 503, and finds everything afterwards as claimed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from prove.case import Unit
from prove.claims import Claims, Verdict
from prove.client import Answer, Client
from prove.operations import Load
from prove.readback import Reader
from prove.world import World

ATTACKER: Final = "mallory"
NEIGHBOUR: Final = "bob"
NEIGHBOUR_PAUSE_SECONDS: Final = 0.02
"""Between two requests of each of the neighbour's clients: a person's devices, not a benchmark."""
NEIGHBOUR_REQUESTS_BEFORE: Final = 6
"""Answered before the attack begins: the neighbour is there, and connected."""
NEIGHBOUR_REQUESTS_MIN: Final = 20
"""So many must have been answered at its end, or it says nothing that all of them were."""
TIMEOUT_SECONDS: Final = 180.0
"""For an answer, on however slow a machine."""
MEMORY_MEGABYTES_MAX: Final = 800
ALLOWED_5XX: Final = frozenset({502, 503, 507})
"""A Destination on another server; not now; no room. What else begins with 5 is the server's fault."""


@dataclass
class Siege:
    """A world that is served, and the two in it. `password` is the attacker's."""

    unit: Unit
    world: World
    password: str
    load: Load
    worker: int
    stop: threading.Event = field(default_factory=threading.Event)

    def client(self, *, timeout: float = TIMEOUT_SECONDS) -> Client:
        """A connection of the attacker's."""
        return Client(self.world.port, ATTACKER, self.password, timeout=timeout)

    def require_fair(self, answer: Answer, what: str) -> Answer:
        """The answer, unless it is a fault of the server. Raises FailedError."""
        self.unit.figures["hostile requests"] += 1
        fair = answer.status < 500 or answer.status in ALLOWED_5XX
        self.unit.require_that(fair, f"{what}: {answer.status} {answer.body[:300]!r}")
        return answer

    def require_standing(self, memory_megabytes_max: int = MEMORY_MEGABYTES_MAX) -> None:
        """The worker lives on, within its memory, and failed at nothing. Raises FailedError."""
        self.unit.require_that(
            workers_of(self.world) == [self.worker], f"the worker was replaced:\n{self.world.tail()}"
        )
        peak = peak_megabytes(self.worker)
        self.unit.figures["peak megabytes"] = max(self.unit.figures["peak megabytes"], peak)
        self.unit.require_that(peak <= memory_megabytes_max, f"the worker took {peak} MB of memory")
        failed = [line for line in self.world.log.read_text(errors="replace").splitlines() if "request.failed" in line]
        self.unit.require_that(not failed, f"the server failed: {failed[:3]}")


@contextmanager
def siege(
    unit: Unit, *, before: Sequence[str] = (), memory_megabytes_max: int = MEMORY_MEGABYTES_MAX
) -> Iterator[Siege]:
    """A server with a confirming vault, while the neighbour works; everything is required at the end.

    `before` stands before the command that serves.
    """
    logins = (ATTACKER, NEIGHBOUR)
    world = World(unit.folder / "ground", unit.folder / "data", str(unit.folder / "vault"), logins)
    try:
        world.found()
        world.start(before=before)
        password = world.passwords.pop(ATTACKER)
        load = Load(world.port, world.passwords, world.claims, str(unit.seed), 2, TIMEOUT_SECONDS)
        (worker,) = workers_of(world)
        under = Siege(unit, world, password, load, worker)
        with _neighbour_works(under):
            yield under
        under.require_standing(memory_megabytes_max)
        unit.require(Reader(world).check(), "after the attack")
    finally:
        world.close()


@contextmanager
def _neighbour_works(under: Siege) -> Iterator[None]:
    """Until the attack is over, and for some requests at least."""
    claims, load = under.world.claims, under.load
    working = threading.Thread(target=load.run, kwargs={"until": lambda: under.stop.wait(NEIGHBOUR_PAUSE_SECONDS)})
    working.start()
    try:
        _wait_for_requests(working, claims, NEIGHBOUR_REQUESTS_BEFORE)
        yield
        _wait_for_requests(working, claims, NEIGHBOUR_REQUESTS_MIN)
    finally:
        under.stop.set()
        working.join()
    under.unit.require_that(not load.errors, f"answers of the server's fault: {load.errors[:3]}")
    lost = claims.counted[Verdict.UNKNOWN]
    under.unit.require_that(lost == 0, f"the neighbour had no answer, or no yes, to {lost} requests")
    under.unit.figures["requests of the neighbour answered"] += sum(claims.counted.values())


def _wait_for_requests(working: threading.Thread, claims: Claims, count: int) -> None:
    while working.is_alive() and sum(claims.counted.values()) < count:
        time.sleep(NEIGHBOUR_PAUSE_SECONDS)


def workers_of(world: World) -> list[int]:
    """The server's worker processes."""
    if world.process is None:
        return []
    pid = world.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def peak_megabytes(pid: int) -> int:
    """The most memory that a process ever had."""
    (line,) = [one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmHWM:")]
    return int(line.split()[1]) // 1024
