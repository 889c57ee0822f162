"""Targets as cases: a process of atheris for each unit, and what it tried as figures."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Final

from prove.case import Case, FailedError, Unit
from prove.fuzz.target import TARGETS, TRIED, TRIED_FILE, Target

ROOT: Final = Path(__file__).parents[2]
FULL_SECONDS: Final = 600
WAITED_SECONDS: Final = 1200
"""For a process to end by itself: its time, and as much for a slow machine."""
LINES_SHOWN: Final = 30

_STATE: Final = re.compile(r"#(\d+)\s+DONE\s+cov: (\d+)")
"""libFuzzer's last line."""
_FINDING: Final = re.compile(r"Test unit written to (\S+)")


def fuzz(target: Target, unit: Unit) -> None:
    """One process. The small size tries a number of inputs, the same ones for the same seed; the full one has a time.

    Raises FailedError with the file to try again.
    """
    work = unit.folder / "work"
    length = ["--seconds", str(FULL_SECONDS)] if unit.full else ["--runs", str(target.short_runs)]
    command = [sys.executable, "-m", "prove.fuzz", target.name, "--seed", str(unit.seed), "--work", str(work), *length]
    done = subprocess.run(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=FULL_SECONDS + WAITED_SECONDS,
    )
    said = done.stdout.decode(errors="replace")
    state = _STATE.search(said)
    if done.returncode != 0 or state is None:
        raise FailedError(failure_of(target, done.returncode, said))
    inputs, octets = TRIED.unpack((work / TRIED_FILE).read_bytes())
    unit.figures["inputs tried"] += inputs
    unit.figures["octets tried"] += octets
    unit.figures["branches reached"] += int(state[2])


def failure_of(target: Target, code: int, said: str) -> str:
    """What was found, and how to see it again."""
    found = _FINDING.search(said)
    again = f"python -m prove.fuzz {target.name} {found[1]}" if found else "nothing was written to try again"
    told = [line for line in said.splitlines() if not line.startswith(("#", "INFO", "WARNING", "0x"))]
    return f"the target {target.name} ended with {code}; {again}\n" + "\n".join(told[-LINES_SHOWN:])


CASES: Final = tuple(
    Case(f"fuzz-{one.name}", f"fuzzing of {one.what}", partial(fuzz, one), needs=("import atheris",)) for one in TARGETS
)
