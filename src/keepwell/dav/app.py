"""The DAV application: one ASGI callable that signs in, parses the path, finds the method and sends the answer.

Promises: every answer goes through here; a request that is not signed in learns nothing but that (except OPTIONS on
the root and the well-known redirects, RFC 6764 section 5); no exception leaves it, and an unknown one is logged once
and answered 500 without a word about it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, cast
from urllib.parse import quote

import structlog

from keepwell.dav.errors import DavRefused, error_response
from keepwell.dav.methods import METHODS
from keepwell.dav.options import allow_header, options_response
from keepwell.dav.paths import ROOT_PATH, Sort, Target, parse_path
from keepwell.dav.ports import Directory, SignIn
from keepwell.dav.reports import REPORTS
from keepwell.dav.request import DavRequest, DavResponse, Message, Receive, read_headers
from keepwell.model.errors import Damaged, KeepwellError, NotSignedIn
from keepwell.services.library import Library

Send = Callable[[Message], Awaitable[None]]

WELL_KNOWN: Final = frozenset({"/.well-known/caldav", "/.well-known/carddav"})
CHUNK_OCTETS: Final = 1024 * 1024
"""Larger answers are sent in pieces of this size, so that other connections get their turn."""

_WITHOUT_LENGTH: Final = frozenset({204, 304})

_log = structlog.get_logger("keepwell.dav")
_reports: Final = frozenset(REPORTS)


class DavApp:
    """ASGI 3, for `/dav/` and the well-known paths."""

    def __init__(self, library: Library, directory: Directory, sign_in: SignIn) -> None:
        """Over these services."""
        self._library = library
        self._directory = directory
        self._sign_in = sign_in

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> int:
        """Answer one request; the status, for the log of requests."""
        method = cast(str, scope["method"])
        response = await self._respond(scope, method, receive)
        await _send(response, send, with_body=method != "HEAD")
        return response.status

    async def _respond(self, scope: Message, method: str, receive: Receive) -> DavResponse:
        target: Target | None = None
        try:
            path = _raw_path(scope)
            if path.rstrip("/") in WELL_KNOWN:
                return DavResponse(301, [(b"location", ROOT_PATH.encode())])
            headers = read_headers(cast(list[tuple[bytes, bytes]], scope["headers"]))
            if method == "OPTIONS" and path in (ROOT_PATH, ROOT_PATH[:-1]):
                return options_response(Target(Sort.ROOT))
            address, agent = _address(scope), headers.get(b"user-agent", b"").decode("latin-1")
            actor = self._sign_in.sign_in(headers.get(b"authorization"), address, agent)
            target = parse_path(path)
            handler = METHODS.get(method)
            if handler is None:
                raise DavRefused(405, f"{method} is not done here", headers=(allow_header(target),))
            return await handler(
                DavRequest(method, target, headers, actor, self._library, self._directory, receive, _reports)
            )
        except NotSignedIn as error:
            await asyncio.sleep(getattr(error, "delay_seconds", 0.0))
            return error_response(error, None)
        except Damaged as error:
            _log.error("request.found_damage", method=method, message=error.message)
            return error_response(error, target)
        except KeepwellError as error:
            return error_response(error, target)
        except Exception as error:
            _log.error("request.failed", method=method, error=type(error).__name__, exc_info=error)
            return error_response(DavRefused(500, "the server failed; this was written to its log"), None)


async def _send(response: DavResponse, send: Send, *, with_body: bool) -> None:
    body, headers = response.body, response.headers
    if response.status not in _WITHOUT_LENGTH:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if not with_body or len(body) <= CHUNK_OCTETS:
        await send({"type": "http.response.body", "body": body if with_body else b""})
        return
    for start in range(0, len(body), CHUNK_OCTETS):
        end = start + CHUNK_OCTETS
        await send({"type": "http.response.body", "body": body[start:end], "more_body": end < len(body)})


def _raw_path(scope: Message) -> str:
    """The path as it came, still encoded; a fragment in it is refused rather than cut off (litmus: frag)."""
    raw = cast(bytes | None, scope.get("raw_path"))
    try:
        path = _encoded(cast(str, scope["path"])) if raw is None else raw.decode().partition("?")[0]
    except UnicodeDecodeError as error:
        raise DavRefused(400, "the path is not UTF-8") from error
    if "#" in path:
        raise DavRefused(400, "the path has a fragment")
    return path


def _encoded(path: str) -> str:
    """A decoded path encoded again, for servers that do not tell the path as it came."""
    return quote(path, safe="/-._~!$()*+,:=@;&'")


def _address(scope: Message) -> str:
    client = cast(tuple[str, int] | None, scope.get("client"))
    return client[0] if client else ""
