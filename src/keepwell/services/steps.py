"""What the works of the library are made of: looking, deciding and appending within one transaction.

Every function here is a step of a work: it is given the snapshot or transaction, raises what the rules do not allow,
and appends what they do. Who may do it was asked before, by the library.
"""

from __future__ import annotations

from collections.abc import Mapping

from keepwell.model.errors import (
    AlreadyThere,
    ContentRefused,
    Forbidden,
    NotThere,
    UidConflict,
)
from keepwell.model.names import Home, Kind
from keepwell.model.record import Op, Properties
from keepwell.services.actor import Actor
from keepwell.services.content import Prepared, components_of, prepare
from keepwell.services.indexing import index_again
from keepwell.services.place import Kept, Place
from keepwell.storage.contract import (
    NO_INDEX,
    Collection,
    Entry,
    Item,
    Snapshot,
    Transaction,
)


def merged(properties: Properties, changes: Mapping[str, str | None]) -> Properties:
    """`properties` with the changes made: text sets, None removes."""
    result = {name: value for name, value in properties.items() if name not in changes}
    result.update({name: value for name, value in changes.items() if value is not None})
    return result


def require_collection(snapshot: Snapshot, place: Place) -> Collection:
    """The collection at this place. Raises NotThere."""
    collection = snapshot.collection(place.home, place.collection)
    if collection is None:
        raise NotThere(f"there is no collection {place.home}/{place.collection}")
    return collection


def require_item(snapshot: Snapshot, place: Place) -> tuple[Collection, Item]:
    """The item at this place and its collection. Raises NotThere."""
    collection = require_collection(snapshot, place)
    item = snapshot.item(collection.id, place.name)
    if item is None:
        raise NotThere(f"there is no {place}")
    return collection, item


def require_vacant(snapshot: Snapshot, place: Place) -> None:
    """Nothing is at `place`, and where folders nest, the folder above it is there."""
    if snapshot.collection(place.home, place.collection) is not None:
        raise AlreadyThere(f"there is a collection {place} already")
    parent, _, last = place.collection.rpartition("/")
    if parent:
        above = require_collection(snapshot, Place(place.owner, place.home, parent))
        if snapshot.item(above.id, last) is not None:
            raise AlreadyThere(f"there is an item {place} already")


def require_overwritable(snapshot: Snapshot, into: Collection, target: Place, *, overwrite: bool) -> Item | None:
    """What is at the target now; raises AlreadyThere without leave to overwrite it."""
    current = snapshot.item(into.id, target.name)
    if current is not None and not overwrite:
        raise AlreadyThere(f"there is an item {target} already")
    return current


def require_apart(source: Place, target: Place) -> None:
    """Raise Forbidden when one place is in, on or above the other, or they are not in one home."""
    if source.owner != target.owner or source.home is not target.home:
        raise Forbidden(f"{source} can only be copied or moved within its account and home")
    above, below = sorted((source.collection, target.collection), key=len)
    if above == below or below.startswith(above + "/"):
        raise Forbidden(f"{source} cannot be copied or moved into, onto or above itself")


def require_outside(source: Place, obstacle: Place) -> None:
    """Raise Forbidden when the source is in the folder that would have to go, or the file to go is in the source."""
    folder, inside = (source, obstacle) if obstacle.name else (obstacle, source)
    same_home = (folder.owner, folder.home) == (inside.owner, inside.home)
    if same_home and f"{inside.collection}/".startswith(f"{folder.collection}/"):
        raise Forbidden(f"{source} cannot take the place of {obstacle}")


def body_of(snapshot: Snapshot, collection: Collection, item: Item) -> bytes:
    """The bytes of an item that is there. Raises NotThere, Damaged."""
    found = snapshot.item_with_body(collection.id, item.name)
    if found is None:
        raise NotThere(f"there is no item {item.name}")
    return found[1]


def prepare_again(snapshot: Snapshot, collection: Collection, item: Item, target: Place) -> Prepared:
    """An item's bytes, examined for where they shall go. Raises ContentRefused."""
    return prepare(target.home, body_of(snapshot, collection, item), item.media_type)


def check_fits(collection: Collection, prepared: Prepared) -> None:
    """Raise ContentRefused when the collection does not take such a component (RFC 4791 5.2.3)."""
    taken = components_of(collection.kind, collection.properties)
    if taken and prepared.index.component not in taken:
        raise ContentRefused(
            f"{collection.name} takes {', '.join(taken)}, not {prepared.index.component}",
            condition="supported-calendar-component",
        )


