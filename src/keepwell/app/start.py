"""What a start does before anything is served: vaults are claimed, store and vaults brought together, and what is
known to be missing after that is held.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path

from keepwell.app.lineage_links import RollbackMaker, witness_of
from keepwell.app.look_back import Told, look_back
from keepwell.ground.clock import Clock, SystemClock
from keepwell.ground.entropy import Entropy, SystemEntropy
from keepwell.model.errors import KeepwellError
from keepwell.services.accounts import ensure_system_account
from keepwell.services.catch_up import CaughtUp, catch_up
from keepwell.services.directory import Directory
from keepwell.services.epochs import note_compared
from keepwell.services.retention.reapplying import reapply
from keepwell.services.vault_settings import Role
from keepwell.services.vaults import Vaults
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.ship import pack_tails, ship
from keepwell.vault.vault import Vault


def prepare(
    data: Path, family: str, tell: Told, *, clock: Clock | None = None, entropy: Entropy | None = None
) -> CaughtUp:
    """Claim every vault that can be reached and bring store and vaults together. Raises CannotStart, StorageFault.

    A vault that cannot be reached is told and left to the keeper.
    """
    clock, entropy = clock or SystemClock(), entropy or SystemEntropy()
    vaults = Vaults(data, clock, entropy)
    settings = vaults.settings.all()
    with closing(SqliteStore(data, clock, entropy)) as store, ExitStack() as stack:
        opened: list[Vault] = []
        for setting in settings:
            try:
                opened.append(stack.enter_context(closing(vaults.open_to_write(setting.name, family))))
            except KeepwellError as error:
                tell(f"vault {setting.name} cannot be used now: {error.message}. {error.hint}")
        names = {vault.name for vault in opened}
        is_complete = any(one.role is Role.CONFIRMS for one in settings if one.name in names)
        with vaults.settings.comparing():
            done = catch_up(store, opened, is_complete=is_complete)
        for vault in opened:
            note_compared(vaults.settings, vault)
        _tell_all(done, tell)
        ensure_system_account(store)
        maker = RollbackMaker(data, store, clock, entropy)
        rollbacks = maker.for_start(Directory(store), every_vault_is_here=len(opened) == len(settings))
        heads = done.heads if opened else dict(store.read_heads())
        look_back(rollbacks, witness_of(data), heads, tell)
        if rollbacks.appended:
            catch_up(store, opened, is_complete=is_complete)  # ships the records with which lineages began
        erased_again = reapply(store, every_vault_is_here=len(opened) == len(settings))
        for vault in opened:
            ship(vault, store, erased_again)
        for vault in opened:
            pack_tails(vault, store)
    return done


def _tell_all(done: CaughtUp, tell: Told) -> None:
    for account, records in done.extended.items():
        tell(f"{account} was behind its vault and has {records} records back")
    for account, records in done.restored.items():
        tell(f"{account} was lost or damaged and is restored from its vault, {records} records")
    for account, reason in done.held.items():
        tell(f"{account} is held, nothing of it is served: {reason}")
    for fault in done.faults:
        tell(fault)
