"""What an upgrade would do, and what stands against it; pure.

The gate: a data folder is not touched without a drill that passed, is no older than it may be, and was of a vault that
is still there. That can be overridden, with a reason that is kept and shown. What cannot be done at all cannot be
overridden.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec

from keepwell.ground.clock import parse_moment
from keepwell.model.names import AccountId
from keepwell.storage.contract import Head

DRILL_DAYS_MAX: Final = 7.0
"""How old the last drill may be, unless the operator says otherwise."""

_DAY_SECONDS: Final = 86_400.0


class LastDrill(msgspec.Struct, frozen=True):
    """What an upgrade must know of the last drill."""

    at: str
    vault: str
    passed: bool


@dataclass(frozen=True, slots=True)
class UpgradeFacts:
    """What a plan is made from. `unreadable` are accounts whose file does not even tell its format, and why."""

    formats: Mapping[AccountId, int]
    known: frozenset[int]
    """Formats that can be read."""
    target: int
    settings_format: int
    settings_target: int
    vaults: Sequence[str]
    drill: LastDrill | None
    now: datetime
    drill_days_max: float = DRILL_DAYS_MAX
    rebuild: bool = False
    unreadable: Mapping[AccountId, str] = field(default_factory=dict)
    octets: int = 0
    """What the accounts' files take."""
    octets_free: int = 0


@dataclass(frozen=True, slots=True)
class UpgradePlan:
    """Which accounts are built anew from which format. `against` yields to an override, `refusals` to nothing."""

    accounts: Mapping[AccountId, int]
    target: int
    against: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()


def plan_upgrade(facts: UpgradeFacts) -> UpgradePlan:
    """All accounts are built anew when any is of another format, or when asked to; else nothing is done."""
    is_due = facts.rebuild or bool(facts.unreadable) or any(one != facts.target for one in facts.formats.values())
    if not is_due and facts.settings_format == facts.settings_target:
        return UpgradePlan({}, facts.target)
    against = () if (sentence := _against(facts)) is None else (sentence,)
    return UpgradePlan(dict(facts.formats), facts.target, against, tuple(_refusals(facts)))


def _refusals(facts: UpgradeFacts) -> list[str]:
    found = [f"the file of {account} cannot be read: {why}" for account, why in sorted(facts.unreadable.items())]
    for format_ in sorted(set(facts.formats.values())):
        if format_ > facts.target:
            found.append(f"there are accounts of format {format_}, which a newer Keepwell wrote")
        elif format_ not in facts.known:
            found.append(f"there are accounts of format {format_}, from which no way leads to {facts.target}")
    if facts.settings_format != facts.settings_target:
        found.append(
            f"the vaults' settings have format {facts.settings_format}, and this Keepwell knows {facts.settings_target}"
        )
    if facts.octets_free < facts.octets:
        found.append(
            f"the new files need up to {facts.octets:,} bytes beside the old, and {facts.octets_free:,} are free"
        )
    return found


def _against(facts: UpgradeFacts) -> str | None:
    """Why no drill proves that everything can be brought back, or None."""
    drill = facts.drill
    if not facts.vaults:
        return "there is no vault, so there is one copy only"
    if drill is None:
        return "no drill has proven that a vault can be restored"
    if drill.vault not in facts.vaults:
        return f"the last drill was of the vault {drill.vault}, which is not there any more"
    if not drill.passed:
        return f"the last drill, of the vault {drill.vault} at {drill.at}, failed"
    age_days = _age_days(drill, facts.now)
    if age_days is None or age_days < 0:
        return f"the last drill says that it was at {drill.at}, which cannot be"
    if age_days > facts.drill_days_max:
        return f"the last drill was {age_days:.1f} days ago, more than {facts.drill_days_max:g}"
    return None


def _age_days(drill: LastDrill, now: datetime) -> float | None:
    try:
        return (now - parse_moment(drill.at)).total_seconds() / _DAY_SECONDS
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class BackFacts:
    """What going back is planned from: where accounts end now, in the generation before, and in each vault."""

    has_previous: bool
    now: Mapping[AccountId, Head]
    before: Mapping[AccountId, Head]
    vaults: Mapping[str, Mapping[AccountId, Head]]
    can_be_written: bool
    """Whether the generation before has a format that this program writes."""


@dataclass(frozen=True, slots=True)
class BackPlan:
    """Accounts to which the generation before gets the records that came since; and what stands against it."""

    bring: tuple[AccountId, ...] = ()
    left_to_vaults: tuple[AccountId, ...] = ()
    """Accounts that a start of the older Keepwell brings up to date from a vault."""
    against: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()


def plan_back(facts: BackFacts) -> BackPlan:
    """Going back loses no record: they are brought along, or lie in a vault from which the older version takes them."""
    if not facts.has_previous:
        return BackPlan(refusals=("nothing is kept from before an upgrade",))
    newer = tuple(sorted(one for one, head in facts.now.items() if facts.before.get(one) != head))
    if facts.can_be_written:
        return BackPlan(bring=newer)
    alone = [one for one in newer if not any(heads.get(one) == facts.now[one] for heads in facts.vaults.values())]
    against: tuple[str, ...] = ()
    if alone:
        words = "is an account" if len(alone) == 1 else f"are {len(alone)} accounts"
        against = (f"there {words} with records that came since the upgrade and that no vault has: {alone[0]}",)
    return BackPlan(left_to_vaults=tuple(one for one in newer if one not in alone), against=against)
