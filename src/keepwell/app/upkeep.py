"""What goes on in a process beside answering: the keeper with its duties and chores, and what is said of the vaults."""

from __future__ import annotations

from pathlib import Path

from keepwell.app.drill_chore import DrillChore
from keepwell.app.duties import VaultDuties
from keepwell.app.retention_chore import retention_chore
from keepwell.app.scrubbing import Scrubbing
from keepwell.ground.clock import Clock
from keepwell.services.confirming import Confirming
from keepwell.services.keeper import Keeper, LinkTo
from keepwell.services.mending import Mending
from keepwell.services.retention.retention import Retention
from keepwell.services.status.reporter import Reporter
from keepwell.services.vaults import Vaults
from keepwell.services.verifying import Verifying
from keepwell.storage.sqlite import SqliteStore


class Upkeep:
    """Of one data folder; nothing goes on before `start`, nor after `close`."""

    def __init__(
        self,
        data: Path,
        store: SqliteStore,
        vaults: Vaults,
        confirming: Confirming,
        link_to: LinkTo,
        clock: Clock,
        retention: Retention,
        *,
        family: str | None,
        drill_seconds: float,
    ) -> None:
        """With these links; each vault is drilled every `drill_seconds`, never when that is 0."""
        self._retention = retention
        mending = Mending(store, vaults.settings.all, vaults.open, vaults.verified_file, clock)
        self._scrubbing = Scrubbing(data, store, confirming, mending, clock)
        self._drills = DrillChore(data, confirming, clock, every_seconds=drill_seconds)
        chores = [self._scrubbing.chore(), retention_chore(retention, confirming, store)]
        chores += [self._drills.chore()] if drill_seconds else []
        duties = VaultDuties(Verifying(vaults.verified_file, clock), mending, clock).all()
        self._keeper = Keeper(data, confirming, vaults.settings, link_to, clock, duties, chores)
        self.reporter = Reporter(data, confirming, store, clock, family or "", is_elected=lambda: self.is_elected)

    @property
    def is_elected(self) -> bool:
        """Whether this process does what only one of them may do."""
        return self._keeper.is_elected

    def start(self) -> None:
        """Begin, in threads of its own."""
        self._retention.look_at_clock()
        self._keeper.start()
        self.reporter.start()

    def close(self) -> None:
        """End it all, the processes that it started included; may be called twice."""
        self.reporter.close()
        self._keeper.close()
        self._scrubbing.close()
        self._drills.close()
