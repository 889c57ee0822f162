"""Catching up: what a start does before anything is served, so that store and vaults have the same journals again.

Each account's head in the store is compared with its head in every vault (`plan_catch_up`, pure), and then:

- the store is behind (an older copy was put back; SQLite dropped the end of a damaged log): it is extended from the
  vault that has most, record by record, each proven. Nothing is lost on either side, the lineage goes on, and sync
  tokens stay valid;
- the store has no such account: it is restored from the vault;
- its file is damaged: it is set aside, and the account restored, if one of the vaults has everything that was ever
  acknowledged; else it is held, and whatever mends accounts goes on with it;
- its file cannot be read for now (a full disk, too many open files): nothing is done at all, and that is told;
- a vault is behind: it is shipped what it lacks;
- what comes back ends before the last record that a vault tells of: the account is held (503 for everything in it) and
  told, until a later start finds the rest;
- both went different ways: the account is held and told; nothing is overwritten.

It may be stopped at any point: each account is changed in one transaction, and what was not reached is found again at
the next start. An account that was held because it was behind, and could not be extended, is let go once it can.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from keepwell.model.errors import Damaged, Forked, KeepwellError, Locked, NotThere, StorageFault
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Kind, Lineage
from keepwell.services.indexing import index_again
from keepwell.services.repair import HELD
from keepwell.storage.contract import Head, Store
from keepwell.storage.sqlite_check import is_damage
from keepwell.vault.catalogue import NOTHING
from keepwell.vault.reading import Findings, read_account
from keepwell.vault.ship import MayShip, at_once, ship
from keepwell.vault.vault import EndTold, Vault

BEHIND: Final = "it is behind its vault: "
"""How the reason begins for which such an account is held."""

HEALED_BATCH = 2000
"""Records in one transaction while an account is extended."""


class Deed(StrEnum):
    """What is done about an account."""

    EXTEND = "extend"
    RESTORE = "restore"
    SHIP = "ship"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Step:
    """One deed for one account; `source` is the place in the list of vaults of the one to read from.

    `reason` is why, and what people are told of what is held is `held`, when that is something else.
    """

    deed: Deed
    account: AccountId
    source: int = 0
    reason: str = ""
    held: str = ""


@dataclass(slots=True)
class CaughtUp:
    """What was done, and what could not be."""

    heads: dict[AccountId, Head | Exception] = field(default_factory=dict)
    """Where the store's journals end now; none when there was no vault to compare them with."""
    extended: dict[AccountId, int] = field(default_factory=dict)
    """Records that came back into the store."""
    restored: dict[AccountId, int] = field(default_factory=dict)
    held: dict[AccountId, str] = field(default_factory=dict)
    shipped: int = 0
    waiting: set[AccountId] = field(default_factory=set)
    """Accounts that may not be shipped yet."""
    faults: list[str] = field(default_factory=list)


def plan_catch_up(
    store: Mapping[AccountId, Head | BaseException], vaults: Sequence[Mapping[AccountId, Head]], *, is_complete: bool
) -> list[Step]:
    """What brings store and vaults together, the system account first; pure.

    `is_complete`: one of the vaults has everything that was ever acknowledged. Shipping is planned for an account when
    any vault has less than the fullest copy: it is cheap to find out which.
    """
    accounts = sorted(store.keys() | {one for heads in vaults for one in heads}, key=_system_first)
    return [step for one in accounts for step in _steps(one, store.get(one, NOTHING), vaults, is_complete=is_complete)]


