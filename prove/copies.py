"""Where the journals of a data folder end, in its store and in each of its vaults; read while nobody writes."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from keepwell.ground.clock import SystemClock
from keepwell.ground.entropy import SystemEntropy
from keepwell.model.names import AccountId
from keepwell.services.vaults import Vaults
from keepwell.storage.contract import Head
from keepwell.storage.sqlite import SqliteStore


def heads_of(data: Path) -> dict[AccountId, Head | Exception]:
    """Where every journal of a data folder ends."""
    with closing(SqliteStore(data)) as store:
        return dict(store.read_heads())


def heads_in_vaults(data: Path) -> dict[str, dict[AccountId, Head]]:
    """The same of each vault of this data folder, by its name."""
    vaults = Vaults(data, SystemClock(), SystemEntropy())
    found = {}
    for setting in vaults.settings.all():
        with closing(vaults.open(setting.name)) as vault:
            found[setting.name] = vault.heads()
    return found
