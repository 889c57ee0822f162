"""Conditions that a caller sets on a write, evaluated inside the storage transaction (RFC 7232 section 3.1, 3.2).

Entity tags here are strong and are compared as such. The empty `Conditions()` always holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from keepwell.model.errors import PreconditionFailed
from keepwell.model.names import Digest

ETAG_DIGITS = 32
"""Digits of the digest that make an entity tag: 128 bits, so equal tags mean equal bytes."""

ANY: Final = "*"


def etag_of(digest: Digest) -> str:
    """The strong entity tag of these bytes, with its quotes."""
    return f'"{digest[:ETAG_DIGITS]}"'


@dataclass(frozen=True, slots=True)
class Conditions:
    """`if_match` and `if_none_match`: entity tags with their quotes, or `*`; None when the caller sets none."""

    if_match: tuple[str, ...] | None = None
    if_none_match: tuple[str, ...] | None = None

    def check(self, current: Digest | None, where: str) -> None:
        """Raise PreconditionFailed unless they hold for the item's bytes now (None: there is no item)."""
        tag = None if current is None else etag_of(current)
        if self.if_match is not None and not _selects(self.if_match, tag):
            state = "it does not exist" if tag is None else f"its entity tag is now {tag}"
            raise PreconditionFailed(f"If-Match does not hold for {where}: {state}")
        if self.if_none_match is not None and _selects(self.if_none_match, tag):
            raise PreconditionFailed(f"If-None-Match does not hold for {where}: its entity tag is {tag}")


def _selects(tags: tuple[str, ...], tag: str | None) -> bool:
    return tag is not None and (ANY in tags or tag in tags)


UNCONDITIONAL = Conditions()
