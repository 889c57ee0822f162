"""Tending a link: what the keeper does for one vault at each tick, by the time that has passed.

A vault that is down is opened again; one that is open gets what it lacks, its tail is put into packs now and then, and
what else is to be done by one process only is done by the one that was elected. A fault of the medium is raised: the
vault goes down. A duty that fails otherwise (something is damaged, a key is missing) is told, and takes nothing down.

Knows no threads and no files: whoever calls does so from one thread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from keepwell.ground.clock import Clock
from keepwell.model.errors import Fenced, KeepwellError, StorageFault
from keepwell.model.names import AccountId
from keepwell.services.vault_link import VaultLink

REOPEN_SECONDS: Final = 5.0
"""How long a vault that is down is left alone before it is tried again."""

COMPARE_SECONDS: Final = 3600.0
"""How often every account's end is compared with the vault's, for what a process that was killed had noted."""

TAIL_OCTETS_MAX: Final = 4 * 1024 * 1024
TAIL_SECONDS_MAX: Final = 300.0
"""A tail is put into packs when it is this long, or this old."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Duty:
    """Something that the elected keeper does to an open vault, at most every `seconds`."""

    name: str
    seconds: float
    carry_out: Callable[[VaultLink], None]


class Tending:
    """Tends the links of one process: knows what was done for which, and when."""

    def __init__(self, clock: Clock, duties: Sequence[Duty] = ()) -> None:
        """With the duties of the elected keeper."""
        self._clock = clock
        self._duties = duties
        self._tried: dict[str, float] = {}
        self._compared: dict[str, float] = {}
        self._rolled: dict[str, float] = {}
        self._done: dict[tuple[str, str], float] = {}

    def tend_all(self, links: Sequence[VaultLink], *, is_elected: bool) -> None:
        """Do what is due now for each; a fault of one takes it down, and holds up no other."""
        for link in links:
            try:
                came_back = self.tend(link, is_elected=is_elected)
            except KeepwellError as error:
                link.go_down(error)
                _log.warning("vault.fell", vault=link.name, reason=error.message)
                continue
            for other in links:
                for account in came_back if other is not link else ():
                    other.note(account)

    def tend(self, link: VaultLink, *, is_elected: bool) -> set[AccountId]:
        """Do what is due now; the accounts that came back into the store, which other vaults may lack.

        Raises what stands against opening the link, and Fenced, StorageFault.
        """
        now = self._clock.monotonic()
        if link.fault is not None:
            if now - self._tried.get(link.name, -REOPEN_SECONDS) >= REOPEN_SECONDS:
                self._tried[link.name] = now
                done = link.reopen()
                _log.info("vault.opened", vault=link.name, epoch=link.vault.epoch, shipped=done.shipped)
                return {*done.extended, *done.restored}
            return set()
        if now - self._compared.get(link.name, -COMPARE_SECONDS) >= COMPARE_SECONDS:
            self._compared[link.name] = now
            link.note_lagging()
        link.catch_up()
        rolled = self._rolled.setdefault(link.name, now)
        if link.tail_size() > TAIL_OCTETS_MAX or now - rolled >= TAIL_SECONDS_MAX:
            self._rolled[link.name] = now
            link.roll()
        if is_elected:
            self._do_duties(link, now)
        return set()

    def _do_duties(self, link: VaultLink, now: float) -> None:
        for duty in self._duties:
            key = (link.name, duty.name)
            if now - self._done.setdefault(key, now) >= duty.seconds:
                self._done[key] = now
                try:
                    duty.carry_out(link)
                except (Fenced, StorageFault):
                    raise
                except (KeepwellError, OSError) as error:
                    _log.warning("keeper.duty_failed", duty=duty.name, vault=link.name, reason=str(error))
