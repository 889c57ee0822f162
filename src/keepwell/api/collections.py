"""Collections: list, make, read, change and drop them; names are made by the client.

A collection's `state` is opaque and another one after every change of it or of an item in it; sent back as If-In-State
it guards a write, sent back to `changes` it says since when.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from keepwell.api.answers import DONE, done, json_answer
from keepwell.api.call import Call, Nothing, Services
from keepwell.api.conditions import library_for
from keepwell.api.operation import IF_IN_STATE, Operation, Success, declare
from keepwell.api.places import CollectionPath, OwnerQuery, own_place, place_of, require_collection
from keepwell.model.errors import BadRequest, Damaged, NotThere
from keepwell.model.names import HOME_OF, AccountId, Home, Kind
from keepwell.model.record import Properties
from keepwell.services.actor import Actor
from keepwell.services.content import COMPONENTS_OF, components_of
from keepwell.services.place import Place
from keepwell.services.state import state_of
from keepwell.storage.contract import Collection, Snapshot

AREA: Final = "Collections"
SHOWN_HOMES: Final = (Home.CONTACTS, Home.CALENDARS, Home.PHOTOS)

NewKind = Literal["contacts", "calendar", "tasks", "notes", "photos"]
Transparency = Literal["opaque", "transparent"]
Title = Annotated[str, Meta(max_length=1000)]
Words = Annotated[str, Meta(max_length=65_536)]
Component = Literal["VEVENT", "VTODO", "VJOURNAL"]


class CollectionDocument(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A collection as it is now."""

    owner: Annotated[str, Meta(description="The login of its owner.")]
    home: Home
    name: str
    kind: Kind
    access: Annotated[Literal["owner", "writer", "reader"], Meta(description="What you may do with it.")]
    state: Annotated[str, Meta(description="Opaque; another one after every change.")]
    count: Annotated[int, Meta(description="How many items are in it.")]
    octets: Annotated[int, Meta(description="How many bytes they have together.")]
    display_name: str | None
    description: str | None
    color: str | None
    order: str | None
    transparency: str | None
    timezone: Annotated[str | None, Meta(description="A VTIMEZONE, set by calendar programs.")]
    components: Annotated[list[str], Meta(description="The calendar components that it takes.")]


class CollectionList(msgspec.Struct, frozen=True):
    """Your own collections, then those that others share with you."""

    collections: list[CollectionDocument]


