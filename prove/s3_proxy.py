"""A proxy before an S3 server that does to chosen requests what networks and bad stores do.

Every request is one connection to the server behind; what the server answers is passed on as it is, but for the fault
chosen for it. The server checks signatures, so requests can only be changed on their way to the bucket that is anyone's
(`OPEN_BUCKET`).
"""

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from enum import Enum, auto
from urllib.parse import urlsplit

ANSWER_SECONDS_MAX = 20.0
_EMPTY_ANSWERS = {
    500: b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    404: b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
}
_LENGTH = re.compile(rb"(?im)^content-length:\s*(\d+)")
_CONDITION = re.compile(rb"(?im)^if-none-match:[^\r]*\r\n")
_SIGNATURE = re.compile(rb"(?im)^authorization:[^\r]*\r\n")
_CONNECTION = re.compile(rb"(?im)^connection:[^\r]*\r\n")


class Fault(Enum):
    """What can be done to a request."""

    ANSWER_500 = auto()
    """It is not passed on."""
    ANSWER_404 = auto()
    """It is not passed on; what answers knows nothing of buckets."""
    STORE_THEN_500 = auto()
    """It is carried out, and answered as if it had failed."""
    STORE_THEN_DROP = auto()
    """It is carried out, and the connection ends without an answer."""
    STORE_THEN_SILENCE = auto()
    """It is carried out, and never answered."""
    CUT_ANSWER = auto()
    """Half of the answer's body comes, then the connection ends."""
    SHORT_ANSWER = auto()
    """Half of the answer's body comes, and its head says that this is all."""
    IGNORE_CONDITION = auto()
    """It is carried out without its `If-None-Match`, as some stores do."""
    SILENCE = auto()
    """It is not passed on, and never answered."""


Rule = Callable[[str, str], Fault | None]
"""From a request's method and target to its fault."""


class FaultProxy:
    """Listens on a free loopback port; `rule` decides about each request, `seen` has the methods of those that came."""

    def __init__(self, upstream: str) -> None:
        """Start to listen and to pass everything on."""
        self.rule: Rule = lambda _method, _target: None
        self.seen: list[str] = []
        self._upstream = urlsplit(upstream)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens: the endpoint to give to whoever shall meet the faults."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def fault(self, fault: Fault, method: str, *, times: int = 1_000_000) -> None:
        """Do this to the next requests of this method, and nothing to others."""
        left = iter(range(times))
        self.rule = lambda asked, _target: fault if asked == method and next(left, None) is not None else None

    def close(self) -> None:
        """Stop listening and end what is under way."""
        self._listener.close()
        for connection in self._open:
            connection.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                connection, _address = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(ANSWER_SECONDS_MAX)
        with contextlib.suppress(OSError):
            head, body = _read_message(connection)
            if not head:
                connection.close()
                return
            method, target, _version = head.split(b"\r\n", 1)[0].decode().split(" ")
            self.seen.append(method)
            fault = self.rule(method, target)
            if fault is Fault.STORE_THEN_SILENCE:
                self._forward(head, body)
            if fault in (Fault.SILENCE, Fault.STORE_THEN_SILENCE):
                return
            connection.sendall(self._answer(head, body, fault))
            connection.close()

    def _answer(self, head: bytes, body: bytes, fault: Fault | None) -> bytes:
        if fault in (Fault.ANSWER_500, Fault.ANSWER_404):
            return _EMPTY_ANSWERS[500 if fault is Fault.ANSWER_500 else 404]
        if fault is Fault.IGNORE_CONDITION:
            head = _SIGNATURE.sub(b"", _CONDITION.sub(b"", head))
        answer = self._forward(head, body)
        if fault is Fault.STORE_THEN_500:
            return _EMPTY_ANSWERS[500]
        if fault is Fault.STORE_THEN_DROP:
            return b""
        if fault is Fault.CUT_ANSWER:
            start, end, content = answer.partition(b"\r\n\r\n")
            return start + end + content[: len(content) // 2]
        if fault is Fault.SHORT_ANSWER:
            start, end, content = answer.partition(b"\r\n\r\n")
            half = content[: len(content) // 2]
            return _LENGTH.sub(b"Content-Length: %d" % len(half), start) + end + half
        return answer

    def _forward(self, head: bytes, body: bytes) -> bytes:
        head = _CONNECTION.sub(b"", head).replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        where = (self._upstream.hostname or "", self._upstream.port or 80)
        with socket.create_connection(where, timeout=ANSWER_SECONDS_MAX) as server:
            server.sendall(head + body)
            return b"".join(iter(lambda: server.recv(1 << 16), b""))


@contextlib.contextmanager
def fault_proxy(upstream: str) -> Iterator[FaultProxy]:
    """A proxy before this endpoint, for as long as the block lasts."""
    proxy = FaultProxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()


def _read_message(connection: socket.socket) -> tuple[bytes, bytes]:
    """The head of a request with its empty line, and its body; nothing when there is none."""
    head, end, body = _read_until(connection, b"", lambda octets: b"\r\n\r\n" in octets).partition(b"\r\n\r\n")
    found = _LENGTH.search(head)
    length = int(found[1]) if found else 0
    return head + end, _read_until(connection, body, lambda octets: len(octets) >= length)


def _read_until(connection: socket.socket, octets: bytes, enough: Callable[[bytes], bool]) -> bytes:
    """What comes, up to where it is enough; nothing when the connection ends before."""
    pieces = octets
    while not enough(pieces):
        piece = connection.recv(1 << 16)
        if not piece:
            return b""
        pieces += piece
    return pieces
