"""How long a restore will take, by the last one that was measured: never by a guess."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from keepwell.vault.restore_plan import RestorePlan

SPEED_FILE: Final = Path("vaults") / "last-drill.json"
"""In a data folder: how fast the last drill restored."""


class RestoreSpeed(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, and when. Rates are of the whole command; 0 when there was nothing to measure them by."""

    at: str
    records_per_second: float
    blob_octets_per_second: float = 0.0


def read_speed(data: Path) -> RestoreSpeed | None:
    """The last measurement in this data folder; None when there is none that can be read."""
    try:
        return msgspec.json.decode((data / SPEED_FILE).read_bytes(), type=RestoreSpeed)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def estimate_seconds(plan: RestorePlan, speed: RestoreSpeed | None) -> float | None:
    """About how long the plan will take; None when nothing was measured that says so."""
    if speed is None or speed.records_per_second <= 0:
        return None
    if plan.blobs and (speed.blob_octets_per_second <= 0 or not plan.blob_octets):
        return None
    blobs = plan.blob_octets / speed.blob_octets_per_second if plan.blobs else 0.0
    return plan.records / speed.records_per_second + blobs
