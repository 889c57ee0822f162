"""A restore beside the running server: from one vault alone, into an empty store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from keepwell.ground.clock import Clock
from keepwell.model.names import AccountId
from keepwell.services.restoring.account import AccountTask, Fetched, Portion, RestoredAccount
from keepwell.services.restoring.crew import Worker
from keepwell.services.restoring.sources import holding_of
from keepwell.storage.memory import MemoryStore
from keepwell.vault.restore_plan import notes_of
from keepwell.vault.vault import Vault
from prove.simulation.clients import Answered
from prove.simulation.disk import Site
from prove.simulation.tasks import Task


class ShortRestoreError(Exception):
    """A restore says that it has everything, and has not."""


def restore_all(vault: Vault, store: MemoryStore) -> list[str]:
    """Restore every account of a vault that was looked at, large bytes included; what did not come back."""
    worker, holding, missing = Worker(store, [vault]), holding_of(vault), list[str]()
    for account in sorted(holding.accounts()):
        done = worker.do(AccountTask(account, tuple(notes_of([holding], account)), may_replace=True))
        if not isinstance(done, RestoredAccount) or not done.is_proven:
            missing.append(f"what is restored of {account} is not proven: {done}")
        elif done.deferred:
            fetched = worker.do(Portion(account, done.deferred))
            if not isinstance(fetched, Fetched) or fetched.missing:
                missing.append(f"large bytes of {account} are nowhere: {fetched}")
    return missing


@dataclass(slots=True)
class Restore:
    """One that is under way. `known`: of each account the last record that was acknowledged before it began.

    `is_fair`: whether the vault still had all of it when it ended.
    """

    store: MemoryStore
    known: dict[AccountId, int]
    task: Task
    is_fair: Callable[[], bool]
    missing: list[str] = field(default_factory=lambda: ["it has not ended"])

    def succeeded(self, answered: Answered) -> bool:
        """Whether it says that it has everything. Raises ShortRestoreError when it says so, and has not."""
        if self.missing or not self.is_fair():
            return False
        for account, sequence in self.known.items():
            with self.store.account(account).reading() as snapshot:
                journal = list(snapshot.records())
            if len(journal) < sequence:
                raise ShortRestoreError(f"{account} was restored up to record {len(journal)}, not {sequence}")
            for (owner, number), digest in answered.kept.items():
                if owner == account and number <= sequence and journal[number - 1].facts.digest != digest:
                    raise ShortRestoreError(f"record {number} of {account} is another one in what was restored")
        return True


def begin_restore(
    site: Site, begin: Callable[[Callable[[], object]], Task], clock: Clock, answered: Answered
) -> Restore:
    """Begin one from a vault that is whole, in a task of its own."""
    store, medium = MemoryStore(clock), site.medium

    def run() -> None:
        vault = site.opened(clock)
        vault.look()
        restore.missing = restore_all(vault, store)

    restore = Restore(
        store, dict(answered.confirmed), begin(run), lambda: site.medium is medium and not site.is_damaged
    )
    return restore
