"""Where a restore meets the concrete store."""

from __future__ import annotations

from collections.abc import Sequence

from keepwell.ground.clock import SystemClock
from keepwell.services.restoring.restore import Restored, RestoreOrder, Restoring, ShowProgress
from keepwell.services.restoring.sources import OpenedSource
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.restore_plan import RestorePlan


def restore(order: RestoreOrder, plan: RestorePlan, opened: Sequence[OpenedSource], show: ShowProgress) -> Restored:
    """Carry the plan out into an embedded store. Raises as `Restoring.carry_out`."""
    return Restoring(order, plan, opened, SqliteStore, SystemClock()).carry_out(show)
