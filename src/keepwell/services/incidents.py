"""Incidents: histories that went back, and what was decided about them, in `incidents.json` of the data folder.

A plain file and no document of the system account: it must be there when the system account is what went back, and
must be written while a vault that cannot be reached may have other records to follow, when nothing may be appended to
any journal. What a decision came to is in the account's own journal as well, as the `open` record of its new lineage.

A kind is *held* from when it is found until it is *accepted* (someone decided to go on without what is missing) or
*healed* (a vault, or the right copy of the data folder, brought it back). The file is written whole and durably; when
it is lost, what is held stays held, and can still be accepted.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from keepwell.ground.durable import write_file
from keepwell.ground.process import locked
from keepwell.model.errors import Damaged
from keepwell.model.hashed import parse_hashed, render_hashed
from keepwell.model.names import AccountId, Kind, Lineage
from keepwell.services.witness import Mark

FILE: Final = "incidents.json"
_LOCK: Final = "incidents.lock"


class Cause(StrEnum):
    """How it was found."""

    WITNESS = "witness"
    """The heads that were noted outside the data folder have more."""
    STATE = "state"
    """A client brought a state of a future that is not here."""
    MISSING = "missing"
    """The account is not here at all."""


class KindIncident(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one kind: the last record that was seen (None: nothing of it alone), and the items here."""

    known: Mark | None
    count: int
    reason: str
    """What is told to whoever asks for it."""
    accepted_at: str = ""
    accepted_by: str = ""
    healed_at: str = ""

    @property
    def is_open(self) -> bool:
        """Whether nothing ended it yet."""
        return not (self.accepted_at or self.healed_at)


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One account whose history went back."""

    id: str
    account: AccountId
    login: str
    found_at: str
    cause: Cause
    sequence_known: int
    """The last record of which anybody knew."""
    sequence_here: int
    """The last record that was here when it was found."""
    lineage_before: Lineage
    """The one of which more was known."""
    lineage: Lineage | None = None
    """The one that began; None while another copy may still have what is missing."""
    formerly: AccountId | None = None
    """Another account that had this login, and is missing."""
    kinds: dict[Kind, KindIncident]

    @property
    def is_open(self) -> bool:
        """Whether a kind of it waits for a decision."""
        return any(one.is_open for one in self.kinds.values())


class _Document(msgspec.Struct, frozen=True):
    format: int = 1
    incidents: tuple[Incident, ...] = ()


class Incidents:
    """The incidents of one data folder; read anew at every question."""

    def __init__(self, data: Path) -> None:
        """Of this data folder."""
        self._path = data / FILE
        self._lock = data / _LOCK

    def all(self) -> tuple[Incident, ...]:
        """Every incident, the oldest first. Raises Damaged."""
        try:
            return parse_hashed(self._path.read_bytes(), _Document).incidents
        except FileNotFoundError:
            return ()
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Damaged(
                f"{self._path} cannot be read: {error}",
                hint="Move that file away; what is held stays held until: keepwell lineage accept",
            ) from error

    def open(self) -> list[Incident]:
        """Those that wait for a decision. Raises Damaged."""
        return [one for one in self.all() if one.is_open]

    def of(self, account: AccountId) -> list[Incident]:
        """Those of an account, the oldest first. Raises Damaged."""
        return [one for one in self.all() if one.account == account]

    def add(self, incident: Incident) -> None:
        """Keep another. Raises Damaged, OSError."""
        with locked(self._lock):
            self._write((*self.all(), incident))

    def change(self, identity: str, change: Callable[[Incident], Incident]) -> None:
        """Keep one as it is after `change`. Raises Damaged, OSError."""
        with locked(self._lock):
            self._write(tuple(change(one) if one.id == identity else one for one in self.all()))

    def _write(self, incidents: tuple[Incident, ...]) -> None:
        write_file(self._path, render_hashed(_Document(incidents=incidents)))
