"""Units of a case, several at once, each in a process of its own."""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from prove.case import Case, by_name, run_unit
from prove.cases import CASES
from prove.report import Result

TELLINGS = 20
"""How often a case tells how far it is."""


def carry_out(case: Case, units: int, first_seed: int, jobs: int, folder: Path | None) -> Result:
    """Run the units with seeds from the first on; failures are in the result, and told at once."""
    result, started = Result(case, first_seed), time.monotonic()
    _tell(f"== {case.name}: {units} units, seeds {first_seed} to {first_seed + units - 1}")
    place = Path(tempfile.mkdtemp(prefix="prove-", dir=folder))
    with ProcessPoolExecutor(1 if case.alone else jobs, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(_unit, case.name, seed, place) for seed in range(first_seed, first_seed + units)]
        for number, done in enumerate(as_completed(waiting), 1):
            figures, failure = done.result()
            result.add(figures)
            if failure:
                result.failures.append(failure)
                _tell(failure)
            if number % max(1, units // TELLINGS) == 0:
                shown = ", ".join(f"{count:,} {name}" for name, count in result.figures.items())
                _tell(f"   {number}/{units} in {time.monotonic() - started:.0f} s: {shown}")
    result.seconds = time.monotonic() - started
    if not result.failures:
        place.rmdir()
    return result


def _unit(name: str, seed: int, folder: Path) -> tuple[dict[str, int], str]:
    """(figures, how it failed)."""
    (case,) = by_name(CASES, [name])
    try:
        return dict(run_unit(case, seed, folder).figures), ""
    except Exception as error:
        return {}, "".join(traceback.format_exception(error))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
