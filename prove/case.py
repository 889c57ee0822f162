"""A case of the proving ground: what it breaks, how it is run, what it counts, and how one failing run is run again.

A case is run in units. Everything that a unit chooses comes from its seed, so a failing unit is run again by
`python -m prove NAME --seed SEED --units 1`. Some cases have two sizes: as `make prove` runs them, and a small one for
`make test` (`--short`).
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from prove.claims import Findings


class FailedError(Exception):
    """The product did not do what it promises; the message says what was found."""


@dataclass(slots=True)
class Unit:
    """One run of a case. `folder` is its own and goes with it, unless it failed."""

    seed: int
    folder: Path
    tell: Callable[[str], None] = lambda _line: None
    full: bool = True
    """As large as `make prove` runs it; else as small as `make test` does, where a case makes a difference."""
    figures: Counter[str] = field(default_factory=Counter)
    """What was tried and what was lost, by name, for the table of a full run."""

    def random(self, name: str = "") -> Random:
        """The randomness of a part of the unit."""
        return Random(f"{self.seed}/{name}")

    def require(self, findings: Findings, where: str) -> None:
        """Count what was found; raises FailedError when it was anything."""
        self.figures["acknowledged changes lost"] += len(findings.lost) + len(findings.resurrected)
        self.figures["changes invented"] += len(findings.invented) + len(findings.torn)
        if findings:
            raise FailedError(f"{where}:\n  " + "\n  ".join(findings.lines()))

    def require_that(self, holds: bool, what: str) -> None:
        """Raises FailedError with `what` unless it holds."""
        if not holds:
            raise FailedError(what)


@dataclass(frozen=True, slots=True)
class Case:
    """`short` units are run by `make test`, `full` units by `make prove`."""

    name: str
    what: str
    run: Callable[[Unit], None]
    short: int = 1
    full: int = 1
    needs: tuple[str, ...] = ()
    """Programs, `import PACKAGE` for a package of Python, and `root`."""
    alone: bool = False
    """Not beside other units: it needs the whole machine."""


def missing(case: Case) -> list[str]:
    """What this machine lacks for a case, each with what to do."""
    lacking = []
    for need in case.needs:
        if need == "root":
            if os.geteuid() != 0:
                lacking.append(f"{case.name} mounts file systems: run it as root")
        elif need.startswith("/"):
            if not Path(need).exists():
                lacking.append(f"{case.name} needs {need}, a feature of the kernel that is not there")
        elif need.startswith("import "):
            name = need.removeprefix("import ")
            if importlib.util.find_spec(name) is None:
                lacking.append(f"{case.name} needs the Python package {name}, which `make test` installs")
        elif shutil.which(need) is None:
            lacking.append(f"{case.name} needs `{need}`: run `make prove` or `make test` as root, which installs it")
    return lacking


def run_unit(
    case: Case, seed: int, folder: Path, tell: Callable[[str], None] = lambda _line: None, *, full: bool = True
) -> Unit:
    """Run one unit in a folder of its own, which goes when all is well. Raises FailedError and whatever broke."""
    place = folder / f"{case.name}-{seed}"
    place.mkdir(parents=True)
    unit = Unit(seed, place, tell, full)
    unit.figures["units"] += 1
    try:
        case.run(unit)
    except BaseException as error:
        again = f"python -m prove {case.name} --seed {seed} --units 1{'' if full else ' --short'}"
        error.add_note(f"run it again: {again}    (its files: {place})")
        raise
    shutil.rmtree(place, ignore_errors=True)
    return unit


def by_name(cases: Sequence[Case], names: Sequence[str]) -> list[Case]:
    """The named cases, all when none is named. Raises KeyError."""
    known = {case.name: case for case in cases}
    return [known[name] for name in names] if names else list(cases)
