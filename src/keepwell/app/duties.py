"""What the elected keeper does to vaults and to the store, and how often.

Each call does a bounded piece: an object or some MiB hashed, one account proven, some packs merged. What is found
damaged is made good at once where that is possible (`services/mending.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from keepwell.ground.clock import Clock
from keepwell.model.errors import Locked
from keepwell.services.mending import Mending
from keepwell.services.tending import Duty
from keepwell.services.vault_link import VaultLink
from keepwell.services.verifying import Verifying
from keepwell.vault.findings import Found
from keepwell.vault.merge import Merger
from keepwell.vault.vault import Vault

MANIFEST_SECONDS: Final = 900.0
FIRST_MANIFEST_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 60.0
"""How often it is asked whether the hourly look is due."""

CONTENT_SECONDS: Final = 5.0
RECORDS_SECONDS: Final = 10.0
MERGE_SECONDS: Final = 30.0

_log = structlog.get_logger()


class VaultDuties:
    """The duties of one keeper towards its vaults."""

    def __init__(self, verifying: Verifying, mending: Mending, clock: Clock) -> None:
        """With what verifies and mends."""
        self._verifying = verifying
        self._mending = mending
        self._clock = clock
        self._mergers: dict[str, tuple[Vault, Merger]] = {}
        self._locked: set[str] = set()
        self._begun: set[str] = set()

    def all(self) -> tuple[Duty, ...]:
        """Every duty, with its pace."""
        return (
            Duty("first manifest", FIRST_MANIFEST_SECONDS, self.begin),
            Duty("manifest", MANIFEST_SECONDS, publish_manifest),
            Duty("existence", LOOK_SECONDS, self._verify_by(self._verifying.look)),
            Duty("content", CONTENT_SECONDS, self._verify_by(self._verifying.verify_slice_of_content)),
            Duty("records", RECORDS_SECONDS, self._verify_by(self._verifying.verify_slice_of_records)),
            Duty("merge", MERGE_SECONDS, self.merge),
        )

    def begin(self, link: VaultLink) -> None:
        """Say in a new vault what must be there as soon as anything is: before that it cannot be drilled."""
        if link.name not in self._begun and link.vault.packs():
            publish_manifest(link)
            self._begun.add(link.name)

    def merge(self, link: VaultLink) -> None:
        """Merge small packs, or remove those that were merged; a vault that cannot be read is left as it is."""
        vault = link.vault
        vault.refresh()
        known = self._mergers.get(link.name)
        if known is None or known[0] is not vault:
            known = self._mergers[link.name] = vault, Merger(vault, self._clock)
        try:
            outcome = known[1].tick()
        except Locked as error:
            self._tell_locked(link.name, "merge", error)
            return
        for failure in outcome.failures:
            _log.warning("vault.not_merged", vault=link.name, reason=failure.message)
        if outcome.merged or outcome.removed:
            publish_manifest(link)
            _log.info("vault.merged", vault=link.name, merged=outcome.merged, removed=outcome.removed)

    def _verify_by(self, verify: Callable[[Vault], Found]) -> Callable[[VaultLink], None]:
        def carry_out(link: VaultLink) -> None:
            try:
                found = verify(link.vault)
            except Locked as error:
                self._tell_locked(link.name, "verify", error)
                return
            for one in found.findings:
                _log.warning(
                    "vault.finding", vault=link.name, object=one.object, weight=one.weight, message=one.message
                )
            self._mending.mend_vault(link.vault, found)

        return carry_out

    def _tell_locked(self, name: str, doing: str, error: Locked) -> None:
        """Once: it stays so until someone gives the key back."""
        if f"{name} {doing}" not in self._locked:
            self._locked.add(f"{name} {doing}")
            _log.warning(f"vault.cannot_{doing}", vault=name, reason=error.message)


def publish_manifest(link: VaultLink) -> None:
    """Say in the vault what must be there, when that is not what its newest manifest says."""
    link.vault.refresh()
    if not link.vault.is_published():
        link.vault.put_manifest()
