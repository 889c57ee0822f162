"""Deciding about histories that went back: what is known, and going on without what is missing.

Accepting is the only way in which what is held is opened again without having come back. It plans first (`plan`, which
is what `--dry-run` shows) and then does, in this order, each step of which may be done again after a crash:

1. a record in the account's own journal says who decided, and what was known to be missing;
2. the incidents say the same, so that the witness is believed no more about what was given up;
3. the kinds are let go.

The lineage that began stays, so every device compares everything once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import msgspec

from keepwell.model.errors import Forked, NotThere, Unavailable
from keepwell.model.names import AccountId, Kind, Lineage
from keepwell.model.record import Op
from keepwell.services.catch_up import BEHIND
from keepwell.services.incidents import Cause, Incident
from keepwell.services.restoring.settle import HELD_BY_RESTORE
from keepwell.services.rollback import Rollbacks
from keepwell.services.rollback_finding import NOTHING_HERE, Here
from keepwell.services.witness import Mark, WitnessFile
from keepwell.storage.contract import Entry

ACCEPTED: Final = "accepted"
"""The `cause` of the record that tells a decision."""


@dataclass(frozen=True, slots=True)
class KindState:
    """A kind that waits for a decision: what was known of it, what is here now, and what people are told."""

    kind: Kind
    known: Mark | None
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class LineageState:
    """An account of which something is held, or which is missing (`is_here` is then false)."""

    account: AccountId
    login: str
    is_here: bool
    lineage: Lineage
    sequence: int
    sequence_known: int
    kinds: tuple[KindState, ...]
    incidents: tuple[Incident, ...]

    @property
    def is_closed(self) -> bool:
        """Whether nothing may be appended, because another copy may have other records to follow."""
        return len(self.kinds) == len(Kind)


NOT_WHOLE: Final = (BEHIND, HELD_BY_RESTORE)
"""How the reasons begin by which an account is held whose last records are known of and cannot be read."""


class Lineages:
    """What an operator sees of histories that went back, and decides about them."""

    def __init__(self, rollbacks: Rollbacks, witness: WitnessFile) -> None:
        """Over what found them."""
        self._rollbacks = rollbacks
        self._witness = witness

    def all(self) -> list[LineageState]:
        """Every account of which something waits for a decision. Raises Damaged, StorageFault."""
        store = self._rollbacks.store
        held = {account for account in store.accounts() if store.read_held(account)}
        waiting = held.union(one.account for one in self._rollbacks.incidents.open())
        return [one for one in map(self.of, sorted(waiting)) if one.kinds]

    def of(self, account: AccountId) -> LineageState:
        """One account. Raises Damaged, StorageFault, and NotThere when nobody ever knew of it."""
        incidents = tuple(one for one in self._rollbacks.incidents.of(account) if one.is_open)
        try:
            here, is_here = self._rollbacks.here(account), True
        except NotThere:
            here, is_here = NOTHING_HERE, False
            if not incidents:
                raise
        login = self._rollbacks.login_of(account) or next((one.login for one in incidents), "")
        known = max((one.sequence_known for one in incidents), default=here.head.sequence)
        kinds = _held_kinds(here, incidents) if is_here else _missing_kinds(incidents)
        return LineageState(account, login, is_here, here.lineage, here.head.sequence, known, kinds, incidents)

    def look_for_former(self, login: str) -> list[Incident]:
        """Whether an account that is missing had this login, which was just given to another: then that one is held.

        Its devices would take the new account's emptiness for deletions. Raises Damaged, StorageFault.
        """
        try:
            seen = self._witness.load()
        except OSError:
            return []  # no witness, no news; a start tells that it cannot be written
        there = set(self._rollbacks.store.accounts())
        former = {account: one for account, one in seen.items() if one.login == login and account not in there}
        return self._rollbacks.find(former, {})

    def plan(self, account: AccountId, kind: Kind | None = None) -> LineageState:
        """What accepting would go on without: the state with the kinds that it would open.

        Raises NotThere (nothing waits for a decision), Forked and Unavailable (it is not for you to decide yet).
        """
        state = self.of(account)
        kinds = state.kinds
        if state.is_closed:
            self._require_decidable(state)
        if state.is_closed and state.incidents:
            kinds = tuple(one for one in kinds if one.known or (_is_by_state(state) and one.kind is not Kind.SYSTEM))
        chosen = tuple(one for one in kinds if kind in {None, one.kind})
        if not chosen:
            what = "" if kind is None else f" of {kind}"
            raise NotThere(f"nothing{what} of {account} waits for a decision", hint="See: keepwell lineage show")
        return replace(state, kinds=chosen)

    def accept(self, account: AccountId, kind: Kind | None, by: str) -> LineageState:
        """Go on without what is missing of an account, or of one kind of it; what that was.

        Raises as `plan`, and StorageFault.
        """
        plan = self.plan(account, kind)
        self._rollbacks.review()
        kinds = {one.kind for one in plan.kinds}
        if plan.is_here:
            self._record(plan, by)
        for incident in plan.incidents:
            self._rollbacks.incidents.change(
                incident.id, partial(_accepted, kinds=kinds, at=self._rollbacks.moment(), by=by)
            )
        if plan.is_here:
            held = self._rollbacks.here(account).held
            self._rollbacks.store.account(account).hold({one: why for one, why in held.items() if one not in kinds})
        self._forget(account)
        return plan

    def _record(self, plan: LineageState, by: str) -> None:
        why = {"cause": ACCEPTED, **{f"missing-{one.kind}": one.reason for one in plan.kinds}}
        if any(one.lineage is not None for one in self._rollbacks.incidents.of(plan.account) if one.is_open):
            entry = Entry(Op.OPEN, by, properties=why)
            self._rollbacks.append(plan.account, lambda transaction: transaction.append(entry))
        else:  # nobody knows whether a new lineage began: another one does no harm
            self._rollbacks.begin_lineage(plan.account, by, why)

    def _forget(self, account: AccountId) -> None:
        """Have the witness miss no more what was given up whole."""
        for incident in self._rollbacks.incidents.of(account):
            gone = incident.formerly or account
            if incident.cause is Cause.MISSING and not incident.is_open:
                self._witness.forget(gone)

    def _require_decidable(self, state: LineageState) -> None:
        if not state.incidents and not all(one.reason.startswith(NOT_WHOLE) for one in state.kinds):
            raise Forked(
                f"{state.account} and its vault have different records under one number: {state.kinds[0].reason}",
                hint="One of the two must be taken: see keepwell verify; restore from the vault, or remove that.",
            )
        if not self._rollbacks.may_append():
            raise Unavailable(
                f"a vault may still have what is missing of {state.account}",
                hint="Start the server with every vault in reach: it heals from them, or lets you decide."
                " Give a vault up for ever with: keepwell vault remove NAME",
            )


def _is_by_state(state: LineageState) -> bool:
    return any(one.cause is Cause.STATE for one in state.incidents)


def _held_kinds(here: Here, incidents: tuple[Incident, ...]) -> tuple[KindState, ...]:
    return tuple(
        KindState(kind, _known(kind, incidents), here.count(kind), here.held[kind])
        for kind in Kind
        if kind in here.held
    )


def _missing_kinds(incidents: tuple[Incident, ...]) -> tuple[KindState, ...]:
    found = {kind: one for incident in incidents for kind, one in incident.kinds.items() if one.is_open}
    return tuple(KindState(kind, found[kind].known, 0, found[kind].reason) for kind in Kind if kind in found)


def _known(kind: Kind, incidents: tuple[Incident, ...]) -> Mark | None:
    marks = [one.known for incident in incidents if (one := incident.kinds.get(kind)) is not None and one.is_open]
    return next((mark for mark in reversed(marks) if mark is not None), None)


def _accepted(incident: Incident, kinds: set[Kind], at: str, by: str) -> Incident:
    changed = {
        kind: msgspec.structs.replace(one, accepted_at=at, accepted_by=by) if kind in kinds and one.is_open else one
        for kind, one in incident.kinds.items()
    }
    return msgspec.structs.replace(incident, kinds=changed)
