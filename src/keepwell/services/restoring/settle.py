"""What is done about an account that did not come back whole: it is told, and not served as if it were.

- A kind whose large bytes were left out is held until a later run brings them.
- A kind of which something is lost or incomplete is held until the operator decides: an unexplained short listing would
  have devices delete what the server merely lost. When records at the end are missing, nothing may be appended either:
  another copy may have them still.
- With the loss accepted (`--accept-loss`), nothing is held for it. What is there without bytes is removed by new
  records, which say so and can be rewound, because no listing is possible with it; and when records are missing a new
  lineage begins, so that no sync token of the lost ones is answered from what comes after.

May be done again; what others hold is left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Final

import msgspec

from keepwell.ground.entropy import SystemEntropy, base32_word
from keepwell.model.names import SYSTEM_ACCOUNT, Digest, Kind, Lineage
from keepwell.model.record import Op
from keepwell.services.restoring.account import Deferred, RestoredAccount
from keepwell.storage.contract import Collection, Entry, Item, Snapshot, Store, Transaction
from keepwell.vault.loss import AccountLoss, Expected, Fate, LostItem, There, loss_of

BY: Final = "keepwell restore"
"""What records of a restore say of who made them."""

HELD_BY_RESTORE: Final = "restore: "
"""How the reasons begin by which kinds are held here."""


class SettleTask(msgspec.Struct, frozen=True, kw_only=True):
    """An account, and of which of its puts the bytes are nowhere, or were left out."""

    restored: RestoredAccount
    login: str
    missing: tuple[Deferred, ...]
    left_out: tuple[Deferred, ...]
    accept_loss: bool


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What was lost, and which kinds are held now, and why."""

    loss: AccountLoss
    held: dict[Kind, str]


def settle(store: Store, task: SettleTask) -> Settled:
    """Tell what the account lost, and hold what is not whole, or open it when that is accepted. Raises StorageFault."""
    restored = task.restored
    if restored.head.sequence == 0:
        nothing = There(0, {})
        return Settled(loss=loss_of(restored.expected, nothing, task.login, restored.behind, restored.gaps), held={})
    place = store.account(restored.account)
    with place.reading() as snapshot:
        there, held = _by_digest(snapshot), snapshot.held()
    lacking = [item for one in task.missing for item in _versions(one, there)]
    found = There(restored.head.sequence, restored.ledger, lacking)
    loss = loss_of(restored.expected, found, task.login, restored.behind, restored.gaps)
    reasons = _left_out_reasons(task.left_out, there)
    if not task.accept_loss:
        reasons = _loss_reasons(loss, restored.expected) | reasons
    elif not loss.is_whole:
        (verdict,) = place.transact([partial(_accept, loss)])
        if isinstance(verdict, BaseException):
            raise verdict
    wanted = {kind: reason for kind, reason in held.items() if not reason.startswith(HELD_BY_RESTORE)} | reasons
    if wanted != held:
        place.hold(wanted)
    return Settled(loss=loss, held=wanted)


Spots = Mapping[Digest, Sequence[tuple[Collection, Item]]]


def _by_digest(snapshot: Snapshot) -> Spots:
    """Every item that is there, by its bytes."""
    found: dict[Digest, list[tuple[Collection, Item]]] = {}
    for collection in snapshot.collections():
        for item in snapshot.items(collection.id):
            found.setdefault(item.digest, []).append((collection, item))
    return found


def _versions(missing: Deferred, there: Spots) -> list[LostItem]:
    """The items that lack these bytes; when there are none now, the version that had them."""
    if missing.digest not in there:
        old = missing.kind, missing.collection, missing.name, missing.seq, missing.at, missing.size
        return [_incomplete(*old, is_current=False)]
    return [
        _incomplete(
            collection.kind, collection.name, item.name, item.sequence, item.modified, item.size, is_current=True
        )
        for collection, item in there[missing.digest]
    ]


def _incomplete(kind: Kind, collection: str, name: str, seq: int, at: str, size: int, *, is_current: bool) -> LostItem:
    return LostItem(
        kind=kind,
        collection=collection,
        name=name,
        seq=seq,
        at=at,
        size=size,
        fate=Fate.INCOMPLETE,
        is_current=is_current,
    )


def _left_out_reasons(left_out: Iterable[Deferred], there: Spots) -> dict[Kind, str]:
    counts: dict[Kind, int] = {}
    for one in left_out:
        for collection, _item in there.get(one.digest, ()):
            counts[collection.kind] = counts.get(collection.kind, 0) + 1
    return {
        kind: f"{HELD_BY_RESTORE}the bytes of {count} items were left out; run it again with --kind {kind}"
        for kind, count in counts.items()
    }


def _loss_reasons(loss: AccountLoss, expected: Expected) -> dict[Kind, str]:
    reasons: dict[Kind, str] = {}
    if loss.account != SYSTEM_ACCOUNT and not expected.tells_all(loss.records_recovered):
        missing = f"records {loss.records_recovered + 1} to {loss.records_expected} are missing"
        reasons = dict.fromkeys(Kind, f"{HELD_BY_RESTORE}{missing}, and nothing tells of which kinds they are")
    reasons |= {
        one.kind: (
            f"{HELD_BY_RESTORE}of {one.expected} items {one.recovered} came back,"
            f" {one.incomplete} are incomplete and {one.lost} lost; see loss-report.json"
        )
        for one in loss.kinds
        if not one.proven and one.kind is not Kind.SYSTEM
    }
    if loss.gaps and loss.account != SYSTEM_ACCOUNT:
        reasons[Kind.SYSTEM] = f"{HELD_BY_RESTORE}records {loss.gaps[0].first} to {loss.records_expected} are missing"
    return reasons


def _accept(loss: AccountLoss, transaction: Transaction) -> None:
    if loss.gaps:
        word = Lineage(base32_word(SystemEntropy(), 80))
        missing = f"{loss.records_recovered + 1} to {loss.records_expected}"
        transaction.begin_lineage(word, BY, {"reason": f"records {missing} are lost, and that was accepted"})
    for one in loss.items:
        if one.fate is Fate.INCOMPLETE and one.is_current:
            transaction.append(Entry(Op.REMOVE, BY, one.kind, one.collection, one.name))
