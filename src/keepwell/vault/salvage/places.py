"""Where fragments lie: folders and files as they are found, and media of vaults. Nothing is ever written to them.

A disk that fails is read around its bad parts: what cannot be read is taken for zeros, and told; what lies before and
behind may still prove itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from keepwell.model.errors import BadRequest, NotThere, StorageFault
from keepwell.vault.media import open_medium
from keepwell.vault.medium import Medium, ObjectInfo

_PART_OCTETS: Final = 4096


class Place(Protocol):
    """One source of fragments."""

    @property
    def title(self) -> str:
        """What the operator called it."""
        ...

    def objects(self) -> Iterator[ObjectInfo]:
        """Everything that lies there, in order. Raises StorageFault."""
        ...

    def read(self, name: str) -> tuple[bytes, int]:
        """All that can be read of an object, and how many bytes could not. Raises NotThere, StorageFault."""
        ...

    def close(self) -> None:
        """Let go; may be called twice."""
        ...


class FolderPlace:
    """A folder with everything below it, or a single file; links are not followed."""

    def __init__(self, path: Path) -> None:
        """At this path. Raises NotThere."""
        if not path.exists():
            raise NotThere(f"there is nothing at {path}")
        self.title = str(path)
        self.path = path

    def objects(self) -> Iterator[ObjectInfo]:
        """Every file, in order."""
        if self.path.is_file():
            yield ObjectInfo(self.path.name, self.path.stat().st_size)
            return
        for folder, below, files in os.walk(self.path):
            below.sort()
            for name in sorted(files):
                path = Path(folder) / name
                if path.is_file() and not path.is_symlink():
                    yield ObjectInfo(str(path.relative_to(self.path)), path.stat().st_size)

    def read(self, name: str) -> tuple[bytes, int]:
        """All that can be read, and how many bytes could not and are zeros instead."""
        path = self.path if self.path.is_file() else self.path / name
        try:
            return path.read_bytes(), 0
        except FileNotFoundError:
            raise NotThere(f"{path} is not there any more") from None
        except OSError:
            return _read_around(path)

    def close(self) -> None:
        """Nothing is kept open."""


class MediumPlace:
    """A vault's medium: a bucket."""

    def __init__(self, url: str, medium: Medium) -> None:
        """On this medium, known by this URL."""
        self.title = url
        self._medium = medium

    def objects(self) -> Iterator[ObjectInfo]:
        """Every object, in order."""
        return self._medium.list()

    def read(self, name: str) -> tuple[bytes, int]:
        """All of it; a medium gives the whole or nothing."""
        return self._medium.read(name), 0

    def close(self) -> None:
        """Let go of the medium."""
        self._medium.close()


def open_place(text: str) -> Place:
    """The place that a path or URL names. Raises BadRequest, NotThere, StorageFault."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return FolderPlace(Path(text))
    if scheme == "file":
        return FolderPlace(Path(rest))
    if scheme == "s3":
        return MediumPlace(text, open_medium(text, name="salvage"))
    raise BadRequest(f"{text} cannot be salvaged from", hint="Give a folder, a file, or s3://BUCKET/PREFIX?endpoint=…")


def _read_around(path: Path) -> tuple[bytes, int]:
    parts: list[bytes] = []
    missing = 0
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise StorageFault(f"{path} cannot be opened: {error.strerror}") from error
    try:
        size = os.fstat(descriptor).st_size
        for start in range(0, size, _PART_OCTETS):
            length = min(_PART_OCTETS, size - start)
            try:
                part = os.pread(descriptor, length, start)
            except OSError:
                part = b""
            missing += length - len(part)
            parts.append(part.ljust(length, b"\0"))
    finally:
        os.close(descriptor)
    return b"".join(parts), missing
