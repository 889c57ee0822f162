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
from typing import Protocol, TypeVar

from keepwell.model.errors import (
    AlreadyThere,
    BadRequest,
    Damaged,
    Forbidden,
    NotThere,
)
from keepwell.model.names import HOME_OF, AccountId, Home, Kind, Lineage, check_collection_name, check_item_name
from keepwell.model.preconditions import UNCONDITIONAL, Conditions
from keepwell.model.record import Op, Properties
from keepwell.services.actor import Actor
from keepwell.services.content import Prepared, prepare
from keepwell.services.indexing import index_again
from keepwell.services.place import Kept, Place
from keepwell.services.steps import (
    append_put,
    body_of,
    copy_tree,
    drop_tree,
    keep,
    make_way,
    merged,
    prepare_again,
    require_apart,
    require_collection,
    require_item,
    require_outside,
    require_overwritable,
    require_vacant,
    take_away,
)
from keepwell.services.whole import WholeReading, whole_transaction
from keepwell.storage.contract import (
    AccountStore,
    Collection,
    Entry,
    Item,
    Snapshot,
    Store,
    Transaction,
)
from keepwell.storage.holding import require_open
from keepwell.storage.writers import Ticket

Outcome = TypeVar("Outcome")


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


class Futures(Protocol):
    """Is told when a client knows more of an account than there is."""

    def brought(self, actor: Actor, owner: AccountId, lineage: Lineage, sequence: int) -> bool:
        """Whether it proves that something is missing; then the account is held, when it is the actor's own."""
        ...


