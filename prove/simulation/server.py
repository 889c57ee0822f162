"""A server of a simulation: its processes, put together from the product's parts as `app` does it.

What runs in threads of its own in a real server is a task here: what commits a batch, what brings one to a vault, the
keeper's tick, what opens the links. Everything that is not on a disk goes when its process ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, TypeVar, cast

from keepwell.app.duties import VaultDuties
from keepwell.ground.clock import Clock, render_moment
from keepwell.ground.entropy import Entropy, base32_word
from keepwell.model.errors import KeepwellError, Unavailable
from keepwell.model.names import AccountId
from keepwell.services.catch_up import CaughtUp, catch_up
from keepwell.services.confirming import Confirming
from keepwell.services.epochs import Comparing, EpochHeld, note_compared, open_to_write
from keepwell.services.library import Library
from keepwell.services.mending import Mending
from keepwell.services.tending import Duty, Tending
from keepwell.services.vault_link import VaultLink, Waiting
from keepwell.services.vault_settings import Role
from keepwell.services.verifying import Verifying
from keepwell.storage.contract import Transaction
from keepwell.storage.writers import BatchWriter, Ticket
from keepwell.vault.documents import EpochDocument
from keepwell.vault.ship import pack_tails
from keepwell.vault.vault import Vault
from prove.simulation.disk import Disk, Site
from prove.simulation.tasks import CooperativeLock, Process, Scheduler, Task

Outcome = TypeVar("Outcome")

WORD_BITS: Final = 80


class Gathered:
    """What waits for a vault's link, until a task takes it."""

    def __init__(self, handle: Callable[[list[Waiting]], None], _name: str) -> None:
        """For this hand."""
        self.waiting: list[Waiting] = []
        self.task: Task | None = None
        self._handle = handle

    def add(self, item: Waiting) -> None:
        """Let it wait."""
        self.waiting.append(item)

    def close(self) -> None:
        """Nothing waits in a process that ends in order: the world lets it finish before."""

    def hand_on(self) -> None:
        """All of it, together."""
        batch, self.waiting = self.waiting, []
        self._handle(batch)


class Worker:
    """One process that serves."""

    def __init__(self, server: Server, number: int) -> None:
        """With links that are down until `open_links`."""
        self.process = Process(f"{server.name}.{number}")
        self._server = server
        self._scheduler = server.scheduler
        self._gathered: list[Gathered] = []
        self.links = [self._link_to(site) for site in server.sites]
        self.confirming = Confirming(self.links)
        self.library = Library(server.disk.store, self)
        self._writer = BatchWriter(server.disk.store, self.confirming)
        self._tickets: dict[AccountId, list[Ticket[object]]] = {}
        self._writing: dict[AccountId, Task] = {}
        self._keeping: Task | None = None
        self._mending = server.mending()
        self._tending = Tending(server.clock, server.duties(self._mending))

    def submit(self, account: AccountId, work: Callable[[Transaction], Outcome]) -> Ticket[Outcome]:
        """Let a work wait for the task that commits it."""
        ticket = Ticket(work)
        self._tickets.setdefault(account, []).append(cast("Ticket[object]", ticket))
        return ticket

    def open_links(self) -> None:
        """As a process does when it starts: what cannot be opened is left to the keeper."""
        for link in self.links:
            try:
                link.reopen(again=False)
            except KeepwellError as error:
                link.go_down(error)

    def begin_tick(self) -> Task | None:
        """The keeper's next look at its links; None while it is still at the one before."""
        if self._keeping is not None and not self._keeping.is_done:
            return None
        self._keeping = self._begin("keeper", self._tick)
        return self._keeping

    def begin_mending(self, account: AccountId) -> Task:
        """A look at an account, which is made good from the vaults if it is damaged."""
        writable = [link.vault for link in self.links if link.fault is None]
        return self._begin(f"mend {account}", lambda: self._mending.mend_account(account, writable))

    def ready(self) -> list[tuple[str, Callable[[], Task]]]:
        """The tasks that could begin, since something waits for them."""
        found: list[tuple[str, Callable[[], Task]]] = []
        for account, tickets in self._tickets.items():
            if tickets and _is_free(self._writing.get(account)):
                found.append((f"commit {account}", partial(self._begin_commit, account)))
        for link, gathered in zip(self.links, self._gathered, strict=True):
            if gathered.waiting and _is_free(gathered.task):
                found.append((f"confirm in {link.name}", partial(self._begin_confirming, gathered, link.name)))
        return found

    def _link_to(self, site: Site) -> VaultLink:
        def gather(handle: Callable[[list[Waiting]], None], name: str) -> Gathered:
            made = Gathered(handle, name)
            self._gathered.append(made)
            return made

        server = self._server
        return VaultLink(
            site.name,
            partial(server.open_to_write, site),
            server.disk.store,
            server.clock,
            server.entropy,
            role=site.role,
            compare=server.compare,
            make_batches=gather,
            make_lock=lambda: CooperativeLock(self._scheduler),
        )

    def _begin(self, name: str, run: Callable[[], object]) -> Task:
        return self._scheduler.begin(self.process, name, run)

    def _begin_commit(self, account: AccountId) -> Task:
        tickets = self._tickets.pop(account)
        self._writing[account] = self._begin(f"commit {account}", lambda: self._writer.write(account, tickets))
        return self._writing[account]

    def _begin_confirming(self, gathered: Gathered, name: str) -> Task:
        gathered.task = self._begin(f"confirm in {name}", gathered.hand_on)
        return gathered.task

    def _tick(self) -> None:
        self._tending.tend_all(self.links, is_elected=self._server.elected is self)


