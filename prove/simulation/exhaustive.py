"""Every crash point of a script, and after each every amount of what was not synced.

A script is run once to the end, which counts its effects. Then it is run again for each of them, up to there and no
further; what crashes there, and what is lost with it, is one of `CRASHES`. Where the crash itself leaves a choice (how
much of an append the disk had written, whether a name had come), all of them are taken, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from keepwell.model.errors import StorageFault
from keepwell.services.vault_settings import Role
from prove.claims import Findings
from prove.simulation.checks import Checker
from prove.simulation.choices import Choices, SeededChoices
from prove.simulation.events import FALLIBLE, ask, can_ask, cut_power, cut_power_and_lose_store, kill, lose_vault, tick
from prove.simulation.tasks import StoppedError, Task
from prove.simulation.world import REOPEN_SECONDS, Layout, World


class EnumeratedChoices:
    """Given decisions, then plain ones; `following` says which to give for the next of all.

    Of more than `options_max` options only so many are taken, the first, the last, and others between them.
    """

    def __init__(self, given: Sequence[int] = (), options_max: int = 1 << 30) -> None:
        """With these to begin with."""
        self._given = given
        self._options_max = options_max
        self._made: list[tuple[int, int]] = []

    def below(self, count: int) -> int:
        """The next one given, or else 0."""
        options = min(count, self._options_max)
        number = self._given[len(self._made)] if len(self._made) < len(self._given) else 0
        self._made.append((number, options))
        return number if options == count else number * (count - 1) // (options - 1)

    def following(self) -> list[int] | None:
        """The next decisions in order, as far as they differ from plain ones; None when these were the last."""
        made = list(self._made)
        while made:
            number, options = made.pop()
            if number + 1 < options:
                return [*(one for one, _options in made), number + 1]
        return None


@dataclass(frozen=True, slots=True)
class Script:
    """What is done, in order, and where."""

    name: str
    layout: Layout
    steps: tuple[Callable[[World], None], ...]


def _write(world: World) -> None:
    """A client asks, and is answered before anything else goes on."""
    if can_ask(world):
        ask(world)
    world.drain()


def _write_together(world: World) -> None:
    """All clients ask before anything goes on."""
    for _client in world.clients:
        ask(world)
    world.drain()


def _keep(seconds: float) -> Callable[[World], None]:
    """The keeper looks after so many seconds."""

    def step(world: World) -> None:
        world.clock.advance(seconds)
        tick(world)
        world.drain()

    return step


def _restart(world: World) -> None:
    """The server is killed, and started again."""
    kill(world)
    world.start()
    world.drain()


_FILL: Final = (_restart, _write, _write_together, _keep(1), _write)
_ROLL: Final = (_keep(301), _write, _write_together, _keep(301), _write, _keep(901), _keep(301))
_MERGE: Final = (_keep(31), _keep(3601), _keep(31), _restart)

SCRIPTS: Final = (
    Script("folder", Layout(), (*_FILL, *_ROLL, *_MERGE)),
    Script("bucket", Layout(vaults=((False, Role.CONFIRMS),)), (*_FILL, _write, _write, *_MERGE)),
    Script("two vaults", Layout(vaults=((True, Role.CONFIRMS), (False, Role.FOLLOWS))), (*_FILL, *_ROLL)),
)

Crash = Callable[[World, Task], None]


def _kill(world: World, _task: Task) -> None:
    kill(world)


def _cut(world: World, _task: Task) -> None:
    cut_power(world)


def _cut_and_lose_store(world: World, _task: Task) -> None:
    cut_power_and_lose_store(world)


def _lose_vault(world: World, _task: Task) -> None:
    lose_vault(world)


def _fail(world: World, task: Task) -> None:
    """The medium fails once; all goes on, and gets over it. Then everything is lost that the vault has not synced."""
    if task.at.startswith(FALLIBLE):
        task.fault = StorageFault(f"the medium fails {task.at}")
    enumerated, world.choices = world.choices, SeededChoices("behind a fault")
    world.drain()
    world.start()  # where it was the start that failed
    world.drain()
    _keep(REOPEN_SECONDS)(world)
    _write(world)
    world.choices = enumerated
    cut_power_and_lose_store(world)


CRASHES: Final[tuple[tuple[str, Crash], ...]] = (
    ("the server is killed", _kill),
    ("the power is cut", _cut),
    ("the power is cut and the store lost", _cut_and_lose_store),
    ("a vault is lost", _lose_vault),
    ("the medium fails, and later the power is cut and the store lost", _fail),
)


@dataclass(frozen=True, slots=True)
class Point:
    """One history: which script, up to which change, what crashed there, and what the crash left."""

    script: Script
    change: int
    crash: tuple[str, Crash]
    left: tuple[int, ...] = ()

    def __str__(self) -> str:
        """For people."""
        return f"{self.script.name}, at change {self.change}: {self.crash[0]}, which leaves {list(self.left)}"


def changes_of(script: Script) -> int:
    """How many crash points a script has."""
    world = _begun(script)
    for step in script.steps:
        step(world)
    world.close()
    return world.scheduler.changes


def histories(script: Script, changes: Sequence[int], options_max: int = 1 << 30) -> Iterator[tuple[Point, Findings]]:
    """Every history of these crash points, and what is wrong with it; raises as `run_point`, with the point told."""
    for change in changes:
        for crash in CRASHES:
            left: Sequence[int] | None = ()
            while left is not None:
                point, choices = Point(script, change, crash, tuple(left)), EnumeratedChoices(left, options_max)
                try:
                    yield point, run_point(point, choices)
                except Exception as error:
                    error.add_note(f"{point}\n{what_happened(point, EnumeratedChoices(left, options_max))}")
                    raise
                left = choices.following()


def run_point(point: Point, choices: EnumeratedChoices, trace: Callable[[str], None] | None = None) -> Findings:
    """Make one history, and check it. Raises StuckError, and what the product should never raise."""
    world = _crashed(point, choices, trace)
    world.heal()
    findings = Checker(world).check()
    world.close()
    return findings


def what_happened(point: Point, choices: EnumeratedChoices) -> str:
    """All that happened in a history."""
    lines: list[str] = []
    with suppress(Exception):
        run_point(point, choices, lines.append)
    return "\n".join(lines)


def _crashed(point: Point, choices: Choices, trace: Callable[[str], None] | None = None) -> World:
    """The world behind the crash, before anything is started again."""
    world = _begun(point.script)
    if trace is not None:
        world.trace = world.scheduler.trace = trace
    world.scheduler.stop_at = point.change
    try:
        for step in point.script.steps:
            step(world)
    except StoppedError as stopped:
        world.scheduler.stop_at = 0
        world.choices = choices
        world.trace(point.crash[0])
        point.crash[1](world, stopped.task)
    return world


def _begun(script: Script) -> World:
    world = World(script.layout, SeededChoices(script.name))
    world.start()
    world.drain()
    return world
