"""Carrying a restore out, stage by stage, into a folder that gets its name when everything is proven.

`restore_plan` says what the stages are and why, `place` what a crash leaves between them; here they follow each other:
logins, journals, large bytes by kind; then what did not come back is told and held; then collections are rewound when a
moment was asked for; then the folder is put in its place. After a crash at any step the same command goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from keepwell.ground.clock import Clock, render_moment
from keepwell.model.errors import BadRequest
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Kind
from keepwell.services.restoring.account import AccountTask, Deferred, Fetched, Portion, RestoredAccount
from keepwell.services.restoring.crew import HELPED_RECORDS_MIN, Crew, Helpers, LoneWorker, MakeStore, Worker, Workshop
from keepwell.services.restoring.place import Place, RestoreNote, open_place
from keepwell.services.restoring.rewinding import RewindTask, Rewound
from keepwell.services.restoring.settle import Settled, SettleTask
from keepwell.services.restoring.sources import OpenedSource, broken_ends, holding_of
from keepwell.storage.contract import Store
from keepwell.vault.loss import AccountLoss, LossReport, ObjectFault
from keepwell.vault.restore_plan import RestorePlan, notes_of

PORTION_OCTETS: Final = 32 * 1024 * 1024
"""Large bytes that are fetched in one task, so that progress is seen and helpers are busy to the end."""

LOGINS: Final = "Logins"
JOURNALS: Final = "Journals"
"""Titles of the first two stages; those that follow are called by their kinds."""

Progress = Callable[[int, int], None]
ShowProgress = Callable[..., AbstractContextManager[Progress]]
"""Shows a stage while it lasts: called with its title and the keyword `unit`."""

Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class RestoreOrder:
    """Where to, and how. With `moment` or `sequence` collections are rewound in the end."""

    into: Path
    chosen: tuple[AccountId, ...] | None = None
    """Accounts that were asked for; None: all."""
    moment: str = ""
    sequence: int = 0
    accept_loss: bool = False
    workers: int = 1

    @property
    def target(self) -> str:
        """To which end, in words that tell two orders apart."""
        return f"record {self.sequence}" if self.sequence else self.moment


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What a restore came to. `loss` is None when everything that is known to have been came back."""

    into: str
    accounts: int
    records: int
    items: dict[Kind, int]
    blobs: int
    blob_octets: int
    left_out: dict[Kind, int]
    """Large bytes of kinds that were not asked for."""
    held: dict[AccountId, dict[Kind, str]]
    rewound: int
    notes: tuple[str, ...]
    faults: tuple[ObjectFault, ...]
    """Objects that were passed over; without a loss another copy had what they should have."""
    loss: LossReport | None
    seconds: float


@dataclass(slots=True)
class _Progress:
    """What is known so far."""

    accounts: dict[AccountId, RestoredAccount] = field(default_factory=dict)
    missing: dict[AccountId, list[Deferred]] = field(default_factory=dict)
    left_out: dict[AccountId, list[Deferred]] = field(default_factory=dict)
    faults: list[ObjectFault] = field(default_factory=list)
    settled: dict[AccountId, Settled] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    blobs: int = 0
    blob_octets: int = 0
    rewound: int = 0


