"""Who does the work of a restore: this process alone, or with some that help it.

Accounts are independent of each other, so each process takes one after the other; this one takes from the end what no
helper has begun, so that it works while they start, and nobody waits for it. A helper is started anew (`spawn`),
as no thread or connection of this process may be copied; it opens the vaults by what was found when they were looked
at. When this process dies, however it does, the helpers are told to stop; what they were building is a temporary file.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from keepwell.ground.process import end_with_parent
from keepwell.model.errors import StorageFault
from keepwell.model.names import AccountId
from keepwell.services.restoring.account import AccountTask, Fetched, Portion, RestoredAccount, fetch, restore_account
from keepwell.services.restoring.rewinding import RewindTask, Rewound, rewind_account
from keepwell.services.restoring.settle import Settled, SettleTask, settle
from keepwell.services.restoring.sources import Source
from keepwell.storage.contract import Store
from keepwell.vault.reading import Bodies, Findings
from keepwell.vault.vault import Vault

Task = AccountTask | Portion | SettleTask | RewindTask
Done = RestoredAccount | Fetched | Settled | Rewound

MakeStore = Callable[[Path], Store]
"""Opens the store in a folder; a function or class of a module, so that another process finds it."""

HELPED_RECORDS_MIN: Final = 5_000
"""Fewer records are done before a helper has started."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where the work is done: what a helper needs to know."""

    folder: Path
    make_store: MakeStore
    sources: tuple[Source, ...]


class Worker:
    """Does tasks, one after the other."""

    def __init__(self, store: Store, vaults: Sequence[Vault]) -> None:
        """On this store, from these vaults."""
        self._store = store
        self._vaults = vaults
        self._bodies: tuple[AccountId, Bodies, Findings] | None = None

    def do(self, task: Task) -> Done:
        """Do one task."""
        match task:
            case AccountTask():
                return restore_account(self._store, self._vaults, task)
            case Portion():
                bodies, findings = self._bodies_of(task.account)
                return fetch(self._store, bodies, findings, task)
            case SettleTask():
                return settle(self._store, task)
            case RewindTask():
                return rewind_account(self._store, task)

    def _bodies_of(self, account: AccountId) -> tuple[Bodies, Findings]:
        """Kept from portion to portion: what was looked for elsewhere once is known for the next."""
        if self._bodies is None or self._bodies[0] != account:
            findings = Findings()
            self._bodies = account, Bodies(self._vaults, account, findings), findings
        return self._bodies[1], self._bodies[2]


class Crew(Protocol):
    """Does many tasks."""

    def run(self, tasks: Iterable[Task]) -> Iterator[Done]:
        """Do them all, in whatever order; what came of each as it is done. Raises what a task raised."""
        ...


class LoneWorker:
    """A crew of one: this process."""

    def __init__(self, worker: Worker) -> None:
        """With this worker."""
        self._worker = worker

    def run(self, tasks: Iterable[Task]) -> Iterator[Done]:
        """Do them in order."""
        return map(self._worker.do, tasks)


class Helpers:
    """This process and others that help it; used as a context manager."""

    def __init__(self, worker: Worker, workshop: Workshop, count: int) -> None:
        """This worker and so many helpers, which start when the first tasks come."""
        self._worker = worker
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(count, context, initializer=_begin_helping, initargs=(workshop,))

    def __enter__(self) -> Helpers:
        """Themselves."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Let them finish what they are at, and end them; what waits is not begun any more."""
        self._pool.shutdown(cancel_futures=True)

    def run(self, tasks: Iterable[Task]) -> Iterator[Done]:
        """Do them as helpers come free, and here those that are still waiting then."""
        given = [(task, self._pool.submit(_help, task)) for task in tasks]
        futures = {future for _task, future in given}
        try:
            for task, future in reversed(given):
                if not future.cancel():
                    continue
                futures.remove(future)
                yield self._worker.do(task)
                done = {one for one in futures if one.done()}
                futures -= done
                yield from (one.result() for one in done)
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise StorageFault(
                "a process that helped to restore has died",
                hint="Is there enough memory? Run the restore again, perhaps with --workers 1: it goes on.",
            ) from error
        finally:
            for future in futures:
                future.cancel()


_helping: Worker | None = None


def _begin_helping(workshop: Workshop) -> None:
    global _helping
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the first process decides
    end_with_parent()
    _helping = Worker(workshop.make_store(workshop.folder), [source.open() for source in workshop.sources])


def _help(task: Task) -> Done:
    if _helping is None:
        raise RuntimeError("this process was not started to help")
    return _helping.do(task)
