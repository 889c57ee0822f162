"""The folder that a salvage builds beside the place that it gets in the end; the steps are told in `salvage`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keepwell.ground.durable import make_folder, sync_folder
from keepwell.ground.process import try_lock
from keepwell.model.errors import AlreadyThere, Unavailable
from keepwell.services.restoring.place import require_free

_SUFFIX: Final = ".salvaging"
_LOCK: Final = ".salvage.lock"
_SHELF: Final = ".shelf.db"


@dataclass(frozen=True, slots=True)
class BuildingPlace:
    """A folder, locked, that becomes `into` by `finish` or is taken away."""

    into: Path
    folder: Path

    @property
    def shelf(self) -> Path:
        """Where the shelf is, as long as the folder is being built."""
        return self.folder / _SHELF

    def finish(self) -> None:
        """Give the folder its name. Raises AlreadyThere when something came there meanwhile, OSError."""
        require_free(self.into)
        self.shelf.unlink()
        self.folder.rename(self.into)
        sync_folder(self.into.parent)
        (self.into / _LOCK).unlink()


@contextmanager
def building(into: Path) -> Iterator[BuildingPlace]:
    """A place to build in, empty and locked; taken away at the end unless it was finished.

    What a killed run left there is taken away first. Raises AlreadyThere, Unavailable (another salvage builds it).
    """
    into = into.absolute()
    require_free(into)
    folder = into.with_name(into.name + _SUFFIX)
    lock = folder / _LOCK
    if folder.exists() and not lock.exists() and any(folder.iterdir()):
        raise AlreadyThere(f"{folder} is there already, and no salvage made it", hint="Move it away.")
    make_folder(folder)
    descriptor = try_lock(lock)
    if descriptor is None:
        raise Unavailable(f"another salvage builds {folder}")
    try:
        for path in folder.iterdir():
            if path != lock:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        yield BuildingPlace(into, folder)
    finally:
        os.close(descriptor)
        if lock.exists():
            shutil.rmtree(folder)
