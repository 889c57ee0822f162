"""Outages: when a vault took no part, in `vaults/outages.json` of the data folder.

With `degrade` writes are acknowledged meanwhile that have one copy less, so an outage must be known for longer than the
process that saw it: it is kept, durably, before the first of those writes is answered. Each process keeps those that it
saw itself. One that was not over when its process ended is over, at the latest, when a later one opens the vault.

The file is written whole. When it cannot be read, or written, that is logged, and what it should have is not known.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec
import structlog

from keepwell.ground.durable import make_folder, write_file
from keepwell.ground.process import locked
from keepwell.model.hashed import parse_hashed, render_hashed
from keepwell.services.vault_settings import FOLDER

FILE: Final = "outages.json"
_LOCK: Final = "outages.lock"

KEPT_MAX: Final = 100
"""Of each vault; the oldest go first."""

_log = structlog.get_logger()


class Outage(msgspec.Struct, frozen=True):
    """A time in which a vault took no part; `until` is empty while it lasts."""

    since: str
    reason: str
    until: str = ""


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    outages: dict[str, tuple[Outage, ...]] = {}
    """By the vault's name, the oldest first."""


class OutageBook:
    """The outages that are known in one data folder."""

    def __init__(self, data: Path) -> None:
        """Of this data folder."""
        self._folder = data / FOLDER

    def all(self) -> dict[str, tuple[Outage, ...]]:
        """By the vault's name, the oldest first."""
        try:
            return parse_hashed((self._folder / FILE).read_bytes(), _Document).outages
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            _log.warning("outages.unread", reason=str(error))
            return {}

    def keep(self, vault: str, outage: Outage) -> None:
        """Know of an outage from now on, or when one that is known was over."""
        try:
            make_folder(self._folder)
            with locked(self._folder / _LOCK):
                known = self.all()
                kept = once([*known.get(vault, ()), outage])[-KEPT_MAX:]
                write_file(self._folder / FILE, render_hashed(_Document(outages={**known, vault: kept})))
        except OSError as error:
            _log.warning("outages.not_kept", vault=vault, since=outage.since, reason=str(error))


def once(outages: Iterable[Outage]) -> tuple[Outage, ...]:
    """Each outage once, in order, with the first end that is known of it: several processes tell of the same ones."""
    found: dict[tuple[str, str], Outage] = {}
    for one in outages:
        before = found.get((one.since, one.reason))
        if before is None or (one.until and (not before.until or one.until < before.until)):
            found[one.since, one.reason] = one
    return tuple(sorted(found.values(), key=lambda one: one.since))
