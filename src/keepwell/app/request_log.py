"""One line per request on standard error, as JSON: when, who asked for what, how it ended, how long it took.

Never content, never secrets. Lines are gathered and written together twice a second, because a system call for each
would cost more than many of the requests.
"""

from __future__ import annotations

import sys
import threading
from typing import TextIO

import msgspec

FLUSH_SECONDS = 0.5
PATH_CHARACTERS_MAX = 500


class RequestLog:
    """Gathers lines and writes them from a thread of its own."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """To standard error, or another stream."""
        self._stream = stream or sys.stderr
        self._lines: list[bytes] = []
        self._encode = msgspec.json.Encoder().encode
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keepwell-request-log", daemon=True)
        self._thread.start()

    def note(self, at: str, address: str, method: str, path: str, status: int, milliseconds: float) -> None:
        """Gather one line."""
        fields = {
            "event": "request.answered",
            "at": at,
            "address": address,
            "method": method,
            "path": path[:PATH_CHARACTERS_MAX],
            "status": status,
            "milliseconds": round(milliseconds, 2),
        }
        self._lines.append(self._encode(fields))

    def flush(self) -> None:
        """Write what was gathered."""
        lines, self._lines = self._lines, []
        if lines:
            self._stream.write(b"\n".join(lines).decode() + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Write what was gathered and end; may be called twice."""
        self._stop.set()
        self._thread.join()
        self.flush()

    def _run(self) -> None:
        while not self._stop.wait(FLUSH_SECONDS):
            self.flush()
