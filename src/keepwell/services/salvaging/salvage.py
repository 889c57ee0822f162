"""A salvage: gather what proves itself, unite it, and build a data folder of it in an empty place.

    nothing ──1──► INTO.salvaging, gathering ──2──► building ──3──► built, proven ──4──► INTO

1. The folder is made, and the shelf in it; sources are only read. A dry run ends here and takes the folder away.
2. The system account comes first, then everybody's, each whole, synced and proven equal to its plan (head, ledger, all
   bytes by their digests) before the next. Kinds of which something may be missing are held: 503 instead of a listing
   with holes, from which devices would delete what they still have.
3. `loss-report.json` is written and the shelf taken away.
4. The folder is renamed to INTO, which is not there, or empty; the folder above it is synced. The lock file goes last;
   a crash before that leaves it there, where it harms nothing.

A crash, or an error, before 4 leaves INTO as it was; the next run takes the folder of the old one away and begins anew.
While it works, a run holds a lock on its folder.

An account without a login afterwards (its document in the system account is lost) gets one that is made of its id,
disabled. Who has a login and nothing else gets an empty account that is held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
from pyrage.x25519 import Identity

from keepwell.ground.clock import Clock, render_moment
from keepwell.model.erasures import ERASURES, NO_ERASURES, Erasures, parse_order
from keepwell.model.errors import BadRequest
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Home
from keepwell.model.record import Facts, Record
from keepwell.services.documents import ACCOUNTS, AccountDocument, parse_document
from keepwell.services.salvaging.exports import additions_from_exports, without_property_files
from keepwell.services.salvaging.place import BuildingPlace, building
from keepwell.vault.loss import AccountLoss, LossReport
from keepwell.vault.salvage.assess import Said, additions, assess
from keepwell.vault.salvage.gather import Gatherer, PlaceFound
from keepwell.vault.salvage.places import FolderPlace, Place, open_place
from keepwell.vault.salvage.plan import AccountPlan, Addition, plan_account
from keepwell.vault.salvage.shelf import LooseFile, Shelf
from keepwell.vault.salvage.unite import unite

Progress = Callable[[int, int], None]
"""Told (bytes done, bytes in all)."""


class Fork(msgspec.Struct, frozen=True):
    """Records `first` to `last` of an account that went another way; they are kept aside."""

    account: AccountId
    first: int
    last: int
    since: str
    until: str


@dataclass(frozen=True, slots=True)
class Survey:
    """What there is, and what would be lost."""

    places: list[PlaceFound]
    accounts: list[AccountLoss]
    """Of every account, whole or not."""
    unproven: list[Addition]
    """Items that only a row or an export has: added when that was asked for and nothing stands against it."""
    loose: list[LooseFile]
    """Other files whose bytes no record names: not used."""
    forks: list[Fork]


class Salvage:
    """One salvage, after everything was gathered; `salvaging` makes it."""

    def __init__(
        self, place: BuildingPlace, shelf: Shelf, gathered: list[PlaceFound], at: str, *, add_unproven: bool
    ) -> None:
        """Of what is on the shelf; `at` is the moment of what has none of its own."""
        self.place = place
        self.shelf = shelf
        self._gathered = gathered
        self._add_unproven = add_unproven
        self._exported: dict[AccountId, list[Addition]] = {}
        self._erasures = NO_ERASURES
        self._erasures = self._ordered()
        self._logins = {account: one.login for account, one in self._documents().items()}
        for addition in self._from_exports(at):
            self._exported.setdefault(addition.account, []).append(addition)

    def survey(self) -> Survey:
        """What there is, and what would be lost; nothing is built."""
        survey = Survey(self._gathered, [], [], [], [])
        for account in sorted(self._logins.keys() | set(self.shelf.accounts())):
            plan = self.plan(account)
            survey.accounts.append(self.loss(plan))
            survey.unproven.extend(self._additions(account))
            survey.forks.extend(_fork(run) for run in plan.history.forks)
        used = {addition.digest for addition in survey.unproven}
        loose = without_property_files(self.shelf.unknown_files())
        survey.loose.extend(file for file in loose if file.digest not in used)
        return survey

    def report(self, survey: Survey, at: str) -> LossReport:
        """What is lost, for keeping."""
        return LossReport(
            at=at,
            sources=tuple(place.title for place in survey.places),
            accounts_whole=sum(loss.is_whole for loss in survey.accounts),
            accounts=tuple(loss for loss in survey.accounts if not loss.is_whole),
            faults=tuple(fault for place in survey.places for fault in place.faults),
        )

    def plan(self, account: AccountId) -> AccountPlan:
        """What becomes of the account, with what is added to it when that was asked for."""
        return self._planned(account, self._additions(account) if self._add_unproven else [])

    def said(self, plan: AccountPlan) -> Said:
        """What copies say of the account."""
        shelf, account, past = self.shelf, plan.account, plan.history.past
        head = max(shelf.head(account, past), 1)  # whoever is named anywhere had the record that opened the account
        ledger, items = shelf.ledger(account, past), shelf.items(account, past)
        return Said(head, ledger, items, shelf.collections(account, past))

    def loss(self, plan: AccountPlan) -> AccountLoss:
        """What is lost of an account that becomes what is planned."""
        return assess(plan, self.said(plan), self._logins.get(plan.account, ""))

    def finish(self) -> None:
        """Put what was built in its place. Raises AlreadyThere, OSError."""
        self.shelf.close()
        self.place.finish()

    def _planned(self, account: AccountId, added: Sequence[Addition]) -> AccountPlan:
        history = unite(self.shelf.records(account))
        noted = {kind: note[0] for kind, note in self.shelf.ledger(account, history.past).items()}
        return plan_account(account, history, self.shelf.has_body, noted, added, is_erased=self.is_erased)

    def is_erased(self, facts: Facts) -> bool:
        """Whether the bytes of this record were erased, as an order says, or the rows of a file when no order is left.

        An order says up to which record: behind it somebody put the same bytes again.
        """
        if facts.digest in self._erasures.of(facts.account):
            return self._erasures.names(facts)
        return self.shelf.is_erased(facts)

    def _additions(self, account: AccountId) -> list[Addition]:
        """What nothing proves of the account, and could be added."""
        plan = self._planned(account, [])
        return additions(plan, self.said(plan), self.shelf.has_body) + self._exported.get(account, [])

    def _from_exports(self, at: str) -> Iterator[Addition]:
        files, unknown = self.shelf.files(), self.shelf.unknown_files()
        accounts = {login: account for account, login in self._logins.items()}
        return additions_from_exports(files, unknown, accounts, at, lambda file: self.shelf.body(file.digest))

    def _ordered(self) -> Erasures:
        """What the orders in the system account name, as far as they are found."""
        items = self.plan(SYSTEM_ACCOUNT).items.items()
        digests = [
            digest for (home, collection, _name), digest in items if (home, collection) == (Home.SYSTEM, ERASURES)
        ]
        return Erasures(parse_order(self.shelf.body(digest)) for digest in digests)

    def _documents(self) -> dict[AccountId, AccountDocument]:
        """Everybody whose document is found."""
        found: dict[AccountId, AccountDocument] = {}
        for (home, collection, _name), digest in self.plan(SYSTEM_ACCOUNT).items.items():
            if (home, collection) == (Home.SYSTEM, ACCOUNTS):
                document = parse_document(ACCOUNTS, self.shelf.body(digest))
                if isinstance(document, AccountDocument):
                    found[document.account] = document
        return found


@contextmanager
def salvaging(
    sources: Sequence[str],
    keys: Sequence[Identity],
    into: Path,
    clock: Clock,
    progress: Progress = lambda _done, _all: None,
    *,
    add_unproven: bool = False,
) -> Iterator[Salvage]:
    """Gather everything of these sources; what is built goes to `into`, with `add_unproven` also what nothing proves.

    Raises BadRequest, NotThere, AlreadyThere (`into` is taken), Unavailable (another salvage builds it), StorageFault.
    """
    with ExitStack() as stack:
        places = [stack.enter_context(closing(open_place(source))) for source in sources]
        place = stack.enter_context(building(into))
        for one in places:
            _require_apart(one, place.folder)
        gatherer = Gatherer(places, keys)
        shelf = stack.enter_context(closing(Shelf(place.shelf, gatherer.read_at)))
        gathered = gatherer.gather(shelf, progress)
        yield Salvage(place, shelf, gathered, render_moment(clock.now()), add_unproven=add_unproven)


def _fork(run: Sequence[Record]) -> Fork:
    first, last = run[0].facts, run[-1].facts
    return Fork(first.account, first.seq, last.seq, first.at, last.at)


def _require_apart(place: Place, folder: Path) -> None:
    if isinstance(place, FolderPlace) and folder.is_relative_to(place.path.absolute()):
        raise BadRequest(f"{folder} would be built inside {place.title}", hint="Choose a place outside the sources.")
