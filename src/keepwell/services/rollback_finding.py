"""What is known when an account's history went back: pure values and the words in which they are told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from keepwell.model.ledger import LedgerEntry
from keepwell.model.names import AccountId, Kind, Lineage
from keepwell.model.record import GENESIS
from keepwell.services.incidents import Cause, Incident
from keepwell.services.witness import Mark, has_mark, record_at
from keepwell.storage.contract import Head, Snapshot


@dataclass(frozen=True, slots=True)
class Here:
    """What an account is now: the end of its journal, when that was written, and what it holds."""

    head: Head
    at: str
    lineage: Lineage
    ledger: Mapping[Kind, LedgerEntry]
    held: Mapping[Kind, str]

    def count(self, kind: Kind) -> int:
        """Items of a kind."""
        entry = self.ledger.get(kind)
        return 0 if entry is None else entry.count


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known to be missing: record `sequence` of `lineage`, and by kind the last that was seen, where known."""

    account: AccountId
    login: str
    cause: Cause
    sequence: int
    lineage: Lineage
    lost: Mapping[Kind, Mark | None]
    formerly: AccountId | None = None


NOTHING_HERE: Final = Here(Head(0, GENESIS), "", Lineage(""), {}, {})


def look_at(snapshot: Snapshot) -> Here:
    """What the account of a snapshot is."""
    head = snapshot.head()
    last = record_at(snapshot, head.sequence)
    at = "" if last is None else last.facts.at
    return Here(head, at, snapshot.lineage(), snapshot.ledger(), snapshot.held())


def still_lost(snapshot: Snapshot, incident: Incident) -> set[Kind]:
    """The kinds of an incident that wait for a decision and are not back."""
    waiting = {kind: one for kind, one in incident.kinds.items() if one.is_open}
    if incident.cause is Cause.STATE:
        record = record_at(snapshot, incident.sequence_known)
        back = record is not None and record.facts.lineage == incident.lineage_before
        return set() if back else set(waiting) - {Kind.SYSTEM}
    if incident.formerly is not None:
        return set(waiting)
    marks = {kind: one.known for kind, one in waiting.items() if one.known is not None}
    return {kind for kind, mark in marks.items() if not has_mark(snapshot, mark)}


def healed(incident: Incident, lost: set[Kind], at: str, lineage: Lineage | None) -> Incident:
    """The incident once only `lost` is missing of it, and `lineage` began if it had to wait for that."""
    kinds = {
        kind: msgspec.structs.replace(one, healed_at=at) if one.is_open and kind not in lost else one
        for kind, one in incident.kinds.items()
    }
    return msgspec.structs.replace(incident, kinds=kinds, lineage=lineage or incident.lineage)


def reason_of(finding: Finding, kind: Kind, here: Here) -> str:
    """What is known to be missing of a kind, for people."""
    mark, ends = finding.lost.get(kind), f"the history ends with record {here.head.sequence} of {here.at[:16]}"
    if finding.formerly is not None and mark is not None:
        return f"the account that had this login is missing, with {mark.count} items; here are {here.count(kind)}"
    if finding.cause is Cause.MISSING and mark is not None:
        return f"the account is not here; it had {mark.count} items"
    if mark is not None:
        return f"{mark.count} items were known at record {mark.sequence}; here are {here.count(kind)}, and {ends}"
    if finding.cause is Cause.STATE:
        return f"a device has seen record {finding.sequence}, and here {ends}; nobody knows yet what is missing"
    return f"record {finding.sequence} was known, and here {ends}; a vault that may have the rest cannot be reached"


def why_of(finding: Finding, here: Here) -> dict[str, str]:
    """What the record says that begins the new lineage."""
    lost = {f"missing-{kind}": reason_of(finding, kind, here) for kind in finding.lost}
    return {"cause": "history went back", "record-known": str(finding.sequence), **lost}
