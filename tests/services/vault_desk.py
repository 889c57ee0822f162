"""A store, a vault on a medium of the test's choosing, and writers that wait for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from keepwell.model.errors import StorageFault
from keepwell.model.names import AccountId, Kind
from keepwell.model.record import Op, digest_of
from keepwell.services.confirming import Confirming
from keepwell.services.outages import OutageBook
from keepwell.services.vault_link import VaultLink
from keepwell.services.vault_settings import Role
from keepwell.storage.contract import Entry, Store, Transaction, Work
from keepwell.storage.memory import MemoryStore
from keepwell.storage.writers import Writers
from keepwell.vault.documents import EpochDocument, VaultDocument, render_document
from keepwell.vault.layout import VAULT_DOCUMENT
from keepwell.vault.medium import Medium
from keepwell.vault.reading import read_account
from keepwell.vault.sealing import PlainSeal
from keepwell.vault.vault import Vault, open_vault
from tests.support.clock import FakeClock, SeededEntropy

ANNA = AccountId("a_annaannaannaanna")
BERT = AccountId("a_bertbertbertbert")
SERVER = EpochDocument(epoch=0, server="us", at="", host="here", data="/data")
OTHER = EpochDocument(epoch=0, server="others", at="", host="there", data="/other")


def make() -> Work:
    return lambda transaction: transaction.append(Entry(Op.MAKE, "test", Kind.CONTACTS, "friends", properties={}))


def put(name: str, body: bytes = b"body") -> Work:
    entry = Entry(Op.PUT, "test", Kind.CONTACTS, "friends", name, name, "text/vcard", digest_of(body), len(body))
    return lambda transaction: transaction.append(entry, body)


def establish(medium: Medium) -> None:
    document = VaultDocument(keepwell_vault=1, id="v_test", made_at="2026-11-23T08:00:00.000000Z")
    medium.create(VAULT_DOCUMENT, render_document(document))


def looked_at(medium: Medium) -> Vault:
    """The vault as someone sees it who opens it now."""
    vault = open_vault("test", medium, lambda _document: PlainSeal(), FakeClock())
    vault.look()
    return vault


def names_in(medium: Medium, account: AccountId = ANNA) -> list[str]:
    """The items that were put, as whoever restores from the medium now gets them."""
    carried = read_account([looked_at(medium)], account)
    return [one.record.facts.name for one in carried if one.record.facts.op is Op.PUT]


@dataclass
class Desk:
    """One server's side of one or several vaults."""

    media: list[Medium]
    role: Role = Role.CONFIRMS
    roles: tuple[Role, ...] = ()
    """Of each medium, where they are not all the same."""
    store: Store = field(default_factory=MemoryStore)
    clock: FakeClock = field(default_factory=FakeClock)
    book: OutageBook | None = None

    def __post_init__(self) -> None:
        if ANNA not in self.store.accounts():
            self.store.create(ANNA, [make()])
        self.entropy = SeededEntropy()
        self.links = [self._link(number, medium) for number, medium in enumerate(self.media)]
        self.confirming = Confirming(self.links)
        self.writers = Writers(self.store, self.confirming, threads=1)

    def _link(self, number: int, medium: Medium) -> VaultLink:
        def opener() -> Vault:
            vault = looked_at(medium)
            if self.epochs.get(number) is None:
                self.epochs[number] = vault.claim(SERVER)
            else:
                vault.resume(self.epochs[number], SERVER.server)
            return vault

        self.epochs: dict[int, int] = getattr(self, "epochs", {})
        role = self.roles[number] if self.roles else self.role
        return VaultLink(f"v{number}", opener, self.store, self.clock, self.entropy, role=role, book=self.book)

    def open(self) -> Desk:
        for link in self.links:
            link.reopen()
        return self

    def write(self, work: Work) -> object:
        return self.writers.submit(ANNA, work).result()

    def close(self) -> None:
        self.writers.close()
        self.confirming.close()


def reads(transaction: Transaction) -> int:
    """A work that only looks."""
    return transaction.head().sequence


def folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def gone(
    operations: tuple[str, ...] = ("create", "append", "open_log", "exists", "list", "read", "read_range"),
) -> Callable[[str, str], None]:
    """A hook of a medium that is gone for these operations."""

    def hook(operation: str, name: str) -> None:
        if operation in operations:
            raise StorageFault(f"the medium is gone ({operation} {name})")

    return hook


def nothing(_operation: str, _name: str) -> None:
    """A hook of a medium that is there."""
