"""Building what was planned: every account restored, proven equal to its plan, and held where something is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from keepwell.ground.clock import Clock, render_moment
from keepwell.ground.durable import make_folder, write_file
from keepwell.ground.entropy import Entropy, base32_word
from keepwell.model.errors import Damaged
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Digest, Kind, Lineage
from keepwell.model.record import Op, Record
from keepwell.services.accounts import Accounts, complete_system_account, ensure_system_account
from keepwell.services.directory import Directory
from keepwell.services.indexing import index_again
from keepwell.services.restoring.place import LOSS_REPORT
from keepwell.services.salvaging.salvage import Salvage, Survey
from keepwell.storage.contract import Carried
from keepwell.storage.sqlite import SqliteStore
from keepwell.storage.writers import Writers
from keepwell.vault.lines import render_line
from keepwell.vault.loss import LossReport
from keepwell.vault.salvage.assess import Said, kinds_to_hold
from keepwell.vault.salvage.plan import AccountPlan

ASIDE: Final = "set-aside/salvage"
"""Where records that are not in a journal as they were sealed are kept, in a file of lines for each account."""

Progress = Callable[[int, int], None]
"""Told (accounts done, accounts in all)."""


@dataclass(slots=True)
class Salvaged:
    """What was built."""

    report: LossReport
    records: int = 0
    found_logins: list[str] = field(default_factory=list)
    """Of accounts whose own login is lost."""


def carry_out(
    salvage: Salvage,
    survey: Survey,
    clock: Clock,
    entropy: Entropy,
    progress: Progress = lambda _done, _all: None,
) -> Salvaged:
    """Build everything, prove it, and put it in its place. Raises Damaged, StorageFault, OSError."""
    folder = salvage.place.folder
    done = Salvaged(salvage.report(survey, render_moment(clock.now())))
    with closing(SqliteStore(folder, clock, entropy)) as store:
        _Building(salvage, store, folder, clock, entropy).build(survey, done, progress)
        _complete(store, done, clock, entropy)
    write_file(folder / LOSS_REPORT, msgspec.json.format(msgspec.json.encode(done.report), indent=2) + b"\n")
    salvage.finish()
    return done


class _Building:
    """Builds accounts in one store."""

    def __init__(self, salvage: Salvage, store: SqliteStore, folder: Path, clock: Clock, entropy: Entropy) -> None:
        self._salvage = salvage
        self._shelf = salvage.shelf
        self._store = store
        self._folder = folder
        self._clock = clock
        self._entropy = entropy

    def build(self, survey: Survey, done: Salvaged, progress: Progress) -> None:
        accounts = [loss.account for loss in survey.accounts if loss.records_recovered]
        if SYSTEM_ACCOUNT in accounts:
            accounts.remove(SYSTEM_ACCOUNT)
            done.records += self._restore(SYSTEM_ACCOUNT)
            complete_system_account(self._store)
        else:
            ensure_system_account(self._store)
        for number, account in enumerate(accounts, 1):
            done.records += self._restore(account)
            progress(number, len(accounts))

    def _restore(self, account: AccountId) -> int:
        """Build and prove one account; how many records it has."""
        plan = self._salvage.plan(account)
        said = self._salvage.said(plan)
        records = list(self._journal(plan, said))
        place = self._store.restore(account, self._carried(records), index_again)
        with place.reading() as snapshot:
            there = [one.record.hash for one in snapshot.carried()]  # proves all bytes by their digests
            ledger = snapshot.ledger()
        if there != [one.hash for one in records] or any(ledger[one.kind] != one for one in plan.ledger):
            raise Damaged(f"{account} did not become what was planned", hint="This is a fault in Keepwell.")
        self._keep_aside(plan)
        held = kinds_to_hold(self._salvage.loss(plan), said)
        if held:
            place.hold(dict.fromkeys(held, "not everything of it could be salvaged"))
        return len(records)

    def _journal(self, plan: AccountPlan, said: Said) -> Iterator[Record]:
        """The records: as they were when history did not go back, else in a new lineage from the break on."""
        if plan.is_unbroken and said.head <= plan.history.reach:
            yield from plan.kept
            return
        lineage = Lineage(base32_word(self._entropy, 80))
        why = {"because": "salvage", "kept": str(len(plan.kept)), "known": str(max(said.head, plan.history.reach))}
        yield from plan.sealed(lineage, render_moment(self._clock.now()), why)

    def _carried(self, records: Sequence[Record]) -> Iterator[Carried]:
        brought: set[Digest] = set()
        for record in records:
            digest = record.facts.digest
            if record.facts.op is not Op.PUT or digest is None or digest in brought:
                yield Carried(record)
            elif self._salvage.is_erased(record.facts):
                yield Carried(record, erased=True)
            else:
                brought.add(digest)
                yield Carried(record, self._shelf.body(digest))

    def _keep_aside(self, plan: AccountPlan) -> None:
        """Keep the records that are not in the journal as they were sealed: forks, and those that come anew."""
        kept = {record.hash for record in plan.kept}
        runs = (*plan.history.runs, *plan.history.forks)
        lines = [self._line(record) for run in runs for record in run if record.hash not in kept]
        if lines:
            make_folder(self._folder / ASIDE)
            write_file(self._folder / ASIDE / f"{plan.account}.jsonl", b"".join(lines))

    def _line(self, record: Record) -> bytes:
        digest = record.facts.digest
        if digest is None or self._salvage.is_erased(record.facts) or not self._shelf.has_body(digest):
            return render_line(Carried(record))
        return render_line(Carried(record, self._shelf.body(digest)))


def _complete(store: SqliteStore, done: Salvaged, clock: Clock, entropy: Entropy) -> None:
    """Everybody has a login, and every login an account."""
    with closing(Writers(store)) as writers:
        accounts = Accounts(store, writers, Directory(store), clock, entropy)
        there = set(store.accounts()) - {SYSTEM_ACCOUNT}
        known = {document.account for document in accounts.all()}
        for account in sorted(known - there):
            accounts.make_place(account)
            every = [kind for kind in Kind if kind is not Kind.SYSTEM]
            store.account(account).hold(dict.fromkeys(every, "nothing of it could be salvaged"))
        unknown = [account for account in sorted(there - known) if not _is_closed(store, account)]
        done.found_logins += [accounts.adopt(account) for account in unknown]


def _is_closed(store: SqliteStore, account: AccountId) -> bool:
    """Whether the account was erased as a whole: it has no login any more."""
    with store.account(account).reading() as snapshot:
        last = next(snapshot.records(max(0, snapshot.head().sequence - 1)), None)
        return last is not None and last.facts.op is Op.CLOSE
