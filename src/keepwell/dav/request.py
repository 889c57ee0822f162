"""One request and its answer, as the methods see them.

A request reads its head once and its body at most once; nothing is computed before it is asked for, because a GET or
PUT needs almost none of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar
from urllib.parse import unquote

from lxml import etree

from keepwell.dav.paths import Target
from keepwell.dav.ports import Directory
from keepwell.dav.xml import XML_OCTETS_MAX, parse_request
from keepwell.model.errors import BadRequest, NotThere, TooLarge
from keepwell.model.names import AccountId
from keepwell.services.actor import Actor
from keepwell.services.library import Library

Message = dict[str, object]
Receive = Callable[[], Awaitable[Message]]
Headers = dict[bytes, bytes]

Outcome = TypeVar("Outcome")

INFINITY: Final = "infinity"


@dataclass(slots=True)
class DavRequest:
    """A request by a signed-in actor. `headers` maps lower-case names to values; repeated fields are joined."""

    method: str
    target: Target
    headers: Headers
    actor: Actor
    library: Library
    directory: Directory
    receive: Receive
    reports: frozenset[str] = frozenset()
    """Clark names of the reports that this server answers."""
    _preferences: Mapping[str, str] | None = field(default=None)

    def header(self, name: bytes) -> str | None:
        """A header's value; None when it was not sent."""
        value = self.headers.get(name)
        if value is None:
            return None
        try:
            return value.decode().strip()
        except UnicodeDecodeError:
            return value.decode("latin-1").strip()

    @property
    def depth(self) -> str:
        """The Depth header: `0`, `1` or `infinity`, which is also what its absence means (RFC 4918 9.1)."""
        text = (self.header(b"depth") or INFINITY).lower()
        if text not in {"0", "1", INFINITY}:
            raise BadRequest(f"the Depth header is {text!r}", hint="It may be 0, 1 or infinity.")
        return text

    @property
    def prefer(self) -> Mapping[str, str]:
        """The Prefer header (RFC 7240): preference → value, lower case."""
        if self._preferences is None:
            self._preferences = _read_preferences(self.header(b"prefer") or "")
        return self._preferences

    @property
    def minimal(self) -> bool:
        """Whether the client wants `return=minimal` (RFC 8144 section 2)."""
        return b"prefer" in self.headers and self.prefer.get("return") == "minimal"

    def owner(self) -> AccountId:
        """The account whose principal, home or collection the target is. Raises NotThere."""
        if self.target.login == self.actor.login:
            return self.actor.account
        return owner_of(self.target, self.directory, self.actor)

    async def body(self, limit: int) -> bytes:
        """The whole body. Raises TooLarge before more than `limit` bytes are held."""
        announced = self.headers.get(b"content-length")
        if announced is not None and announced.isdigit() and int(announced) > limit:
            raise TooLarge(f"a body of {int(announced)} bytes is over the limit of {limit}", limit=limit)
        message = await self.receive()
        first = _chunk_of(message)
        if not message.get("more_body"):
            return _within(first, limit)
        return await self._rest(first, limit)

    async def _rest(self, first: bytes, limit: int) -> bytes:
        chunks, size, more = [first], len(first), True
        while more:
            message = await self.receive()
            chunk = _chunk_of(message)
            size += len(chunk)
            if size > limit:
                raise TooLarge(f"the body is over the limit of {limit} bytes", limit=limit)
            chunks.append(chunk)
            more = bool(message.get("more_body"))
        return b"".join(chunks)

    async def xml(self) -> etree._Element | None:
        """The root element of an XML body; None when the body is empty. Raises BadRequest, TooLarge."""
        return parse_request(await self.body(XML_OCTETS_MAX))


@dataclass(slots=True)
class DavResponse:
    """An answer. Content-Length is added when it is sent."""

    status: int
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""


Handler = Callable[[DavRequest], Awaitable[DavResponse]]
ReportHandler = Callable[[DavRequest, etree._Element], Awaitable[DavResponse]]
"""Answers one sort of REPORT, given the root element of its body."""

XML_TYPE: Final = (b"content-type", b"application/xml; charset=utf-8")


def xml_response(status: int, document: str | bytes, *headers: tuple[bytes, bytes]) -> DavResponse:
    """An XML answer with a whole document."""
    body = document.encode() if isinstance(document, str) else document
    return DavResponse(status, [XML_TYPE, *headers], body)


async def in_worker(function: Callable[[], Outcome]) -> Outcome:
    """Run what takes longer than one item's work on a worker thread."""
    return await asyncio.get_running_loop().run_in_executor(None, function)


def owner_of(target: Target, directory: Directory, actor: Actor) -> AccountId:
    """The account that a target's login names. Raises NotThere, in one way, unless the actor may know of it."""
    owner = directory.account_of(target.login)
    if owner is None or not (owner == actor.account or any(sharer == owner for sharer, _, _ in actor.shared)):
        raise not_visible(target)
    return owner


def not_visible(target: Target) -> NotThere:
    """What is said alike of what does not exist and of what may not be seen."""
    return NotThere(f"there is nothing at {target.href} that you may see")


def read_headers(pairs: list[tuple[bytes, bytes]]) -> Headers:
    """Headers by lower-case name (ASGI sends them so); repeated fields are joined with a comma (RFC 9110 5.3)."""
    headers = dict(pairs)
    if len(headers) == len(pairs):
        return headers
    joined: Headers = {}
    for name, value in pairs:
        joined[name] = joined[name] + b", " + value if name in joined else value
    return joined


def _read_preferences(text: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for part in text.lower().split(","):
        name, _, value = part.split(";")[0].partition("=")
        found.setdefault(name.strip(), unquote(value.strip().strip('"')))
    return found


def _chunk_of(message: Message) -> bytes:
    if message.get("type") == "http.disconnect":
        raise BadRequest("the client went away before its request was whole")
    chunk = message.get("body", b"")
    return chunk if isinstance(chunk, bytes) else b""


def _within(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise TooLarge(f"a body of {len(body)} bytes is over the limit of {limit}", limit=limit)
    return body
