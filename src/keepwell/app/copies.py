"""Opening a copy that something is brought back from, by what people call it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pyrage.x25519 import Identity

from keepwell.app.wiring import Keepwell
from keepwell.model.errors import BadRequest, NotThere
from keepwell.services.copies import Copy, FolderCopy, VaultCopy
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.documents import VaultDocument
from keepwell.vault.layout import VAULT_DOCUMENT
from keepwell.vault.media import open_medium
from keepwell.vault.sealing import AgeSeal, PlainSeal, Seal
from keepwell.vault.vault import Vault, open_vault

CREDENTIALS_NAME: Final = "restore"
"""For which vault the access key of a bucket is sought that is named by its URL."""


@contextmanager
def open_copy(keepwell: Keepwell, text: str, keys: Sequence[Identity] = ()) -> Iterator[Copy]:
    """The copy that `text` names: a vault of this data folder by its name, a vault by its URL or folder, a data folder.

    Raises NotThere, BadRequest (it is the live folder itself), Locked, Damaged, StorageFault, CannotStart.
    """
    known = {one.name for one in keepwell.vaults.settings.all()}
    if text in known or "://" in text or (Path(text) / VAULT_DOCUMENT).exists():
        vault = _vault(keepwell, text, keys)
        try:
            yield VaultCopy(vault)
        finally:
            vault.close()
        return
    store = _folder_at(text, keepwell.data, known)
    try:
        yield FolderCopy(text, store)
    finally:
        store.close()


def _vault(keepwell: Keepwell, text: str, keys: Sequence[Identity]) -> Vault:
    """A vault, looked at; without a key it is opened with the drill's, where that is."""
    setting = next((one for one in keepwell.vaults.settings.all() if one.name == text), None)
    if setting is not None and not keys:
        return keepwell.vaults.open(text)

    def seal_for(document: VaultDocument) -> Seal:
        return AgeSeal(document.recipients.public_keys(), keys) if document.recipients else PlainSeal()

    medium = open_medium(setting.url if setting else text, name=text if setting else CREDENTIALS_NAME)
    try:
        vault = open_vault(text, medium, seal_for, keepwell.clock)
        vault.look()
    except BaseException:
        medium.close()
        raise
    return vault


def _folder_at(text: str, data: Path, known: set[str]) -> SqliteStore:
    folder = Path(text)
    if not (folder / "accounts").is_dir():
        names = ", ".join(sorted(known)) or "none"
        raise NotThere(
            f"{text} is no vault of this data folder, no vault and no data folder",
            hint=f"Vaults here: {names}. A vault elsewhere is named by its folder or URL.",
        )
    if folder.resolve() == data.resolve():
        raise BadRequest(f"{text} is the live data folder itself", hint="To go back in it: keepwell rewind")
    return SqliteStore(folder)
