"""How account files of each format are read, so that an upgrade can build them anew in the format of this version.

The journal is the data: a migration reads an old file as records with their bytes, and whatever stores them makes its
own projections. A format that this table does not have cannot be upgraded from. A new format adds a line here when it
comes, and no line ever goes: a data folder of any version can be brought to this one.

Reading never changes a file's content; what SQLite keeps beside it (`-wal`) may be taken into it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final, Protocol

from keepwell.model.ledger import LedgerEntry
from keepwell.model.names import AccountId, Kind, Lineage
from keepwell.storage.contract import BlobStore, Carried, Head
from keepwell.storage.sqlite_files import opened
from keepwell.storage.sqlite_snapshot import SqliteSnapshot


class Migrated(Protocol):
    """An account as its old file has it: what the new file must come to."""

    def head(self) -> Head:
        """The last record."""
        ...

    def lineage(self) -> Lineage:
        """The id of this unbroken history."""
        ...

    def ledger(self) -> dict[Kind, LedgerEntry]:
        """Every kind that ever had a change."""
        ...

    def held(self) -> Mapping[Kind, str]:
        """Kinds that are not whole, and why."""
        ...

    def carried(self, after: int = 0) -> Iterator[Carried]:
        """The journal after sequence `after`, in order, as `Snapshot.carried`. Raises Damaged."""
        ...


Migration = Callable[[Path, AccountId, BlobStore], AbstractContextManager[Migrated]]


@contextmanager
def read_format_1(path: Path, account: AccountId, blobs: BlobStore) -> Iterator[Migrated]:
    """An account's file of format 1. Raises apsw errors."""
    with opened(path) as connection:
        connection.execute("BEGIN")
        yield SqliteSnapshot(connection, account, blobs)


MIGRATIONS: Final[Mapping[int, Migration]] = {1: read_format_1}
