"""One server to a data folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from keepwell.model.errors import CannotStart
from keepwell.storage.family import claim, join


def test_a_second_server_is_refused(tmp_path: Path) -> None:
    """While a family lives its folder cannot be claimed, and the refusal names the process."""
    lock = claim(tmp_path, "first")
    with pytest.raises(CannotStart, match=r"process [0-9]+"):
        claim(tmp_path, "second")
    lock.release()
    claim(tmp_path, "second").release()


def test_a_worker_keeps_the_folder(tmp_path: Path) -> None:
    """A worker that outlives its parent still holds the folder."""
    parent = claim(tmp_path, "first")
    worker = join(tmp_path, "first")
    parent.release()
    with pytest.raises(CannotStart):
        claim(tmp_path, "second")
    worker.release()
    claim(tmp_path, "second").release()


def test_a_worker_of_another_family_is_refused(tmp_path: Path) -> None:
    """A worker joins its own family only."""
    lock = claim(tmp_path, "first")
    with pytest.raises(CannotStart):
        join(tmp_path, "second")
    lock.release()
