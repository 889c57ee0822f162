"""Tasks: code of the product that pauses at each effect, in one thread, and goes on when it is told to.

A task is a greenlet. Whatever the product does with a medium or a store asks a hook first (`Scheduler.reach`); there
the task pauses, and anything else may happen before it goes on: other tasks, faults, the end of its process. Between
two such points nothing can happen, as in a program whose threads share nothing but what they lock.

When a process ends, each of its tasks gets `Crash` where it is. It is no error that the product handles; what runs on
all the same (clearing up) meets it again at its next effect, and so changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Final

from greenlet import getcurrent, greenlet

from keepwell.model.errors import KeepwellError

TO_THE_END: Final = 1 << 30
"""Effects; more than any task has."""


class Crash(BaseException):
    """The process ends here."""


class StoppedError(Exception):
    """The change was reached at which everything was to stop; `task` pauses there."""

    def __init__(self, task: Task) -> None:
        """At this task's next effect."""
        super().__init__(str(task))
        self.task = task


@dataclass(eq=False, slots=True)
class Process:
    """What ends as a whole."""

    name: str
    is_alive: bool = True


@dataclass(eq=False, slots=True)
class Task:
    """One thread of a process. `at` is the effect before or after which it pauses."""

    process: Process
    name: str
    thread: greenlet
    at: str = "its beginning"
    fault: KeepwellError | None = None
    """Raised where it pauses, once it goes on."""
    waits_for: CooperativeLock | None = None
    error: KeepwellError | None = None
    """What it ended with."""

    @property
    def is_done(self) -> bool:
        """Whether it ended."""
        return self.thread.dead

    @property
    def can_go_on(self) -> bool:
        """Whether it waits for no other task."""
        return self.waits_for is None or not self.waits_for.is_held

    def __str__(self) -> str:
        """For traces."""
        return f"{self.process.name} {self.name}"


class Scheduler:
    """Runs tasks, one at a time. Invariant: a task runs only within `advance` or `end`."""

    def __init__(self) -> None:
        """Without tasks; whoever calls is the one that everything comes back to."""
        self.tasks: list[Task] = []
        self.current: Task | None = None
        self.effects = 0
        """How many were reached."""
        self.changes = 0
        """How many of these were changes: before, within, or after them."""
        self.stop_at = 0
        """The change at which everything stops; 0: none."""
        self.trace: Callable[[str], None] | None = None
        self._world = getcurrent()
        self._run_on = 0

    def begin(self, process: Process, name: str, run: Callable[[], object]) -> Task:
        """A task that has not done anything yet."""
        task = Task(process, name, greenlet(lambda: self._run(task, run), self._world))
        self.tasks.append(task)
        return task

    def advance(self, task: Task, run_on: int = 0) -> None:
        """Let it go on to its next effect, and past so many more.

        Raises StoppedError, and what the product should never raise.
        """
        self._run_on = run_on
        self._switch(task, task.thread.switch)
        if self.changes == self.stop_at > 0:
            raise StoppedError(task)

    def end(self, process: Process) -> None:
        """End a process: what its tasks have not done yet is never done."""
        process.is_alive = False
        for task in [one for one in self.tasks if one.process is process]:
            while not task.is_done:
                with suppress(Crash):  # it comes back here when the task had not begun
                    self._switch(task, partial(task.thread.throw, Crash()))

    def reach(self, what: str, *, is_change: bool = True) -> None:
        """An effect: the task that is running pauses here. Raises Crash, and a fault that was put in."""
        task = self.current
        if task is None:
            return  # the world looks by itself; nothing happens to it
        if not task.process.is_alive:
            raise Crash
        self.effects += 1
        self.changes += is_change
        if self.trace is not None:
            self.trace(f"    {task}: {what}")
        if self._run_on > 0 and not (is_change and self.changes == self.stop_at):
            self._run_on -= 1
            return
        task.at = what
        self.pause()
        if task.fault is not None:
            fault, task.fault = task.fault, None
            raise fault

    def pause(self) -> None:
        """The task that is running stops until it is advanced. Raises Crash."""
        task = self.current
        if task is None:
            raise RuntimeError("nothing runs that could pause")
        self._world.switch()
        if not task.process.is_alive:
            raise Crash

    def _switch(self, task: Task, how: Callable[[], object]) -> None:
        self.current = task
        try:
            how()
        finally:
            self.current = None
            if task.is_done:
                self.tasks.remove(task)

    def _run(self, task: Task, run: Callable[[], object]) -> None:
        try:
            run()
        except KeepwellError as error:
            task.error = error
        except Crash:
            pass


class CooperativeLock:
    """A lock between tasks: who finds it held pauses until it is free. It is free when its holder's process ended."""

    def __init__(self, scheduler: Scheduler) -> None:
        """Free."""
        self._scheduler = scheduler
        self._holder: Process | None = None

    @property
    def is_held(self) -> bool:
        """Whether a living process has it."""
        return self._holder is not None and self._holder.is_alive

    def __enter__(self) -> None:
        """Take it, once it is free."""
        task = self._scheduler.current
        if task is None:
            raise RuntimeError("the world cannot wait for a lock")
        while self.is_held:
            task.waits_for, task.at = self, "a lock"
            self._scheduler.pause()
        task.waits_for = None
        self._holder = task.process

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of it."""
        self._holder = None
