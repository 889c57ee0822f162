"""A link to a vault: what one process brings to it, and how it goes out of service and comes back.

A link has a thread (`BatchThread`). It takes everything that waits, of whatever accounts, and brings it to the vault
with one sync (a tail, in a folder) or one object (a pack, in a bucket); so batches form by themselves, as in the
writers. What is done with a batch knows nothing of threads.

States of a vault here: *open* (takes part) → *down* (a write could not be confirmed, or another server took over).
What was committed and not confirmed when the vault went down was answered with Unavailable; it stays in the store and
is shipped when `reopen` succeeds, before the next write is taken.

The two copies never fork: the store's journal is the only one that is appended to; a vault gets its records, in its
order, and never one whose predecessor it has not. And no write begins in an account of which the vault has more.
A vault that follows gets no record that those which always confirm have not: when the store is lost, what only the
follower had would contradict what is acknowledged after.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from keepwell.ground.clock import Clock, render_moment
from keepwell.ground.entropy import Entropy, base32_word
from keepwell.model.errors import Damaged, Fenced, Forked, KeepwellError, StorageFault, Unavailable
from keepwell.model.names import AccountId, Kind
from keepwell.services.batch_thread import BatchThread
from keepwell.services.catch_up import CaughtUp, catch_up
from keepwell.services.outages import Outage, OutageBook, once
from keepwell.services.vault_settings import Role
from keepwell.storage.contract import Carried, Head, Store
from keepwell.vault.layout import tail_name
from keepwell.vault.ship import MayShip, Relation, Shipped, at_once, line_of, plan_ship, require_follows, ship
from keepwell.vault.tail import Tail
from keepwell.vault.vault import Vault

RETRY_SECONDS: Final = 5
"""When a client whose write could not be confirmed may try again."""

WAITING_SECONDS: Final = 60.0
"""How often it is looked whether other processes brought what is waited for."""

Done = Callable[[BaseException | None], None]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A committed batch on its way to a vault."""

    account: AccountId
    carried: list[Carried]
    done: Done


class Batches(Protocol):
    """Gathers what waits, and hands it on together."""

    def add(self, item: Waiting) -> None:
        """Let it wait; never blocks."""
        ...

    def close(self) -> None:
        """Hand on what waits, and end."""
        ...


class Compares(Protocol):
    """Brings store and vault together before anything is written to the vault."""

    def __call__(
        self, store: Store, vault: Vault, *, again: bool, is_complete: bool, may_ship: MayShip = at_once
    ) -> CaughtUp:
        """What was done; not `again`, nothing is, and Unavailable is raised unless it was done before.

        `is_complete`: the vault has everything that was ever acknowledged. Raises StorageFault, Fenced.
        """
        ...


def always_compare(
    store: Store, vault: Vault, *, again: bool, is_complete: bool, may_ship: MayShip = at_once
) -> CaughtUp:
    """Whether or not it was done before."""
    return catch_up(store, [vault], is_complete=is_complete, may_ship=may_ship)


MakeBatches = Callable[[Callable[[list[Waiting]], None], str], Batches]
"""From what is done with a batch, and a name."""


