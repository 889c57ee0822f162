"""Vaults in folders with a small server's data, and restoring from them as the command does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pyrage.x25519 import Identity

from keepwell.ground.clock import SystemClock
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Digest, Kind
from keepwell.model.record import Op, Record
from keepwell.services.documents import ACCOUNTS, AccountDocument, render_document
from keepwell.services.restoring.logins import read_logins
from keepwell.services.restoring.restore import Progress, Restored, RestoreOrder, Restoring
from keepwell.services.restoring.sources import close_sources, holding_of, open_sources
from keepwell.storage.contract import Entry
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.folder_medium import FolderMedium
from keepwell.vault.keys import Recipients
from keepwell.vault.layout import tail_name
from keepwell.vault.lines import render_line
from keepwell.vault.loss import AccountLoss, KindLoss
from keepwell.vault.restore_plan import KIND_ORDER, Choice, plan_restore
from keepwell.vault.sealing import PlainSeal, Seal
from keepwell.vault.vault import Vault
from tests.vault.journals import ANNA, BERT, Journal
from tests.vault.vaults import fill, new_vault

PHOTO = b"\xff\xd8 a photograph " * 20_000


def folder_vault(
    folder: Path, *, seal: Seal | None = None, recipients: Recipients | None = None, name: str = ""
) -> Vault:
    """An empty vault in a folder, opened for writing."""
    folder.mkdir()
    medium = FolderMedium(folder)
    return new_vault(name or folder.name, medium=medium, seal=seal or PlainSeal(), recipients=recipients)


def people(*journals: Journal) -> Journal:
    """The system account's journal, in which the journals' accounts are anna and bert."""
    system = Journal(SYSTEM_ACCOUNT)
    system.add(Op.MAKE, Kind.SYSTEM, ACCOUNTS)
    for journal in journals:
        document = AccountDocument(
            account=journal.account,
            login=LOGINS.get(journal.account, journal.account),
            display_name="",
            disabled=False,
            made_at="2026-11-23T08:00:00.000000Z",
        )
        body = render_document(document)
        system.add(Op.PUT, Kind.SYSTEM, ACCOUNTS, f"{journal.account}.json", body=body)
    return system


LOGINS = {ANNA: "anna", BERT: "bert"}


def journal_of(account: AccountId = ANNA, cards: int = 7) -> Journal:
    """An account with so many cards: two records more."""
    journal = Journal(account)
    for number in range(cards):
        journal.put(f"friend {number}.vcf", card(f"Friend {number}"))
    return journal


def card(name: str) -> bytes:
    return f"BEGIN:VCARD\r\nVERSION:4.0\r\nUID:{name}\r\nFN:{name}\r\nEND:VCARD\r\n".encode()


def put_photo(journal: Journal, name: str, body: bytes = PHOTO) -> Digest:
    """Add a photograph; the first makes the album."""
    if not any(one.record.facts.kind is Kind.PHOTOS for one in journal.carried):
        journal.add(Op.MAKE, Kind.PHOTOS, "album")
    record: Record = journal.add(Op.PUT, Kind.PHOTOS, "album", name, body=body)
    assert record.facts.digest is not None
    return record.facts.digest


def server_vault(
    folder: Path, *journals: Journal, seal: Seal | None = None, recipients: Recipients | None = None
) -> Vault:
    """A vault with everything of these accounts and the system account, a pack each, and a manifest."""
    vault = folder_vault(folder, seal=seal, recipients=recipients)
    for journal in (people(*journals), *journals):
        fill(vault, journal)
    vault.put_manifest()
    return vault


@contextmanager
def unseen(_title: str, *, unit: str) -> Iterator[Progress]:
    """Progress that nobody watches."""
    assert unit
    yield lambda _done, _all: None


def restored(
    order: RestoreOrder,
    *folders: Path,
    kinds: Sequence[Kind] = KIND_ORDER,
    identities: Sequence[Identity] = (),
) -> Restored:
    """What the command does between reading its options and printing."""
    opened = open_sources([str(folder) for folder in folders], identities)
    try:
        vaults = [one.vault for one in opened]
        chosen = None if order.chosen is None else frozenset(order.chosen)
        choice = Choice(chosen, tuple(kinds))
        plan = plan_restore([holding_of(vault) for vault in vaults], choice, read_logins(vaults))
        return Restoring(order, plan, opened, SqliteStore, SystemClock()).carry_out(unseen)
    finally:
        close_sources(opened)


def loss_of(outcome: Restored, account: AccountId = ANNA) -> AccountLoss:
    """What one account lost."""
    assert outcome.loss is not None
    return next(one for one in outcome.loss.accounts if one.account == account)


def kind_loss(outcome: Restored, kind: Kind = Kind.CONTACTS, account: AccountId = ANNA) -> KindLoss:
    """What one kind of an account lost."""
    return next(one for one in loss_of(outcome, account).kinds if one.kind is kind)


def journal_in(folder: Path, account: AccountId = ANNA) -> list[Record]:
    """An account's records in a restored folder."""
    store = SqliteStore(folder)
    try:
        with store.account(account).reading() as snapshot:
            return list(snapshot.records())
    finally:
        store.close()


def records_of(journal: Journal) -> list[Record]:
    return [one.record for one in journal.carried]


def held_in(folder: Path, account: AccountId = ANNA) -> dict[Kind, str]:
    """What is held in a restored folder, and why."""
    store = SqliteStore(folder)
    try:
        with store.account(account).reading() as snapshot:
            return dict(snapshot.held())
    finally:
        store.close()


def card_with_photo() -> bytes:
    """A card that is large: its photograph lies in it."""
    return card("Grace").replace(b"END:VCARD", b"PHOTO:data:image/jpeg;base64," + b"QUJD" * 40_000 + b"\r\nEND:VCARD")


def remove_of(name: str) -> Entry:
    """A removal of one of the friends."""
    return Entry(Op.REMOVE, "test", Kind.CONTACTS, "friends", name)


def write_tail(vault: Vault, journal: Journal, first: int) -> None:
    """A tail that confirmed the records from `first` on."""
    log = vault.medium.open_log(tail_name(vault.epoch, "test"))
    assert log is not None
    log.append(b"".join(render_line(one) for one in journal.carried[first - 1 :]))
    log.close()
