"""The server description that vdirsyncer's storage tests load as `tests.storage.servers.keepwell`.

Copied into the unpacked suite by `run_vdirsyncer_storage_tests`, and run by the suite's own Python.
"""

import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

Arguments = dict[str, Any]


class ServerMixin:
    """Says how a test gets at a collection of its own."""

    storage_class: Any

    @pytest.fixture
    def get_storage_args(
        self, slow_create_collection: Callable[..., Awaitable[Arguments]], aio_connector: object
    ) -> Callable[..., Awaitable[Arguments]]:
        """The arguments for a storage; a named collection is made, and dropped after the test."""

        async def arguments(collection: str | None = "test") -> Arguments:
            start: Arguments = {
                "url": os.environ["COMPAT_URL"],
                "username": os.environ["COMPAT_USER"],
                "password": os.environ["COMPAT_PASSWORD"],
                "connector": aio_connector,
            }
            if collection is None:
                return start
            return await slow_create_collection(self.storage_class, start, collection)

        return arguments
