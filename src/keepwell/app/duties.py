"""What the elected keeper does to vaults, and how often."""

from __future__ import annotations

from typing import Final

from keepwell.services.confirming import VaultLink
from keepwell.services.keeper import Duty

MANIFEST_SECONDS: Final = 900.0


def publish_manifest(link: VaultLink) -> None:
    """Say in the vault what must be there, when that is not what its newest manifest says."""
    manifest = link.vault.manifest()
    packs = {pack.name: pack.size for pack in link.vault.packs()}
    if manifest is None or manifest.packs != packs:
        link.vault.put_manifest()


DUTIES: Final = (Duty("manifest", MANIFEST_SECONDS, publish_manifest),)
