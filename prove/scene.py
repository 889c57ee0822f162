"""What a scene of the session is: steps, and what is around them.

A scene begins with what the one before left. First `before` goes on with that, then `damage` breaks something, which
the scene heals: there must be everything that was there before the damage. Neither is killed; the steps are, at every
system call. What a step changes is known, or is what it changed when nobody killed it. `proof` looks at what a kill
left before anything else touches it; a scene that may be played `again` must then come to its end.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from prove.claims import Change
from prove.stage import Stage, StageError

CARDS: Final = "/dav/contacts/ada"
CALENDARS: Final = "/dav/calendars/ada"
Work = Callable[[Stage], None]


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a scene. `changes` is what it changes, all `together` or one by one; None: what the reference shows."""

    name: str
    do: Work
    changes: tuple[Change, ...] | None = ()
    together: bool = True


@dataclass(frozen=True, slots=True)
class Scene:
    """`within` is around the steps."""

    name: str
    steps: tuple[Step, ...]
    within: Callable[[Stage], AbstractContextManager[object]] = lambda _stage: nullcontext()
    before: Work | None = None
    damage: Work | None = None
    again: bool = False
    later: Work | None = None
    """What the product does by itself in the hours after, when what was broken is to be whole again."""
    makes: str = ""
    """The folder that it makes; once that is there, there is nothing to play again."""
    proof: Callable[[Stage, bool], list[str]] = lambda _stage, _ended: []
    """What is wrong with what the scene makes besides; told whether it came to its end."""
    is_read: bool = False
    """The steps are requests to a server, and everything is read after each."""


def command(
    name: str, *words: str, changes: tuple[Change, ...] | None = (), together: bool = True, code: int = 0
) -> Step:
    """A step that is a command of `keepwell`; `{place}` in its words is the folder of the scene."""

    def do(stage: Stage) -> None:
        stage.command(*(word.format(place=stage.place) for word in words), code=code)

    return Step(name, do, changes, together)


def tick(name: str, span: timedelta, times: int = 1) -> Step:
    """A step in which time passes and the keeper does what is due, so many times."""

    def do(stage: Stage) -> None:
        for _ in range(times):
            stage.keeper.tick(span)
        if faults := stage.keeper.faults():
            raise StageError(f"{name}: {faults}")

    return Step(name, do)
