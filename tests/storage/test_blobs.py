"""Blobs: files and the memory fake keep the same promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from keepwell.model.errors import Damaged, NotThere
from keepwell.model.names import Digest
from keepwell.model.record import digest_of
from keepwell.storage.blobs import FileBlobs
from keepwell.storage.contract import BlobStore
from keepwell.storage.memory import MemoryBlobs


@pytest.fixture(params=["files", "memory"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return FileBlobs(tmp_path) if request.param == "files" else MemoryBlobs()


def test_bytes_come_back_by_digest(blobs: BlobStore) -> None:
    """What was put is read by its digest; putting it again changes nothing."""
    assert blobs.put(b"bytes") == blobs.put(b"bytes") == digest_of(b"bytes")
    blobs.put(b"")
    assert blobs.read(digest_of(b"bytes")) == b"bytes"
    assert sorted(blobs.digests()) == sorted([digest_of(b"bytes"), digest_of(b"")])


def test_unknown_bytes_are_not_there(blobs: BlobStore) -> None:
    """A digest that was never put raises NotThere."""
    with pytest.raises(NotThere):
        blobs.read(Digest("0" * 64))


def test_changed_bytes_are_damaged(tmp_path: Path) -> None:
    """A file whose bytes changed is not served."""
    blobs = FileBlobs(tmp_path)
    digest = blobs.put(b"bytes")
    (tmp_path / digest[:2] / digest).write_bytes(b"Bytes")
    with pytest.raises(Damaged, match=digest):
        blobs.read(digest)


def test_stray_files_are_no_blobs(tmp_path: Path) -> None:
    """A temporary file that a crash left is not listed."""
    blobs = FileBlobs(tmp_path)
    digest = blobs.put(b"bytes")
    (tmp_path / digest[:2] / ".tmp-1-2").write_bytes(b"half")
    assert list(blobs.digests()) == [digest]
