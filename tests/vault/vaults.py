"""Small vaults in memory for tests: made, filled from journals, and damaged."""

from __future__ import annotations

from keepwell.vault.documents import EpochDocument, VaultDocument, render_document
from keepwell.vault.keys import Recipients
from keepwell.vault.layout import VAULT_DOCUMENT
from keepwell.vault.medium import Medium
from keepwell.vault.memory_medium import MemoryMedium
from keepwell.vault.sealing import PlainSeal, Seal
from keepwell.vault.ship import line_of
from keepwell.vault.vault import Vault, open_vault
from tests.support.clock import FakeClock
from tests.vault.journals import Journal

SERVER = EpochDocument(epoch=0, server="test", at="2026-11-23T08:00:00.000000Z")
PLAIN = PlainSeal()


def new_vault(
    name: str = "near",
    *,
    seal: Seal = PLAIN,
    recipients: Recipients | None = None,
    medium: Medium | None = None,
) -> Vault:
    """An empty vault, opened for writing; in memory unless a medium is given."""
    medium = medium or MemoryMedium()
    document = VaultDocument(keepwell_vault=1, id=f"v_{name}", made_at=SERVER.at, recipients=recipients)
    medium.create(VAULT_DOCUMENT, render_document(document))
    vault = open_vault(name, medium, lambda _document: seal, FakeClock())
    vault.claim(SERVER)
    return vault


def fill(vault: Vault, journal: Journal, first: int = 1, last: int | None = None) -> str:
    """Ship records `first` to `last` in a pack of their own, large bytes as blobs; the pack's name."""
    blobs: list[str] = []
    lines = [line_of(one, vault.put_blob, blobs) for one in journal.carried[first - 1 : last]]
    run = journal.run(first, last, lines=lines, blobs=blobs, ledger=journal.ledger(last))
    return vault.put_pack([run], level=3).name


def reopened(vault: Vault) -> Vault:
    """The same vault as one finds it: what is known of it is what lies in it."""
    found = open_vault(vault.name, vault.medium, lambda _document: vault.seal, FakeClock())
    found.look()
    return found


def damage(vault: Vault, name: str, place: int = 20) -> None:
    """Flip a bit of an object, past all promises."""
    stored = vault.medium.read(name)
    vault.medium.remove(name)
    vault.medium.create(name, stored[:place] + bytes([stored[place] ^ 1]) + stored[place + 1 :])
