"""Who used an account, with what, from where: for the person whose account it is.

Uses are counted in memory and written by a thread of its own every few seconds, so that a request pays for a
dictionary entry only.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from keepwell.ground.clock import Clock, render_moment
from keepwell.model.errors import StorageFault
from keepwell.model.names import AccountId
from keepwell.storage.access_table import AccessEntry, AccessTable

FLUSH_SECONDS = 5.0
AGENT_CHARACTERS_MAX = 200
UNWRITTEN_MAX = 10_000
"""Entries that are held while the table cannot be written."""

SIGNED_IN = "signed in"
REFUSED = "refused"

_Key = tuple[AccountId, str, str, str, str]


@dataclass(slots=True)
class _Count:
    first_at: datetime
    last_at: datetime
    count: int


class AccessLog:
    """Counts uses and keeps them."""

    def __init__(self, table: AccessTable, clock: Clock) -> None:
        """Over a table; call `start` to have it written by itself."""
        self._table = table
        self._clock = clock
        self._counts: dict[_Key, _Count] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Write the counts every few seconds until `close`."""
        self._thread = threading.Thread(target=self._run, name="keepwell-access-log", daemon=True)
        self._thread.start()

    def note(self, account: AccountId, credential: str, address: str, agent: str, outcome: str) -> None:
        """Count one use."""
        key = (account, credential, address, agent[:AGENT_CHARACTERS_MAX], outcome)
        now = self._clock.now()
        with self._lock:
            known = self._counts.get(key)
            if known is None:
                self._counts[key] = _Count(now, now, 1)
            else:
                known.last_at = now
                known.count += 1

    def entries(self, account: AccountId, limit: int = 100) -> list[AccessEntry]:
        """The account's uses, the latest first, those of this moment included."""
        self.flush()
        return self._table.entries(account, limit)

    def flush(self) -> None:
        """Write what was counted. Raises StorageFault, and then counts on with what could not be written."""
        with self._lock:
            counts, self._counts = self._counts, {}
        if not counts:
            return
        try:
            self._table.add(
                AccessEntry(*key, render_moment(one.first_at), render_moment(one.last_at), one.count)
                for key, one in counts.items()
            )
        except StorageFault:
            self._count_again(counts)
            raise

    def _count_again(self, counts: dict[_Key, _Count]) -> None:
        with self._lock:
            for key, one in counts.items():
                since = self._counts.get(key)
                if since is not None:
                    since.first_at, since.count = one.first_at, since.count + one.count
                elif len(self._counts) < UNWRITTEN_MAX:
                    self._counts[key] = one

    def close(self) -> None:
        """Write what was counted and end; may be called twice."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        with suppress(StorageFault):
            self.flush()
        self._table.close()

    def _run(self) -> None:
        while not self._stop.wait(FLUSH_SECONDS):
            with suppress(StorageFault):  # tried again in a moment; whoever asks for entries is told
                self.flush()
