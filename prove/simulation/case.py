"""The cases of the simulation: schedules from a seed, and every crash point of some scripts."""

from __future__ import annotations

from functools import partial
from typing import Final

from prove.case import Case, FailedError, Unit
from prove.simulation.bounds import small_bounds
from prove.simulation.choices import SeededChoices
from prove.simulation.exhaustive import SCRIPTS, EnumeratedChoices, changes_of, histories, what_happened
from prove.simulation.schedule import failure_of, run_schedule

SCHEDULES: Final = 500
"""In one unit."""

SHORT_OPTIONS_MAX: Final = 4
"""Amounts of what was not synced that the short form tries."""

SLICES: Final = 60
"""Units that are all crash points together: each takes every sixtieth."""


def run_schedules(unit: Unit) -> None:
    """So many histories, each from a seed of its own."""
    with small_bounds():
        for number in range(SCHEDULES):
            seed = f"{unit.seed}/{number}"
            try:
                outcome = run_schedule(SeededChoices(seed))
                unit.require(outcome.findings, "at a check")
            except Exception as error:
                again = f"alone, with all that happened: python -m prove.simulation {seed}"
                raise FailedError(f"schedule {seed}: {failure_of(partial(SeededChoices, seed))}\n{again}") from error
            unit.figures["schedules"] += 1
            unit.figures.update(outcome.figures)


def run_crash_points(unit: Unit) -> None:
    """A slice of all crash points; in short form the first of it in each script, with a few of the amounts only."""
    options_max = 1 << 30 if unit.full else SHORT_OPTIONS_MAX
    with small_bounds():
        for script in SCRIPTS:
            changes = range(1 + unit.seed % SLICES, 1 + changes_of(script), SLICES)[: None if unit.full else 1]
            unit.figures["crash points"] += len(changes)
            for point, findings in histories(script, changes, options_max):
                unit.figures["crashes, each with every amount of what was not synced"] += 1
                shown = what_happened(point, EnumeratedChoices(point.left, options_max)) if findings else ""
                unit.require(findings, f"{point}\n{shown}")


CASES: Final = (
    Case(
        "simulation",
        "crashes, faults, losses and takeovers between any two effects, simulated in one thread",
        run_schedules,
        short=1,
        full=200,
    ),
    Case(
        "crash-points",
        "a crash at every change of a script, and every amount of what was not synced",
        run_crash_points,
        short=1,
        full=SLICES,
    ),
)
