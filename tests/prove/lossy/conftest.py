"""A lossy disk for a test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from prove.case import missing
from prove.lossy.case import CASE
from prove.lossy.disk import LossyDisk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[LossyDisk]:
    assert not missing(CASE), "\n".join(missing(CASE))
    with LossyDisk(tmp_path / "disk") as disk:
        yield disk
    assert not os.path.ismount(tmp_path / "disk")
