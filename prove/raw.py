"""Requests as octets on a connection, for what no library would send, and what comes back."""

from __future__ import annotations

import re
import socket
from base64 import b64encode
from dataclasses import dataclass
from typing import Final

SECONDS_MAX: Final = 30.0
"""A server that says nothing for so long has answered, or never will."""

_HEAD: Final = re.compile(rb"HTTP/1\.[01] (\d{3})[^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n")
_LENGTH: Final = re.compile(rb"(?i)^content-length: *(\d+)\r$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a connection gave: the status and body of each answer, and whether the server closed it."""

    statuses: tuple[int, ...]
    bodies: tuple[bytes, ...]
    closed: bool


def basic(login: str, password: str) -> str:
    """The value of an Authorization header."""
    return "Basic " + b64encode(f"{login}:{password}".encode()).decode()


def connect(port: int, *, timeout: float = SECONDS_MAX) -> socket.socket:
    """A connection to a server on this machine."""
    return socket.create_connection(("127.0.0.1", port), timeout=timeout)


def exchange(port: int, octets: bytes, *, seconds: float = SECONDS_MAX, bodiless: bool = False) -> Exchange:
    """Send octets on a new connection, and read until the server closes it or says nothing for so long.

    `bodiless`: the first answer is one to a HEAD.
    """
    with connect(port, timeout=seconds) as connection:
        received, closed = bytearray(), False
        try:
            connection.sendall(octets)
        except OSError:
            closed = True  # it was closed before everything was sent; what was answered can still be read
        while True:
            try:
                part = connection.recv(1 << 16)
            except TimeoutError:
                break
            except OSError:
                closed = True
                break
            if not part:
                closed = True
                break
            received += part
    return Exchange(*_answers(bytes(received), bodiless=bodiless), closed)


def _answers(received: bytes, *, bodiless: bool) -> tuple[tuple[int, ...], tuple[bytes, ...]]:
    statuses, bodies, position = list[int](), list[bytes](), 0
    while match := _HEAD.match(received, position):
        length = None if bodiless and not statuses else _LENGTH.search(match[2])
        position = match.end()
        end = position + (int(length[1]) if length else 0)
        statuses.append(int(match[1]))
        bodies.append(received[position:end])
        position = end
    return tuple(statuses), tuple(bodies)
