"""What an order comes to name, and the records that take it out of sight first: devices must learn that it is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import msgspec

from keepwell.model.erasures import Erased, ErasureOrder, Scope
from keepwell.model.names import HOME_OF, AccountId, Digest, Home, Kind
from keepwell.model.record import Facts, Op, Record
from keepwell.services.accounts import OPERATOR
from keepwell.services.documents import (
    ACCOUNTS,
    GRANTS,
    PASSWORDS,
    AccountDocument,
    Document,
    GrantDocument,
    PasswordDocument,
    parse_document,
)
from keepwell.storage.contract import Entry, Snapshot, Transaction, Work

DIGESTS_OF_ORDER_MAX: Final = 10_000
"""Named by one document; what is more makes another."""

Wanted = Callable[[Facts], bool]


def in_scope(scope: Scope | None) -> Wanted:
    """Whether a record is about what is to be erased; without a scope it is everything of the account."""
    if scope is None:
        return lambda _facts: True
    return lambda facts: (
        facts.kind is not None
        and (HOME_OF[facts.kind], facts.collection, facts.name) == (scope.home, scope.collection, scope.item)
    )


def named_bytes(records: Iterable[Record], wanted: Wanted) -> tuple[Erased, frozenset[Digest]]:
    """What goes when what is wanted goes; and of its bytes those that stay, because something else has the same."""
    through = 0
    going: set[Digest] = set()
    others: set[Digest] = set()
    for record in records:
        facts = record.facts
        through = facts.seq
        if facts.op is Op.PUT and facts.digest is not None:
            (going if wanted(facts) else others).add(facts.digest)
    return Erased(through, tuple(sorted(going - others))), frozenset(going & others)


def removing(scope: Scope | None) -> Work:
    """The work that removes what is there and is to be erased; nothing when it is gone already."""
    return _dropping_everything if scope is None else lambda transaction: _removing_item(transaction, scope)


def _removing_item(transaction: Transaction, scope: Scope) -> None:
    collection = transaction.collection(scope.home, scope.collection)
    if collection is not None and transaction.item(collection.id, scope.item) is not None:
        transaction.append(Entry(Op.REMOVE, OPERATOR, collection.kind, collection.name, scope.item))


def _dropping_everything(transaction: Transaction) -> None:
    collections = transaction.collections()
    for collection in collections:
        transaction.append(Entry(Op.DROP, OPERATOR, collection.kind, collection.name))
    last = next(iter(transaction.records(max(0, transaction.head().sequence - 1))), None)
    if last is None or last.facts.op is not Op.CLOSE:
        transaction.append(Entry(Op.CLOSE, OPERATOR))


def removing_documents(account: AccountId) -> Work:
    """The work that takes an account out of the system account: login, app passwords, what it shares and is shared."""

    def work(transaction: Transaction) -> None:
        for collection in transaction.collections(Home.SYSTEM):
            if collection.name in _DOCUMENTS:
                for item, body in list(transaction.items_with_bodies(collection.id)):
                    if _is_about(parse_document(collection.name, body), account):
                        transaction.append(Entry(Op.REMOVE, OPERATOR, Kind.SYSTEM, collection.name, item.name))

    return work


def documents_about(snapshot: Snapshot, account: AccountId) -> Wanted:
    """Which records of the system account are about this account."""
    names = {
        (record.facts.collection, record.facts.name)
        for record, document in _documents_ever(snapshot)
        if _is_about(document, account)
    }
    return lambda facts: (facts.collection, facts.name) in names


_DOCUMENTS: Final = (ACCOUNTS, PASSWORDS, GRANTS)


def _documents_ever(snapshot: Snapshot) -> Iterator[tuple[Record, Document]]:
    for record in snapshot.records():
        facts = record.facts
        if facts.op is Op.PUT and facts.collection in _DOCUMENTS and facts.digest is not None:
            body = snapshot.content(facts.digest)
            if body is not None:
                yield record, parse_document(facts.collection, body)


def _is_about(document: Document, account: AccountId) -> bool:
    match document:
        case AccountDocument() | PasswordDocument():
            return document.account == account
        case GrantDocument():
            return account in {document.owner, document.grantee}


def begun(order: ErasureOrder, erased: Mapping[AccountId, Erased], at: str) -> list[ErasureOrder]:
    """The order as it is begun: one document, or several where one would be too large; pure."""
    parts = list(_parts(erased)) or [{}]
    return [
        msgspec.structs.replace(order, id=order.id if number == 0 else f"{order.id}-{number}", begun_at=at, erased=part)
        for number, part in enumerate(parts)
    ]


def _parts(erased: Mapping[AccountId, Erased]) -> Iterator[dict[AccountId, Erased]]:
    part: dict[AccountId, Erased] = {}
    room = DIGESTS_OF_ORDER_MAX
    for account, one in sorted(erased.items()):
        digests = one.digests
        while digests:
            some, digests = digests[:room], digests[room:]
            part[account] = Erased(one.through, some)
            room -= len(some)
            if room == 0:
                yield part
                part, room = {}, DIGESTS_OF_ORDER_MAX
    if part:
        yield part
