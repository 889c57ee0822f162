"""Where an import keeps what it could not take: one file for each refused piece, never over another file.

Files, and the folder when it is made, are their owner's alone, whatever the umask is: they are people's data.
"""

from __future__ import annotations

import os
from pathlib import Path

from keepwell.ground.durable import make_folder


class RejectedFolder:
    """A folder that is made when the first piece comes."""

    def __init__(self, folder: Path) -> None:
        """At `folder`."""
        self.folder = folder

    def keep(self, source: Path, body: bytes, first_line: int) -> Path | None:
        """Write a refused piece of `source`; where it is now, or None when the folder cannot be written."""
        name = source.name if first_line <= 1 else f"{source.stem}.line-{first_line}{source.suffix}"
        try:
            make_folder(self.folder)
            return self._write(Path(name), body)
        except OSError:
            return None  # the caller's report says that it was not kept; its source still has it

    def _write(self, name: Path, body: bytes) -> Path:
        number = 1
        while True:
            chosen = name.name if number == 1 else f"{name.stem}-{number}{name.suffix}"
            path = self.folder / chosen
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            except FileExistsError:
                number += 1
                continue
            with os.fdopen(descriptor, "wb") as file:
                file.write(body)
            return path
