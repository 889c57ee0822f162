"""Fixtures of all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.s3 import S3Server, running_s3


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A real S3 server, started once for the whole session by the first test that asks for it."""
    with running_s3() as server:
        yield server
