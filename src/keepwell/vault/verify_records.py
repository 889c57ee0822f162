"""Verifying a vault, the third grade: every account can be restored from it, as the ledger says.

Each account is read as a restore reads it: every record decoded, proven and chained to the one before, every put with
its bytes. The records are replayed, and the ledger they come to is compared with that of every frame that ends on the
way. Frames that the restore would not need are read as well, and must hold the same records.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from keepwell.model.errors import Damaged, KeepwellError, Locked, NotThere, StorageFault
from keepwell.model.names import AccountId, Digest, Kind, Lineage
from keepwell.model.record import Op, Record
from keepwell.storage.carrying import check_carried
from keepwell.storage.contract import Carried, Head
from keepwell.storage.memory_transaction import replaying
from keepwell.vault.catalogue import NOTHING, FrameRef
from keepwell.vault.findings import Found
from keepwell.vault.pack import LedgerNote, note_of
from keepwell.vault.reading import Findings, read_account
from keepwell.vault.vault import Vault

Progress = Callable[[int, int], None]
"""Called with what is done and what there is."""


def verify_records(
    vault: Vault, accounts: Sequence[AccountId], *, progress: Progress = lambda _done, _all: None
) -> Found:
    """Whether these accounts can be restored whole. Raises Locked, StorageFault."""
    found = Found()
    for number, account in enumerate(accounts, 1):
        found.add(verify_account(vault, account))
        progress(number, len(accounts))
    return found


def verify_account(vault: Vault, account: AccountId) -> Found:
    """Whether one account can be restored whole, up to what packs and tails say they hold. Raises Locked."""
    wanted, frames = vault.head(account), vault.frames(account)
    found = Found(objects=len(frames), octets=sum(ref.frame.length for ref in frames))
    passed_over = Findings()
    replay = _Replay(account, frames, found)
    try:
        for carried in read_account([vault], account, NOTHING, passed_over):
            replay.take(carried)
        replay.check_spare_frames(vault)
    except Locked:
        raise
    except StorageFault as error:
        vault.require_answers(error)
        found.damage(account, error.message)
        return found
    except (ValueError, KeepwellError) as error:
        found.damage(account, f"the record behind {replay.head.sequence}: {error}")
        return found
    for fault in passed_over.faults:
        found.damage(fault.name, fault.error.message)
    if replay.head.sequence < wanted.sequence:
        found.damage(account, f"its records can be read up to {replay.head.sequence}, not up to {wanted.sequence}")
    return found


class _Replay:
    """An account in the making, from its records alone; what does not fit goes into `found`."""

    def __init__(self, account: AccountId, frames: Sequence[FrameRef], found: Found) -> None:
        self._account = account
        self._frames = frames
        self._found = found
        self._ends: dict[int, list[FrameRef]] = {}
        for ref in frames:
            self._ends.setdefault(ref.frame.last, []).append(ref)
        self._transaction = replaying(account, Lineage(""))
        self._before: Record | None = None
        self._hashes: list[str] = []
        self._brought: set[Digest] = set()

    @property
    def head(self) -> Head:
        """The last record taken."""
        return self._transaction.head()

    def take(self, carried: Carried) -> None:
        """The next record. Raises Damaged and what a replay raises when it does not fit what is before it."""
        check_carried(self._account, self._before, carried)
        self._transaction.replay(carried.record)
        self._before = carried.record
        self._hashes.append(carried.record.hash)
        self._check_bytes(carried)
        self._check_ledger(carried.record.facts.seq)

    def check_spare_frames(self, vault: Vault) -> None:
        """Frames that were not needed hold the same records."""
        needed = vault.covering(self._account)
        for ref in self._frames:
            if ref in needed:
                continue
            try:
                lines = vault.read_frame(ref)
            except (Damaged, NotThere) as error:
                self._found.damage(ref.pack, error.message)
                continue
            for line in lines:
                self._check_same(ref.pack, line.record)

    def _check_bytes(self, carried: Carried) -> None:
        facts = carried.record.facts
        if facts.op is not Op.PUT or facts.digest is None or carried.erased:
            return
        if carried.body is not None:
            self._brought.add(facts.digest)
        elif facts.digest not in self._brought:
            self._found.damage(self._account, f"record {facts.seq}: its bytes {facts.digest} are nowhere")

    def _check_ledger(self, sequence: int) -> None:
        ends = self._ends.get(sequence)
        if not ends:
            return
        ledger: dict[Kind, LedgerNote] = note_of(self._transaction.ledger())
        for ref in ends:
            if ref.frame.ledger != ledger:
                self._found.damage(
                    ref.pack, f"the ledger of {self._account} after record {sequence} is not what its records come to"
                )

    def _check_same(self, pack: str, record: Record) -> None:
        sequence = record.facts.seq
        if sequence <= len(self._hashes) and record.hash != self._hashes[sequence - 1]:
            self._found.damage(pack, f"record {sequence} of {self._account} is another one than in other packs")
