"""What holds for all tests: nothing is left behind where programs of this user keep their state."""

import os
from collections.abc import Iterator

import pytest


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
