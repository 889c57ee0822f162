"""The library: read, put, move, copy and remove items and collections, for an actor.

Every write is one `Work` on one account: the precondition is checked inside the storage transaction, and the ticket
is settled when the change is committed and synced. Between two accounts an item can be copied (a read of one, a write
to the other), not moved: no transaction spans two accounts.

Names: an owner's `Place` is (owner, home, collection, name); whether the actor may go there is checked here, for
every face.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from keepwell.model.errors import (
    AlreadyThere,
    BadRequest,
    ContentRefused,
    Damaged,
    Forbidden,
    NotThere,
    UidConflict,
)
from keepwell.model.names import HOME_OF, AccountId, Home, Kind, check_collection_name, check_item_name
from keepwell.model.preconditions import UNCONDITIONAL, Conditions
from keepwell.model.record import Op, Properties
from keepwell.services.actor import Actor
from keepwell.services.content import Prepared, components_of, prepare
from keepwell.services.indexing import index_again
from keepwell.storage.contract import (
    NO_INDEX,
    AccountStore,
    Collection,
    Entry,
    Item,
    Snapshot,
    Store,
    Transaction,
)
from keepwell.storage.writers import Ticket

Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is: a collection of an owner, or an item of it when `name` is not empty."""

    owner: AccountId
    home: Home
    collection: str
    name: str = ""

    def __str__(self) -> str:
        """For messages."""
        return f"{self.home}/{self.collection}" + (f"/{self.name}" if self.name else "")


@dataclass(frozen=True, slots=True)
class Kept:
    """What a put came to: the item as it is now, and whether it is new."""

    item: Item
    created: bool


class Submits(Protocol):
    """Takes works to be done: the writers, or something before them."""

    def submit(self, account: AccountId, work: Callable[[Transaction], Outcome]) -> Ticket[Outcome]:
        """Queue `work` for `account`; never blocks. Raises Unavailable when too many wait."""
        ...


class Shares(Protocol):
    """Knows what is shared with whom."""

    def withdraw_all(self, owner: AccountId, home: Home, collection: str) -> None:
        """End every share of a collection and of those nested in it."""
        ...


