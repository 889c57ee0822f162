"""Looking up what an upgrade, or going back, is planned from; nothing is changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

import apsw
import msgspec

from keepwell.ground.clock import Clock
from keepwell.model.errors import KeepwellError
from keepwell.model.names import AccountId
from keepwell.services.drills import LAST_FILE
from keepwell.services.upgrading.plan import DRILL_DAYS_MAX, BackFacts, LastDrill, UpgradeFacts
from keepwell.services.vault_settings import FOLDER, SETTINGS_FORMAT
from keepwell.services.vaults import Vaults
from keepwell.storage.blobs import FileBlobs
from keepwell.storage.contract import Head
from keepwell.storage.generations import ACCOUNTS, PREVIOUS
from keepwell.storage.migrations import MIGRATIONS, Migration
from keepwell.storage.sqlite_files import FORMAT_VERSION, read_format, require_sound_sqlite
from keepwell.storage.sqlite_places import files_of_accounts


def read_last_drill(data: Path) -> LastDrill | None:
    """The last drill; None when there was none, or what it left cannot be read."""
    try:
        return msgspec.json.decode((data / FOLDER / LAST_FILE).read_bytes(), type=LastDrill)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def files_of(folder: Path) -> dict[AccountId, Path]:
    """Every account's file in one generation, in order."""
    return dict(files_of_accounts(folder))


def read_upgrade_facts(
    data: Path,
    vaults: Vaults,
    clock: Clock,
    *,
    rebuild: bool = False,
    drill_days_max: float = DRILL_DAYS_MAX,
    migrations: Mapping[int, Migration] = MIGRATIONS,
) -> UpgradeFacts:
    """Everything that an upgrade's plan depends on. Raises Damaged for settings that cannot be read, OSError."""
    require_sound_sqlite()
    files = files_of(data / ACCOUNTS)
    formats: dict[AccountId, int] = {}
    unreadable: dict[AccountId, str] = {}
    for account, path in files.items():
        try:
            formats[account] = read_format(path)
        except (apsw.Error, OSError) as error:
            unreadable[account] = str(error)
    return UpgradeFacts(
        formats=formats,
        known=frozenset(migrations),
        target=FORMAT_VERSION,
        settings_format=vaults.settings.format(),
        settings_target=SETTINGS_FORMAT,
        vaults=[one.name for one in vaults.settings.all()],
        drill=read_last_drill(data),
        now=clock.now(),
        drill_days_max=drill_days_max,
        rebuild=rebuild,
        unreadable=unreadable,
        octets=sum(path.stat().st_size for path in files.values()),
        octets_free=shutil.disk_usage(data).free,
    )


def read_back_facts(data: Path, vaults: Vaults, migrations: Mapping[int, Migration] = MIGRATIONS) -> BackFacts:
    """Everything that going back depends on; a vault that cannot be read has nothing. Raises Damaged, apsw errors."""
    require_sound_sqlite()
    before = files_of(data / PREVIOUS)
    formats = {account: read_format(path) for account, path in before.items()}
    return BackFacts(
        has_previous=(data / PREVIOUS).exists(),
        now=_heads(data, files_of(data / ACCOUNTS), migrations),
        before=_heads(data, before, migrations),
        vaults=dict(_heads_of_vaults(vaults)),
        can_be_written=all(one == FORMAT_VERSION for one in formats.values()),
    )


def _heads(data: Path, files: Mapping[AccountId, Path], migrations: Mapping[int, Migration]) -> dict[AccountId, Head]:
    blobs = FileBlobs(data / "blobs")
    heads: dict[AccountId, Head] = {}
    for account, path in files.items():
        with migrations[read_format(path)](path, account, blobs) as migrated:
            heads[account] = migrated.head()
    return heads


def _heads_of_vaults(vaults: Vaults) -> Iterable[tuple[str, Mapping[AccountId, Head]]]:
    for setting in vaults.settings.all():
        try:
            with closing(vaults.open(setting.name)) as vault:
                yield setting.name, vault.heads()
        except KeepwellError:
            continue  # what cannot be reached proves nothing
