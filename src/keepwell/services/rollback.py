"""Histories that went back: found at a start by the witness, or while serving by what clients bring, and held.

An older copy of the data folder proves itself, so only what is outside it can tell: the witness (`services.witness`),
vaults (`services.catch_up`, which heals from them before this is asked), and clients.

**What counts as proof.** A sync token or state of this account's lineage with a sequence that is not there yet: a
server that lost nothing never gave it out. It holds every kind of the account, because the journal is one: whoever saw
record 45 of a journal that ends with 40 knows that five records are missing, not of which kinds. A client can invent
such a token, and holds nothing with it but its own account: of another's, shared with it, it gets 503 for itself alone.
An entity tag proves nothing: it is a digest, the same on a server that somebody moved from, and anyone's to invent.

**What is done**, and what a crash leaves behind at each step:

1. the kinds that are known not to be whole are held; a crash here, and the next start finds the same again;
2. a new lineage begins, so that no token of before is answered any more (one that begins twice does no harm);
3. the incident is noted (`services.incidents`); only now may the witness note anew.

While a vault cannot be reached that may still have what is missing, nothing may be appended to the journal, or the two
would fork: then the account is closed (every kind of it is held) and its lineage stays, until the vault is back and
heals it, or has nothing more either, or somebody gives it up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

import structlog

from keepwell.ground.clock import Clock, render_moment
from keepwell.ground.entropy import Entropy, base32_word
from keepwell.model.errors import KeepwellError, Unavailable
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Kind, Lineage
from keepwell.services.actor import Actor
from keepwell.services.incidents import Cause, Incident, Incidents, KindIncident
from keepwell.services.rollback_finding import (
    NOTHING_HERE,
    Finding,
    Here,
    healed,
    look_at,
    reason_of,
    still_lost,
    why_of,
)
from keepwell.services.witness import Mark, Sighting, has_items, lost_marks, record_at
from keepwell.storage.contract import Head, Store, Work

KEEPWELL: Final = "keepwell"
"""The `by` of the record that begins a new lineage."""

LINEAGE_BITS: Final = 80
INCIDENT_BITS: Final = 40

_log = structlog.get_logger()


@dataclass(kw_only=True)
class Rollbacks:
    """Finds, holds and notes histories that went back. May be used on any thread."""

    store: Store
    incidents: Incidents
    clock: Clock
    entropy: Entropy
    account_of: Callable[[str], AccountId | None]
    login_of: Callable[[AccountId], str | None]
    append: Callable[[AccountId, Work], object]
    """Does a work in an account; on return it is committed and confirmed. Raises Unavailable."""
    may_append: Callable[[], bool]
    """Whether every vault is there, so that none can have other records to follow a journal's head."""
    appended: set[AccountId] = field(default_factory=set)
    """Accounts in which a lineage began, which vaults do not know yet."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, seen: Mapping[AccountId, Sighting], heads: Mapping[AccountId, Head | Exception]) -> list[Incident]:
        """Compare every account with what was seen of it, and hold what is missing; the new incidents.

        For a start, before anything is served; `heads` are those of the store. Raises Damaged, StorageFault, OSError.
        """
        found = []
        for sighting in seen.values():
            head = heads.get(sighting.account)
            if isinstance(head, Exception) or head == Head(sighting.sequence, sighting.hash):
                continue  # what cannot be read is held and told by others
            finding = self._missing(sighting) if head is None else self._went_back(sighting)
            if finding is not None:
                found.append(self._hold(finding))
        return found

    def brought(self, actor: Actor, owner: AccountId, lineage: Lineage, sequence: int) -> bool:
        """Whether a state that a client brought, and that is not here, proves that something is missing.

        When it does, everything of the account is held, if it is the client's own.
        """
        try:
            here = self.here(owner)
            if lineage != here.lineage and not self._is_of_lost_future(owner, lineage, sequence):
                return False
            if actor.account == owner:
                self._hold_by_state(here, owner, lineage, sequence)
        except (KeepwellError, OSError) as error:
            _log.error("lineage.not_held", account=owner, reason=str(error))
        _log.warning("lineage.future_was_brought", account=owner, by=actor.login, sequence=sequence)
        return True

    def review(self) -> None:
        """Let go of what came back since, and begin lineages that had to wait. Raises Damaged, Unavailable, OSError."""
        with self._lock:
            waiting = dict.fromkeys(one.account for one in self.incidents.open())
            there = set(self.store.accounts()) if waiting else set()
            for account in waiting:
                if account in there:
                    self._review(account, [one for one in self.incidents.of(account) if one.is_open])

    def here(self, account: AccountId) -> Here:
        """What an account is now. Raises NotThere, Damaged, StorageFault."""
        with self.store.account(account).reading() as snapshot:
            return look_at(snapshot)

    def begin_lineage(self, account: AccountId, by: str, why: Mapping[str, str]) -> Lineage:
        """Begin a new lineage with a record that says why. Raises Unavailable, StorageFault."""
        lineage = Lineage(base32_word(self.entropy, LINEAGE_BITS))
        self.append(account, lambda transaction: transaction.begin_lineage(lineage, by, dict(why)))
        self.appended.add(account)
        return lineage

    def moment(self) -> str:
        """Now, as records write it."""
        return render_moment(self.clock.now())

    def _went_back(self, sighting: Sighting) -> Finding | None:
        account = sighting.account
        with self.store.account(account).reading() as snapshot:
            if len(snapshot.held()) == len(Kind):
                return None  # it is closed already, and told
            first = record_at(snapshot, 1)
            if account == SYSTEM_ACCOUNT and (first is None or first.hash != sighting.first):
                return None  # a new one: nobody signs in by what it does not have, and who is missing is told
            unknown, lineage = lost_marks(snapshot, sighting), snapshot.lineage()
            short = {kind: mark for kind, mark in unknown.items() if not has_items(snapshot, kind, mark)}
        if unknown and not short and lineage == sighting.lineage and self.may_append():
            # Every item is here, by other records than those that states and tokens speak of.
            self.begin_lineage(account, KEEPWELL, {"cause": "other records came to the same items"})
        lost = self._undecided(account, short)
        if not lost:
            return None
        return Finding(account, sighting.login, Cause.WITNESS, sighting.sequence, sighting.lineage, lost)

    def _missing(self, sighting: Sighting) -> Finding | None:
        """An account that is not here; where another one has its login now, its devices would empty themselves."""
        successor = self.account_of(sighting.login) if sighting.login else None
        account: AccountId = sighting.account
        formerly: AccountId | None = None
        if successor is not None and successor != account:
            account, formerly = successor, account
        lost = self._undecided(account, {kind: mark for kind, mark in sighting.kinds.items() if mark.count})
        if not lost:
            return None
        return Finding(account, sighting.login, Cause.MISSING, sighting.sequence, sighting.lineage, lost, formerly)

    def _undecided(self, account: AccountId, lost: Mapping[Kind, Mark]) -> dict[Kind, Mark]:
        """What is lost and in no incident yet, but for those that ended because it had come back."""
        known = {
            (kind, one.known.hash)
            for incident in self.incidents.of(account)
            for kind, one in incident.kinds.items()
            if one.known is not None and not one.healed_at
        }
        return {kind: mark for kind, mark in lost.items() if (kind, mark.hash) not in known}

    def _is_of_lost_future(self, account: AccountId, lineage: Lineage, sequence: int) -> bool:
        """Whether it is from the part of an earlier lineage that is missing, and about which nobody decided yet."""
        return any(
            one.is_open and one.lineage_before == lineage and sequence > one.sequence_here
            for one in self.incidents.of(account)
        )

    def _hold_by_state(self, here: Here, account: AccountId, lineage: Lineage, sequence: int) -> None:
        kinds = [kind for kind in Kind if kind is not Kind.SYSTEM]
        with self._lock:
            if all(kind in self.here(account).held for kind in kinds):
                return
            login = self.login_of(account) or ""
            self._hold(Finding(account, login, Cause.STATE, sequence, lineage, dict.fromkeys(kinds)))

    def _hold(self, finding: Finding) -> Incident:
        if finding.cause is Cause.MISSING and finding.formerly is None:
            return self._note(finding, NOTHING_HERE, NOTHING_HERE.lineage)
        account, here = finding.account, self.here(finding.account)
        reasons = {kind: reason_of(finding, kind, here) for kind in finding.lost}
        if finding.cause is Cause.MISSING:
            self.store.account(account).hold({**here.held, **reasons})
            return self._note(finding, here, here.lineage)
        if self.may_append():
            self.store.account(account).hold({**here.held, **reasons})
            with suppress(Unavailable):  # a vault fell in this very moment
                return self._note(finding, here, self.begin_lineage(account, KEEPWELL, why_of(finding, here)))
        closed = replace(finding, lost={**dict.fromkeys(Kind), **finding.lost})
        self.store.account(account).hold({kind: reason_of(closed, kind, here) for kind in Kind})
        return self._note(closed, here, None)

    def _note(self, finding: Finding, here: Here, lineage: Lineage | None) -> Incident:
        incident = Incident(
            id=base32_word(self.entropy, INCIDENT_BITS),
            account=finding.account,
            login=finding.login,
            found_at=self.moment(),
            cause=finding.cause,
            sequence_known=finding.sequence,
            sequence_here=here.head.sequence,
            lineage_before=finding.lineage,
            lineage=lineage,
            formerly=finding.formerly,
            kinds={
                kind: KindIncident(known=mark, count=here.count(kind), reason=reason_of(finding, kind, here))
                for kind, mark in finding.lost.items()
            },
        )
        self.incidents.add(incident)
        return incident

    def _review(self, account: AccountId, incidents: Sequence[Incident]) -> None:
        """Bring what is held of an account to what is still missing of it."""
        with self.store.account(account).reading() as snapshot:
            lost = {one.id: still_lost(snapshot, one) for one in incidents}
        here = self.here(account)
        waits = any(one.lineage is None for one in incidents)
        missing = {kind for kinds in lost.values() for kind in kinds}
        began: Lineage | None = None
        if waits and missing:
            if not self.may_append():
                return
            began = self.begin_lineage(account, KEEPWELL, {"cause": "history went back"})
        ours = {(kind, kept.reason) for one in incidents for kind, kept in one.kinds.items()}
        held = {kind: why for kind, why in here.held.items() if kind in missing or (kind, why) not in ours}
        if held != here.held:
            self.store.account(account).hold(held)
        for one in incidents:
            if began is not None or any(kept.is_open and kind not in lost[one.id] for kind, kept in one.kinds.items()):
                self.incidents.change(one.id, partial(healed, lost=lost[one.id], at=self.moment(), lineage=began))
