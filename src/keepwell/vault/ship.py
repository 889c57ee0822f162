"""Shipping: bringing a vault up to what the store has, account by account.

`plan_ship` decides, purely, from the heads of both sides. `ship` reads the store's records behind the vault's head in
one snapshot, each proven as it is read, and puts them into packs; what does not prove itself is never shipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import takewhile
from typing import Final

from keepwell.model.errors import Damaged, Forked, KeepwellError, NotThere, StorageFault, Unavailable
from keepwell.model.ledger import LedgerEntry
from keepwell.model.names import AccountId, Kind, Lineage
from keepwell.model.record import Record, check_follows
from keepwell.storage.contract import Carried, Head, Snapshot, Store
from keepwell.storage.memory_transaction import replaying
from keepwell.vault.catalogue import NOTHING
from keepwell.vault.layout import epoch_of
from keepwell.vault.lines import Line, render_line
from keepwell.vault.pack import SHIP_LEVEL, Run, note_of
from keepwell.vault.prove import prove_account
from keepwell.vault.reading import read_account
from keepwell.vault.vault import Vault

INLINE_OCTETS_MAX: Final = 128 * 1024
"""From this size on, an item's bytes are a blob of the vault, as they are in the store."""

PACK_OCTETS: Final = 32 * 1024 * 1024
"""Unpacked lines after which a pack is closed: what is held in memory while shipping."""


class Relation(StrEnum):
    """How the store's journal of an account stands to the vault's."""

    EQUAL = "equal"
    STORE_AHEAD = "store ahead"
    STORE_BEHIND = "store behind"
    UNLIKE = "unlike"
    """The same sequence with another hash: a fork."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both heads of one account; sequence 0 where it is not at all."""

    account: AccountId
    store: Head
    vault: Head

    @property
    def relation(self) -> Relation:
        """By sequence; whether the longer one really continues the shorter is proven when records are read."""
        if self.store == self.vault:
            return Relation.EQUAL
        if self.store.sequence == self.vault.sequence:
            return Relation.UNLIKE
        return Relation.STORE_AHEAD if self.store.sequence > self.vault.sequence else Relation.STORE_BEHIND


@dataclass(frozen=True, slots=True)
class Shipped:
    """What came of shipping: records and accounts that are in the vault now, and what could not be shipped."""

    records: int = 0
    accounts: int = 0
    failures: Mapping[AccountId, KeepwellError] = field(default_factory=dict)
    waiting: frozenset[AccountId] = frozenset()
    """Accounts that may not be shipped yet."""


MayShip = Callable[[AccountId, int], bool]
"""Whether an account may be shipped now, up to this record, which is its last."""


def at_once(_account: AccountId, _sequence: int) -> bool:
    """Whatever it is."""
    return True


def plan_ship(store: Mapping[AccountId, Head], vault: Mapping[AccountId, Head]) -> list[Comparison]:
    """Every account whose heads differ, in order; pure."""
    accounts = sorted(store.keys() | vault.keys())
    compared = (Comparison(one, store.get(one, NOTHING), vault.get(one, NOTHING)) for one in accounts)
    return [one for one in compared if one.relation is not Relation.EQUAL]


def ship(
    vault: Vault,
    store: Store,
    accounts: Iterable[AccountId],
    progress: Callable[[AccountId], None] = lambda _one: None,
    *,
    may_ship: MayShip = at_once,
) -> Shipped:
    """Put what the store has of these accounts and the vault's packs have not into packs; durable on return.

    An account that cannot be shipped does not hold up the others; why is in the answer. Raises Fenced, and StorageFault
    of the vault's medium.
    """
    shipment = _Shipment(vault)
    failures: dict[AccountId, KeepwellError] = {}
    waiting: set[AccountId] = set()
    for account in accounts:
        try:
            with store.account(account).reading() as snapshot:
                run = run_of(snapshot, vault.packed_head(account), shipment.put_blob)
        except (Damaged, StorageFault) as error:
            if error is shipment.fault:
                raise
            failures[account] = error
            continue
        if run is not None and not may_ship(account, run.last):
            waiting.add(account)
        elif run is not None:
            shipment.add(run)
        progress(account)
    shipment.finish()
    return Shipped(shipment.records, shipment.accounts, failures, frozenset(waiting))


def run_of(snapshot: Snapshot, after: Head, put_blob: Callable[[bytes], str]) -> Run | None:
    """The records of a snapshot behind `after`, as a run; None when there are none.

    Raises Forked when `after` is not in the snapshot's journal, Damaged when a record or its bytes are not proven.
    """
    head = snapshot.head()
    if head == after:
        return None
    if head.sequence <= after.sequence:
        raise Forked(
            f"{snapshot.account()} ends with record {head.sequence} here, and with record {after.sequence} in the vault"
        )
    making = _RunInTheMaking(after, put_blob)
    for carried in snapshot.carried(after.sequence):
        making.add(carried)
    if making.head != head:
        raise Damaged(f"the journal of {snapshot.account()} does not lead to its head, record {head.sequence}")
    return making.run(snapshot.ledger())


