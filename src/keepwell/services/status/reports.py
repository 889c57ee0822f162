"""What each serving process says of its links to the vaults: `vaults/processes/PID.json` of the data folder.

A server may have several processes, each with links of its own, and only all of them together tell how a vault is. So
each says what it knows whenever that changes, and at least every `BEAT_SECONDS`; whoever wants to know reads them all.

A report is put in place whole, and is not durable: it is of this moment. One that is older than `STALE_SECONDS` is of a
process that died, and is not believed; nor is one of an earlier server.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from keepwell.ground.clock import parse_moment
from keepwell.ground.durable import make_folder, replace_file
from keepwell.model.names import Kind
from keepwell.services.outages import Outage
from keepwell.services.vault_settings import FOLDER
from keepwell.vault.independence import Independence

PROCESSES: Final = "processes"

BEAT_SECONDS: Final = 10.0
STALE_SECONDS: Final = 35.0
"""Three beats and a little more."""


class LinkReport(msgspec.Struct, frozen=True, kw_only=True):
    """How one vault looks from one process. It is open when `fault` is empty."""

    vault: str
    fault: str = ""
    behind_accounts: int = 0
    tail_octets: int = 0
    shipped_records: int = 0
    independence: Independence | None = None
    outages: tuple[Outage, ...] = ()


class HeldReport(msgspec.Struct, frozen=True, kw_only=True):
    """How many accounts are held, and of which kinds."""

    accounts: int = 0
    kinds: dict[Kind, int] = {}


class ProcessReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one process of a server, or a command, knows. `held` is None when it did not look."""

    at: str
    process: int
    family: str = ""
    refusal: str = ""
    """Why it takes no writes; empty when it takes them."""
    links: tuple[LinkReport, ...] = ()
    held: HeldReport | None = None


class ReportFiles:
    """The reports in one data folder."""

    def __init__(self, data: Path) -> None:
        """Of this data folder."""
        self._folder = data / FOLDER / PROCESSES

    def put(self, report: ProcessReport) -> None:
        """Say what a process knows now. Raises OSError."""
        make_folder(self._folder)
        replace_file(self._path(report.process), msgspec.json.encode(report))

    def remove(self, process: int) -> None:
        """The process ends. Raises OSError."""
        self._path(process).unlink(missing_ok=True)

    def remove_stale(self, now: datetime) -> None:
        """Clear away what processes left that died. Raises OSError."""
        for path in self._folder.glob("*.json"):
            report = _read(path)
            if report is None or _is_stale(report, now):
                path.unlink(missing_ok=True)

    def read(self, now: datetime) -> list[ProcessReport]:
        """What the processes of the server that runs say, in order of their numbers."""
        reports = [one for path in sorted(self._folder.glob("*.json")) if (one := _read(path)) is not None]
        alive = [one for one in reports if not _is_stale(one, now)]
        newest = max(alive, key=lambda one: one.at, default=None)
        return [] if newest is None else [one for one in alive if one.family == newest.family]

    def _path(self, process: int) -> Path:
        return self._folder / f"{process}.json"


def _read(path: Path) -> ProcessReport | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=ProcessReport)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _is_stale(report: ProcessReport, now: datetime) -> bool:
    return now - parse_moment(report.at) > timedelta(seconds=STALE_SECONDS)
