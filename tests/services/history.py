"""Histories that go back: a store in memory that can be copied and put back as it was, and what looks back at it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from keepwell.app.look_back import look_back
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Home, Kind
from keepwell.model.record import Op, digest_of
from keepwell.services.actor import Actor
from keepwell.services.incidents import Incident, Incidents
from keepwell.services.indexing import index_again
from keepwell.services.lineages import Lineages
from keepwell.services.noting import Noter
from keepwell.services.rollback import Rollbacks
from keepwell.services.witness import WitnessFile
from keepwell.storage.contract import Carried, Entry, Store, Transaction, Work
from keepwell.storage.memory import MemoryStore
from keepwell.storage.writers import Unconfirmed
from tests.services.samples import card
from tests.support.clock import FakeClock, SeededEntropy

ANNA = AccountId("a_annaannaannaanna")
BERT = AccountId("a_bertbertbertbert")
CARLA = AccountId("a_carlacarlacarlaa")

Copy = dict[AccountId, list[Carried]]


def entry(kind: Kind, name: str, body: bytes) -> Entry:
    return Entry(Op.PUT, "phone", kind, kind.value, name, name, "text/vcard", digest_of(body), len(body))


@dataclass
class World:
    """A data folder in memory, its witness outside, and its vaults: all there, or one out of reach."""

    folder: Path
    clock: FakeClock = field(default_factory=lambda: FakeClock(step_seconds=1))
    entropy: SeededEntropy = field(default_factory=SeededEntropy)
    logins: dict[str, AccountId] = field(default_factory=lambda: {"anna": ANNA})
    vaults_are_here: bool = True

    def __post_init__(self) -> None:
        self.data = self.folder / "data"
        self.data.mkdir()
        self.witness = WitnessFile(self.folder / "state" / "witness.jsonl", self.data)
        self.store: Store = MemoryStore(self.clock, self.entropy)
        for account in (SYSTEM_ACCOUNT, ANNA):
            self.store.create(account, [open_account])
        self.told: list[str] = []

    @property
    def rollbacks(self) -> Rollbacks:
        return Rollbacks(
            store=self.store,
            incidents=Incidents(self.data),
            clock=self.clock,
            entropy=self.entropy,
            account_of=self.logins.get,
            login_of=lambda account: next((login for login, one in self.logins.items() if one == account), None),
            append=self.do,
            may_append=lambda: self.vaults_are_here,
        )

    @property
    def lineages(self) -> Lineages:
        return Lineages(self.rollbacks, self.witness)

    def do(self, account: AccountId, *works: Work) -> None:
        for verdict in self.store.account(account).transact(works):
            if isinstance(verdict, BaseException):
                raise verdict

    def put(self, *names: str, kind: Kind = Kind.CONTACTS, account: AccountId = ANNA) -> None:
        for name in names:
            body = card(name)
            self.do(
                account, lambda transaction, name=name, body=body: transaction.append(entry(kind, name, body), body)
            )

    def remove(self, name: str, kind: Kind = Kind.CONTACTS) -> None:
        self.do(ANNA, lambda transaction: transaction.append(Entry(Op.REMOVE, "phone", kind, kind.value, name, name)))

    def copy(self) -> Copy:
        """What an operator copies while the server stands still."""
        found = {}
        for account in self.store.accounts():
            with self.store.account(account).reading() as snapshot:
                found[account] = list(snapshot.carried())
        return found

    def put_back(self, copy: Copy) -> None:
        """An older data folder in the place of the newer: nothing in it says so."""
        self.store = MemoryStore(self.clock, self.entropy)
        for account, carried in copy.items():
            self.store.restore(account, carried, index_again)
        Incidents(self.data)._path.unlink(missing_ok=True)

    def start(self) -> list[Incident]:
        """What a start does once vaults were asked."""
        self.told.clear()
        found = look_back(self.rollbacks, self.witness, dict(self.store.read_heads()), self.told.append)
        noter = Noter(self.store, self.witness, self.clock, Unconfirmed(), login_of=self.rollbacks.login_of)
        if self.witness.path.is_file():
            noter.look_for_unseen()
        noter.close()
        return found

    def held(self, account: AccountId = ANNA) -> dict[Kind, str]:
        with self.store.account(account).reading() as snapshot:
            return dict(snapshot.held())

    def lineage(self, account: AccountId = ANNA) -> str:
        with self.store.account(account).reading() as snapshot:
            return snapshot.lineage()

    def names(self, kind: Kind = Kind.CONTACTS) -> list[str]:
        with self.store.account(ANNA).reading() as snapshot:
            found = snapshot.collection(Home.CONTACTS if kind is Kind.CONTACTS else Home.CALENDARS, kind.value)
            assert found is not None
            return [item.name for item in snapshot.items(found.id)]

    def records(self, account: AccountId = ANNA) -> list[tuple[Op, str, str]]:
        """What each record did, by whom, in which lineage."""
        with self.store.account(account).reading() as snapshot:
            return [(one.facts.op, one.facts.by, one.facts.lineage) for one in snapshot.records()]


def open_account(transaction: Transaction) -> None:
    transaction.append(Entry(Op.OPEN, "test"))
    for kind in (Kind.CONTACTS, Kind.CALENDAR, Kind.SYSTEM):
        transaction.append(Entry(Op.MAKE, "test", kind, kind.value, properties={}))


def actor(account: AccountId = ANNA, login: str = "anna") -> Actor:
    return Actor(account, login, "app-password:phone")