class Library:
    """The items of every account, for actors."""

    def __init__(self, store: Store, writers: Submits, shares: Shares | None = None) -> None:
        """Over this store, writing through these writers; without `shares` nothing is shared."""
        self._store = store
        self._writers = writers
        self._shares = shares

    def guarded(self, guard: Callable[[Snapshot], None]) -> Library:
        """A library whose writes are done only when `guard` does not raise, asked inside their transaction."""
        return Library(self._store, _Guarded(self._writers, guard), self._shares)

    def reading(self, owner: AccountId) -> AbstractContextManager[Snapshot]:
        """A snapshot of an account; the caller asks the actor what may be shown of it. Raises Damaged."""
        return self._account(owner).reading()

    def read_item(self, actor: Actor, place: Place) -> tuple[Item, bytes] | None:
        """One item and its bytes; None when it is not there or not for this actor. Raises Damaged, StorageFault."""
        if not actor.may_see(place.owner, place.home, place.collection):
            return None
        return self._account(place.owner).read_item(place.home, place.collection, place.name)

    def put(
        self,
        actor: Actor,
        place: Place,
        body: bytes,
        *,
        media_type: str = "",
        conditions: Conditions = UNCONDITIONAL,
        properties: Properties | None = None,
    ) -> Ticket[Kept]:
        """Keep `body` at `place`, new or in place of what is there.

        Raises at once: NotThere, Forbidden, BadRequest (name), ContentRefused, TooLarge. Settles with: NotThere (no
        such collection), PreconditionFailed, UidConflict, ContentRefused (component not taken here), StorageFault.
        """
        actor.require_change(place.owner, place.home, place.collection)
        check_item_name(place.name)
        prepared = prepare(place.home, body, media_type)
        return self.put_prepared(actor, place, prepared, conditions=conditions, properties=properties)

    def put_prepared(
        self,
        actor: Actor,
        place: Place,
        prepared: Prepared,
        *,
        conditions: Conditions = UNCONDITIONAL,
        properties: Properties | None = None,
    ) -> Ticket[Kept]:
        """`put` of bytes that were examined already, by an actor that was asked already."""

        def work(transaction: Transaction) -> Kept:
            collection = _require_collection(transaction, place)
            current = transaction.item(collection.id, place.name)
            conditions.check(None if current is None else current.digest, str(place))
            kept_properties = current.properties if current and properties is None else properties
            return _keep(transaction, actor, collection, place.name, prepared, current, kept_properties)

        return self._writers.submit(place.owner, work)

    def remove(self, actor: Actor, place: Place, *, conditions: Conditions = UNCONDITIONAL) -> Ticket[None]:
        """Remove an item; its history stays. Settles with NotThere, PreconditionFailed, StorageFault."""
        actor.require_change(place.owner, place.home, place.collection)

        def work(transaction: Transaction) -> None:
            collection, item = _require_item(transaction, place)
            conditions.check(item.digest, str(place))
            _take_away(transaction, actor, collection, item)

        return self._writers.submit(place.owner, work)

    def set_item_properties(self, actor: Actor, place: Place, changes: Mapping[str, str | None]) -> Ticket[None]:
        """Set (text) or remove (None) dead properties of an item, all or none."""
        actor.require_change(place.owner, place.home, place.collection)

        def work(transaction: Transaction) -> None:
            collection, item = _require_item(transaction, place)
            # Not examined as a put would be: bytes that were taken once may have properties for ever.
            body = _body_of(transaction, collection, item)
            same = Prepared(body, item.digest, item.media_type, item.uid, index_again(place.home, body))
            _put(transaction, actor, collection, item.name, same, merged(item.properties or {}, changes))

        return self._writers.submit(place.owner, work)

    def copy(
        self, actor: Actor, source: Place, target: Place, *, overwrite: bool, conditions: Conditions = UNCONDITIONAL
    ) -> Ticket[Kept]:
        """Copy an item with its properties (RFC 4918 9.8); AlreadyThere without leave to overwrite."""
        return self._transfer(actor, source, target, overwrite=overwrite, conditions=conditions, keep_source=True)

    def move(
        self, actor: Actor, source: Place, target: Place, *, overwrite: bool, conditions: Conditions = UNCONDITIONAL
    ) -> Ticket[Kept]:
        """Move an item with its properties (RFC 4918 9.9): a put, then a remove, in one transaction."""
        actor.require_change(source.owner, source.home, source.collection)
        return self._transfer(actor, source, target, overwrite=overwrite, conditions=conditions, keep_source=False)

    def make_collection(self, actor: Actor, place: Place, kind: Kind, properties: Properties) -> Ticket[Collection]:
        """Make an empty collection. Settles with AlreadyThere, or NotThere when a parent folder is missing."""
        actor.require_owner(place.owner, place.home, place.collection)
        check_collection_name(place.home, place.collection)
        if HOME_OF[kind] is not place.home:
            raise BadRequest(f"a collection of {kind} cannot be in {place.home}")

        def work(transaction: Transaction) -> Collection:
            _require_vacant(transaction, place)
            transaction.append(Entry(Op.MAKE, actor.by, kind, place.collection, properties=dict(properties)))
            return _require_collection(transaction, place)

        return self._writers.submit(place.owner, work)

    def set_collection_properties(self, actor: Actor, place: Place, changes: Mapping[str, str | None]) -> Ticket[None]:
        """Set (text) or remove (None) properties of a collection, all or none."""
        actor.require_owner(place.owner, place.home, place.collection)

        def work(transaction: Transaction) -> None:
            collection = _require_collection(transaction, place)
            properties = merged(collection.properties, changes)
            transaction.append(Entry(Op.SET, actor.by, collection.kind, collection.name, properties=properties))

        return self._writers.submit(place.owner, work)

    def drop_collection(self, actor: Actor, place: Place) -> Ticket[None]:
        """Drop a collection, its items and the collections in it; their history stays."""
        actor.require_owner(place.owner, place.home, place.collection)

        def work(transaction: Transaction) -> None:
            _require_collection(transaction, place)
            _drop_tree(transaction, actor, place)

        self._end_shares(place)
        return self._writers.submit(place.owner, work)

    def copy_collection(
        self, actor: Actor, source: Place, target: Place, *, overwrite: bool, shallow: bool = False
    ) -> Ticket[bool]:
        """Copy a collection with what is in it (`shallow`: without) in one account; True when the target is new."""
        return self._transfer_collection(actor, source, target, overwrite=overwrite, shallow=shallow, keep_source=True)

    def move_collection(self, actor: Actor, source: Place, target: Place, *, overwrite: bool) -> Ticket[bool]:
        """Move a collection with everything in it within one account; True when the target is new."""
        return self._transfer_collection(actor, source, target, overwrite=overwrite, shallow=False, keep_source=False)

    def _end_shares(self, place: Place) -> None:
        """Before a collection goes: a share must not outlive it, and open what is made under its name later."""
        if self._shares is not None:
            self._shares.withdraw_all(place.owner, place.home, place.collection)

    def _account(self, owner: AccountId) -> AccountStore:
        """The owner's account, which the directory knows. Raises Damaged: "not there" would empty a device."""
        try:
            return self._store.account(owner)
        except NotThere as error:
            raise Damaged(f"{error.message}, though it has a login", hint="Run: keepwell check") from error

    def _transfer(
        self,
        actor: Actor,
        source: Place,
        target: Place,
        *,
        overwrite: bool,
        conditions: Conditions,
        keep_source: bool,
    ) -> Ticket[Kept]:
        actor.require_read(source.owner, source.home, source.collection)
        actor.require_change(target.owner, target.home, target.collection)
        check_item_name(target.name)
        if source == target:
            raise Forbidden(f"{source} cannot be copied or moved onto itself")
        if source.owner != target.owner:
            if not keep_source:
                raise Forbidden(
                    f"{source} cannot be moved to another account", hint="Copy it there, then remove it here."
                )
            return self._copy_between(actor, source, target, overwrite=overwrite, conditions=conditions)

        def work(transaction: Transaction) -> Kept:
            collection, item = _require_item(transaction, source)
            conditions.check(item.digest, str(source))
            into = _require_collection(transaction, target)
            prepared = _prepare_again(transaction, collection, item, target)
            current = _require_overwritable(transaction, into, target, overwrite=overwrite)
            leaving = None if keep_source else item
            kept = _keep(transaction, actor, into, target.name, prepared, current, item.properties, leaving)
            if leaving is not None:
                _take_away(transaction, actor, collection, leaving)
            return kept

        return self._writers.submit(source.owner, work)

    def _copy_between(
        self, actor: Actor, source: Place, target: Place, *, overwrite: bool, conditions: Conditions
    ) -> Ticket[Kept]:
        with self.reading(source.owner) as snapshot:
            collection, item = _require_item(snapshot, source)
            conditions.check(item.digest, str(source))
            prepared = _prepare_again(snapshot, collection, item, target)

        def work(transaction: Transaction) -> Kept:
            into = _require_collection(transaction, target)
            current = _require_overwritable(transaction, into, target, overwrite=overwrite)
            return _keep(transaction, actor, into, target.name, prepared, current, item.properties)

        return self._writers.submit(target.owner, work)

    def _transfer_collection(
        self, actor: Actor, source: Place, target: Place, *, overwrite: bool, shallow: bool, keep_source: bool
    ) -> Ticket[bool]:
        actor.require_owner(source.owner, source.home, source.collection)
        actor.require_owner(target.owner, target.home, target.collection)
        check_collection_name(target.home, target.collection)
        _require_apart(source, target)

        def work(transaction: Transaction) -> bool:
            _require_collection(transaction, source)
            replaced = transaction.collection(target.home, target.collection) is not None
            if replaced and not overwrite:
                raise AlreadyThere(f"there is a collection {target} already")
            if replaced:
                _drop_tree(transaction, actor, target)
            _require_vacant(transaction, target)
            _copy_tree(transaction, actor, source, target, shallow=shallow)
            if not keep_source:
                _drop_tree(transaction, actor, source)
            return not replaced

        return self._writers.submit(source.owner, work)


