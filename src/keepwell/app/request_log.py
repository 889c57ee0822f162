"""One line per request on standard error, as JSON: when, who asked for what, how it ended, how long it took.

Never content, never secrets. Lines are gathered and written together twice a second, because a system call for each
would cost more than many of the requests.
"""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple, TextIO

import msgspec

from keepwell.ground.clock import render_moment

FLUSH_SECONDS = 0.5
PATH_CHARACTERS_MAX = 500


class RequestLine(NamedTuple):
    """One request: when it was answered, who asked for what, how it ended."""

    at: datetime
    address: str
    method: str
    path: str
    status: int
    seconds: float


class RequestLog:
    """Gathers lines and writes them from a thread of its own."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """To standard error, or another stream."""
        self._stream = stream or sys.stderr
        self._lines: list[RequestLine] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keepwell-request-log", daemon=True)
        self._thread.start()

    def note(self, line: RequestLine) -> None:
        """Gather one line."""
        self._lines.append(line)

    def flush(self) -> None:
        """Write what was gathered."""
        lines, self._lines = self._lines, []
        if lines:
            # Nobody listens at a broken pipe: the lines go, the server stays.
            with suppress(OSError, ValueError):
                self._stream.write("".join(_rendered(line) for line in lines))
                self._stream.flush()

    def close(self) -> None:
        """Write what was gathered and end; may be called twice."""
        self._stop.set()
        self._thread.join()
        self.flush()

    def _run(self) -> None:
        while not self._stop.wait(FLUSH_SECONDS):
            self.flush()


def _rendered(line: RequestLine) -> str:
    fields = {
        "event": "request.answered",
        "at": render_moment(line.at),
        "address": line.address,
        "method": line.method,
        "path": line.path[:PATH_CHARACTERS_MAX],
        "status": line.status,
        "milliseconds": round(line.seconds * 1000, 2),
    }
    return msgspec.json.encode(fields).decode() + "\n"
