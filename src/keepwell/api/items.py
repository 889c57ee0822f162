"""Items: list them, and read, put and remove their bytes, which stay as the client sent them.

A PUT answers only when the change is committed and synced. Conditions and the state are compared inside the storage
transaction, so that nothing slips in between.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from keepwell.api.answers import DONE, NOT_CHANGED, OCTETS, done, json_answer, not_changed, octets_answer
from keepwell.api.call import Call, Nothing, read_octets
from keepwell.api.conditions import Reading, conditions_of, library_for, read_under
from keepwell.api.errors import UnsupportedMediaType
from keepwell.api.operation import IF_IN_STATE, IF_MATCH, IF_NONE_MATCH, Operation, Success, declare
from keepwell.api.places import (
    CollectionPath,
    ItemPath,
    OwnerLogin,
    OwnerQuery,
    place_of,
    require_collection,
    require_item,
)
from keepwell.model.errors import BadRequest
from keepwell.model.names import Home
from keepwell.model.preconditions import etag_of
from keepwell.services.content import octets_max
from keepwell.services.library import Library
from keepwell.services.place import Place
from keepwell.services.state import state_of
from keepwell.storage.contract import Item, Snapshot

AREA: Final = "Items"
PAGE_MAX: Final = 1000
PAGE_USUAL: Final = 500
BODIES_OCTETS_MAX: Final = 4 * 1024 * 1024
"""Bodies in one page, in bytes: a page ends after the item that reaches it."""

Limit = Annotated[int, Meta(ge=1, le=PAGE_MAX, description="How many at most.")]


class ItemDocument(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An item as it is now; its bytes only when they were asked for, as text when they are UTF-8."""

    name: str
    uid: str
    etag: Annotated[str, Meta(description="The strong entity tag of its bytes, with its quotes.")]
    size: Annotated[int, Meta(description="In bytes.")]
    media_type: str
    component: Annotated[str, Meta(description="VCARD, VEVENT, VTODO, VJOURNAL, or empty.")]
    created: str
    modified: str
    sequence: Annotated[int, Meta(description="Of the record in the history that put it.")]
    body: str | UnsetType = UNSET
    body_base64: str | UnsetType = UNSET


class ItemPage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Items in the order of their names; the next page comes `after` the last of them."""

    state: Annotated[str, Meta(description="The collection's state when this page was read.")]
    items: list[ItemDocument]
    has_more: bool


class ListQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which page."""

    limit: Limit = PAGE_USUAL
    after: Annotated[str, Meta(description="The name of the last item of the page before.")] = ""
    bodies: Annotated[bool, Meta(description="Whether to send the bytes too; not of photos.")] = False
    owner: OwnerLogin = None


def item_document(item: Item, body: bytes | None = None) -> ItemDocument:
    """An item as it is told, with its bytes when given."""
    text, encoded = (UNSET, UNSET) if body is None else _body_fields(body)
    return ItemDocument(
        name=item.name,
        uid=item.uid,
        etag=etag_of(item.digest),
        size=item.size,
        media_type=item.media_type,
        component=item.component,
        created=item.created,
        modified=item.modified,
        sequence=item.sequence,
        body=text,
        body_base64=encoded,
    )


def _body_fields(body: bytes) -> tuple[str | UnsetType, str | UnsetType]:
    try:
        return body.decode(), UNSET
    except UnicodeDecodeError:
        return UNSET, base64.b64encode(body).decode()


async def _list(call: Call[CollectionPath, ListQuery, Nothing]) -> Response:
    place = place_of(call.services.directory, call.actor, call.path, call.query.owner)
    if call.query.bodies and place.home is Home.PHOTOS:
        raise BadRequest("photos are not sent in pages", hint="Read each one by its own path.")
    return json_answer(await run_in_threadpool(_page, call.services.library, place, call.query))


def _page(library: Library, place: Place, query: ListQuery) -> ItemPage:
    with library.reading(place.owner) as snapshot:
        collection = require_collection(snapshot, place)
        following = (item for item in snapshot.items(collection.id) if item.name > query.after)
        items = list(islice(following, query.limit + 1))
        chosen = items[: query.limit]
        if query.bodies:
            documents = list(_with_bodies(snapshot, collection.id, chosen))
        else:
            documents = [item_document(item) for item in chosen]
        state = str(state_of(snapshot, collection))
    return ItemPage(state=state, items=documents, has_more=len(documents) < len(items))


