"""A vault in an S3-compatible store that answers 500, stores and does not say so, goes silent, or answers in part.

The store is a real one (SeaweedFS); a proxy before it does the harm, to some of the requests or to all. A write that
the store may have and did not confirm is no yes; what was stored all the same is found when the vault is opened anew,
and is not there twice. An answer that is short, even one that says that it is whole, is never taken for an object.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Final

from prove.case import Case, Unit
from prove.copies import heads_in_vaults, heads_of
from prove.haste import hasty_environment
from prove.s3 import S3Server, running_s3
from prove.s3_proxy import Fault, FaultProxy, fault_proxy
from prove.trial import Trial
from prove.world import VAULT_NAME, World

ROUNDS: Final = 8
ROUNDS_SHORT: Final = 2
FAULT_SECONDS: Final = 1.0

FAULTS: Final = (
    Fault.ANSWER_500,
    Fault.STORE_THEN_500,
    Fault.STORE_THEN_DROP,
    Fault.STORE_THEN_SILENCE,
    Fault.SILENCE,
    Fault.CUT_ANSWER,
    Fault.SHORT_ANSWER,
)


@dataclass(frozen=True, slots=True)
class Harm:
    """What is done, to which part of the requests of these methods."""

    fault: Fault
    share: float
    methods: tuple[str, ...]

    def __str__(self) -> str:
        """For messages."""
        return f"{self.fault.name} for {self.share:.0%} of {'/'.join(self.methods)}"


class Harming:
    """The proxy's rule. Used by many threads."""

    def __init__(self, random: Random) -> None:
        """Which requests it meets comes from the seed, as far as their order does."""
        self._random, self._lock = random, threading.Lock()
        self.harm: Harm | None = None
        self.done: Counter[str] = Counter()

    def __call__(self, method: str, _target: str) -> Fault | None:
        """What becomes of a request."""
        with self._lock:
            harm = self.harm
            if harm is None or method not in harm.methods or self._random.random() >= harm.share:
                return None
            self.done[harm.fault.name] += 1
            return harm.fault


def harm_of(random: Random) -> Harm:
    """One that the seed chooses."""
    fault = random.choice(FAULTS)
    answers = fault in (Fault.CUT_ANSWER, Fault.SHORT_ANSWER)
    methods = random.choice([("GET",), ("GET", "PUT", "HEAD", "DELETE")]) if answers else ("PUT",)
    return Harm(fault, random.choice([0.2, 0.5, 1.0]), random.choice([methods, ("GET", "PUT", "HEAD", "DELETE")]))


def run(unit: Unit) -> None:
    """One store, one server, so many harms."""
    with running_s3() as store, fault_proxy(store.endpoint) as proxy:
        _run(unit, store, proxy)


def _run(unit: Unit, store: S3Server, proxy: FaultProxy) -> None:
    environment = hasty_environment(unit.folder / "haste") | store.environment()
    url = store.new_url(endpoint=proxy.url)
    world = World(unit.folder / "ground", unit.folder / "data", url, environment=environment)
    trial, random = Trial(unit, world), unit.random("harms")
    harming = Harming(unit.random("requests"))
    proxy.rule = harming
    try:
        world.found()
        trial.start("at first")
        for _ in range(ROUNDS if unit.full else ROUNDS_SHORT):
            where = str(harm := harm_of(random))
            with trial.under_load(where):
                harming.harm = harm
                time.sleep(FAULT_SECONDS)
            trial.check(where, settle=False)
            harming.harm = None
            with trial.under_load(f"after {where}"):
                pass
            trial.check(f"after {where}")
            unit.figures["harms"] += 1
        trial.end("after all harms")
        with world.having_environment():
            here, there = heads_of(world.data), heads_in_vaults(world.data)[VAULT_NAME]
        unit.require_that(here == there, f"the vault ends with {there}, the store with {here}")
    finally:
        for name, count in harming.done.items():
            unit.figures[f"requests harmed: {name}"] += count
        trial.count()
        world.close()


CASE: Final = Case(
    "s3-faults", "an S3 store that answers 500, stores and does not say so, goes silent, answers in part", run, full=40
)