def ship_from(vault: Vault, sources: Sequence[Vault], account: AccountId) -> int:
    """Put what other vaults have of an account and this one's packs have not into a pack; how many records.

    Raises Damaged, Forked, Locked, Fenced, StorageFault.
    """
    after = vault.packed_head(account)
    prove_account(sources, account, [after])
    making, replay = _RunInTheMaking(after, vault.put_blob), replaying(account, Lineage(""))
    for carried in read_account(sources, account):
        replay.replay(carried.record)
        if carried.record.facts.seq > after.sequence:
            making.add(carried)
    if making.head != after:
        vault.put_pack([making.run(replay.ledger())], level=SHIP_LEVEL)
    return making.head.sequence - after.sequence


class _RunInTheMaking:
    """The lines of one account's successive records behind `after`."""

    def __init__(self, after: Head, put_blob: Callable[[bytes], str]) -> None:
        self._after = after
        self._put_blob = put_blob
        self._lines: list[bytes] = []
        self._blobs: list[str] = []
        self._ends: list[Record] = []
        """The first record and the last; one when they are the same."""

    @property
    def head(self) -> Head:
        return Head(self._ends[-1].facts.seq, self._ends[-1].hash) if self._ends else self._after

    def add(self, carried: Carried) -> None:
        """The next record. Raises Damaged, Forked."""
        require_follows(self._after, self._ends[-1] if self._ends else None, carried.record)
        self._lines.append(line_of(carried, self._put_blob, self._blobs))
        self._ends = [*self._ends[:1], carried.record]

    def run(self, ledger: dict[Kind, LedgerEntry]) -> Run:
        """What becomes a frame; the ledger is that after the last record. There must be one."""
        first, last = self._ends[0].facts, self._ends[-1].facts
        return Run(
            account=first.account,
            lineage=last.lineage,
            first=first.seq,
            last=last.seq,
            prev=first.prev,
            head=self._ends[-1].hash,
            since=first.at,
            until=last.at,
            lines=b"".join(self._lines),
            ledger=note_of(ledger),
            blobs=tuple(dict.fromkeys(self._blobs)),
        )


def line_of(carried: Carried, put_blob: Callable[[bytes], str], blobs: list[str]) -> bytes:
    """A record's line; large bytes go to the vault first, and their object's name is added to `blobs`."""
    if carried.body is None or len(carried.body) < INLINE_OCTETS_MAX:
        return render_line(carried)
    blobs.append(put_blob(carried.body))
    return render_line(carried, blobs[-1])


def require_follows(after: Head, before: Record | None, record: Record) -> None:
    """Raise Damaged unless `record` proves itself and follows `before`, or else `after`; Forked if that is another."""
    facts = record.facts
    if before is None and after.sequence and facts.seq == after.sequence + 1 and facts.prev != after.hash:
        raise Forked(f"record {after.sequence} of {facts.account} in the vault is not the one that is here")
    end = after if before is None else Head(before.facts.seq, before.hash)
    check_follows(end.sequence, end.hash, record)


class _Shipment:
    """Runs on their way into packs."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._runs: list[Run] = []
        self._octets = 0
        self.fault: KeepwellError | None = None
        """What the vault's medium failed with, to tell it from what the store fails with."""
        self.records = 0
        self.accounts = 0

    def put_blob(self, body: bytes) -> str:
        try:
            return self._vault.put_blob(body)
        except KeepwellError as error:
            self.fault = error
            raise

    def add(self, run: Run) -> None:
        self._runs.append(run)
        self._octets += len(run.lines)
        self.records += run.last - run.first + 1
        self.accounts += 1
        if self._octets >= PACK_OCTETS:
            self.finish()

    def finish(self) -> None:
        if self._runs:
            self._vault.put_pack(self._runs, level=SHIP_LEVEL)
        self._runs, self._octets = [], 0


def pack_tails(vault: Vault, store: Store) -> Shipped:
    """Ship what the tails of earlier epochs confirmed, and remove those of which packs have everything.

    Their writers are fenced, so nothing more comes into them that counts. Raises Fenced, StorageFault.
    """
    tails = {account: lines for account in vault.heads() if (lines := vault.tail_lines(account))}
    shipped = ship(vault, store, sorted(tails.keys() & set(store.accounts())))
    if all(one not in shipped.failures and _are_packed(vault, store, one, lines) for one, lines in tails.items()):
        vault.remove_tails([name for name in vault.tails() if (epoch_of(name) or 0) < vault.epoch])
    return shipped


def _are_packed(vault: Vault, store: Store, account: AccountId, lines: Sequence[Line]) -> bool:
    """Whether packs have these very records: they lead so far, and the store, which they were shipped from, has them.

    A store that was made anew without what stands behind damage here may have others under the same numbers.
    """
    wanted = {line.record.facts.seq: line.record.hash for line in lines}
    if max(wanted) > vault.packed_head(account).sequence:
        return False
    try:
        with store.account(account).reading() as snapshot:
            records = takewhile(lambda one: one.facts.seq <= max(wanted), snapshot.records(min(wanted) - 1))
            return wanted.items() <= {one.facts.seq: one.hash for one in records}.items()
    except (Damaged, NotThere, Unavailable):
        return False
