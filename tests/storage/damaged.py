"""Account files for tests of salvage: made, damaged at random, and what of them must still be there, worked out here.

What is left is worked out from the bytes alone, without knowing how SQLite lays out pages: a row is there for certain
when no byte between shortly before its first column and its last was changed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from keepwell.model.names import AccountId, Digest, Kind
from keepwell.model.record import Op, Record, digest_of
from keepwell.storage.contract import Entry, Transaction
from keepwell.storage.sqlite import SqliteStore
from tests.support.clock import FakeClock, SeededEntropy

ANNA = AccountId("a_annaannaannaanna")
PAGE = 4096
HEADER_OCTETS_MAX = 45
"""What stands before the first column of a row: its length, its number, and the types of fifteen columns."""


@dataclass(frozen=True)
class AccountFile:
    """An account's file as it was written, and what is in it."""

    octets: bytes
    records: list[Record]
    bodies: dict[Digest, bytes]
    pages: dict[Digest, set[int]]
    """Every page that has a part of the bytes, or their digest in front of them."""


def fill(transaction: Transaction, count: int, seed: int, *, first: int = 0) -> None:
    """Put cards of all sizes, some that need many pages, and put some again, and remove some."""
    draw = random.Random(seed)
    for number in range(first, first + count):
        size = draw.choice([40, 200, 700, 1500, 3900, 4300, 9000, 30_000]) + draw.randrange(100)
        body = draw.randbytes(size // 2).hex().encode()
        name = f"card-{draw.randrange(first + count)}.vcf"
        entry = Entry(Op.PUT, "phone", Kind.CONTACTS, "friends", name, name, "text/vcard", digest_of(body), len(body))
        transaction.append(entry, body)
        if number % 9 == 8:
            transaction.append(Entry(Op.REMOVE, "phone", Kind.CONTACTS, "friends", name, name))


def open_account(transaction: Transaction) -> None:
    """Begin an account."""
    transaction.append(Entry(Op.OPEN, "operator"))
    transaction.append(Entry(Op.MAKE, "operator", Kind.CONTACTS, "friends", properties={"displayname": "Friends"}))


def new_store(folder: Path) -> SqliteStore:
    """A store whose moments are all different."""
    return SqliteStore(folder, FakeClock(step_seconds=1), SeededEntropy())


def account_file(folder: Path, count: int = 120, seed: int = 1) -> AccountFile:
    """One account's file, closed."""
    store = new_store(folder)
    place = store.create(ANNA, [open_account, lambda transaction: fill(transaction, count, seed)])
    with place.reading() as snapshot:
        carried = list(snapshot.carried())
    store.close()
    [path] = folder.glob("accounts/??/a_*.db")
    bodies = {digest_of(one.body): one.body for one in carried if one.body is not None}
    octets = path.read_bytes()
    pages = {digest: pages_of(octets, digest, body) for digest, body in bodies.items()}
    return AccountFile(octets, [one.record for one in carried], bodies, pages)


def flipped(octets: bytes, seed: int, count: int) -> bytes:
    """With bits flipped in so many places."""
    draw, damaged = random.Random(seed), bytearray(octets)
    for _ in range(count):
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
    return bytes(damaged)


def zeroed(octets: bytes, seed: int, count: int) -> bytes:
    """With so many pages full of zeros."""
    draw, damaged = random.Random(seed), bytearray(octets)
    for page in draw.sample(range(len(octets) // PAGE), count):
        damaged[page * PAGE : (page + 1) * PAGE] = bytes(PAGE)
    return bytes(damaged)


def truncated(octets: bytes, seed: int) -> bytes:
    """Cut off anywhere."""
    return octets[: random.Random(seed).randrange(len(octets))]


def certain_records(file: AccountFile, damaged: bytes) -> set[str]:
    """Hashes of the records of which a row is untouched."""
    return {
        record.hash
        for record in file.records
        if any(_is_same(file.octets, damaged, *span) for span in _rows(file, record))
    }


def certain_bodies(file: AccountFile, damaged: bytes) -> set[Digest]:
    """Digests of the bytes none of whose pages was touched."""
    bad = {
        page
        for page in range(len(file.octets) // PAGE)
        if not _is_same(file.octets, damaged, page * PAGE, (page + 1) * PAGE)
    }
    return {digest for digest, pages in file.pages.items() if not bad & pages}


def _rows(file: AccountFile, record: Record) -> Iterator[tuple[int, int]]:
    """Where the rows of a record are: from before its moment, its first column, to its hash, its last."""
    last = bytes.fromhex(record.facts.prev) + bytes.fromhex(record.hash)
    end = file.octets.find(last)
    while end >= 0:
        yield file.octets.rfind(record.facts.at.encode(), 0, end) - HEADER_OCTETS_MAX, end + len(last)
        end = file.octets.find(last, end + 1)


def pages_of(octets: bytes, digest: Digest, body: bytes) -> set[int]:
    """Every page that has a part of the bytes, or their digest in front of them."""
    row = octets.find(bytes.fromhex(digest) + body[:32])
    parts = [body[start : start + 32] for start in (*range(0, len(body), 256), max(0, len(body) - 32))]
    starts = [row, *map(octets.find, parts)]
    return {start // PAGE for start in starts if start >= 0}


def _is_same(octets: bytes, damaged: bytes, start: int, end: int) -> bool:
    return octets[start:end] == damaged[start:end]
