"""What a start does before anything is served: vaults are claimed, and store and vaults brought together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from keepwell.ground.clock import Clock, SystemClock
from keepwell.ground.entropy import Entropy, SystemEntropy
from keepwell.model.errors import KeepwellError
from keepwell.services.catch_up import CaughtUp, catch_up
from keepwell.services.vaults import Vaults
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.ship import pack_tails
from keepwell.vault.vault import Vault

Told = Callable[[str], None]


def prepare(
    data: Path, family: str, tell: Told, *, clock: Clock | None = None, entropy: Entropy | None = None
) -> CaughtUp:
    """Claim every vault that can be reached and bring store and vaults together. Raises CannotStart, StorageFault.

    A vault that cannot be reached is told and left to the keeper.
    """
    clock, entropy = clock or SystemClock(), entropy or SystemEntropy()
    vaults = Vaults(data, clock, entropy)
    settings = vaults.settings.all()
    if not settings:
        return CaughtUp()
    with closing(SqliteStore(data, clock, entropy)) as store, ExitStack() as stack:
        opened: list[Vault] = []
        for setting in settings:
            try:
                opened.append(stack.enter_context(closing(vaults.open_to_write(setting.name, family))))
            except KeepwellError as error:
                tell(f"vault {setting.name} cannot be used now: {error.message}. {error.hint}")
        done = catch_up(store, opened)
        for vault in opened:
            pack_tails(vault, store)
    _tell_all(done, tell)
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
