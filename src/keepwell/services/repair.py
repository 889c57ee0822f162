"""Repairing an account of the store from vaults, while the service runs.

Nothing is done on suspicion: the account is read whole first. What is sound stays as it is; where only the medium does
not let it be read now (a full disk, too many open files) nothing is done either. Where only bytes of items are damaged
or gone, they are brought back into the account as it is. What is damaged otherwise is restored from vaults, if they
have everything that was acknowledged: the store's last record, or, where even that cannot be read, what the confirming
vaults have, which is everything. Else the account is held and told, and nothing is overwritten. An account that was
held so is let go when it is found to be sound after all: a medium may have errors and lose them again.

States, and what a crash leaves behind at each step:

0. bytes that vaults have are supplied to it: those that came are there, and the next look finds fewer damaged;
1. the account is read whole, then the vaults' copy, record by record and byte by byte: nothing;
2. `set_aside`, only while the last record is the one that was seen: nobody can write to the damaged file any more,
   which is kept; the account is not there, and answered with 503. A start finds it in the vaults and restores it;
3. the vaults are looked at once more, and the account restored from them: it appears whole or not at all;
4. what was held of it for other reasons is held again;
5. its last record is compared with what was wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

from keepwell.model.errors import Damaged, KeepwellError, NotThere, StorageFault
from keepwell.model.names import AccountId, Digest, Kind
from keepwell.model.record import Op, Record
from keepwell.services.indexing import index_again
from keepwell.storage.carrying import check_carried
from keepwell.storage.contract import Head, Store
from keepwell.storage.sqlite_audit import reading_unproven
from keepwell.storage.sqlite_check import is_damage
from keepwell.vault.prove import prove_account
from keepwell.vault.reading import Bodies, Findings, read_account
from keepwell.vault.vault import Vault


class Outcome(StrEnum):
    """What came of looking at a suspect account."""

    SOUND = "sound"
    RESTORED = "restored"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Copy:
    """A vault to repair from, opened for reading; one that confirms has everything that was ever acknowledged."""

    vault: Vault
    confirms: bool


@dataclass(frozen=True, slots=True)
class AccountRepair:
    """What was done about one account: why, how many records it has now, and where the damaged file is kept."""

    outcome: Outcome
    reason: str = ""
    records: int = 0
    aside: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is wrong with an account (empty: nothing), and its last record when that can be read."""

    damage: str
    head: Head | None


@runtime_checkable
class OwnFile(Protocol):
    """An account's place that has a file of its own, which can be read whole."""

    def prove_readable(self) -> None:
        """Read all that is in use. Raises Damaged, StorageFault."""
        ...


HELD: Final = "it is damaged, and no vault has all of it"


def repair_account(store: Store, copies: Sequence[Copy], account: AccountId) -> AccountRepair:
    """Restore the account from the vaults if it is damaged, and they have everything. Raises StorageFault, Unavailable.

    Nothing is changed when it raises, but after step 2 of those above, which is told by StorageFault.
    """
    found = diagnose(store, account)
    if not found.damage:
        return AccountRepair(Outcome.SOUND, "it is sound, and not held any more" if _let_go(store, account) else "")
    vaults = [copy.vault for copy in copies]
    for vault in vaults:
        vault.look()  # it may have got the last record while the file was read
    if found.head is not None and _bring_bytes(store, vaults, account) and not diagnose(store, account).damage:
        _let_go(store, account)
        return AccountRepair(Outcome.RESTORED, found.damage, found.head.sequence)
    wanted = wanted_heads(found.head, account, copies)
    try:
        if not wanted:
            raise Damaged("its last record cannot be read, and no vault that confirms is at hand to tell it")
        prove_account(vaults, account, wanted)
    except KeepwellError as error:
        if isinstance(error, StorageFault):
            raise
        return _hold(store, account, f"{found.damage}; {error.message}")
    held = _held_for_others(store, account)
    aside = store.set_aside(account, last=found.head)
    for vault in vaults:
        vault.look()
    store.restore(account, read_account(vaults, account), index_again)
    if held:
        store.account(account).hold(held)
    with store.account(account).reading() as snapshot:
        records = snapshot.head().sequence
    if records < max(head.sequence for head in wanted):
        raise StorageFault(f"{account} was restored up to record {records} only", hint=f"See {aside}.")
    return AccountRepair(Outcome.RESTORED, found.damage, records, aside)


