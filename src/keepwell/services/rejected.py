"""Where an import keeps what it could not take: one file for each refused piece, never over another file."""

from __future__ import annotations

from pathlib import Path


class RejectedFolder:
    """A folder that is made when the first piece comes."""

    def __init__(self, folder: Path) -> None:
        """At `folder`."""
        self.folder = folder

    def keep(self, source: Path, body: bytes, first_line: int) -> Path | None:
        """Write a refused piece of `source`; where it is now, or None when the folder cannot be written."""
        name = source.name if first_line <= 1 else f"{source.stem}.line-{first_line}{source.suffix}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return self._write(Path(name), body)
        except OSError:
            return None  # the caller's report says that it was not kept; its source still has it

    def _write(self, name: Path, body: bytes) -> Path:
        number = 1
        while True:
            chosen = name.name if number == 1 else f"{name.stem}-{number}{name.suffix}"
            path = self.folder / chosen
            try:
                with path.open("xb") as file:
                    file.write(body)
            except FileExistsError:
                number += 1
            else:
                return path
