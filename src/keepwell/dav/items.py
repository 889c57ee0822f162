"""PUT (RFC 4918 9.7, RFC 4791 5.3.2, RFC 6352 6.3.2), POST to add a member (RFC 5995) and DELETE (RFC 4918 9.6).

A 2xx to a write means that it is committed and synced. A PUT answers with a strong entity tag, because the bytes are
kept as they came. Small items are examined on the event loop, large ones on a worker thread.
"""

from __future__ import annotations

import mimetypes
from functools import partial
from typing import Final

from keepwell.dav.conditions import write_conditions
from keepwell.dav.errors import DavRefused
from keepwell.dav.live_webdav import ADD_MEMBER_NAME
from keepwell.dav.options import allow_header
from keepwell.dav.origins import require_own_site
from keepwell.dav.paths import Sort, Target, parse_path
from keepwell.dav.request import INFINITY, DavRequest, DavResponse, in_worker
from keepwell.dav.resources import load, locate, require_visible
from keepwell.ground.entropy import SystemEntropy, base32_word
from keepwell.model.errors import BadRequest, Forbidden, NotThere, PreconditionFailed
from keepwell.model.names import Home
from keepwell.model.preconditions import ANY, UNCONDITIONAL, Conditions, etag_of
from keepwell.services.content import octets_max
from keepwell.services.place import Kept
from keepwell.storage.contract import Item

WORKER_OCTETS: Final = 128 * 1024
"""From this size on, an item is examined on a worker thread: it would hold up the others for milliseconds."""

_EXTENSIONS: Final = {Home.CONTACTS: ".vcf", Home.CALENDARS: ".ics"}
_ENTROPY: Final = SystemEntropy()


async def put(request: DavRequest) -> DavResponse:
    """Keep the body at the target: 201 when it is new, 204 when it replaced something."""
    target = request.target
    if target.sort is not Sort.ITEM:
        raise _refuse_put(request)
    require_name(target)
    if b"content-range" in request.headers:
        raise BadRequest("a PUT of a part is not done here (RFC 9110 section 14.4)")
    kept = await _keep(request, target, write_conditions(request, partial(find_item, request)))
    return DavResponse(201 if kept.created else 204, [(b"etag", etag_of(kept.item.digest).encode())])


async def _keep(request: DavRequest, target: Target, conditions: Conditions) -> Kept:
    home = target.required_home()
    if request.headers.get(b"content-encoding", b"identity") != b"identity":
        raise DavRefused(415, "the body is encoded, and would be kept so", headers=((b"accept-encoding", b""),))
    place = target.place(request.owner())
    # Asked before the body is read, so that nobody uploads in vain.
    request.actor.require_change(place.owner, place.home, place.collection)
    body = await request.body(octets_max(home))
    media_type = _media_type(request, target) if home is Home.PHOTOS else ""
    submit = partial(request.library.put, request.actor, place, body, media_type=media_type, conditions=conditions)
    ticket = submit() if len(body) < WORKER_OCTETS else await in_worker(submit)
    try:
        return await ticket
    except NotThere as error:
        # RFC 4918 section 9.7.1: without its collection, an item cannot be made.
        raise DavRefused(409, error.message) from error


def require_name(target: Target) -> None:
    """Raise Forbidden when an item would have the name of the URL that takes POST."""
    if target.name == ADD_MEMBER_NAME:
        raise Forbidden(f"no item can be named {ADD_MEMBER_NAME}: a POST there adds members (RFC 5995)")


def _refuse_put(request: DavRequest) -> DavRefused:
    """A PUT never replaces a collection (RFC 4918 section 9.7.2)."""
    target = request.target
    try:
        locate(request.library, request.directory, request.actor, target)
    except NotThere:
        if target.sort is Sort.COLLECTION and request.owner() == request.actor.account:
            return DavRefused(409, "items go into collections, and there is none here")
        raise
    return DavRefused(405, "this is a collection, which a PUT does not replace", headers=(allow_header(target),))


def _media_type(request: DavRequest, target: Target) -> str:
    sent = request.header(b"content-type")
    return sent or mimetypes.guess_type(target.name)[0] or "application/octet-stream"


def find_item(request: DavRequest, path: str | None) -> Item | None:
    """The present item of the request, or of another path (of an If header); None when there is none to be seen."""
    try:
        target = request.target if path is None else parse_path(path)
        return locate(request.library, request.directory, request.actor, target).item
    except (NotThere, BadRequest):
        return None


async def add_member(request: DavRequest) -> DavResponse:
    """Keep the body in the collection, under a name made here (RFC 5995): 201 and its Location."""
    target = request.target
    if not (target.sort is Sort.COLLECTION or target.name == ADD_MEMBER_NAME):
        raise DavRefused(405, "POST only adds members to collections", headers=(allow_header(target),))
    require_own_site(request)
    home = target.required_home()
    word = base32_word(_ENTROPY, 100)
    extension = _EXTENSIONS.get(home) or mimetypes.guess_extension(_posted_type(request)) or ""
    new = Target(Sort.ITEM, target.login, home, target.collection, word + extension)
    kept = await _keep(request, new, Conditions(if_none_match=(ANY,)))
    location = (b"location", new.href.encode())
    return DavResponse(201, [location, (b"etag", etag_of(kept.item.digest).encode())])


def _posted_type(request: DavRequest) -> str:
    return (request.header(b"content-type") or "").partition(";")[0].strip()


async def remove(request: DavRequest) -> DavResponse:
    """Remove an item, or drop a collection with everything in it."""
    target = request.target
    if target.sort not in (Sort.ITEM, Sort.COLLECTION):
        raise Forbidden(f"{target.href} cannot be removed")
    require_whole_depth(request)
    conditions = write_conditions(request, partial(find_item, request))
    if target.is_item:
        try:
            await request.library.remove(request.actor, target.place(request.owner()), conditions=conditions)
        except NotThere:
            if target.home is not Home.PHOTOS:
                raise
        else:
            return DavResponse(204)
        target = target.as_collection
    await _drop(request, target, conditions)
    return DavResponse(204)


async def _drop(request: DavRequest, target: Target, conditions: Conditions) -> None:
    owner = require_visible(request.directory, request.actor, target)
    if conditions is not UNCONDITIONAL:
        with request.library.reading(owner) as snapshot:
            load(snapshot, request.actor, owner, target)
        check_on_collection(conditions, target)
    await request.library.drop_collection(request.actor, target.place(owner))


def check_on_collection(conditions: Conditions, target: Target) -> None:
    """Raise PreconditionFailed unless the conditions hold for a collection that exists: it has no entity tag."""
    matches = conditions.if_match is None or ANY in conditions.if_match
    if not matches or (conditions.if_none_match is not None and ANY in conditions.if_none_match):
        raise PreconditionFailed(f"a condition does not hold for {target.href}, which has no entity tag")


def require_whole_depth(request: DavRequest) -> None:
    """Raise BadRequest unless the Depth is infinity, which is all that may be said here (RFC 4918 9.6.1, 9.9.2)."""
    if request.depth != INFINITY and not request.target.is_item:
        raise BadRequest(f"{request.method} of a collection is of infinite depth", hint="Leave Depth out.")
