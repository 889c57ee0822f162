"""A small vault with everything in it (packs, blobs, manifests, epochs, tails), and the store that it is a copy of."""

from __future__ import annotations

from keepwell.ground.entropy import base32_word
from keepwell.model.names import HOME_OF, AccountId, Kind
from keepwell.model.record import Op, digest_of
from keepwell.services.indexing import index_again
from keepwell.storage.contract import Entry, Head, Store, Transaction
from keepwell.storage.memory import MemoryStore
from keepwell.vault.documents import EpochDocument, VaultDocument, render_document
from keepwell.vault.keys import Recipients
from keepwell.vault.layout import README, VAULT_DOCUMENT, tail_name
from keepwell.vault.medium import Medium
from keepwell.vault.memory_medium import MemoryMedium
from keepwell.vault.readme import render_readme
from keepwell.vault.sealing import PlainSeal, Seal
from keepwell.vault.ship import line_of, ship
from keepwell.vault.tail import Tail
from keepwell.vault.vault import Vault
from tests.support.clock import FakeClock, SeededEntropy
from tests.vault.journals import ANNA, BERT

PHOTO = b"\xff\xd8photo" * 30_000
"""Large enough to be a blob."""


class Filled:
    """A store in memory and a vault of it; `grow` and `ship` make it larger."""

    def __init__(
        self,
        medium: Medium | None = None,
        *,
        store: Store | None = None,
        seal: Seal | None = None,
        recipients: Recipients | None = None,
    ) -> None:
        self.clock = FakeClock(step_seconds=0.001)
        self.entropy = SeededEntropy()
        self.store = store or MemoryStore(self.clock, self.entropy)
        self.medium = medium or MemoryMedium()
        self.document = VaultDocument(
            keepwell_vault=1, id="v_vaultvaultvault2", made_at="2026-11-23T08:00:00.000000Z", recipients=recipients
        )
        self.seal = seal or PlainSeal()
        self.medium.create(README, render_readme(self.document))
        self.medium.create(VAULT_DOCUMENT, render_document(self.document))
        self.vault = self.open(claim=True)

    def open(self, *, claim: bool = False) -> Vault:
        """The vault as another process opens it; with `claim` to write into it."""
        vault = Vault("here", self.medium, self.document, self.seal, self.clock)
        if claim:
            word = base32_word(self.entropy, 80)
            vault.claim(EpochDocument(epoch=0, server=word, at="2026-11-23T08:00:00.000000Z", host="h", data="/data"))
        else:
            vault.look()
        return vault

    def grow(self, account: AccountId = ANNA, *, cards: int = 1, photo: bytes | None = None) -> Head:
        """More records for an account, which is made when it is not there."""

        def work(transaction: Transaction) -> None:
            if transaction.head().sequence == 0:
                transaction.append(Entry(Op.OPEN, "operator"))
                transaction.append(Entry(Op.MAKE, "test", Kind.CONTACTS, "friends", properties={"displayname": "F"}))
                transaction.append(Entry(Op.MAKE, "test", Kind.PHOTOS, "photos"))
            for number in range(cards):
                name = f"{transaction.head().sequence}.vcf"
                body = f"BEGIN:VCARD\r\nVERSION:4.0\r\nUID:{name}\r\nFN:Person {number} of {name}\r\nEND:VCARD\r\n"
                _put(transaction, Kind.CONTACTS, "friends", name, body.encode())
            if photo is not None:
                _put(transaction, Kind.PHOTOS, "photos", f"{transaction.head().sequence}.jpg", photo)

        if account not in self.store.accounts():
            self.store.create(account)
        for verdict in self.store.account(account).transact([work]):
            if isinstance(verdict, BaseException):
                raise verdict
        return self.head(account)

    def remove(self, name: str, account: AccountId = ANNA) -> None:
        """Remove a card."""
        entry = Entry(Op.REMOVE, "test", Kind.CONTACTS, "friends", name)
        self.store.account(account).transact([lambda transaction: transaction.append(entry)])

    def head(self, account: AccountId = ANNA) -> Head:
        """Where the account ends in the store."""
        with self.store.account(account).reading() as snapshot:
            return snapshot.head()

    def ship(self) -> None:
        """Bring the vault up to date, in one pack."""
        ship(self.vault, self.store, self.store.accounts())

    def confirm(self, account: AccountId = ANNA, *, cards: int = 2) -> str:
        """More records, which a tail confirms; the tail's name."""
        before = self.vault.head(account).sequence
        self.grow(account, cards=cards)
        name = tail_name(self.vault.epoch, base32_word(self.entropy, 80))
        log = self.medium.open_log(name)
        if log is None:
            raise ValueError("this medium has no logs")
        tail = Tail(name, log, self.seal)
        with self.store.account(account).reading() as snapshot:
            for carried in snapshot.carried(before):
                facts = carried.record.facts
                line = line_of(carried, self.vault.put_blob, [])
                tail.append(line, {facts.account: (facts.seq, carried.record.hash)})
        tail.close()
        return name


def _put(transaction: Transaction, kind: Kind, collection: str, name: str, body: bytes) -> None:
    entry = Entry(Op.PUT, "test", kind, collection, name, name, "text/plain", digest_of(body), len(body))
    transaction.append(entry, body, index_again(HOME_OF[kind], body))


def filled(medium: Medium | None = None) -> Filled:
    """Two accounts in two packs, a photo in a blob, a manifest, and a tail."""
    made = Filled(medium)
    made.grow(ANNA, cards=3, photo=PHOTO)
    made.grow(BERT, cards=2)
    made.ship()
    made.grow(ANNA, cards=2)
    made.remove("4.vcf")
    made.ship()
    made.vault.put_manifest()
    made.confirm(ANNA)
    made.vault.look()
    return made
