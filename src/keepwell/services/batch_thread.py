"""A thread that takes whatever waits and hands it on together; so batches form by themselves while it works."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


class BatchThread(Generic[Thing]):
    """One thread. Things are handed on in the order in which they came, each once."""

    def __init__(self, handle: Callable[[list[Thing]], None], name: str) -> None:
        """Start it; `handle` never raises."""
        self._handle = handle
        self._queue: SimpleQueue[tuple[Thing] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def add(self, item: Thing) -> None:
        """Let it wait; never blocks."""
        self._queue.put((item,))

    def close(self) -> None:
        """Hand on what waits, and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        going_on = True
        while going_on:
            batch, going_on = self._gather()
            if batch:
                self._handle(batch)

    def _gather(self) -> tuple[list[Thing], bool]:
        """What waits, at least one thing; False once the end was asked for."""
        batch: list[Thing] = []
        try:
            arrival = self._queue.get()
            while arrival is not None:
                batch += arrival
                arrival = self._queue.get_nowait()
        except Empty:
            return batch, True
        return batch, False
