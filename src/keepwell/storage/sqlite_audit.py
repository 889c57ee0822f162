"""Reading an account's SQLite file as it is, for `services.check`.

Serving opens a file only when the end of its journal proves itself, and answers questions through the projections.
Checking must read on where serving stops, and needs the projected rows themselves: every index column, and the rows
of removed items that sync answers are made of. Places and snapshots of other engines are read as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from keepwell.storage.contract import AccountStore, Index, Snapshot
from keepwell.storage.sqlite_account import SqliteAccount
from keepwell.storage.sqlite_files import opened
from keepwell.storage.sqlite_snapshot import SqliteSnapshot

_ROWS = (
    "SELECT i.name, i.seq, i.born, i.digest IS NOT NULL, i.component, i.span_start, i.span_end, i.span_exact,"
    " coalesce(s.text, ''), c.digest IS i.digest FROM items i LEFT JOIN content c ON c.id = i.content_id"
    " LEFT JOIN search s ON s.collection_id = i.collection_id AND s.seq = i.seq AND s.name = i.name"
    " WHERE i.collection_id = ? ORDER BY i.name"
)


@dataclass(frozen=True, slots=True)
class ProjectedRow:
    """One row: an item that is there, or the trace of one that was removed."""

    name: str
    sequence: int
    born: int
    is_there: bool
    has_its_content: bool
    """Whether it points at the content that has its digest."""
    index: Index


@contextmanager
def reading_unproven(place: AccountStore) -> Iterator[Snapshot]:
    """A snapshot, whatever the journal is like. Raises what SQLite raises."""
    if not isinstance(place, SqliteAccount):
        with place.reading() as snapshot:
            yield snapshot
        return
    with opened(place._path) as connection:
        connection.execute("BEGIN")
        yield SqliteSnapshot(connection, place.account, place._blobs)


def projected_rows(snapshot: Snapshot, collection_id: int) -> Iterator[ProjectedRow] | None:
    """The item rows of a collection, by name; None when the engine has no rows."""
    if not isinstance(snapshot, SqliteSnapshot):
        return None
    return (_row_from(row) for row in snapshot._execute(_ROWS, (collection_id,)))


def _row_from(row: tuple[object, ...]) -> ProjectedRow:
    name, seq, born, there, component, start, end, exact, text, pointed = row
    index = Index(
        cast(str, component),
        cast("int | None", start),
        cast("int | None", end),
        bool(exact),
        cast(str, text),
    )
    return ProjectedRow(cast(str, name), cast(int, seq), cast(int, born), bool(there), bool(pointed), index)
