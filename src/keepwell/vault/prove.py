"""Proving one account in vaults before anything is built on it: read as a restore would, with nothing kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from keepwell.model.errors import Damaged
from keepwell.model.names import AccountId, Digest
from keepwell.model.record import Op, Record
from keepwell.storage.carrying import check_carried
from keepwell.storage.contract import Carried, Head
from keepwell.vault.catalogue import NOTHING
from keepwell.vault.reading import Findings, read_account
from keepwell.vault.vault import Vault


def prove_account(vaults: Sequence[Vault], account: AccountId, reaching: Iterable[Head] = ()) -> Head:
    """Where the account ends that can be restored whole from these vaults together.

    Raises Damaged when a put's bytes are nowhere, or when one of the heads in `reaching` is not among its records;
    Locked, StorageFault.
    """
    wanted = {head.sequence: head for head in reaching if head.sequence}
    findings = Findings()
    proof = _Proof(account)
    for carried in read_account(vaults, account, NOTHING, findings):
        proof.take(carried)
        head = proof.head
        if wanted.get(head.sequence, head) != head:
            raise Damaged(f"record {head.sequence} of {account} is another one in {_names(vaults)}")
    if wanted and max(wanted) > proof.head.sequence:
        reasons = "; ".join(fault.error.message for fault in findings.faults)
        raise Damaged(
            f"{account} can be read up to record {proof.head.sequence} from {_names(vaults)}, not up to "
            f"{max(wanted)}. {reasons}"
        )
    return proof.head


def _names(vaults: Sequence[Vault]) -> str:
    return ", ".join(f"vault {vault.name}" for vault in vaults) or "no vault"


class _Proof:
    """An account's records as they come, each proven to follow the one before and to have its bytes."""

    def __init__(self, account: AccountId) -> None:
        self._account = account
        self._before: Record | None = None
        self._brought: set[Digest] = set()

    @property
    def head(self) -> Head:
        return NOTHING if self._before is None else Head(self._before.facts.seq, self._before.hash)

    def take(self, carried: Carried) -> None:
        check_carried(self._account, self._before, carried)
        self._before = carried.record
        facts = carried.record.facts
        if facts.op is not Op.PUT or facts.digest is None or carried.erased:
            return
        if carried.body is not None:
            self._brought.add(facts.digest)
        elif facts.digest not in self._brought:
            raise Damaged(f"record {facts.seq} of {self._account}: its bytes {facts.digest} are nowhere")
