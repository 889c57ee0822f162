"""Group commit: what waits together is committed together, in order, and everyone gets their own verdict."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from keepwell.model.errors import PreconditionFailed, StorageFault, Unavailable
from keepwell.model.names import AccountId
from keepwell.storage import writers as writers_module
from keepwell.storage.contract import Carried, Transaction, Verdict, Work
from keepwell.storage.memory import MemoryAccount, MemoryStore
from keepwell.storage.writers import Writers
from tests.storage.contract_suite import ANNA, BERT, friends, make, names, put


class SlowAccount:
    """An account that lets the test hold a batch back and counts batches."""

    def __init__(self, inner: MemoryAccount) -> None:
        self.inner = inner
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[int] = []
        self.fault: Exception | None = None

    def transact(self, works: Sequence[Work], appended: list[Carried] | None = None) -> list[Verdict]:
        self.batches.append(len(works))
        assert self.gate.wait(10)
        if self.fault is not None:
            raise self.fault
        return self.inner.transact(works, appended)


class SlowStore(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.slow: dict[str, SlowAccount] = {}

    def account(self, account: str) -> SlowAccount:  # type: ignore[override]
        if account not in self.slow:
            self.slow[account] = SlowAccount(super().account(account))  # type: ignore[arg-type]
        return self.slow[account]


@pytest.fixture
def store() -> SlowStore:
    store = SlowStore()
    store.create(ANNA, [make()])
    store.create(BERT, [make()])
    return store


@pytest.fixture
def writers(store: SlowStore) -> Iterator[Writers]:
    writers = Writers(store)  # type: ignore[arg-type]
    yield writers
    writers.close()


def fail(_transaction: Transaction) -> None:
    raise PreconditionFailed("no")


def test_a_lone_write_waits_for_nobody(writers: Writers, store: SlowStore) -> None:
    """One write is one batch."""
    writers.submit(ANNA, put("bob")).result()
    assert store.slow[ANNA].batches == [1]


def test_what_waits_is_committed_together(writers: Writers, store: SlowStore) -> None:
    """Writes that come while a batch syncs make the next batch, in their order."""
    slow = store.account(ANNA)
    slow.gate.clear()
    tickets = [writers.submit(ANNA, put("first"))]
    while not slow.batches:
        threading.Event().wait(0.001)
    tickets += [writers.submit(ANNA, put(f"{number}")) for number in range(10)]
    slow.gate.set()
    for ticket in tickets:
        ticket.result()
    assert slow.batches == [1, 10]
    with slow.inner.reading() as snapshot:
        order = [one.name for one in snapshot.changes(friends(snapshot).id, 0, 100)]
    assert order == ["first", *[f"{number}" for number in range(10)]]


def test_batches_are_bounded(writers: Writers, store: SlowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """No batch has more than BATCH_MAX works, and none is lost."""
    monkeypatch.setattr(writers_module, "BATCH_MAX", 4)
    slow = store.account(ANNA)
    slow.gate.clear()
    tickets = [writers.submit(ANNA, put(f"{number}")) for number in range(11)]
    slow.gate.set()
    for ticket in tickets:
        ticket.result()
    assert max(slow.batches) <= 4
    with slow.inner.reading() as snapshot:
        assert len(names(snapshot)) == 11


def test_everyone_gets_their_own_verdict(writers: Writers) -> None:
    """A failed precondition is told to the one who set it."""
    tickets = [writers.submit(ANNA, put("bob")), writers.submit(ANNA, fail), writers.submit(ANNA, put("eve"))]
    tickets[0].result()
    tickets[2].result()
    with pytest.raises(PreconditionFailed):
        tickets[1].result()


def test_a_storage_fault_is_the_verdict_of_all(writers: Writers, store: SlowStore) -> None:
    """When the medium fails nobody of the batch is told yes."""
    store.account(ANNA).fault = StorageFault("gone")
    tickets = [writers.submit(ANNA, put("bob")), writers.submit(ANNA, put("eve"))]
    for ticket in tickets:
        with pytest.raises(StorageFault):
            ticket.result()


def test_tickets_are_awaited_on_a_loop(writers: Writers) -> None:
    """An event loop waits without a thread; settled tickets answer at once; errors are raised there too."""

    async def run() -> None:
        tickets = [writers.submit(ANNA, put(f"{number}")) for number in range(20)]
        for ticket in tickets:
            await ticket
            await ticket
        with pytest.raises(PreconditionFailed):
            await writers.submit(BERT, fail)

    asyncio.run(run())


def test_too_many_waiting_are_turned_away(writers: Writers, store: SlowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond WAITING_MAX a write is refused at once instead of waiting without end."""
    monkeypatch.setattr(writers_module, "WAITING_MAX", 2)
    slow = store.account(ANNA)
    slow.gate.clear()
    first = writers.submit(ANNA, put("first"))
    while not slow.batches:
        threading.Event().wait(0.001)
    tickets = [writers.submit(ANNA, put("a")), writers.submit(ANNA, put("b"))]
    with pytest.raises(Unavailable):
        writers.submit(ANNA, put("c"))
    slow.gate.set()
    for ticket in [first, *tickets]:
        ticket.result()


