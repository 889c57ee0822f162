"""How much memory a server takes: the proportional set size of all its processes, so that shared pages count once."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from types import TracebackType

_PSS = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)


def pss_megabytes(group: int) -> float:
    """The sum over all processes of a process group, now."""
    return sum(_pss_kibibytes(process) for process in _processes(group)) * 1024 / 1e6


class Peak:
    """The highest memory of a process group while the block runs, looked at twice a second."""

    def __init__(self, group: int) -> None:
        """Nothing is looked at before the block is entered."""
        self._group = group
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.megabytes = 0.0

    def __enter__(self) -> Peak:
        """Start looking."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Look a last time."""
        self._done.set()
        self._thread.join()
        self.megabytes = max(self.megabytes, pss_megabytes(self._group))

    def _look(self) -> None:
        while not self._done.wait(0.5):
            self.megabytes = max(self.megabytes, pss_megabytes(self._group))


def _processes(group: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getpgid(int(entry.name)) == group:
                found.append(int(entry.name))
        except ProcessLookupError:
            continue
    return found


def _pss_kibibytes(process: int) -> int:
    try:
        found = _PSS.search(Path(f"/proc/{process}/smaps_rollup").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(found[1]) if found else 0
