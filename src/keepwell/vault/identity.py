"""Which vault lies in a place when its `vault.json` is missing or damaged, as its manifests say.

A manifest proves itself by its name, names its vault and has the hash of the document: so one that was made anew is
known to be the one that was there.
"""

from __future__ import annotations

from contextlib import suppress

from keepwell.model.errors import Damaged, NotThere
from keepwell.model.record import digest_of
from keepwell.vault.documents import Manifest, VaultDocument, render_document
from keepwell.vault.layout import FORMAT_VERSION, MANIFESTS, PACKS, SEALED_SUFFIX, VAULT_DOCUMENT
from keepwell.vault.manifests import read_manifest
from keepwell.vault.medium import Medium


def document_told(medium: Medium) -> VaultDocument | None:
    """What a reader has to know of the plain vault that lies here, by its newest manifest; None without any.

    Of an encrypted one too: to which keys it is encrypted only its document says. Raises StorageFault.
    """
    manifests = _manifests(medium)
    if not manifests or any(info.name.endswith(SEALED_SUFFIX) for info in medium.list(PACKS)):
        return None
    return VaultDocument(keepwell_vault=FORMAT_VERSION, id=manifests[-1].vault, made_at="")


def is_document_of(medium: Medium, document: VaultDocument) -> bool:
    """Whether the newest manifest here is of this very document's vault. Raises StorageFault."""
    manifests = _manifests(medium)
    stored = digest_of(render_document(document))
    return bool(manifests) and manifests[-1].documents.get(VAULT_DOCUMENT) == stored


def is_anothers(medium: Medium, document: VaultDocument) -> bool:
    """Whether there are manifests here, and none of them is of this document's vault. Raises StorageFault."""
    manifests = _manifests(medium)
    return bool(manifests) and all(one.vault != document.id for one in manifests)


def _manifests(medium: Medium) -> list[Manifest]:
    """Those that prove themselves, the oldest first."""
    found: list[Manifest] = []
    for name in sorted(info.name for info in medium.list(MANIFESTS)):
        with suppress(Damaged, NotThere):
            found.append(read_manifest(medium, name, "?"))
    return found
