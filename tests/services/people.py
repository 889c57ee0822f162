"""An operator's services over the memory store, for tests."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from keepwell.services.access_log import AccessLog
from keepwell.services.accounts import Accounts, ensure_system_account
from keepwell.services.directory import Directory
from keepwell.services.signin import SignIn
from keepwell.storage.access_table import AccessTable
from keepwell.storage.memory import MemoryStore
from keepwell.storage.writers import Writers
from tests.support.clock import FakeClock, SeededEntropy


@dataclass
class People:
    clock: FakeClock
    store: MemoryStore
    writers: Writers
    directory: Directory
    accounts: Accounts
    access_log: AccessLog
    sign_in: SignIn


def basic(login: str, password: str) -> bytes:
    return b"Basic " + base64.b64encode(f"{login}:{password}".encode())


@contextmanager
def people(folder: Path) -> Iterator[People]:
    clock, entropy = FakeClock(), SeededEntropy()
    store = MemoryStore(clock, entropy)
    ensure_system_account(store)
    writers = Writers(store)
    directory = Directory(store)
    access_log = AccessLog(AccessTable(folder / "access.db"), clock)
    accounts = Accounts(store, writers, directory, clock, entropy)
    try:
        yield People(clock, store, writers, directory, accounts, access_log, SignIn(directory, access_log, clock))
    finally:
        writers.close()
        access_log.close()