def _steps(
    account: AccountId, here: Head | BaseException, vaults: Sequence[Mapping[AccountId, Head]], *, is_complete: bool
) -> list[Step]:
    heads = [heads.get(account, NOTHING) for heads in vaults]
    source = max(range(len(heads)), key=lambda index: heads[index].sequence)
    fullest = heads[source]
    if isinstance(here, BaseException):
        if fullest.sequence == 0:
            return [Step(Deed.HOLD, account, reason=f"it cannot be read, and no vault has it: {here}", held=HELD)]
        if not is_complete:
            reason = f"it cannot be read, and no vault is here that must have all of it: {here}"
            return [Step(Deed.HOLD, account, reason=reason, held=HELD)]
        return [Step(Deed.RESTORE, account, source, str(here)), *_shipping(account, fullest, heads)]
    if here.sequence == 0 and fullest.sequence:
        return [Step(Deed.RESTORE, account, source, "it is not here"), *_shipping(account, fullest, heads)]
    if here.sequence < fullest.sequence:
        return [Step(Deed.EXTEND, account, source), *_shipping(account, fullest, heads)]
    if here.sequence == fullest.sequence and here.hash != fullest.hash:
        return [Step(Deed.HOLD, account, source, f"record {here.sequence} is another here than in the vault")]
    return _shipping(account, here, heads)


def _shipping(account: AccountId, fullest: Head, heads: Sequence[Head]) -> list[Step]:
    return [Step(Deed.SHIP, account)] if any(head != fullest for head in heads) else []


def _system_first(account: AccountId) -> tuple[bool, str]:
    return account != SYSTEM_ACCOUNT, account


def catch_up(store: Store, vaults: Sequence[Vault], *, is_complete: bool, may_ship: MayShip = at_once) -> CaughtUp:
    """Bring store and vaults, which are open for writing, together, as far as they can be read.

    `is_complete`: one of the vaults has everything that was ever acknowledged. Raises StorageFault, also when an
    account cannot be read and that is not for damage, and Fenced.
    """
    done = CaughtUp()
    if not vaults:
        return done
    done.heads = dict(store.read_heads())
    for account, head in done.heads.items():
        if isinstance(head, BaseException) and not is_damage(head):
            raise StorageFault(
                f"{account} cannot be read now: {head}", hint="Nothing was changed. Is its disk full, or gone?"
            ) from head
    for vault in vaults:  # what lies in one that was lost meanwhile may be its loser's, and would be brought elsewhere
        vault.require_epoch()
    steps = plan_catch_up(done.heads, [vault.heads() for vault in vaults], is_complete=is_complete)
    to_ship: list[AccountId] = []
    for step in steps:
        if step.deed is Deed.SHIP:
            if step.account not in done.held:
                to_ship.append(step.account)
            continue
        try:
            _carry_out(store, vaults, step, done)
        except (Damaged, Locked, NotThere) as error:
            behind = BEHIND + error.message if step.deed is Deed.EXTEND else ""
            _hold(store, step.account, error.message, done, behind)
    _hold_what_is_short(store, vaults, done)
    for vault in vaults:
        shipped = ship(vault, store, to_ship, may_ship=may_ship)
        done.shipped += shipped.records
        done.waiting |= shipped.waiting
        for account, failure in shipped.failures.items():
            if isinstance(failure, Forked):
                _hold(store, account, failure.message, done)
            else:
                done.faults.append(failure.message)
        done.faults += [problem.message for problem in vault.problems]
    for account in {*done.extended, *done.restored, *done.held}:
        done.heads[account] = _head_now(store, account)
    return done


def _head_now(store: Store, account: AccountId) -> Head | Exception:
    try:
        with store.account(account).reading() as snapshot:
            return snapshot.head()
    except KeepwellError as error:
        return error


def _carry_out(store: Store, vaults: Sequence[Vault], step: Step, done: CaughtUp) -> None:
    match step.deed:
        case Deed.EXTEND:
            done.extended[step.account] = _brought(extend_from, store, vaults, step)
        case Deed.RESTORE:
            done.restored[step.account] = _brought(restore_from, store, vaults, step)
        case Deed.HOLD:
            _hold(store, step.account, step.reason, done, step.held)
        case Deed.SHIP:
            pass


def _brought(
    bring: Callable[[Store, Sequence[Vault], AccountId], int], store: Store, vaults: Sequence[Vault], step: Step
) -> int:
    """Bring the account from the fullest vault, and what is damaged there from wherever else it is; how many records.

    The others come second, as they may be locked. Raises what the fullest vault alone gave reason for.
    """
    fullest, account = vaults[step.source], step.account
    try:
        return bring(store, [fullest], account)
    except Damaged as error:
        others = [vault for vault in vaults if vault is not fullest]
        if not others:
            raise
        again = extend_from if account in store.accounts() else restore_from
        try:
            return again(store, [fullest, *others], account)
        except (Damaged, Locked):
            raise error from None


