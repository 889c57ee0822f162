"""The real `keepwell` command, run as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

KEEPWELL = Path(sys.executable).with_name("keepwell")
SECONDS_MAX = 60


@dataclass(frozen=True)
class Outcome:
    """How a command ended and what it said."""

    code: int
    output: str
    errors: str

    @property
    def document(self) -> dict[str, object]:
        found = json.loads(self.output)
        assert isinstance(found, dict)
        return found

    def list(self, key: str) -> list[dict[str, object]]:
        found = self.document[key]
        assert isinstance(found, list)
        return found


@dataclass(frozen=True)
class Command:
    """The command on one data folder, run in a folder of its own."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def run(self, *words: str, **environment: str) -> Outcome:
        """Run whatever comes of it."""
        done = subprocess.run(
            [str(KEEPWELL), *words],
            cwd=self.folder,
            env=os.environ | {"KEEPWELL_DATA": str(self.data), "COLUMNS": "200"} | environment,
            capture_output=True,
            timeout=SECONDS_MAX,
        )
        return Outcome(done.returncode, done.stdout.decode(), done.stderr.decode())

    def must(self, *words: str) -> Outcome:
        """Run what has to succeed."""
        outcome = self.run(*words)
        assert outcome.code == 0, f"keepwell {' '.join(words)} ended with {outcome.code}: {outcome.errors}"
        return outcome
