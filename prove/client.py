"""A device's HTTP client: one connection, and of each request whether it was answered."""

from __future__ import annotations

import http.client
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from lxml import etree

TIMEOUT_SECONDS = 30.0
DAV = "{DAV:}"
_SYNC = (
    '<?xml version="1.0"?><sync-collection xmlns="DAV:"><sync-token>{}</sync-token><sync-level>1</sync-level>'
    "<prop><getetag/></prop></sync-collection>"
)
_LISTING = '<?xml version="1.0"?><propfind xmlns="DAV:"><prop><getetag/><resourcetype/></prop></propfind>'


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


class NoAnswerError(Exception):
    """The connection broke, or nothing came in time: nobody knows whether it was done."""


class Transport(Protocol):
    """Brings requests to a server and answers back."""

    def ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        """One request. Raises NoAnswerError; it may be asked again."""
        ...

    def close(self) -> None:
        """Let go; it may be asked again."""
        ...


class Http:
    """A connection to a server on this machine."""

    def __init__(self, port: int, timeout: float) -> None:
        """Not yet connected."""
        self._port, self._timeout = port, timeout
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        """One request. Raises NoAnswerError; the next call connects anew."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=self._timeout)
        try:
            is_whole = self._send(self._connection, method, path, body, headers)
            response = self._connection.getresponse()
            answer = Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise NoAnswerError(f"{type(error).__name__}: {error}") from error
        if response.will_close or not is_whole:
            self.close()
        return answer

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
    ) -> bool:
        """Whether all of it was sent: a server may answer, and close, before it has read what it refuses."""
        try:
            connection.request(method, path, body, headers)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Client:
    """Signed in as one person. Used on one thread."""

    def __init__(
        self,
        port: int,
        login: str,
        password: str,
        *,
        timeout: float = TIMEOUT_SECONDS,
        transport: Transport | None = None,
    ) -> None:
        """Not yet connected; with a `transport`, by that."""
        self.port = port
        self.login = login
        self._authorization = "Basic " + b64encode(f"{login}:{password}".encode()).decode()
        self._transport = transport or Http(port, timeout)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """One request; header names have `_` for `-`. Raises NoAnswerError; the next call connects anew."""
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        sent["Authorization"] = self._authorization
        return self._transport.ask(method, path, body, sent)

    def close(self) -> None:
        """Let go of the connection."""
        self._transport.close()

    def listing(self, collection: str) -> tuple[int, dict[str, str]]:
        """(status, href → entity tag of every member); the collection's path ends with a slash."""
        answer = self.ask("PROPFIND", collection, _LISTING.encode(), Depth="1", Content_Type="application/xml")
        if answer.status != 207:
            return answer.status, {}
        members = dict(_members(etree.fromstring(answer.body)))
        return 207, {href: etag for href, etag in members.items() if href != collection and etag is not None}

    def collections(self, home: str) -> tuple[int, list[str]]:
        """(status, the collections of a home)."""
        answer = self.ask("PROPFIND", home, _LISTING.encode(), Depth="1", Content_Type="application/xml")
        if answer.status != 207:
            return answer.status, []
        return 207, [href for href, _etag in _members(etree.fromstring(answer.body)) if href != home]

    def sync(self, collection: str, token: str = "") -> tuple[int, str, dict[str, str | None]]:
        """(status, new token, href → entity tag or None for what went) since a token."""
        answer = self.ask("REPORT", collection, _SYNC.format(token).encode(), Depth="0", Content_Type="application/xml")
        if answer.status != 207:
            return answer.status, "", {}
        root = etree.fromstring(answer.body)
        return 207, root.findtext(f"{DAV}sync-token") or "", dict(_members(root))


def _members(root: etree._Element) -> Iterator[tuple[str, str | None]]:
    for response in root.iterfind(f"{DAV}response"):
        href = response.findtext(f"{DAV}href") or ""
        yield href, response.findtext(f"{DAV}propstat/{DAV}prop/{DAV}getetag")


def status_of(detail: str) -> int:
    """The status at the start of a claim's detail; 0 when there is none."""
    found = re.match(r"\d+", detail)
    return int(found[0]) if found else 0
