"""When a vault was verified last, in which grade, and what was found: `vaults/NAME/verified.json` of the data folder.

What is known of a vault on this side only: it is written whole and durably, and when it is lost the vault counts as
never verified, which is true as far as anyone can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from keepwell.ground.clock import parse_moment, render_moment
from keepwell.ground.durable import make_folder, write_file
from keepwell.ground.process import locked
from keepwell.model.hashed import parse_hashed, render_hashed
from keepwell.model.weight import Weight
from keepwell.vault.findings import Found, VaultFinding
from keepwell.vault.verify import Grade

FILE: Final = "verified.json"
STORE_FOLDER: Final = "scrub"
"""Where in the data folder it is kept of the store itself, whose accounts are proven in the grade `records`."""

_LOCK: Final = "verified.lock"

FINDINGS_MAX: Final = 200
"""Findings that are kept; a broken disk would make one for every object."""


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """One verification that came to its end: when, how much was looked at in which time, and what was found."""

    at: str
    objects: int
    octets: int
    seconds: float
    damaged: int
    findings: tuple[VaultFinding, ...] = ()


class Pass(msgspec.Struct, frozen=True, kw_only=True):
    """A verification under way in slices; everything up to `after` (an object's name, or an account) is done."""

    began_at: str
    after: str = ""
    objects: int = 0
    octets: int = 0
    seconds: float = 0.0
    damaged: int = 0
    findings: tuple[VaultFinding, ...] = ()


class Repairs(msgspec.Struct, frozen=True, kw_only=True):
    """What was mended by itself, counted since the vault was added."""

    objects: int = 0
    """Objects of this vault that were made good from the store or another vault."""
    accounts: int = 0
    """Accounts of the store that were made good from this vault."""
    last_at: str = ""
    last: str = ""


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known of one vault's soundness."""

    format: int = 1
    grades: dict[Grade, Verification] = {}
    passes: dict[Grade, Pass] = {}
    repairs: Repairs = Repairs()

    def with_grade(self, grade: Grade, verification: Verification) -> Verified:
        """After this grade came to its end, its pass included."""
        passes = {one: its for one, its in self.passes.items() if one is not grade}
        return msgspec.structs.replace(self, grades=self.grades | {grade: verification}, passes=passes)

    def without(self, objects: Collection[str]) -> Verified:
        """After these objects were made good: what was found in them is no more."""
        grades = {grade: _without(one, objects) for grade, one in self.grades.items()}
        passes = {grade: _without(one, objects) for grade, one in self.passes.items()}
        return msgspec.structs.replace(self, grades=grades, passes=passes)

    def with_pass(self, grade: Grade, under_way: Pass) -> Verified:
        """After another slice."""
        return msgspec.structs.replace(self, passes=self.passes | {grade: under_way})


Noted = TypeVar("Noted", Verification, Pass)


def _without(noted: Noted, objects: Collection[str]) -> Noted:
    left = tuple(one for one in noted.findings if one.object not in objects)
    damaged = noted.damaged - sum(one.weight is Weight.DAMAGE for one in noted.findings if one.object in objects)
    return msgspec.structs.replace(noted, findings=left, damaged=damaged)


class VerifiedFile:
    """The file of one vault; several processes may change it."""

    def __init__(self, folder: Path) -> None:
        """In the folder that is kept for the vault on this side."""
        self._folder = folder

    def read(self) -> Verified:
        """What is known; nothing when the file is not there or cannot be read."""
        try:
            return parse_hashed((self._folder / FILE).read_bytes(), Verified)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return Verified()

    def change(self, how: Callable[[Verified], Verified]) -> Verified:
        """Change what is known, while no other process does; on return it is durable. Raises OSError."""
        make_folder(self._folder)
        with locked(self._folder / _LOCK):
            changed = how(self.read())
            write_file(self._folder / FILE, render_hashed(changed))
        return changed


def due(known: Verified, grade: Grade, now: datetime, period_seconds: float) -> Pass | None:
    """The pass to go on with, or a new one when the last verification ended long enough ago; None while none is due."""
    if grade in known.passes:
        return known.passes[grade]
    last = known.grades.get(grade)
    if last is not None and (now - parse_moment(last.at)).total_seconds() < period_seconds:
        return None
    return Pass(began_at=render_moment(now))


def gone_on(before: Pass, found: Found, after: str, seconds: float) -> Pass:
    """The pass behind another slice."""
    return Pass(
        began_at=before.began_at,
        after=after,
        objects=before.objects + found.objects,
        octets=before.octets + found.octets,
        seconds=round(before.seconds + seconds, 3),
        damaged=before.damaged + damaged_in(found),
        findings=(*before.findings, *found.findings)[:FINDINGS_MAX],
    )


def ended(whole: Pass, now: datetime) -> Verification:
    """What a pass came to."""
    return Verification(
        at=render_moment(now),
        objects=whole.objects,
        octets=whole.octets,
        seconds=whole.seconds,
        damaged=whole.damaged,
        findings=whole.findings,
    )


def verification_of(found: Found, at: str, seconds: float) -> Verification:
    """What is kept of a verification."""
    return Verification(
        at=at,
        objects=found.objects,
        octets=found.octets,
        seconds=round(seconds, 3),
        damaged=damaged_in(found),
        findings=tuple(found.findings[:FINDINGS_MAX]),
    )


def damaged_in(found: Found) -> int:
    """How many of the findings are damage."""
    return sum(one.weight is Weight.DAMAGE for one in found.findings)
