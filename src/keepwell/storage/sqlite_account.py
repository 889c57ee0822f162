"""One account's SQLite file: its connections, and what happens to them when the medium fails.

Connections of an account: one for writing, used under a lock, and a few for reading, taken from a pool, so that
readers never wait for a writer (WAL) nor for each other.

When SQLite reports an I/O error or damage, the account takes no more writes on those connections: they are closed,
callers get StorageFault, and the next use opens the file anew and proves the tail of its journal before it serves. A
full disk ends the connection for writing alone: reading goes on, with what is open, since opening anew needs room; when
nothing is open, readers come one after the other, each with the file for itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import cast

import apsw

from keepwell.ground.clock import Clock
from keepwell.model.errors import KeepwellError, StorageFault, Unavailable
from keepwell.model.names import AccountId, Digest, Home, Kind
from keepwell.model.record import check_link
from keepwell.storage.contract import BlobStore, Carried, Indexer, Item, Snapshot, Verdict, Work
from keepwell.storage.holding import require_place
from keepwell.storage.sqlite_check import check_file, is_damage, is_full, prove_readable
from keepwell.storage.sqlite_erasing import erase_contents
from keepwell.storage.sqlite_files import connect
from keepwell.storage.sqlite_places import Hold, PutAnew, holding, identity_of, staying
from keepwell.storage.sqlite_rebuild import rebuild_projections
from keepwell.storage.sqlite_snapshot import HELD_KEY, SqliteSnapshot, render_held
from keepwell.storage.sqlite_supply import supply_bodies
from keepwell.storage.sqlite_sweeping import needed_by
from keepwell.storage.sqlite_transaction import SqliteTransaction

IDLE_READERS_MAX = 2
"""Reading connections of an account that stay open between requests."""

TAIL_RECORDS = 64
"""Records at the end of a journal that are proven when its file is opened."""


class _Reading:
    """A read transaction on a pooled connection. A class, not a generator: this is on the path of every request."""

    __slots__ = ("_account", "_connection")

    def __init__(self, account: SqliteAccount) -> None:
        self._account = account

    def __enter__(self) -> Snapshot:
        self._connection = self._account._borrow()
        try:
            self._connection.execute("BEGIN")
        except BaseException as error:
            self._account._return(self._connection, error)
            raise
        return SqliteSnapshot(self._connection, self._account.account, self._account._blobs)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._account._return(self._connection, error)


class SqliteAccount:
    """One account's file. Invariants: at most one write transaction at a time in this process, and only while the
    account's name belongs to this very file.
    """

    def __init__(
        self,
        path: Path,
        account: AccountId,
        blobs: BlobStore,
        clock: Clock,
        note_damage: Callable[[AccountId], None] = lambda _account: None,
    ) -> None:
        """For the file that is at `path` now, which is opened when first used. Raises FileNotFoundError.

        Whenever bytes turn out not to be those that were stored, `note_damage` is told.
        """
        self.seen_in_place = b""
        """The word of `moves` at which the file was in its place."""
        self._name = str(path)
        self._identity = identity_of(self._name)
        self._hold = Hold(path, self._identity)
        self.account = account
        self._path = path
        self._blobs = blobs
        self._clock = clock
        self._note_damage = note_damage
        self._write_lock = threading.Lock()
        self._writer: apsw.Connection | None = None
        self._watch_lock = threading.Lock()
        self._watcher: apsw.Connection | None = None
        self._idle: list[apsw.Connection] = []
        self._leaving: list[apsw.Connection] = []
        """Not used any more, and not closed yet: their folder could not be opened, and without its lock none is."""
        self._alone = set[apsw.Connection]()
        """Connections that keep everybody else from the file: closed as soon as they were used."""
        self._unheld: dict[apsw.Connection, int] = {}
        """The version of the file at which a reading connection found nothing held: it need not look again until then.

        This version is a field in memory (0.2 us), which every statement brings up to date; a look at `meta` takes 6.
        """
        self._proven = False
        self._closed = False

    def is_in_place(self) -> bool:
        """Whether the account's name still belongs to this file: another process may have set it aside.

        Raises StorageFault.
        """
        try:
            return identity_of(self._name) == self._identity
        except FileNotFoundError:
            return False
        except OSError as error:
            raise storage_fault(self.account, "look for its file", error) from error

    def reading(self) -> _Reading:
        """A snapshot; may be taken on any thread, many at once."""
        return _Reading(self)

    def read_item(self, home: Home, collection: str, name: str) -> tuple[Item, bytes] | None:
        """One item and its bytes: one statement, a snapshot of its own. Raises Damaged, Held, StorageFault."""
        connection = self._borrow()
        try:
            snapshot = SqliteSnapshot(connection, self.account, self._blobs)
            found = snapshot.item_at(home, collection, name)
            version = connection.data_version()
            if version != self._unheld.get(connection):
                if held := snapshot.held():
                    require_place(held, home, snapshot.collection(home, collection))
                else:
                    self._unheld[connection] = version
        except BaseException as error:
            self._return(connection, error)
            raise
        self._return(connection, None)
        return found

    def version(self) -> int:
        """A number that is another one after every commit, by whatever process; a few microseconds."""
        with self._watch_lock:
            try:
                if self._watcher is None:
                    # `data_version` moves when another connection commits: this one never writes.
                    self._watcher = self._connect_unproven()
                return cast(int, self._watcher.execute("PRAGMA data_version").get)
            except (apsw.Error, OSError) as error:
                self._drop_watcher()
                if not is_full(error):
                    raise storage_fault(self.account, "look for changes", error) from error
        # Nothing is open that would see a change, nor can be: the journal's end tells as well, if more slowly.
        with self.reading() as snapshot:
            return -1 - snapshot.head().sequence

    def transact(self, works: Sequence[Work], appended: list[Carried] | None = None) -> list[Verdict]:
        """Run the works in order in one transaction; one commit, one sync. Raises StorageFault, Unavailable."""
        with self._writing("write") as connection:
            connection.execute("BEGIN IMMEDIATE")
            transaction = SqliteTransaction(connection, self.account, self._blobs, self._clock)
            verdicts = [transaction.run(work) for work in works]
            if transaction.appended:
                transaction.flush()
                connection.execute("COMMIT")
            else:
                connection.execute("ROLLBACK")
        if appended is not None:
            appended += transaction.appended
        return verdicts

    def extend(self, carried: Iterable[Carried], indexer: Indexer) -> None:
        """Append records of another copy, sealed as they are, in one transaction. Raises Damaged, StorageFault."""
        with self._writing("extend") as connection:
            connection.execute("BEGIN IMMEDIATE")
            transaction = SqliteTransaction(connection, self.account, self._blobs, self._clock)
            transaction.extend(carried, indexer)
            transaction.flush()
            connection.execute("COMMIT")

    def erase(self, through: int, digests: Sequence[Digest]) -> list[Digest]:
        """Drop these bytes for good, where no item has them now and no record after `through` names them."""
        with self._writing("erase") as connection:
            return erase_contents(connection, self.account, through, digests)

    def needed_blobs(self, digests: Sequence[Digest]) -> set[Digest]:
        """Those that the account has as blobs, once no write transaction of before is under way."""
        with self._writing("look") as connection:
            return needed_by(connection, digests)

    def supply(self, bodies: Sequence[bytes], indexer: Indexer) -> None:
        """Bring bytes that records here name and that are not here or are damaged; indexes follow."""
        with self._writing("supply") as connection:
            supply_bodies(connection, self._blobs, bodies, indexer)

    def hold(self, reasons: Mapping[Kind, str]) -> None:
        """Set which kinds are not whole, and why; with an empty mapping all are served again. Raises StorageFault."""
        with self._writing("write") as connection:
            if reasons:
                connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (HELD_KEY, render_held(reasons)))
            else:
                connection.execute("DELETE FROM meta WHERE key = ?", (HELD_KEY,))

    def rebuild(self, indexer: Indexer) -> None:
        """Make every projection anew from the journal and the content, in one transaction."""
        with self._writing("rebuild") as connection:
            rebuild_projections(connection, self.account, self._blobs, indexer)

    def check_medium(self) -> list[str]:
        """What is wrong with the file itself: a sentence for each bad page and each broken structure.

        Raises StorageFault, Unavailable: what cannot be looked at is not damaged by that.
        """
        with self._write_lock:
            self._abandon_writer()
            try:
                return check_file(self._path)
            except (apsw.Error, OSError) as error:
                raise storage_fault(self.account, "check it", error) from error

    def close(self) -> None:
        """Close what is idle now and the rest when it is given back."""
        self._closed = True
        with self._write_lock, self._watch_lock:
            self._abandon_writer()
            self._drop_watcher()
            self._drop_idle()
            self._hold.close()

    @contextmanager
    def _writing(self, doing: str) -> Iterator[apsw.Connection]:
        """The connection for writing. After an error it is not used again: its transaction may be open, and would
        lock every other process out.
        """
        with self._write_lock, self._noticing(doing), self._hold:
            try:
                if self._writer is None:
                    self._writer = self._connect()
                yield self._writer
            except apsw.BusyError as error:
                self._abandon_writer()
                raise Unavailable(f"{self.account} is being written by another process") from error
            except (apsw.Error, OSError) as error:
                self._suspect(error)
                if is_full(error):
                    self._stand_by()
                else:
                    self._abandon_everything()
                raise storage_fault(self.account, doing, error) from error
            except BaseException:
                self._abandon_writer()
                raise
            finally:
                if self._closed:  # while it was still in use
                    self._abandon_writer()
                    self._hold.close()

    @contextmanager
    def _noticing(self, doing: str) -> Iterator[None]:
        """Have the store look for the account's file anew, when this turns out not to be it any more."""
        try:
            yield
        except PutAnew:
            self.seen_in_place = b""
            raise
        except OSError as error:  # of the lock itself
            raise storage_fault(self.account, doing, error) from error

    def prove_readable(self) -> None:
        """Read all that is in use in the file. Raises Damaged, StorageFault."""
        try:
            prove_readable(self._path)
        except (apsw.Error, OSError) as error:
            raise storage_fault(self.account, "read", error) from error

    def _suspect(self, error: BaseException) -> None:
        if is_damage(error):
            self._note_damage(self.account)

    def _abandon_writer(self) -> None:
        if self._writer is not None:
            self._disconnect(self._writer)
            self._writer = None

    def _abandon_everything(self) -> None:
        """After a fault of the medium: no connection that saw it is used again, and the tail is proven anew."""
        self._abandon_writer()
        self._drop_idle()
        self._proven = False

    def _stand_by(self) -> None:
        """On a full disk: keep a connection for reading, as the last one takes SQLite's log and its index with it."""
        if not self._idle:
            with suppress(apsw.Error, OSError, KeepwellError):
                self._idle.append(self._connect())
        self._abandon_writer()
        self._proven = False

    def _drop_watcher(self) -> None:
        if self._watcher is not None:
            self._disconnect(self._watcher)
            self._watcher = None

    def _drop_idle(self) -> None:
        while self._idle:
            self._close_reader(self._idle.pop())

    def _close_reader(self, connection: apsw.Connection) -> None:
        self._unheld.pop(connection, None)
        self._alone.discard(connection)
        self._disconnect(connection)

    def _disconnect(self, connection: apsw.Connection) -> None:
        """Close a connection that is not used any more; if it cannot be now, then before another is opened.

        On a medium that fails, the folder that is to be locked for it may not open any more, and whoever gives up a
        connection must not keep it for that.
        """
        self._leaving.append(connection)
        with suppress(OSError):
            self._close_leaving()

    def _close_leaving(self) -> None:
        """Close what is left of before. Raises OSError, and then all of it is still open."""
        if self._leaving:
            with holding(self._path.parent), suppress(IndexError):
                while True:  # other threads do the same
                    self._leaving.pop().close(True)

    def _borrow(self) -> apsw.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            pass
        try:
            try:
                return self._connect()
            except (apsw.Error, OSError) as error:
                if not is_full(error):
                    raise
                return self._connect_alone()
        except BaseException as error:
            self._suspect(error)
            if isinstance(error, apsw.Error | OSError):
                raise storage_fault(self.account, "open", error) from error
            raise

    def _connect(self, *, alone: bool = False) -> apsw.Connection:
        """A connection to a file whose tail was proven. Raises Damaged and apsw errors."""
        connection = self._connect_unproven(alone=alone)
        try:
            self._prove_tail(connection)
        except BaseException:
            self._disconnect(connection)
            raise
        return connection

    def _connect_alone(self) -> apsw.Connection:
        """A connection for one reader on a full disk. Raises as `_connect`, and BusyError while others read."""
        connection = self._connect(alone=True)
        self._alone.add(connection)
        return connection

    def _connect_unproven(self, *, alone: bool = False) -> apsw.Connection:
        self._close_leaving()
        with self._noticing("open"), staying(self._path, self._identity):
            return connect(self._path, alone=alone)

    def _return(self, connection: apsw.Connection, error: BaseException | None) -> None:
        """Take a reading connection back; raises StorageFault when reading ended with an error of SQLite.

        Only one that certainly has no transaction any more is used again. After an error a cursor may be alive in
        the traceback, and its snapshot with it: the next reader would not see what was acknowledged since.
        """
        if error is not None:
            self._suspect(error)
        elif connection.in_transaction:
            connection.execute("ROLLBACK")
        idle = error is None and connection.txn_state() == apsw.SQLITE_TXN_NONE and connection not in self._alone
        if idle and not self._closed and len(self._idle) < IDLE_READERS_MAX:
            self._idle.append(connection)
        else:
            self._close_reader(connection)
        if isinstance(error, apsw.Error):
            self._drop_idle()
            self._proven = False
            raise storage_fault(self.account, "read", error) from error

    def _prove_tail(self, connection: apsw.Connection) -> None:
        """Check the chain of the last records once: after a crash the tail is what can be wrong."""
        if self._proven:
            return
        snapshot = SqliteSnapshot(connection, self.account, self._blobs)
        before = None
        start = max(0, snapshot.head().sequence - TAIL_RECORDS)
        for record in snapshot.records(start):
            if before is not None or start == 0:
                check_link(before, record)
            before = record
        self._proven = True


def storage_fault(account: AccountId, doing: str, error: Exception) -> Unavailable:
    """The error for what SQLite or the file system could not do with an account.

    A StorageFault, but for a file that somebody has for himself (a reader on a full disk): nothing is wrong with that.
    """
    if isinstance(error, apsw.BusyError):
        return Unavailable(f"{account} was in use by another for too long while trying to {doing}: {error}")
    return StorageFault(
        f"the medium of {account} failed while trying to {doing}: {error}",
        hint="Nothing more is acknowledged there until the file was opened anew and proven. Run: keepwell check",
    )
