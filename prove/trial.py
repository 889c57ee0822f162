"""A world to which something happens while clients are at work, and then ends: what every such case asks of it.

While it lasts, an answer is a yes that is kept, a refusal, or "not now" (503, or 507), never another error. Once it is
over, writes are taken again: by the server itself, or where that cannot be, after a restart. Then everything that was
acknowledged is there, and nothing that nobody sent; at the end the product itself finds nothing wrong either.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from prove.case import Unit
from prove.claims import Verdict
from prove.client import NoAnswerError
from prove.operations import Load
from prove.readback import Reader
from prove.world import World

CLIENTS: Final = 4
WARM_REQUESTS: Final = 8
"""So many requests are acknowledged before something happens."""
RECOVERY_SECONDS_MAX: Final = 30.0


@dataclass
class Trial:
    """Invariant: between two calls no load goes on."""

    unit: Unit
    world: World
    reader: Reader = field(init=False)
    loads: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Nothing is started yet."""
        self.reader = Reader(self.world)

    def start(self, where: str, *, before: Sequence[str] = ()) -> None:
        """Serve what is there, and check it."""
        self.world.start(before=before)
        self.check(where)

    def check(self, where: str, *, settle: bool = True) -> None:
        """Read everything over the protocols; raises FailedError when anything is not as it may be."""
        self.wait_for_reads(where)
        self.unit.require(self.reader.check(settle=settle), where)

    @contextmanager
    def under_load(self, where: str) -> Iterator[None]:
        """Clients are at work while the block runs, which begins when some of their requests were acknowledged."""
        with self.asking(where) as stop:
            self.wait_for_writes(WARM_REQUESTS, where, stop)
            yield

    @contextmanager
    def asking(self, where: str) -> Iterator[threading.Event]:
        """Clients are at work while the block runs, or until the event is set."""
        self.loads += 1
        world = self.world
        seed = f"{self.unit.seed}/{self.loads}"
        load = Load(world.port, world.passwords, world.claims, seed, clients=CLIENTS)
        with load.going_on() as stop:
            yield stop
        self.unit.require_that(not load.errors, f"{where}: answers of the server's fault: {load.errors[:3]}")

    def wait_for_writes(self, count: int, where: str, stop: threading.Event | None = None) -> None:
        """Until so many more requests are acknowledged; raises FailedError when none is for long."""
        counted = self.world.claims.counted
        wanted = counted[Verdict.OK] + count

        def is_reached() -> bool:
            return counted[Verdict.OK] >= wanted

        if not wait_until(is_reached):
            if stop is not None:
                stop.set()
            self.unit.require_that(False, f"{where}: no write is taken\n{self.world.tail()}")

    def wait_for_refusals(self, where: str, seconds: float) -> None:
        """Until a write was answered "not now"; raises FailedError when none is."""
        counted = self.world.claims.counted
        before = counted[Verdict.UNKNOWN]
        if not wait_until(lambda: counted[Verdict.UNKNOWN] > before, seconds):
            self.unit.require_that(False, f"{where}: every write is taken")

    def wait_for_reads(self, where: str) -> None:
        """Until every home can be listed; raises FailedError when one cannot for long."""

        def is_reached() -> bool:
            return all(self._lists(login) for login in self.world.passwords)

        if not wait_until(is_reached):
            self.unit.require_that(False, f"{where}: not everything is served\n{self.world.tail()}")

    def _lists(self, login: str) -> bool:
        client = self.world.client(login)
        try:
            return all(client.collections(f"/dav/{home}/{login}/")[0] == 207 for home in ("contacts", "calendars"))
        except NoAnswerError:
            return False
        finally:
            client.close()

    def require_none_acknowledged(self, where: str, seconds: float) -> None:
        """For so long nothing is acknowledged, though clients ask."""
        counted = self.world.claims.counted
        before = dict(counted)
        time.sleep(seconds)
        told = counted[Verdict.OK] - before[Verdict.OK]
        self.unit.require_that(told == 0, f"{where}: {told} requests were acknowledged")
        self.unit.require_that(counted[Verdict.UNKNOWN] > before[Verdict.UNKNOWN], f"{where}: nobody asked")

    def end(self, where: str) -> None:
        """Stop, start, read everything once more; then the product's own look at both copies."""
        self.world.stop()
        self.start(f"{where}, at the end")
        self.world.stop()
        self.world.command("check")
        if self.world.vault is not None:
            self.world.command("verify", "--grade", "records")
        self.unit.require_that(
            self.reader.tokens_refused == 0, f"{self.reader.tokens_refused} sync tokens were refused"
        )

    def count(self) -> None:
        """What came out, also when it failed."""
        counted, figures = self.world.claims.counted, self.unit.figures
        figures["requests acknowledged"] += counted[Verdict.OK]
        figures["requests of unknown fate"] += counted[Verdict.UNKNOWN]
        figures["earlier sync tokens tried"] += self.reader.tokens_tried


def wait_until(holds: Callable[[], bool], seconds: float = RECOVERY_SECONDS_MAX) -> bool:
    """Whether it comes to hold within this time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
