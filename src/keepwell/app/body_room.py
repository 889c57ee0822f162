"""Room for the bodies of requests: what one worker holds of them in memory, all together, is bounded.

Each body has a limit of its own, and many at once would still be more than a machine has. The first of each is not
counted, so that cards and events are taken however many photographs are on their way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from keepwell.model.errors import Unavailable

Message = dict[str, object]
Receive = Callable[[], Awaitable[Message]]

HELD_OCTETS_MAX: Final = 512 * 1024 * 1024
"""Two of the largest files at once."""

UNCOUNTED_OCTETS: Final = 1024 * 1024
"""Of each body."""

RETRY_SECONDS: Final = 5


class BodyRoom:
    """One worker's room. Used on its event loop's thread."""

    def __init__(self, octets_max: int = HELD_OCTETS_MAX) -> None:
        """Empty."""
        self._octets_max = octets_max
        self._held = 0

    def take(self, octets: int) -> None:
        """Hold so many more. Raises Unavailable."""
        if self._held + octets > self._octets_max:
            raise Unavailable("too much is being sent here at once", retry_after_seconds=RETRY_SECONDS)
        self._held += octets

    def give_back(self, octets: int) -> None:
        """Hold so many less."""
        self._held -= octets


class HeldBody:
    """One request's body, counted as it comes; `release` it when the request is answered."""

    __slots__ = ("_held", "_receive", "_room", "_seen")

    def __init__(self, room: BodyRoom, receive: Receive) -> None:
        """Nothing came yet."""
        self._room, self._receive = room, receive
        self._seen = self._held = 0

    async def receive(self) -> Message:
        """The next message of the request. Raises Unavailable when there is no room for what it brings."""
        message = await self._receive()
        body = message.get("body")
        self._seen += len(body) if isinstance(body, bytes) else 0
        more = self._seen - UNCOUNTED_OCTETS - self._held
        if more > 0:
            self._room.take(more)
            self._held += more
        return message

    def release(self) -> None:
        """Give back the room; may be called twice."""
        self._room.give_back(self._held)
        self._held = 0
