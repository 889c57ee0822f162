"""The small JSON documents of a vault: what it is, who may write, and what must be there (docs/VAULT_FORMAT.md)."""

from __future__ import annotations

from typing import Final

import msgspec
from backports import zstd

from keepwell.model.errors import CannotStart, Damaged
from keepwell.model.hashed import parse_hashed, render_hashed
from keepwell.model.names import AccountId, Kind, Lineage, is_account_id
from keepwell.model.unreadable import UNREADABLE
from keepwell.vault.keys import Recipients
from keepwell.vault.layout import FORMAT_VERSION
from keepwell.vault.pack import LedgerNote

MANIFEST_OCTETS_MAX: Final = 1 << 30
"""What a manifest may be unpacked: some 500 bytes for each account and 100 for each pack."""


class VaultDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What a vault is. With `recipients` it is encrypted to their public keys."""

    keepwell_vault: int
    id: str
    made_at: str
    recipients: Recipients | None = None


class EpochDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds an epoch: a word drawn by the server that claimed it, and for people its host and data folder."""

    epoch: int
    server: str
    at: str
    host: str = ""
    data: str = ""


class AccountNote(msgspec.Struct, frozen=True, kw_only=True):
    """Where an account's journal ends in the vault, and what it comes to there."""

    seq: int
    head: str
    lineage: Lineage
    ledger: dict[Kind, LedgerNote]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What must be there: every pack with its length, and every account's end."""

    manifest: int
    vault: str
    epoch: int
    number: int
    at: str
    packs: dict[str, int]
    accounts: dict[AccountId, AccountNote]
    documents: dict[str, str] = {}
    """The SHA-256 of each small object whose name does not have it: `README.md`, `vault.json`, those of `epochs/`."""
    tails: dict[str, int] | None = None
    """Of each tail of an ended epoch how many bytes count; None in a manifest of the first Keepwells, where all do."""


def render_document(document: VaultDocument | EpochDocument) -> bytes:
    """As it is stored: JSON that people can read."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def parse_vault_document(stored: bytes, where: str) -> VaultDocument:
    """Read `vault.json`. Raises Damaged, CannotStart for a newer format."""
    try:
        version = msgspec.json.decode(stored, type=dict[str, object]).get("keepwell_vault")
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise CannotStart(
                f"the vault at {where} has format {version}; this Keepwell knows up to {FORMAT_VERSION}",
                hint="A newer Keepwell made it. Use that version, or a newer one.",
            )
        return msgspec.json.decode(stored, type=VaultDocument)
    except UNREADABLE as error:
        raise Damaged(f"the vault.json of {where} cannot be read: {error}") from error


def render_epoch_document(document: EpochDocument) -> bytes:
    """As it is stored, with the hash of its text: no manifest has that until the epoch's first one."""
    return render_hashed(document)


def parse_epoch_document(stored: bytes) -> EpochDocument:
    """Read who holds an epoch. Raises Damaged."""
    try:
        document = parse_hashed(stored, EpochDocument)
    except UNREADABLE as error:
        raise Damaged(f"an epoch's document cannot be read: {error}") from error
    if stored not in {render_epoch_document(document), render_document(document)}:  # the first Keepwells wrote no hash
        raise Damaged("an epoch's document is not as it was written")
    return document


def render_manifest(manifest: Manifest) -> bytes:
    """As it is stored: JSON under zstd."""
    return zstd.compress(msgspec.json.encode(manifest), 9)


def parse_manifest(stored: bytes) -> Manifest:
    """Read a manifest. Raises Damaged."""
    try:
        unpacked = zstd.ZstdDecompressor().decompress(stored, max_length=MANIFEST_OCTETS_MAX)
        manifest = msgspec.json.decode(unpacked, type=Manifest)
    except (zstd.ZstdError, EOFError, *UNREADABLE) as error:
        raise Damaged(f"a manifest cannot be read: {error}") from error
    if strange := [account for account in manifest.accounts if not is_account_id(account)]:
        raise Damaged(f"a manifest speaks of {strange[0][:40]!r}, which is no account id")
    return manifest
