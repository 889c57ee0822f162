"""How long a restore will take, by the last one that was measured: never by a guess."""

from __future__ import annotations

from pathlib import Path

import msgspec

from keepwell.services.drills import LAST_FILE, DrillResult, read_drills
from keepwell.services.vault_settings import FOLDER
from keepwell.vault.restore_plan import RestorePlan


class RestoreSpeed(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, and when. Rates are of the whole command; 0 when there was nothing to measure them by."""

    at: str
    records_per_second: float
    blob_octets_per_second: float = 0.0


def read_speed(data: Path) -> RestoreSpeed | None:
    """The last measurement that a drill made in this data folder; None when there is none that can be read."""
    try:
        last = msgspec.json.decode((data / FOLDER / LAST_FILE).read_bytes(), type=RestoreSpeed)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    # One that failed before it restored anything measured nothing: an earlier one did.
    earlier = (one for one in reversed(read_drills(data)) if one.records_per_second > 0)
    measured = None if last.records_per_second > 0 else next(earlier, None)
    return last if measured is None else _speed_of(measured)


def _speed_of(drill: DrillResult) -> RestoreSpeed:
    return RestoreSpeed(
        at=drill.at,
        records_per_second=drill.records_per_second,
        blob_octets_per_second=drill.blob_octets_per_second,
    )


def estimate_seconds(plan: RestorePlan, speed: RestoreSpeed | None) -> float | None:
    """About how long the plan will take; None when nothing was measured that says so."""
    if speed is None or speed.records_per_second <= 0:
        return None
    if plan.blobs and (speed.blob_octets_per_second <= 0 or not plan.blob_octets):
        return None
    blobs = plan.blob_octets / speed.blob_octets_per_second if plan.blobs else 0.0
    return plan.records / speed.records_per_second + blobs
