"""Group commit: a few threads that turn whatever waits for an account into one transaction and one sync.

Each account belongs to one thread (by hash of its id), so an account has one writer in this process and the syncs of
different accounts overlap. A thread takes everything that waits for the account that waited longest, runs it through
`AccountStore.transact`, and settles all tickets at once. While it syncs, the next batch gathers; thus batches form
by themselves under load and a lone writer waits for nobody.

Where other copies confirm writes, a batch goes on to them after its commit, and its tickets are settled when they have
it: store first, then the vaults, then "yes". Meanwhile the thread commits the next batch.

Order for one account: the order of `submit`. A ticket is settled after the syncs, never before.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from typing import Generic, Protocol, TypeVar, cast
from zlib import crc32

from keepwell.model.errors import Damaged, NotThere, StorageFault, Unavailable
from keepwell.model.names import AccountId
from keepwell.storage.contract import Carried, Store, Transaction, Verdict

Outcome = TypeVar("Outcome")

BATCH_MAX = 64
"""Works in one transaction at most: bounds how long the first of them waits for the last."""

WAITING_MAX = 4096
"""Works that may wait in one thread; beyond it callers are told to come back later."""


class Confirms(Protocol):
    """Other copies that must have a write before it is acknowledged."""

    def require(self, account: AccountId | None = None) -> None:
        """Raise Unavailable when no write may begin now (in this account): it could not be confirmed."""
        ...

    def confirm(self, account: AccountId, carried: list[Carried], done: Callable[[BaseException | None], None]) -> None:
        """Bring what was committed to the other copies, in the order of calls; never blocks, never raises.

        `done` is called once, on any thread: with None when all have it, else with what is to be told.
        """
        ...


class Unconfirmed:
    """There are no other copies: a commit is all there is to wait for."""

    def require(self, account: AccountId | None = None) -> None:
        """Nothing stands against a write."""

    def confirm(self, account: AccountId, carried: list[Carried], done: Callable[[BaseException | None], None]) -> None:
        """Done at once."""
        done(None)


class Ticket(Generic[Outcome]):
    """A write under way: wait for it with `result()` on a thread, or `await` it on an event loop."""

    __slots__ = ("_event", "_future", "_loop", "_settled", "_verdict", "_work")

    def __init__(self, work: Callable[[Transaction], Outcome]) -> None:
        """A ticket for this work, not yet submitted."""
        self._work = work
        self._settled = False
        self._verdict: Verdict = None
        self._event: threading.Event | None = None
        self._future: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_settled(self) -> bool:
        """Whether `result()` answers at once."""
        return self._settled

    def result(self) -> Outcome:
        """Block until the write is settled; what the work returned, or its exception raised."""
        if not self._settled:
            self._event = threading.Event()
            # Settling sets `_settled` before it looks for an event, so one of the two sides sees the other.
            while not self._settled:
                self._event.wait(0.5)
        return self._unwrap()

    def __await__(self) -> Generator[object, None, Outcome]:
        """Wait on the running event loop."""
        if not self._settled:
            self._loop = asyncio.get_running_loop()
            self._future = self._loop.create_future()
            if not self._settled:
                yield from self._future
        return self._unwrap()

    def _unwrap(self) -> Outcome:
        if isinstance(self._verdict, BaseException):
            raise self._verdict
        return cast(Outcome, self._verdict)

    def _settle(self, verdict: Verdict) -> asyncio.AbstractEventLoop | None:
        """Set the verdict; returns the loop that must be told, when one waits."""
        self._verdict = verdict
        self._settled = True
        if self._event is not None:
            self._event.set()
        return self._loop

    def _wake(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)


class BatchWriter:
    """Commits what waits for one account and has it confirmed, on whatever thread it is called."""

    def __init__(self, store: Store, confirms: Confirms) -> None:
        """Over this store; what is committed goes on to `confirms`."""
        self._store = store
        self._confirms = confirms

    def write(self, account: AccountId, tickets: list[Ticket[object]]) -> None:
        """Commit the batch, then have it confirmed; an empty one too, so that no "yes" overtakes another."""
        carried: list[Carried] = []
        verdicts = self._verdicts(account, tickets, carried)
        self._confirms.confirm(account, carried, partial(_settle_confirmed, tickets, verdicts))

    def _verdicts(self, account: AccountId, tickets: list[Ticket[object]], carried: list[Carried]) -> list[Verdict]:
        """Never raises: a lane that ended would leave every later write waiting for ever."""
        try:
            self._confirms.require(account)
            return self._store.account(account).transact([ticket._work for ticket in tickets], carried)
        except NotThere as error:
            # Whoever writes was sent here by the directory, so the account should be there.
            fault: BaseException = Damaged(f"{error.message}, though it has a login", hint="Run: keepwell check")
        except Exception as error:  # a storage fault: the verdict of every ticket in the batch
            fault = error
        except BaseException as error:
            fault = StorageFault(f"writing to {account} was broken off: {error!r}")
        return [fault] * len(tickets)


class Writers:
    """The writer threads of this process."""

    def __init__(self, store: Store, confirms: Confirms | None = None, *, threads: int = 2) -> None:
        """Start `threads` writer threads over `store`; what they commit goes on to `confirms`."""
        self._confirms = confirms or Unconfirmed()
        writer = BatchWriter(store, self._confirms)
        self._lanes = [_Lane(writer, number) for number in range(threads)]

    def require(self) -> None:
        """Raise Unavailable when no write may begin now, for those who change a store themselves first."""
        self._confirms.require()

    def submit(self, account: AccountId, work: Callable[[Transaction], Outcome]) -> Ticket[Outcome]:
        """Queue `work` for `account`; never blocks. Raises Unavailable when too many wait."""
        ticket = Ticket(work)
        self._lanes[crc32(account.encode()) % len(self._lanes)].add(account, ticket)
        return ticket

    def close(self) -> None:
        """Finish what waits, then end the threads."""
        for lane in self._lanes:
            lane.close()


class _Lane:
    """One writer thread. What waits for it comes through a queue; only the thread itself sorts it by account."""

    def __init__(self, writer: BatchWriter, number: int) -> None:
        self._writer = writer
        self._queue: SimpleQueue[tuple[AccountId, Ticket[object]] | None] = SimpleQueue()
        self._waiting: OrderedDict[AccountId, list[Ticket[object]]] = OrderedDict()
        self._sorted = 0
        """Tickets in `_waiting`; only the thread writes it."""
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"keepwell-writer-{number}", daemon=True)
        self._thread.start()

    def add(self, account: AccountId, ticket: Ticket[Outcome]) -> None:
        if self._closing or self._queue.qsize() + self._sorted >= WAITING_MAX:
            raise Unavailable("too many writes wait already", retry_after_seconds=2)
        self._queue.put((account, cast(Ticket[object], ticket)))

    def close(self) -> None:
        self._closing = True
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        going_on = True
        while going_on or self._waiting:
            going_on = self._gather(block=going_on and not self._waiting) and going_on
            if self._waiting:
                self._writer.write(*self._take())
        self._turn_away_late_comers()

    def _turn_away_late_comers(self) -> None:
        """Settle what was added while the lane closed."""
        with suppress(Empty):
            while True:
                arrival = self._queue.get_nowait()
                if arrival is not None:
                    _settle_all([arrival[1]], [Unavailable("the server is stopping", retry_after_seconds=5)])

    def _gather(self, *, block: bool) -> bool:
        """Sort in what has come; False once the lane is to close."""
        try:
            arrival = self._queue.get(block)
            while arrival is not None:
                account, ticket = arrival
                self._waiting.setdefault(account, []).append(ticket)
                self._sorted += 1
                arrival = self._queue.get_nowait()
        except Empty:
            return True
        return False

    def _take(self) -> tuple[AccountId, list[Ticket[object]]]:
        """The batch of the account that waited longest; what is over stays and goes to the end of the row."""
        account, tickets = self._waiting.popitem(last=False)
        if len(tickets) > BATCH_MAX:
            self._waiting[account] = tickets[BATCH_MAX:]
        batch = tickets[:BATCH_MAX]
        self._sorted -= len(batch)
        return account, batch


def _settle_confirmed(tickets: list[Ticket[object]], verdicts: list[Verdict], fault: BaseException | None) -> None:
    """Settle a batch; with a fault of another copy nothing in it is a "yes"."""
    if fault is not None:
        verdicts = [one if isinstance(one, BaseException) else fault for one in verdicts]
    _settle_all(tickets, verdicts)


def _settle_all(tickets: list[Ticket[object]], verdicts: list[Verdict]) -> None:
    """Settle a batch with one wake-up per event loop, not one per ticket."""
    loops: dict[asyncio.AbstractEventLoop, list[Ticket[object]]] = {}
    for ticket, verdict in zip(tickets, verdicts, strict=True):
        loop = ticket._settle(verdict)
        if loop is not None:
            loops.setdefault(loop, []).append(ticket)
    for loop, waiting in loops.items():
        with suppress(RuntimeError):  # the loop was closed, and nobody waits any more
            loop.call_soon_threadsafe(_wake_all, waiting)


def _wake_all(tickets: list[Ticket[object]]) -> None:
    for ticket in tickets:
        ticket._wake()
