"""The server is killed under load, again and again, and started on what it left."""

from __future__ import annotations

import threading
import time
from typing import Final

from prove.case import Case, Unit
from prove.claims import Verdict
from prove.operations import Load
from prove.readback import Reader
from prove.world import World

ROUNDS: Final = 5


def run(unit: Unit) -> None:
    """One world, so many kills; data and confirming vault are folders of one disk, which a kill does not touch."""
    world = World(unit.folder / "ground", unit.folder / "data", str(unit.folder / "vault"))
    try:
        world.found()
        reader, random = Reader(world), unit.random("kills")
        for number in range(ROUNDS):
            world.start()
            unit.require(reader.check(), f"after {number} kills")
            load = Load(world.port, world.passwords, world.claims, f"{unit.seed}/{number}")
            working = threading.Thread(target=load.run)
            working.start()
            time.sleep(random.uniform(0.05, 0.6))
            world.kill()
            working.join()
            unit.require_that(not load.errors, f"answers of the server's fault: {load.errors[:3]}")
            unit.figures["kills"] += 1
        world.start()
        unit.require(reader.check(), f"after {ROUNDS} kills")
        unit.require_that(reader.tokens_refused == 0, f"{reader.tokens_refused} sync tokens were refused")
        unit.figures["requests acknowledged"] += world.claims.counted[Verdict.OK]
        unit.figures["earlier sync tokens tried"] += reader.tokens_tried
    finally:
        world.close()


CASE: Final = Case("killed-under-load", "kill -9 of the server under load", run, short=1, full=100)
