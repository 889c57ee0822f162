"""What a worker holds of requests under way is bounded, and cards are taken however large what others send is."""

from __future__ import annotations

import asyncio

import pytest

from keepwell.app.body_room import UNCOUNTED_OCTETS, BodyRoom, HeldBody, Message
from keepwell.model.errors import Unavailable

ROOM = 1000


def body_of(room: BodyRoom, *sizes: int) -> HeldBody:
    """A body that comes in chunks of these sizes."""
    chunks = iter(sizes)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"x" * next(chunks), "more_body": True}

    return HeldBody(room, receive)


def read(body: HeldBody, times: int = 1) -> None:
    for _ in range(times):
        asyncio.run(body.receive())


def test_large_bodies_share_the_room() -> None:
    """A body that does not fit beside the others is refused for now, until one of them is done with."""
    room = BodyRoom(ROOM)
    first, second = body_of(room, UNCOUNTED_OCTETS, 600), body_of(room, UNCOUNTED_OCTETS + 300, 200, 0)
    read(first, 2)
    read(second)
    with pytest.raises(Unavailable) as caught:
        read(second)
    assert caught.value.retry_after_seconds > 0
    first.release()
    read(second)
    second.release()
    read(body_of(room, UNCOUNTED_OCTETS + ROOM))


def test_a_small_body_needs_no_room() -> None:
    """The first mebibyte of every body is taken, however full it is."""
    room = BodyRoom(ROOM)
    read(body_of(room, UNCOUNTED_OCTETS + ROOM))
    read(body_of(room, UNCOUNTED_OCTETS // 2, UNCOUNTED_OCTETS // 2), 2)


def test_releasing_twice_gives_back_once() -> None:
    """So nobody gets room that is not there."""
    room = BodyRoom(ROOM)
    one, other = body_of(room, UNCOUNTED_OCTETS + 500), body_of(room, UNCOUNTED_OCTETS + 500)
    read(one)
    read(other)
    one.release()
    one.release()
    read(body_of(room, UNCOUNTED_OCTETS + 500))
    with pytest.raises(Unavailable):
        read(body_of(room, UNCOUNTED_OCTETS + 1))
