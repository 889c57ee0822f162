"""The mutation gate: `python -m prove.gate` runs cases against builds that are broken on purpose.

Each must be seen within a minute; a mutant that its case lets pass means that the case could not see such a loss in the
product either. The same case and seeds pass on the product as it is: otherwise the gate would say nothing.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prove.mutants import MUTANTS, Mutant, environment_of, was_used

SECONDS_MAX: Final = 60.0
"""Within which a case must fail on a mutant."""
TIDYING_SECONDS_MAX: Final = 120.0
"""For a case that is stopped to end what it started, and to unmount what it mounted."""
OUTPUT_SHOWN: Final = 2000
FAILED: Final = 1
"""What `python -m prove` exits with when something was lost."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a mutant was seen, after how long, and by what."""

    mutant: Mutant
    seen: bool
    seconds: float
    said: str


def try_mutant(mutant: Mutant, folder: Path, *, seconds_max: float = SECONDS_MAX) -> Outcome:
    """Run the mutant's case on it until it fails, or for so long. Raises DoesNotFitError."""
    place = folder / mutant.name
    environment = environment_of(mutant, place)
    command = [sys.executable, "-m", "prove", mutant.case, "--seed", str(mutant.seed), "--units", str(mutant.units)]
    started = time.monotonic()
    code, said = _run([*command, "--stop-at-first", "--folder", str(place)], environment, place / "said", seconds_max)
    seen = code == FAILED and was_used(mutant, place)
    return Outcome(mutant, seen, time.monotonic() - started, said)


def _run(
    command: Sequence[str], environment: Mapping[str, str], output: Path, seconds_max: float
) -> tuple[int | None, str]:
    """(exit code, what was printed); no code when it was not done in time, and then nothing of it is left either."""
    # A file, not a pipe: whatever the case started may outlive it with the pipe's other end.
    with output.open("w") as file:
        running = subprocess.Popen(
            command, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    code: int | None = None
    try:
        code = running.wait(seconds_max)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            running.wait(TIDYING_SECONDS_MAX)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    late = "" if code is not None else f"\nstill running after {seconds_max:.0f} s"
    return code, output.read_text(errors="replace") + late


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the named mutants, or all; 0 when every one was seen."""
    parser = argparse.ArgumentParser(prog="python -m prove.gate", description=__doc__)
    parser.add_argument("mutant", nargs="*", help="which; all when none is named")
    names = parser.parse_args(arguments).mutant
    passed = []
    with tempfile.TemporaryDirectory(prefix="gate-") as folder:
        for mutant in MUTANTS:
            if names and mutant.name not in names:
                continue
            outcome = try_mutant(mutant, Path(folder))
            print(f"{'seen' if outcome.seen else 'PASSED':7} {outcome.seconds:5.1f} s  {mutant.name}: {mutant.breaks}")
            if not outcome.seen:
                passed.append(mutant.name)
                print(outcome.said[-OUTPUT_SHOWN:], file=sys.stderr)
    if passed:
        print(f"gate: not seen: {', '.join(passed)}", file=sys.stderr)
    return 1 if passed else 0


if __name__ == "__main__":
    sys.exit(main())
