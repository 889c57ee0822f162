"""Units of a case, several at once, each in a process of its own."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import active_children, get_context
from pathlib import Path

from prove.case import Case, by_name, run_unit
from prove.cases import CASES
from prove.report import Result

TELLINGS = 20
"""How often a case tells how far it is."""


_was_interrupted = threading.Event()
_is_in_unit = threading.Event()
"""In the processes of units: an interrupt ends the unit under way, with all that it has mounted and started, and no
other is begun. A process that waits for a unit must not end by it: the pool would end the others at once.
"""


@dataclass(frozen=True, slots=True)
class Manner:
    """How units are run: so many at once, with their files in a folder, as large as `make prove` runs them or small."""

    jobs: int
    folder: Path | None
    stop_at_first: bool
    full: bool


def carry_out(case: Case, seeds: range, manner: Manner) -> Result:
    """Run a unit with each of the seeds; failures are in the result, and told at once."""
    result, started, units = Result(case, seeds.start), time.monotonic(), len(seeds)
    _tell(f"== {case.name}: {units} units, seeds {seeds.start} to {seeds.stop - 1}")
    place = Path(tempfile.mkdtemp(prefix="prove-", dir=manner.folder))
    with _pool(1 if case.alone else manner.jobs) as pool:
        waiting = [pool.submit(_unit, case.name, seed, place, manner.full) for seed in seeds]
        for number, done in enumerate(as_completed(waiting), 1):
            figures, failure = done.result()
            result.add(figures)
            if failure:
                result.failures.append(failure)
                _tell(failure)
                if manner.stop_at_first:
                    pool.shutdown(wait=False, cancel_futures=True)
                    _interrupt_units()
                    break
            if number % max(1, units // TELLINGS) == 0:
                shown = ", ".join(f"{count:,} {name}" for name, count in result.figures.items())
                _tell(f"   {number}/{units} in {time.monotonic() - started:.0f} s: {shown}")
    result.seconds = time.monotonic() - started
    if not result.failures:
        place.rmdir()
    return result


@contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Processes for units; when it is left by an interrupt, only units under way are waited for."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_heed_interrupts) as pool:
        try:
            yield pool
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _unit(name: str, seed: int, folder: Path, full: bool) -> tuple[dict[str, int], str]:
    """(figures, how it failed)."""
    (case,) = by_name(CASES, [name])
    _is_in_unit.set()
    try:
        if _was_interrupted.is_set():
            raise KeyboardInterrupt
        return dict(run_unit(case, seed, folder, full=full).figures), ""
    except Exception as error:
        return {}, "".join(traceback.format_exception(error))
    finally:
        _is_in_unit.clear()


def _heed_interrupts() -> None:
    signal.signal(signal.SIGINT, _interrupted)


def _interrupted(*_: object) -> None:
    is_first = not _was_interrupted.is_set()
    _was_interrupted.set()
    if is_first and _is_in_unit.is_set():
        raise KeyboardInterrupt


def _interrupt_units() -> None:
    """As Ctrl-C does: what a unit has mounted or started goes with it."""
    for worker in active_children():
        if worker.pid is not None:
            os.kill(worker.pid, signal.SIGINT)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
