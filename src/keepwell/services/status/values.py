"""What is known about the copies of people's data at one moment: the one value that every surface shows.

`keepwell status`, `/readyz`, `/metrics` and the home page are renderings of `Status`, and know nothing of their own.
Everything in it was found out; what nobody knows is said to be unknown, never taken for well. Pure values.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from keepwell.model.names import Kind
from keepwell.services.drills import DrillResult
from keepwell.services.incidents import Incident
from keepwell.services.outages import Outage
from keepwell.services.overrides import Override
from keepwell.services.vault_settings import Role
from keepwell.services.verified import Repairs
from keepwell.vault.independence import Independence
from keepwell.vault.verify import Grade

PEOPLES_KINDS: Final = tuple(kind for kind in Kind if kind is not Kind.SYSTEM)
"""The kinds that are counted. Keepwell's own records lie in each copy that has everything."""


class VaultState(StrEnum):
    """Whether a vault takes part at this moment; `unknown` while no process has said so yet."""

    OPEN = "open"
    DOWN = "down"
    UNKNOWN = "unknown"


class Writes(StrEnum):
    """Whether people's writes are taken; `unserved` when no server runs."""

    TAKEN = "taken"
    REFUSED = "refused"
    UNSERVED = "unserved"


class Proven(msgspec.Struct, frozen=True):
    """The last verification in one grade that came to its end, and how long ago that was."""

    at: str
    age_seconds: float
    damaged: int


class VaultStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One vault. It counts as a copy when `lacking` is empty; else that says why it does not."""

    name: str
    url: str
    role: Role
    encrypted: bool
    state: VaultState
    reason: str = ""
    """Why it is down."""
    lacking: str = ""
    independence: Independence | None = None
    behind_accounts: int = 0
    """Accounts of which it is known to lack something."""
    tail_octets: int = 0
    shipped_records: int = 0
    """Brought to it by the processes that run now."""
    verified: dict[Grade, Proven] = {}
    repairs: Repairs = Repairs()
    drill: DrillResult | None = None
    outages: tuple[Outage, ...] = ()
    """Those that are known, the latest last."""

    @property
    def counts(self) -> bool:
        """Whether everything is in it, as far as can be known at this moment."""
        return not self.lacking


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The copies, at the moment `at`."""

    at: str
    writes: Writes
    refusal: str = ""
    """Why writes are refused."""
    copies: dict[Kind, int]
    """Of each kind: the store, and every vault that has everything."""
    vaults: tuple[VaultStatus, ...] = ()
    held: dict[Kind, int] = {}
    """Of each kind, the accounts of which nothing is served because it is not whole; none is left out."""
    held_accounts: int = 0
    store: Proven | None = None
    """When every account of the store itself was last checked, and how many are damaged."""
    incidents: tuple[Incident, ...] = ()
    """Histories that went back, of which something waits for the operator's decision."""
    drill: DrillResult | None = None
    """The last of any vault."""
    overrides: tuple[Override, ...] = ()
    """When an operator went on although something stood against it, the oldest first."""
    problems: tuple[str, ...] = ()
    """What could not be found out."""

    @property
    def copies_least(self) -> int:
        """How many copies there are of the kind that has fewest."""
        return min(self.copies.values())

    @property
    def counted(self) -> tuple[VaultStatus, ...]:
        """The vaults that count as copies."""
        return tuple(one for one in self.vaults if one.counts)

    @property
    def confirming(self) -> int:
        """How many copies have a change, synced, before it is answered."""
        return 1 + sum(one.role is not Role.FOLLOWS and one.state is VaultState.OPEN for one in self.vaults)

    @property
    def survives_disk(self) -> bool:
        """Whether a copy is known to outlive the disk of the store."""
        return any(one.independence is not None and one.independence.survives_disk for one in self.counted)

    @property
    def survives_host(self) -> bool:
        """Whether a copy is known to outlive the machine of the store."""
        return any(one.independence is not None and one.independence.survives_host for one in self.counted)