def _with_bodies(snapshot: Snapshot, collection_id: int, items: list[Item]) -> Iterator[ItemDocument]:
    octets = 0
    for item, body in snapshot.items_with_bodies(collection_id, [item.name for item in items]):
        yield item_document(item, body)
        octets += len(body)
        if octets >= BODIES_OCTETS_MAX:
            return


async def _get(call: Call[ItemPath, OwnerQuery, Nothing]) -> Response:
    place = place_of(call.services.directory, call.actor, call.path, call.query.owner)
    item, body = await run_in_threadpool(_read, call.services.library, place)
    if read_under(conditions_of(call), item.digest, str(place)) is Reading.NOT_CHANGED:
        return not_changed(item.digest)
    return octets_answer(body, item.digest, item.media_type)


def _read(library: Library, place: Place) -> tuple[Item, bytes]:
    with library.reading(place.owner) as snapshot:
        return require_item(snapshot, place)


async def _put(call: Call[ItemPath, OwnerQuery, Nothing]) -> Response:
    place = place_of(call.services.directory, call.actor, call.path, call.query.owner)
    # Asked before the body is read, so that nobody uploads in vain.
    call.actor.require_change(place.owner, place.home, place.collection)
    await run_in_threadpool(_check_collection, call.services.library, place)
    conditions, library = conditions_of(call), library_for(call, place)
    if (call.header("content-encoding") or "identity").lower() != "identity":
        raise UnsupportedMediaType("the body is encoded, and would be kept so", hint="Send it as it is.")
    body = await read_octets(call.request, octets_max(place.home))
    media_type = call.header("content-type") or ""
    ticket = await run_in_threadpool(
        library.put,
        call.actor,
        place,
        body,
        media_type=media_type if place.home is Home.PHOTOS else "",
        conditions=conditions,
    )
    kept = await ticket
    return json_answer(item_document(kept.item), 201 if kept.created else 200, etag=etag_of(kept.item.digest))


def _check_collection(library: Library, place: Place) -> None:
    with library.reading(place.owner) as snapshot:
        require_collection(snapshot, place)


async def _remove(call: Call[ItemPath, OwnerQuery, Nothing]) -> Response:
    place = place_of(call.services.directory, call.actor, call.path, call.query.owner)
    await library_for(call, place).remove(call.actor, place, conditions=conditions_of(call))
    return done()


_ALL: Final = "/collections/{home}/{name}/items"
_ONE: Final = _ALL + "/{item}"

OPERATIONS: Final[tuple[Operation, ...]] = (
    declare(
        "listItems",
        f"GET {_ALL}",
        _list,
        Success(200, "A page of items.", ItemPage),
        summary="List the items of a collection, by name",
        description=(
            "To have everything and stay up to date: keep the state of the first page, read all pages, then ask for "
            "the changes since that state."
        ),
        area=AREA,
        path=CollectionPath,
        query=ListQuery,
        body=Nothing,
    ),
    declare(
        "readItem",
        f"GET {_ONE}",
        _get,
        OCTETS,
        NOT_CHANGED,
        summary="Read an item's bytes",
        area=AREA,
        path=ItemPath,
        query=OwnerQuery,
        body=Nothing,
        headers=(IF_MATCH, IF_NONE_MATCH),
    ),
    declare(
        "putItem",
        f"PUT {_ONE}",
        _put,
        Success(200, "It took the place of what was there.", ItemDocument, ("ETag",)),
        Success(201, "It is new.", ItemDocument, ("ETag",)),
        summary="Keep an item: a vCard, an iCalendar object, or a photo's bytes, under a name made by you",
        area=AREA,
        path=ItemPath,
        query=OwnerQuery,
        body=Nothing,
        headers=(IF_MATCH, IF_NONE_MATCH, IF_IN_STATE),
        takes_octets=True,
    ),
    declare(
        "removeItem",
        f"DELETE {_ONE}",
        _remove,
        DONE,
        summary="Remove an item; its history stays",
        area=AREA,
        path=ItemPath,
        query=OwnerQuery,
        body=Nothing,
        headers=(IF_MATCH, IF_NONE_MATCH, IF_IN_STATE),
    ),
)
