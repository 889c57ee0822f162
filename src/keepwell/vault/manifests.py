"""Which of a vault's manifests counts, and what by it counts for nothing (docs/VAULT_FORMAT.md).

A server that lost the vault may put one more object before it learns so, a manifest too, or append to its tail once
more. So the newest manifest is that of the newest epoch; what an older epoch put behind it, a pack of an older epoch
that it does not name, and the bytes of such a tail beyond those that it counts, are *strays*.
"""

from __future__ import annotations

from keepwell.model.errors import Damaged, KeepwellError, NotThere
from keepwell.model.names import AccountId
from keepwell.vault.catalogue import Catalogue, Pack
from keepwell.vault.documents import AccountNote, Manifest, VaultDocument, parse_manifest
from keepwell.vault.layout import MANIFESTS, epoch_of, manifest_number, proves_itself
from keepwell.vault.medium import Medium


def newest_manifest(
    medium: Medium, vault: str, document: VaultDocument, epoch: int, problems: list[KeepwellError]
) -> tuple[Manifest | None, set[str]]:
    """The newest, and the names of those that come after it all the same; what cannot be read is added to `problems`.

    `epoch` is that in which the vault is written to, 0 when it is only read: no manifest can be of a newer one that
    counts. Raises StorageFault.
    """
    names = [info.name for info in medium.list(MANIFESTS) if manifest_number(info.name) is not None]
    newest: Manifest | None = None
    passed, strays = list[str](), set[str]()
    for name in sorted(names, reverse=True):
        try:
            manifest = read_manifest(medium, name, vault)
            if manifest.vault != document.id:
                raise Damaged(f"{name} in vault {vault} is of another vault, {manifest.vault[:40]}")
        except (Damaged, NotThere) as error:
            problems.append(error)
            continue
        if newest is None or manifest.epoch > newest.epoch:
            newest, strays = manifest, set(passed)
        passed.append(name)
        if newest.epoch == epoch:
            break
    return newest, strays


def read_manifest(medium: Medium, name: str, vault: str) -> Manifest:
    """One that proves itself; `vault` is said in the error. Raises Damaged, NotThere, StorageFault."""
    stored = medium.read(name)
    if not proves_itself(name, stored):
        raise Damaged(f"{name} in vault {vault} is not what was stored under that name")
    return parse_manifest(stored)


def is_stray(pack: Pack, manifest: Manifest | None) -> bool:
    """Whether a pack counts for nothing: who wrote it had lost the vault. Of one without an index nobody can tell."""
    if pack.is_reindexed:
        return False
    return manifest is not None and pack.index.epoch < manifest.epoch and pack.name not in manifest.packs


def octets_that_count(tail: str, manifest: Manifest | None) -> int | None:
    """How many bytes of a tail count, None for all: of what an ended epoch wrote those that its successor found."""
    if manifest is None or manifest.tails is None or (epoch_of(tail) or 0) >= manifest.epoch:
        return None
    return manifest.tails.get(tail, 0)


def age(manifest: Manifest) -> tuple[int, int]:
    """By which manifests are ordered."""
    return manifest.epoch, manifest.number


def note_of_account(catalogue: Catalogue, account: AccountId) -> AccountNote | None:
    """What a manifest says of an account; None when no pack has it, or nothing says what its ledger is."""
    refs = catalogue.covering(account)
    if refs and catalogue.packs[refs[-1].pack].is_reindexed:
        return None
    head, lineage = catalogue.packed_head(account), catalogue.lineage(account)
    if lineage is None:
        return None
    return AccountNote(seq=head.sequence, head=head.hash, lineage=lineage, ledger=catalogue.ledger(account))
