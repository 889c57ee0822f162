"""The run itself: fill every server, then measure each operation in turns, one server after the other, in rounds.

While one server is measured the others are up and idle, so each has the whole machine, and what disturbs the
machine for a while disturbs all of them.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from bench.client import ClientError
from bench.data import Dataset, dataset
from bench.operations import Fixture, Measured, Operation, WrongAnswerError, initial_sync, warm_up
from bench.servers import Server, Target


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run: which servers and operations, at which sizes, how often, and how long each turn may take."""

    servers: Mapping[str, Callable[[], Server]]
    operations: Sequence[Operation]
    sizes: Sequence[int]
    rounds: int
    budget_seconds: float
    folder: Path


@dataclass(slots=True)
class Series:
    """What one server did in one cell: a measurement per round, or the first wrong answer."""

    turns: list[Measured] = field(default_factory=list)
    problem: str | None = None


Results = dict[tuple[int, str, str], Series]
"""By size, cell key and server name."""


def carry_out(plan: Plan, say: Callable[[str], None]) -> Results:
    """Run the plan; data folders are made afresh and removed at the end."""
    results: Results = {}
    for size in plan.sizes:
        _measure_size(plan, dataset(size), results, say)
    return results


def _measure_size(plan: Plan, data: Dataset, results: Results, say: Callable[[str], None]) -> None:
    folder = plan.folder / str(data.size)
    shutil.rmtree(folder, ignore_errors=True)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        targets: dict[str, Target] = {}
        for name, make in plan.servers.items():
            targets[name] = _filled(make(), name, folder / name, data, stack, say)
        for operation in plan.operations:
            for turn in range(plan.rounds):
                for name, target in targets.items():
                    fixture = Fixture(target, data, random.Random(f"turn {turn}"), plan.budget_seconds)
                    _take_turn(operation, fixture, name, results, say)
        for name, target in targets.items():
            _check_nothing_left(Fixture(target, data, random.Random("warm-up and check"), 0), name, say)


def _filled(
    server: Server, name: str, folder: Path, data: Dataset, stack: ExitStack, say: Callable[[str], None]
) -> Target:
    """Fill and start one server, to be stopped when the stack unwinds, and let it warm up."""
    folder.mkdir(parents=True)
    stack.callback(server.stop)
    started = monotonic()
    target = server.start(folder, data)
    filled = monotonic()
    wrong = warm_up(Fixture(target, data, random.Random("warm-up and check"), 0))
    say(f"{name}: {data.size:,} items filled in {filled - started:.0f} s, warm after {monotonic() - filled:.0f} s")
    for problem in wrong:
        say(f"{name}: WRONG while warming up: {problem}")
    return target


def _take_turn(operation: Operation, fixture: Fixture, name: str, results: Results, say: Callable[[str], None]) -> None:
    keys = [(fixture.data.size, cell.key, name) for cell in operation.cells]
    series = [results.setdefault(key, Series()) for key in keys]
    if any(one.problem for one in series):
        return
    try:
        measured = operation.measure(fixture)
    except (WrongAnswerError, ClientError, OSError) as error:
        for one in series:
            one.problem = str(error)
        say(f"{fixture.data.size:>6,} {operation.cells[0].key:18} {name:18} WRONG: {error}")
        return
    for cell, one, value in zip(operation.cells, series, measured, strict=True):
        one.turns.append(value)
        speed = f"{1 / value.seconds:10.1f} /s {value.seconds * 1000:10.2f} ms  n={value.pieces}"
        say(f"{fixture.data.size:>6,} {cell.key:18} {name:18} {speed}")


def _check_nothing_left(fixture: Fixture, name: str, say: Callable[[str], None]) -> None:
    """What was put during the run must have been deleted, or sizes were not what the table says."""
    try:
        initial_sync(fixture)
    except WrongAnswerError as error:
        say(f"{fixture.data.size:>6,} after the run     {name:18} WRONG: {error}")