def extend_from(store: Store, vaults: Sequence[Vault], account: AccountId) -> int:
    """Append what the vaults have behind the store's head; how many records. Raises Damaged, Forked, Locked."""
    place = store.account(account)
    with place.reading() as snapshot:
        head = snapshot.head()
    findings = Findings()
    carried = list(read_account(vaults, account, head, findings))
    if not carried:
        faults = "; ".join(fault.error.message for fault in findings.faults)
        names = " and ".join(vault.name for vault in vaults)
        raise Forked(f"what vault {names} has does not continue record {head.sequence} of {account}. {faults}")
    for start in range(0, len(carried), HEALED_BATCH):
        place.extend(carried[start : start + HEALED_BATCH], index_again)
    return len(carried)


def restore_from(store: Store, vaults: Sequence[Vault], account: AccountId) -> int:
    """Make the account anew from vaults; a damaged one is set aside first. Raises Damaged, Locked."""
    if account in store.accounts():
        store.set_aside(account)
    place = store.restore(account, read_account(vaults, account), index_again)
    with place.reading() as snapshot:
        return snapshot.head().sequence


def _hold_what_is_short(store: Store, vaults: Sequence[Vault], done: CaughtUp) -> None:
    """Hold accounts of which vaults tell of later records than there are: a short listing is no answer.

    Before, the vaults are read together: one may have what leads to the records of another.
    """
    for account in {account for vault in vaults for account in vault.accounts()} - done.held.keys():
        known, head = _known_and_there(store, vaults, account, done)
        if known > head:
            with suppress(Damaged, Locked, NotThere):  # of one that is not here either, nothing leads to what is told
                count = extend_from(store, vaults, account)
                done.extended[account] = done.extended.get(account, 0) + count
                known, head = _known_and_there(store, vaults, account, done)
        if known > head:
            reason = f"its vaults tell of {known} records and give only {head}"
            _hold(store, account, reason, done, BEHIND + reason)
        elif account in done.extended or account in done.restored:
            _let_go(store, account)


def _known_and_there(store: Store, vaults: Sequence[Vault], account: AccountId, done: CaughtUp) -> tuple[int, int]:
    """The last record that is told of, and the last one in the store; twice zero when that cannot be read."""
    touched = account in done.extended or account in done.restored
    head = _head_now(store, account) if touched else done.heads.get(account, NOTHING)
    if not isinstance(head, Head):
        return 0, 0
    told = [end for vault in vaults for end in vault.ends_told(account)]
    if max((end.sequence for end in told), default=0) <= head.sequence:
        return head.sequence, head.sequence
    return _known_end(store, account, told), head.sequence


def _known_end(store: Store, account: AccountId, told: Sequence[EndTold]) -> int:
    """The last record that is told of, but for those of histories that have ended: about their rest was decided."""
    ended: set[Lineage] = set()
    with suppress(NotThere), store.account(account).reading() as snapshot:
        ended = {record.facts.lineage for record in snapshot.records()} - {snapshot.lineage()}
    return max((end.sequence for end in told if end.lineage not in ended), default=0)


def _hold(store: Store, account: AccountId, reason: str, done: CaughtUp, held: str = "") -> None:
    """Serve nothing of an account for now; one that cannot even be marked cannot be read either."""
    done.held[account] = reason
    try:
        others = {kind: why for kind, why in store.read_held(account).items() if not why.startswith((HELD, BEHIND))}
        store.account(account).hold({**dict.fromkeys(Kind, held or reason), **others})
    except KeepwellError as error:
        done.faults.append(error.message)


def _let_go(store: Store, account: AccountId) -> None:
    """Serve again what was held because it was behind."""
    held = store.read_held(account)
    others = {kind: why for kind, why in held.items() if not why.startswith(BEHIND)}
    if others != held:
        store.account(account).hold(others)