class Server:
    """One server on one data folder: it starts, and then has workers."""

    def __init__(
        self, name: str, disk: Disk, sites: Sequence[Site], scheduler: Scheduler, clock: Clock, entropy: Entropy
    ) -> None:
        """Not started."""
        self.name = name
        self.disk = disk
        self.sites = sites
        self.scheduler = scheduler
        self.clock = clock
        self.entropy = entropy
        self.workers: list[Worker] = []
        self.starting: Task | None = None
        self.caught_up: CaughtUp | None = None
        """What the last start came to."""
        self._family = ""

    @property
    def is_up(self) -> bool:
        """Whether a process of it lives."""
        return bool(self.workers) or (self.starting is not None and not self.starting.is_done)

    @property
    def elected(self) -> Worker | None:
        """The one that does what only one may do."""
        return self.workers[0] if self.workers else None

    def start(self, workers: int) -> Task:
        """Begin to start."""
        self._family = base32_word(self.entropy, WORD_BITS)
        self.starting = self.scheduler.begin(Process(f"{self.name}.start"), "start", partial(self._start, workers))
        return self.starting

    def add_worker(self) -> Task:
        """Another process that serves."""
        worker = Worker(self, len(self.workers) + 1)
        self.workers.append(worker)
        return self.scheduler.begin(worker.process, "open the links", worker.open_links)

    def kill(self) -> None:
        """End all its processes."""
        if self.starting is not None:
            self.scheduler.end(self.starting.process)
        for worker in list(self.workers):
            self.kill_worker(worker)

    def kill_worker(self, worker: Worker) -> None:
        """End one of its processes; what it elected goes to another."""
        self.scheduler.end(worker.process)
        self.workers.remove(worker)

    @property
    def compare(self) -> Comparing:
        """What compares store and vaults before a process writes to one."""
        return Comparing(self.disk, self._family)

    def open_to_write(self, site: Site) -> Vault:
        """A vault for writing, in the epoch of this start."""
        return open_to_write(self.disk, site.name, self._family, lambda: site.opened(self.clock), self._claim)

    def _claim(self, vault: Vault, family: str) -> EpochHeld:
        server, at = base32_word(self.entropy, WORD_BITS), render_moment(self.clock.now())
        epoch = vault.claim(EpochDocument(epoch=0, server=server, at=at, host=self.name, data="/data"))
        return EpochHeld(epoch, server, family)

    def duties(self, mending: Mending) -> tuple[Duty, ...]:
        """Those of the elected keeper."""
        return VaultDuties(Verifying(self.disk.verified_file, self.clock), mending, self.clock).all()

    def mending(self) -> Mending:
        """What makes good what is found damaged."""
        settings = [site.setting for site in self.sites]
        return Mending(self.disk.store, lambda: settings, self._open_to_read, self.disk.verified_file, self.clock)

    def _open_to_read(self, name: str) -> Vault:
        vault = next(site for site in self.sites if site.name == name).opened(self.clock)
        vault.look()
        return vault

    def _start(self, workers: int) -> None:
        """As `app.start.prepare`; raises what keeps the server from starting."""
        opened: list[Vault] = []
        is_complete = False
        for site in self.sites:
            try:
                opened.append(self.open_to_write(site))
                is_complete = is_complete or site.role is Role.CONFIRMS
            except KeepwellError as error:
                if not isinstance(error, Unavailable):
                    raise
        with self.disk.comparing():
            self.caught_up = catch_up(self.disk.store, opened, is_complete=is_complete)
        for vault in opened:
            note_compared(self.disk, vault)
        for vault in opened:
            pack_tails(vault, self.disk.store)
        for _ in range(workers):
            self.add_worker()


def _is_free(task: Task | None) -> bool:
    return task is None or task.is_done
