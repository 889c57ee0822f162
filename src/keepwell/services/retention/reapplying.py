"""Erasing again what an order names and a restore, or an older copy that was put back, has brought to light.

Done at every start, before anything is served, for orders that somebody's request made. (What a thinned history brings
to light again is found by the next thinning.) Where nothing came back it costs a look at the accounts that orders name.
"""

from __future__ import annotations

from collections.abc import Mapping

from keepwell.model.erasures import Erasures
from keepwell.model.names import AccountId, Digest
from keepwell.model.record import Op
from keepwell.services.accounts import OPERATOR
from keepwell.services.retention.orders import read_requests
from keepwell.storage.contract import Entry, Store, Transaction


def reapply(store: Store, *, every_vault_is_here: bool) -> list[AccountId]:
    """Erase in the store whatever requests name; the accounts that got records by it, to be shipped.

    While a vault is away nobody knows whether the store is behind it, and a record more would be a fork: then items
    stay that a restore has brought back, with their bytes, until the next start. Raises Damaged, StorageFault,
    Unavailable.
    """
    erasures = Erasures(read_requests(store))
    there = set(store.accounts())
    accounts = [account for account in erasures.accounts() if account in there]
    changed = [one for one in accounts if every_vault_is_here and _remove_again(store, one, erasures)]
    for account in accounts:
        _erase_again(store, account, erasures)
    digests = {digest for account in erasures.accounts() for digest in erasures.of(account)}
    store.sweep_blobs(sorted(digests))
    return changed


def _remove_again(store: Store, account: AccountId, erasures: Erasures) -> bool:
    """Whether items had to be removed."""
    erased = erasures.of(account)
    [verdict] = store.account(account).transact([lambda transaction: _remove_items(transaction, erased)])
    if isinstance(verdict, BaseException):
        raise verdict
    return verdict != 0


def _erase_again(store: Store, account: AccountId, erasures: Erasures) -> None:
    erased = erasures.of(account)
    for through in sorted(set(erased.values())):
        store.account(account).erase(through, [digest for digest, its in erased.items() if its == through])


def _remove_items(transaction: Transaction, erased: Mapping[Digest, int]) -> int:
    """Remove the items whose bytes are erased: a restore to a moment before may have brought them back."""
    found = [
        (collection, item.name)
        for collection in transaction.collections()
        for item in transaction.items(collection.id)
        if item.sequence <= erased.get(item.digest, 0)
    ]
    for collection, name in found:
        transaction.append(Entry(Op.REMOVE, OPERATOR, collection.kind, collection.name, name))
    return len(found)
