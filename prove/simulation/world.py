"""The world of one simulation: a data folder and its server, vaults, clients; and how all of it goes on.

Things happen by what `events` does to it. The world itself only lets tasks go on, and in the end brings everything back
to where nothing stands against it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from keepwell.model.errors import KeepwellError
from keepwell.model.names import AccountId, Kind
from keepwell.model.record import Op
from keepwell.services.vault_settings import Role
from keepwell.storage.contract import Entry, Head, Transaction
from keepwell.storage.memory import MemoryStore
from keepwell.vault.memory_medium import MemoryMedium
from prove.simulation.choices import Choices
from prove.simulation.clients import Answered, Client
from prove.simulation.clock import SeededEntropy, SimulatedClock
from prove.simulation.disk import Disk, Site, found_vault
from prove.simulation.restores import Restore
from prove.simulation.server import Server, Worker
from prove.simulation.tasks import TO_THE_END, Scheduler, Task

ANNA: Final = AccountId("a_annaannaannaanna")
BERT: Final = AccountId("a_bertbertbertbert")

COPIES_MAX: Final = 3
"""Copies of the data folder that are kept."""

TICKS_MAX: Final = 8
"""Ticks of the keeper after which every link must be open again when nothing stands against it."""

PASSES: Final = 2
"""Verifications after which everything damaged was found: of one that is under way the beginning is over."""

MENDING_TICKS: Final = 8
"""Ticks that bring a pass to its end, when it is due at the first of them."""

REOPEN_SECONDS: Final = 6.0
MENDING_SECONDS: Final = 11.0
ALL_PASSES_SECONDS: Final = 8 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Layout:
    """What a world is made of. `vaults`: for each whether it is like a folder, and its role."""

    vaults: tuple[tuple[bool, Role], ...] = ((True, Role.CONFIRMS),)
    clients: tuple[tuple[AccountId, Kind], ...] = ((ANNA, Kind.CONTACTS), (ANNA, Kind.PHOTOS), (BERT, Kind.PHOTOS))
    workers: int = 1


class StuckError(Exception):
    """Nothing stands against it, and yet it does not come back by itself."""


class World:
    """Everything. Invariant: what goes on does so only within `go_on`, `drain` and `heal`."""

    def __init__(self, layout: Layout, choices: Choices) -> None:
        """A server with empty accounts that was never started, and empty vaults."""
        self.layout = layout
        self.choices = choices
        self.trace: Callable[[str], None] = lambda _line: None
        self.scheduler = Scheduler()
        self.clock = SimulatedClock()
        self.entropy = SeededEntropy()
        self.answered = Answered()
        self.sites = [
            Site(f"v{number}", self.scheduler, self._new_medium(appends), appends, role)
            for number, (appends, role) in enumerate(layout.vaults)
        ]
        self.clients = [Client(*one, number, self.answered) for number, one in enumerate(layout.clients)]
        self.accounts = sorted({account for account, _kind in layout.clients})
        self.shelves = {
            account: [client.shelf for client in self.clients if client.account == account] for account in self.accounts
        }
        self.server = self._server(self._new_disk())
        self.former: list[Server] = []
        """Servers from which another has taken over, and that may not know it."""
        self.copies: list[Disk] = []
        """Copies of the data folder, and what was restored from vaults; the oldest first."""
        self.restores: list[Restore] = []
        """Restores under way."""
        self.store_is_whole = True
        self.may_be_torn = False
        """Whether the power was cut, so that a tail may have a part of what was under way."""

    def workers(self) -> list[Worker]:
        """Every process that serves, or thinks so."""
        return [worker for server in (self.server, *self.former) for worker in server.workers]

    # How it goes on

    def could_go_on(self) -> list[tuple[str, Callable[[], Task]]]:
        """What can go on now: tasks that pause, and tasks that could begin."""
        found: list[tuple[str, Callable[[], Task]]] = [
            (f"{task} at {task.at}", partial(_itself, task)) for task in self.scheduler.tasks if task.can_go_on
        ]
        for worker in self.workers():
            found += [(f"{worker.process.name} begins {name}", begin) for name, begin in worker.ready()]
        return found

    def go_on(self, begin: Callable[[], Task], run_on: int) -> None:
        """Let a task go on to its next effect, and past so many more."""
        self.scheduler.advance(begin(), run_on)
        self.look()

    def look(self) -> None:
        """Let everybody see what came of what they began."""
        for client in self.clients:
            told = client.look()
            if told:
                self.trace(told)
        for restore in [one for one in self.restores if one.task.is_done]:
            self.restores.remove(restore)
            if restore.succeeded(self.answered):
                self.keep_copy(Disk(restore.store, self.scheduler))

    def drain(self) -> None:
        """Let everything that goes on come to its end. Raises StuckError."""
        while going := self.could_go_on():
            self.go_on(going[0][1], TO_THE_END)
        if self.scheduler.tasks:
            raise StuckError(f"tasks wait for each other: {', '.join(map(str, self.scheduler.tasks))}")

    def start(self) -> None:
        """The operator starts the server, unless it runs."""
        if not self.server.is_up:
            self.server.start(self.layout.workers)

    def end_all(self) -> None:
        """End every process of every server."""
        for server in (self.server, *self.former):
            server.kill()
        for restore in self.restores:
            self.scheduler.end(restore.task.process)
        self.restores = []
        self.look()

    # What lies on its disks

    def keep_copy(self, disk: Disk) -> None:
        """Keep a copy of the data folder."""
        self.copies = [*self.copies, disk][-COPIES_MAX:]

    def replace_disk(self, disk: Disk | None) -> None:
        """Another data folder is put in place of the server's, or an empty one."""
        self.end_all()
        self.former = []
        self._forget_other_histories()
        self.server = self._server(disk.copied() if disk is not None else Disk(self._new_store(), self.scheduler))
        self.store_is_whole = False

    def take_over(self, disk: Disk) -> None:
        """A server on a copy of the data folder starts; the other goes on as if nothing was."""
        self._forget_other_histories()
        self.former.append(self.server)
        self.server = self._server(disk.copied())
        self.store_is_whole = False
        self.start()

    def replace_vault(self, site: Site) -> None:
        """An empty vault is put in the place of one."""
        self.end_all()
        self.former = []
        site.put(self._new_medium(site.appends))
        self.server.disk.forget_vault(site.name)

    # How it comes back

    def heal(self) -> None:
        """Nothing fails any more, and what goes on comes to its end; then the server is there with open links.

        Raises StuckError.
        """
        for site in self.sites:
            site.is_gone = False
        self.drain()
        if self.former:
            # Of two servers one may hold one vault, and one the other; and what the loser wrote last, unconfirmed, is
            # taken in or passed over by the next start.
            self.end_all()
            self.former = []
        self.start()
        self.drain()
        if not self.server.workers:
            raise StuckError(f"the server does not start: {self.server.starting and self.server.starting.error}")
        ticks = 0
        while faults := self._faults():
            if ticks == TICKS_MAX:
                raise StuckError(f"links do not come back: {faults}")
            ticks += 1
            self._tick_all(REOPEN_SECONDS)
        self._tick_all(REOPEN_SECONDS)
        if self.server.disk.is_damaged or any(site.is_damaged for site in self.sites):
            self._mend()

    def close(self) -> None:
        """End what still goes on."""
        self.end_all()

    def _mend(self) -> None:
        """Everything damaged is found, since every pass comes due, and made good."""
        for _ in range(PASSES):
            self._mend_accounts()
            self.clock.advance(ALL_PASSES_SECONDS)
            for _ in range(MENDING_TICKS):
                self._tick_all(MENDING_SECONDS)
        self._mend_accounts()

    def _mend_accounts(self) -> None:
        for account in self.accounts:
            self.server.workers[0].begin_mending(account)
            self.drain()

    def _tick_all(self, seconds: float) -> None:
        self.clock.advance(seconds)
        for worker in self.server.workers:
            worker.begin_tick()
        self.drain()

    def _faults(self) -> list[KeepwellError]:
        links = [link for worker in self.server.workers for link in worker.links]
        return [link.fault for link in links if link.fault is not None]

    def _forget_other_histories(self) -> None:
        """Of a data folder that is given up, keep no copy with what was never confirmed: history goes on without it."""
        known = self.answered.confirmed
        self.copies = [copy for copy in self.copies if _goes_no_farther(copy.store, known)]

    def _server(self, disk: Disk) -> Server:
        disk.watch()
        return Server("server", disk, self.sites, self.scheduler, self.clock, self.entropy)

    def _new_disk(self) -> Disk:
        store = self._new_store()
        for account in self.accounts:
            store.create(account, [partial(_make_shelf, *shelf) for shelf in self.shelves[account]])
        return Disk(store, self.scheduler)

    def _new_store(self) -> MemoryStore:
        return MemoryStore(self.clock, self.entropy)

    def _new_medium(self, appends: bool) -> MemoryMedium:
        medium = MemoryMedium(appends=appends)
        found_vault(medium, self.clock)
        return medium


def whole_vaults(sites: Sequence[Site]) -> list[Site]:
    """Those that always confirm, and were found to have everything."""
    return [site for site in sites if site.role is Role.CONFIRMS and site.is_whole]


def _itself(task: Task) -> Task:
    return task


def _goes_no_farther(store: MemoryStore, known: dict[AccountId, int]) -> bool:
    return all(isinstance(head, Head) and head.sequence <= known.get(one, 0) for one, head in store.read_heads())


def _make_shelf(kind: Kind, name: str, transaction: Transaction) -> object:
    return transaction.append(Entry(Op.MAKE, "the world", kind, name, properties={}))
