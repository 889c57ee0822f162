"""The embedded store: one SQLite file per account, in `accounts/ab/a_….db`.

Connections of an account: one for writing, used under a lock, and a few for reading, taken from a pool, so that
readers never wait for a writer (WAL) nor for each other. Only so many accounts stay open; the one that was unused
longest is closed by a thread of its own, because closing may checkpoint and that must not delay a request.

Creating an account: the file is built under a temporary name of its own, closed, synced, linked to its name (which
refuses to replace one that another process made meanwhile), and the folder synced; a crash before that leaves a
stray `.tmp-…` file, which `keepwell check` tells.

When SQLite reports an I/O error or damage, the account takes no more writes on those connections: they are closed,
callers get StorageFault, and the next use opens the file anew and proves the tail of its journal before it serves.
"""

from __future__ import annotations

import resource
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import cast

import apsw

from keepwell.ground.clock import Clock, SystemClock
from keepwell.ground.durable import make_folder, sync_file, sync_folder
from keepwell.ground.entropy import Entropy, SystemEntropy, base32_word
from keepwell.model.errors import AlreadyThere, BadRequest, NotThere, StorageFault, Unavailable
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Home, Lineage, parse_account_id
from keepwell.model.record import check_link
from keepwell.storage.blobs import FileBlobs
from keepwell.storage.contract import BlobStore, Indexer, Item, Snapshot, Verdict, Work
from keepwell.storage.sqlite_check import check_file
from keepwell.storage.sqlite_files import connect, require_sound_sqlite
from keepwell.storage.sqlite_rebuild import rebuild_projections
from keepwell.storage.sqlite_snapshot import SqliteSnapshot
from keepwell.storage.sqlite_transaction import SqliteTransaction

OPEN_ACCOUNTS_MAX = 256
"""Accounts whose connections stay open."""

IDLE_READERS_MAX = 2
"""Reading connections of an account that stay open between requests."""

TAIL_RECORDS = 64
"""Records at the end of a journal that are proven when its file is opened."""

