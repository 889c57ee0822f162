"""The keeper: brings vaults up to date, back into service, and keeps them small, all the time and at bounded cost.

Every process that serves has one, for its own links. What only one of them may do (publishing manifests, merging,
verifying, drilling) is done by the one that holds the lock file `vaults/keeper.lock`; it is free again when that
process ends, however it ends.

A tick does what is due and never raises. What is due for a link is `Tending`'s to say; a fault of a vault's medium
takes its link down, and is tried again later.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from keepwell.ground.clock import Clock
from keepwell.ground.durable import make_folder
from keepwell.ground.process import try_lock
from keepwell.model.errors import KeepwellError
from keepwell.services.confirming import Confirming
from keepwell.services.tending import Duty, Tending
from keepwell.services.vault_link import VaultLink
from keepwell.services.vault_settings import FOLDER, VaultSetting, VaultSettings

KEEPER_LOCK: Final = "keeper.lock"
TICK_SECONDS: Final = 1.0

LinkTo = Callable[[VaultSetting], VaultLink]

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Chore:
    """Something that the elected keeper does besides, at most every `seconds`, while there are vaults."""

    name: str
    seconds: float
    carry_out: Callable[[], None]


class Keeper:
    """Keeps the links of one process. Invariant: only its own thread opens links and carries out duties."""

    def __init__(
        self,
        data: Path,
        confirming: Confirming,
        settings: VaultSettings,
        link_to: LinkTo,
        clock: Clock,
        duties: Sequence[Duty] = (),
        chores: Sequence[Chore] = (),
    ) -> None:
        """For these links; vaults that the settings come to name get links by `link_to`."""
        self._folder = data / FOLDER
        self._confirming = confirming
        self._settings = settings
        self._link_to = link_to
        self._clock = clock
        self._tending = Tending(clock, duties)
        self._chores = chores
        self._done: dict[str, float] = {}
        self._election: int | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Keep from a thread of its own, until `close`."""
        self._thread = threading.Thread(target=self._run, name="keepwell-keeper", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread; may be called twice."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._election is not None:
            os.close(self._election)
            self._election = None

    @property
    def is_elected(self) -> bool:
        """Whether this process does what only one of them may do."""
        return self._election is not None

    def tick(self) -> None:
        """Do what is due now."""
        self._follow_settings()
        self._stand_for_election()
        self._tending.tend_all(self._confirming.links, is_elected=self.is_elected)
        if self._confirming.links and self.is_elected:
            self._do_chores()

    def _run(self) -> None:
        while not self._stop.wait(TICK_SECONDS):
            try:
                self.tick()
            except Exception:  # the keeper outlives what nobody foresaw: without it nothing would be brought up to date
                _log.exception("keeper.failed")

    def _follow_settings(self) -> None:
        settings = {one.name: one for one in self._settings.all()}
        known = {link.name for link in self._confirming.links}
        for name in known - settings.keys():
            self._confirming.discard(name)
        for name in settings.keys() - known:
            self._confirming.add(self._link_to(settings[name]))

    def _do_chores(self) -> None:
        now = self._clock.monotonic()
        for chore in self._chores:
            if now - self._done.setdefault(chore.name, now) >= chore.seconds:
                self._done[chore.name] = now
                try:
                    chore.carry_out()
                except (KeepwellError, OSError) as error:
                    _log.warning("keeper.chore_failed", chore=chore.name, reason=str(error))

    def _stand_for_election(self) -> None:
        if self._election is None:
            make_folder(self._folder)
            self._election = try_lock(self._folder / KEEPER_LOCK)