class _Guarded:
    """Writers whose works are done only when the guard lets them."""

    def __init__(self, writers: Submits, guard: Callable[[Snapshot], None]) -> None:
        self._writers = writers
        self._guard = guard

    def submit(self, account: AccountId, work: Callable[[Transaction], Outcome]) -> Ticket[Outcome]:
        def guarded(transaction: Transaction) -> Outcome:
            self._guard(transaction)
            return work(transaction)

        return self._writers.submit(account, guarded)


def merged(properties: Properties, changes: Mapping[str, str | None]) -> Properties:
    """`properties` with the changes made: text sets, None removes."""
    result = {name: value for name, value in properties.items() if name not in changes}
    result.update({name: value for name, value in changes.items() if value is not None})
    return result


def _require_collection(snapshot: Snapshot, place: Place) -> Collection:
    collection = snapshot.collection(place.home, place.collection)
    if collection is None:
        raise NotThere(f"there is no collection {place.home}/{place.collection}")
    return collection


def _require_item(snapshot: Snapshot, place: Place) -> tuple[Collection, Item]:
    collection = _require_collection(snapshot, place)
    item = snapshot.item(collection.id, place.name)
    if item is None:
        raise NotThere(f"there is no {place}")
    return collection, item


def _require_vacant(snapshot: Snapshot, place: Place) -> None:
    """Nothing is at `place`, and where folders nest, the folder above it is there."""
    if snapshot.collection(place.home, place.collection) is not None:
        raise AlreadyThere(f"there is a collection {place} already")
    parent, _, last = place.collection.rpartition("/")
    if parent:
        above = _require_collection(snapshot, Place(place.owner, place.home, parent))
        if snapshot.item(above.id, last) is not None:
            raise AlreadyThere(f"there is an item {place} already")


