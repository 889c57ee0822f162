"""A salvage: gather what proves itself, unite it, and build a data folder of it in an empty place.

    nothing ──1──► INTO.salvaging, gathering ──2──► building ──3──► built, proven ──4──► INTO

1. The folder is made, and the shelf in it; sources are only read. A dry run ends here and takes the folder away.
2. The system account comes first, then everybody's, each whole, synced and proven equal to its plan (head, ledger, all
   bytes by their digests) before the next. Kinds of which something may be missing are held: 503 instead of a listing
   with holes, from which devices would delete what they still have.
3. `loss-report.json` is written and the shelf taken away.
4. The folder is renamed to INTO, which is not there, or empty; the folder above it is synced.

A crash, or an error, before 4 leaves INTO as it was; the next run takes the folder of the old one away and begins anew.
While it works, a run holds a lock on its folder.

An account without a login afterwards (its document in the system account is lost) gets one that is made of its id,
disabled. Who has a login and nothing else gets an empty account that is held.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
from pyrage.x25519 import Identity

from keepwell.ground.clock import Clock, render_moment
from keepwell.ground.durable import make_folder, sync_folder, write_file
from keepwell.ground.entropy import Entropy, base32_word
from keepwell.ground.process import try_lock
from keepwell.model.errors import AlreadyThere, BadRequest, Damaged, Unavailable
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Digest, Home, Kind, Lineage
from keepwell.model.record import Op, Record
from keepwell.services.accounts import Accounts, complete_system_account, ensure_system_account
from keepwell.services.directory import Directory
from keepwell.services.documents import ACCOUNTS, AccountDocument, parse_document
from keepwell.services.indexing import index_again
from keepwell.storage.contract import Carried
from keepwell.storage.sqlite import SqliteStore
from keepwell.storage.writers import Writers
from keepwell.vault.loss import AccountLoss, LossReport
from keepwell.vault.salvage.assess import Said, assess, kinds_to_hold
from keepwell.vault.salvage.gather import Gatherer, PlaceFound
from keepwell.vault.salvage.places import FolderPlace, Place, open_place
from keepwell.vault.salvage.plan import AccountPlan, plan_account
from keepwell.vault.salvage.shelf import LooseFile, Shelf
from keepwell.vault.salvage.unite import unite

BUILDING_SUFFIX: Final = ".salvaging"
LOSS_REPORT: Final = "loss-report.json"
_SHELF: Final = ".shelf.db"
_LOCK: Final = ".salvage.lock"
_EVERY_KIND: Final = [kind for kind in Kind if kind is not Kind.SYSTEM]

Progress = Callable[[int, int], None]
"""Told (done, in all)."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What there is, and what would be lost: of every account, whole or not."""

    places: list[PlaceFound]
    accounts: list[AccountLoss]
    loose: list[LooseFile]
    """Files whose bytes no record names: unproven, not used."""


@dataclass(slots=True)
class Salvaged:
    """What was built."""

    report: LossReport
    records: int = 0
    found_logins: list[str] = field(default_factory=list)
    """Of accounts whose own login is lost."""


