"""Fixtures of all tests, and what holds for all: nothing is left where programs of this user keep their state."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from prove.s3 import S3Server, running_s3


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A real S3 server, started once for the whole session by the first test that asks for it."""
    with running_s3() as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def state_of_programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Witnesses of the data folders that tests make lie in a folder of the tests."""
    before = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))
    yield
    if before is None:
        del os.environ["XDG_STATE_HOME"]
    else:
        os.environ["XDG_STATE_HOME"] = before
