"""What finds and notes histories that went back, put together for a start, a server's process, or a command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from keepwell.app.config import witness_path
from keepwell.ground.clock import Clock
from keepwell.ground.entropy import Entropy
from keepwell.model.names import AccountId
from keepwell.services.confirming import Confirming
from keepwell.services.directory import Directory
from keepwell.services.incidents import Incidents
from keepwell.services.rollback import Rollbacks
from keepwell.services.vault_settings import VaultSettings
from keepwell.services.witness import WitnessFile
from keepwell.storage.contract import Store, Work
from keepwell.storage.writers import Writers


def witness_of(data: Path) -> WitnessFile:
    """The witness of a data folder."""
    return WitnessFile(witness_path(data), data)


class RollbackMaker:
    """Makes what finds rollbacks, for one data folder."""

    def __init__(self, data: Path, store: Store, clock: Clock, entropy: Entropy) -> None:
        """Of this folder and its store."""
        self._data = data
        self._store = store
        self._clock = clock
        self._entropy = entropy

    def for_start(self, directory: Directory, *, every_vault_is_here: bool) -> Rollbacks:
        """For a start, which has the folder for itself and writes without the writers."""

        def append(account: AccountId, work: Work) -> None:
            for verdict in self._store.account(account).transact([work]):
                if isinstance(verdict, BaseException):
                    raise verdict

        return self._made(directory, append, lambda: every_vault_is_here)

    def serving(self, directory: Directory, writers: Writers, every_vault_is_here: Callable[[], bool]) -> Rollbacks:
        """For a process that serves, or a command beside it."""
        return self._made(directory, lambda account, work: writers.submit(account, work).result(), every_vault_is_here)

    def _made(
        self, directory: Directory, append: Callable[[AccountId, Work], object], may_append: Callable[[], bool]
    ) -> Rollbacks:
        return Rollbacks(
            store=self._store,
            incidents=Incidents(self._data),
            clock=self._clock,
            entropy=self._entropy,
            account_of=directory.account_of,
            login_of=directory.login_of,
            append=append,
            may_append=may_append,
        )


def whether_every_vault_is_here(settings: VaultSettings, confirming: Confirming | None) -> Callable[[], bool]:
    """Tells whether no vault is out of reach that may have more than the store.

    A command (without `confirming`) asks no vaults for that, so it says no while there are any: it is a start's part.
    """

    def is_here() -> bool:
        known = {one.name for one in settings.all()}
        return known <= {link.name for link in (confirming.links if confirming else ()) if link.fault is None}

    return is_here
