"""A trial restore: what a drill restores, into which place, how long each stage took, and what it noticed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from keepwell.ground.clock import Clock
from keepwell.ground.entropy import Draw
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Kind
from keepwell.services.drilling.finding import Noticed
from keepwell.services.restoring.crew import MakeStore
from keepwell.services.restoring.logins import read_logins
from keepwell.services.restoring.restore import JOURNALS, LOGINS, Progress, Restored, RestoreOrder, Restoring, title_of
from keepwell.services.restoring.sources import OpenedSource, holding_of
from keepwell.vault.restore_plan import KIND_ORDER, AccountPlan, Choice, RestorePlan, plan_restore


@dataclass(slots=True)
class Stopwatch:
    """Notes when each stage of a restore ended."""

    clock: Clock
    began: float = 0.0
    ended: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def show(self, title: str, *, unit: str = "") -> Iterator[Progress]:
        """As a restore wants to show its stages."""
        yield lambda _done, _all: None
        self.ended[title] = self.clock.monotonic()

    def until_contacts(self) -> float:
        """Seconds from the beginning until all contacts were there."""
        stages = (title_of(Kind.CONTACTS), JOURNALS, LOGINS)
        return max([self.ended[one] for one in stages if one in self.ended], default=self.began) - self.began

    def until_journals(self) -> float:
        """Seconds from the beginning until everything but large bytes was there."""
        return (
            max([self.ended[one] for one in (JOURNALS, LOGINS) if one in self.ended], default=self.began) - self.began
        )


def plan_trial(source: OpenedSource, chosen: Sequence[AccountId] | None = None) -> RestorePlan:
    """The plan to restore these accounts, or all. Raises Locked, StorageFault."""
    holding = holding_of(source.vault, blobs=True)
    choice = Choice(None if chosen is None else frozenset(chosen), KIND_ORDER)
    return plan_restore([holding], choice, read_logins([source.vault]))


def choose_accounts(
    accounts: Sequence[AccountPlan], draw: Draw, *, accounts_max: int | None, octets_max: int | None
) -> list[AccountId] | None:
    """A sample within both limits, of one account at least; None when everything is within them."""
    people = [one for one in accounts if one.account != SYSTEM_ACCOUNT]
    total = sum(_octets(one) for one in people)
    if (accounts_max is None or len(people) <= accounts_max) and (octets_max is None or total <= octets_max):
        return None
    chosen, octets = list[AccountId](), 0
    for one in draw.shuffled(people):
        octets += _octets(one)
        if chosen and octets_max is not None and octets > octets_max:
            break
        chosen.append(one.account)
        if accounts_max is not None and len(chosen) >= accounts_max:
            break
    return sorted(chosen)


def _octets(plan: AccountPlan) -> int:
    return plan.octets + plan.blob_octets


def carry_out_trial(
    source: OpenedSource,
    plan: RestorePlan,
    chosen: Sequence[AccountId] | None,
    into: Path,
    make_store: MakeStore,
    watch: Stopwatch,
    *,
    workers: int,
) -> Restored:
    """Restore what the plan says. Raises as `Restoring.carry_out`."""
    order = RestoreOrder(into=into, chosen=None if chosen is None else tuple(chosen), workers=workers)
    return Restoring(order, plan, [source], make_store, watch.clock).carry_out(watch.show)


def noticed_by(restored: Restored) -> Noticed:
    """What a restore noticed of its vault."""
    lost = restored.loss.accounts if restored.loss else ()
    return Noticed(frozenset(one.name for one in restored.faults), frozenset(one.account for one in lost))
