"""The memory fake passes the storage contract."""

from __future__ import annotations

import pytest

from keepwell.storage.memory import MemoryStore
from tests.storage.contract_suite import StoreContract


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()