def wanted_heads(head: Head | None, account: AccountId, copies: Sequence[Copy]) -> list[Head]:
    """What a copy must have to be put in the account's place; empty when nobody can tell."""
    if head is not None:
        return [head]
    return [found for copy in copies if copy.confirms and (found := copy.vault.head(account)).sequence]


def diagnose(store: Store, account: AccountId) -> Diagnosis:
    """Read an account whole. Raises StorageFault when its medium does not let it be read now; NotThere."""
    place = store.account(account)
    head: Head | None = None
    try:
        with reading_unproven(place) as snapshot:
            head = snapshot.head()
        if isinstance(place, OwnFile):
            place.prove_readable()
        _prove_journal(store, account)
    except NotThere:
        raise
    except Exception as error:  # damaged bytes can raise anything on their way through decoders
        if not is_damage(error):
            raise StorageFault(f"{account} cannot be read now: {error}", hint="Is its disk full, or gone?") from error
        return Diagnosis(str(error) or type(error).__name__, head)
    return Diagnosis("", head)


def _bring_bytes(store: Store, vaults: Sequence[Vault], account: AccountId) -> bool:
    """Bring damaged and missing bytes back from vaults; whether there were any, and all came.

    Unlike a restore this asks for no record of the vaults: they may lack the last ones, and still have every byte.
    """
    bodies, place = Bodies(vaults, account, Findings()), store.account(account)
    came = list[bool]()
    try:
        for digest in _unreadable(store, account):
            body = bodies.find(digest, "", None)
            came.append(body is not None)
            if body is not None:
                place.supply([body], index_again)
    except Exception:  # damaged bytes can raise anything on their way through decoders: then it is not only bytes
        return False
    return bool(came) and all(came)


def _unreadable(store: Store, account: AccountId) -> list[Digest]:
    """Digests that records name, and whose bytes are not there or are others; raises what reading records raises."""
    found = dict[Digest, None]()
    with reading_unproven(store.account(account)) as snapshot:
        for record in snapshot.records():
            digest = record.facts.digest if record.facts.op is Op.PUT else None
            if digest is None or digest in found:
                continue
            try:
                is_there = snapshot.content(digest) is not None or snapshot.is_erased(digest)
            except Damaged:
                is_there = False
            if not is_there:
                found[digest] = None
    return list(found)


def _prove_journal(store: Store, account: AccountId) -> None:
    before: Record | None = None
    with reading_unproven(store.account(account)) as snapshot:
        for carried in snapshot.carried():
            check_carried(account, before, carried)
            before = carried.record
        end = 0 if before is None else before.facts.seq
        if end != snapshot.head().sequence:
            raise Damaged(f"the journal of {account} ends with {end}, not with {snapshot.head().sequence}")


def _hold(store: Store, account: AccountId, reason: str) -> AccountRepair:
    """Serve nothing of it until it is whole again; one that cannot even be marked cannot be read either."""
    try:
        store.account(account).hold({**dict.fromkeys(Kind, HELD), **_held_for_others(store, account)})
    except KeepwellError as error:
        reason = f"{reason}; it cannot be held: {error.message}"
    return AccountRepair(Outcome.HELD, reason)


def _let_go(store: Store, account: AccountId) -> bool:
    """Serve again what was held here; whether anything was. Raises StorageFault."""
    if HELD not in store.read_held(account).values():
        return False
    store.account(account).hold(_held_for_others(store, account))
    return True


def _held_for_others(store: Store, account: AccountId) -> dict[Kind, str]:
    """What is held of it for other reasons than these, as far as that can be read."""
    try:
        return {kind: reason for kind, reason in store.read_held(account).items() if reason != HELD}
    except KeepwellError:
        return {}
