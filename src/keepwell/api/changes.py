"""What changed in a collection since a state (`Foo/changes` of RFC 8620 section 5.2).

Promises: names and new state come from one snapshot; a state that this history cannot answer is refused with
`cannotCalculateChanges`, never answered with "nothing"; a page that is not the last ends with a state that continues
exactly after it. The cost depends on the number of changes, not on the size of the collection.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from keepwell.api.answers import json_answer
from keepwell.api.call import Call, Nothing
from keepwell.api.items import PAGE_USUAL, Limit
from keepwell.api.operation import Operation, Success, declare
from keepwell.api.places import CollectionPath, OwnerLogin, place_of, require_collection
from keepwell.model.names import Home
from keepwell.model.preconditions import etag_of
from keepwell.services.actor import Actor
from keepwell.services.library import Library
from keepwell.services.place import Place
from keepwell.services.state import CollectionState, parse_state, require_known, state_of
from keepwell.storage.contract import Item, Snapshot

AREA: Final = "Items"


class ChangedItem(msgspec.Struct, frozen=True):
    """An item that is there now."""

    name: str
    etag: str


class Changes(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What leads from the old state to the new one; each name is in one of the lists at most."""

    old_state: str
    new_state: Annotated[str, Meta(description="Ask with this next time.")]
    has_more_changes: bool
    created: Annotated[list[ChangedItem], Meta(description="Items that were made since.")]
    updated: Annotated[list[ChangedItem], Meta(description="Items whose bytes or properties were changed since.")]
    removed: Annotated[list[str], Meta(description="Names of items that were there and are not any more.")]


class ChangesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Since when."""

    since: Annotated[str | None, Meta(description="A state; everything from the beginning when left out.")] = None
    limit: Limit = PAGE_USUAL
    owner: OwnerLogin = None


async def _changes(call: Call[CollectionPath, ChangesQuery, Nothing]) -> Response:
    place = place_of(call.services.directory, call.actor, call.path, call.query.owner)
    return json_answer(await run_in_threadpool(_tell, call.services.library, call.actor, place, call.query))


def _tell(library: Library, actor: Actor, place: Place, query: ChangesQuery) -> Changes:
    with library.reading(place.owner) as snapshot:
        since = _since(library, actor, snapshot, place, query.since)
        collection = require_collection(snapshot, place)
        now = state_of(snapshot, collection)
        since = since or replace(now, sequence=0)
        found = snapshot.changes(collection.id, since.sequence, query.limit + 1)
        chosen = found[: query.limit]
        has_more = len(found) > len(chosen)
        items = [change.item for change in chosen if change.item is not None]
        moment = _moment_of(snapshot, since.sequence)
    new_state = replace(now, sequence=chosen[-1].sequence) if has_more else now
    return Changes(
        old_state=str(since),
        new_state=str(new_state),
        has_more_changes=has_more,
        created=[_changed(item) for item in items if item.created > moment],
        updated=[_changed(item) for item in items if item.created <= moment],
        removed=[change.name for change in chosen if change.item is None],
    )


def _since(
    library: Library, actor: Actor, snapshot: Snapshot, place: Place, text: str | None
) -> CollectionState | None:
    """The state that the client has; looked at before its collection is told not to be there."""
    if text is None:
        return None
    since, found = parse_state(text), snapshot.collection(place.home, place.collection)
    now = None if found is None else state_of(snapshot, found)
    if now is not None and place.home is Home.PHOTOS:
        # A sync token of photos is of the account's last record, and may be brought here as a state.
        now = replace(now, sequence=snapshot.head().sequence)
    require_known(library, actor, snapshot, since, now)
    return since


def _moment_of(snapshot: Snapshot, sequence: int) -> str:
    """The moment of a record, by which items made since are told from those that were changed; empty before all."""
    record = next(snapshot.records(sequence - 1), None) if sequence else None
    return "" if record is None else record.facts.at


def _changed(item: Item) -> ChangedItem:
    return ChangedItem(item.name, etag_of(item.digest))


OPERATIONS: Final[tuple[Operation, ...]] = (
    declare(
        "listChanges",
        "GET /collections/{home}/{name}/changes",
        _changes,
        Success(200, "The changes.", Changes),
        summary="Tell what changed in a collection since a state",
        description=(
            "A state that this history cannot answer is refused with 409 and the problem cannotCalculateChanges: start "
            "over without a state. An item that was removed and made again under its name counts as created."
        ),
        area=AREA,
        path=CollectionPath,
        query=ChangesQuery,
        body=Nothing,
    ),
)
