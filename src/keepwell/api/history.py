"""The history of your own account: who changed what and when, every version of every item, and rewinds.

Nothing is ever taken out of the history. A rewind is new records, and can itself be rewound.
"""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from keepwell.api.answers import OCTETS, json_answer, octets_answer
from keepwell.api.call import Call, Nothing, Services
from keepwell.api.items import Limit
from keepwell.api.operation import Operation, Success, declare
from keepwell.api.places import CollectionPath, own_place
from keepwell.model.errors import BadRequest, NotThere
from keepwell.model.names import HOME_OF, Home, Kind
from keepwell.model.record import Op, Record
from keepwell.services.actor import Actor
from keepwell.services.history import HistoryQuery, Spot, list_records, read_version
from keepwell.services.rewind import Rewinder, RewindPlan, parse_target, sequence_at
from keepwell.storage.contract import Snapshot

AREA: Final = "History"
RECORDS_USUAL: Final = 100
SEQUENCE_MAX: Final = 2**53 - 1
"""The largest whole number that every JSON reader keeps exactly (RFC 8259 section 6)."""

Sequence = Annotated[int, Meta(ge=0, le=SEQUENCE_MAX, description="The number of a record.")]


class RecordDocument(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One record of the journal, without content."""

    sequence: int
    at: str
    by: Annotated[str, Meta(description="Who: an app password by its label, the operator, or keepwell.")]
    op: Op
    kind: Kind | None
    home: Home | None
    collection: str
    name: str
    uid: str
    media_type: str
    size: int | None
    digest: Annotated[str | None, Meta(description="SHA-256 of the bytes that it put.")]
    hash: Annotated[str, Meta(description="What proves the record; the next one names it.")]


class RecordPage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Records of the journal."""

    records: list[RecordDocument]
    has_more: Annotated[bool, Meta(description="Whether there are more of what was asked for.")]


class RecordQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which records."""

    limit: Limit = RECORDS_USUAL
    after: Annotated[
        Sequence | None,
        Meta(description="Oldest first, those after this sequence; when left out, the newest come first."),
    ] = None
    item: Annotated[str | None, Meta(description="Only those of the item with this name.")] = None


class VersionPath(msgspec.Struct, frozen=True):
    """A record's path."""

    sequence: Sequence


class RewindRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Where to rewind to: a moment or a record, one of the two."""

    to: Annotated[str | None, Meta(description="A moment as RFC 3339, 2026-11-23T10:00:00Z.")] = None
    to_sequence: Annotated[Sequence | None, Meta(description="Instead: the state after this record.")] = None
    dry_run: Annotated[bool, Meta(description="Only tell what would be done.")] = False
    only_if_based_on: Annotated[
        Sequence | None,
        Meta(description="Refuse when the collection changed since this record, the basedOn of a preview."),
    ] = None


class RewindDocument(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a rewind did, or would do."""

    done: Annotated[bool, Meta(description="False for a preview.")]
    to_sequence: Annotated[int, Meta(description="The record whose state the collection gets.")]
    based_on: Annotated[int, Meta(description="The collection's last record before; rewind to it to undo this.")]
    collection: Annotated[
        Literal["kept", "changed", "made", "dropped"], Meta(description="What becomes of the collection itself.")
    ]
    brought_back: Annotated[int, Meta(description="Items that are there again.")]
    changed_back: Annotated[int, Meta(description="Items that have earlier bytes or properties again.")]
    removed: Annotated[int, Meta(description="Items that were not there then.")]


async def _of_account(call: Call[Nothing, RecordQuery, Nothing]) -> Response:
    return json_answer(await run_in_threadpool(_records, call.services, call.actor, None, call.query))


async def _of_collection(call: Call[CollectionPath, RecordQuery, Nothing]) -> Response:
    place = own_place(call.actor, call.path)
    spot = (place.home, place.collection)
    return json_answer(await run_in_threadpool(_records, call.services, call.actor, spot, call.query))


def _records(services: Services, actor: Actor, spot: Spot | None, query: RecordQuery) -> RecordPage:
    with services.library.reading(actor.account) as snapshot:
        found = _chosen(snapshot, spot, query)
        if not found and query.after is None:
            what = "the account" if spot is None else "/".join(spot)
            item = "" if query.item is None else f" of {query.item}"
            raise NotThere(f"there is no record{item} in the history of {what}")
    chosen = found[: query.limit]
    return RecordPage(records=[_document(one) for one in chosen], has_more=len(found) > len(chosen))


def _chosen(snapshot: Snapshot, spot: Spot | None, query: RecordQuery) -> list[Record]:
    """The records asked for, and one more when there are more."""
    if query.after is None:
        return list_records(snapshot, HistoryQuery(spot, query.item, query.limit + 1))
    following = snapshot.records(query.after, collection=spot)
    wanted = (one for one in following if query.item is None or one.facts.name == query.item)
    return list(islice(wanted, query.limit + 1))


def _document(record: Record) -> RecordDocument:
    facts = record.facts
    return RecordDocument(
        sequence=facts.seq,
        at=facts.at,
        by=facts.by,
        op=facts.op,
        kind=facts.kind,
        home=None if facts.kind is None else HOME_OF[facts.kind],
        collection=facts.collection,
        name=facts.name,
        uid=facts.uid,
        media_type=facts.media_type,
        size=facts.size,
        digest=facts.digest,
        hash=record.hash,
    )


async def _version(call: Call[VersionPath, Nothing, Nothing]) -> Response:
    record, body = await run_in_threadpool(_read_version, call.services, call.actor, call.path.sequence)
    digest = record.facts.digest
    if digest is None:
        raise NotThere(f"record {record.facts.seq} has no content")
    return octets_answer(body, digest, record.facts.media_type)


def _read_version(services: Services, actor: Actor, sequence: int) -> tuple[Record, bytes]:
    with services.library.reading(actor.account) as snapshot:
        return read_version(snapshot, sequence)


async def _rewind(call: Call[CollectionPath, Nothing, RewindRequest]) -> Response:
    place, services = own_place(call.actor, call.path), call.services
    spot = (place.home, place.collection)
    rewinder = Rewinder(services.store, services.writers)
    target = await run_in_threadpool(_target, services, call.actor, call.body)
    plan = await run_in_threadpool(rewinder.preview, call.actor, spot, target)
    if not call.body.dry_run:
        based_on = call.body.only_if_based_on
        ticket = await run_in_threadpool(rewinder.rewind, call.actor, plan, only_if_based_on=based_on)
        plan = await ticket
    return json_answer(_rewind_document(plan, is_done=not call.body.dry_run))


def _target(services: Services, actor: Actor, request: RewindRequest) -> int:
    """The record to rewind to. Raises BadRequest, NotThere."""
    if (request.to is None) == (request.to_sequence is None):
        raise BadRequest("a rewind needs to or toSequence", hint="Give one of the two.")
    if request.to is None:
        return request.to_sequence or 0
    try:
        moment = parse_target(request.to)
    except (ValueError, OverflowError) as error:
        # Moments near the ends of the calendar cannot be told in UTC.
        raise BadRequest(f"{request.to[:80]!r} is not a moment", hint="Write 2026-11-23T10:00:00Z.") from error
    with services.library.reading(actor.account) as snapshot:
        return sequence_at(snapshot, moment)


def _rewind_document(plan: RewindPlan, *, is_done: bool) -> RewindDocument:
    brought_back = sum(step.is_new for step in plan.steps)
    return RewindDocument(
        done=is_done,
        to_sequence=plan.target,
        based_on=plan.based_on,
        collection=_fate(plan),
        brought_back=brought_back,
        changed_back=plan.count(Op.PUT) - brought_back,
        removed=plan.count(Op.REMOVE),
    )


def _fate(plan: RewindPlan) -> Literal["kept", "changed", "made", "dropped"]:
    if plan.count(Op.MAKE):
        return "made"
    if plan.count(Op.DROP):
        return "dropped"
    return "changed" if plan.count(Op.SET) else "kept"


_COLLECTION: Final = "/collections/{home}/{name}"

OPERATIONS: Final[tuple[Operation, ...]] = (
    declare(
        "listHistory",
        "GET /history",
        _of_account,
        Success(200, "Records.", RecordPage),
        summary="Tell who changed what in your account, and when",
        area=AREA,
        path=Nothing,
        query=RecordQuery,
        body=Nothing,
    ),
    declare(
        "readVersion",
        "GET /history/{sequence}",
        _version,
        OCTETS,
        summary="Read the bytes that a record put: an earlier version of an item",
        area=AREA,
        path=VersionPath,
        query=Nothing,
        body=Nothing,
    ),
    declare(
        "listCollectionHistory",
        f"GET {_COLLECTION}/history",
        _of_collection,
        Success(200, "Records.", RecordPage),
        summary="Tell who changed what in a collection of yours, also in one that was dropped",
        area=AREA,
        path=CollectionPath,
        query=RecordQuery,
        body=Nothing,
    ),
    declare(
        "rewindCollection",
        f"POST {_COLLECTION}/rewind",
        _rewind,
        Success(200, "What was done, or would be.", RewindDocument),
        summary="Make a collection of yours again what it was, all or nothing; a rewind can be rewound",
        area=AREA,
        path=CollectionPath,
        query=Nothing,
        body=RewindRequest,
    ),
)
