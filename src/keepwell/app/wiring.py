"""Where concrete classes meet: everything that serves one data folder, put together and taken apart again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from keepwell.app.lineage_links import RollbackMaker, whether_every_vault_is_here, witness_of
from keepwell.app.log import configure_log
from keepwell.app.upkeep import Upkeep
from keepwell.app.vault_links import LateConfirming, LinkMaker
from keepwell.ground.clock import Clock, SystemClock
from keepwell.ground.durable import make_folder
from keepwell.ground.entropy import Entropy, SystemEntropy
from keepwell.model.errors import CannotStart
from keepwell.model.names import SYSTEM_ACCOUNT
from keepwell.services.access_log import AccessLog
from keepwell.services.accounts import Accounts, ensure_system_account
from keepwell.services.confirming import Confirming
from keepwell.services.directory import Directory
from keepwell.services.library import Library
from keepwell.services.lineages import Lineages
from keepwell.services.noting import Noter
from keepwell.services.retention.retention import Retention
from keepwell.services.rollback import Rollbacks
from keepwell.services.signin import SignIn
from keepwell.services.status.reading import StatusReader
from keepwell.services.status.values import Status
from keepwell.services.vaults import Vaults
from keepwell.storage.access_table import AccessTable
from keepwell.storage.sqlite import SqliteStore
from keepwell.storage.writers import Writers


@dataclass(frozen=True, slots=True)
class Keepwell:
    """One data folder, opened."""

    data: Path
    vaults: Vaults
    confirming: Confirming
    """The links of a server process; without any for a command."""
    clock: Clock
    entropy: Entropy
    store: SqliteStore
    writers: Writers
    directory: Directory
    accounts: Accounts
    access_log: AccessLog
    sign_in: SignIn
    retention: Retention
    library: Library
    status: Callable[[], Status]
    """The copies, as a server process knows them."""
    rollbacks: Rollbacks
    lineages: Lineages


@contextmanager
def open_keepwell(
    data: Path,
    *,
    family: str | None = None,
    drill_seconds: float = 0.0,
    clock: Clock | None = None,
    entropy: Entropy | None = None,
) -> Iterator[Keepwell]:
    """Open a data folder, made when missing; with a `family` for serving. Raises CannotStart.

    While it serves, each vault is drilled every `drill_seconds`, unless that is 0.
    """
    configure_log()
    clock, entropy = clock or SystemClock(), entropy or SystemEntropy()
    _make(data)
    store = SqliteStore(data, clock, entropy)
    vaults = Vaults(data, clock, entropy)
    maker = LinkMaker(vaults, store, clock, entropy, family or "")
    confirming = Confirming() if family is None else maker.opened()
    late = LateConfirming(maker.opened)
    witness, finder = witness_of(data), RollbackMaker(data, store, clock, entropy)
    confirms = late if family is None else confirming
    noter = Noter(store, witness, clock, confirms, login_of=lambda account: directory.login_of(account))
    writers = Writers(store, noter)
    retention = Retention(data, store, store.blobs, writers, vaults, clock, entropy)
    upkeep = Upkeep(
        data, store, vaults, confirming, maker.link_to, clock, retention, family=family, drill_seconds=drill_seconds
    )
    try:
        ensure_system_account(store)
        store.account(SYSTEM_ACCOUNT).version()  # opens its file: one of another format is refused here, not later
        directory = Directory(store)
        access_log = AccessLog(AccessTable(data / "access.db"), clock)
        accounts = Accounts(store, writers, directory, clock, entropy)
        every_vault_is_here = whether_every_vault_is_here(vaults.settings, None if family is None else confirming)
        rollbacks = finder.serving(directory, writers, every_vault_is_here)
        if family is not None:
            upkeep.start()
            noter.start(rollbacks.review, lambda: upkeep.is_elected)
        try:
            yield Keepwell(
                data=data,
                vaults=vaults,
                confirming=confirming,
                clock=clock,
                entropy=entropy,
                store=store,
                writers=writers,
                directory=directory,
                accounts=accounts,
                access_log=access_log,
                sign_in=SignIn(directory, access_log, clock),
                library=Library(store, writers, accounts, futures=rollbacks, for_operator=family is None),
                retention=retention,
                status=StatusReader(data, vaults, clock, upkeep.reporter.latest).read,
                rollbacks=rollbacks,
                lineages=Lineages(rollbacks, witness),
            )
        finally:
            upkeep.close()
            writers.close()
            access_log.close()
    finally:
        upkeep.close()
        writers.close()
        noter.close()
        late.close()
        confirming.close()
        store.close()


def _make(data: Path) -> None:
    try:
        make_folder(data)
    except OSError as error:
        raise CannotStart(
            f"the data folder {data} cannot be made: {error}", hint="Choose another with --data."
        ) from error
