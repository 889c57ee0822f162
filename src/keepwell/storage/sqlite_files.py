"""How an account's SQLite file is opened, laid out, and refused.

Every connection goes through SQLite's checksum VFS (eight bytes of each page prove the page, so a flipped bit in any
page is found when the page is read), WAL mode and `synchronous=FULL`: a commit is synced before it returns.

A connection is opened and closed under the lock of the file's place (`sqlite_places`), because SQLite finds `-wal` and
`-shm` by name: opening would bring in, and closing take away, those of a file that was put in this one's place between
SQLite's look at the file and its look at them.

Refused at start: SQLite 3.7.0 to 3.51.2, whose WAL-reset bug can corrupt a database
(https://sqlite.org/wal.html#walresetbug); a file of a newer format than this program knows, or of an older one, which
`keepwell upgrade` brings to this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar, cast
from urllib.parse import quote

import apsw
import apsw.sqlite_extra

from keepwell.model.errors import CannotStart
from keepwell.model.names import AccountId, Lineage
from keepwell.model.record import GENESIS
from keepwell.storage.contract import Head
from keepwell.storage.sqlite_places import alone, holding, identity_of, staying

Outcome = TypeVar("Outcome")

FORMAT_VERSION = 1
PAGE_OCTETS = 4096
CHECKSUM_OCTETS = 8
APPLICATION_ID = 0x4B657065
"""What `file` may tell of an account's file by: `Kepe`."""

CACHE_KIB = 1024
"""Page cache of one connection: accounts are many, and the system's own cache lies under it."""

BUILDING_CACHE_KIB = 16 * 1024
"""Page cache while a file is built: one is at a time, and pages that do not fit are written several times."""

BUSY_MILLISECONDS = 10_000
"""How long a commit waits for another process (a command line beside the server) that writes to the same account."""

_FIRST_AFFECTED = (3, 7, 0)
_FIRST_MENDED = (3, 51, 3)

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- The data: everything below it can be rebuilt from the journal and the content.
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY, at TEXT NOT NULL, by TEXT NOT NULL, op TEXT NOT NULL, kind TEXT,
    collection TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL, media_type TEXT NOT NULL,
    digest BLOB, size INTEGER, properties TEXT, lineage TEXT NOT NULL, prev BLOB NOT NULL, hash BLOB NOT NULL
);
CREATE INDEX journal_by_name ON journal (collection, name);
-- `body` is NULL when the bytes are in the blob store, and empty when they were erased (or are nothing).
CREATE TABLE content (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, body BLOB);

