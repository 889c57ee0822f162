"""What an import came to: counted by kind, and every piece that was not taken, with file, line and reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from keepwell.model.names import Kind


@dataclass(slots=True)
class Count:
    """Items of one kind: new ones, those brought up to date, and those that were there already, octet for octet."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0


@dataclass(frozen=True, slots=True)
class Rejected:
    """A piece that was not taken. `line` is 0 when it is the whole file; `kept` is the copy for mending."""

    file: Path
    line: int
    reason: str
    kept: Path | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Something that was done to a piece, or a file that was left aside."""

    file: Path
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Why an import ended before its end: a fault of the data folder, not of what was imported."""

    message: str
    hint: str
    is_damage: bool


@dataclass(slots=True)
class ImportReport:
    """Grows while the import runs."""

    files: int = 0
    counts: dict[Kind, Count] = field(default_factory=dict)
    made: list[str] = field(default_factory=list)
    """Collections that the import made, as home/name."""
    rejected: list[Rejected] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    stopped: Stop | None = None
    """None when everything was looked at."""
    not_taken: list[Note] = field(default_factory=list)
    """Of an import that was stopped: what may not be there, by item, or from a line on; all else was taken."""

    def count(self, kind: Kind) -> Count:
        """The counts of one kind, to be added to."""
        return self.counts.setdefault(kind, Count())

    @property
    def taken(self) -> int:
        """How many items were taken; two versions of one item in two files count twice."""
        return sum(one.added + one.updated + one.unchanged for one in self.counts.values())
