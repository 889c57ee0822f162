"""The vaults of one data folder: added, removed, and opened for whoever reads or writes them.

Adding a vault, and what a crash leaves behind at each step:

1. the medium is probed; nothing stays of that;
2. `vault.json` (create-only), then `README.md`: an empty vault that nobody knows of; the next attempt takes it over;
3. the settings name it: from the next start on, or the next command, it is shipped to and counts.

A vault in which another server's data lies is refused: to get that back one restores from it; to write into it beside
that data would mix two histories.
"""

from __future__ import annotations

import socket
from functools import partial
from pathlib import Path

import msgspec

from keepwell.ground.clock import Clock, render_moment
from keepwell.ground.entropy import Entropy, base32_word
from keepwell.model.errors import AlreadyThere, BadRequest, Damaged, Locked, NotThere
from keepwell.model.names import SYSTEM_ACCOUNT
from keepwell.services.epochs import EpochHeld, open_to_write
from keepwell.services.outages import OutageBook
from keepwell.services.vault_settings import OnLoss, VaultSetting, VaultSettings, check_vault_name
from keepwell.services.verified import VerifiedFile
from keepwell.storage.contract import Store
from keepwell.vault.documents import EpochDocument, VaultDocument, render_document
from keepwell.vault.identity import is_document_of
from keepwell.vault.keys import Recipients, read_drill_key
from keepwell.vault.layout import EPOCHS, FORMAT_VERSION, README, VAULT_DOCUMENT
from keepwell.vault.media import open_medium, parse_url
from keepwell.vault.medium import Medium, claim
from keepwell.vault.probe import probe
from keepwell.vault.reading import read_account
from keepwell.vault.readme import render_readme
from keepwell.vault.sealing import AgeSeal, PlainSeal, Seal
from keepwell.vault.vault import Vault, open_vault