class NewCollection(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A collection to make."""

    name: Annotated[str, Meta(min_length=1, max_length=2000, description="Made by you; albums nest with slashes.")]
    kind: NewKind
    display_name: Title | None = None
    description: Words | None = None
    color: Title | None = None
    order: Title | None = None
    transparency: Transparency | None = None
    components: Annotated[list[Component] | None, Meta(description="Narrows what a calendar takes.")] = None


class CollectionPatch(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Properties to change: a value sets, null removes, what is left out stays."""

    display_name: Title | UnsetType | None = UNSET
    description: Words | UnsetType | None = UNSET
    color: Title | UnsetType | None = UNSET
    order: Title | UnsetType | None = UNSET
    transparency: Transparency | UnsetType | None = UNSET


def _sent_properties(body: NewCollection | CollectionPatch) -> dict[str, str | UnsetType | None]:
    """What the caller says of each property, by the name under which it is stored."""
    return {
        "displayname": body.display_name,
        "description": body.description,
        "color": body.color,
        "order": body.order,
        "transparency": body.transparency,
    }


async def _list(call: Call[Nothing, Nothing, Nothing]) -> Response:
    documents = await run_in_threadpool(_visible, call.services, call.actor)
    return json_answer(CollectionList(documents))


def _visible(services: Services, actor: Actor) -> list[CollectionDocument]:
    found = _of_owner(services, actor, actor.account)
    for owner in sorted({owner for owner, _, _ in actor.shared} - {actor.account}):
        try:
            found += _of_owner(services, actor, owner)
        except NotThere as error:
            # Left out, what they share would look as if it were gone.
            raise Damaged(f"the account {owner}, which shares with {actor.login}, is not there") from error
    return found


def _of_owner(services: Services, actor: Actor, owner: AccountId) -> list[CollectionDocument]:
    login = services.directory.login_of(owner) or ""
    with services.library.reading(owner) as snapshot:
        return [
            document_of(snapshot, actor, login, one)
            for one in snapshot.collections()
            if HOME_OF[one.kind] in SHOWN_HOMES and actor.may_see(owner, HOME_OF[one.kind], one.name)
        ]


def document_of(snapshot: Snapshot, actor: Actor, owner_login: str, collection: Collection) -> CollectionDocument:
    """A collection of this snapshot, which the actor may see, as it is told."""
    owner, home, properties = snapshot.account(), HOME_OF[collection.kind], collection.properties
    writes = actor.may_change(owner, home, collection.name)
    return CollectionDocument(
        owner=owner_login,
        home=home,
        name=collection.name,
        kind=collection.kind,
        access="owner" if owner == actor.account else "writer" if writes else "reader",
        state=str(state_of(snapshot, collection)),
        count=collection.count,
        octets=collection.octets,
        display_name=properties.get("displayname"),
        description=properties.get("description"),
        color=properties.get("color"),
        order=properties.get("order"),
        transparency=properties.get("transparency"),
        timezone=properties.get("timezone"),
        components=list(components_of(collection.kind, properties)),
    )


async def _make(call: Call[Nothing, Nothing, NewCollection]) -> Response:
    kind = Kind(call.body.kind)
    place = Place(call.actor.account, HOME_OF[kind], call.body.name)
    properties = _properties_of_new(kind, call.body)
    await call.services.library.make_collection(call.actor, place, kind, properties)
    return json_answer(await run_in_threadpool(_read, call.services, call.actor, place), 201)


def _properties_of_new(kind: Kind, new: NewCollection) -> Properties:
    properties = {name: value for name, value in _sent_properties(new).items() if isinstance(value, str)}
    if new.components is not None:
        _check_components(kind, new.components)
        properties["components"] = ",".join(dict.fromkeys(new.components))
    return properties


def _check_components(kind: Kind, components: list[Component]) -> None:
    taken = COMPONENTS_OF.get(kind, ())
    if not components or not set(components) <= set(taken):
        raise BadRequest(
            f"a collection of {kind} cannot take {', '.join(components) or 'nothing'}",
            hint=f"It may take {', '.join(taken)}." if taken else "Leave components out.",
        )


def _read(services: Services, actor: Actor, place: Place) -> CollectionDocument:
    with services.library.reading(place.owner) as snapshot:
        collection = require_collection(snapshot, place)
        return document_of(snapshot, actor, services.directory.login_of(place.owner) or "", collection)


async def _get(call: Call[CollectionPath, OwnerQuery, Nothing]) -> Response:
    place = place_of(call.services.directory, call.actor, call.path, call.query.owner)
    return json_answer(await run_in_threadpool(_read, call.services, call.actor, place))


async def _patch(call: Call[CollectionPath, Nothing, CollectionPatch]) -> Response:
    place = own_place(call.actor, call.path)
    changes = {name: value for name, value in _sent_properties(call.body).items() if not isinstance(value, UnsetType)}
    if not changes:
        raise BadRequest("the patch changes nothing", hint="Name at least one property.")
    await library_for(call, place).set_collection_properties(call.actor, place, changes)
    return json_answer(await run_in_threadpool(_read, call.services, call.actor, place))


async def _drop(call: Call[CollectionPath, Nothing, Nothing]) -> Response:
    place = own_place(call.actor, call.path)
    await library_for(call, place).drop_collection(call.actor, place)
    return done()


_ONE: Final = "/collections/{home}/{name}"

OPERATIONS: Final[tuple[Operation, ...]] = (
    declare(
        "listCollections",
        "GET /collections",
        _list,
        Success(200, "The collections.", CollectionList),
        summary="List the collections that you may see",
        area=AREA,
        path=Nothing,
        query=Nothing,
        body=Nothing,
    ),
    declare(
        "makeCollection",
        "POST /collections",
        _make,
        Success(201, "It was made.", CollectionDocument),
        summary="Make a collection",
        area=AREA,
        path=Nothing,
        query=Nothing,
        body=NewCollection,
    ),
    declare(
        "readCollection",
        f"GET {_ONE}",
        _get,
        Success(200, "The collection.", CollectionDocument),
        summary="Read a collection's state and properties",
        area=AREA,
        path=CollectionPath,
        query=OwnerQuery,
        body=Nothing,
    ),
    declare(
        "changeCollection",
        f"PATCH {_ONE}",
        _patch,
        Success(200, "It was changed.", CollectionDocument),
        summary="Change properties of a collection of yours",
        area=AREA,
        path=CollectionPath,
        query=Nothing,
        body=CollectionPatch,
        headers=(IF_IN_STATE,),
    ),
    declare(
        "dropCollection",
        f"DELETE {_ONE}",
        _drop,
        DONE,
        summary="Drop a collection of yours with its items; its history stays, and a rewind brings it back",
        area=AREA,
        path=CollectionPath,
        query=Nothing,
        body=Nothing,
        headers=(IF_IN_STATE,),
    ),
)
