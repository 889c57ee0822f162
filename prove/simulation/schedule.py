"""One schedule: a history of a world that is made of choices alone, and what was found wrong in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from keepwell.services.vault_settings import Role
from prove.claims import Findings
from prove.simulation.checks import Checker
from prove.simulation.choices import Choices, one_of, weighed
from prove.simulation.events import DEEDS, FAULTS, Event, possible
from prove.simulation.world import Layout, World

ROUNDS_MAX: Final = 3
"""Checks of one schedule, besides the first."""

TURNS_MAX: Final = 30
"""What happens between two checks: so much without faults, then so much with them."""

LAYOUTS: Final = (
    Layout(),
    Layout(vaults=((False, Role.CONFIRMS),)),
    Layout(vaults=((True, Role.CONFIRMS), (True, Role.FOLLOWS))),
    Layout(vaults=((True, Role.CONFIRMS), (False, Role.CONFIRMS))),
    Layout(workers=2),
    Layout(vaults=((False, Role.CONFIRMS), (True, Role.FOLLOWS)), workers=2),
    Layout(vaults=((True, Role.CONFIRMS_WHILE_THERE),)),
    Layout(vaults=((True, Role.FOLLOWS),), workers=2),
)

LINES_SHOWN: Final = 200
"""Of what had happened before a schedule failed."""


@dataclass(slots=True)
class Outcome:
    """What a schedule came to."""

    findings: Findings = field(default_factory=Findings)
    figures: Counter[str] = field(default_factory=Counter)


def run_schedule(choices: Choices, trace: Callable[[str], None] | None = None) -> Outcome:
    """Make one history; `trace` is told what happens. Raises StuckError, and what the product should never raise."""
    world = World(one_of(choices, LAYOUTS), choices)
    if trace is not None:
        world.trace = world.scheduler.trace = trace
        trace(str(world.layout))
    schedule = _Schedule(world)
    try:
        schedule.run()
    finally:
        world.close()
    return schedule.outcome


def failure_of(make: Callable[[], Choices], lines_shown: int = LINES_SHOWN) -> str:
    """Run a schedule; how it went wrong, with the end of what had happened, or nothing."""
    try:
        outcome = run_schedule(make())
    except Exception as error:
        shown = f"{type(error).__name__}: {error}"
    else:
        if not outcome.findings:
            return ""
        shown = "\n".join(outcome.findings.lines())
    lines: list[str] = []
    with suppress(Exception):
        run_schedule(make(), lines.append)
    return "\n".join([shown, *lines[-lines_shown:]])


class _Schedule:
    def __init__(self, world: World) -> None:
        self.outcome = Outcome()
        self._world = world
        self._choices = world.choices
        self._checker = Checker(world)
        # Each schedule has faults of some sorts only: histories with all sorts at once are much alike.
        self._faults = tuple(event for event in FAULTS if self._choices.below(2))

    def run(self) -> None:
        """Begin whole, then let things happen, and check; until something is found wrong."""
        self._check()
        for _ in range(1 + self._choices.below(ROUNDS_MAX)):
            if self.outcome.findings:
                break
            self._turn(DEEDS)
            self._turn((*DEEDS, *self._faults))
            self._check()
        figures = self.outcome.figures
        figures["effects"] += self._world.scheduler.effects
        figures["earlier states synced from"] += self._checker.synced
        for verdict, count in self._world.answered.counted.items():
            figures[f"requests {verdict}"] += count

    def _turn(self, events: tuple[Event, ...]) -> None:
        for _ in range(self._choices.below(TURNS_MAX + 1)):
            event = weighed(self._choices, possible(self._world, events))
            self._world.trace(event.name)
            self.outcome.figures[event.name] += 1
            event.happen(self._world)
            self._world.look()

    def _check(self) -> None:
        world = self._world
        world.trace("heal")
        world.heal()
        world.trace("check")
        self.outcome.findings += self._checker.check()
        self.outcome.figures["checks"] += 1
