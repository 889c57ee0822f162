"""Bodies of four gigabytes where ten megabytes are the limit: announced, or sent without end.

What is announced as too large is refused before a part of it is read; a stream is refused soon after it passes the
limit. Many large uploads at once are bounded in what they take together.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from prove.case import Case, Unit
from prove.raw import basic, connect
from prove.siege import ATTACKER, Siege, siege

GIGABYTES: Final = 4 << 30
MEGABYTE: Final = 1 << 20
AHEAD_MEGABYTES: Final = 16
"""What may lie between a sender and the server, in the buffers of the system."""
AT_ONCE: Final = 12
MEMORY_MEGABYTES_MAX: Final = 1_700
"""While files of 256 MB are sent: 512 MB of bodies may be held, each twice while its parts are put together."""

_CARDS: Final = f"/dav/contacts/{ATTACKER}/contacts/"
_EVENTS: Final = f"/dav/calendars/{ATTACKER}/calendar/"
_FILES: Final = f"/dav/photos/{ATTACKER}/photos/"


@dataclass(frozen=True, slots=True)
class Sink:
    """Where a body goes, the limit there in megabytes, and what may be answered."""

    method: str
    path: str
    limit: int
    wanted: tuple[int, ...] = (413,)
    signed: bool = True


SINKS: Final = (
    Sink("PUT", f"{_CARDS}x.vcf", 10),
    Sink("PUT", f"{_EVENTS}x.ics", 10),
    Sink("POST", _CARDS, 10),
    Sink("PROPFIND", _CARDS, 1),
    Sink("REPORT", _CARDS, 1),
    Sink("PROPPATCH", _CARDS, 1),
    Sink("MKCOL", f"{_CARDS[:-9]}other/", 1),
    Sink("PUT", f"{_CARDS}x.vcf", 0, (401,), signed=False),
    Sink("GET", f"{_CARDS}x.vcf", 0, (404,)),
    Sink("DELETE", f"{_CARDS}x.vcf", 0, (404,)),
    Sink("GET", "/healthz", 0, (200,)),
    Sink("POST", "/nothing", 0, (404, 405)),
)


def run(unit: Unit) -> None:
    """Every sink in both ways; in the full size also the largest files, one and many at once."""
    with siege(unit, memory_megabytes_max=MEMORY_MEGABYTES_MAX if unit.full else 400) as under:
        for sink in SINKS:
            _announce(under, sink)
            _stream(under, sink)
        under.require_standing(400)
        if unit.full:
            files = Sink("PUT", f"{_FILES}x.bin", 256)
            _announce(under, files)
            _stream(under, files)
            _at_once(under)


def _announce(under: Siege, sink: Sink) -> None:
    """Four gigabytes are announced, and only waited with."""
    for more in ("", "Expect: 100-continue\r\n"):
        with connect(under.world.port) as connection:
            connection.sendall(_head(under, sink, f"Content-Length: {GIGABYTES}\r\n{more}"))
            status = _status(connection)
        under.unit.figures["huge bodies"] += 1
        under.unit.require_that(status in sink.wanted, f"{sink} announced: answered {status}")


def _stream(under: Siege, sink: Sink) -> None:
    """Chunks are sent until the server has enough."""
    chunk = b"%x\r\n%b\r\n" % (MEGABYTE, b"x" * MEGABYTE)
    with connect(under.world.port) as connection:
        connection.sendall(_head(under, sink, "Transfer-Encoding: chunked\r\n"))
        sent = _send_until_closed(connection, chunk)
        status = _status(connection)
    under.unit.figures["huge bodies"] += 1
    under.unit.figures["megabytes taken from them"] += sent
    under.unit.require_that(sent <= sink.limit + AHEAD_MEGABYTES, f"{sink} streamed: {sent} MB were taken")
    # A sender that goes on gets a reset, and with it may lose the answer.
    under.unit.require_that(status in (*sink.wanted, 0), f"{sink} streamed: answered {status}")


def _send_until_closed(connection: socket.socket, chunk: bytes) -> int:
    """How many chunks were sent before the connection broke, or an answer came."""
    for number in range(GIGABYTES // MEGABYTE):
        try:
            connection.sendall(chunk)
            connection.setblocking(False)
            if connection.recv(1, socket.MSG_PEEK) is not None:
                return number
        except BlockingIOError:
            connection.settimeout(30.0)
        except OSError:
            return number
    return GIGABYTES // MEGABYTE


def _status(connection: socket.socket) -> int:
    """The status of the answer; 0 when the connection broke before it could be read."""
    connection.settimeout(30.0)
    try:
        received = connection.recv(1 << 16)
    except ConnectionError:
        return 0
    return int(received.split(b" ", 2)[1]) if received else 0


def _head(under: Siege, sink: Sink, more: str) -> bytes:
    signed = f"Authorization: {basic(ATTACKER, under.password)}\r\n" if sink.signed else ""
    depth = "" if sink.method == "MKCOL" else "Depth: 0\r\n"
    return f"{sink.method} {sink.path} HTTP/1.1\r\nHost: x\r\n{signed}{depth}{more}\r\n".encode()


def _at_once(under: Siege) -> None:
    """A dozen of the largest files: taken, or asked to come again, and never more than there is room for."""
    statuses: list[int] = []

    def upload(number: int) -> None:
        head = _head(under, Sink("PUT", f"{_FILES}{number}.bin", 256), f"Content-Length: {200 * MEGABYTE}\r\n")
        with connect(under.world.port, timeout=180.0) as connection:
            connection.sendall(head)
            _send_all(connection, (b"x" * MEGABYTE for _ in range(200)))
            connection.settimeout(180.0)
            statuses.append(_status(connection))

    threads = [threading.Thread(target=upload, args=(number,)) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    under.unit.figures["large files at once"] += AT_ONCE
    fair = set(statuses) <= {201, 503, 0} and 201 in statuses
    under.unit.require_that(fair, f"large files at once were answered {statuses}")


def _send_all(connection: socket.socket, parts: Iterator[bytes]) -> None:
    try:
        for part in parts:
            connection.sendall(part)
    except OSError:
        return  # refused: the answer, if it can still be read, says how


CASE: Final = Case("huge-body", "bodies of four gigabytes to a limit of ten megabytes", run)