def _require_overwritable(snapshot: Snapshot, into: Collection, target: Place, *, overwrite: bool) -> Item | None:
    current = snapshot.item(into.id, target.name)
    if current is not None and not overwrite:
        raise AlreadyThere(f"there is an item {target} already")
    return current


def _require_apart(source: Place, target: Place) -> None:
    if source.owner != target.owner or source.home is not target.home:
        raise Forbidden(f"{source} can only be copied or moved within its account and home")
    above, below = sorted((source.collection, target.collection), key=len)
    if above == below or below.startswith(above + "/"):
        raise Forbidden(f"{source} cannot be copied or moved into, onto or above itself")


def _body_of(snapshot: Snapshot, collection: Collection, item: Item) -> bytes:
    found = snapshot.item_with_body(collection.id, item.name)
    if found is None:
        raise NotThere(f"there is no item {item.name}")
    return found[1]


def _prepare_again(snapshot: Snapshot, collection: Collection, item: Item, target: Place) -> Prepared:
    return prepare(target.home, _body_of(snapshot, collection, item), item.media_type)


def _check_fits(collection: Collection, prepared: Prepared) -> None:
    taken = components_of(collection.kind, collection.properties)
    if taken and prepared.index.component not in taken:
        raise ContentRefused(
            f"{collection.name} takes {', '.join(taken)}, not {prepared.index.component}",
            condition="supported-calendar-component",
        )


def _check_uid(transaction: Transaction, collection: Collection, name: str, uid: str, leaving: Item | None) -> None:
    """No two items of a collection share a UID (RFC 4791 5.3.2.1, RFC 6352 6.3.2.1)."""
    holder = transaction.uid_holder(collection.id, uid) if uid else None
    if holder is None or holder.name == name:
        return
    if leaving is not None and leaving.collection_id == collection.id and leaving.name == holder.name:
        return
    raise UidConflict(f"{holder.name} in {collection.name} has the UID {uid} already", holder=holder.name)


def _keep(
    transaction: Transaction,
    actor: Actor,
    collection: Collection,
    name: str,
    prepared: Prepared,
    current: Item | None,
    properties: Properties | None,
    leaving: Item | None = None,
) -> Kept:
    _check_fits(collection, prepared)
    _check_uid(transaction, collection, name, prepared.uid, leaving)
    if collection.kind is Kind.PHOTOS and transaction.collection(Home.PHOTOS, f"{collection.name}/{name}"):
        raise AlreadyThere(f"there is a folder {collection.name}/{name} already")
    _put(transaction, actor, collection, name, prepared, properties)
    item = transaction.item(collection.id, name)
    if item is None:
        raise NotThere(f"{collection.name}/{name} was not kept")
    return Kept(item, created=current is None)


def _put(
    transaction: Transaction,
    actor: Actor,
    collection: Collection,
    name: str,
    prepared: Prepared,
    properties: Properties | None,
) -> None:
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


def _take_away(transaction: Transaction, actor: Actor, collection: Collection, item: Item) -> None:
    transaction.append(Entry(Op.REMOVE, actor.by, collection.kind, collection.name, item.name, item.uid))


def _tree(snapshot: Snapshot, place: Place) -> list[Collection]:
    """The collection at `place` and those nested in it, the outermost first."""
    below = place.collection + "/"
    every = snapshot.collections(place.home)
    return [one for one in every if one.name == place.collection or one.name.startswith(below)]


def _drop_tree(transaction: Transaction, actor: Actor, place: Place) -> None:
    for collection in reversed(_tree(transaction, place)):
        transaction.append(Entry(Op.DROP, actor.by, collection.kind, collection.name))


def _copy_tree(transaction: Transaction, actor: Actor, source: Place, target: Place, *, shallow: bool) -> None:
    for collection in _tree(transaction, source):
        name = target.collection + collection.name[len(source.collection) :]
        if shallow and collection.name != source.collection:
            continue
        made = Entry(Op.MAKE, actor.by, collection.kind, name, properties=collection.properties)
        transaction.append(made)
        if not shallow:
            _copy_items(transaction, actor, collection, Place(target.owner, target.home, name))


def _copy_items(transaction: Transaction, actor: Actor, source: Collection, target: Place) -> None:
    """Copy one by one: the bytes are held already, and only those of one item at a time are looked at."""
    into = _require_collection(transaction, target)
    for item in list(transaction.items(source.id)):
        index = NO_INDEX
        if target.home is not Home.PHOTOS:
            index = index_again(target.home, _body_of(transaction, source, item))
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