class VaultLink:
    """One vault that this process writes to. Invariant: `done(None)` is called only after the vault's sync."""

    def __init__(
        self,
        name: str,
        opener: Callable[[], Vault],
        store: Store,
        clock: Clock,
        entropy: Entropy,
        *,
        role: Role,
        compare: Compares = always_compare,
        book: OutageBook | None = None,
        make_batches: MakeBatches = BatchThread,
        make_lock: Callable[[], AbstractContextManager[object]] = threading.Lock,
    ) -> None:
        """To the vault that `opener` opens for writing; it is down until `reopen` succeeds.

        Outages are kept in the book. Batches come by a thread that a lock keeps apart from the keeper's, unless what
        simulates both is given.
        """
        self.name = name
        self.role = role
        self._opener = opener
        self._compare = compare
        self._vault: Vault | None = None
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._tail: Tail | None = None
        self._tail_heads: dict[AccountId, Head] = {}
        self._tail_lock = make_lock()
        self._known: dict[AccountId, Head] = {}
        self._confirmed: dict[AccountId, int] = {}
        """The last record of each account whose sync returned here."""
        self._refreshed = float("-inf")
        self.may_ship: MayShip = at_once
        """What may be brought to it when it follows; `Confirming` knows."""
        self._level: set[AccountId] = set()
        """Accounts of which the store has no less than the vault had when it was opened."""
        self._unfit: dict[AccountId, KeepwellError] = {}
        """Accounts whose records cannot be brought to the vault: damaged in the store, or not those that it has."""
        self._behind: set[AccountId] = set()
        self._under_way: set[AccountId] = set()
        self._behind_lock = threading.Lock()
        self._down: KeepwellError | None = Unavailable(f"vault {name} was not opened yet")
        self._outage: Outage | None = None
        """That which this link saw begin, while it lasts."""
        self.outages: list[Outage] = [] if book is None else list(book.all().get(name, ()))
        """When it took no part, as far back as that is known."""
        self._book = book
        self.shipped_records = 0
        """What this link has brought to the vault, for counting."""
        self._batches = make_batches(self._settle, f"keepwell-vault-{name}")

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
        self._batches.add(waiting)

    def note(self, account: AccountId) -> None:
        """The vault lacks something of this account, which `catch_up` brings."""
        with self._behind_lock:
            self._behind.add(account)

    def behind(self) -> int:
        """Accounts that it is known to lack something of, those that are being shipped included."""
        with self._behind_lock:
            return len(self._behind | self._under_way)

    def has_confirmed(self, account: AccountId, sequence: int) -> bool:
        """Whether the vault has this record, as far as this process knows.

        Another process may have confirmed it: now and then it is looked whether that one has shipped it by now. Of a
        vault that was never there nobody knows more than that it lacks what was written here since.
        """
        if sequence <= self._confirmed.get(account, 0):
            return True
        if self._vault is None:
            with self._behind_lock:
                return account not in self._behind
        if sequence > self._vault.head(account).sequence:
            with suppress(StorageFault):
                self._see_what_others_shipped()
        return sequence <= self._vault.head(account).sequence

    def note_lagging(self) -> None:
        """Note every account of which the store has more than the vault is known to have.

        What a process had noted goes with it, however it ends; so those that come after it look. Nor does anybody else
        see that a vault has more than the store since it was made good from another one: then it goes down, is opened
        anew, and brings that back. Raises Unavailable.
        """
        heads = {account: head for account, head in self._store.read_heads() if isinstance(head, Head)}
        for one in plan_ship(heads, {**self.vault.heads(), **self._known}):
            if one.relation is Relation.STORE_AHEAD:
                self.note(one.account)
            elif one.relation is Relation.STORE_BEHIND and one.account in heads:
                self._level.discard(one.account)
                self._require_level(one.account)

    def require(self, account: AccountId | None = None) -> None:
        """Raise Unavailable when no write may begin now, because this vault could not confirm it.

        Nor may one begin in an account of which the vault has more than the store, so that no record gets a number that
        is taken: the vault goes down with that, and reopening brings them back.
        """
        if account is not None:
            self._require_level(account)
        if self.role is Role.FOLLOWS:
            return
        fault = self._down or (None if account is None else self._unfit.get(account))
        if fault is not None and not (fault is self._down and self.goes_on_without):
            raise Unavailable(
                f"no write is taken now: vault {self.name} cannot confirm it ({fault.message})",
                hint="Reading goes on. Writes are taken again by themselves when the vault is back.",
                retry_after_seconds=RETRY_SECONDS,
            )

    def _require_level(self, account: AccountId) -> None:
        if self._down is not None or account in self._level:
            return
        there = self.vault.head(account)
        with self._store.account(account).reading() as snapshot:
            here, is_closed = snapshot.head(), len(snapshot.held()) == len(Kind)
        if here.sequence < there.sequence and not is_closed:
            fault = Unavailable(
                f"{account} ends with record {here.sequence}, and with {there.sequence} in vault {self.name}",
                hint="It gets the rest by itself, in a moment.",
                retry_after_seconds=RETRY_SECONDS,
            )
            self.go_down(fault)
            raise fault
        self._level.add(account)

    def catch_up(self) -> Shipped:
        """Ship what the vault lacks, as far as it was noted. Raises Fenced, StorageFault."""
        with self._behind_lock:
            self._under_way, self._behind = self._behind, set()
            left: AbstractSet[AccountId] = self._under_way
        try:
            shipped = ship(self.vault, self._store, sorted(left), may_ship=self.may_ship)
            left = shipped.failures.keys() | shipped.waiting
            if shipped.waiting:
                self._see_what_others_shipped()
            for account in self._under_way:
                self._unfit.pop(account, None)
            self._unfit.update(shipped.failures)
        finally:
            with self._behind_lock:
                self._behind |= left
                self._under_way = set()
        self.shipped_records += shipped.records
        if shipped.failures:
            self.vault.refresh()  # what is damaged here another process may have shipped: the next try begins behind it
        return shipped

    def _see_what_others_shipped(self) -> None:
        now = self._clock.monotonic()
        if now - self._refreshed >= WAITING_SECONDS:
            self._refreshed = now
            self.vault.refresh()

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
        """Take no part until `reopen`; that it does not is kept before any write is answered without it."""
        self._down = error
        if self._outage is None:
            self._outage = Outage(render_moment(self._clock.now()), error.message)
            self._tell(self._outage)

    def reopen(self, *, again: bool = True) -> CaughtUp:
        """Take part, once vault and store have the same journals; raises what still stands against it.

        An account that cannot be brought over holds up no other; in it no write begins.

        They are compared; not `again`, when it relies on another process of this server that did so in the same epoch.

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
        self._confirmed.clear()
        self._level.clear()
        is_complete = self.role is Role.CONFIRMS
        done = self._compare(self._store, self._vault, again=again, is_complete=is_complete, may_ship=self.may_ship)
        for account in done.waiting:
            self.note(account)
        self.catch_up()
        self._down = self._outage = None
        for outage in [one for one in self.outages if not one.until]:
            self._end(outage)
        return done

    def _end(self, outage: Outage) -> None:
        self._tell(msgspec.structs.replace(outage, until=render_moment(self._clock.now())))

    def _tell(self, outage: Outage) -> None:
        self.outages = list(once([*self.outages, outage]))
        if self._book is not None:
            self._book.keep(self.name, outage)

    def close(self) -> None:
        """Finish what waits, ship what the tail holds, and let go; nothing is written without the vault any more."""
        self._batches.close()
        if self._outage is not None:
            self._end(self._outage)
        try:
            if self._down is None:
                self.roll()
                self.catch_up()
        finally:
            if self._vault is not None:
                self._vault.close()

    def _settle(self, batch: list[Waiting]) -> None:
        """Never raises: whatever happens, every batch gets its answer."""
        fault, refused = self._down, dict[AccountId, KeepwellError]()
        if fault is None:
            try:
                refused = self._bring(batch)
            except KeepwellError as error:
                fault = error
            except Exception as error:  # a fault of ours is no yes
                fault = StorageFault(f"vault {self.name} could not be written: {error!r}")
            if fault is not None:
                self.go_down(fault)
        for one in batch:
            error_of_one = fault or refused.get(one.account)
            if error_of_one is None:
                one.done(None)
                continue
            self.note(one.account)
            goes_on = fault is not None and self.goes_on_without
            one.done(None if goes_on else _unconfirmed(self.name, error_of_one))

    def _bring(self, batch: list[Waiting]) -> dict[AccountId, KeepwellError]:
        """Bring it to the vault; which accounts could not be, and why: damaged in the store, or forked."""
        new, refused = self._missing(batch)
        if not new:
            return refused
        with self._tail_lock:
            if self._tail is None:
                self._tail = self._begin_tail()
            if self._tail is not None:
                self._append(self._tail, new)
                return refused
        accounts = sorted({one.record.facts.account for one in new})
        shipped = ship(self.vault, self._store, accounts)
        self.shipped_records += shipped.records
        for account in accounts:
            if account not in shipped.failures:
                self._known[account] = self.vault.head(account)
                self._confirmed[account] = self._known[account].sequence
        return {**refused, **shipped.failures}

    def _begin_tail(self) -> Tail | None:
        name = tail_name(self.vault.epoch, base32_word(self._entropy, 80))
        log = self.vault.medium.open_log(name)
        return None if log is None else Tail(name, log, self.vault.seal)

    def _missing(self, batch: list[Waiting]) -> tuple[list[Carried], dict[AccountId, KeepwellError]]:
        """What of the batch the vault has not, in order, and which accounts cannot be brought to it.

        Where a batch leaves a gap the store is read; so it is where a batch brought nothing. Then a process may have
        died between commit and vault, or a commit failed after it was done; and whoever was refused because of what is
        there now goes by that, so the vault must have it too.
        """
        new: list[Carried] = []
        refused: dict[AccountId, KeepwellError] = {}
        for one in batch:
            if one.account in refused:
                continue
            head = self._known.get(one.account) or self.vault.head(one.account)
            carried = [each for each in one.carried if each.record.facts.seq > head.sequence]
            if one.account not in self._known or not one.carried or _leaves_gap(head, carried):
                try:
                    carried = self._from_store(one.account, head)
                except KeepwellError as error:
                    refused[one.account] = error
                    continue
            for each in carried:
                head = Head(each.record.facts.seq, each.record.hash)
            self._known[one.account] = head
            new += carried
        return new, refused

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
        self._confirmed.update((account, head.sequence) for account, head in heads.items())
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
