"""Content-addressed bytes: `blobs/ab/<sha256>`, written through the durable door.

A blob is whole or not there: the name appears by rename after its bytes were synced. Two writers of the same bytes
write the same file, so neither can harm the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from keepwell.ground.durable import make_folder, sync_folder, write_file
from keepwell.model.errors import Damaged, NotThere, StorageFault
from keepwell.model.names import Digest
from keepwell.model.record import digest_of

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
            if _has(path, digest):
                # Another writer may have renamed it a moment ago and not yet synced the folder.
                sync_folder(path.parent)
            else:
                make_folder(path.parent)
                write_file(path, body)
        except OSError as error:
            raise _fault("keep", digest, error) from error
        return digest

    def read(self, digest: Digest) -> bytes:
        """The bytes. Raises NotThere, Damaged when they do not match, StorageFault."""
        try:
            body = self._path(digest).read_bytes()
        except FileNotFoundError:
            raise NotThere(f"there is no blob {digest}") from None
        except OSError as error:
            raise _fault("read", digest, error) from error
        if digest_of(body) != digest:
            raise Damaged(f"blob {digest} does not match its digest")
        return body

    def digests(self) -> Iterator[Digest]:
        """All that are held, in order."""
        for path in sorted(self._folder.glob("??/*")):
            if _name.fullmatch(path.name):
                yield Digest(path.name)

    def _path(self, digest: Digest) -> Path:
        return self._folder / digest[:2] / digest


def _has(path: Path, digest: Digest) -> bool:
    """Whether the file is there with the right bytes: taking a damaged one for granted would lose the good ones."""
    return path.exists() and digest_of(path.read_bytes()) == digest


def _fault(doing: str, digest: Digest, error: OSError) -> StorageFault:
    return StorageFault(
        f"the medium failed while trying to {doing} blob {digest}: {error}",
        hint="Is the disk full, or failing? See the log of the system.",
    )