class Salvage:
    """One salvage, after everything was gathered; `salvaging` makes it."""

    def __init__(self, gathered: list[PlaceFound], shelf: Shelf, folder: Path, clock: Clock, entropy: Entropy) -> None:
        """Of what is on the shelf, into this folder."""
        self._gathered = gathered
        self._shelf = shelf
        self._folder = folder
        self._clock = clock
        self._entropy = entropy
        self._logins = {account: one.login for account, one in self._documents().items()}

    def survey(self, progress: Progress = lambda _done, _all: None) -> Survey:
        """What there is, and what would be lost; nothing is built."""
        accounts = sorted(self._logins.keys() | set(self._shelf.accounts()))
        losses: list[AccountLoss] = []
        for number, account in enumerate(accounts, 1):
            losses.append(self._loss(account, self._plan(account)))
            progress(number, len(accounts))
        return Survey(self._gathered, losses, self._shelf.unknown_files())

    def carry_out(self, survey: Survey, into: Path, progress: Progress = lambda _done, _all: None) -> Salvaged:
        """Build everything, prove it, and put it at `into`. Raises Damaged, StorageFault, OSError."""
        done = Salvaged(self._report(survey))
        with closing(SqliteStore(self._folder, self._clock, self._entropy)) as store:
            self._build(store, survey, done, progress)
            self._complete(store, survey, done)
        write_file(self._folder / LOSS_REPORT, msgspec.json.format(msgspec.json.encode(done.report), indent=2) + b"\n")
        self._shelf.close()
        for name in (_SHELF, _LOCK):
            (self._folder / name).unlink()
        require_free(into)
        self._folder.rename(into)
        sync_folder(into.absolute().parent)
        return done

    def _build(self, store: SqliteStore, survey: Survey, done: Salvaged, progress: Progress) -> None:
        accounts = [loss.account for loss in survey.accounts if loss.records_recovered]
        if SYSTEM_ACCOUNT in accounts:
            accounts.remove(SYSTEM_ACCOUNT)
            done.records += self._restore(store, SYSTEM_ACCOUNT)
            complete_system_account(store)
        else:
            ensure_system_account(store)
        for number, account in enumerate(accounts, 1):
            done.records += self._restore(store, account)
            progress(number, len(accounts))

    def _restore(self, store: SqliteStore, account: AccountId) -> int:
        """Build and prove one account; how many records it has."""
        plan, said = self._plan(account), self._said(account)
        records = list(self._journal(plan, said))
        place = store.restore(account, self._carried(records), index_again)
        with place.reading() as snapshot:
            there = [one.record.hash for one in snapshot.carried()]  # proves every byte by its digest
            ledger = snapshot.ledger()
        if there != [one.hash for one in records] or any(ledger[one.kind] != one for one in plan.ledger):
            raise Damaged(f"{account} did not become what was planned", hint="This is a fault in Keepwell.")
        held = kinds_to_hold(self._loss(account, plan), said)
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
            else:
                brought.add(digest)
                yield Carried(record, self._shelf.body(digest))

    def _complete(self, store: SqliteStore, survey: Survey, done: Salvaged) -> None:
        """Everybody has a login, and every login an account."""
        with closing(Writers(store)) as writers:
            accounts = Accounts(store, writers, Directory(store), self._clock, self._entropy)
            there = set(store.accounts()) - {SYSTEM_ACCOUNT}
            known = {document.account for document in accounts.all()}
            for account in sorted(known - there):
                accounts.make_place(account)
                store.account(account).hold(dict.fromkeys(_EVERY_KIND, "nothing of it could be salvaged"))
            done.found_logins += [accounts.adopt(account) for account in sorted(there - known)]

    def _plan(self, account: AccountId) -> AccountPlan:
        noted = {kind: note[0] for kind, note in self._shelf.ledger(account).items()}
        return plan_account(account, unite(self._shelf.records(account)), self._shelf.has_body, noted)

    def _said(self, account: AccountId) -> Said:
        shelf = self._shelf
        # Whoever is named anywhere had the record that opened the account.
        return Said(
            max(shelf.head(account), 1), shelf.ledger(account), shelf.items(account), shelf.collections(account)
        )

    def _loss(self, account: AccountId, plan: AccountPlan) -> AccountLoss:
        return assess(plan, self._said(account), self._logins.get(account, ""))

    def _report(self, survey: Survey) -> LossReport:
        return LossReport(
            at=render_moment(self._clock.now()),
            sources=tuple(place.title for place in survey.places),
            accounts_whole=sum(loss.is_whole for loss in survey.accounts),
            accounts=tuple(loss for loss in survey.accounts if not loss.is_whole),
            faults=tuple(fault for place in survey.places for fault in place.faults),
        )

    def _documents(self) -> dict[AccountId, AccountDocument]:
        """Everybody whose document is found."""
        found: dict[AccountId, AccountDocument] = {}
        for (home, collection, _name), digest in self._plan(SYSTEM_ACCOUNT).items.items():
            if (home, collection) == (Home.SYSTEM, ACCOUNTS):
                document = parse_document(ACCOUNTS, self._shelf.body(digest))
                if isinstance(document, AccountDocument):
                    found[document.account] = document
        return found


@contextmanager
def salvaging(
    sources: Sequence[str],
    keys: Sequence[Identity],
    into: Path,
    clock: Clock,
    entropy: Entropy,
    progress: Progress = lambda _done, _all: None,
) -> Iterator[Salvage]:
    """Gather everything of these sources; what is built goes to `into`.

    Raises BadRequest, NotThere, AlreadyThere (`into` is taken), Unavailable (another salvage builds it), StorageFault.
    """
    require_free(into)
    building = into.absolute().with_name(into.absolute().name + BUILDING_SUFFIX)
    with ExitStack() as stack:
        places = [stack.enter_context(closing(open_place(source))) for source in sources]
        for place in places:
            _require_apart(place, building)
        stack.enter_context(_building(building))
        gatherer = Gatherer(places, keys)
        shelf = stack.enter_context(closing(Shelf(building / _SHELF, gatherer.read_at)))
        yield Salvage(gatherer.gather(shelf, progress), shelf, building, clock, entropy)


def require_free(into: Path) -> None:
    """Raise AlreadyThere unless `into` is not there, or an empty folder."""
    if into.is_symlink() or (into.exists() and (not into.is_dir() or any(into.iterdir()))):
        raise AlreadyThere(f"{into} is there already, and not empty", hint="A salvage fills only an empty place.")


@contextmanager
def _building(folder: Path) -> Iterator[None]:
    """The folder to build in, empty and locked; taken away at the end unless it was renamed."""
    lock = folder / _LOCK
    if folder.exists() and not lock.exists() and any(folder.iterdir()):
        raise AlreadyThere(
            f"{folder} is there already, and not of a salvage", hint="Move it away, or choose another place."
        )
    make_folder(folder)
    descriptor = try_lock(lock)
    if descriptor is None:
        raise Unavailable(f"another salvage builds {folder}")
    try:
        for path in folder.iterdir():
            if path != lock:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        yield
    finally:
        os.close(descriptor)
        if lock.exists():
            shutil.rmtree(folder)


def _require_apart(place: Place, building: Path) -> None:
    if isinstance(place, FolderPlace) and building.is_relative_to(place.path.absolute()):
        raise BadRequest(f"{building} would be built inside {place.title}", hint="Choose a place outside the sources.")
