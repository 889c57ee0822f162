"""A load client that takes as little of the machine as it can, because it shares it with the server.

Requests are bytes made before the clock starts; connections are kept alive where the server allows it; of an
answer only the status line and the framing (Content-Length, chunked, or close) are read while the clock
runs. Bodies are kept, so that what was answered can be checked afterwards.
"""

from __future__ import annotations

import gc
import re
import select
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from time import perf_counter
from typing import NoReturn

Address = tuple[str, int]

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)
_CLOSING = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)
_KEEPING = re.compile(rb"\r\nconnection:[ \t]*keep-alive", re.IGNORECASE)
_RECEIVE_BYTES = 1 << 20
_TIMEOUT_SECONDS = 3600.0


class ClientError(Exception):
    """The server broke the connection or the protocol."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for the request at `index`, and how long it took."""

    index: int
    status: int
    raw_body: bytes
    chunked: bool
    seconds: float

    @property
    def body(self) -> bytes:
        """The body without its chunk framing."""
        return unchunked(self.raw_body) or b"" if self.chunked else self.raw_body


@dataclass(frozen=True, slots=True)
class Run:
    """The answers to a series of requests, in the order they arrived, and the time from first send to last byte."""

    answers: tuple[Answer, ...]
    seconds: float


class Connection:
    """One connection with at most one request under way; opens again by itself when the server closed it."""

    def __init__(self, address: Address) -> None:
        """Not yet connected."""
        self._address = address
        self._socket: socket.socket | None = None
        self._received = bytearray()
        self._body_start = 0
        self._length: int | None = None
        self._chunked = False
        self._closing = False
        self._reused = False
        self._payload = b""
        self._index = 0
        self._sent_at = 0.0
        self.newly_opened = False

    def send(self, payload: bytes, index: int) -> None:
        """Send a whole request; the answer carries its index."""
        self._received.clear()
        self._body_start = 0
        self._payload, self._index, self._sent_at = payload, index, perf_counter()
        self._reused = self._socket is not None
        if self._socket is None:
            self.open()
        try:
            self._live().sendall(payload)
        except (BrokenPipeError, ConnectionResetError):
            self._send_again()

    def receive(self) -> Answer | None:
        """Take what has arrived (waiting if nothing has); the answer once it is whole."""
        try:
            data = self._live().recv(_RECEIVE_BYTES)
        except ConnectionResetError:
            data = b""
        if not data:
            return self._ended()
        self._received += data
        if not self._body_start and not self._read_head():
            return None
        return self._finished() if self._is_whole() else None

    def fileno(self) -> int:
        """The descriptor to wait on; changes when the connection is opened again."""
        return self._live().fileno()

    @property
    def is_open(self) -> bool:
        """True while there is a socket, whether or not the server has closed its end."""
        return self._socket is not None

    def close(self) -> None:
        """Close the socket; sending opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _live(self) -> socket.socket:
        if self._socket is None:
            raise ClientError("the connection is closed")
        return self._socket

    def open(self) -> None:
        """Connect; sending does so too when it is not connected."""
        self._socket = socket.create_connection(self._address, timeout=_TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.newly_opened = True

    def _send_again(self) -> None:
        """A kept-alive connection may be closed by the server at any time between two requests."""
        if not self._reused:
            raise ClientError("the server closed a new connection without an answer")
        self._reused = False
        self.close()
        self.open()
        self._live().sendall(self._payload)

    def _read_head(self) -> bool:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self._received[: end + 2])
        self._body_start = end + 4
        length = _LENGTH.search(head)
        self._chunked = length is None and _CHUNKED.search(head) is not None
        self._length = int(length[1]) if length else 0 if head[9:12] in (b"204", b"304") else None
        modern = head.startswith(b"HTTP/1.1")
        # Most answers do not speak of the connection: a plain search is quicker than two patterns.
        speaks = b"onnection" in head or b"ONNECTION" in head
        self._closing = (speaks and _CLOSING.search(head) is not None) or not (modern or _KEEPING.search(head))
        return True

    def _is_whole(self) -> bool:
        if self._length is not None:
            return len(self._received) - self._body_start >= self._length
        ends = self._chunked and self._received.endswith(b"0\r\n\r\n")
        return ends and unchunked(bytes(self._received[self._body_start :])) is not None

    def _ended(self) -> Answer | None:
        if not self._received:
            self._send_again()
            return None
        if not self._body_start or self._length is not None or self._chunked:
            raise ClientError("the server closed the connection in the middle of an answer")
        self._closing = True
        return self._finished()

    def _finished(self) -> Answer:
        seconds = perf_counter() - self._sent_at
        received = self._received
        answer = Answer(self._index, int(received[9:12]), bytes(received[self._body_start :]), self._chunked, seconds)
        if self._closing:
            self.close()
        return answer


def drive(
    address: Address,
    payloads: Sequence[bytes],
    *,
    connections: int = 1,
    budget_seconds: float = inf,
) -> Run:
    """Send the requests over so many connections at once, each sending its next as soon as it has its answer.

    After the budget no further request is sent; those under way are waited for and counted.
    """
    pool = [Connection(address) for _ in range(min(connections, len(payloads)))]
    try:
        for connection in pool:
            connection.open()
        with _no_collector():
            return (
                _one_by_one(pool[0], payloads, budget_seconds)
                if len(pool) == 1
                else _many(pool, payloads, budget_seconds)
            )
    finally:
        for connection in pool:
            connection.close()


def exchange(address: Address, payload: bytes) -> Answer:
    """One request on a connection of its own."""
    return drive(address, [payload]).answers[0]


def unchunked(raw: bytes) -> bytes | None:
    """Take the chunk framing off; None if the last chunk has not come."""
    parts: list[bytes] = []
    position = 0
    while True:
        line_end = raw.find(b"\r\n", position)
        if line_end < 0:
            return None
        size = int(raw[position:line_end].split(b";")[0], 16)
        if size == 0:
            return b"".join(parts)
        parts.append(raw[line_end + 2 : line_end + 2 + size])
        position = line_end + size + 4


def _one_by_one(connection: Connection, payloads: Iterable[bytes], budget_seconds: float) -> Run:
    answers = []
    started = perf_counter()
    for index, payload in enumerate(payloads):
        connection.send(payload, index)
        answer = connection.receive()
        while answer is None:
            answer = connection.receive()
        answers.append(answer)
        if perf_counter() - started > budget_seconds:
            break
    return Run(tuple(answers), perf_counter() - started)


def _many(pool: list[Connection], payloads: Sequence[bytes], budget_seconds: float) -> Run:
    answers: list[Answer] = []
    waiting: dict[int, Connection] = {}
    todo = iter(enumerate(payloads))
    with select.epoll() as poller:
        started = perf_counter()
        for connection in pool:
            _send_next(connection, todo)
            watch(connection, poller, waiting)
        while waiting:
            for descriptor, _ in poller.poll(_TIMEOUT_SECONDS) or _silence():
                connection = waiting.pop(descriptor)
                answer = connection.receive()
                if answer is not None:
                    answers.append(answer)
                    if perf_counter() - started > budget_seconds or not _send_next(connection, todo):
                        connection.close()
                        continue
                watch(connection, poller, waiting)
    return Run(tuple(answers), perf_counter() - started)


def _send_next(connection: Connection, todo: Iterator[tuple[int, bytes]]) -> bool:
    """Send the next request; False if there is none."""
    for index, payload in todo:
        connection.send(payload, index)
        return True
    return False


def watch(connection: Connection, poller: select.epoll, waiting: dict[int, Connection]) -> None:
    """Wait for this connection's answer; a socket is registered once, and closing it takes it off."""
    descriptor = connection.fileno()
    if connection.newly_opened:
        connection.newly_opened = False
        poller.register(descriptor, select.EPOLLIN)
    waiting[descriptor] = connection


def _silence() -> NoReturn:
    raise ClientError(f"no answer within {_TIMEOUT_SECONDS:.0f} s")


@contextmanager
def _no_collector() -> Iterator[None]:
    """Keep the garbage collector of this process out of the measurement."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
