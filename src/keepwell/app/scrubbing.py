"""Scrubbing the store: accounts are checked one after the other, all the time, and damaged ones are mended.

The check itself is `keepwell check` in a process of its own, at a lower priority. It takes no turns from the server's
threads; and it reads the accounts' files as plain files, which inside a process that has them open would take away
SQLite's locks on them.

States: *idle* → *checking* (a process runs over some accounts; every tick looks whether it has ended) → *idle* again,
with its findings told, damaged accounts mended and wrong projections made anew. Where the pass is, is remembered behind
each such step.

Accounts that some process could not read (`storage/suspects.py`) come before all others. One that could not be mended
stays a suspect, and is tried again and again, also after a restart: a vault may come back, and an error of the medium
go away.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import msgspec
import structlog

from keepwell.ground.clock import Clock
from keepwell.model.errors import KeepwellError, NotThere
from keepwell.model.names import AccountId
from keepwell.model.weight import Weight
from keepwell.services.confirming import Confirming
from keepwell.services.keeper import Chore
from keepwell.services.mending import Mending
from keepwell.services.repair import Outcome
from keepwell.services.verified import STORE_FOLDER, Pass, VerifiedFile, due, ended, gone_on
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.findings import Found, VaultFinding
from keepwell.vault.verify import Grade

SCRUB_SECONDS: Final = 30.0
"""Between two checks."""

ACCOUNTS_AT_ONCE: Final = 10
PASS_SECONDS: Final = 7 * 24 * 3600.0
"""How long after the end of a pass the next one begins."""

MEND_AGAIN_SECONDS: Final = 60.0
MEND_AGAIN_TIMES: Final = 20
"""When an account that could not be mended is tried again, also as a multiple of what trying took."""

_PRIORITY: Final = 15

_log = structlog.get_logger()


class _Finding(msgspec.Struct, frozen=True):
    """What `keepwell check --json` tells of an account."""

    account: AccountId | None
    weight: Weight
    place: str
    message: str


class _Answer(msgspec.Struct, frozen=True):
    findings: tuple[_Finding, ...]


@dataclass(frozen=True, slots=True)
class _Checking:
    """A check under way, and where its answer is written to; without `under_way` it makes projections anew."""

    process: subprocess.Popen[bytes]
    answer: IO[bytes]
    accounts: tuple[AccountId, ...]
    under_way: Pass | None
    began: float


class Scrubbing:
    """Scrubs one store, for the elected keeper."""

    def __init__(self, data: Path, store: SqliteStore, confirming: Confirming, mending: Mending, clock: Clock) -> None:
        """Over this store, mending with the vaults that these links have open."""
        self._data = data
        self._store = store
        self._confirming = confirming
        self._mending = mending
        self._clock = clock
        self._file = VerifiedFile(data / STORE_FOLDER)
        self._stale: list[AccountId] = []
        self._not_before: dict[AccountId, float] = {}
        self._checking: _Checking | None = None
        self._ended = clock.monotonic()

    def chore(self) -> Chore:
        """The chore, to be done at every tick."""
        return Chore("scrub", 0.0, self.tick)

    def tick(self) -> None:
        """Begin a check when it is time, or see whether the one under way has ended. Raises OSError."""
        self._mend_suspects()
        if self._checking is not None:
            if self._checking.process.poll() is not None:
                self._finish(self._checking)
        elif self._clock.monotonic() - self._ended >= SCRUB_SECONDS:
            self._ended = self._clock.monotonic()
            self._begin_next()

    def close(self) -> None:
        """End a check that is under way; may be called twice."""
        if self._checking is not None:
            self._checking.process.kill()
            self._checking.process.wait()
            self._checking.answer.close()
            self._checking = None

    def _mend_suspects(self) -> None:
        for account in self._store.suspects.all():
            began = self._clock.monotonic()
            if began < self._not_before.get(account, began):
                continue
            outcome = self._mend(account)
            if outcome is None or outcome is Outcome.HELD:
                now = self._clock.monotonic()
                self._not_before[account] = now + max(MEND_AGAIN_SECONDS, MEND_AGAIN_TIMES * (now - began))
            else:
                self._not_before.pop(account, None)
                self._store.suspects.clear(account)

    def _mend(self, account: AccountId) -> Outcome | None:
        """What came of it; None when it could not be tried."""
        writable = [link.vault for link in self._confirming.links if link.fault is None]
        try:
            return self._mending.mend_account(account, writable).outcome
        except NotThere:
            return Outcome.SOUND  # of an account that is gone nothing can be mended; a start brings it back
        except KeepwellError as error:
            _log.warning("account.not_mended", account=account, reason=error.message)
            return None

    def _begin_next(self) -> None:
        if self._stale:
            self._begin(tuple(self._stale), None, "--rebuild")
            self._stale = []
            return
        under_way = due(self._file.read(), Grade.RECORDS, self._clock.now(), PASS_SECONDS)
        if under_way is None:
            return
        left = [account for account in self._store.accounts() if account > under_way.after]
        if left:
            self._begin(tuple(left[:ACCOUNTS_AT_ONCE]), under_way)
        else:
            end = ended(under_way, self._clock.now())
            self._file.change(lambda known: known.with_grade(Grade.RECORDS, end))

    def _begin(self, accounts: tuple[AccountId, ...], under_way: Pass | None, *options: str) -> None:
        words = ["-m", "keepwell.cli.main", "check", *accounts, *options, "--data", str(self._data), "--json"]
        answer = tempfile.TemporaryFile()  # noqa: SIM115  (closed when the check has ended)
        try:
            process = subprocess.Popen([sys.executable, *words], stdout=answer, stderr=subprocess.DEVNULL)  # noqa: S603
        except BaseException:
            answer.close()
            raise
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, process.pid, _PRIORITY)
        self._checking = _Checking(process, answer, accounts, under_way, self._clock.monotonic())

    def _finish(self, checking: _Checking) -> None:
        self._checking = None
        with checking.answer as answer:
            answer.seek(0)
            stored = answer.read()
        try:
            findings = msgspec.json.decode(stored, type=_Answer).findings
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise OSError(f"the check of {len(checking.accounts)} accounts gave no answer: {error}") from error
        found = Found(objects=len(checking.accounts))
        for one in findings:
            if one.account is not None and one.weight is not Weight.NOTE:
                found.findings.append(VaultFinding(one.account, f"{one.place}: {one.message}", one.weight))
        for first in {one.object: one for one in reversed(found.findings)}.values():
            _log.warning("account.finding", account=first.object, weight=first.weight, message=first.message)
        self._act_on(found)
        if checking.under_way is not None:
            seconds = self._clock.monotonic() - checking.began
            under_way = gone_on(checking.under_way, found, checking.accounts[-1], seconds)
            self._file.change(lambda known: known.with_pass(Grade.RECORDS, under_way))

    def _act_on(self, found: Found) -> None:
        damaged = {one.object for one in found.findings if one.weight is Weight.DAMAGE}
        outcomes = {account: self._mend(AccountId(account)) for account in sorted(damaged)}
        mended = {account for account, outcome in outcomes.items() if outcome is Outcome.RESTORED}
        for account in outcomes.keys() - mended:
            self._store.suspects.note(AccountId(account))
        found.findings = [one for one in found.findings if one.object not in mended]
        stale = {one.object for one in found.findings if one.weight is Weight.STALE}
        self._stale = sorted(AccountId(account) for account in stale - damaged)
