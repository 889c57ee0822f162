"""Confirming: a write is acknowledged when the confirming vaults have it, synced, as well as the store.

Each vault has a thread. It takes everything that waits, of whatever accounts, and brings it to the vault with one sync
(a tail, in a folder) or one object (a pack, in a bucket); so batches form by themselves, as in the writers.

States of a vault here: *open* (takes part) → *down* (a write could not be confirmed, or another server took over).
While a confirming vault is down no write begins: callers get Unavailable before anything is changed, unless the
operator chose to go on with one copy less (`degrade`), which is told as a window; where another server took over, no
write begins whatever was chosen. What was committed and not confirmed when the vault went down was answered with
Unavailable; it stays in the store and is shipped when `reopen` succeeds, before the next write is taken.

The two copies never fork: the store's journal is the only one that is appended to; a vault gets its records, in its
order, and never one whose predecessor it has not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import Final

from keepwell.ground.clock import Clock, render_moment
from keepwell.ground.entropy import Entropy, base32_word
from keepwell.model.errors import Damaged, Fenced, Forked, KeepwellError, StorageFault, Unavailable
from keepwell.model.names import AccountId
from keepwell.services.catch_up import CaughtUp, catch_up
from keepwell.services.vault_settings import Role
from keepwell.storage.contract import Carried, Head, Store
from keepwell.vault.layout import tail_name
from keepwell.vault.ship import Shipped, line_of, require_follows, ship
from keepwell.vault.tail import Tail
from keepwell.vault.vault import Vault

RETRY_SECONDS: Final = 5
"""When a client whose write could not be confirmed may try again."""

Done = Callable[[BaseException | None], None]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A committed batch on its way to a vault."""

    account: AccountId
    carried: list[Carried]
    done: Done


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which a vault did not take part; `until` is empty while it lasts."""

    vault: str
    since: str
    reason: str
    until: str = ""


class VaultLink:
    """One vault that this process writes to. Invariant: `done(None)` is called only after the vault's sync."""

    def __init__(
        self, name: str, opener: Callable[[], Vault], store: Store, clock: Clock, entropy: Entropy, *, role: Role
    ) -> None:
        """To the vault that `opener` opens for writing; it is down until `reopen` succeeds."""
        self.name = name
        self.role = role
        self._opener = opener
        self._vault: Vault | None = None
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._tail: Tail | None = None
        self._tail_heads: dict[AccountId, Head] = {}
        self._tail_lock = threading.Lock()
        self._known: dict[AccountId, Head] = {}
        self._behind: set[AccountId] = set()
        self._under_way: set[AccountId] = set()
        self._behind_lock = threading.Lock()
        self._down: KeepwellError | None = Unavailable(f"vault {name} was not opened yet")
        self.windows: list[Window] = []
        self.shipped_records = 0
        """What this link has brought to the vault, for counting."""
        self._queue: SimpleQueue[Waiting | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"keepwell-vault-{name}", daemon=True)
        self._thread.start()

    @property
    def vault(self) -> Vault:
        """The vault. Raises Unavailable when it could not be opened yet."""
        if self._vault is None:
            raise self._down or Unavailable(f"vault {self.name} is not open")
        return self._vault

    @property
    def fault(self) -> KeepwellError | None:
        """Why the vault is down; None when it is open."""
        return self._down

    @property
    def goes_on_without(self) -> bool:
        """Whether writes are taken though the vault is down: never when another server writes there now."""
        return self.role is Role.CONFIRMS_WHILE_THERE and not isinstance(self._down, Fenced)

    def add(self, waiting: Waiting) -> None:
        """Queue a batch; never blocks."""
        self._queue.put(waiting)

    def note(self, account: AccountId) -> None:
        """The vault lacks something of this account, which `catch_up` brings."""
        with self._behind_lock:
            self._behind.add(account)

    def behind(self) -> int:
        """Accounts that it is known to lack something of, those that are being shipped included."""
        with self._behind_lock:
            return len(self._behind | self._under_way)

    def catch_up(self) -> Shipped:
        """Ship what the vault lacks, as far as it was noted. Raises Fenced, StorageFault."""
        with self._behind_lock:
            self._under_way, self._behind = self._behind, set()
            left = self._under_way
        try:
            shipped = ship(self.vault, self._store, sorted(left))
            left = set(shipped.failures)
        finally:
            with self._behind_lock:
                self._behind |= left
                self._under_way = set()
        self.shipped_records += shipped.records
        return shipped

    def tail_size(self) -> int:
        """Bytes that are confirmed by a tail and in no pack."""
        with self._tail_lock:
            return self._tail.size() if self._tail else 0

    def roll(self) -> None:
        """Ship what the tail holds and remove it; confirming goes on in a new one. Raises Fenced, StorageFault.

        The tail is removed only when packs have all of it; else it stays until a later start finds it.
        """
        with self._tail_lock:
            old, heads = self._tail, self._tail_heads
            self._tail, self._tail_heads = None, {}
        if old is None:
            return
        old.close()
        shipped = ship(self.vault, self._store, sorted(heads))
        with self._behind_lock:
            self._behind |= shipped.failures.keys()
        if all(self.vault.packed_head(account).sequence >= head.sequence for account, head in heads.items()):
            self.vault.remove_tails([old.name])

    def go_down(self, error: KeepwellError) -> None:
        """Take no part until `reopen`."""
        if self._down is None:
            self.windows.append(Window(self.name, render_moment(self._clock.now()), error.message))
        self._down = error

    def reopen(self, *, compare: bool = True) -> CaughtUp:
        """Take part, once vault and store have the same journals; raises what still stands against it.

        Without `compare` another process of this server has just seen to that for all accounts.

        The medium is opened anew and what is there read anew: nothing that failed is believed. What tails confirmed is
        shipped in packs, because a sync that failed once may have lost what can still be read.
        """
        with self._tail_lock:
            if self._tail is not None:
                self._tail.close()
            missed, self._tail, self._tail_heads = set(self._tail_heads), None, {}
        if self._vault is not None:
            self._vault.close()
        self._vault = self._opener()
        for account in missed | self._known.keys():
            self.note(account)
        self._known.clear()
        is_complete = self.role is Role.CONFIRMS
        done = catch_up(self._store, [self._vault], is_complete=is_complete) if compare else CaughtUp()
        shipped = self.catch_up()
        for failure in shipped.failures.values():
            raise failure
        self._down = None
        if self.windows and not self.windows[-1].until:
            self.windows[-1] = replace(self.windows[-1], until=render_moment(self._clock.now()))
        return done

    def close(self) -> None:
        """Finish what waits, ship what the tail holds, and let go."""
        self._queue.put(None)
        self._thread.join()
        try:
            if self._down is None:
                self.roll()
                self.catch_up()
        finally:
            if self._vault is not None:
                self._vault.close()

    def _run(self) -> None:
        going_on = True
        while going_on:
            batch, going_on = self._gather()
            if batch:
                self._settle(batch)

    def _gather(self) -> tuple[list[Waiting], bool]:
        batch: list[Waiting] = []
        try:
            arrival = self._queue.get()
            while arrival is not None:
                batch.append(arrival)
                arrival = self._queue.get_nowait()
        except Empty:
            return batch, True
        return batch, False

    def _settle(self, batch: list[Waiting]) -> None:
        """Never raises: whatever happens, every batch gets its answer."""
        fault = self._down
        if fault is None:
            try:
                self._bring(batch)
            except KeepwellError as error:
                fault = error
            except Exception as error:  # a fault of ours is no yes
                fault = StorageFault(f"vault {self.name} could not be written: {error!r}")
            if fault is not None:
                self.go_down(fault)
        if fault is not None:
            for one in batch:
                self.note(one.account)
        answer = None if fault is None or self.goes_on_without else _unconfirmed(self.name, fault)
        for one in batch:
            one.done(answer)

    def _bring(self, batch: list[Waiting]) -> None:
        new = self._missing(batch)
        if not new and all(one.account in self._known for one in batch):
            return
        with self._tail_lock:
            if self._tail is None:
                self._tail = self._begin_tail()
            if self._tail is not None:
                self._append(self._tail, new)
                return
        accounts = sorted({one.account for one in batch})
        shipped = ship(self.vault, self._store, accounts)
        self.shipped_records += shipped.records
        for account in accounts:
            if account in shipped.failures:
                raise shipped.failures[account]
            self._known[account] = self.vault.head(account)

    def _begin_tail(self) -> Tail | None:
        name = tail_name(self.vault.epoch, base32_word(self._entropy, 80))
        log = self.vault.medium.open_log(name)
        return None if log is None else Tail(name, log, self.vault.seal)

    def _missing(self, batch: list[Waiting]) -> list[Carried]:
        """What of the batch the vault has not, in order; read from the store where the batch leaves a gap."""
        new: list[Carried] = []
        for one in batch:
            head = self._known.get(one.account)
            if head is None:
                head = self.vault.head(one.account)
            carried = [each for each in one.carried if each.record.facts.seq > head.sequence]
            if one.account not in self._known or _leaves_gap(head, carried):
                carried = self._from_store(one.account, head)
            for each in carried:
                head = Head(each.record.facts.seq, each.record.hash)
            self._known[one.account] = head
            new += carried
        return new

    def _from_store(self, account: AccountId, head: Head) -> list[Carried]:
        """What the store has behind `head`. Raises Forked, Damaged."""
        with self._store.account(account).reading() as snapshot:
            carried = list(snapshot.carried(head.sequence))
            if carried:
                require_follows(head, None, carried[0].record)
            elif snapshot.head() != head:
                raise Forked(f"{account} ends with record {snapshot.head().sequence} here, not with {head.sequence}")
            return carried

    def _append(self, tail: Tail, new: list[Carried]) -> None:
        if not new:
            return
        blobs: list[str] = []
        lines = b"".join(line_of(carried, self.vault.put_blob, blobs) for carried in new)
        heads = {one.record.facts.account: Head(one.record.facts.seq, one.record.hash) for one in new}
        tail.append(lines, {account: (head.sequence, head.hash) for account, head in heads.items()})
        self.vault.require_epoch()
        self._tail_heads.update(heads)
        self.shipped_records += len(new)