def test_closing_finishes_what_waits(store: SlowStore) -> None:
    """What was submitted before close is committed; after it nothing is taken."""
    writers = Writers(store)  # type: ignore[arg-type]
    tickets = [writers.submit(ANNA, put(f"{number}")) for number in range(50)]
    writers.close()
    for ticket in tickets:
        ticket.result()
    with pytest.raises(Unavailable):
        writers.submit(ANNA, put("late"))


class RecordingConfirms:
    """Other copies that a test answers for by hand."""

    def __init__(self) -> None:
        self.waiting: list[tuple[list[Carried], Callable[[BaseException | None], None]]] = []
        self.arrived = threading.Semaphore(0)
        self.refusal: Unavailable | None = None

    def require(self, account: AccountId | None = None) -> None:
        if self.refusal is not None:
            raise self.refusal

    def confirm(
        self, _account: AccountId, carried: list[Carried], done: Callable[[BaseException | None], None]
    ) -> None:
        self.waiting.append((carried, done))
        self.arrived.release()


def test_a_write_is_settled_when_the_other_copies_have_it() -> None:
    """The commit alone is no yes: the ticket waits for the confirmation, which gets the records in order."""
    store, confirms = MemoryStore(), RecordingConfirms()
    store.create(ANNA, [make()])
    writers = Writers(store, confirms, threads=1)
    ticket = writers.submit(ANNA, put("bob"))
    assert confirms.arrived.acquire(timeout=10)
    assert not ticket._settled
    carried, done = confirms.waiting[0]
    assert [(one.record.facts.name, one.body) for one in carried] == [("bob", b"body")]
    done(None)
    ticket.result()
    writers.close()


def test_a_write_that_is_not_confirmed_is_no_yes() -> None:
    """What the other copies could not take is told to those who wrote; a refusal of the rules stays what it is."""
    store, confirms = MemoryStore(), RecordingConfirms()
    store.create(ANNA, [make()])
    writers = Writers(store, confirms, threads=1)
    ticket = writers.submit(ANNA, put("bob"))
    assert confirms.arrived.acquire(timeout=10)
    confirms.waiting[0][1](Unavailable("the vault is gone"))
    with pytest.raises(Unavailable, match="the vault is gone"):
        ticket.result()
    writers.close()


def test_no_write_begins_that_could_not_be_confirmed() -> None:
    """While the other copies are known to be gone nothing is committed."""
    store, confirms = MemoryStore(), RecordingConfirms()
    store.create(ANNA, [make()])
    confirms.refusal = Unavailable("the vault is gone")
    writers = Writers(store, confirms, threads=1)
    ticket = writers.submit(ANNA, put("bob"))
    assert confirms.arrived.acquire(timeout=10)
    confirms.waiting[0][1](None)
    with pytest.raises(Unavailable, match="the vault is gone"):
        ticket.result()
    with store.account(ANNA).reading() as snapshot:
        assert snapshot.head().sequence == 1
    writers.close()
