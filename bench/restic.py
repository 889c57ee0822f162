"""restic, the backup program that a restore is measured beside: a tree of files, its repository, and back.

Defaults throughout: encryption, which it always does, compression `auto`, its cache of indexes and folders in place.
It does not sync what it restores.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from bench.commands import Run, run_timed
from bench.servers import ServerError

PROGRAM: Final = "restic"


class Restic:
    """One repository, in a folder of its own."""

    def __init__(self, folder: Path, tree: Path) -> None:
        """Not made yet; of the files in this tree."""
        self.repository = folder / "repository"
        self.cache = folder / "cache"
        self._tree = tree.absolute()
        self._environment = {
            "RESTIC_REPOSITORY": str(self.repository),
            "RESTIC_CACHE_DIR": str(self.cache),
            "RESTIC_PASSWORD": "bench",
        }

    @staticmethod
    def version() -> str:
        """What is installed. Raises ServerError."""
        if shutil.which(PROGRAM) is None:
            raise ServerError(f"{PROGRAM} is missing. On Debian: apt-get install {PROGRAM}")
        return run_timed([PROGRAM, "version"]).output.strip()

    def back_up(self) -> None:
        """Make the repository, of one snapshot."""
        self.repository.parent.mkdir(parents=True)
        self._run("init")
        self._run("backup", str(self._tree))

    def restore(self, target: Path, folder: str = "") -> Run:
        """Restore everything, or one folder of the tree."""
        only = ["--include", str(self._tree / folder)] if folder else []
        return self._run("restore", "latest", "--target", str(target), *only)

    def restored(self, target: Path) -> Path:
        """Where the tree lies in what was restored: restic keeps whole paths."""
        return target / self._tree.relative_to("/")

    def _run(self, *arguments: str) -> Run:
        return run_timed([PROGRAM, "--quiet", *arguments], self._environment)
