"""The figures of a run, for the screen and for docs/RELIABILITY.md, where each case has a section of its own."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.report import replace_section

from prove.case import Case


@dataclass(slots=True)
class Result:
    """What a case came to."""

    case: Case
    first_seed: int
    figures: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, figures: dict[str, int]) -> None:
        """Count a unit's figures in."""
        for name, count in figures.items():
            self.figures[name] = self.figures.get(name, 0) + count


def text_of(result: Result, command: Sequence[str]) -> str:
    """The section: when, where, by which command, what was tried, what was lost."""
    figures = {**result.figures, "units that failed": len(result.failures)}
    tried = ", ".join(f"{count:,} {name}" for name, count in figures.items())
    machine = f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"
    return (
        f"**{result.case.name}**: {result.case.what}\n\n"
        f"- {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine}, {_duration(result.seconds)}\n"
        f"- `{shlex.join(['python', '-m', 'prove', *command])}` (seeds from {result.first_seed})\n"
        f"- {tried}\n"
    )


def write(document: Path, result: Result, command: Sequence[str]) -> None:
    """Put the section of this case into the document."""
    replace_section(document, f"prove {result.case.name}", text_of(result, command))


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
