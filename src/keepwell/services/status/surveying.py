"""Looking at copies from this side: what a vault lacks, how independent it is, which accounts are held.

A command that finds no server opens every vault and compares it with the store (`survey`); a serving process knows what
its vaults lack from its links, and only counts held accounts, some at a time (`HeldWatch`).
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from keepwell.ground.clock import Clock, render_moment
from keepwell.model.errors import CannotStart, KeepwellError, NotThere, StorageFault, Unavailable
from keepwell.model.names import AccountId, Kind
from keepwell.services.status.reports import HeldReport, LinkReport, ProcessReport
from keepwell.services.status.values import PEOPLES_KINDS
from keepwell.services.vaults import Vaults
from keepwell.storage.contract import Head, Store
from keepwell.vault.catalogue import NOTHING
from keepwell.vault.devices import folder_identity
from keepwell.vault.independence import Independence, judge
from keepwell.vault.vault import Vault


def survey(data: Path, vaults: Vaults, store: Store, clock: Clock) -> ProcessReport:
    """Open every vault for reading and compare it with the store. Raises Damaged for settings that cannot be read."""
    heads = dict(store.read_heads())
    watch = HeldWatch(store)
    watch.look_at_all()
    return ProcessReport(
        at=render_moment(clock.now()),
        process=os.getpid(),
        links=tuple(_surveyed(data, vaults, one.name, heads) for one in vaults.settings.all()),
        held=watch.report(),
    )


def _surveyed(data: Path, vaults: Vaults, name: str, store: Mapping[AccountId, Head | Exception]) -> LinkReport:
    try:
        with closing(vaults.open(name)) as vault:
            heads = vault.heads()
            behind = sum(_is_behind(heads.get(account, NOTHING), here) for account, here in store.items())
            return LinkReport(vault=name, behind_accounts=behind, independence=independence_of(data, vault))
    except KeepwellError as error:
        return LinkReport(vault=name, fault=error.message)


def _is_behind(there: Head, here: Head | Exception) -> bool:
    """A vault that has more than the store lacks nothing of it; what cannot be read here is told as held."""
    return isinstance(here, Head) and there != here and there.sequence <= here.sequence


def independence_of(data: Path, vault: Vault) -> Independence | None:
    """How independent a vault is of the data folder; None when that cannot be found out."""
    try:
        return judge(folder_identity(data), vault.medium.identity())
    except (KeepwellError, OSError):
        return None


class HeldWatch:
    """Which accounts are held, by going round them; an account that cannot be read is held whole, whoever asks for it.

    Invariant: every account was looked at within the last round, but for those that came since it began; before the
    first round has ended some were not.
    """

    def __init__(self, store: Store) -> None:
        """Of this store; nothing was looked at yet."""
        self._store = store
        self._held: dict[AccountId, frozenset[Kind]] = {}
        self._round: list[AccountId] = []
        self.is_whole = False
        """Whether a round has ended."""

    def look_at_all(self) -> None:
        """A whole round at once."""
        self._round = []
        self.look_at(1)
        self.look_at(len(self._round))

    def look_at(self, count: int) -> None:
        """Look at the next accounts of the round, so many at most."""
        if not self._round:
            self._round = self._store.accounts()[::-1]
            self._held = {account: kinds for account, kinds in self._held.items() if account in set(self._round)}
        for account in [self._round.pop() for _ in range(min(count, len(self._round)))]:
            kinds = self._kinds(account)
            if kinds:
                self._held[account] = kinds
            else:
                self._held.pop(account, None)
        self.is_whole = self.is_whole or not self._round

    def report(self) -> HeldReport:
        """What was found."""
        counts = Counter(kind for kinds in self._held.values() for kind in kinds)
        return HeldReport(accounts=len(self._held), kinds={kind: counts[kind] for kind in Kind if kind in counts})

    def _kinds(self, account: AccountId) -> frozenset[Kind]:
        try:
            return frozenset(self._store.read_held(account))
        except NotThere:
            return frozenset()
        except (StorageFault, CannotStart):
            return frozenset(PEOPLES_KINDS)
        except Unavailable:  # it is being put in its place at this moment
            return self._held.get(account, frozenset())
