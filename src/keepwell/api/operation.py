"""Operations: each is declared once, with what it takes, what it answers and the function that carries it out.

The same declaration routes the request, reads path, query and body into structs, and becomes the OpenAPI document and
the readable page; there is no second description that could differ.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from keepwell.api.call import Call, Nothing, Services, read_call

PathValues = TypeVar("PathValues", bound=msgspec.Struct)
QueryValues = TypeVar("QueryValues", bound=msgspec.Struct)
BodyValues = TypeVar("BodyValues", bound=msgspec.Struct)

StructType: TypeAlias = type[msgspec.Struct]
Runner: TypeAlias = Callable[[Services, Request], Awaitable[Response]]


class Octets:
    """Stands for bytes of any media type where a struct would stand for JSON."""


class Page:
    """Stands for a page of HTML."""


class JsonDocument:
    """Stands for a JSON document whose fields are described elsewhere."""


@dataclass(frozen=True, slots=True)
class Header:
    """A request header that an operation heeds."""

    name: str
    description: str


IF_MATCH: Final = Header("If-Match", "Entity tags, one of which the item must have, or `*` (RFC 9110 section 13.1.1).")
IF_NONE_MATCH: Final = Header(
    "If-None-Match", "Entity tags, none of which the item may have, or `*` (RFC 9110 section 13.1.2)."
)
IF_IN_STATE: Final = Header("If-In-State", "The state that the collection must be in; checked in the transaction.")


@dataclass(frozen=True, slots=True)
class Success:
    """How an operation answers when it did what was asked; `content` None is an answer without a body."""

    status: int
    description: str
    content: StructType | type[Octets] | type[Page] | type[JsonDocument] | None = None
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. `path` is below the face's prefix and may have `{names}`."""

    name: str
    method: str
    path: str
    summary: str
    description: str
    area: str
    successes: tuple[Success, ...]
    headers: tuple[Header, ...]
    path_type: StructType
    query_type: StructType
    body_type: StructType | type[Octets] | None
    is_public: bool
    run: Runner


def declare(
    name: str,
    route: str,
    handle: Callable[[Call[PathValues, QueryValues, BodyValues]], Awaitable[Response]],
    *successes: Success,
    summary: str,
    area: str,
    path: type[PathValues],
    query: type[QueryValues],
    body: type[BodyValues],
    description: str = "",
    headers: tuple[Header, ...] = (),
    takes_octets: bool = False,
) -> Operation:
    """Declare an operation of signed-in people; `route` is its method and path, `GET /account`.

    With `takes_octets` the handler reads the body itself, and `body` is Nothing.
    """

    async def run(services: Services, request: Request) -> Response:
        return await handle(await read_call(services, request, path, query, body))

    method, _, where = route.partition(" ")
    json_body = None if body is Nothing else body
    return Operation(
        name=name,
        method=method,
        path=where,
        summary=summary,
        description=description,
        area=area,
        successes=successes,
        headers=headers,
        path_type=path,
        query_type=query,
        body_type=Octets if takes_octets else json_body,
        is_public=False,
        run=run,
    )
