"""A data folder in which something is broken: everything that the product does with it, and what must come of it.

- What is served of every account is right or refused (`prove.served`), by a server that has it open when it breaks.
- Checking names the account, or the file, that is broken.
- A start brings store and vault together, or says why it does not start. What it does not see the check finds, and the
  keeper mends it. Afterwards everything is served again.
- The vault proves itself then, and has everything: damage of the store is never copied over what is good.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import Final

from keepwell.app.start import prepare
from keepwell.model.errors import KeepwellError
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId
from keepwell.model.weight import Weight
from keepwell.services.check import Checker
from keepwell.services.findings import Finding
from keepwell.services.mending import Mending
from keepwell.services.repair import Outcome
from keepwell.services.vaults import Vaults
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.verify import Grade, verify
from prove.broken_vault import Fault, break_files, require_everything
from prove.case import FailedError, Unit
from prove.served import Truth, require_right, require_right_directory
from prove.small_world import VAULT_NAME, SeedClock, SeedEntropy, SmallWorld

FAILURES_SHOWN_MAX: Final = 20
ITEMS_ONE_OF: Final = 5
"""Every item's bytes are asked for with its collection's; of so many one is asked for alone as well."""
AT_REST: Final = ("-wal", "-shm")
"""What SQLite keeps of itself in memory while a server has the account open: it is broken while none has."""


class BrokenStore:
    """Breaks the data folder of a world, and puts it right again after each fault."""

    def __init__(self, world: SmallWorld, unit: Unit) -> None:
        """Of this world, whose files lie where it was made."""
        self._world, self._unit = world, unit
        self._clock, self._entropy = SeedClock(), SeedEntropy(f"{unit.seed}/broken")
        self._truths = [Truth.of(world, account) for account in world.truth]
        self._settings = Vaults(world.data, self._clock, self._entropy).settings.all()
        self._failures: list[str] = []
        self._open: SqliteStore | None = None

    def close(self) -> None:
        """Raises FailedError with everything that was not as it must be."""
        self._close_store()
        self._unit.require_that(not self._failures, "\n".join(self._failures[:FAILURES_SHOWN_MAX]))

    def try_out(self, fault: Fault, *, check: bool, start: bool) -> None:
        """Break it, do everything, put it right; what was not as it must be is told by `close`."""
        self._unit.figures["tried"] += 1
        self._close_store()
        try:
            if not any(name.endswith(AT_REST) for name in fault.changes):
                self._serve_as_it_breaks(fault)
            if check and not self._check(fault):
                start = True
            if start:
                self._start(fault)
        except (FailedError, KeepwellError) as error:
            self._failures.append(f"{fault.what}: {type(error).__name__}: {error}")

    def _close_store(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _store(self) -> SqliteStore:
        return SqliteStore(self._world.data, self._clock, self._entropy)

    def try_bytes(self, fault: Fault) -> None:
        """The same for a blob, and only what reads it: a server that has everything open serves it on as it breaks."""
        if self._open is None:
            self._world.write(vault=False)
            self._open = self._store()
        self._unit.figures["tried"] += 1
        break_files(self._world.data, fault.changes)
        try:
            for truth in self._truths:
                self._unit.figures["answers refused"] += require_right(self._open, truth, blobs_only=True)
        except FailedError as error:
            self._failures.append(f"{fault.what}: {error}")

    def _serve_as_it_breaks(self, fault: Fault) -> None:
        accounts = self._accounts_of(fault)
        files = {name: octets for name, octets in self._world.data_files.items() if _is_of(name, accounts)}
        for name, octets in files.items():
            (self._world.data / name).write_bytes(octets)
        with closing(self._store()) as store:
            for account in accounts:
                store.account(account).version()
            break_files(self._world.data, fault.changes)
            refused = [require_right(store, one, ITEMS_ONE_OF) for one in self._truths if one.account in accounts]
            if SYSTEM_ACCOUNT in accounts:
                refused.append(require_right_directory(store, self._world))
            self._unit.figures["answers refused"] += sum(refused)

    def _check(self, fault: Fault) -> bool:
        """Whether checking names it; what it does not name is of no consequence, or made good by a start."""
        self._world.write(vault=False)
        break_files(self._world.data, fault.changes)
        with closing(self._store()) as store:
            found = self._damage(store, self._accounts_of(fault))
        if not found:
            self._unit.figures["left to a start by checking"] += 1
            return False
        said = " ".join(f"{one.account} {one.place} {one.message}" for one in found)
        if not any(name in said for name in fault.names):
            raise FailedError(f"checking says only: {said}")
        self._unit.figures["found by checking"] += 1
        return True

    def _accounts_of(self, fault: Fault) -> list[AccountId]:
        """Whose files are broken; every account when it is another file."""
        found = [one for one in self._world.journals if any(_is_of(name, [one]) for name in fault.changes)]
        return found or list(self._world.journals)

    def _damage(self, store: SqliteStore, accounts: Iterable[AccountId]) -> list[Finding]:
        checker = Checker(store)
        found = checker.check_folder(self._world.data, store.blobs)
        there = set(store.accounts())
        found += [one for account in accounts if account in there for one in checker.check(account)]
        return [one for one in found if one.weight is not Weight.NOTE]

    def _start(self, fault: Fault) -> None:
        self._world.write()
        break_files(self._world.data, fault.changes)
        told: list[str] = []
        try:
            prepare(self._world.data, "server", told.append, clock=self._clock, entropy=self._entropy)
        except KeepwellError as error:
            self._unit.require_that(any(name in error.message for name in fault.names), f"told only: {error.message}")
            self._unit.figures["named by a start that is refused"] += 1
            return
        vaults = Vaults(self._world.data, self._clock, self._entropy)
        self._unit.require_that(vaults.settings.all() == self._settings, "the vaults' settings are others now")
        with closing(self._store()) as store:
            refused = sum(require_right(store, truth) for truth in self._truths)
            self._unit.figures["answers refused"] += refused + require_right_directory(store, self._world)
            mended = self._keep(store, vaults)
            for truth in self._truths:
                if require_right(store, truth) or require_right_directory(store, self._world):
                    raise FailedError(f"{truth.account} is not served after it was mended; the start told {told}")
        with closing(vaults.open(VAULT_NAME)) as vault:
            self._unit.require_that(verify(vault, Grade.RECORDS).is_whole, "the vault is damaged afterwards")
            require_everything(vault, self._world)
        how = "made good by the keeper" if mended else "made good by a start" if told else "of no consequence"
        self._unit.figures[how] += 1

    def _keep(self, store: SqliteStore, vaults: Vaults) -> bool:
        """What the keeper does: check, and mend what is damaged."""
        mending = Mending(store, vaults.settings.all, vaults.open, vaults.verified_file, self._clock)
        found = self._damage(store, self._world.journals)
        for account in sorted({one.account for one in found if one.account is not None}):
            outcome = mending.mend_account(account, []).outcome
            self._unit.require_that(outcome is Outcome.RESTORED, f"{account} was not mended: {outcome}")
        left = self._damage(store, self._world.journals)
        self._unit.require_that(not left, f"after mending, checking names {[(one.account, one.place) for one in left]}")
        return bool(found)


def _is_of(name: str, accounts: Iterable[AccountId]) -> bool:
    """Whether a file of the data folder is one of these accounts'."""
    return any(f"/{account}.db" in name for account in accounts)
