"""The ledger: per account and kind, the last sequence, the count of items, and a hash of the set of them.

The set-hash is the sum modulo 2^256 of one SHA-256 per item over (home, collection, name, digest). Adding an item adds
its term and removing it subtracts the term, so it costs the same at any size, does not depend on order, and two
copies with equal ledgers hold the same items with the same bytes under the same names. It proves against accident,
not against an adversary who can choose items.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from keepwell.model.names import HOME_OF, Digest, Kind

SET_HASH_MODULUS = 1 << 256


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One kind of one account: sequence of its last change, items now, and their set-hash."""

    kind: Kind
    seq: int = 0
    count: int = 0
    set_hash: int = 0

    def with_item(self, collection: str, name: str, digest: Digest) -> LedgerEntry:
        """The entry after this item came."""
        term = item_term(self.kind, collection, name, digest)
        return LedgerEntry(self.kind, self.seq, self.count + 1, (self.set_hash + term) % SET_HASH_MODULUS)

    def without_item(self, collection: str, name: str, digest: Digest) -> LedgerEntry:
        """The entry after this item went."""
        term = item_term(self.kind, collection, name, digest)
        return LedgerEntry(self.kind, self.seq, self.count - 1, (self.set_hash - term) % SET_HASH_MODULUS)

    @property
    def set_hash_text(self) -> str:
        """The set-hash as 64 hexadecimal digits."""
        return f"{self.set_hash:064x}"


def item_term(kind: Kind, collection: str, name: str, digest: Digest) -> int:
    """What one item contributes to the set-hash. Names hold no NUL, so the joined form is unambiguous."""
    text = f"{HOME_OF[kind]}\0{collection}\0{name}\0{digest}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
