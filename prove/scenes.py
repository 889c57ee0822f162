"""The scripted session: its scenes in their order."""

from __future__ import annotations

from typing import Final

from prove import scenes_daily as daily
from prove import scenes_mending as mending
from prove.scene import Scene

SCENES: Final[tuple[Scene, ...]] = (
    daily.FOUND,
    daily.SERVE,
    daily.ACCOUNTS,
    daily.IMPORT,
    daily.WRITE,
    daily.REWIND,
    daily.KEEP,
    daily.VERIFY,
    mending.RESTORE,
    mending.RESTORE_PART,
    mending.RESTORE_LIVE,
    daily.UPGRADE,
    mending.OLDER_COPY,
    mending.LOST_ACCOUNT,
    mending.DAMAGED_ACCOUNT,
    mending.LOST_DATA,
    mending.MEND_VAULT,
    mending.SALVAGE,
    daily.REMOVE_VAULT,
    daily.ERASE,
)
