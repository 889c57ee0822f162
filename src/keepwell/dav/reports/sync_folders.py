"""Folders that came and went in a folder of the photos home, for its sync answers (RFC 6578 section 3.5.1).

A folder is a collection with a path for a name; its making and dropping are records of its own. A folder is news to
its parent when it comes or goes, not when something in it changes (sync level 1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from keepwell.dav.resources import Access, Resource, collections_in
from keepwell.model.names import Kind
from keepwell.model.record import Op
from keepwell.services.actor import Actor
from keepwell.storage.contract import Snapshot


@dataclass(frozen=True, slots=True)
class FolderChange:
    """A folder directly in another: as it is now, or None when it was dropped."""

    name: str
    sequence: int
    folder: Resource | None


def folder_changes(snapshot: Snapshot, parent: Resource, actor: Actor, after: int) -> list[FolderChange]:
    """The folders directly in `parent` that came (and are there) or went since sequence `after`.

    Only the owner is told of those that went: whether a grantee could see them is not known any more.
    """
    above, home = f"{parent.required_collection().name}/", parent.target.required_home()
    found = {change.name: change for change in _present(snapshot, parent, actor, after)}
    dropped = _dropped(snapshot, above, after) if after > 0 and parent.access is Access.OWNER else {}
    for name, sequence in dropped.items():
        if name not in found and snapshot.collection(home, above + name) is None:
            found[name] = FolderChange(name, sequence, None)
    return list(found.values())


def _present(snapshot: Snapshot, parent: Resource, actor: Actor, after: int) -> Iterator[FolderChange]:
    for folder in collections_in(snapshot, parent, actor):
        collection = folder.required_collection()
        if collection.id > after:
            yield FolderChange(collection.name.rpartition("/")[2], collection.id, folder)


def _dropped(snapshot: Snapshot, above: str, after: int) -> dict[str, int]:
    """Name → sequence of the last drop since `after`, of folders that were there at `after`."""
    dropped: dict[str, int] = {}
    made_since: set[str] = set()
    for record in snapshot.records(after):
        facts = record.facts
        if facts.kind is not Kind.PHOTOS or not facts.collection.startswith(above):
            continue
        name = facts.collection[len(above) :]
        if facts.op is Op.MAKE and name not in dropped:
            made_since.add(name)
        elif facts.op is Op.DROP and "/" not in name and name not in made_since:
            dropped[name] = facts.seq
    return dropped
