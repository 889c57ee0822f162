"""`DAV:sync-collection` (RFC 6578): what changed in a collection since a token.

Promises: the names in an answer and its token come from one snapshot; a token that this history cannot answer is
refused by `DAV:valid-sync-token`, never answered with an empty set; one of a future that was lost, also of a collection
that was lost with it, is answered 503; a truncated answer ends with a token that
continues exactly after it, so nothing is lost whatever is written between two pages. The cost depends on the number
of changes, not on the size of the collection.

The Depth header is not looked at: clients send 0 (RFC 6578 section 3.2) or 1 (drafts before it), and the sync level
says all.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from lxml import etree

from keepwell.dav.errors import DavRefused
from keepwell.dav.multistatus import multistatus, not_found, truncated
from keepwell.dav.names import dav
from keepwell.dav.properties import PropertyPlan, plan_properties
from keepwell.dav.reports.question import Question, Report
from keepwell.dav.reports.results import render_items, results_limit
from keepwell.dav.reports.sync_folders import FolderChange, folder_changes
from keepwell.dav.request import DavRequest, DavResponse
from keepwell.dav.tokens import parse_token, render_token
from keepwell.dav.xml import empty, escape, text_of
from keepwell.model.errors import BadRequest, StaleToken
from keepwell.model.names import Home
from keepwell.services.state import CollectionState, require_known
from keepwell.storage.contract import Change

EVERYTHING: Final = 1 << 40
"""A limit that no collection reaches."""


@dataclass(frozen=True, slots=True)
class Page:
    """What one answer tells: changes in their order, and the sequence after which the next answer continues."""

    changes: Sequence[Change | FolderChange]
    sequence: int
    is_whole: bool


def answer(question: Question) -> DavResponse:
    """The multistatus with its new token. Raises StaleToken, BadRequest, DavRefused."""
    after = _sequence_asked(question)
    _check_level(question)
    limit = results_limit(question.root, dav("limit"), dav("nresults"))
    plan = plan_properties(question.root)
    page = _page(question, after, EVERYTHING if limit is None else limit)
    token = render_token(replace(_state_now(question), sequence=page.sequence))
    responses = _responses(question, plan, page)
    if not page.is_whole:
        responses.append(truncated(question.resource.href))
    return multistatus(responses, tail=f"<D:sync-token>{escape(token)}</D:sync-token>\n")


def _sequence_asked(question: Question) -> int:
    """The sequence that the client has; 0 for an initial sync (RFC 6578 section 3.4)."""
    element = question.root.find(dav("sync-token"))
    if element is None:
        raise BadRequest("the request has no DAV:sync-token", hint="An initial sync has an empty one.")
    text = text_of(element)
    if not text:
        return 0
    state, request = parse_token(text), question.request
    require_known(request.library, request.actor, question.required_snapshot(), state, _state_now(question))
    return state.sequence


def look_for_future(request: DavRequest, root: etree._Element) -> None:
    """Raise FutureState when an owner's client has a token of a collection that is not here and should be."""
    element, owner = root.find(dav("sync-token")), request.owner()
    text = "" if element is None else text_of(element)
    if not text or owner != request.actor.account:
        return
    with suppress(StaleToken), request.library.reading(owner) as snapshot:
        require_known(request.library, request.actor, snapshot, parse_token(text), None)


def _state_now(question: Question) -> CollectionState:
    """Up to where the answer tells. A folder's own sequence does not move when folders come and go in it."""
    snapshot, collection = question.required_snapshot(), question.collection()
    in_photos = question.resource.home is Home.PHOTOS
    sequence = snapshot.head().sequence if in_photos else collection.sequence
    return CollectionState(snapshot.lineage(), collection.id, sequence)


def _check_level(question: Question) -> None:
    element = question.root.find(dav("sync-level"))
    # Before RFC 6578 the level was the Depth header; a request without either is malformed.
    level = text_of(element).lower() if element is not None else question.depth("absent")
    if level not in {"1", "infinite", "infinity"}:
        raise BadRequest(f"the DAV:sync-level is {level!r}", hint="It may be 1 or infinite.")
    if level != "1" and question.resource.home is Home.PHOTOS:
        condition = empty(dav("sync-traversal-supported"))
        raise DavRefused(403, "folders are synced one by one, with a sync level of 1", condition=condition)


def _page(question: Question, after: int, limit: int) -> Page:
    snapshot = question.required_snapshot()
    found: list[Change | FolderChange] = list(snapshot.changes(question.collection().id, after, limit + 1))
    if question.resource.home is Home.PHOTOS:
        folders = folder_changes(snapshot, question.resource, question.scene.actor, after)
        found = sorted((*found, *folders), key=lambda change: change.sequence)
    if len(found) > limit:
        return Page(found[:limit], found[limit - 1].sequence, is_whole=False)
    return Page(found, _state_now(question).sequence, is_whole=True)


def _responses(question: Question, plan: PropertyPlan, page: Page) -> list[str]:
    items = [change.item for change in page.changes if isinstance(change, Change) and change.item is not None]
    responses = render_items(question, plan, items)
    for change in page.changes:
        if isinstance(change, FolderChange):
            responses.append(_folder_response(question, plan, change))
        elif change.item is None:
            responses.append(not_found(question.item_href(change.name)))
    return responses


def _folder_response(question: Question, plan: PropertyPlan, change: FolderChange) -> str:
    if change.folder is None:
        return not_found(f"{question.item_href(change.name)}/")
    return plan.render(question.scene, change.folder)


REPORT: Final = Report(dav("sync-collection"), answer, look_for_future)
