"""When an operator went on although something stood against it: `overrides.json` of the data folder.

A file and no document of the system account: an upgrade must write it while the accounts have a format that this
program cannot write, and before anything is done. It is written whole and durably, and nothing takes an entry out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from keepwell.ground.durable import make_folder, write_file
from keepwell.ground.process import locked
from keepwell.model.errors import BadRequest, Damaged

FILE: Final = "overrides.json"
_LOCK: Final = "overrides.lock"


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """One decision: when, about what, the operator's reason, and what stood against it."""

    at: str
    about: str
    reason: str
    against: tuple[str, ...]


class Overrides:
    """All decisions of one data folder."""

    def __init__(self, data: Path) -> None:
        """Of this data folder."""
        self._data = data

    def all(self) -> tuple[Override, ...]:
        """Every decision, the oldest first. Raises Damaged."""
        path = self._data / FILE
        try:
            return msgspec.json.decode(path.read_bytes(), type=tuple[Override, ...])
        except FileNotFoundError:
            return ()
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Damaged(
                f"{path}, which tells what operators decided, cannot be read: {error}",
                hint="Keep that file under another name; then decisions are noted in a new one.",
            ) from error

    def note(self, override: Override) -> None:
        """Keep a decision; on return it is durable. Raises BadRequest without a reason, Damaged, OSError."""
        if not override.reason.strip():
            raise BadRequest("an override needs a reason", hint='For example: --override "the disk is failing"')
        make_folder(self._data)
        with locked(self._data / _LOCK):
            octets = msgspec.json.encode((*self.all(), override))
            write_file(self._data / FILE, msgspec.json.format(octets, indent=2) + b"\n")
