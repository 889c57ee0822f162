"""Reading the projected item rows of an account's SQLite file as they are, for `services.check`.

A snapshot answers questions through these rows; checking needs the rows themselves: every index column, and the
rows of removed items that sync answers are made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from keepwell.storage.contract import Index
from keepwell.storage.sqlite_snapshot import SqliteSnapshot

_ROWS = (
    "SELECT i.name, i.seq, i.born, i.digest IS NOT NULL, i.component, i.span_start, i.span_end, i.span_exact,"
    " coalesce(c.search_text, ''), c.digest IS i.digest FROM items i LEFT JOIN content c ON c.id = i.content_id"
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


def projected_rows(snapshot: SqliteSnapshot, collection_id: int) -> Iterator[ProjectedRow]:
    """The item rows of a collection, by name."""
    for row in snapshot._execute(_ROWS, (collection_id,)):
        name, seq, born, there, component, start, end, exact, text, pointed = row
        index = Index(
            cast(str, component),
            cast("int | None", start),
            cast("int | None", end),
            bool(exact),
            cast(str, text),
        )
        yield ProjectedRow(cast(str, name), cast(int, seq), cast(int, born), bool(there), bool(pointed), index)
