"""A clock that tests move by hand, and a generator with a seed."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta


class FakeClock:
    """Starts at a fixed moment; every question moves it by `step_seconds`."""

    def __init__(self, *, step_seconds: float = 0.0) -> None:
        self.moment = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
        self.step_seconds = step_seconds

    def now(self) -> datetime:
        self.advance(self.step_seconds)
        return self.moment

    def monotonic(self) -> float:
        return self.now().timestamp()

    def advance(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


class SeededEntropy:
    """Random bytes that are the same for the same seed."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def octets(self, count: int) -> bytes:
        return self._random.randbytes(count)