class Library:
    """The items of every account, for actors."""

    def __init__(
        self,
        store: Store,
        writers: Submits,
        shares: Shares | None = None,
        *,
        futures: Futures | None = None,
        for_operator: bool = False,
        guard: Callable[[Snapshot], None] | None = None,
    ) -> None:
        """Over this store, writing through these writers; without `shares` nothing is shared.

        `for_operator` opens kinds that are held to whoever mends them; `guard` is asked inside each write's
        transaction, and nothing is done when it raises.
        """
        self._store = store
        self._writers = writers
        self._shares = shares
        self._futures = futures
        self._for_operator = for_operator
        self._guard = guard

    def guarded(self, guard: Callable[[Snapshot], None]) -> Library:
        """A library whose writes are done only when `guard` does not raise."""
        return Library(
            self._store,
            self._writers,
            self._shares,
            futures=self._futures,
            for_operator=self._for_operator,
            guard=guard,
        )

    def is_told(self, actor: Actor, owner: AccountId, lineage: Lineage, sequence: int) -> bool:
        """Be told that a client knows of a record that is not here; whether that proves that something is missing."""
        return self._futures is not None and self._futures.brought(actor, owner, lineage, sequence)

    def reading(self, owner: AccountId) -> AbstractContextManager[Snapshot]:
        """A snapshot of an account; the caller asks the actor what may be shown of it. Raises Damaged.

        What is found there raises Held where it is not whole.
        """
        reading = self._account(owner).reading()
        return reading if self._for_operator else WholeReading(reading)

    def read_item(self, actor: Actor, place: Place) -> tuple[Item, bytes] | None:
        """One item and its bytes; None when it is not there or not for this actor.

        Raises Damaged, Held, StorageFault.
        """
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
            collection = require_collection(transaction, place)
            current = transaction.item(collection.id, place.name)
            conditions.check(None if current is None else current.digest, str(place))
            kept_properties = current.properties if current and properties is None else properties
            return keep(transaction, actor, collection, place.name, prepared, current, kept_properties)

        return self._submit(place.owner, work)

    def remove(self, actor: Actor, place: Place, *, conditions: Conditions = UNCONDITIONAL) -> Ticket[None]:
        """Remove an item; its history stays. Settles with NotThere, PreconditionFailed, StorageFault."""
        actor.require_change(place.owner, place.home, place.collection)

        def work(transaction: Transaction) -> None:
            collection, item = require_item(transaction, place)
            conditions.check(item.digest, str(place))
            take_away(transaction, actor, collection, item)

        return self._submit(place.owner, work)

    def set_item_properties(self, actor: Actor, place: Place, changes: Mapping[str, str | None]) -> Ticket[None]:
        """Set (text) or remove (None) dead properties of an item, all or none."""
        actor.require_change(place.owner, place.home, place.collection)

        def work(transaction: Transaction) -> None:
            collection, item = require_item(transaction, place)
            # Not examined as a put would be: bytes that were taken once may have properties for ever.
            body = body_of(transaction, collection, item)
            same = Prepared(body, item.digest, item.media_type, item.uid, index_again(place.home, body))
            append_put(transaction, actor, collection, item.name, same, merged(item.properties or {}, changes))

        return self._submit(place.owner, work)

    def copy(
        self,
        actor: Actor,
        source: Place,
        target: Place,
        *,
        overwrite: bool,
        conditions: Conditions = UNCONDITIONAL,
        in_the_way: Place | None = None,
    ) -> Ticket[Kept]:
        """Copy an item with its properties (RFC 4918 9.8); AlreadyThere without leave to overwrite.

        `in_the_way` is a folder at the target, dropped in the same transaction: a refusal leaves it as it is.
        """
        return self._transfer(
            actor, source, target, overwrite=overwrite, conditions=conditions, in_the_way=in_the_way, keep_source=True
        )

    def move(
        self,
        actor: Actor,
        source: Place,
        target: Place,
        *,
        overwrite: bool,
        conditions: Conditions = UNCONDITIONAL,
        in_the_way: Place | None = None,
    ) -> Ticket[Kept]:
        """Move an item with its properties (RFC 4918 9.9): `copy`, then a remove, in one transaction."""
        actor.require_change(source.owner, source.home, source.collection)
        return self._transfer(
            actor, source, target, overwrite=overwrite, conditions=conditions, in_the_way=in_the_way, keep_source=False
        )

    def make_collection(self, actor: Actor, place: Place, kind: Kind, properties: Properties) -> Ticket[Collection]:
        """Make an empty collection. Settles with AlreadyThere, or NotThere when a parent folder is missing."""
        actor.require_owner(place.owner, place.home, place.collection)
        check_collection_name(place.home, place.collection)
        if HOME_OF[kind] is not place.home:
            raise BadRequest(f"a collection of {kind} cannot be in {place.home}")

        def work(transaction: Transaction) -> Collection:
            require_vacant(transaction, place)
            transaction.append(Entry(Op.MAKE, actor.by, kind, place.collection, properties=dict(properties)))
            return require_collection(transaction, place)

        return self._submit(place.owner, work)

    def set_collection_properties(self, actor: Actor, place: Place, changes: Mapping[str, str | None]) -> Ticket[None]:
        """Set (text) or remove (None) properties of a collection, all or none."""
        actor.require_owner(place.owner, place.home, place.collection)

        def work(transaction: Transaction) -> None:
            collection = require_collection(transaction, place)
            properties = merged(collection.properties, changes)
            transaction.append(Entry(Op.SET, actor.by, collection.kind, collection.name, properties=properties))

        return self._submit(place.owner, work)

    def drop_collection(self, actor: Actor, place: Place) -> Ticket[None]:
        """Drop a collection, its items and the collections in it; their history stays."""
        actor.require_owner(place.owner, place.home, place.collection)

        def work(transaction: Transaction) -> None:
            require_collection(transaction, place)
            drop_tree(transaction, actor, place)

        self._end_shares(place)
        return self._submit(place.owner, work)

    def copy_collection(
        self,
        actor: Actor,
        source: Place,
        target: Place,
        *,
        overwrite: bool,
        shallow: bool = False,
        in_the_way: Place | None = None,
    ) -> Ticket[bool]:
        """Copy a collection with what is in it (`shallow`: without) in one account; True when the target is new.

        `in_the_way` is an item at the target, removed in the same transaction: a refusal leaves it as it is.
        """
        return self._transfer_collection(
            actor, source, target, overwrite=overwrite, shallow=shallow, in_the_way=in_the_way, keep_source=True
        )

    def move_collection(
        self, actor: Actor, source: Place, target: Place, *, overwrite: bool, in_the_way: Place | None = None
    ) -> Ticket[bool]:
        """Move a collection with everything in it within one account; True when the target is new."""
        return self._transfer_collection(
            actor, source, target, overwrite=overwrite, shallow=False, in_the_way=in_the_way, keep_source=False
        )

    def _submit(self, account: AccountId, work: Callable[[Transaction], Outcome]) -> Ticket[Outcome]:
        """Queue a work, which finds only what is whole. Raises Unavailable."""
        guard = self._guard

        def admitted(transaction: Transaction) -> Outcome:
            seen = _for_mending(transaction) if self._for_operator else whole_transaction(transaction)
            if guard is not None:
                guard(seen)
            return work(seen)

        return self._writers.submit(account, admitted)

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
        in_the_way: Place | None,
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
            return self._copy_between(
                actor, source, target, overwrite=overwrite, conditions=conditions, in_the_way=in_the_way
            )
        self._free_way(actor, source, in_the_way)

        def work(transaction: Transaction) -> Kept:
            collection, item = require_item(transaction, source)
            conditions.check(item.digest, str(source))
            make_way(transaction, actor, in_the_way)
            into = require_collection(transaction, target)
            prepared = prepare_again(transaction, collection, item, target)
            current = require_overwritable(transaction, into, target, overwrite=overwrite)
            leaving = None if keep_source else item
            kept = keep(transaction, actor, into, target.name, prepared, current, item.properties, leaving)
            if leaving is not None:
                take_away(transaction, actor, collection, leaving)
            return kept

        return self._submit(source.owner, work)

    def _free_way(self, actor: Actor, source: Place, obstacle: Place | None) -> None:
        """Ask all that can refuse the removal of what is in the way, then end the shares of a folder that goes."""
        if obstacle is None:
            return
        require_outside(source, obstacle)
        if obstacle.name:
            actor.require_change(obstacle.owner, obstacle.home, obstacle.collection)
        else:
            actor.require_owner(obstacle.owner, obstacle.home, obstacle.collection)
            self._end_shares(obstacle)

    def _copy_between(
        self,
        actor: Actor,
        source: Place,
        target: Place,
        *,
        overwrite: bool,
        conditions: Conditions,
        in_the_way: Place | None,
    ) -> Ticket[Kept]:
        with self.reading(source.owner) as snapshot:
            collection, item = require_item(snapshot, source)
            conditions.check(item.digest, str(source))
            prepared = prepare_again(snapshot, collection, item, target)
        self._free_way(actor, source, in_the_way)

        def work(transaction: Transaction) -> Kept:
            make_way(transaction, actor, in_the_way)
            into = require_collection(transaction, target)
            current = require_overwritable(transaction, into, target, overwrite=overwrite)
            return keep(transaction, actor, into, target.name, prepared, current, item.properties)

        return self._submit(target.owner, work)

    def _transfer_collection(
        self,
        actor: Actor,
        source: Place,
        target: Place,
        *,
        overwrite: bool,
        shallow: bool,
        in_the_way: Place | None,
        keep_source: bool,
    ) -> Ticket[bool]:
        actor.require_owner(source.owner, source.home, source.collection)
        actor.require_owner(target.owner, target.home, target.collection)
        check_collection_name(target.home, target.collection)
        require_apart(source, target)
        self._free_way(actor, source, in_the_way)

        def work(transaction: Transaction) -> bool:
            require_collection(transaction, source)
            make_way(transaction, actor, in_the_way)
            replaced = transaction.collection(target.home, target.collection) is not None
            if replaced and not overwrite:
                raise AlreadyThere(f"there is a collection {target} already")
            if replaced:
                drop_tree(transaction, actor, target)
            require_vacant(transaction, target)
            copy_tree(transaction, actor, source, target, shallow=shallow)
            if not keep_source:
                drop_tree(transaction, actor, source)
            return not replaced

        if not keep_source:
            self._end_shares(source)
        if overwrite:
            self._end_shares(target)
        return self._submit(source.owner, work)


def _for_mending(transaction: Transaction) -> Transaction:
    """The transaction as the operator sees it. Raises Held when the account is closed."""
    require_open(transaction.held())
    return transaction
