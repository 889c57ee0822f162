"""Requests at set times, as devices make them, instead of as fast as the server answers.

A call that is late because its connection still waits for an answer counts from when it was due, so that a slow
server cannot hide behind a slow client.
"""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from bench.client import Address, Connection, watch


@dataclass(frozen=True, slots=True)
class Call:
    """A request, when it is due after the start, and the connection (by number) that it uses."""

    due_seconds: float
    lane: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a call; the seconds count from when it was due."""

    call: Call
    status: int
    seconds: float


def play(address: Address, calls: Sequence[Call]) -> list[Outcome]:
    """Make the calls, which are in the order they are due; all outcomes, in the order of the answers."""
    return _Player(address, calls).play()


class _Player:
    """One play. Invariant: a lane is in `_waiting` exactly while a call of its is under way."""

    def __init__(self, address: Address, calls: Sequence[Call]) -> None:
        lanes = {call.lane for call in calls}
        self._calls = calls
        self._connections = {lane: Connection(address) for lane in lanes}
        self._queues: dict[int, deque[int]] = {lane: deque() for lane in lanes}
        self._waiting: dict[int, Connection] = {}
        self._under_way: dict[int, int] = {}
        self._outcomes: list[Outcome] = []
        self._started = 0.0

    def play(self) -> list[Outcome]:
        with select.epoll() as poller:
            self._started = perf_counter()
            following = 0
            while following < len(self._calls) or self._waiting:
                while following < len(self._calls) and self._calls[following].due_seconds <= self._now():
                    self._start(following, poller)
                    following += 1
                pause = self._calls[following].due_seconds - self._now() if following < len(self._calls) else 1.0
                for descriptor, _ in poller.poll(max(pause, 0)):
                    self._take(descriptor, poller)
        for connection in self._connections.values():
            connection.close()
        return self._outcomes

    def _now(self) -> float:
        return perf_counter() - self._started

    def _start(self, index: int, poller: select.epoll) -> None:
        lane = self._calls[index].lane
        if lane in self._under_way:
            self._queues[lane].append(index)
            return
        self._under_way[lane] = index
        self._connections[lane].send(self._calls[index].payload, index)
        watch(self._connections[lane], poller, self._waiting)

    def _take(self, descriptor: int, poller: select.epoll) -> None:
        connection = self._waiting.pop(descriptor, None)
        if connection is None:
            self._close_idle(descriptor)
            return
        answer = connection.receive()
        if answer is None:
            watch(connection, poller, self._waiting)
            return
        call = self._calls[answer.index]
        self._outcomes.append(Outcome(call, answer.status, self._now() - call.due_seconds))
        del self._under_way[call.lane]
        if self._queues[call.lane]:
            self._start(self._queues[call.lane].popleft(), poller)

    def _close_idle(self, descriptor: int) -> None:
        """The server closed a connection while nothing was asked on it; the next call opens another."""
        for connection in self._connections.values():
            if connection.is_open and connection.fileno() == descriptor:
                connection.close()
