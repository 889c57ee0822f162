"""Verifying a vault, the first grade: everything that must be there is there, with its size.

What must be there is said by the newest manifest and by the packs' indexes; no content is read but theirs and that of
the small documents. Costs one listing of the vault.

While the vault is written to, objects come and go: packs are merged, manifests replaced. So what is missing at a first
look is looked for a second time, after the catalogue was brought up to date, and only then counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from keepwell.model.errors import Damaged, KeepwellError, NotThere
from keepwell.model.names import AccountId
from keepwell.vault.catalogue import Pack
from keepwell.vault.documents import AccountNote, parse_epoch_document, parse_vault_document
from keepwell.vault.findings import Found
from keepwell.vault.layout import EPOCHS, MANIFESTS, PACKS, README, TAILS, VAULT_DOCUMENT, epoch_of, manifest_number
from keepwell.vault.medium import ObjectInfo
from keepwell.vault.vault import Vault


def verify_existence(vault: Vault) -> Found:
    """Whether everything that must be there is there. Raises StorageFault, Locked."""
    found = _look_over(vault)
    return found if not found.findings else _look_over(vault)


def _look_over(vault: Vault) -> Found:
    vault.refresh()
    packs = vault.packs()  # before the listing: one that comes in between is not missing from it
    listed = {info.name: info.size for info in vault.medium.list()}
    found = Found(objects=len(listed), octets=sum(listed.values()))
    _check_documents(vault, listed, found)
    _check_packs(vault, packs, listed, found)
    _check_blobs(packs, listed, found)
    _check_coverage(vault, found)
    return found


def _check_documents(vault: Vault, listed: Mapping[str, int], found: Found) -> None:
    try:
        document = parse_vault_document(vault.medium.read(VAULT_DOCUMENT), vault.name)
        if document.id != vault.document.id:
            found.damage(VAULT_DOCUMENT, f"it says {document.id}, the vault is {vault.document.id}")
    except KeepwellError as error:
        found.damage(VAULT_DOCUMENT, error.message)
    if README not in listed:
        found.damage(README, "it is missing: people need it to get everything back without Keepwell")
    epochs = [name for name in listed if name.startswith(EPOCHS) and epoch_of(name) is not None]
    if not epochs:
        found.damage(EPOCHS, "there is no epoch, so nobody can tell who may write")
        return
    check_epoch(max(epochs), vault, found)


def check_epoch(name: str, vault: Vault, found: Found) -> None:
    """Report when an epoch's document cannot be read, or is another's."""
    try:
        document = parse_epoch_document(vault.medium.read(name))
    except (Damaged, NotThere) as error:
        found.damage(name, error.message)
        return
    if document.epoch != epoch_of(name):
        found.damage(name, f"it says that it is epoch {document.epoch}")


def _check_packs(vault: Vault, packs: Sequence[Pack], listed: Mapping[str, int], found: Found) -> None:
    manifest = vault.manifest()
    newest = max((manifest_number(name) or 0 for name in listed if name not in vault.strays), default=0)
    if newest != (0 if manifest is None else manifest.number):
        found.damage(MANIFESTS, "the newest manifest is missing or cannot be read")
    elif manifest is None:
        found.note(MANIFESTS, "there is none yet, so nothing says what must be there")
    for pack in packs:
        if pack.is_reindexed:
            found.damage(pack.name, "its index is damaged; what it has is known from its records")
    known = {pack.name: pack.size for pack in packs}
    wanted = known if manifest is None else known | manifest.packs
    for name, size in sorted(wanted.items()):
        if name not in listed:
            found.damage(name, "it is missing")
        elif listed[name] != size:
            found.damage(name, f"it has {listed[name]} bytes, not {size}")
    for name in sorted(listed):
        if name in vault.strays and name.startswith(TAILS):
            found.note(name, "of its lines the last count for nothing: an epoch wrote them, which had ended")
        elif name in vault.strays:
            found.note(name, "it counts for nothing: an epoch wrote it, which had ended")
        elif name.startswith(PACKS) and name not in known:
            _check_uncounted(vault, ObjectInfo(name, listed[name]), found)


def _check_uncounted(vault: Vault, info: ObjectInfo, found: Found) -> None:
    """A pack that is not counted on: damaged, or put in this very moment."""
    try:
        index = vault.read_index_of(info)
        if index.vault != vault.document.id:
            found.note(info.name, f"it is of another vault, {index.vault[:40]}, and counts for nothing")
    except (Damaged, NotThere) as error:
        found.damage(info.name, f"its index cannot be read: {error.message}")


def _check_blobs(packs: Sequence[Pack], listed: Mapping[str, int], found: Found) -> None:
    missing: dict[str, AccountId] = {}
    for frame in (frame for pack in packs for frame in pack.index.frames):
        missing.update((blob, frame.account) for blob in frame.blobs if blob not in listed)
    for blob, account in sorted(missing.items()):
        found.damage(blob, f"it is missing; records of {account} need it")


def _check_coverage(vault: Vault, found: Found) -> None:
    """Every account's unbroken records reach what the manifest says, and nothing lies behind a gap."""
    manifest = vault.manifest()
    for account, note in sorted(manifest.accounts.items()) if manifest else ():
        if not _reaches(vault, account, note):
            head = vault.packed_head(account)
            found.damage(account, f"its unbroken records end with {head.sequence}, the manifest says {note.seq}")
    ends: dict[AccountId, int] = {}
    for frame in (frame for pack in vault.packs() for frame in pack.index.frames):
        ends[frame.account] = max(frame.last, ends.get(frame.account, 0))
    for account, last in sorted(ends.items()):
        head = vault.head(account)
        if last > head.sequence:
            found.damage(account, f"there are records up to {last}, but of those before none after {head.sequence}")


def _reaches(vault: Vault, account: AccountId, note: AccountNote) -> bool:
    head = vault.packed_head(account)
    return head.sequence > note.seq or (head.sequence == note.seq and head.hash == note.head)
