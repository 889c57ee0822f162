"""Commands that are timed, and the folders that they read and write."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from bench.servers import ServerError


@dataclass(frozen=True, slots=True)
class Run:
    """One command from its start to its end: its time, the processors' time of all its processes, what it printed."""

    seconds: float
    cpu_seconds: float
    output: str


def run_timed(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Run:
    """Run a command while nothing else of the bench runs. Raises ServerError when it fails."""
    variables = {**os.environ, **(environment or {})}
    # What is installed has its compiled modules beside it, or gets them at the first start.
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    before, started = _children_seconds(), perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=variables, stdin=subprocess.DEVNULL)
    seconds = perf_counter() - started
    if done.returncode:
        words = " ".join(map(str, command))
        raise ServerError(f"{words} ended with {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return Run(seconds, _children_seconds() - before, done.stdout)


def _children_seconds() -> float:
    """Of everything that was waited for, and of what that waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def files_below(folder: Path) -> Iterator[Path]:
    """Every file in it, however deep."""
    for place, _folders, names in os.walk(folder):
        for name in names:
            yield Path(place, name)


def apparent_octets(folder: Path) -> int:
    """The lengths of all files together."""
    return sum(path.stat().st_size for path in files_below(folder))


def forget_cached(folder: Path) -> None:
    """Have the system read these files from the disk the next time."""
    os.sync()  # what is not written yet cannot be forgotten
    for path in files_below(folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