def check_uid(transaction: Transaction, collection: Collection, name: str, uid: str, leaving: Item | None) -> None:
    """No two items of a collection share a UID (RFC 4791 5.3.2.1, RFC 6352 6.3.2.1)."""
    holder = transaction.uid_holder(collection.id, uid) if uid else None
    if holder is None or holder.name == name:
        return
    if leaving is not None and leaving.collection_id == collection.id and leaving.name == holder.name:
        return
    raise UidConflict(f"{holder.name} in {collection.name} has the UID {uid} already", holder=holder.name)


def keep(
    transaction: Transaction,
    actor: Actor,
    collection: Collection,
    name: str,
    prepared: Prepared,
    current: Item | None,
    properties: Properties | None,
    leaving: Item | None = None,
) -> Kept:
    """Put examined bytes where `current` is, once they fit and their UID is free; `leaving` goes in the same work."""
    check_fits(collection, prepared)
    check_uid(transaction, collection, name, prepared.uid, leaving)
    if collection.kind is Kind.PHOTOS and transaction.collection(Home.PHOTOS, f"{collection.name}/{name}"):
        raise AlreadyThere(f"there is a folder {collection.name}/{name} already")
    append_put(transaction, actor, collection, name, prepared, properties)
    item = transaction.item(collection.id, name)
    if item is None:
        raise NotThere(f"{collection.name}/{name} was not kept")
    return Kept(item, created=current is None)


def append_put(
    transaction: Transaction,
    actor: Actor,
    collection: Collection,
    name: str,
    prepared: Prepared,
    properties: Properties | None,
) -> None:
    """Append the record of a put; nothing is asked."""
    entry = Entry(
        Op.PUT,
        actor.by,
        collection.kind,
        collection.name,
        name,
        prepared.uid,
        prepared.media_type,
        prepared.digest,
        len(prepared.body),
        properties or None,
    )
    transaction.append(entry, prepared.body, prepared.index)


def take_away(transaction: Transaction, actor: Actor, collection: Collection, item: Item) -> None:
    """Append the record of a removal."""
    transaction.append(Entry(Op.REMOVE, actor.by, collection.kind, collection.name, item.name, item.uid))


def collections_of_tree(snapshot: Snapshot, place: Place) -> list[Collection]:
    """The collection at `place` and those nested in it, the outermost first."""
    below = place.collection + "/"
    every = snapshot.collections(place.home)
    return [one for one in every if one.name == place.collection or one.name.startswith(below)]


def drop_tree(transaction: Transaction, actor: Actor, place: Place) -> None:
    """Drop a collection and those nested in it, the innermost first."""
    for collection in reversed(collections_of_tree(transaction, place)):
        transaction.append(Entry(Op.DROP, actor.by, collection.kind, collection.name))


def make_way(transaction: Transaction, actor: Actor, obstacle: Place | None) -> None:
    """Remove what is in the way, which may be gone by now; undone with the rest when the work is refused."""
    if obstacle is None:
        return
    collection = transaction.collection(obstacle.home, obstacle.collection)
    if collection is None:
        return
    if not obstacle.name:
        drop_tree(transaction, actor, obstacle)
        return
    item = transaction.item(collection.id, obstacle.name)
    if item is not None:
        take_away(transaction, actor, collection, item)


def copy_tree(transaction: Transaction, actor: Actor, source: Place, target: Place, *, shallow: bool) -> None:
    """Make the collection again at `target`, with what is nested and what is in it unless `shallow`."""
    for collection in collections_of_tree(transaction, source):
        name = target.collection + collection.name[len(source.collection) :]
        if shallow and collection.name != source.collection:
            continue
        made = Entry(Op.MAKE, actor.by, collection.kind, name, properties=collection.properties)
        transaction.append(made)
        if not shallow:
            copy_items(transaction, actor, collection, Place(target.owner, target.home, name))


def copy_items(transaction: Transaction, actor: Actor, source: Collection, target: Place) -> None:
    """Copy one by one: the bytes are held already, and only those of one item at a time are looked at."""
    into = require_collection(transaction, target)
    for item in list(transaction.items(source.id)):
        index = NO_INDEX
        if target.home is not Home.PHOTOS:
            index = index_again(target.home, body_of(transaction, source, item))
        entry = Entry(
            Op.PUT,
            actor.by,
            into.kind,
            into.name,
            item.name,
            item.uid,
            item.media_type,
            item.digest,
            item.size,
            item.properties,
        )
        transaction.append(entry, None, index)