_FILES_OF_ACCOUNT = 7
_OTHER_FILES = 256
_HEAP_OCTETS_SOFT_MAX = 64 * 1024 * 1024


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
    """One account's file. Invariant: at most one write transaction at a time in this process."""

    def __init__(self, path: Path, account: AccountId, blobs: BlobStore, clock: Clock) -> None:
        """For the file at `path`, which is opened when first used."""
        self.account = account
        self._path = path
        self._blobs = blobs
        self._clock = clock
        self._write_lock = threading.Lock()
        self._writer: apsw.Connection | None = None
        self._watch_lock = threading.Lock()
        self._watcher: apsw.Connection | None = None
        self._idle: list[apsw.Connection] = []
        self._proven = False
        self._closed = False

    def reading(self) -> _Reading:
        """A snapshot; may be taken on any thread, many at once."""
        return _Reading(self)

    def read_item(self, home: Home, collection: str, name: str) -> tuple[Item, bytes] | None:
        """One item and its bytes: one statement, a snapshot of its own. Raises Damaged, StorageFault."""
        connection = self._borrow()
        try:
            found = SqliteSnapshot(connection, self.account, self._blobs).item_at(home, collection, name)
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
                    self._watcher = connect(self._path)
                return cast(int, self._watcher.execute("PRAGMA data_version").get)
            except apsw.Error as error:
                self._drop_watcher()
                raise _fault(self.account, "look for changes", error) from error

    def transact(self, works: Sequence[Work]) -> list[Verdict]:
        """Run the works in order in one transaction; one commit, one sync. Raises StorageFault, Unavailable."""
        with self._write_lock:
            try:
                return self._transact(works)
            except apsw.BusyError as error:
                self._abandon_writer()
                raise Unavailable(f"{self.account} is being written by another process") from error
            except (apsw.Error, OSError) as error:
                self._abandon_everything()
                raise _fault(self.account, "write", error) from error
            except BaseException:
                self._abandon_writer()  # its transaction may be open, and would lock every other process out
                raise

    def _transact(self, works: Sequence[Work]) -> list[Verdict]:
        connection = self._writing()
        connection.execute("BEGIN IMMEDIATE")
        transaction = SqliteTransaction(connection, self.account, self._blobs, self._clock)
        verdicts = [transaction.run(work) for work in works]
        if transaction.appended:
            transaction.flush()
            connection.execute("COMMIT")
        else:
            connection.execute("ROLLBACK")
        return verdicts

    def rebuild(self, indexer: Indexer) -> None:
        """Make every projection anew from the journal and the content, in one transaction."""
        with self._write_lock:
            try:
                rebuild_projections(self._writing(), self.account, self._blobs, indexer)
            except apsw.BusyError as error:
                self._abandon_writer()
                raise Unavailable(f"{self.account} is being written by another process") from error
            except apsw.Error as error:
                self._abandon_everything()
                raise _fault(self.account, "rebuild", error) from error

    def check_medium(self) -> list[str]:
        """What is wrong with the file itself: a sentence for each bad page and each broken structure."""
        with self._write_lock:
            self._abandon_writer()
            return check_file(self._path)

    def close(self) -> None:
        """Close what is idle now and the rest when it is given back."""
        self._closed = True
        with self._write_lock:
            self._abandon_writer()
        with self._watch_lock:
            self._drop_watcher()
        self._drop_idle()

    def _writing(self) -> apsw.Connection:
        if self._writer is None:
            self._writer = self._connect()
        return self._writer

    def _abandon_writer(self) -> None:
        if self._writer is not None:
            self._writer.close(True)
            self._writer = None

    def _abandon_everything(self) -> None:
        """After a fault of the medium: no connection that saw it is used again, and the tail is proven anew."""
        self._abandon_writer()
        self._drop_idle()
        self._proven = False

    def _drop_watcher(self) -> None:
        if self._watcher is not None:
            self._watcher.close(True)
            self._watcher = None

    def _drop_idle(self) -> None:
        while self._idle:
            self._idle.pop().close(True)

    def _borrow(self) -> apsw.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            pass
        try:
            return self._connect()
        except apsw.Error as error:
            raise _fault(self.account, "open", error) from error

    def _connect(self) -> apsw.Connection:
        """A connection to a file whose tail was proven. Raises Damaged and apsw errors."""
        connection = connect(self._path)
        try:
            self._prove_tail(connection)
        except BaseException:
            connection.close(True)
            raise
        return connection

    def _return(self, connection: apsw.Connection, error: BaseException | None) -> None:
        """Take a reading connection back; raises StorageFault when reading ended with an error of SQLite.

        Only one that certainly has no transaction any more is used again. After an error a cursor may be alive in
        the traceback, and its snapshot with it: the next reader would not see what was acknowledged since.
        """
        if error is None and connection.in_transaction:
            connection.execute("ROLLBACK")
        idle = error is None and connection.txn_state() == apsw.SQLITE_TXN_NONE
        if idle and not self._closed and len(self._idle) < IDLE_READERS_MAX:
            self._idle.append(connection)
        else:
            connection.close(True)
        if isinstance(error, apsw.Error):
            self._drop_idle()
            self._proven = False
            raise _fault(self.account, "read", error) from error

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