def _leaves_gap(head: Head, carried: list[Carried]) -> bool:
    if not carried:
        return False
    facts = carried[0].record.facts
    return (facts.seq, facts.prev) != (head.sequence + 1, head.hash)


def _unconfirmed(vault: str, fault: KeepwellError) -> KeepwellError:
    if isinstance(fault, Fenced | Damaged):
        return Unavailable(f"not confirmed: {fault.message}", hint=fault.hint, retry_after_seconds=RETRY_SECONDS)
    return Unavailable(
        f"the write is not confirmed by vault {vault}: {fault.message}",
        hint="It may be there later all the same; ask with a condition (If-Match, If-None-Match), and it is clear.",
        retry_after_seconds=RETRY_SECONDS,
    )


class Confirming:
    """All vaults that this process writes to. May be changed while writes are under way."""

    def __init__(self, links: Sequence[VaultLink] = ()) -> None:
        """Over these links."""
        self.links = tuple(links)

    def add(self, link: VaultLink) -> None:
        """Another vault; writes that come from now on wait for it, if it confirms and once it is open."""
        self.links = (*self.links, link)

    def discard(self, name: str) -> None:
        """A vault that the operator removed: it takes no part any more."""
        for link in self.links:
            if link.name == name:
                self.links = tuple(one for one in self.links if one is not link)
                link.close()

    def require(self) -> None:
        """Raise Unavailable when a vault that must confirm is down."""
        for link in self.links:
            if link.role is not Role.FOLLOWS and link.fault is not None and not link.goes_on_without:
                raise Unavailable(
                    f"no write is taken now: vault {link.name} cannot confirm it ({link.fault.message})",
                    hint="Reading goes on. Writes are taken again by themselves when the vault is back.",
                    retry_after_seconds=RETRY_SECONDS,
                )

    def confirm(self, account: AccountId, carried: list[Carried], done: Done) -> None:
        """Bring a committed batch to every vault; `done` when the confirming ones have it."""
        waited_for = [link for link in self.links if link.role is not Role.FOLLOWS]
        for link in self.links:
            if link.role is Role.FOLLOWS:
                link.note(account)
        if not waited_for:
            done(None)
            return
        answer = done if len(waited_for) == 1 else _Countdown(len(waited_for), done)
        for link in waited_for:
            link.add(Waiting(account, carried, answer))

    def close(self) -> None:
        """Finish what waits and let go of every vault; what fails with one does not hold up the others."""
        for link in self.links:
            try:
                link.close()
            except KeepwellError as error:
                link.go_down(error)


class _Countdown:
    """Calls `done` when the last of several has answered; with the first fault, when there was one."""

    def __init__(self, count: int, done: Done) -> None:
        self._left = count
        self._done = done
        self._fault: BaseException | None = None
        self._lock = threading.Lock()

    def __call__(self, fault: BaseException | None) -> None:
        with self._lock:
            self._left -= 1
            self._fault = self._fault or fault
            last = self._left == 0
        if last:
            self._done(self._fault)
