"""Merging a vault's packs as the keeper does in days, without waiting for them."""

from __future__ import annotations

from datetime import datetime, timedelta
from time import perf_counter

from keepwell.ground.clock import SystemClock
from keepwell.vault.merge import Merger
from keepwell.vault.merge_plan import GRACE_SECONDS
from keepwell.vault.vault import Vault


class ClockThatJumps:
    """The machine's clock, and what the bench adds to it so as not to wait for the grace of merging."""

    def __init__(self) -> None:
        """Not ahead yet."""
        self.ahead = timedelta()

    def now(self) -> datetime:
        """The present moment, or a later one."""
        return SystemClock().now() + self.ahead

    def monotonic(self) -> float:
        """Seconds."""
        return SystemClock().monotonic() + self.ahead.total_seconds()


def merge_all(vault: Vault, clock: ClockThatJumps) -> float:
    """Merge until nothing is left to merge or remove, then say what must be there; the seconds that merging took."""
    merger, started, idle = Merger(vault, clock), perf_counter(), 0
    while idle < 2:
        outcome = merger.tick()
        if outcome.failures:
            raise outcome.failures[0]
        idle = 0 if outcome.merged or outcome.removed else idle + 1
        if not outcome.merged:
            clock.ahead += timedelta(seconds=GRACE_SECONDS)
    vault.put_manifest()
    return perf_counter() - started
