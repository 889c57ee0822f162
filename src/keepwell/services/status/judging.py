"""From what is known to the status; pure.

A vault counts as a copy when every process that serves has it open, none knows of anything that it lacks, no
verification found damage that was not mended, and, when it is encrypted, someone has shown that its recovery key opens
it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from keepwell.ground.clock import parse_moment, render_moment
from keepwell.services.drills import DrillResult
from keepwell.services.incidents import Incident
from keepwell.services.outages import once
from keepwell.services.overrides import Override
from keepwell.services.status.reports import HeldReport, ProcessReport
from keepwell.services.status.values import PEOPLES_KINDS, Proven, Status, VaultState, VaultStatus, Writes
from keepwell.services.vault_settings import VaultSetting
from keepwell.services.verified import Verified
from keepwell.vault.verify import Grade


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the status is made of."""

    now: datetime
    served: bool
    settings: Sequence[VaultSetting] = ()
    reports: Sequence[ProcessReport] = ()
    verified: Mapping[str, Verified] = field(default_factory=dict)
    store: Verified = field(default_factory=Verified)
    drills: Sequence[DrillResult] = ()
    overrides: tuple[Override, ...] = ()
    incidents: Sequence[Incident] = ()
    problems: tuple[str, ...] = ()


def judge_status(facts: Facts) -> Status:
    """The status that these facts amount to."""
    vaults = tuple(_vault_status(setting, facts) for setting in facts.settings)
    count = 1 + sum(one.counts for one in vaults)
    refusal = next((one.refusal for one in facts.reports if one.refusal), "")
    held = next((one.held for one in facts.reports if one.held is not None), HeldReport())
    return Status(
        at=render_moment(facts.now),
        writes=Writes.REFUSED if refusal else Writes.TAKEN if facts.served else Writes.UNSERVED,
        refusal=refusal,
        copies=dict.fromkeys(PEOPLES_KINDS, count),
        vaults=vaults,
        held=held.kinds,
        held_accounts=held.accounts,
        store=_proven(facts.store, facts.now).get(Grade.RECORDS),
        incidents=tuple(one for one in facts.incidents if one.is_open),
        drill=facts.drills[-1] if facts.drills else None,
        overrides=facts.overrides,
        problems=facts.problems,
    )


def _vault_status(setting: VaultSetting, facts: Facts) -> VaultStatus:
    links = [link for report in facts.reports for link in report.links if link.vault == setting.name]
    verified = facts.verified.get(setting.name, Verified())
    proven = _proven(verified, facts.now)
    reason = next((link.fault for link in links if link.fault), "")
    state = VaultState.DOWN if reason else VaultState.OPEN if links else VaultState.UNKNOWN
    behind = sum(link.behind_accounts for link in links)
    found = [one.damaged for one in verified.grades.values()] + [one.damaged for one in verified.passes.values()]
    return VaultStatus(
        name=setting.name,
        url=setting.url,
        role=setting.role,
        encrypted=setting.recipients is not None,
        state=state,
        reason=reason,
        lacking=_lacking(setting, state, behind, max(found, default=0)),
        independence=next((link.independence for link in links if link.independence is not None), None),
        behind_accounts=behind,
        tail_octets=sum(link.tail_octets for link in links),
        shipped_records=sum(link.shipped_records for link in links),
        verified=proven,
        repairs=verified.repairs,
        drill=next((one for one in reversed(facts.drills) if one.vault == setting.name), None),
        outages=once(one for link in links for one in link.outages),
    )


def _proven(verified: Verified, now: datetime) -> dict[Grade, Proven]:
    return {
        grade: Proven(one.at, (now - parse_moment(one.at)).total_seconds(), one.damaged)
        for grade, one in verified.grades.items()
    }


def _lacking(setting: VaultSetting, state: VaultState, behind: int, damaged: int) -> str:
    if not setting.confirmed:
        return "its recovery key was not typed back yet"
    if state is VaultState.DOWN:
        return "it is down"
    if state is VaultState.UNKNOWN:
        return "nobody has looked at it yet"
    if behind:
        return f"it lacks something of {behind} account{'s' * (behind > 1)}"
    return f"{damaged} things in it are damaged or missing" if damaged else ""
