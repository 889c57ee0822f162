"""Time and randomness of a simulation: both come from its choices alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random


class SimulatedClock:
    """A microsecond passes with every look at it, and more when it is moved."""

    def __init__(self) -> None:
        """At a fixed moment."""
        self._moment = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
        self._passed = 0.0

    def now(self) -> datetime:
        """The present moment."""
        self.advance(0.000001)
        return self._moment

    def monotonic(self) -> float:
        """Seconds since the simulation began."""
        return self._passed

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._moment += timedelta(seconds=seconds)
        self._passed += seconds


class SeededEntropy:
    """Random bytes that are the same in every run."""

    def __init__(self) -> None:
        """From the beginning."""
        self._random = Random(1)

    def octets(self, count: int) -> bytes:
        """The next bytes."""
        return self._random.randbytes(count)
