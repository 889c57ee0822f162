"""Mending: what verifying and scrubbing found is made good by itself, and counted.

A vault is mended from the store and the other vaults, an account of the store from the vaults. Where both are damaged,
in different places, the vault's damage is mended first, as far as the store has what is missing there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager

import msgspec
import structlog

from keepwell.ground.clock import Clock, render_moment
from keepwell.model.errors import KeepwellError
from keepwell.model.names import AccountId
from keepwell.model.weight import Weight
from keepwell.services.repair import AccountRepair, Copy, Outcome, repair_account
from keepwell.services.vault_settings import OnLoss, VaultSetting
from keepwell.services.verified import Verified, VerifiedFile
from keepwell.storage.contract import Store
from keepwell.vault.findings import Found, VaultFinding
from keepwell.vault.repair import Repaired, repair_vault
from keepwell.vault.vault import Vault
from keepwell.vault.verify_records import verify_account

_log = structlog.get_logger()


class Mending:
    """Mends the store and the vaults of one data folder."""

    def __init__(
        self,
        store: Store,
        settings: Callable[[], Sequence[VaultSetting]],
        open_vault: Callable[[str], Vault],
        file_of: Callable[[str], VerifiedFile],
        clock: Clock,
    ) -> None:
        """With what opens a vault for reading, and the file that is kept for a vault of this name."""
        self._store = store
        self._settings = settings
        self._open_vault = open_vault
        self._file_of = file_of
        self._clock = clock

    def mend_vault(self, vault: Vault, found: Found) -> Repaired:
        """Make good what is damaged in a vault that is open for writing. Raises Fenced, StorageFault, Damaged."""
        damage = [one for one in found.findings if one.weight is Weight.DAMAGE]
        if not damage:
            return Repaired()
        with self._copies(vault.name) as others:
            return self._repaired(vault, damage, [copy.vault for copy in others])

    def mend_account(self, account: AccountId, writable: Sequence[Vault]) -> AccountRepair:
        """Make good an account that could not be read. Raises StorageFault, Unavailable, NotThere, Damaged.

        What is damaged of it in the vaults that are open for writing is mended first, if it must be.
        """
        with self._copies() as copies:
            repair = repair_account(self._store, copies, account)
        if repair.outcome is Outcome.HELD and self._mend_copies_of(account, writable):
            with self._copies() as copies:
                repair = repair_account(self._store, copies, account)
        if repair.reason:
            _log.warning("account.mended", account=account, **_told(repair))
        if repair.outcome is Outcome.RESTORED:
            self._count_account(account)
        return repair

    def _mend_copies_of(self, account: AccountId, writable: Sequence[Vault]) -> bool:
        """Whether anything was made good in the vaults' copies of the account."""
        mended = False
        for vault in writable:
            damage = verify_account(vault, account).findings
            if damage:
                with self._copies(vault.name) as others:
                    done = self._repaired(vault, damage, [copy.vault for copy in others])
                mended = mended or bool(done.objects)
        return mended

    def _repaired(self, vault: Vault, damage: Sequence[VaultFinding], others: Sequence[Vault]) -> Repaired:
        done = repair_vault(vault, damage, self._store, others)
        for name, error in done.failures.items():
            _log.warning("vault.not_mended", vault=vault.name, object=name, reason=error.message)
        if done.objects:
            _log.warning("vault.mended", vault=vault.name, objects=done.objects)
            self._count(vault.name, objects=len(done.objects), last=done.objects[-1])
            good = {*done.objects, *done.accounts}
            self._file_of(vault.name).change(lambda known: known.without(good))
        return done

    def _count_account(self, account: AccountId) -> None:
        names = [one.name for one in self._settings()]
        if names:
            self._count(names[0], accounts=1, last=account)

    def _count(self, name: str, *, objects: int = 0, accounts: int = 0, last: str) -> None:
        at = render_moment(self._clock.now())

        def counted(known: Verified) -> Verified:
            before = known.repairs
            repairs = msgspec.structs.replace(
                before, objects=before.objects + objects, accounts=before.accounts + accounts, last_at=at, last=last
            )
            return msgspec.structs.replace(known, repairs=repairs)

        self._file_of(name).change(counted)

    @contextmanager
    def _copies(self, without: str = "") -> Iterator[list[Copy]]:
        """Every vault that can be opened for reading."""
        with ExitStack() as stack:
            copies = []
            for setting in self._settings():
                if setting.name == without:
                    continue
                try:
                    vault = stack.enter_context(closing(self._open_vault(setting.name)))
                except KeepwellError as error:
                    _log.warning("vault.not_opened", vault=setting.name, reason=error.message)
                    continue
                copies.append(Copy(vault, _always_confirms(setting)))
            yield copies


def _always_confirms(setting: VaultSetting) -> bool:
    """Whether nothing is ever acknowledged that this vault has not."""
    return setting.confirm and setting.confirmed and setting.on_loss is OnLoss.REFUSE


def _told(repair: AccountRepair) -> dict[str, object]:
    return {"outcome": repair.outcome, "reason": repair.reason, "records": repair.records, "aside": repair.aside}
