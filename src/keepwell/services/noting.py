"""Noting heads in the witness while Keepwell runs: from a thread of its own, never on a request's path.

It stands before the copies that confirm writes, and remembers which accounts were written to; every few seconds it
looks at those, and notes what they have come to. What was acknowledged in the last `NOTE_SECONDS` before a crash may
not be noted; at an orderly end everything is. A witness that cannot be written is told once, and serving goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog

from keepwell.ground.clock import Clock, render_moment
from keepwell.model.errors import KeepwellError
from keepwell.model.names import AccountId
from keepwell.services.witness import Sighting, WitnessFile, sight
from keepwell.storage.contract import Carried, Store
from keepwell.storage.writers import Confirms

NOTE_SECONDS: Final = 5.0
UNSEEN_MAX: Final = 100
"""Accounts that were never seen and are looked at together: some milliseconds each."""


Done = Callable[[BaseException | None], None]

_log = structlog.get_logger()


class Noter:
    """Passes writes on to the other copies, and notes what the accounts came to. May be used on any thread."""

    def __init__(
        self,
        store: Store,
        witness: WitnessFile,
        clock: Clock,
        confirms: Confirms,
        *,
        login_of: Callable[[AccountId], str | None],
    ) -> None:
        """Before these copies."""
        self._store = store
        self._witness = witness
        self._clock = clock
        self._confirms = confirms
        self._login_of = login_of
        self._written: set[AccountId] = set()
        self._unseen: list[AccountId] | None = None
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failed = False

    def require(self, account: AccountId | None = None) -> None:
        """Raise Unavailable when no write may begin now."""
        self._confirms.require(account)

    def confirm(self, account: AccountId, carried: list[Carried], done: Done) -> None:
        """Remember that the account was written to, and pass it on."""
        with self._lock:
            self._written.add(account)
        self._confirms.confirm(account, carried, done)

    def start(self, meanwhile: Callable[[], None], is_elected: Callable[[], bool]) -> None:
        """Note from a thread of its own, until `close`; before each note it does `meanwhile`.

        The one process that is elected also notes, some at a time, the accounts that nobody saw yet.
        """
        arguments = (meanwhile, is_elected)
        self._thread = threading.Thread(target=self._run, args=arguments, name="keepwell-witness", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread and note the rest; may be called twice."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.note()

    def note(self) -> None:
        """Note what was written to since the last time; never raises."""
        with self._lock:
            accounts, self._written = self._written, set()
        if not accounts:
            return
        try:
            self._witness.note(sorted(accounts), self._look)
            self._failed = False
        except OSError as error:
            if not self._failed:
                _log.warning("witness.not_written", path=str(self._witness.path), reason=str(error))
            self._failed = True
            with self._lock:
                self._written |= accounts

    def _look(self, account: AccountId) -> Sighting | None:
        try:
            with self._store.account(account).reading() as snapshot:
                return sight(snapshot, self._login_of(account) or "", render_moment(self._clock.now()))
        except KeepwellError:
            return None  # what cannot be read is told by whoever asks for it; what was known of it stays

    def look_for_unseen(self) -> None:
        """Have some of the accounts noted that nobody saw yet. Raises OSError."""
        if self._unseen is None:
            self._unseen = sorted(set(self._store.accounts()) - self._witness.load().keys())
        with self._lock:
            self._written.update(self._unseen[:UNSEEN_MAX])
        del self._unseen[:UNSEEN_MAX]

    def _run(self, meanwhile: Callable[[], None], is_elected: Callable[[], bool]) -> None:
        while not self._stop.wait(NOTE_SECONDS):
            try:
                meanwhile()
                if is_elected():
                    self.look_for_unseen()
            except (KeepwellError, OSError) as error:
                _log.warning("lineage.not_reviewed", reason=str(error))
            self.note()
