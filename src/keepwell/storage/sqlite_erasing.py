"""Dropping bytes from an account's file for good.

A content row stays, with an empty body: that is how it is known that its bytes were erased, and not lost. SQLite leaves
what was deleted in free places of its pages and in its log until they are used again; so the file is written anew
(VACUUM) and the log emptied.

Order, and what a crash leaves at each step:

1. one transaction empties the bodies, and notes in `meta` that traces may be left: all or nothing of it;
2. VACUUM: the file as before or as after;
3. the log is emptied into the file: as before or as after;
4. the note goes, which is only now true. Until then every later call does 2 to 4 again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import apsw

from keepwell.model.errors import Unavailable
from keepwell.model.names import AccountId, Digest
from keepwell.storage.sqlite_snapshot import ERASED, NOTHING_DIGEST

TRACES_KEY: Final = "traces"
"""In `meta` while traces of erased bytes may be left in the file."""


def erase_contents(
    connection: apsw.Connection, account: AccountId, through: int, digests: Sequence[Digest]
) -> list[Digest]:
    """Erase what no item has now and no record after `through` names. Raises Unavailable, apsw errors."""
    connection.execute("PRAGMA secure_delete = ON").fetchall()
    connection.execute("BEGIN IMMEDIATE")
    kept = _named(connection, "SELECT digest FROM journal WHERE seq > ? AND digest IS NOT NULL", (through,))
    kept |= _named(connection, "SELECT digest FROM items WHERE digest IS NOT NULL", ())
    gone = [digest for digest in digests if digest not in kept and digest != NOTHING_DIGEST]
    if _empty(connection, gone):
        connection.execute("INSERT OR REPLACE INTO meta VALUES (?, '1')", (TRACES_KEY,))
    connection.execute("COMMIT")
    if connection.execute("SELECT value FROM meta WHERE key = ?", (TRACES_KEY,)).get is not None:
        _remove_traces(connection, account)
    connection.execute("PRAGMA secure_delete = OFF").fetchall()
    return gone


def _named(connection: apsw.Connection, sql: str, bindings: tuple[int, ...]) -> set[Digest]:
    return {Digest(cast(bytes, row[0]).hex()) for row in connection.execute(sql, bindings)}


def _empty(connection: apsw.Connection, digests: Sequence[Digest]) -> int:
    """How many bodies were there."""
    before = connection.total_changes()
    rows = ((ERASED, bytes.fromhex(digest)) for digest in digests)
    connection.executemany("UPDATE content SET body = ? WHERE digest = ? AND body IS NOT x''", rows)
    return connection.total_changes() - before


def _remove_traces(connection: apsw.Connection, account: AccountId) -> None:
    connection.execute("VACUUM")
    busy = cast(int, connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()[0][0])
    if busy:
        raise Unavailable(
            f"what was erased of {account} is still in its log, because it is being read",
            hint="Try again; nothing else is needed.",
        )
    connection.execute("DELETE FROM meta WHERE key = ?", (TRACES_KEY,))
