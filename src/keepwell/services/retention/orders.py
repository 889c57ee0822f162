"""The orders to erase, kept as documents of the system account (`model.erasures` says what is in one)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from keepwell.model.erasures import ERASURES, Cause, ErasureOrder, Erasures, order_name, parse_order, render_order
from keepwell.model.errors import NotThere
from keepwell.model.names import SYSTEM_ACCOUNT, Home, Kind
from keepwell.model.record import Op, digest_of
from keepwell.services.accounts import OPERATOR
from keepwell.storage.contract import Entry, Snapshot, Store, Transaction
from keepwell.storage.writers import Writers

_MEDIA_TYPE: Final = "application/json"


def orders_in(snapshot: Snapshot, wanted: Callable[[str], bool] = lambda _name: True) -> list[ErasureOrder]:
    """Every order in the system account whose item's name is wanted, the oldest first. Raises Damaged."""
    found = snapshot.collection(Home.SYSTEM, ERASURES)
    if found is None:
        return []
    names = [item.name for item in snapshot.items(found.id) if wanted(item.name)]
    orders = [parse_order(body) for _item, body in snapshot.items_with_bodies(found.id, names)]
    return sorted(orders, key=lambda order: (order.made_at, order.id))


def read_orders(store: Store) -> list[ErasureOrder]:
    """Every order of this store; none where there is no system account. Raises Damaged, StorageFault."""
    try:
        with store.account(SYSTEM_ACCOUNT).reading() as snapshot:
            return orders_in(snapshot)
    except NotThere:
        return []


def read_requests(store: Store) -> list[ErasureOrder]:
    """Those that somebody's request made, without looking at the others. Raises Damaged, StorageFault."""
    try:
        with store.account(SYSTEM_ACCOUNT).reading() as snapshot:
            return orders_in(snapshot, lambda name: name.startswith(f"{Cause.REQUEST}-"))
    except NotThere:
        return []


def read_erasures(store: Store) -> Erasures:
    """What the sealed orders of this store name. Raises Damaged, StorageFault."""
    return Erasures(read_orders(store))


class Orders:
    """The orders of one data folder, read and written."""

    def __init__(self, store: Store, writers: Writers) -> None:
        """Over this store, writing through these writers."""
        self._store = store
        self._writers = writers

    def all(self) -> list[ErasureOrder]:
        """Every order, the oldest first. Raises Damaged, StorageFault."""
        return read_orders(self._store)

    def put(self, *orders: ErasureOrder) -> None:
        """Keep these, all or none of them, each in place of what it was before. Raises Unavailable."""
        self._writers.submit(SYSTEM_ACCOUNT, lambda transaction: put_orders(transaction, orders)).result()

    def remove(self, order: ErasureOrder) -> None:
        """Take one back; that it was there stays in the journal. Raises NotThere, Unavailable."""

        def work(transaction: Transaction) -> None:
            found = transaction.collection(Home.SYSTEM, ERASURES)
            if found is None or transaction.item(found.id, order_name(order)) is None:
                raise NotThere(f"there is no order {order.id}")
            transaction.append(Entry(Op.REMOVE, OPERATOR, Kind.SYSTEM, ERASURES, order_name(order)))

        self._writers.submit(SYSTEM_ACCOUNT, work).result()


def put_orders(transaction: Transaction, orders: Sequence[ErasureOrder]) -> None:
    """Put orders; their collection is made with the first."""
    if transaction.collection(Home.SYSTEM, ERASURES) is None:
        transaction.append(Entry(Op.MAKE, OPERATOR, Kind.SYSTEM, ERASURES, properties={}))
    for order in orders:
        body = render_order(order)
        name = order_name(order)
        entry = Entry(Op.PUT, OPERATOR, Kind.SYSTEM, ERASURES, name, order.id, _MEDIA_TYPE, digest_of(body), len(body))
        transaction.append(entry, body)
