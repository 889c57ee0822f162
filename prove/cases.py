"""Every case of the proving ground, in the order of the report."""

from __future__ import annotations

from typing import Final

from prove import killed_at_every_call, killed_under_load, power_cuts
from prove.case import Case

CASES: Final[tuple[Case, ...]] = (
    killed_under_load.CASE,
    killed_at_every_call.CASE,
    power_cuts.CASE,
)
