"""Where sign-ins are counted: one small SQLite file, `access.db`, beside the accounts.

It is a log, not people's data: it is written every few seconds without a sync, and a crash may lose those seconds.
One row is one (account, credential, address, program, outcome) in one hour, so it grows with hours of use; refused
sign-ins are counted without the program, whose name a stranger could choose anew each time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import apsw

from keepwell.model.errors import StorageFault
from keepwell.model.names import AccountId
from keepwell.storage.sqlite_files import BUSY_MILLISECONDS

_SCHEMA = """
CREATE TABLE IF NOT EXISTS access (
    account TEXT NOT NULL, hour TEXT NOT NULL, credential TEXT NOT NULL, address TEXT NOT NULL, agent TEXT NOT NULL,
    outcome TEXT NOT NULL, first_at TEXT NOT NULL, last_at TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (account, hour, credential, address, agent, outcome)
) WITHOUT ROWID
"""
_ADD = """
INSERT INTO access VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    last_at = excluded.last_at, count = count + excluded.count
"""
_HOUR_CHARACTERS = len("2026-11-23T08")


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """How often a credential was used from an address by a program within an hour, and how it ended."""

    account: AccountId
    credential: str
    address: str
    agent: str
    outcome: str
    first_at: str
    last_at: str
    count: int


class AccessTable:
    """The file; opened when first used."""

    def __init__(self, path: Path) -> None:
        """At `path`."""
        self._path = path
        self._lock = threading.Lock()
        self._connection: apsw.Connection | None = None

    def add(self, entries: Iterable[AccessEntry]) -> None:
        """Count these in. Raises StorageFault."""
        rows = [
            (
                one.account,
                one.first_at[:_HOUR_CHARACTERS],
                one.credential,
                one.address,
                one.agent,
                one.outcome,
                one.first_at,
                one.last_at,
                one.count,
            )
            for one in entries
        ]
        with self._lock, _faults("write"):
            connection = self._opened()
            with connection:
                connection.executemany(_ADD, rows)

    def entries(self, account: AccountId, limit: int) -> list[AccessEntry]:
        """The account's entries, the latest first. Raises StorageFault."""
        with self._lock, _faults("read"):
            rows = self._opened().execute(
                "SELECT account, credential, address, agent, outcome, first_at, last_at, count FROM access"
                " WHERE account = ? ORDER BY last_at DESC LIMIT ?",
                (account, limit),
            )
            return [_entry_from(row) for row in rows]

    def close(self) -> None:
        """Let go of the file; may be called twice."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _opened(self) -> apsw.Connection:
        if self._connection is None:
            connection = apsw.Connection(str(self._path))
            connection.set_busy_timeout(BUSY_MILLISECONDS)
            connection.execute("PRAGMA journal_mode=WAL").fetchall()
            connection.execute("PRAGMA synchronous=NORMAL").fetchall()
            connection.execute(_SCHEMA).fetchall()
            self._connection = connection
        return self._connection


@contextmanager
def _faults(doing: str) -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        raise StorageFault(f"the access log failed while trying to {doing}: {error}") from error


def _entry_from(row: tuple[object, ...]) -> AccessEntry:
    account, credential, address, agent, outcome, first_at, last_at, count = row
    return AccessEntry(
        AccountId(cast(str, account)),
        cast(str, credential),
        cast(str, address),
        cast(str, agent),
        cast(str, outcome),
        cast(str, first_at),
        cast(str, last_at),
        cast(int, count),
    )
