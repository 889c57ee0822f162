"""The journal record: one change, whole values, chained by hash to the one before.

The record's hash is SHA-256 over its canonical JSON without `hash` and `body`: UTF-8, keys sorted, no white space,
absent fields left out (what `jq -cS 'del(.hash,.body)'` prints). The digest stands for the body, so a body can be
erased by law and the chain still proves every other field. The first record's `prev` is sixty-four zeros.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec

from keepwell.model.errors import Damaged
from keepwell.model.names import AccountId, Digest, Kind, Lineage

GENESIS = "0" * 64
"""The `prev` of an account's first record."""

Properties = dict[str, str]
"""A collection's or item's properties, whole: plain names for the known, `{namespace}name` with XML for the dead."""


class Op(StrEnum):
    """What a record does."""

    OPEN = "open"
    CLOSE = "close"
    MAKE = "make"
    SET = "set"
    DROP = "drop"
    PUT = "put"
    REMOVE = "remove"


class Facts(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """A record without its hash: what the hash covers. What has no default is always written."""

    account: AccountId
    at: str
    by: str
    collection: str = ""
    digest: Digest | None = None
    kind: Kind | None = None
    lineage: Lineage
    media_type: str = ""
    name: str = ""
    op: Op
    prev: str
    properties: Properties | None = None
    seq: int
    size: int | None = None
    uid: str = ""


class Record(msgspec.Struct, frozen=True, gc=False):
    """One change as it stands in the journal: its facts and the hash that proves them."""

    facts: Facts
    hash: str


_encoder = msgspec.json.Encoder(order="sorted")


def canonical(facts: Facts) -> bytes:
    """The bytes that the record's hash covers."""
    # jq writes DEL as an escape, JSON leaves it free; the form that anyone can check with jq is the form.
    return _encoder.encode(facts).replace(b"\x7f", b"\\u007f")


def seal(facts: Facts) -> Record:
    """The record of these facts."""
    return Record(facts, hashlib.sha256(canonical(facts)).hexdigest())


def is_proven(record: Record) -> bool:
    """Whether its hash is that of its facts."""
    return hashlib.sha256(canonical(record.facts)).hexdigest() == record.hash


def digest_of(body: bytes) -> Digest:
    """SHA-256 of the bytes, in hexadecimal."""
    return Digest(hashlib.sha256(body).hexdigest())


def check_link(before: Record | None, record: Record) -> None:
    """Raise Damaged unless `record` proves itself and follows `before` (None: it is the first)."""
    if before is None:
        check_follows(0, GENESIS, record)
    else:
        check_follows(before.facts.seq, before.hash, record)


def check_follows(sequence: int, hashed: str, record: Record) -> None:
    """Raise Damaged unless `record` proves itself and follows the record with this sequence and hash."""
    if not is_proven(record):
        raise Damaged(f"{_where(record)}: its hash does not match its fields")
    check_chained(sequence, hashed, record)


def check_chained(sequence: int, hashed: str, record: Record) -> None:
    """Raise Damaged unless `record`, which was proven, follows the record with this sequence and hash."""
    facts = record.facts
    if facts.prev != hashed or facts.seq != sequence + 1:
        raise Damaged(f"{_where(record)}: it does not follow record {sequence}")


def _where(record: Record) -> str:
    return f"record {record.facts.seq} of {record.facts.account}"
