"""Where requests go: collections by home and name in the path, and by their owner's login in the query.

What the actor may not see is NotThere in the same words as what does not exist, an unknown owner included.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from keepwell.model.errors import NotThere
from keepwell.model.names import AccountId, Home
from keepwell.services.actor import Actor
from keepwell.services.directory import Directory
from keepwell.services.place import Place
from keepwell.storage.contract import Collection, Item, Snapshot

ShownHome = Annotated[Literal["contacts", "calendars", "photos"], Meta(description="Where the collection is.")]
CollectionName = Annotated[str, Meta(description="Its name; a slash in it is encoded as %2F (only albums nest).")]
ItemName = Annotated[str, Meta(description="The item's name, made by the client.")]
OwnerLogin = Annotated[
    str | None, Meta(description="The login of the collection's owner, when another person shares it with you.")
]


class CollectionPath(msgspec.Struct, frozen=True):
    """A collection's path."""

    home: ShownHome
    name: CollectionName


class ItemPath(msgspec.Struct, frozen=True):
    """An item's path."""

    home: ShownHome
    name: CollectionName
    item: ItemName


class OwnerQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose collection."""

    owner: OwnerLogin = None


def place_of(directory: Directory, actor: Actor, path: CollectionPath | ItemPath, owner_login: str | None) -> Place:
    """The place that a path names, which the actor may read. Raises NotThere."""
    home = Home(path.home)
    place = Place(
        _owner(directory, actor, home, path.name, owner_login),
        home,
        path.name,
        path.item if isinstance(path, ItemPath) else "",
    )
    actor.require_read(place.owner, home, place.collection)
    return place


def own_place(actor: Actor, path: CollectionPath) -> Place:
    """The actor's own collection of this path, there or not."""
    return Place(actor.account, Home(path.home), path.name)


def _owner(directory: Directory, actor: Actor, home: Home, name: str, login: str | None) -> AccountId:
    if login is None or login == actor.login:
        return actor.account
    owner = directory.account_of(login)
    if owner is None:
        raise NotThere(f"there is no collection {home}/{name} that {actor.login} may read")
    return owner


def require_collection(snapshot: Snapshot, place: Place) -> Collection:
    """The collection of a place. Raises NotThere."""
    collection = snapshot.collection(place.home, place.collection)
    if collection is None:
        raise NotThere(f"there is no collection {place.home}/{place.collection}")
    return collection


def require_item(snapshot: Snapshot, place: Place) -> tuple[Item, bytes]:
    """The item of a place with its bytes. Raises NotThere, Damaged."""
    found = snapshot.item_with_body(require_collection(snapshot, place).id, place.name)
    if found is None:
        raise NotThere(f"there is no {place}")
    return found