class Restoring:
    """One restore."""

    def __init__(
        self,
        order: RestoreOrder,
        plan: RestorePlan,
        opened: Sequence[OpenedSource],
        make_store: MakeStore,
        clock: Clock,
    ) -> None:
        """Of this plan, from these vaults, into a store that `make_store` opens in a folder."""
        self._order = order
        self._plan = plan
        self._opened = opened
        self._make_store = make_store
        self._clock = clock
        self._logins = {one.account: one.login for one in plan.accounts}
        self._done = _Progress()

    def carry_out(self, show: ShowProgress) -> Restored:
        """Do it. Raises AlreadyThere, BadRequest, Damaged, Locked, Unavailable, OSError; what was built stays."""
        began = self._clock.monotonic()
        place = open_place(self._order.into, self._note())
        try:
            with closing(self._make_store(place.folder)) as store, ExitStack() as stack:
                worker = Worker(store, [one.vault for one in self._opened])
                self._require_fillable(store, place)
                self._restore_accounts(LoneWorker(worker), place, [SYSTEM_ACCOUNT], show, LOGINS)
                crew = self._crew(place, worker, stack)
                others = [one.account for one in self._plan.accounts if one.account != SYSTEM_ACCOUNT]
                self._restore_accounts(crew, place, others, show, JOURNALS)
                self._fetch_large(crew, show)
                self._settle(crew, place, show)
                self._rewind(crew, show)
            loss = self._loss_report()
            place.finish(self._now(), None if loss is None else _document(loss))
        finally:
            place.release()
        return self._restored(place, loss, self._clock.monotonic() - began)

    def _note(self) -> RestoreNote:
        return RestoreNote(
            vaults=tuple(one.vault.document.id for one in self._opened),
            accounts=self._order.chosen,
            target=self._order.target,
            began_at=self._now(),
        )

    def _now(self) -> str:
        return render_moment(self._clock.now())

    def _crew(self, place: Place, worker: Worker, stack: ExitStack) -> Crew:
        """Helpers are worth their start only when there is something to do."""
        count = min(self._order.workers, len(self._plan.accounts) - 1)
        if count <= 1 or (self._plan.records < HELPED_RECORDS_MIN and not self._plan.blobs):
            return LoneWorker(worker)
        workshop = Workshop(place.folder, self._make_store, tuple(one.source for one in self._opened))
        return stack.enter_context(Helpers(worker, workshop, count - 1))

    def _require_fillable(self, store: Store, place: Place) -> None:
        if not place.is_finished:
            return
        missing = {one.account for one in self._plan.accounts} - set(store.accounts())
        if missing:
            raise BadRequest(
                f"{place.into} was restored before, without {len(missing)} of these accounts",
                hint="Restore them into another place. Or let the folder go on with the vault (keepwell vault add): a "
                "start brings back every account that is missing.",
            )
        if behind := self._behind(store):
            raise BadRequest(
                f"{place.into} was restored before, and the vaults have more records now of {len(behind)} accounts",
                hint="Restore into another place. Or let the folder go on with the vault (keepwell vault add): a "
                "start brings back what is newer.",
            )

    def _behind(self, store: Store) -> list[AccountId]:
        """Accounts of which the vaults have an unbroken journal that goes further than what is here.

        What came into a vault later is neither lost nor held: it is not part of what was restored.
        """
        wanted = {one.account for one in self._plan.accounts}
        return [
            account
            for account, head in store.read_heads()
            if account in wanted
            and not isinstance(head, BaseException)
            and any(one.vault.head(account).sequence > head.sequence for one in self._opened)
        ]

    def _restore_accounts(
        self, crew: Crew, place: Place, accounts: Sequence[AccountId], show: ShowProgress, title: str
    ) -> None:
        holdings = [holding_of(one.vault) for one in self._opened]
        tasks = [
            AccountTask(account, tuple(notes_of(holdings, account)), may_replace=not place.is_finished)
            for account in accounts
        ]
        for done in _shown(crew.run(tasks), RestoredAccount, len(tasks), show, title, "accounts"):
            self._done.accounts[done.account] = done
            self._done.faults += done.faults

    def _fetch_large(self, crew: Crew, show: ShowProgress) -> None:
        deferred = [(one.account, one.deferred) for one in self._done.accounts.values() if one.deferred]
        for kind in (Kind.SYSTEM, *self._plan.kinds):
            portions = [
                portion
                for account, all_of_it in deferred
                for portion in _portions(account, [one for one in all_of_it if one.kind is kind])
            ]
            if portions:
                self._fetch(crew, portions, show, title_of(kind))
        asked = {Kind.SYSTEM, *self._plan.kinds}
        for account, all_of_it in deferred:
            left_out = [one for one in all_of_it if one.kind not in asked]
            if left_out:
                self._done.left_out[account] = left_out

    def _fetch(self, crew: Crew, portions: Sequence[Portion], show: ShowProgress, title: str) -> None:
        for done in _shown(crew.run(portions), Fetched, len(portions), show, title, "portions"):
            self._done.blobs += done.count
            self._done.blob_octets += done.octets
            self._done.faults += done.faults
            if done.missing:
                self._done.missing.setdefault(done.account, []).extend(done.missing)

    def _settle(self, crew: Crew, place: Place, show: ShowProgress) -> None:
        """Only accounts that are not whole, or that an earlier run may have held, have anything to settle."""
        tasks = [
            SettleTask(
                restored=one,
                login=self._logins[one.account],
                missing=tuple(self._done.missing.get(one.account, ())),
                left_out=tuple(self._done.left_out.get(one.account, ())),
                accept_loss=self._order.accept_loss,
            )
            for one in self._done.accounts.values()
            if place.is_resumed or not one.is_proven or one.account in {*self._done.missing, *self._done.left_out}
        ]
        for done in _shown(crew.run(tasks), Settled, len(tasks), show, "Settling", "accounts"):
            self._done.settled[done.loss.account] = done

    def _rewind(self, crew: Crew, show: ShowProgress) -> None:
        if not self._order.target:
            return
        there = [one.account for one in self._done.accounts.values() if one.head.sequence]
        closed = {account for account, one in self._done.settled.items() if Kind.SYSTEM in one.held}
        self._done.notes += [
            f"{self._logins[account] or account} stays as it is: records behind its end are missing"
            for account in there
            if account in closed
        ]
        tasks = [
            RewindTask(account, self._logins[account], self._order.moment, self._order.sequence)
            for account in there
            if account not in {SYSTEM_ACCOUNT, *closed}
        ]
        for done in _shown(crew.run(tasks), Rewound, len(tasks), show, "Rewinding", "accounts"):
            self._done.rewound += done.records
            self._done.notes += done.refused

    def _losses(self) -> list[AccountLoss]:
        losses = (one.loss for one in self._done.settled.values())
        return sorted((loss for loss in losses if not loss.is_whole), key=lambda loss: loss.account)

    def _loss_report(self) -> LossReport | None:
        losses = self._losses()
        if not losses:
            return None
        return LossReport(
            at=self._now(),
            sources=self._plan.sources,
            accounts_whole=len(self._done.accounts) - len(losses),
            accounts=tuple(losses),
            faults=self._faults(),
        )

    def _faults(self) -> tuple[ObjectFault, ...]:
        problems = ((one.vault.name, problem) for one in self._opened for problem in one.vault.problems)
        unread = [ObjectFault(name, "", problem.message) for name, problem in problems]
        unread += [fault for one in self._opened for fault in broken_ends(one.vault)]
        return tuple(dict.fromkeys([*unread, *self._done.faults]))

    def _restored(self, place: Place, loss: LossReport | None, seconds: float) -> Restored:
        done = self._done
        items: dict[Kind, int] = {}
        for account in done.accounts.values():
            for kind, note in account.ledger.items():
                items[kind] = items.get(kind, 0) + note[1]
        left_out: dict[Kind, int] = {}
        for one in (one for some in done.left_out.values() for one in some):
            left_out[one.kind] = left_out.get(one.kind, 0) + 1
        return Restored(
            into=str(place.into),
            accounts=sum(one.head.sequence > 0 for one in done.accounts.values()),
            records=sum(one.head.sequence for one in done.accounts.values()),
            items=items,
            blobs=done.blobs,
            blob_octets=done.blob_octets,
            left_out=left_out,
            held={account: one.held for account, one in sorted(done.settled.items()) if one.held},
            rewound=done.rewound,
            notes=tuple(done.notes),
            faults=self._faults(),
            loss=loss,
            seconds=round(seconds, 3),
        )


def title_of(kind: Kind) -> str:
    """What the stage is called in which the large bytes of a kind come."""
    return str(kind).capitalize()


def _shown(
    found: Iterable[object], sort: type[Outcome], count: int, show: ShowProgress, title: str, unit: str
) -> Iterator[Outcome]:
    """What comes of tasks of one sort, while it is shown how far they are."""
    if count == 0:
        return
    with show(title, unit=unit) as progress:
        for number, one in enumerate(found, start=1):
            if isinstance(one, sort):
                yield one
            progress(number, count)


def _portions(account: AccountId, wanted: Sequence[Deferred]) -> Iterator[Portion]:
    portion, octets = list[Deferred](), 0
    for one in wanted:
        portion.append(one)
        octets += one.size
        if octets >= PORTION_OCTETS:
            yield Portion(account, tuple(portion))
            portion, octets = [], 0
    if portion:
        yield Portion(account, tuple(portion))


def _document(loss: LossReport) -> bytes:
    return msgspec.json.format(msgspec.json.encode(loss), indent=2) + b"\n"
