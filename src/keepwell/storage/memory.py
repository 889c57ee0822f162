"""The store in memory: a fake for tests that passes the same contract suite.

A snapshot is the state as it was: a transaction works on a copy and puts it in place at its end.

Faults are put in by two callables that are asked with the operation (`transact`, `extend`, …) and the account, one
before it is done and one after: what they raise, the caller gets. Raised after, it is the answer that was lost.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from keepwell.ground.clock import Clock, SystemClock
from keepwell.ground.entropy import Entropy, SystemEntropy, base32_word
from keepwell.model.errors import AlreadyThere, Damaged, NotThere
from keepwell.model.names import AccountId, Digest, Home, Kind, Lineage
from keepwell.model.record import digest_of
from keepwell.storage.carrying import written_meanwhile
from keepwell.storage.contract import Carried, Head, Indexer, Item, Snapshot, Verdict, Work
from keepwell.storage.holding import require_place
from keepwell.storage.memory_snapshot import MemorySnapshot, State
from keepwell.storage.memory_transaction import MemoryTransaction

Hook = Callable[[str, AccountId], None]


def _nothing(_operation: str, _account: AccountId) -> None:
    """No fault."""


@dataclass(slots=True)
class Hooks:
    """What is asked before and after each change."""

    before: Hook = _nothing
    after: Hook = _nothing


class MemoryBlobs:
    """Blobs in a dictionary."""

    def __init__(self) -> None:
        """Empty."""
        self._bodies: dict[Digest, bytes] = {}

    def put(self, body: bytes) -> Digest:
        """Keep `body`."""
        digest = digest_of(body)
        self._bodies[digest] = body
        return digest

    def read(self, digest: Digest) -> bytes:
        """The bytes. Raises NotThere, or Damaged when they do not match."""
        if digest not in self._bodies:
            raise NotThere(f"there is no blob {digest}")
        if digest_of(self._bodies[digest]) != digest:
            raise Damaged(f"blob {digest} does not match its digest")
        return self._bodies[digest]

    def has(self, digest: Digest) -> bool:
        """Whether there is one of this name."""
        return digest in self._bodies

    def digests(self) -> Iterable[Digest]:
        """All that are held, in order."""
        return sorted(self._bodies)


class MemoryAccount:
    """One account in memory."""

    def __init__(self, account: AccountId, lineage: Lineage, clock: Clock, hooks: Hooks | None = None) -> None:
        """Empty."""
        self._account = account
        self._state = State(account, lineage)
        self._changes = 0
        self._clock = clock
        self._hooks = hooks or Hooks()
        self._lock = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[Snapshot]:
        """A snapshot; may be taken on any thread, many at once."""
        yield MemorySnapshot(self._state)

    def read_item(self, home: Home, collection: str, name: str) -> tuple[Item, bytes] | None:
        """One item and its bytes. Raises Damaged when the bytes do not match their digest, Held."""
        with self.reading() as snapshot:
            found = snapshot.collection(home, collection)
            require_place(snapshot.held(), home, found)
            return None if found is None else snapshot.item_with_body(found.id, name)

    def version(self) -> int:
        """A number that is another one after every commit."""
        return len(self._state.journal) + self._changes

    def transact(self, works: Sequence[Work], appended: list[Carried] | None = None) -> list[Verdict]:
        """Run the works in order; what they came to is put in place at once."""
        with self._changing("transact"):
            transaction = MemoryTransaction(self._state.copied(), self._clock)
            verdicts = [transaction.run(work) for work in works]
            self._state = transaction.state
        if appended is not None:
            appended += transaction.appended
        return verdicts

    def extend(self, carried: Iterable[Carried], indexer: Indexer, *, may_lack: bool = False) -> None:
        """Append records of another copy, sealed as they are; none when one does not fit. Raises Damaged."""
        with self._changing("extend"):
            transaction = MemoryTransaction(self._state.copied(), self._clock)
            transaction.extend(carried, indexer, may_lack=may_lack)
            self._state = transaction.state

    def erase(self, through: int, digests: Sequence[Digest]) -> list[Digest]:
        """Drop these bytes, where no item has them now and no record after `through` names them."""
        with self._changing("erase"):
            state = self._state.copied()
            kept = {one.facts.digest for one in state.journal[through:]}
            kept |= {item.digest for items in state.items.values() for item, _index in items.values()}
            gone = [digest for digest in digests if digest not in kept and state.contents.get(digest) != b""]
            for digest in gone:
                if state.contents.pop(digest, None) is not None:
                    state.erased.add(digest)
            self._state = state
            return gone

    def supply(self, bodies: Sequence[bytes], indexer: Indexer) -> None:
        """Bring bytes that records here name and that are not here or are damaged; indexes follow."""
        with self._changing("supply"):
            transaction = MemoryTransaction(self._state.copied(), self._clock)
            for body in bodies:
                transaction.supply(body, indexer)
            self._state = transaction.state
            self._changes += 1

    def hold(self, reasons: Mapping[Kind, str]) -> None:
        """Set which kinds are not whole, and why; with an empty mapping all are served again."""
        with self._changing("hold"):
            state = self._state.copied()
            state.held = dict(reasons)
            self._state = state
            self._changes += 1

    def replace_content(self, digest: Digest, how: Callable[[bytes], bytes]) -> None:
        """Change bytes that are held, past all promises: damage for tests."""
        with self._lock:
            self._state = self._state.copied()
            self._state.contents[digest] = how(self._state.contents[digest])

    def copied(self, hooks: Hooks) -> MemoryAccount:
        """A twin as it is now, that goes its own way."""
        twin = MemoryAccount(self._account, self._state.lineage, self._clock, hooks)
        twin._state, twin._changes = self._state, self._changes
        return twin

    @contextmanager
    def _changing(self, operation: str) -> Iterator[None]:
        """One change at a time; nobody is kept waiting while the hooks are asked."""
        self._hooks.before(operation, self._account)
        with self._lock:
            yield
        self._hooks.after(operation, self._account)


class MemoryStore:
    """All accounts in memory."""

    def __init__(self, clock: Clock | None = None, entropy: Entropy | None = None) -> None:
        """Empty."""
        self._clock = clock or SystemClock()
        self._entropy = entropy or SystemEntropy()
        self._accounts: dict[AccountId, MemoryAccount] = {}
        self._aside: dict[str, MemoryAccount] = {}
        self.hooks = Hooks()

    def copied(self) -> MemoryStore:
        """A twin as it is now, without faults: a copy of the data folder."""
        twin = MemoryStore(self._clock, self._entropy)
        twin._accounts = {account: place.copied(twin.hooks) for account, place in self._accounts.items()}
        return twin

    def accounts(self) -> list[AccountId]:
        """Every account, in order."""
        return sorted(self._accounts)

    def account(self, account: AccountId) -> MemoryAccount:
        """The account. Raises NotThere."""
        if account not in self._accounts:
            raise NotThere(f"there is no account {account}")
        return self._accounts[account]

    def create(self, account: AccountId, works: Sequence[Work] = ()) -> MemoryAccount:
        """Make the account, whole or not at all, with these works done. Raises AlreadyThere."""
        if account in self._accounts:
            raise AlreadyThere(f"there is an account {account} already")
        made = self._empty(account)
        for verdict in made.transact(works):
            if isinstance(verdict, BaseException):
                raise verdict
        return self._put_in_place("create", account, made)

    def restore(
        self, account: AccountId, carried: Iterable[Carried], indexer: Indexer, *, may_lack: bool = False
    ) -> MemoryAccount:
        """Make the account from the records of another copy, whole or not at all. Raises AlreadyThere, Damaged."""
        if account in self._accounts:
            raise AlreadyThere(f"there is an account {account} already")
        made = self._empty(account)
        made.extend(carried, indexer, may_lack=may_lack)
        return self._put_in_place("restore", account, made)

    def set_aside(self, account: AccountId, *, last: Head | None = None) -> str:
        """Take an account out of use; it is kept under the name that is returned. Raises NotThere, Unavailable."""
        self.hooks.before("set_aside", account)
        taken = self.account(account)
        with taken.reading() as snapshot:
            if last not in {None, snapshot.head()}:
                raise written_meanwhile(account)
        name = f"set-aside/{account}-{base32_word(self._entropy, 40)}"
        self._aside[name] = taken
        del self._accounts[account]
        self.hooks.after("set_aside", account)
        return name

    def sweep_blobs(self, digests: Iterable[Digest]) -> list[Digest]:
        """None: all bytes lie in the accounts here."""
        return []

    def read_heads(self) -> Iterator[tuple[AccountId, Head | Exception]]:
        """Every account's head."""
        for account in self.accounts():
            with self.account(account).reading() as snapshot:
                yield account, snapshot.head()

    def read_held(self, account: AccountId) -> Mapping[Kind, str]:
        """What is held of an account. Raises NotThere."""
        with self.account(account).reading() as snapshot:
            return snapshot.held()

    def _put_in_place(self, operation: str, account: AccountId, made: MemoryAccount) -> MemoryAccount:
        """From here on it is seen. Raises AlreadyThere when another was quicker."""
        self.hooks.before(operation, account)
        if account in self._accounts:
            raise AlreadyThere(f"there is an account {account} already")
        made._hooks = self.hooks
        self._accounts[account] = made
        self.hooks.after(operation, account)
        return made

    def _empty(self, account: AccountId) -> MemoryAccount:
        return MemoryAccount(account, Lineage(base32_word(self._entropy, 80)), self._clock)

    def close(self) -> None:
        """Nothing to let go of."""
