"""Fixtures of the DAV tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.dav.reports.face import Face, running_face


@pytest.fixture
def face() -> Iterator[Face]:
    with running_face() as face:
        yield face
