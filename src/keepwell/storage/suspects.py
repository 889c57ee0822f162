"""Accounts that could not be read: noted by whatever process met it, for the keeper to look at.

An empty file `suspects/a_…` for each. Not synced: what is lost of it at a power cut is met again.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from keepwell.model.errors import BadRequest
from keepwell.model.names import AccountId, parse_account_id

FOLDER: Final = "suspects"


class Suspects:
    """The suspects of one data folder."""

    def __init__(self, data: Path) -> None:
        """Of this data folder."""
        self._folder = data / FOLDER

    def note(self, account: AccountId) -> None:
        """Let the keeper look at this account; never raises, as whoever calls is in the middle of another fault."""
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            (self._folder / account).touch(mode=0o600)

    def all(self) -> list[AccountId]:
        """Every account that was noted, in order."""
        found = []
        for path in sorted(self._folder.glob("a_*")):
            with suppress(BadRequest):
                found.append(parse_account_id(path.name))
        return found

    def clear(self, account: AccountId) -> None:
        """The account was looked at. Raises OSError."""
        (self._folder / account).unlink(missing_ok=True)
