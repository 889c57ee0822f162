"""Sync tokens (RFC 6578 section 4): a collection's state (`services.state`) in the form of a URI.

A token of another lineage (a history that went back) or of another collection is refused with `DAV:valid-sync-token`,
never answered with an empty set; one of a sequence that is not there yet is answered 503 (`require_known`).
"""

from __future__ import annotations

from typing import Final

from keepwell.model.errors import StaleToken
from keepwell.services.state import CollectionState, parse_state

_SCHEME: Final = "data:,"


def render_token(state: CollectionState) -> str:
    """The token of a state; also the `getctag` of a collection in it."""
    return f"{_SCHEME}{state}"


def parse_token(text: str) -> CollectionState:
    """Read a token. Raises StaleToken."""
    if not text.startswith(_SCHEME):
        raise StaleToken(f"{text[:80]!r} is not a sync token of this server", hint="Start over with an initial sync.")
    return parse_state(text.removeprefix(_SCHEME))
