"""Checking an account's file as a file: every page's checksum, and SQLite's own idea of its structure.

What the pages say (chains, digests, ledger, projections) is checked above, by `services.check`.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import BinaryIO, cast

import apsw

from keepwell.storage.sqlite_files import PAGE_OCTETS, opened

_FINDINGS_MAX = 100
_LOCK_PAGE = 0x40000000 // PAGE_OCTETS + 1
"""SQLite never writes the page at 1 GiB (https://sqlite.org/fileformat.html#the_lock_byte_page)."""


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
