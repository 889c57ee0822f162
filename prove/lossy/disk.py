"""A lossy disk as its user sees it: powered on, cut, powered on again."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, cast

from prove.lossy import mounting
from prove.lossy.fate import Mode

END_SECONDS_MAX: Final = 30.0
TOP: Final = Path(__file__).parent.parent.parent


class LossyDisk:
    """Invariant: after `close` neither its process nor its mount is left."""

    def __init__(self, folder: Path) -> None:
        """A new disk, mounted at a folder that is made. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._mounted = False
        self._process = subprocess.Popen(
            [sys.executable, "-m", "prove.lossy", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=TOP,
            start_new_session=True,
        )
        self.restart()

    def __enter__(self) -> LossyDisk:
        """The disk itself."""
        return self

    def __exit__(
        self, sort: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def cut(self, mode: Mode, seed: str, *, after: int = 0) -> None:
        """Let it die at once, or at the so-manieth request from now that changes or syncs anything."""
        self._order(do="cut", mode=mode.value, seed=seed, after=after)

    def is_dead(self) -> bool:
        """Whether it was cut and not restarted."""
        return bool(self._order(do="tell")["dead"])

    def wait_until_dead(self, seconds: float) -> bool:
        """Wait for a cut to come; False when it did not in that time."""
        deadline = time.monotonic() + seconds
        while not self.is_dead():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True

    def restart(self) -> None:
        """Mount what survived. Who still has files of before open is answered EIO for ever."""
        if self._mounted:
            mounting.unmount(self.folder)
            self._mounted = False
        self._order(do="mount")
        self._mounted = True

    @property
    def figures(self) -> Counter[str]:
        """What became of everything that was unsynced at its cuts."""
        return Counter(cast("dict[str, int]", self._order(do="tell")["figures"]))

    @property
    def changes(self) -> int:
        """How many requests changed or synced anything so far."""
        return int(cast("int", self._order(do="tell")["changes"]))

    def close(self) -> None:
        """Unmount it and let it go; may be called twice."""
        if self._mounted:
            with suppress(OSError):
                mounting.unmount(self.folder)
            self._mounted = False
        for stream in (self._process.stdin, self._process.stdout):
            if stream:
                stream.close()
        try:
            self._process.wait(END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _order(self, **order: str | int) -> dict[str, object]:
        if not self._process.stdin or not self._process.stdout:
            raise OSError("the disk is closed")
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise OSError(f"the lossy disk at {self.folder} has ended")
        return cast("dict[str, object]", json.loads(answer))
