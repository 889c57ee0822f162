"""What a salvage could not bring back of one account, by what the copies say of it. Pure.

Expected is what the newest ledger says that any copy notes (a pack's index, a manifest, the account's file). Names come
from records whose bytes are nowhere, and from item rows that name a record that is gone. Where items are known to be
missing and no row names them, they are counted only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from keepwell.model.names import HOME_OF, Kind
from keepwell.model.record import Op
from keepwell.storage.sqlite_fragments import CollectionSaid, ItemSaid
from keepwell.vault.loss import ITEMS_MAX, AccountLoss, Fate, Gap, KindLoss, LostItem
from keepwell.vault.pack import LedgerNote
from keepwell.vault.salvage.plan import AccountPlan, Addition, HasBytes


@dataclass(frozen=True, slots=True)
class Said:
    """What copies say of an account, proven by nothing: its highest record, its newest ledger, and rows of items."""

    head: int = 0
    ledger: dict[Kind, LedgerNote] = field(default_factory=dict)
    items: list[ItemSaid] = field(default_factory=list)
    collections: dict[int, CollectionSaid] = field(default_factory=dict)


def assess(plan: AccountPlan, said: Said, login: str = "") -> AccountLoss:
    """What is lost of the account when it becomes what is planned."""
    history = plan.history
    named = list(_named(plan, said))
    items = sorted([*_lacking(plan, named), *named], key=lambda one: one.seq)
    gaps = list(history.gaps)
    if said.head > history.reach:
        gaps.append(Gap(history.reach + 1, said.head, history.until))
    known = {one.kind for one in plan.ledger} | said.ledger.keys() | {one.kind for one in items}
    return AccountLoss(
        account=plan.account,
        login=login,
        records_expected=max(said.head, history.reach),
        records_recovered=sum(len(run) for run in history.runs),
        kinds=tuple(_kind_loss(kind, plan, said, items, gaps) for kind in Kind if kind in known),
        gaps=tuple(gaps),
        items=tuple(items[:ITEMS_MAX]),
        items_left_out=max(0, len(items) - ITEMS_MAX),
    )


def kinds_to_hold(loss: AccountLoss, said: Said) -> list[Kind]:
    """Kinds of which it is not proven that everything is there; all when no ledger says what is gone."""
    if loss.gaps and not said.ledger:
        return [kind for kind in Kind if kind is not Kind.SYSTEM]
    return [one.kind for one in loss.kinds if not one.proven and one.kind is not Kind.SYSTEM]


def _lacking(plan: AccountPlan, named: list[LostItem]) -> Iterator[LostItem]:
    """Versions whose bytes are nowhere; one of which a row names a later version is none of the items as they are."""
    later = {(one.kind, one.collection, one.name) for one in named}
    for one in plan.lacking:
        facts = one.facts
        yield LostItem(
            kind=cast(Kind, facts.kind),  # a put without a kind has no place, and nothing is noted of it
            collection=facts.collection,
            name=facts.name,
            seq=facts.seq,
            at=facts.at,
            size=facts.size or 0,
            fate=Fate.INCOMPLETE,
            is_current=one.is_current and (facts.kind, facts.collection, facts.name) not in later,
        )


def additions(plan: AccountPlan, said: Said, has_bytes: HasBytes) -> list[Addition]:
    """Items whose record is gone, while a row of a damaged file names them and their bytes are there."""
    return [
        Addition(
            account=plan.account,
            kind=collection.kind,
            collection=collection.name,
            name=item.name,
            uid=item.uid,
            media_type=item.media_type,
            digest=item.digest,
            size=item.size,
            at=item.modified,
            origin=f"a row, record {item.sequence}",
            is_newer=True,
            properties=item.properties,
        )
        for collection, item in _without_record(plan, said)
        if has_bytes(item.digest)
    ]


def _named(plan: AccountPlan, said: Said) -> Iterator[LostItem]:
    for collection, item in _without_record(plan, said):
        name = (HOME_OF[collection.kind], collection.name, item.name)
        yield LostItem(
            kind=collection.kind,
            collection=collection.name,
            name=item.name,
            seq=item.sequence,
            at=item.modified,
            size=item.size,
            fate=Fate.INCOMPLETE if name in plan.items else Fate.LOST,
            is_current=True,
        )


def _without_record(plan: AccountPlan, said: Said) -> Iterator[tuple[CollectionSaid, ItemSaid]]:
    """Items whose record is gone, when a row names them and no later change of them is known."""
    records = [record.facts for run in plan.history.runs for record in run]
    proven = {facts.seq for facts in records}
    made = {
        facts.seq: CollectionSaid(facts.seq, facts.kind, facts.collection)
        for facts in records
        if facts.op is Op.MAKE and facts.kind is not None
    }
    collections = said.collections | made
    for item in said.items:
        collection = collections.get(item.collection_id)
        if collection is None or item.sequence in proven:
            continue
        home = HOME_OF[collection.kind]
        name = (home, collection.name, item.name)
        later = max(plan.changed.get(name, 0), plan.changed.get((home, collection.name, ""), 0))
        if later < item.sequence and plan.items.get(name) != item.digest:
            yield collection, item


def _kind_loss(kind: Kind, plan: AccountPlan, said: Said, items: list[LostItem], gaps: list[Gap]) -> KindLoss:
    current = [one for one in items if one.kind is kind and one.is_current]
    names = {(HOME_OF[kind], one.collection, one.name) for one in current if one.fate is Fate.INCOMPLETE}
    stale = len(names & plan.items.keys())
    entry = next((one for one in plan.ledger if one.kind is kind), None)
    here = entry.count if entry else 0
    noted = said.ledger.get(kind)
    is_newest = noted is not None and noted[0] >= plan.kinds.get(kind, 0)
    is_same = noted is not None and is_newest and (entry.set_hash_text if entry else "0" * 64) == noted[2]
    missing = noted[1] - plan.counts.get(kind, 0) if noted and not is_same else 0
    lost = max(sum(one.fate is Fate.LOST for one in current), missing, 0)
    return KindLoss(
        kind=kind,
        expected=noted[1] if noted is not None and is_newest else here - stale + len(names) + lost,
        recovered=here - stale,
        incomplete=len(names),
        lost=lost,
        proven=not names and not lost and (is_same or not gaps),
    )