CREATE TABLE collections (
    id INTEGER PRIMARY KEY, home TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, properties TEXT NOT NULL,
    seq INTEGER NOT NULL, count INTEGER NOT NULL, octets INTEGER NOT NULL, UNIQUE (home, name)
);
-- A removed item stays as a row without digest: the tombstone that a sync answer needs.
CREATE TABLE items (
    collection_id INTEGER NOT NULL, name TEXT NOT NULL, seq INTEGER NOT NULL, born INTEGER NOT NULL,
    uid TEXT NOT NULL, media_type TEXT NOT NULL, digest BLOB, size INTEGER NOT NULL, content_id INTEGER,
    created TEXT NOT NULL, modified TEXT NOT NULL, component TEXT NOT NULL,
    span_start INTEGER, span_end INTEGER, span_exact INTEGER NOT NULL, properties TEXT,
    PRIMARY KEY (collection_id, name)
) WITHOUT ROWID;
CREATE INDEX items_by_seq ON items (collection_id, seq);
CREATE INDEX items_by_uid ON items (collection_id, uid) WHERE uid <> '' AND digest IS NOT NULL;
CREATE INDEX items_by_span ON items (collection_id, span_end, span_start) WHERE span_end IS NOT NULL;
-- What a text search passes over, apart from the bytes so that it is small and lies together; grows at its end.
CREATE TABLE search (
    collection_id INTEGER NOT NULL, seq INTEGER NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (collection_id, seq)
) WITHOUT ROWID;
CREATE TABLE ledger (
    kind TEXT PRIMARY KEY, seq INTEGER NOT NULL, count INTEGER NOT NULL, set_hash TEXT NOT NULL
) WITHOUT ROWID;
"""


# Without lookaside a connection takes some 50 kB less, and hundreds are open. It can only be chosen before SQLite is
# first used, and shutting SQLite down under an open connection would crash the process: so here, while nothing is.
apsw.shutdown()
apsw.config(apsw.SQLITE_CONFIG_LOOKASIDE, 0, 0)
# This build does not initialize itself when it is used, and works all the same, but without the locks that its threads
# need: page caches of all connections shared a list that nothing guarded, until a commit ran in a circle for ever.
apsw.initialize()


def require_sound_sqlite() -> None:
    """Refuse an SQLite with the WAL-reset bug, and bring in the checksum VFS. Raises CannotStart."""
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if _FIRST_AFFECTED <= version < _FIRST_MENDED:
        raise CannotStart(
            f"this apsw brings SQLite {apsw.sqlite_lib_version()}, which can corrupt a database in WAL mode",
            hint="Install apsw 3.51.3 or newer: pip install --upgrade apsw",
        )
    if "cksmvfs" not in apsw.vfs_names():
        with closing(apsw.Connection(":memory:")) as scratch:
            apsw.sqlite_extra.load(scratch, "cksumvfs")


def connect(path: Path, *, alone: bool = False) -> apsw.Connection:
    """Open an account's file while it stays in its place. Raises apsw errors, and CannotStart for another format.

    A connection that is `alone` is for reading when the disk has no room for SQLite's shared index of the log: it keeps
    that in its own memory, leaves the log as it is, and while it is open nobody else can use the file.
    """
    connection = _open(path, statements=64)
    try:
        _set_up(connection, alone=alone)
        _check_format(connection, path)
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}").fetchall()
    except BaseException:
        connection.close(True)  # its locks would go with its last reference only, and the error keeps one
        raise
    return connection


def _open(path: Path, statements: int = 100) -> apsw.Connection:
    """A connection to a file with something in it, keeping so many statements prepared. Raises apsw errors, OSError.

    An empty one SQLite takes for a new database, and removes the log beside it, with all that was acknowledged in that.
    """
    if path.stat().st_size < PAGE_OCTETS:
        raise apsw.NotADBError(f"{path.name} was cut off: it has not even one page")
    return apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs="cksmvfs", statementcachesize=statements)


def _set_up(connection: apsw.Connection, *, alone: bool) -> None:
    connection.set_busy_timeout(BUSY_MILLISECONDS)
    _plan_once(connection)
    if alone:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.execute("PRAGMA locking_mode=EXCLUSIVE").fetchall()
    # SQLite takes room for twenty pages at a connection's first read, which is three times of what a small account has,
    # and gives it back when the cache shrinks to nothing; a cache of two pages does not take it again.
    for pragma in ("cache_size=2", "shrink_memory", "journal_mode=WAL", "synchronous=FULL", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}").fetchall()


def _plan_once(connection: apsw.Connection) -> None:
    """Let a statement keep its plan whatever is bound to it.

    Otherwise this build (STAT4) plans every statement that compares a bound value in a table with a partial index anew
    each time a value is bound: reading one item took five times as long.
    """
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)


def read_head(path: Path) -> Head:
    """The last record of an account's file, and nothing else. Raises apsw errors, CannotStart, FileNotFoundError."""
    return _read(path, _head_in)


def read_meta(path: Path, key: str) -> str | None:
    """One value of an account's file, and nothing else. Raises as `read_head`."""
    return _read(path, lambda one: cast("str | None", one.execute("SELECT value FROM meta WHERE key = ?", (key,)).get))


def read_head_of_nobody(path: Path) -> Head:
    """The last record of a file that only the caller may open at the moment. Raises apsw errors, CannotStart."""
    return _read_of_nobody(path, _head_in)


def _read(path: Path, what: Callable[[apsw.Connection], Outcome]) -> Outcome:
    if not path.exists():
        raise FileNotFoundError(path)
    with alone(path.parent):
        found = _read_at_rest(path, what)
        return _read_of_nobody(path, what) if found is None else found[0]


