"""Content-addressed bytes: `blobs/ab/<sha256>`, written through the durable door.

A blob is whole or not there: the name appears by rename after its bytes were synced. Two writers of the same bytes
write the same file, so neither can harm the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from keepwell.ground.durable import make_folder, remove_file, sync_folder, write_file
from keepwell.model.errors import Damaged, NotThere, StorageFault
from keepwell.model.names import Digest
from keepwell.model.record import digest_of

GOING: Final = ".going-"
"""Before the name of a blob that is out of sight (`sqlite_sweeping`)."""

_name = re.compile(r"[0-9a-f]{64}")


class FileBlobs:
    """Blobs as files below one folder."""

    def __init__(self, folder: Path) -> None:
        """Below `folder`, which is made when the first blob comes."""
        self._folder = folder

    def put(self, body: bytes) -> Digest:
        """Keep `body`; on return it survives a power cut. A blob that was damaged is healed. Raises StorageFault."""
        digest = digest_of(body)
        path = self._path(digest)
        try:
            make_folder(path.parent)
            if _has(path, digest):
                # Another writer may have renamed it a moment ago and not yet synced the folder.
                sync_folder(path.parent)
            else:
                write_file(path, body)
        except OSError as error:
            raise _fault("keep", digest, error) from error
        return digest

    def read(self, digest: Digest) -> bytes:
        """The bytes. Raises NotThere, Damaged when they do not match, StorageFault."""
        try:
            body = self._read(digest)
        except FileNotFoundError:
            raise NotThere(f"there is no blob {digest}") from None
        except OSError as error:
            raise _fault("read", digest, error) from error
        if digest_of(body) != digest:
            raise Damaged(f"blob {digest} does not match its digest")
        return body

    def has(self, digest: Digest) -> bool:
        """Whether there is one of this name; only reading proves it. Raises StorageFault."""
        try:
            return self._path(digest).exists()
        except OSError as error:
            raise _fault("look for", digest, error) from error

    def digests(self) -> Iterator[Digest]:
        """All that are held, in order."""
        for path in sorted(self._folder.glob("??/*")):
            if _name.fullmatch(path.name):
                yield Digest(path.name)

    def take_out_of_sight(self, digests: Iterable[Digest]) -> list[Digest]:
        """Let whoever puts these bytes write them anew, while reading still finds them; those that are here."""
        there = []
        for digest in digests:
            with suppress(FileNotFoundError):
                self._path(digest).rename(self._going(digest))
                sync_folder(self._path(digest).parent)
            if self._going(digest).exists():
                there.append(digest)
        return there

    def bring_back(self, digests: Iterable[Digest]) -> None:
        """Undo it. Raises OSError."""
        for digest in digests:
            self._going(digest).rename(self._path(digest))
            sync_folder(self._path(digest).parent)

    def remove(self, digests: Iterable[Digest]) -> None:
        """Remove what was taken out of sight, durably. Raises OSError."""
        for digest in digests:
            remove_file(self._going(digest))

    def _read(self, digest: Digest) -> bytes:
        """Three looks, because between two it may be taken out of sight or brought back."""
        for path in (self._path(digest), self._going(digest)):
            with suppress(FileNotFoundError):
                return path.read_bytes()
        return self._path(digest).read_bytes()

    def _path(self, digest: Digest) -> Path:
        return self._folder / digest[:2] / digest

    def _going(self, digest: Digest) -> Path:
        return self._folder / digest[:2] / f"{GOING}{digest}"


def _has(path: Path, digest: Digest) -> bool:
    """Whether the file is there with the right bytes: taking a damaged one for granted would lose the good ones."""
    return path.exists() and digest_of(path.read_bytes()) == digest


def _fault(doing: str, digest: Digest, error: OSError) -> StorageFault:
    return StorageFault(
        f"the medium failed while trying to {doing} blob {digest}: {error}",
        hint="Is the disk full, or failing? See the log of the system.",
    )
