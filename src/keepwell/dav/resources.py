"""What is at a target, and what is in it, for an actor.

Promises: a resource that comes from here exists and may be seen by the actor; what may not be seen is NotThere, like
what does not exist. In the photos home, where collections nest, a path without a closing slash is an item when there
is one and a collection otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from keepwell.dav.paths import HOMES, Sort, Target
from keepwell.dav.ports import Directory
from keepwell.dav.request import not_visible, owner_of
from keepwell.model.errors import Held, NotThere
from keepwell.model.names import AccountId, Home, Lineage
from keepwell.services.actor import Actor
from keepwell.services.library import Library
from keepwell.storage.contract import Collection, Item, Snapshot
from keepwell.storage.holding import require_home

UNCOUNTED: Final = -1
"""The octets of a resource when nobody counted, or nobody could."""


class Access(StrEnum):
    """What the actor may do with a resource."""

    OWNER = "owner"
    WRITER = "writer"
    READER = "reader"


@dataclass(frozen=True, slots=True)
class Resource:
    """What is at a target. Of an item, `collection` is the one that it is in.

    `octets` is what the owner's collections hold together (for quotas).
    """

    target: Target
    access: Access
    owner: AccountId | None = None
    lineage: Lineage | None = None
    collection: Collection | None = None
    item: Item | None = None
    octets: int = UNCOUNTED

    @property
    def href(self) -> str:
        """Its encoded path."""
        return self.target.href

    @property
    def home(self) -> Home | None:
        """The home that it is in."""
        return self.target.home

    def required_collection(self) -> Collection:
        """The collection of a resource that is or is in one. Raises NotThere."""
        if self.collection is None:
            raise NotThere(f"there is no collection at {self.href}")
        return self.collection


def locate(library: Library, directory: Directory, actor: Actor, target: Target) -> Resource:
    """The resource at `target`. Raises NotThere."""
    if not target.login:
        return Resource(target, Access.READER)
    owner = require_visible(directory, actor, target)
    with library.reading(owner) as snapshot:
        return load(snapshot, actor, owner, target)


def require_visible(directory: Directory, actor: Actor, target: Target) -> AccountId:
    """The owner of `target` when the actor may know of it; raises NotThere otherwise."""
    owner = owner_of(target, directory, actor)
    if target.sort is Sort.COLLECTION or target.sort is Sort.ITEM:
        _require_collection_visible(actor, owner, target)
    elif owner != actor.account and not _shares_with(actor, owner, target.home):
        raise not_visible(target)
    return owner


def _require_collection_visible(actor: Actor, owner: AccountId, target: Target) -> None:
    home = target.required_home()
    if actor.may_see(owner, home, target.collection):
        return
    nested = home is Home.PHOTOS and target.is_item and actor.may_see(owner, home, target.as_collection.collection)
    if not nested:
        raise not_visible(target)


def _shares_with(actor: Actor, owner: AccountId, home: Home | None) -> bool:
    return any(sharer == owner and home in (None, in_home) for sharer, in_home, _ in actor.shared)


def load(snapshot: Snapshot, actor: Actor, owner: AccountId, target: Target) -> Resource:
    """The resource at a target of this snapshot's account, which the actor may see. Raises NotThere."""
    if target.sort is Sort.ITEM:
        return _load_item(snapshot, actor, owner, target)
    if target.sort is Sort.COLLECTION:
        return _load_collection(snapshot, actor, owner, target)
    access = Access.OWNER if owner == actor.account else Access.READER
    return Resource(target, access, owner, snapshot.lineage(), octets=_octets(snapshot, target.home))


def _octets(snapshot: Snapshot, home: Home | None) -> int:
    """What the account holds. Raises Held when something of this home is; with another's nobody can count."""
    try:
        return sum(one.octets for one in snapshot.collections())
    except Held:
        require_home({} if home is None else snapshot.held(), home)
        return UNCOUNTED


def _load_item(snapshot: Snapshot, actor: Actor, owner: AccountId, target: Target) -> Resource:
    home = target.required_home()
    collection = snapshot.collection(home, target.collection)
    item = None if collection is None else snapshot.item(collection.id, target.name)
    if collection is not None and item is not None and actor.may_see(owner, home, target.collection):
        return _resource(snapshot, actor, owner, target, collection, item)
    if home is not Home.PHOTOS:
        raise NotThere(f"there is nothing at {target.href}")
    return _load_collection(snapshot, actor, owner, target.as_collection)


def _load_collection(snapshot: Snapshot, actor: Actor, owner: AccountId, target: Target) -> Resource:
    home = target.required_home()
    collection = snapshot.collection(home, target.collection)
    if collection is None or not actor.may_see(owner, home, target.collection):
        raise NotThere(f"there is no collection at {target.href}")
    return _resource(snapshot, actor, owner, target, collection)


def _resource(
    snapshot: Snapshot,
    actor: Actor,
    owner: AccountId,
    target: Target,
    collection: Collection,
    item: Item | None = None,
) -> Resource:
    access = access_to(actor, owner, target.required_home(), collection.name)
    return Resource(target, access, owner, snapshot.lineage(), collection, item)


def access_to(actor: Actor, owner: AccountId, home: Home, collection: str) -> Access:
    """What the actor, who may see this collection, may do with it."""
    if owner == actor.account:
        return Access.OWNER
    return Access.WRITER if actor.may_change(owner, home, collection) else Access.READER


def visible_logins(actor: Actor, directory: Directory) -> list[str]:
    """The logins whose principals the actor may see: their own, and of those who share something with them."""
    owners = {owner for owner, _, _ in actor.shared}
    logins = (directory.login_of(owner) for owner in owners if owner != actor.account)
    return [actor.login, *sorted(login for login in logins if login)]


def home_logins(actor: Actor, directory: Directory, home: Home) -> list[str]:
    """The logins whose home of this sort the actor may see, their own first."""
    owners = {owner for owner, in_home, _ in actor.shared if in_home is home}
    logins = (directory.login_of(owner) for owner in owners if owner != actor.account)
    return [actor.login, *sorted(login for login in logins if login)]


def members(resource: Resource, library: Library, directory: Directory, actor: Actor) -> Iterator[Resource]:
    """The members of a resource that belongs to nobody: the root, the principals, a home root."""
    target = resource.target
    if target.sort is Sort.ROOT:
        yield Resource(Target(Sort.PRINCIPALS), Access.READER)
        yield from (Resource(Target(Sort.HOME_ROOT, home=home), Access.READER) for home in HOMES)
    elif target.sort is Sort.PRINCIPALS:
        for login in visible_logins(actor, directory):
            yield locate(library, directory, actor, Target(Sort.PRINCIPAL, login))
    elif target.sort is Sort.HOME_ROOT and target.home is not None:
        for login in home_logins(actor, directory, target.home):
            yield locate(library, directory, actor, Target(Sort.HOME, login, target.home))


def collections_in(snapshot: Snapshot, resource: Resource, actor: Actor) -> Iterator[Resource]:
    """The collections directly in a home or (photos) in a collection, those that the actor may see."""
    target, owner = resource.target, resource.owner
    if owner is None or target.home is None:
        return
    if target.sort is Sort.COLLECTION and target.home is not Home.PHOTOS:
        return
    above = f"{target.collection}/" if target.collection else ""
    for collection in snapshot.collections(target.home):
        direct = collection.name.startswith(above) and "/" not in collection.name[len(above) :]
        if direct and actor.may_see(owner, target.home, collection.name):
            here = Target(Sort.COLLECTION, target.login, target.home, collection.name)
            yield _resource(snapshot, actor, owner, here, collection)
