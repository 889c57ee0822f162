"""Run one command of Keepwell in this process, and tell its own work; or how much it reads of vaults in folders.

Own work is everything from reading the command line to the last line that is printed; Python's start and the imports
are made before. Run by `bench.restore` as `python inside.py RESULT COMMAND…`: the result is written to that file as
JSON. With `BENCH_READS` in the environment every read of a vault adds its length to that file. A process that helps
runs this module too (that is how `multiprocessing` starts one), so its reads count as well.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from time import perf_counter

from keepwell.vault.folder_medium import FolderMedium

READS = "BENCH_READS"


class CountedMedium(FolderMedium):
    """A vault's folder that notes how much is read of it."""

    def read(self, name: str) -> bytes:
        """As it is."""
        return _counted(super().read(name))

    def read_range(self, name: str, offset: int, length: int) -> bytes:
        """As it is."""
        return _counted(super().read_range(name, offset, length))


def _counted(octets: bytes) -> bytes:
    descriptor = os.open(os.environ[READS], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, b"%d\n" % len(octets))
    os.close(descriptor)
    return octets


def _cpu_seconds() -> float:
    return sum(os.times()[:4])


def run(result: Path, arguments: list[str]) -> int:
    """Import what the command needs, then run and time it; its exit code."""
    main = importlib.import_module("keepwell.cli.main").main
    importlib.import_module(f"keepwell.cli.{arguments[0]}")
    began, cpu = perf_counter(), _cpu_seconds()
    code: int = main(arguments)
    found = {"seconds": perf_counter() - began, "cpu_seconds": _cpu_seconds() - cpu}
    result.write_text(json.dumps(found))
    return code


if os.environ.get(READS):
    importlib.import_module("keepwell.vault.media").FolderMedium = CountedMedium  # type: ignore[attr-defined]

if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), sys.argv[2:]))
