"""Removing large bytes that no account has any more, while accounts are written to.

Whoever puts large bytes looks whether the blob is there and then commits a record that needs it. So a blob is first
taken out of sight (`.going-…`, which reading still finds), then every account's write transactions of before are waited
for, then it is asked who has it. What somebody has comes back. An account in the making can be waited for by nobody:
while there is one, everything comes back.

What a crash leaves: a blob out of sight, which reading finds and putting replaces; the next sweep begins with it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import cast

import apsw

from keepwell.model.names import Digest
from keepwell.storage.blobs import FileBlobs
from keepwell.storage.sqlite_snapshot import NAMES_MAX

Needed = Callable[[Sequence[Digest]], set[Digest]]
"""Those of the blobs that an account has, once no transaction of before is under way in it."""


def sweep(blobs: FileBlobs, digests: Iterable[Digest], accounts: Callable[[], Iterable[Needed]]) -> list[Digest]:
    """Remove those that none of the accounts needs; which went. Raises OSError and what the accounts raise."""
    going = blobs.take_out_of_sight(digests)
    needed = set(going)
    try:
        if going:
            needed = {digest for one in accounts() for digest in one(going)}
    finally:
        gone = [digest for digest in going if digest not in needed]
        blobs.bring_back(sorted(needed))
        blobs.remove(gone)
    return gone


def needed_by(connection: apsw.Connection, digests: Sequence[Digest]) -> set[Digest]:
    """Those that the account has as blobs; waits for the write transaction that is under way."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        return {digest for start in range(0, len(digests), NAMES_MAX) for digest in _some(connection, digests, start)}
    finally:
        connection.execute("ROLLBACK")


def _some(connection: apsw.Connection, digests: Sequence[Digest], start: int) -> set[Digest]:
    some = [bytes.fromhex(digest) for digest in digests[start : start + NAMES_MAX]]
    marks = ", ".join("?" * len(some))
    rows = connection.execute(f"SELECT digest FROM content WHERE body IS NULL AND digest IN ({marks})", some)
    return {Digest(cast(bytes, row[0]).hex()) for row in rows}
