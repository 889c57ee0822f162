"""A serving process says what it knows of its vaults, from a thread of its own, for as long as it serves.

Whoever asks this very process (`latest`) never waits for a vault: the thread asks the links, which may hang in a sync.
When it hangs for long, the vaults are told as not answering.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
import structlog

from keepwell.ground.clock import Clock, render_moment
from keepwell.model.errors import KeepwellError, Unavailable
from keepwell.services.confirming import Confirming
from keepwell.services.status.reports import BEAT_SECONDS, STALE_SECONDS, LinkReport, ProcessReport, ReportFiles
from keepwell.services.status.surveying import HeldWatch, independence_of
from keepwell.services.vault_link import VaultLink
from keepwell.storage.contract import Store
from keepwell.vault.independence import Independence

TICK_SECONDS: Final = 1.0
HELD_A_TICK: Final = 50
"""Accounts that are looked at in one tick: some 15 ms."""
HELD_AT_FIRST: Final = 400
"""Accounts that are looked at in a tick until all were: each costs a quarter of a millisecond."""
HELD_AT_ONCE: Final = 10
"""Then people's requests have their turn, for as long again and more."""
PAUSE_SECONDS: Final = 0.01

INDEPENDENCE_SECONDS: Final = 300.0
"""How long the judgement on a vault is kept: disks are exchanged, but not every second."""

OUTAGES_MAX: Final = 20
"""Of one vault that are told."""

_log = structlog.get_logger()


class Reporter:
    """Says what one process knows. Invariant: only its own thread looks at media and accounts."""

    def __init__(
        self,
        data: Path,
        confirming: Confirming,
        store: Store,
        clock: Clock,
        family: str,
        *,
        is_elected: Callable[[], bool],
    ) -> None:
        """Of these links; the elected process looks after held accounts besides."""
        self._data = data
        self._confirming = confirming
        self._clock = clock
        self._family = family
        self._is_elected = is_elected
        self._files = ReportFiles(data)
        self._store = store
        self._watch: HeldWatch | None = None
        """While this process is the elected one."""
        self._independence: dict[str, tuple[float, Independence | None]] = {}
        self._latest = ProcessReport(at=render_moment(clock.now()), process=os.getpid(), family=family)
        self._asked_at = clock.monotonic()
        self._written: ProcessReport | None = None
        self._written_at = float("-inf")
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Say it from a thread of its own, until `close`."""
        self._thread = threading.Thread(target=self._run, name="keepwell-reporter", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, and say nothing more; may be called twice."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self._files.remove(os.getpid())

    def latest(self) -> ProcessReport:
        """What this process knew a moment ago, and whether it takes writes now; never waits."""
        silent = self._clock.monotonic() - self._asked_at
        links = self._latest.links
        if silent > STALE_SECONDS:
            fault = f"it has not answered for {silent:.0f} s"
            links = tuple(msgspec.structs.replace(link, fault=link.fault or fault) for link in links)
        return msgspec.structs.replace(self._latest, refusal=self._refusal(), links=links)

    def tick(self) -> None:
        """Look where it is time to, and say what changed. Raises OSError."""
        now = self._clock.monotonic()
        for link in self._confirming.links:
            if link.fault is None and now - self._judged_at(link) >= INDEPENDENCE_SECONDS:
                self._independence[link.name] = now, independence_of(self._data, link.vault)
        self._look_after_held()
        self._latest, self._asked_at = self._report(), self._clock.monotonic()
        if now - self._written_at >= BEAT_SECONDS or not _say_the_same(self._latest, self._written):
            self._files.put(self._latest)
            self._written, self._written_at = self._latest, now

    def _run(self) -> None:
        try:
            self._files.remove_stale(self._clock.now())
        except OSError:
            _log.exception("report.failed")
        while True:
            try:
                self.tick()
            except Exception:  # a full disk, or what nobody foresaw: people are served all the same
                _log.exception("report.failed")
            if self._stop.wait(TICK_SECONDS):
                return

    def _report(self) -> ProcessReport:
        return ProcessReport(
            at=render_moment(self._clock.now()),
            process=os.getpid(),
            family=self._family,
            refusal=self._refusal(),
            links=tuple(self._link_report(link) for link in self._confirming.links),
            held=self._watch.report() if self._watch is not None and self._watch.is_whole else None,
        )

    def _look_after_held(self) -> None:
        if not self._is_elected():
            self._watch = None
            return
        watch = self._watch = self._watch or HeldWatch(self._store)
        if watch.is_whole:
            watch.look_at(HELD_A_TICK)
            return
        for _ in range(HELD_AT_FIRST // HELD_AT_ONCE):
            watch.look_at(HELD_AT_ONCE)
            if watch.is_whole or self._stop.wait(PAUSE_SECONDS):
                return

    def _judged_at(self, link: VaultLink) -> float:
        return self._independence.get(link.name, (float("-inf"), None))[0]

    def _refusal(self) -> str:
        try:
            self._confirming.require()
        except Unavailable as error:
            return error.message
        return ""

    def _link_report(self, link: VaultLink) -> LinkReport:
        fault: KeepwellError | None = link.fault
        return LinkReport(
            vault=link.name,
            fault="" if fault is None else fault.message,
            behind_accounts=link.behind(),
            tail_octets=link.tail_size(),
            shipped_records=link.shipped_records,
            independence=self._independence.get(link.name, (0.0, None))[1],
            outages=tuple(link.outages[-OUTAGES_MAX:]),
        )


def _say_the_same(report: ProcessReport, other: ProcessReport | None) -> bool:
    return other is not None and report == msgspec.structs.replace(other, at=report.at)