class SqliteStore:
    """All accounts of a data folder."""

    def __init__(self, folder: Path, clock: Clock | None = None, entropy: Entropy | None = None) -> None:
        """Over `folder`. Raises CannotStart when this machine's SQLite is not sound."""
        require_sound_sqlite()
        apsw.soft_heap_limit(_HEAP_OCTETS_SOFT_MAX)
        self._folder = folder / "accounts"
        self._clock = clock or SystemClock()
        self._entropy = entropy or SystemEntropy()
        self._blobs = FileBlobs(folder / "blobs")
        self._open: OrderedDict[AccountId, SqliteAccount] = OrderedDict()
        self._open_max = _open_accounts_max()
        self._lock = threading.Lock()
        self._closing: SimpleQueue[SqliteAccount | None] = SimpleQueue()
        self._closer: threading.Thread | None = None

    @property
    def blobs(self) -> BlobStore:
        """The blobs beside the accounts."""
        return self._blobs

    def accounts(self) -> list[AccountId]:
        """Every account that has a file here, in order; another file that someone put among them is none."""
        found = ((_account_of(path), path) for path in self._folder.glob("??/a_*.db"))
        return sorted(account for account, path in found if account and path == self._path(account))

    def account(self, account: AccountId) -> SqliteAccount:
        """The account's file. Raises NotThere."""
        with self._lock:
            found = self._open.get(account)
            if found is not None:
                self._open.move_to_end(account)
                return found
        path = self._path(account)
        if not path.exists():
            raise NotThere(f"there is no account {account}")
        return self._remember(account, SqliteAccount(path, account, self._blobs, self._clock))

    def create(self, account: AccountId, works: Sequence[Work] = ()) -> SqliteAccount:
        """Make the account's file, whole or not at all, with these works done. Raises AlreadyThere."""
        path = self._path(account)
        if path.exists():
            raise AlreadyThere(f"there is an account {account} already")
        make_folder(path.parent)
        temporary = path.with_name(f".tmp-{account}-{base32_word(self._entropy, 40)}.db")
        try:
            self._build(temporary, account, works)
            path.hardlink_to(temporary)
        except FileExistsError:
            raise AlreadyThere(f"there is an account {account} already") from None
        except (apsw.Error, OSError) as error:
            raise _fault(account, "create it", error) from error
        finally:
            for file in path.parent.glob(temporary.name + "*"):
                file.unlink(missing_ok=True)
        sync_folder(path.parent)
        return self.account(account)

    def close(self) -> None:
        """Close every file; may be called twice."""
        with self._lock:
            opened = list(self._open.values())
            self._open.clear()
        for one in opened:
            one.close()
        if self._closer is not None:
            self._closing.put(None)
            self._closer.join()
            self._closer = None

    def _build(self, path: Path, account: AccountId, works: Sequence[Work]) -> None:
        connection = connect(path, create=True)
        lineage = Lineage(base32_word(self._entropy, 80))
        connection.execute("INSERT INTO meta VALUES ('lineage', ?), ('account', ?)", (lineage, account))
        connection.close()
        building = SqliteAccount(path, account, self._blobs, self._clock)
        verdicts = building.transact(works)
        building.close()
        sync_file(path)
        for verdict in verdicts:
            if isinstance(verdict, BaseException):
                raise verdict
        if path.with_name(path.name + "-wal").exists():
            raise StorageFault(f"the file of {account} could not be closed", hint="See the log of the system.")

    def _remember(self, account: AccountId, opened: SqliteAccount) -> SqliteAccount:
        with self._lock:
            known = self._open.setdefault(account, opened)
            if SYSTEM_ACCOUNT in self._open:
                self._open.move_to_end(SYSTEM_ACCOUNT)  # every request asks for its version
            if len(self._open) > self._open_max:
                self._closing.put(self._open.popitem(last=False)[1])
                self._start_closer()
        return known

    def _start_closer(self) -> None:
        if self._closer is None:
            self._closer = threading.Thread(target=self._close_unused, name="keepwell-closer", daemon=True)
            self._closer.start()

    def _close_unused(self) -> None:
        while (unused := self._closing.get()) is not None:
            with suppress(apsw.Error):  # what is wrong with the file is told to whoever opens it next
                unused.close()

    def _path(self, account: AccountId) -> Path:
        return self._folder / account.removeprefix("a_")[:2] / f"{account}.db"


def _account_of(path: Path) -> AccountId | None:
    try:
        return parse_account_id(path.stem)
    except BadRequest:
        return None


def _open_accounts_max() -> int:
    """As many as the process may have files for: an open account has up to seven."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(OPEN_ACCOUNTS_MAX, max(8, (soft - _OTHER_FILES) // _FILES_OF_ACCOUNT))


def _fault(account: AccountId, doing: str, error: Exception) -> StorageFault:
    return StorageFault(
        f"the medium of {account} failed while trying to {doing}: {error}",
        hint="Nothing more is acknowledged there until the file was opened anew and proven. Run: keepwell check",
    )
