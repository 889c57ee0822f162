"""Data folders to upgrade: of this format, and of a format 0 that never was, with a migration from it.

Run as a program it upgrades, or goes back, and kills itself behind a chosen step:

    python -m tests.services.upgrading.folders upgrade|back|back-from-0 FOLDER STEP
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import apsw

from keepwell.ground.clock import render_moment
from keepwell.model.names import AccountId, Kind
from keepwell.model.record import digest_of
from keepwell.services.accounts import ensure_system_account
from keepwell.services.drills import DrillResult, keep_drill
from keepwell.services.upgrading.upgrade import Upgrading
from keepwell.services.vaults import Vaults
from keepwell.storage.contract import BlobStore, Carried, Snapshot
from keepwell.storage.migrations import MIGRATIONS, Migrated, Migration
from keepwell.storage.sqlite import SqliteStore
from keepwell.storage.sqlite_snapshot import SqliteSnapshot
from tests.storage.contract_suite import ANNA, BERT, LIVES, done, make, put
from tests.support.clock import FakeClock, SeededEntropy

Told = Callable[[str], None]


@contextmanager
def _read_format_0(path: Path, account: AccountId, blobs: BlobStore) -> Iterator[Migrated]:
    with closing(apsw.Connection(str(path), vfs="cksmvfs")) as connection:
        connection.execute("BEGIN")
        connection.execute("CREATE TEMP VIEW journal AS SELECT * FROM changes")
        yield SqliteSnapshot(connection, account, blobs)


MIGRATIONS_FROM_0: Mapping[int, Migration] = {0: _read_format_0, **MIGRATIONS}


def fill(data: Path) -> None:
    """Accounts with every operation, large bytes, bytes that were erased, and a kind that is held."""
    with closing(SqliteStore(data, FakeClock(step_seconds=0.001), SeededEntropy())) as store:
        ensure_system_account(store)
        anna = store.create(ANNA, [make()])
        for works in LIVES:
            done(anna, *works)
        anna.erase(99, [digest_of(b"x" * 200_000)])
        store.sweep_blobs([digest_of(b"x" * 200_000)])
        done(store.create(BERT, [make(), put("bob", b"of bert")]), put("eve"))
        store.account(BERT).hold({Kind.PHOTOS: "they are being looked for"})


def make_format_0(data: Path, generation: str = "accounts") -> None:
    """Turn every file of a generation into one of format 0, whose journal has another name."""
    for path in (data / generation).glob("??/a_*.db"):
        with closing(apsw.Connection(str(path), vfs="cksmvfs")) as connection:
            connection.execute("ALTER TABLE journal RENAME TO changes")
            connection.execute("UPDATE meta SET value = '0' WHERE key = 'format'")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def drill(data: Path, *, vault: str = "near", passed: bool = True, days_ago: float = 1.0) -> None:
    """What a drill leaves behind."""
    clock = FakeClock()
    clock.advance(-days_ago * 86_400)
    keep_drill(data, DrillResult(at=render_moment(clock.now()), vault=vault, passed=passed))


def upgrading(data: Path, told: Told = lambda _step: None) -> Upgrading:
    clock, entropy = FakeClock(), SeededEntropy()
    return Upgrading(data, Vaults(data, clock, entropy), clock, entropy, migrations=MIGRATIONS_FROM_0, told=told)


def generation(data: Path, name: str = "accounts") -> dict[Path, bytes]:
    """Every file of a generation, byte for byte."""
    return {path.relative_to(data / name): path.read_bytes() for path in sorted((data / name).glob("??/a_*.db"))}


def contents(data: Path) -> dict[AccountId, list[Carried]]:
    """Every record and byte, as a server that starts now has them."""
    with closing(SqliteStore(data)) as store:
        found = {}
        for account in store.accounts():
            with store.account(account).reading() as snapshot:
                found[account] = _whole(snapshot)
        return found


def _whole(snapshot: Snapshot) -> list[Carried]:
    for collection in snapshot.collections():
        list(snapshot.items_with_bodies(collection.id))
    return list(snapshot.carried())


def _killed_behind(step: int) -> Told:
    passed = 0

    def told(_step: str) -> None:
        nonlocal passed
        passed += 1
        if passed == step:
            os.kill(os.getpid(), signal.SIGKILL)

    return told


def main(what: str, folder: str, step: str) -> None:
    one = upgrading(Path(folder), _killed_behind(int(step)))
    if what == "back":
        one.go_back()
    else:
        one.upgrade(rebuild=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
