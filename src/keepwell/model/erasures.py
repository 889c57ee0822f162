"""Which bytes were erased by order, and by which: the orders are documents of the system account.

So an order is journaled, chained, shipped and restored like everything else, and tells in every copy why bytes are not
there. A record whose bytes an order names brings none; a record that came after (`through`) brings its own, because
somebody put the same bytes again. Pure.

States of an order: *marked* (nothing is erased; it can be taken back) → *begun* (`begun_at`: it names what is to go,
and the store drops it) → *sealed* (`sealed_at`: it names what the store has dropped, and from then on that counts as
erased, whatever copy still has it) → *done* (`done_at`: no copy has it any more).

The store drops bytes before an order is sealed, never after: so whoever puts the same bytes again later than `through`
has them kept and shipped anew, and no record that needs them counts on one from which they are erased.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

import msgspec

from keepwell.model.errors import Damaged
from keepwell.model.names import AccountId, Digest, Home
from keepwell.model.record import Facts, Op
from keepwell.model.unreadable import UNREADABLE

ERASURES: Final = "erasures"
"""The collection of the system account in which the orders are."""


class Cause(StrEnum):
    """Why bytes go: somebody's request, or that a history is thinned."""

    REQUEST = "request"
    HISTORY = "history"


class Scope(msgspec.Struct, frozen=True):
    """What a request is about: one item, whatever became of it, or with no name everything of the account."""

    home: Home
    collection: str
    item: str


class Erased(msgspec.Struct, frozen=True):
    """Bytes of one account that are erased, as far as records up to `through` name them."""

    through: int
    digests: tuple[Digest, ...]


class ErasureOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One order, whole. `scope` None with an account is everything of it."""

    id: str
    cause: Cause
    made_at: str
    due_at: str
    reason: str = ""
    account: AccountId | None = None
    scope: Scope | None = None
    history_days: int = 0
    override: str = ""
    """Why it is carried out although something stands against it."""
    begun_at: str = ""
    sealed_at: str = ""
    erased: dict[AccountId, Erased] = {}
    done_at: str = ""


class Erasures:
    """What all orders name that were begun: bytes that are not there are not missed."""

    def __init__(self, orders: Iterable[ErasureOrder] = ()) -> None:
        """Of these orders, those that are only marked left out."""
        self._of: dict[AccountId, dict[Digest, int]] = {}
        for order in orders:
            if order.begun_at:
                self._add(order.erased)

    def _add(self, erased: Mapping[AccountId, Erased]) -> None:
        for account, one in erased.items():
            known = self._of.setdefault(account, {})
            for digest in one.digests:
                known[digest] = max(one.through, known.get(digest, 0))

    def names(self, facts: Facts) -> bool:
        """Whether the bytes that this record put were erased."""
        known = self._of.get(facts.account)
        if known is None or facts.op is not Op.PUT or facts.digest is None:
            return False
        return facts.seq <= known.get(facts.digest, 0)

    def accounts(self) -> list[AccountId]:
        """Every account of which anything was erased, in order."""
        return sorted(self._of)

    def of(self, account: AccountId) -> Mapping[Digest, int]:
        """What was erased of an account, each with the last record up to which."""
        return self._of.get(account, {})


NO_ERASURES: Final = Erasures()


def order_name(order: ErasureOrder) -> str:
    """The name of an order's item: requests are told from the rest without being read."""
    return f"{order.cause}-{order.id}.json"


def render_order(order: ErasureOrder) -> bytes:
    """As it is kept: JSON that people can read."""
    return msgspec.json.format(msgspec.json.encode(order), indent=2) + b"\n"


def parse_order(body: bytes) -> ErasureOrder:
    """Read an order; fields that are not known are ignored. Raises Damaged."""
    try:
        return msgspec.json.decode(body, type=ErasureOrder)
    except UNREADABLE as error:
        raise Damaged(f"an order to erase cannot be read: {error}") from error
