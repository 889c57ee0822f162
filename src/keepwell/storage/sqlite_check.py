"""Checking an account's file as a file: every page's checksum, and SQLite's own idea of its structure.

What the pages say (chains, digests, ledger, projections) is checked above, by `services.check`.
"""

from __future__ import annotations

import errno
from contextlib import closing
from pathlib import Path
from typing import BinaryIO, cast

import apsw

from keepwell.model.errors import Damaged, Forked, KeepwellError, StorageFault
from keepwell.storage.sqlite_files import PAGE_OCTETS, opened

_FINDINGS_MAX = 100
_RESULTS_OF_DAMAGE = frozenset(
    {
        apsw.SQLITE_IOERR_DATA,  # a page's checksum is wrong
        apsw.SQLITE_IOERR_CORRUPTFS,
        apsw.SQLITE_IOERR_READ,  # a sector cannot be read
        apsw.SQLITE_IOERR_SHORT_READ,
    }
)
_LOCK_PAGE = 0x40000000 // PAGE_OCTETS + 1
"""SQLite never writes the page at 1 GiB (https://sqlite.org/fileformat.html#the_lock_byte_page)."""


def is_damage(error: BaseException) -> bool:
    """Whether an error says that stored bytes are not those that were stored; a full, busy or missing disk says not.

    Damaged bytes that pass the page's checksum can raise anything on their way through decoders.
    """
    match error:
        case StorageFault():
            return error.__cause__ is not None and is_damage(error.__cause__)
        case Forked():
            return False
        case KeepwellError():
            return isinstance(error, Damaged)
        case apsw.CorruptError() | apsw.NotADBError():
            return True
        case apsw.IOError():
            return getattr(error, "extendedresult", 0) in _RESULTS_OF_DAMAGE
        case apsw.Error() | OSError() | MemoryError() | RecursionError():
            return False
    return isinstance(error, Exception)


def is_full(error: BaseException) -> bool:
    """Whether an error says that there is no room: nothing is broken by that."""
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    if isinstance(error, apsw.IOError):
        return (
            getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_SHMSIZE
        )  # no room for the shared index of the log
    return isinstance(error, apsw.FullError)


def is_for_now(error: BaseException) -> bool:
    """Whether an error comes from what passes: a full disk, too many open files, another's lock.

    SQLite does not say why it cannot open a file; what is in the file it has not seen.
    """
    if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
        return True
    if is_full(error) or isinstance(error, apsw.BusyError | apsw.LockedError | apsw.CantOpenError):
        return True
    return error.__cause__ is not None and is_for_now(error.__cause__)


def prove_readable(path: Path) -> None:
    """Read all that is in use in the file, through SQLite: unlike `check_file`, safe beside connections of a server.

    Raises Damaged, and apsw errors when the medium does not let it be read.
    """
    try:
        with opened(path) as connection:
            found = _broken_structures(connection, path)
            if path.stat().st_size % PAGE_OCTETS:  # SQLite takes the rest of a page for zeros, and compares no checksum
                found.append(f"{path.name}: it does not end with a whole page")
    except apsw.Error as error:
        if not is_damage(error):
            raise
        raise Damaged(f"{path.name}: SQLite cannot read it: {error}") from error
    if found:
        raise Damaged(found[0])


def check_file(path: Path) -> list[str]:
    """A sentence for each page whose checksum is wrong and each broken structure; empty when all is well."""
    findings: list[str] = []
    try:
        # Closing any descriptor of a file takes all of the process's locks on it away
        # (https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_):
        # the plain one is opened first and thus closed last.
        with path.open("rb") as file, opened(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            findings += _bad_pages(connection, path.name, file)
            findings += _broken_structures(connection, path)
    except apsw.Error as error:
        if not is_damage(error):
            raise
        findings = [*_bad_pages_alone(path), f"{path.name}: SQLite cannot read it: {error}"]
    return findings


def _bad_pages(connection: apsw.Connection, name: str, file: BinaryIO) -> list[str]:
    findings = []
    number = 0
    while page := file.read(PAGE_OCTETS):
        number += 1
        if number != _LOCK_PAGE and connection.execute("SELECT verify_checksum(?)", (page,)).get != 1:
            offset = (number - 1) * PAGE_OCTETS
            findings.append(f"{name}: page {number} (from byte {offset}) is not what was written")
    return findings


def _bad_pages_alone(path: Path) -> list[str]:
    """The same for a file that SQLite cannot open: the check function comes with any connection of the VFS."""
    with path.open("rb") as file, closing(apsw.Connection(":memory:", vfs="cksmvfs")) as scratch:
        return _bad_pages(scratch, path.name, file)


def _broken_structures(connection: apsw.Connection, path: Path) -> list[str]:
    rows = connection.execute(f"PRAGMA integrity_check({_FINDINGS_MAX})").fetchall()
    messages = [cast(str, row[0]) for row in rows]
    return [f"{path.name}: {message}" for message in messages if message != "ok"]
