"""The status in words, for people: the same sentences on a terminal and on the home page.

`view_of` names no host, folder, address, account or reason of a fault, so that it may be shown to anybody; what only
the operator should see is added by `keepwell status`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from keepwell.ground.clock import parse_moment
from keepwell.services.status.values import Status, VaultStatus, Writes
from keepwell.vault.independence import Grade

_NUMBERS: Final = ("no copy", "one copy", "two copies", "three copies", "four copies", "five copies")
_UNITS: Final = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"))


@dataclass(frozen=True, slots=True)
class CopiesView:
    """What anybody may see of the copies; every field but `is_good` is words, empty when there is nothing to say."""

    headline: str
    is_good: bool
    """Whether a copy would outlive the disk of the store, and nothing is held."""
    kinds: tuple[tuple[str, str], ...]
    """Of each kind how many copies; only where they differ."""
    confirming: str
    independence: str
    writes: str
    held: str
    drill: str


def view_of(status: Status) -> CopiesView:
    """The words for a status."""
    counts = set(status.copies.values())
    rows = [(str(kind), count_words(count)) for kind, count in status.copies.items()] if len(counts) > 1 else []
    return CopiesView(
        headline=count_words(status.copies_least).capitalize(),
        is_good=status.survives_disk and not status.held_accounts,
        kinds=tuple(rows),
        confirming=_confirming_words(status),
        independence=_independence_words(status),
        writes=_writes_words(status),
        held=_held_words(status),
        drill=_drill_words(status),
    )


def count_words(count: int) -> str:
    """`one copy`, `two copies`, …"""
    return _NUMBERS[count] if count < len(_NUMBERS) else f"{count} copies"


def age_words(seconds: float) -> str:
    """`3 hours ago`; `just now` within a minute."""
    for length, unit in _UNITS:
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' * (count > 1)} ago"
    return "just now"


def duration_words(seconds: float) -> str:
    """`0.4 s`, `12 s`, `5 min`, `2.5 h`."""
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _confirming_words(status: Status) -> str:
    if status.confirming == 1:
        return "A change is synced to this server\u2019s disk before your device hears that it was kept."
    return f"A change is synced in {count_words(status.confirming)} before your device hears that it was kept."


def _independence_words(status: Status) -> str:
    if status.survives_host:
        return "A copy is on another host: it outlives the loss of this machine."
    if status.survives_disk:
        return "A copy is on another disk of this machine: it outlives the loss of a disk, not of the machine."
    if status.counted and all(_is_on_same_disk(one) for one in status.counted):
        return "All are on one disk: they protect against faults of the program, not of the disk."
    if status.counted:
        return "None is known to be on another disk: they protect against faults of the program, not of the disk."
    if status.vaults:
        return "No vault has everything at this moment: if this disk dies now, something is lost."
    return "There is no vault: if this disk dies, only the operator\u2019s own back-up helps."


def _is_on_same_disk(vault: VaultStatus) -> bool:
    return vault.independence is not None and vault.independence.grade is Grade.SAME_DISK


def _writes_words(status: Status) -> str:
    match status.writes:
        case Writes.REFUSED:
            return "Changes are refused for now, because a copy that must confirm them cannot; reading goes on."
        case Writes.UNSERVED:
            return "No server runs on this data."
        case Writes.TAKEN:
            return ""


def _held_words(status: Status) -> str:
    count = status.held_accounts
    if not count:
        return ""
    kinds = ", ".join(kind for kind in status.held)
    whose = "one account" if count == 1 else f"{count} accounts"
    return f"Of {whose} something is not whole and is not served until the operator has decided ({kinds})."


def _drill_words(status: Status) -> str:
    drill = status.drill
    if drill is None:
        return "That everything comes back from a copy was not proven yet." if status.vaults else ""
    ago = age_words((parse_moment(status.at) - parse_moment(drill.at)).total_seconds())
    if not drill.passed:
        return f"The last drill, {ago}, failed: that everything comes back from a copy is not proven."
    contacts, everything = duration_words(drill.seconds_to_contacts), duration_words(drill.seconds_to_everything)
    what = f"of {drill.accounts} of {drill.accounts_known} accounts " if drill.is_sample else ""
    return f"A restore {what}was last proven {ago}: contacts were back after {contacts}, everything after {everything}."
