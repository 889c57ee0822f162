"""What must be true of a record that another copy carries before it is taken: the same for every engine."""

from __future__ import annotations

from keepwell.model.errors import Damaged, Unavailable
from keepwell.model.names import AccountId, Digest
from keepwell.model.record import GENESIS, Op, Record, check_chained, check_follows, digest_of
from keepwell.storage.contract import Carried


def check_carried(account: AccountId, before: Record | None, carried: Carried) -> None:
    """Raise Damaged unless the record is the account's, follows `before`, and its bytes are those it names."""
    facts = carried.record.facts
    if facts.account != account:
        raise Damaged(f"record {facts.seq} is of {facts.account}, not of {account}")
    check = check_chained if carried.proven else check_follows
    if before is None:
        check(0, GENESIS, carried.record)
    else:
        check(before.facts.seq, before.hash, carried.record)
    if facts.op is Op.PUT and (facts.kind is None or facts.digest is None or facts.size is None):
        raise Damaged(f"record {facts.seq} of {account} puts an item without kind, digest or size")
    body = carried.body
    if body is None:
        return
    if facts.op is not Op.PUT or len(body) != facts.size or not (carried.proven or digest_of(body) == facts.digest):
        raise Damaged(f"record {facts.seq} of {account}: the bytes that came with it are not those that it names")


def erased(account: AccountId, digest: Digest) -> Damaged:
    """The error for an item that is there and whose bytes were erased: a start removes it before anything is served."""
    return Damaged(f"the bytes {digest} of {account} were erased, and an item still has them")


def missing(record: Record) -> Damaged:
    """The error for a put whose bytes are nowhere."""
    facts = record.facts
    return Damaged(f"record {facts.seq} of {facts.account}: its bytes {facts.digest} are missing")


def written_meanwhile(account: AccountId) -> Unavailable:
    """The error for an account that is not at the record any more at which it was to be set aside."""
    return Unavailable(f"{account} was written meanwhile and stays in use", retry_after_seconds=1)


def unfit(record: Record, error: Exception) -> Damaged:
    """The error for a record that proves itself and yet changes what is not there."""
    return Damaged(f"record {record.facts.seq} of {record.facts.account} does not fit what is before it: {error}")
