"""The face's application: finds the operation, signs in, runs it, and turns every error into a problem document.

Promises: only the description of the face can be read without a sign-in; no exception leaves it, and an unknown one is
logged once and answered 500 without a word about it. Paths are matched as they came, still encoded, so that a name
may have any character in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final
from urllib.parse import quote

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from keepwell import __version__
from keepwell.api import account, changes, collections, history, items
from keepwell.api.call import Nothing, Services
from keepwell.api.errors import Failed, MethodNotAllowed, problem_response
from keepwell.api.openapi import openapi_document
from keepwell.api.operation import JsonDocument, Operation, Page, Runner, Success
from keepwell.api.page import operations_page
from keepwell.model.errors import BadRequest, Damaged, KeepwellError, NotSignedIn, NotThere

PREFIX: Final = "/api/v1"
OPERATIONS: Final[tuple[Operation, ...]] = (
    *account.OPERATIONS,
    *collections.OPERATIONS,
    *items.OPERATIONS,
    *changes.OPERATIONS,
    *history.OPERATIONS,
)

_PAGE_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}

_log = structlog.get_logger("keepwell.api")
Endpoint = Callable[[Request], Awaitable[Response]]


def api_app(services: Services, *, version: str = __version__) -> Starlette:
    """The application, for every path that begins with the prefix."""
    described = _with_description(OPERATIONS, version)
    paths = dict.fromkeys(operation.path for operation in described)
    routes = [_route(services, path, [one for one in described if one.path == path]) for path in paths]
    # Whoever leaves out the closing slash of the root gets the page too.
    routes.append(_route(services, "", [one for one in described if one.path == "/"]))
    return Starlette(
        routes=routes,
        middleware=[Middleware(_EncodedPath)],
        exception_handlers={HTTPException: _refused_by_routing},
    )


def _route(services: Services, path: str, operations: list[Operation]) -> Route:
    by_method = {operation.method: operation for operation in operations}
    if "GET" in by_method:
        by_method["HEAD"] = by_method["GET"]

    async def endpoint(request: Request) -> Response:
        operation = by_method.get(request.method)
        return await _answer(services, operation, request, allowed=", ".join(sorted(by_method)))

    # Every method comes here, so that a wrong one is told all that the path has.
    return Route(PREFIX + path, _AnyMethod(endpoint))


class _AnyMethod:
    """An endpoint that routing asks for every method, which it does of ASGI applications only."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._endpoint(Request(scope, receive, send))
        if scope["method"] == "HEAD":
            response.body = b""
        await response(scope, receive, send)


async def _answer(services: Services, operation: Operation | None, request: Request, *, allowed: str) -> Response:
    try:
        if operation is None:
            raise MethodNotAllowed(f"{request.method} is not done at this path", allowed=allowed)
        return await operation.run(services, request)
    except NotSignedIn as error:
        await asyncio.sleep(error.delay_seconds)
        return problem_response(error)
    except Damaged as error:
        _log.error("request.found_damage", method=request.method, message=error.message)
        return problem_response(error)
    except KeepwellError as error:
        return problem_response(error)
    except Exception as error:
        _log.error("request.failed", method=request.method, error=type(error).__name__, exc_info=error)
        return problem_response(Failed("the server failed; this was written to its log"))


async def _refused_by_routing(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404:
        return problem_response(
            NotThere("there is nothing at this path", hint=f"The operations are listed at {PREFIX}/.")
        )
    return problem_response(BadRequest("the request is not understood"))


def _with_description(operations: Iterable[Operation], version: str) -> tuple[Operation, ...]:
    """The operations and the two that describe them all, themselves included."""
    described: list[Operation] = [*operations]

    async def document(_services: Services, _request: Request) -> Response:
        return Response(openapi_document(described, PREFIX, version), media_type="application/json")

    async def page(_services: Services, _request: Request) -> Response:
        return Response(operations_page(described, PREFIX, version), 200, _PAGE_HEADERS, "text/html")

    described.append(
        _public("describe", "/openapi.json", document, JsonDocument, "Describe the operations for machines")
    )
    described.append(_public("describeForPeople", "/", page, Page, "Describe the operations for people"))
    return tuple(described)


def _public(
    name: str,
    path: str,
    run: Runner,
    content: type[JsonDocument] | type[Page],
    summary: str,
) -> Operation:
    return Operation(
        name=name,
        method="GET",
        path=path,
        summary=summary,
        description="",
        area="Description",
        successes=(Success(200, "The description.", content),),
        headers=(),
        path_type=Nothing,
        query_type=Nothing,
        body_type=None,
        is_public=True,
        run=run,
    )


class _EncodedPath:
    """Gives routing the path as it came, still encoded; names in it are decoded one by one when they are read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        raw: bytes | None = scope.get("raw_path")
        # Servers that do not tell the path as it came have decoded it; it is encoded again.
        path = quote(scope["path"]) if raw is None else raw.decode("latin-1").partition("?")[0]
        await self._app({**scope, "path": path}, receive, send)
