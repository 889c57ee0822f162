"""What stands against removing anything for good; pure.

Before bytes go from any copy, every vault must be there and must have been verified lately, byte by byte, without
damage: whatever goes wrong with removing, what was to stay can be had back from a copy that is known to be good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from keepwell.ground.clock import parse_moment

VERIFIED_DAYS_MAX: Final = 7.0
"""How long ago a vault's content may have been proven; the keeper does it once a day."""

_DAY_SECONDS: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class VaultFact:
    """What is known of one vault: why it cannot be written to now, and its last verification of content or more."""

    name: str
    fault: str = ""
    verified_at: str = ""
    damaged: int = 0


def against_removal(vaults: Sequence[VaultFact], now: datetime) -> tuple[str, ...]:
    """Every reason, a sentence each; none when the door is open."""
    if not vaults:
        return ("there is no vault, so there is one copy only",)
    return tuple(reason for one in vaults if (reason := _against(one, now)))


def _against(vault: VaultFact, now: datetime) -> str:
    if vault.fault:
        return f"vault {vault.name} cannot be written to: {vault.fault}"
    if not vault.verified_at:
        return f"vault {vault.name} was never verified"
    if vault.damaged:
        return f"vault {vault.name} is damaged: {vault.damaged} things were found when it was verified"
    days = (now - parse_moment(vault.verified_at)).total_seconds() / _DAY_SECONDS
    if not 0 <= days <= VERIFIED_DAYS_MAX:
        return f"vault {vault.name} was verified {days:.1f} days ago, and {VERIFIED_DAYS_MAX:g} are allowed"
    return ""