class Vaults:
    """The vaults that belong to one data folder."""

    def __init__(self, data: Path, clock: Clock, entropy: Entropy) -> None:
        """Of this data folder."""
        self.settings = VaultSettings(data)
        self.outages = OutageBook(data)
        self._data = data
        self._clock = clock
        self._entropy = entropy

    def add(
        self,
        name: str,
        url: str,
        store: Store,
        *,
        confirm: bool = False,
        on_loss: OnLoss = OnLoss.REFUSE,
        recipients: Recipients | None = None,
    ) -> VaultSetting:
        """Make a vault, or take one over that holds this data already, and know it from now on.

        An encrypted vault that is taken over stays sealed to the keys that it has, whatever `recipients` are.

        Raises BadRequest, AlreadyThere (the name is taken, or other data lies there), CannotStart (the medium does not
        do what it must), StorageFault.
        """
        check_vault_name(name)
        self._require_apart(url)
        if any(one.name == name for one in self.settings.all()):
            raise AlreadyThere(f"there is a vault {name} already", hint="See: keepwell vault list")
        medium = open_medium(url, name=name, make=True)
        try:
            probe(medium, self._entropy)
            document = self._established(medium, recipients)
            claim(medium, README, render_readme(document))
            vault = Vault(name, medium, document, self.seal_for(name, document), self._clock)
            vault.look()
            _require_own_data(vault, store)
        finally:
            medium.close()
        setting = VaultSetting(
            name=name,
            url=url if "://" in url else str(Path(url).absolute()),
            id=document.id,
            confirm=confirm,
            on_loss=on_loss,
            added_at=render_moment(self._clock.now()),
            made_at=document.made_at,
            recipients=document.recipients,
            confirmed=document.recipients is None,
        )
        self.settings.add(setting)
        return setting

    def _require_apart(self, url: str) -> None:
        """A vault in the data folder, or around it, would go with it. Raises BadRequest."""
        place = parse_url(url)
        data = self._data.absolute()
        if isinstance(place, Path) and (place.is_relative_to(data) or data.is_relative_to(place)):
            raise BadRequest(
                f"a vault at {place} would be lost together with {data}",
                hint="Choose a folder apart from it, best on another disk.",
            )

    def open(self, name: str) -> Vault:
        """A vault for reading, looked at. Raises NotThere, Damaged, StorageFault, CannotStart, Locked."""
        setting = self.settings.named(name)
        vault = self._opened(setting)
        try:
            vault.look()
        except BaseException:
            vault.close()
            raise
        return vault

    def open_to_write(self, name: str, family: str = "") -> Vault:
        """A vault for writing, looked at; raises as `open`, and Fenced.

        Each family of server processes claims an epoch of its own, the first of them that comes here, once the medium
        was probed; the others write in it. Without a family (a command) the epoch is that which this data folder holds.
        Where that epoch's document is damaged, the next is claimed.
        In a vault of which an older copy was put in its place, whoever comes first claims one again.
        """
        return open_to_write(self.settings, name, family, partial(self._opened, self.settings.named(name)), self._claim)

    def _claim(self, vault: Vault, family: str) -> EpochHeld:
        probe(vault.medium, self._entropy)
        server = EpochDocument(
            epoch=0,
            server=base32_word(self._entropy, 80),
            at=render_moment(self._clock.now()),
            host=socket.gethostname(),
            data=str(self._data.absolute()),
        )
        return EpochHeld(vault.claim(server), server.server, family)

    def verified_file(self, name: str) -> VerifiedFile:
        """Where it is kept when a vault was verified last."""
        return VerifiedFile(self.settings.folder(name))

    def seal_for(self, name: str, document: VaultDocument) -> Seal:
        """How a vault's bytes are stored; the drill's key opens them, where it is."""
        if document.recipients is None:
            return PlainSeal()
        try:
            identities = [read_drill_key(self.settings.folder(name))]
        except NotThere:
            identities = []
        return AgeSeal(document.recipients.public_keys(), identities)

    def _opened(self, setting: VaultSetting) -> Vault:
        medium = open_medium(setting.url, name=setting.name)
        try:
            vault = self._opened_or_known(setting, medium)
            if vault.document.id != setting.id:
                raise Damaged(
                    f"at {setting.url} lies another vault ({vault.document.id}) than {setting.name} ({setting.id})",
                    hint="Is the right disk mounted there? Nothing was written.",
                )
        except BaseException:
            medium.close()
            raise
        return vault

    def _opened_or_known(self, setting: VaultSetting, medium: Medium) -> Vault:
        """What lies there by its `vault.json`, or, where that is not as it was, by the settings and its manifests."""
        known = VaultDocument(
            keepwell_vault=FORMAT_VERSION, id=setting.id, made_at=setting.made_at, recipients=setting.recipients
        )
        try:
            vault = open_vault(
                setting.name, medium, lambda document: self.seal_for(setting.name, document), self._clock
            )
        except (Damaged, NotThere):
            if not is_document_of(medium, known):
                raise
        else:
            if vault.document.id == setting.id or not is_document_of(medium, known):
                return vault
        return Vault(setting.name, medium, known, self.seal_for(setting.name, known), self._clock)

    def _established(self, medium: Medium, recipients: Recipients | None) -> VaultDocument:
        """The document of the vault that is there, or of a new one."""
        place = medium.identity().place
        if medium.exists(VAULT_DOCUMENT):
            found = open_vault("new", medium, lambda _document: PlainSeal(), self._clock).document
            if (found.recipients is None) != (recipients is None):
                words = "is encrypted" if found.recipients else "is not encrypted"
                raise BadRequest(f"the vault at {place} {words}", hint="Say so, or choose another place.")
            if found.recipients != recipients and next(iter(medium.list(EPOCHS)), None) is None:
                raise AlreadyThere(
                    f"at {place} a vault was begun to whose keys nobody may have the secrets",
                    hint="It holds nothing yet. Empty that place, then add the vault again.",
                )
            return found
        if next(iter(medium.list()), None) is not None:
            raise AlreadyThere(f"{place} is not empty, and no vault", hint="Choose an empty place for a vault.")
        document = VaultDocument(
            keepwell_vault=FORMAT_VERSION,
            id=f"v_{base32_word(self._entropy, 80)}",
            made_at=render_moment(self._clock.now()),
            recipients=recipients,
        )
        if not claim(medium, VAULT_DOCUMENT, render_document(document)):
            raise AlreadyThere(f"another server makes a vault at {place} at this moment", hint="Choose another place.")
        return document


def _require_own_data(vault: Vault, store: Store) -> None:
    """Refuse a vault whose journals are not those of this store, wholly or up to a point."""
    heads = vault.heads()
    if not heads:
        return
    if not _is_same_history(vault, store):
        raise AlreadyThere(
            f"in that vault lies the data of another server ({len(heads)} accounts)",
            hint="To get it back: keepwell restore --from URL --into FOLDER. For a new vault choose an empty place.",
        )


def _is_same_history(vault: Vault, store: Store) -> bool:
    """Whether one of both system accounts continues the other, record by record."""
    if SYSTEM_ACCOUNT not in store.accounts():
        return False
    theirs = vault.head(SYSTEM_ACCOUNT)
    with store.account(SYSTEM_ACCOUNT).reading() as snapshot:
        ours = snapshot.head()
        if theirs.sequence <= ours.sequence:
            record = next(snapshot.records(theirs.sequence - 1), None) if theirs.sequence else None
            return record is not None and record.hash == theirs.hash
        lineage = snapshot.lineage()
    try:
        return next(read_account([vault], SYSTEM_ACCOUNT, ours), None) is not None
    except Locked:  # without a key the lineage, which the index shows, has to do
        note = vault.note(SYSTEM_ACCOUNT)
        return note is not None and note.lineage == lineage


def describe(setting: VaultSetting) -> dict[str, object]:
    """A vault's setting for people and programs; it holds no secret."""
    return {name: value for name, value in msgspec.to_builtins(setting).items() if name != "recipients"} | {
        "encrypted": setting.recipients is not None
    }
