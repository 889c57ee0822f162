"""The size of an answer that is built whole: how many responses fit into it.

Promises: the responses of one answer have no more than ANSWER_OCTETS_MAX octets together, except that the first is
always in it, so that asking for one thing at a time brings every client further.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from keepwell.dav.multistatus import truncated

ANSWER_OCTETS_MAX: Final = 64 * 1024 * 1024


class Room:
    """What is left of the octets that an answer may have; once something does not fit, nothing does."""

    __slots__ = ("_is_empty", "_left")

    def __init__(self) -> None:
        """Start with all of it."""
        self._left = ANSWER_OCTETS_MAX
        self._is_empty = True

    def takes(self, response: str) -> bool:
        """Whether the response still fits; if so, it is counted."""
        self._left -= len(response) if response.isascii() else len(response.encode(errors="surrogateescape"))
        fits = self._left >= 0 or self._is_empty
        self._is_empty = False
        return fits


def cut(href: str, responses: Iterable[str], limit: int | None = None) -> list[str]:
    """The responses that fit, at most `limit`; when there are more, 507 for `href` says so (RFC 5323 section 5.17)."""
    found: list[str] = []
    room = Room()
    for response in responses:
        if len(found) == limit or not room.takes(response):
            found.append(truncated(href))
            break
        found.append(response)
    return found
