"""Drills by itself: the elected keeper has each vault drilled, one at a time, as often as the operator wants.

The drill is `keepwell drill` in a process of its own at a lower priority, bounded in accounts and bytes, so that the
server's memory and threads are not touched. What it came to lies in the history of drills, also for this keeper: it
goes by that alone, and so goes on after a restart.

States: *idle* → *drilling* (a process runs; every tick looks whether it has ended) → *idle* again. A drill that left no
result (it was killed, or there was no room) is tried again after `RETRY_SECONDS`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog

from keepwell.app.own_command import own_command
from keepwell.ground.clock import Clock, parse_moment
from keepwell.services.confirming import Confirming
from keepwell.services.drills import DrillResult, read_drills
from keepwell.services.keeper import Chore

CHORE_SECONDS: Final = 10.0
SETTLE_SECONDS: Final = 20 * 60.0
"""After a start nothing is drilled for so long."""

RETRY_SECONDS: Final = 3600.0
ACCOUNTS_MAX: Final = 100
OCTETS_MAX: Final = 2 * 1024 * 1024 * 1024

_PRIORITY: Final = 15
_STOP_SECONDS: Final = 10.0

_log = structlog.get_logger()


def due_vault(
    vaults: Sequence[str], drilled: Mapping[str, float], tried: Mapping[str, float], every_seconds: float
) -> str | None:
    """The vault to drill next: the one whose drill is the longest ago, of those that it is time for; pure.

    `drilled` and `tried` say how many seconds ago; a vault that is in neither never was.
    """
    never = float("inf")
    ready = [
        one for one in vaults if drilled.get(one, never) >= every_seconds and tried.get(one, never) >= RETRY_SECONDS
    ]
    return max(ready, key=lambda one: drilled.get(one, never), default=None)


class DrillChore:
    """Has the vaults of one data folder drilled, for the elected keeper."""

    def __init__(self, data: Path, confirming: Confirming, clock: Clock, *, every_seconds: float) -> None:
        """Of the vaults that these links have open."""
        self._data = data
        self._confirming = confirming
        self._clock = clock
        self._every_seconds = every_seconds
        self._began = clock.monotonic()
        self._tried: dict[str, float] = {}
        self._running: tuple[str, subprocess.Popen[bytes]] | None = None

    def chore(self) -> Chore:
        """The chore."""
        return Chore("drill", CHORE_SECONDS, self.tick)

    def tick(self) -> None:
        """Begin a drill when it is time, or see whether the one under way has ended. Raises OSError."""
        if self._running is not None:
            name, process = self._running
            if process.poll() is not None:
                self._running = None
                _tell(name, process.returncode, read_drills(self._data))
            return
        now = self._clock.monotonic()
        if now - self._began < SETTLE_SECONDS:
            return
        open_now = [link.name for link in self._confirming.links if link.fault is None]
        tried = {one: now - at for one, at in self._tried.items()}
        due = due_vault(open_now, self._drilled(open_now), tried, self._every_seconds)
        if due is not None:
            self._tried[due] = now
            self._running = due, self._start(due)

    def close(self) -> None:
        """End a drill that is under way; may be called twice."""
        if self._running is not None:
            process = self._running[1]
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
            process.kill()
            process.wait()
            self._running = None

    def _drilled(self, vaults: Collection[str]) -> dict[str, float]:
        now = self._clock.now()
        drills = read_drills(self._data)
        return {one.vault: (now - parse_moment(one.at)).total_seconds() for one in drills if one.vault in vaults}

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        bounds = ["--accounts", str(ACCOUNTS_MAX), "--octets", str(OCTETS_MAX)]
        command = own_command("drill", name, *bounds, "--data", str(self._data))
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, _PRIORITY)
        return process


def _tell(name: str, code: int, drills: Sequence[DrillResult]) -> None:
    last = next((one for one in reversed(drills) if one.vault == name), None)
    if code == 0 and last is not None:
        _log.info("vault.drilled", vault=name, seconds=last.seconds_to_everything, accounts=last.accounts)
    else:
        problems = last.problems if last is not None and not last.passed else ()
        _log.error("vault.drill_failed", vault=name, code=code, problems=list(problems))
