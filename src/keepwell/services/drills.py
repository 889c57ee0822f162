"""What drills came to: the last in `vaults/last-drill.json` of the data folder, all of them in `vaults/drills.jsonl`.

The last one also says how fast a restore is, which estimates are made by. Both files are written whole and durably, the
history first; a crash between leaves a history that is one ahead, and the last drill's result as it was before.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from keepwell.ground.durable import make_folder, write_file
from keepwell.ground.process import locked
from keepwell.services.vault_settings import FOLDER

LAST_FILE: Final = "last-drill.json"
HISTORY_FILE: Final = "drills.jsonl"
_LOCK: Final = "drills.lock"

HISTORY_MAX: Final = 1000
"""Drills that are kept: some three years of one a day."""


class Fault(StrEnum):
    """What a drill breaks in its copy of a vault, to see whether that is found."""

    FLIPPED_BYTE = "flipped byte"
    MISSING_OBJECT = "missing object"
    ACCOUNT_GONE = "account gone"


class Planted(msgspec.Struct, frozen=True, kw_only=True):
    """A fault that was planted: where, whether it was found, and what was said of it."""

    fault: Fault
    object: str
    found: bool
    by: tuple[str, ...] = ()
    """What found it: verifying, restoring."""


class DrillResult(msgspec.Struct, frozen=True, kw_only=True):
    """One drill. Rates are 0 where there was nothing to measure them by; times are of this machine, as it was then."""

    at: str
    vault: str
    passed: bool
    problems: tuple[str, ...] = ()
    """What failed, a sentence each."""
    accounts: int = 0
    """People's accounts that were restored, of `accounts_known`."""
    accounts_known: int = 0
    records: int = 0
    octets: int = 0
    """Of all that came back, unpacked."""
    seconds_to_contacts: float = 0.0
    """From nothing until everybody's contacts could be served: logins and journals are there."""
    seconds_to_everything: float = 0.0
    """And all large bytes, proven."""
    seconds_to_serving: float = 0.0
    """Until a server on it answered."""
    seconds: float = 0.0
    """Of the whole drill."""
    records_per_second: float = 0.0
    octets_per_second: float = 0.0
    blob_octets_per_second: float = 0.0
    sampled: tuple[str, ...] = ()
    """The accounts that were signed in to."""
    items_compared: int = 0
    planted: tuple[Planted, ...] = ()
    seed: int = 0
    """What the sample and the faults were drawn by; the same seed draws the same again from the same vault."""

    @property
    def is_sample(self) -> bool:
        """Whether only some of the accounts were restored."""
        return self.accounts < self.accounts_known


def read_drills(data: Path) -> list[DrillResult]:
    """All drills that are kept, the oldest first; what cannot be read is left out."""
    try:
        lines = (data / FOLDER / HISTORY_FILE).read_bytes().splitlines()
    except OSError:
        return []
    return [one for line in lines if (one := _parsed(line)) is not None]


def keep_drill(data: Path, result: DrillResult) -> None:
    """Keep what a drill came to; on return it is durable. Raises OSError."""
    folder = data / FOLDER
    make_folder(folder)
    with locked(folder / _LOCK):
        drills = [*read_drills(data), result][-HISTORY_MAX:]
        write_file(folder / HISTORY_FILE, _lines(drills))
        write_file(folder / LAST_FILE, msgspec.json.format(msgspec.json.encode(result), indent=2) + b"\n")


def _lines(drills: Sequence[DrillResult]) -> bytes:
    return b"".join(msgspec.json.encode(one) + b"\n" for one in drills)


def _parsed(line: bytes) -> DrillResult | None:
    try:
        return msgspec.json.decode(line, type=DrillResult)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