def _read_of_nobody(path: Path, what: Callable[[apsw.Connection], Outcome]) -> Outcome:
    with closing(_open(path)) as connection:
        _check_format(connection, path)
        return what(connection)


def _read_at_rest(path: Path, what: Callable[[apsw.Connection], Outcome]) -> tuple[Outcome] | None:
    """What is read of a file that nobody has open, as there is no log: SQLite may take it for one that nobody changes.

    Otherwise opening it makes and removes two files beside it, which takes three times as long, and a start looks
    at every account. None when there is a log, or anything is odd: the careful way tells what.
    """
    if Path(f"{path}-wal").exists():
        return None
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    try:
        with closing(apsw.Connection(f"file:{quote(str(path))}?immutable=1", flags=flags, vfs="cksmvfs")) as one:
            _check_format(one, path)
            return (what(one),)
    except apsw.Error:
        return None


def _head_in(connection: apsw.Connection) -> Head:
    row = connection.execute("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
    return Head(0, GENESIS) if row is None else Head(cast(int, row[0]), cast(bytes, row[1]).hex())


def disconnect(connections: Iterable[apsw.Connection], path: Path) -> None:
    """Close connections to the file; after the last of all processes' the `.db` is all that there is of it."""
    with holding(path.parent):
        for connection in connections:
            connection.close(True)


@contextmanager
def opened(path: Path) -> Iterator[apsw.Connection]:
    """A connection for a while. Raises what `connect` raises, FileNotFoundError, Unavailable."""
    with staying(path, identity_of(path)):
        connection = connect(path)
    try:
        yield connection
    finally:
        disconnect([connection], path)


@contextmanager
def building(path: Path, account: AccountId, lineage: Lineage) -> Iterator[apsw.Connection]:
    """A new account's file, laid out, closed at the end; a file that was not closed this way is of no use.

    Nothing is synced: whoever builds syncs the whole file before it gets its name.
    """
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    with closing(apsw.Connection(str(path), flags=flags, vfs="cksmvfs")) as connection:
        connection.reserve_bytes(reserve=CHECKSUM_OCTETS)
        _plan_once(connection)
        how = (
            f"page_size={PAGE_OCTETS}",
            "journal_mode=MEMORY",
            "synchronous=OFF",
            f"cache_size=-{BUILDING_CACHE_KIB}",
        )
        for pragma in how:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        # The first page goes to the file alone: only once that says so does the VFS put checksums into pages. With
        # SQLite's memory near its limit, others are written before the end of their transaction.
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}").fetchall()
        connection.execute("BEGIN")
        connection.execute(SCHEMA).fetchall()
        meta = [("format", str(FORMAT_VERSION)), ("lineage", lineage), ("account", account)]
        connection.executemany("INSERT INTO meta VALUES (?, ?)", meta)
        connection.execute("COMMIT")
        yield connection
        connection.execute("PRAGMA journal_mode=WAL").fetchall()


def read_format(path: Path) -> int:
    """Which format an account's file has; 0 when it does not say. Raises apsw errors, OSError, Unavailable."""
    with (
        staying(path, identity_of(path)),
        closing(_open(path)) as connection,
    ):
        return _format_of(connection)


def _format_of(connection: apsw.Connection) -> int:
    found = connection.execute("SELECT value FROM meta WHERE key = 'format'").get
    return int(found) if isinstance(found, str) and found.isdecimal() else 0


def _check_format(connection: apsw.Connection, path: Path) -> None:
    found = _format_of(connection)
    if found < FORMAT_VERSION:
        raise CannotStart(
            f"{path} has format {found}; this Keepwell serves {FORMAT_VERSION}",
            hint="Bring the data folder to this format: keepwell upgrade",
        )
    if found > FORMAT_VERSION:
        raise CannotStart(
            f"{path} has format {found}; this Keepwell knows up to {FORMAT_VERSION}",
            hint="A newer Keepwell wrote it. Start that version, or a newer one.",
        )
