"""The vaults that a restore reads, and how each of its processes opens them.

A vault is looked at once. What was found there (its catalogue) goes to the processes that help, so that they read
frames at once, without listing objects or reading indexes again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pyrage.x25519 import Identity

from keepwell.ground.clock import SystemClock
from keepwell.model.errors import BadRequest, Damaged, KeepwellError, Locked, NotThere
from keepwell.storage.contract import Head
from keepwell.vault.catalogue import Catalogue
from keepwell.vault.documents import VaultDocument
from keepwell.vault.identity import document_told, is_anothers
from keepwell.vault.layout import BLOBS, VAULT_DOCUMENT
from keepwell.vault.loss import ObjectFault
from keepwell.vault.media import open_medium
from keepwell.vault.medium import Medium
from keepwell.vault.restore_plan import Holding
from keepwell.vault.sealing import AgeSeal, PlainSeal, Seal
from keepwell.vault.vault import Vault, open_vault

SOURCE_NAME: Final = "restore"
"""Access keys of buckets are looked for under this name, of the second under `restore-2`, and so on."""


@dataclass(frozen=True, slots=True)
class Source:
    """One vault, so that another process can open it as it was found. Its URL is its name, for people."""

    url: str
    name: str
    document: VaultDocument
    identities: tuple[str, ...]
    catalogue: Catalogue

    def open(self) -> Vault:
        """The vault, without looking at it again."""
        medium = open_medium(self.url, name=self.name)
        identities = [Identity.from_str(one) for one in self.identities]
        vault = Vault(self.url, medium, self.document, _seal_for(self.document, identities), SystemClock())
        vault.adopt(self.catalogue)
        return vault


@dataclass(frozen=True, slots=True)
class OpenedSource:
    """A vault that was opened and looked at here, and what another process needs for opening it."""

    vault: Vault
    source: Source


def open_sources(urls: Sequence[str], identities: Sequence[Identity] = ()) -> list[OpenedSource]:
    """Open these vaults and look at what is there; whoever asked closes them.

    Raises BadRequest, NotThere, Damaged, CannotStart, StorageFault, and Locked when no key opens one of them.
    """
    if len(set(urls)) != len(urls) or not urls:
        raise BadRequest("a restore reads from one or several vaults, each named once", hint="Name them with --from.")
    opened: list[OpenedSource] = []
    try:
        for number, url in enumerate(urls, start=1):
            name = SOURCE_NAME if number == 1 else f"{SOURCE_NAME}-{number}"
            opened.append(open_source(url, name, identities))
    except BaseException:
        close_sources(opened)
        raise
    return opened


def close_sources(opened: Sequence[OpenedSource]) -> None:
    """Let go of them."""
    for one in opened:
        one.vault.close()


def holding_of(vault: Vault, *, blobs: bool = False) -> Holding:
    """What an opened vault says that it holds; with `blobs` also how long its large bytes are, which lists them all."""
    accounts = vault.heads()
    tails = ((account, vault.tail_lines(account)) for account in accounts)
    return Holding(
        vault=vault.name,
        heads=accounts,
        frames={account: vault.frames(account) for account in accounts},
        tails={account: Head(lines[-1].record.facts.seq, lines[-1].record.hash) for account, lines in tails if lines},
        manifest=vault.manifest(),
        blob_sizes={info.name: info.size for info in vault.medium.list(BLOBS)} if blobs else {},
    )


def broken_ends(vault: Vault) -> list[ObjectFault]:
    """Tails that end with a line that cannot be read: whether it was ever confirmed nobody can tell any more."""
    message = "its last line is damaged, or was cut off by a crash and never confirmed"
    return [ObjectFault(vault.name, name, message) for name in vault.broken_ends]


def open_source(url: str, name: str, identities: Sequence[Identity] = ()) -> OpenedSource:
    """Open one vault, with the access key of the vault that has this name, and look at it; raises as `open_sources`."""
    medium = open_medium(url, name=name)
    try:
        vault, wrong = _opened(url, medium, identities)
        _require_key(vault, identities)
        vault.look()
        vault.problems += wrong
        require_right_key(vault)
    except BaseException:
        medium.close()
        raise
    texts = tuple(str(one) for one in identities)
    return OpenedSource(vault, Source(url, name, vault.document, texts, vault.catalogue()))


def _opened(url: str, medium: Medium, identities: Sequence[Identity]) -> tuple[Vault, list[KeepwellError]]:
    """The vault that lies here, and what is wrong with its document: a plain one is known by its manifests as well."""
    try:
        vault = open_vault(url, medium, lambda document: _seal_for(document, identities), SystemClock())
        if not is_anothers(medium, vault.document):
            return vault, []
        wrong: KeepwellError = Damaged(f"{VAULT_DOCUMENT} is of another vault, {vault.document.id}")
    except (Damaged, NotThere) as error:
        wrong = error
    told = document_told(medium)
    if told is None:
        raise wrong
    return Vault(url, medium, told, PlainSeal(), SystemClock()), [wrong]


def _seal_for(document: VaultDocument, identities: Sequence[Identity]) -> Seal:
    if document.recipients is None:
        return PlainSeal()
    return AgeSeal(document.recipients.public_keys(), identities)


def _require_key(vault: Vault, identities: Sequence[Identity]) -> None:
    if vault.seal.sealed and not identities:
        raise Locked(
            f"the vault at {vault.name} is encrypted",
            hint="Give the file with the operator's secret key, or with that on the recovery sheet: --key FILE.",
        )


def require_right_key(vault: Vault) -> None:
    """Find out now, before anything is made, whether the key opens what lies here. Raises Locked."""
    if not vault.seal.sealed:
        return
    for account in vault.heads():
        for ref in vault.frames(account):
            try:
                vault.read_frame(ref)
            except (Damaged, NotThere):
                continue
            return
