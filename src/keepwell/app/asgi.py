"""The ASGI application of a worker process: the DAV face, the JSON face and the people's pages under one roof.

What it does itself: believe a trusted proxy's X-Forwarded-For and X-Forwarded-Proto (from nobody else), write the
request log, bound what it holds of requests, and open and close the data folder with the server's life span.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from typing import cast

from starlette.applications import Starlette

from keepwell.api.app import PREFIX as API_PREFIX
from keepwell.api.app import api_app
from keepwell.app.body_room import BodyRoom, HeldBody
from keepwell.app.config import (
    WORKER_VARIABLE,
    ServeOptions,
    metrics_networks_of,
    parse_options,
    trusted_proxies_of,
)
from keepwell.app.log import configure_log
from keepwell.app.request_log import RequestLine, RequestLog
from keepwell.app.wiring import Keepwell, open_keepwell
from keepwell.dav.app import DavApp
from keepwell.ground.clock import SystemClock
from keepwell.ground.process import end_with_parent
from keepwell.model.errors import KeepwellError
from keepwell.model.networks import Network, is_within
from keepwell.storage.family import join
from keepwell.web.app import web_app

Scope = dict[str, object]
Message = dict[str, object]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]
Face = Callable[[Scope, Receive, Send], Awaitable[int]]
"""Answers a request and tells the status, which the log of requests needs."""

DRAINED_OCTETS_MAX = 64 * 1024
"""Bodies up to this size are read to their end even when the answer does not depend on them."""

DRAIN_SECONDS_MAX = 10.0
"""So long is waited for the rest of such a body."""

_WITHOUT_BODY = frozenset({"GET", "HEAD"})
_DAV_PREFIXES = ("/dav/", "/.well-known/ca")


class Application:
    """One worker's application. Invariant: requests are answered only between startup and shutdown."""

    def __init__(self, options: ServeOptions) -> None:
        """For these options; the data folder is opened at startup."""
        self._options = options
        self._proxies = trusted_proxies_of(options)
        self._resources = ExitStack()
        self._bodies = BodyRoom()
        self._clock = SystemClock()
        self._log: RequestLog | None = None
        self._dav: Face = _not_ready
        self._api: Face = _not_ready
        self._web: Face = _not_ready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection's request, or follow the server's life span."""
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)

    def open(self) -> None:
        """Open the data folder and the faces. Raises CannotStart."""
        end_with_parent()
        configure_log()
        family = join(self._options.data, self._options.family)
        self._resources.callback(family.release)
        keepwell = self._resources.enter_context(
            open_keepwell(
                self._options.data, family=self._options.family, drill_seconds=self._options.drill_hours * 3600
            )
        )
        with suppress(KeepwellError):  # whoever signs in is told what is wrong
            keepwell.directory.read()
        keepwell.access_log.start()
        if self._options.log_requests:
            self._log = RequestLog()
            self._resources.callback(self._log.close)
        self._dav = DavApp(keepwell.library, keepwell.directory, keepwell.sign_in)
        self._api = _telling_status(cast(Asgi, api_app(keepwell)))
        self._web = _telling_status(cast(Asgi, self._pages(keepwell)))

    def _pages(self, keepwell: Keepwell) -> Starlette:
        return web_app(status=keepwell.status, people=keepwell, metrics_from=metrics_networks_of(self._options))

    def close(self) -> None:
        """Finish what was begun and let go of the data folder."""
        self._resources.close()

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.open()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._proxies:
            _believe_proxy(scope, self._proxies)
        clock, path = self._clock, cast(str, scope["path"])
        start, status = clock.monotonic(), 0
        held = HeldBody(self._bodies, receive)
        try:
            if scope["method"] not in _WITHOUT_BODY:
                receive = held.receive
                if _announces_small_body(scope):
                    receive, send = _reading_all_before_answering(receive, send)
            status = await self._face(path)(scope, receive, send)
        finally:
            held.release()
            if self._log is not None:
                client = cast("tuple[str, int] | None", scope.get("client"))
                method, seconds = cast(str, scope["method"]), clock.monotonic() - start
                self._log.note(RequestLine(clock.now(), client[0] if client else "", method, path, status, seconds))

    def _face(self, path: str) -> Face:
        if path.startswith(_DAV_PREFIXES) or path == "/dav":
            return self._dav
        return self._api if path == API_PREFIX or path.startswith(API_PREFIX + "/") else self._web


def _announces_small_body(scope: Scope) -> bool:
    for name, value in cast(list[tuple[bytes, bytes]], scope["headers"]):
        if name == b"content-length":
            return value.isdigit() and 0 < int(value) <= DRAINED_OCTETS_MAX
    return False


def _reading_all_before_answering(receive: Receive, send: Send) -> tuple[Receive, Send]:
    """The same, but a body that nobody read is read before the answer is sent.

    The HTTP library closes a connection whose request it could not finish reading, and programs that sign in only
    when asked to (a 401 to a PROPFIND with a body) would connect anew each time. Who does not send it soon has to:
    nobody holds a connection for ever without signing in.
    """
    whole = gave_up = False

    async def noting_receive() -> Message:
        nonlocal whole
        message = await receive()
        whole = not message.get("more_body", False)
        return message

    async def draining_send(message: Message) -> None:
        nonlocal gave_up
        if not whole and not gave_up:
            try:
                async with asyncio.timeout(DRAIN_SECONDS_MAX):
                    while not whole:
                        await noting_receive()
            except TimeoutError:
                gave_up = True
        await send(message)

    return noting_receive, draining_send


def _telling_status(application: Asgi) -> Face:
    """The application as a face: it answers, and then tells with which status."""

    async def face(scope: Scope, receive: Receive, send: Send) -> int:
        status = 0

        async def noting_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = cast(int, message["status"])
            await send(message)

        await application(scope, receive, noting_send)
        return status

    return face


async def _not_ready(_scope: Scope, _receive: Receive, send: Send) -> int:
    headers = [(b"content-type", b"text/plain"), (b"retry-after", b"1")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": b"Keepwell is starting\n"})
    return 503


def _believe_proxy(scope: Scope, proxies: tuple[Network, ...]) -> None:
    """Take client and scheme from X-Forwarded-*, when the peer is a trusted proxy."""
    client = cast("tuple[str, int] | None", scope.get("client"))
    if not client or not is_within(client[0], proxies):
        return
    chain: list[str] = []
    for name, value in cast(list[tuple[bytes, bytes]], scope["headers"]):
        if name == b"x-forwarded-for":
            chain += value.decode("latin-1").split(",")
            scope["client"] = (_nearest_stranger([one.strip() for one in chain], proxies), 0)
        elif name == b"x-forwarded-proto" and value in {b"http", b"https"}:
            scope["scheme"] = value.decode("ascii")


def _nearest_stranger(addresses: list[str], proxies: tuple[Network, ...]) -> str:
    """The last address of the chain that is no trusted proxy: what stands before it, anyone can write."""
    return next((one for one in reversed(addresses) if not is_within(one, proxies)), addresses[0])


def make_application() -> Application:
    """The application of a worker process that the server started."""
    return Application(parse_options(os.environ[WORKER_VARIABLE]))
