"""Verifying vaults while a server runs: whole, or in slices at bounded cost, and remembered with its age.

A pass goes through the vault in the order of the objects' names (or of the accounts) and remembers behind each slice
where it is, so that it goes on there after a restart. What is put before that place meanwhile is the next pass's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from keepwell.ground.clock import Clock, render_moment
from keepwell.model.names import AccountId
from keepwell.services.verified import Pass, VerifiedFile, due, ended, gone_on, verification_of
from keepwell.vault.findings import Found
from keepwell.vault.medium import ObjectInfo
from keepwell.vault.vault import Vault
from keepwell.vault.verify import Grade, Progress, including, up_to, verify_grade
from keepwell.vault.verify_content import verify_content
from keepwell.vault.verify_existence import verify_existence
from keepwell.vault.verify_records import verify_account

SLICE_OCTETS: Final = 16 * 1024 * 1024
"""Stored bytes that one slice hashes: some 30 ms of one core; an object is never cut."""

PASS_SECONDS: Final = {Grade.EXISTENCE: 3600.0, Grade.CONTENT: 24 * 3600.0, Grade.RECORDS: 7 * 24 * 3600.0}
"""How long after the end of a pass the next one begins."""


class Verifying:
    """Verifies the vaults of one data folder and remembers it."""

    def __init__(self, file_of: Callable[[str], VerifiedFile], clock: Clock) -> None:
        """With the file that is kept for a vault of this name."""
        self._file_of = file_of
        self._clock = clock
        self._listed: dict[str, list[ObjectInfo]] = {}

    def verify(self, vault: Vault, grade: Grade, *, progress: Progress = lambda _done, _all: None) -> Found:
        """Verify a vault at once, up to this grade. Raises StorageFault, Locked, OSError."""
        found = Found()
        for one in up_to(grade):
            began = self._clock.monotonic()
            higher = verify_grade(vault, one, progress=progress)
            self._remember(vault, one, higher, began)
            found = including(found, higher)
        return found

    def look(self, vault: Vault) -> Found:
        """Whether everything that must be there is there; nothing while it is not due. Raises StorageFault, OSError."""
        if self._due(vault, Grade.EXISTENCE) is None:
            return Found()
        began = self._clock.monotonic()
        found = verify_existence(vault)
        self._remember(vault, Grade.EXISTENCE, found, began)
        return found

    def verify_slice_of_content(self, vault: Vault) -> Found:
        """Hash the next objects of the pass; nothing while none is due. Raises StorageFault, OSError."""
        under_way = self._due(vault, Grade.CONTENT)
        if under_way is None:
            return Found()
        if vault.name not in self._listed:
            self._listed[vault.name] = list(vault.medium.list())
        chosen = next_slice(self._listed[vault.name], under_way.after, SLICE_OCTETS)
        began = self._clock.monotonic()
        found = verify_content(vault, chosen)
        after = chosen[-1].name if chosen else ""
        if not after:
            del self._listed[vault.name]
        self._go_on(vault, Grade.CONTENT, under_way, found, after, began)
        return found

    def verify_slice_of_records(self, vault: Vault) -> Found:
        """Prove the next account of the pass; nothing while none is due. Raises StorageFault, Locked, OSError."""
        under_way = self._due(vault, Grade.RECORDS)
        if under_way is None:
            return Found()
        account = next((one for one in sorted(vault.heads()) if one > under_way.after), None)
        began = self._clock.monotonic()
        found = Found() if account is None else verify_account(vault, account)
        self._go_on(vault, Grade.RECORDS, under_way, found, account or AccountId(""), began)
        return found

    def _due(self, vault: Vault, grade: Grade) -> Pass | None:
        return due(self._file_of(vault.name).read(), grade, self._clock.now(), PASS_SECONDS[grade])

    def _go_on(self, vault: Vault, grade: Grade, before: Pass, found: Found, after: str, began: float) -> None:
        """Remember a slice; with nothing left the pass is at its end."""
        under_way = gone_on(before, found, after, self._clock.monotonic() - began)
        file = self._file_of(vault.name)
        if after:
            file.change(lambda known: known.with_pass(grade, under_way))
        else:
            end = ended(under_way, self._clock.now())
            file.change(lambda known: known.with_grade(grade, end))

    def _remember(self, vault: Vault, grade: Grade, found: Found, began: float) -> None:
        seconds = self._clock.monotonic() - began
        verification = verification_of(found, render_moment(self._clock.now()), seconds)
        self._file_of(vault.name).change(lambda known: known.with_grade(grade, verification))


def next_slice(objects: Sequence[ObjectInfo], after: str, octets: int) -> list[ObjectInfo]:
    """The objects behind `after`, as many as hold so many bytes, but one at least where there is one; pure."""
    chosen: list[ObjectInfo] = []
    for info in objects:
        if info.name <= after:
            continue
        if chosen and octets < info.size:
            break
        chosen.append(info)
        octets -= info.size
    return chosen
