"""Whether a planted fault is found, and nothing else with it: by verifying, and by restoring what it affects.

Verifying looks for existence over the whole vault, and hashes the object at fault among some others, so that a drill
costs the same however large the vault is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from keepwell.ground.entropy import Draw
from keepwell.model.errors import KeepwellError
from keepwell.model.names import AccountId
from keepwell.model.weight import Weight
from keepwell.services.drilling.faults import PlannedFault
from keepwell.services.drills import Fault, Planted
from keepwell.vault.findings import Found
from keepwell.vault.layout import TAILS
from keepwell.vault.medium import ObjectInfo
from keepwell.vault.vault import Vault
from keepwell.vault.verify_content import verify_content
from keepwell.vault.verify_existence import verify_existence

HASHED_OCTETS_MAX: Final = 32 * 1024 * 1024
"""Stored bytes of other objects that are hashed beside the one at fault."""

VERIFYING: Final = "verifying"
RESTORING: Final = "restoring"


@dataclass(frozen=True, slots=True)
class Noticed:
    """What a restore noticed: objects that it passed over, and accounts that did not come back whole."""

    objects: frozenset[str] = frozenset()
    accounts: frozenset[AccountId] = frozenset()

    @property
    def nothing(self) -> bool:
        """Whether all was well."""
        return not self.objects and not self.accounts


RestoreFrom = Callable[[Vault, Sequence[AccountId]], Noticed]
"""Restores these accounts from a vault into an empty place, which it removes."""


@dataclass(slots=True)
class Verdict:
    """What came of a planted fault, and what is wrong with that."""

    planted: Planted
    problems: list[str] = field(default_factory=list)


def find(planned: PlannedFault, altered: Vault, restore: RestoreFrom, draw: Draw) -> Verdict:
    """Look for a planted fault in a vault that is seen through its alteration. Raises StorageFault, Locked, OSError."""
    problems, by = list[str](), list[str]()
    what = f"the planted fault ({planned.fault}: {planned.object})"
    found = _verify(planned, altered, draw)
    named = {one.object for one in found.findings if one.weight is Weight.DAMAGE}
    if planned.object in named:
        by.append(VERIFYING)
    else:
        problems.append(f"verifying did not find {what}")
    if others := sorted(named - {planned.object} - planned.touched):
        problems.append(f"verifying found {what}, and besides what was not planted: {', '.join(others)}")
    if planned.affected:
        noticed = restore(altered, planned.affected)
        if not noticed.nothing:
            by.append(RESTORING)
        problems += _judged(planned, noticed, what)
    planted = Planted(fault=planned.fault, object=planned.object, found=not problems, by=tuple(by))
    return Verdict(planted, problems)


def _judged(planned: PlannedFault, noticed: Noticed, what: str) -> list[str]:
    if noticed.nothing:
        return [f"a restore of {', '.join(planned.affected)} did not notice {what}"]
    objects = noticed.objects - {planned.object, ""}
    accounts = noticed.accounts - planned.touched
    wrong = sorted(objects | accounts) if planned.fault is not Fault.ACCOUNT_GONE else sorted(accounts)
    return [f"a restore noticed besides {what}: {', '.join(wrong)}"] if wrong else []


def _verify(planned: PlannedFault, altered: Vault, draw: Draw) -> Found:
    if planned.fault is Fault.FLIPPED_BYTE:
        return verify_content(altered, some_objects(altered, planned.object, draw))
    return verify_existence(altered)


def some_objects(vault: Vault, wanted: str, draw: Draw) -> list[ObjectInfo]:
    """The object, where it is there, among others that were drawn; no tails, which grow while they are read."""
    chosen, octets = list[ObjectInfo](), HASHED_OCTETS_MAX
    for info in draw.shuffled([one for one in vault.medium.list() if not one.name.startswith(TAILS)]):
        if info.name == wanted:
            chosen.append(info)
        elif info.size <= octets:
            chosen.append(info)
            octets -= info.size
    return chosen


def look_at_vault(vault: Vault, draw: Draw) -> list[str]:
    """What is wrong with the vault as it is, a sentence each: only then is what is found what was planted."""
    problems = [problem.message for problem in vault.problems]
    found = verify_existence(vault)
    found.add(verify_content(vault, some_objects(vault, "", draw)))
    return problems + [f"{one.object}: {one.message}" for one in found.findings if one.weight is Weight.DAMAGE]


def unexpected(error: KeepwellError | OSError) -> str:
    """An error as a problem of the drill."""
    return f"{error.message}. {error.hint}".rstrip(". ") if isinstance(error, KeepwellError) else str(error)
