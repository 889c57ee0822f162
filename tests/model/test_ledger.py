"""The set-hash depends on the set alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from keepwell.model.ledger import LedgerEntry
from keepwell.model.names import Kind
from keepwell.model.record import digest_of

items = st.dictionaries(st.text(max_size=5), st.binary(max_size=5), max_size=8)


def entry_of(pairs: list[tuple[str, bytes]], kind: Kind = Kind.CONTACTS) -> LedgerEntry:
    entry = LedgerEntry(kind)
    for name, body in pairs:
        entry = entry.with_item("friends", name, digest_of(body))
    return entry


@given(items, st.randoms())
def test_order_does_not_matter(found: dict[str, bytes], random: object) -> None:
    """The same items in any order give the same entry."""
    pairs = list(found.items())
    shuffled = pairs[::-1]
    assert entry_of(pairs) == entry_of(shuffled)


@given(items, st.text(max_size=5), st.binary(max_size=5))
def test_removing_undoes_adding(found: dict[str, bytes], name: str, body: bytes) -> None:
    """An item that comes and goes leaves no trace in the set-hash."""
    entry = entry_of(list(found.items()))
    digest = digest_of(body)
    assert entry.with_item("friends", name, digest).without_item("friends", name, digest) == entry


@given(items, items)
def test_different_sets_differ(one: dict[str, bytes], other: dict[str, bytes]) -> None:
    """Equal set-hashes mean equal items."""
    same = one == other
    assert (entry_of(list(one.items())).set_hash == entry_of(list(other.items())).set_hash) == same


def test_homes_are_told_apart() -> None:
    """The same name in another home is another item."""
    pairs = [("bob", b"1")]
    assert entry_of(pairs).set_hash != entry_of(pairs, Kind.CALENDAR).set_hash
