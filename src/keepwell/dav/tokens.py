"""Sync tokens (RFC 6578 section 4): opaque URIs that name a moment in one collection's history.

    data:,{lineage}/{collection id}/{sequence}

A token of another lineage (a history that a restore moved back), of another collection, or of a sequence that is not
there yet is refused with `DAV:valid-sync-token`, never answered with an empty set.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from keepwell.model.errors import StaleToken
from keepwell.model.names import Lineage
from keepwell.storage.contract import Collection

_token = re.compile(r"data:,([A-Za-z0-9_.-]{1,128})/([0-9]{1,18})/([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class SyncToken:
    """What a client's token says."""

    lineage: Lineage
    collection_id: int
    sequence: int

    def __str__(self) -> str:
        """As clients see it."""
        return f"data:,{self.lineage}/{self.collection_id}/{self.sequence}"


def token_of(lineage: Lineage, collection: Collection) -> SyncToken:
    """The token of a collection as it is now; also its `getctag`."""
    return SyncToken(lineage, collection.id, collection.sequence)


def parse_token(text: str, lineage: Lineage, collection: Collection, head_sequence: int) -> SyncToken:
    """Read a token that must belong to this collection's history. Raises StaleToken."""
    found = _token.fullmatch(text)
    if found is None:
        raise StaleToken(f"{text!r} is not a sync token of this server")
    token = SyncToken(Lineage(found[1]), int(found[2]), int(found[3]))
    if (token.lineage, token.collection_id) != (lineage, collection.id):
        raise StaleToken(f"{text!r} belongs to another collection or history", hint="Start over with an initial sync.")
    if token.sequence > head_sequence:
        raise StaleToken(f"{text!r} is from a future of this collection", hint="Start over with an initial sync.")
    return token
