"""Killed at every system call that changes a file: a scripted session with every kind of write, ship, compact, verify,
restore, upgrade, erase, repair and salvage (`prove.scenes`).

The Nth call is counted over all threads, before it is done (`prove.syscalls`); writes of more than a page are also
killed with some of their pages done. Then a start must find everything that was acknowledged, whole; nothing invented;
store and vaults must agree, `check` and `verify` find nothing, and writing go on. Every fifth start is killed as well.
What a restore or salvage makes has its name only when it is whole, and running it again makes it; an upgrade leaves the
old or the new. What a kill cannot show, because the kernel keeps it, is what a power cut loses: `power-cuts` does.

A unit kills at every Nth call that leaves the same remainder; so many units in a row as the stride is wide have killed
at every call.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from prove.case import Case, FailedError, Unit

STRIDE: Final = 20
STRIDE_SHORT: Final = 400
MEMORY: Final = Path("/dev/shm")
ROOM_OCTETS: Final = 1 << 29


def run(unit: Unit) -> None:
    """All scenes, each killed at its calls with one remainder."""
    stride = STRIDE if unit.full else STRIDE_SHORT
    with _folder(unit) as folder:
        first = 1 + unit.seed % stride
        command = [sys.executable, "-m", "prove.killing", str(folder), str(first), str(stride)]
        done = subprocess.run(command, capture_output=True, text=True)
        told = json.loads(done.stdout or "{}")
        unit.figures.update(told.get("figures", {}))
        if done.returncode:
            shutil.copytree(folder, unit.folder / "theatre")
            raise FailedError(told.get("failure") or done.stderr)


@contextmanager
def _folder(unit: Unit) -> Iterator[Path]:
    """In memory where there is room: a kill takes nothing from the kernel, so what it leaves shows there too."""
    in_memory = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_OCTETS
    with tempfile.TemporaryDirectory(prefix="prove-", dir=MEMORY if in_memory else unit.folder) as name:
        yield Path(name)


CASE: Final = Case(
    "killed-at-every-call",
    "kill -9 at every system call of a session with every kind of write, ship, compact, verify, restore, upgrade",
    run,
    short=1,
    full=STRIDE,
)
