"""Verifying a vault in three grades, each with its cost (docs/VAULT_FORMAT.md says what must hold):

- existence: everything that must be there is there, with its size; one listing;
- content: and every stored byte is what was stored; everything is read once;
- records: and every account can be restored whole, as its ledger says; everything is read and decoded.

A higher grade includes those below it. Verifying only reads, and goes on after whatever it finds, so that one answer
names everything.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from keepwell.vault.findings import Found
from keepwell.vault.vault import Vault
from keepwell.vault.verify_content import verify_content
from keepwell.vault.verify_existence import verify_existence
from keepwell.vault.verify_records import verify_records

THREADS: Final = 2
"""That hash; more were no faster, the medium or the cores being what limits."""

Progress = Callable[[int, int], None]
"""Called with what is done and what there is: bytes, and in the last part accounts."""


class Grade(StrEnum):
    """How thoroughly."""

    EXISTENCE = "existence"
    CONTENT = "content"
    RECORDS = "records"


def verify(vault: Vault, grade: Grade, *, progress: Progress = lambda _done, _all: None) -> Found:
    """Everything that is wrong, up to this grade; counts are those of the grade itself. Raises StorageFault, Locked."""
    found = Found()
    for one in up_to(grade):
        found = including(found, verify_grade(vault, one, progress=progress))
    return found


def verify_grade(vault: Vault, grade: Grade, *, progress: Progress = lambda _done, _all: None) -> Found:
    """What this grade alone finds. Raises StorageFault, Locked."""
    if grade is Grade.EXISTENCE:
        return verify_existence(vault)
    if grade is Grade.CONTENT:
        return verify_content(vault, list(vault.medium.list()), threads=THREADS, progress=progress)
    return verify_records(vault, sorted(vault.heads()), progress=progress)


def up_to(grade: Grade) -> list[Grade]:
    """This grade and those below it, the lowest first."""
    grades = list(Grade)
    return grades[: grades.index(grade) + 1]


def including(lower: Found, higher: Found) -> Found:
    """What two grades found, with the counts of the higher."""
    merged = Found()
    merged.add(lower)
    merged.add(higher)
    merged.objects, merged.octets = higher.objects, higher.octets
    return merged
