"""One request, read: who asks, what the path, query and body say as structs, and the services that can answer.

Promises: what cannot be read is refused before anything is done: an unknown field or query parameter, a value out of
range, JSON that is none, a body over its limit. JSON bodies must come as `application/json`, which a page of another
site cannot send without being asked first (so no stranger's form acts with a browser's remembered password).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar
from urllib.parse import unquote_to_bytes

import msgspec
from starlette.requests import ClientDisconnect, Request

from keepwell.api.errors import UnsupportedMediaType
from keepwell.model.errors import BadRequest, NotThere, TooLarge
from keepwell.services.access_log import AccessLog
from keepwell.services.accounts import Accounts
from keepwell.services.actor import Actor
from keepwell.services.directory import Directory
from keepwell.services.library import Library
from keepwell.services.signin import SignIn
from keepwell.services.status.values import Status
from keepwell.storage.contract import Store
from keepwell.storage.writers import Writers

JSON_OCTETS_MAX: Final = 256 * 1024
"""Largest JSON body, in bytes."""

PathValues = TypeVar("PathValues", bound=msgspec.Struct)
QueryValues = TypeVar("QueryValues", bound=msgspec.Struct)
BodyValues = TypeVar("BodyValues", bound=msgspec.Struct)
Values = TypeVar("Values", bound=msgspec.Struct)


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No values: for a path without names, a query without parameters, a request without a JSON body."""


class Services(Protocol):
    """What this face needs of the services below; the wired application has all of them."""

    @property
    def store(self) -> Store:
        """Every account."""
        ...

    @property
    def writers(self) -> Writers:
        """What writes to them."""
        ...

    @property
    def library(self) -> Library:
        """Items and collections, for actors."""
        ...

    @property
    def directory(self) -> Directory:
        """Who is who."""
        ...

    @property
    def accounts(self) -> Accounts:
        """App passwords."""
        ...

    @property
    def access_log(self) -> AccessLog:
        """Who used an account."""
        ...

    @property
    def sign_in(self) -> SignIn:
        """Turns a credential into an actor."""
        ...

    @property
    def status(self) -> Callable[[], Status]:
        """Tells how many copies there are."""
        ...


@dataclass(frozen=True, slots=True)
class Call(Generic[PathValues, QueryValues, BodyValues]):
    """A request by a signed-in actor."""

    services: Services
    actor: Actor
    request: Request
    path: PathValues
    query: QueryValues
    body: BodyValues

    def header(self, name: str) -> str | None:
        """A header's value, repeated fields joined; None when it was not sent."""
        values = self.request.headers.getlist(name)
        return ", ".join(values) if values else None


async def read_call(
    services: Services,
    request: Request,
    path: type[PathValues],
    query: type[QueryValues],
    body: type[BodyValues],
) -> Call[PathValues, QueryValues, BodyValues]:
    """Sign in, then read path, query and body.

    Raises NotSignedIn, NotThere (path), BadRequest, TooLarge, UnsupportedMediaType.
    """
    actor = _sign_in(services.sign_in, request)
    in_path = _read_path(request.path_params, path)
    in_query = _read_query(request, query)
    in_body = body() if body is Nothing else await _read_json(request, body)
    return Call(services, actor, request, in_path, in_query, in_body)


def _sign_in(sign_in: SignIn, request: Request) -> Actor:
    authorization = request.headers.get("authorization")
    credential = None if authorization is None else authorization.encode("latin-1")
    address = request.client.host if request.client else ""
    return sign_in.sign_in(credential, address, request.headers.get("user-agent", ""))


def _read_path(encoded: Mapping[str, str], kind: type[Values]) -> Values:
    """The names in the path, decoded one by one, so that an encoded slash stays inside its name."""
    try:
        decoded = {name: unquote_to_bytes(text).decode() for name, text in encoded.items()}
    except UnicodeDecodeError as error:
        raise BadRequest("the path is not UTF-8", hint="Encode each name in it as percent-encoded UTF-8.") from error
    try:
        return msgspec.convert(decoded, kind, strict=False)
    except msgspec.ValidationError as error:
        raise NotThere("there is nothing at this path", hint="The operations are listed at /api/v1/.") from error


def _read_query(request: Request, kind: type[Values]) -> Values:
    pairs = request.query_params.multi_items()
    if len(dict(pairs)) < len(pairs):
        raise BadRequest("a query parameter is there twice", hint="Give each once.")
    try:
        return msgspec.convert(dict(pairs), kind, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequest(f"the query is not understood: {error}", hint="See /api/v1/openapi.json.") from error


async def _read_json(request: Request, kind: type[Values]) -> Values:
    sent = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if sent != "application/json":
        raise UnsupportedMediaType(f"the body is {sent or 'of no type'}", hint="Send it as application/json.")
    body = await read_octets(request, JSON_OCTETS_MAX)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the body is not understood: {error}", hint="See /api/v1/openapi.json.") from error


async def read_octets(request: Request, limit: int) -> bytes:
    """The whole body. Raises TooLarge before more than `limit` bytes are held, BadRequest when it breaks off."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise TooLarge(f"a body of {int(announced)} bytes is over the limit of {limit}", limit=limit)
    chunks, size = [], 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise TooLarge(f"the body is over the limit of {limit} bytes", limit=limit)
            chunks.append(chunk)
    except ClientDisconnect as error:
        raise BadRequest("the client went away before its request was whole") from error
    return b"".join(chunks)
