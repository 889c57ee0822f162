"""COPY and MOVE (RFC 4918 sections 9.8 and 9.9).

Items go anywhere that takes their content; collections stay in their home. When a file is put in place of a folder,
or a folder in place of a file, the old one is removed first (9.8.4), in the same transaction: what is refused leaves
the destination as it was, and what was removed stays in the history.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from keepwell.dav.conditions import write_conditions
from keepwell.dav.errors import DavRefused, condition_in, error_response
from keepwell.dav.items import check_on_collection, find_item, require_name, require_whole_depth
from keepwell.dav.origins import is_own_host
from keepwell.dav.paths import Sort, Target, parse_path
from keepwell.dav.request import INFINITY, DavRequest, DavResponse, in_worker, owner_of
from keepwell.dav.resources import Resource, locate
from keepwell.model.errors import AlreadyThere, BadRequest, Forbidden, KeepwellError, NotThere, PreconditionFailed
from keepwell.model.names import AccountId, Home
from keepwell.model.preconditions import etag_of
from keepwell.services.place import Place
from keepwell.storage.contract import Item

_LOCATION: Final = {
    Home.CONTACTS: "addressbook-collection-location-ok",
    Home.CALENDARS: "calendar-collection-location-ok",
}


@dataclass(frozen=True, slots=True)
class _Transfer:
    """One COPY or MOVE, decided: from where, to where, and what is there now."""

    source: Place
    target: Target
    place: Place
    overwrite: bool
    keep_source: bool
    in_the_way: Place | None
    """Something of the other sort (a folder for a file, a file for a folder) that must go first."""


async def copy(request: DavRequest) -> DavResponse:
    """COPY."""
    return await _transfer(request, keep_source=True)


async def move(request: DavRequest) -> DavResponse:
    """MOVE: a copy and a removal, in one."""
    return await _transfer(request, keep_source=False)


async def _transfer(request: DavRequest, *, keep_source: bool) -> DavResponse:
    destination = read_destination(request)
    source = locate(request.library, request.directory, request.actor, request.target)
    if source.collection is None:
        raise Forbidden(f"{source.href} cannot be copied or moved")
    if source.item is None and not keep_source:
        require_whole_depth(request)
    transfer = _plan(request, source, destination, keep_source=keep_source)
    try:
        if source.item is not None:
            return await _transfer_item(request, source.item, transfer)
        return await _transfer_collection(request, source, transfer)
    except AlreadyThere as error:
        # RFC 4918 section 10.6: Overwrite is F, and there is something.
        raise PreconditionFailed(error.message) from error
    except NotThere as error:
        # RFC 4918 sections 9.8.5, 9.9.4: the collection that it should go into is missing.
        raise DavRefused(409, error.message) from error
    except KeepwellError as error:
        # What is wrong with the content is wrong at the destination, and is told in its terms.
        return error_response(error, transfer.target)


def read_destination(request: DavRequest) -> Target:
    """The Destination header (RFC 4918 section 10.3): a URI or an absolute path, on this host."""
    text = request.header(b"destination")
    if not text:
        raise BadRequest(f"a {request.method} needs a Destination header")
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise BadRequest(f"the destination {text!r} is no URI") from error
    if parts.netloc and not is_own_host(request, parts):
        raise DavRefused(502, f"the destination {text} is on another server")
    if "#" in text:
        raise BadRequest("the Destination has a fragment")
    try:
        return parse_path(parts.path)
    except NotThere as error:
        raise DavRefused(409, f"the destination {text} is not in the space of this service") from error


def _overwrite(request: DavRequest) -> bool:
    text = (request.header(b"overwrite") or "T").upper()
    if text not in {"T", "F"}:
        raise BadRequest(f"the Overwrite header is {text!r}", hint="It may be T or F.")
    return text == "T"


def _plan(request: DavRequest, source: Resource, destination: Target, *, keep_source: bool) -> _Transfer:
    as_item = source.item is not None
    target = _as_item(destination) if as_item else _as_collection(destination)
    owner = _owner(request, target)
    present = _present(request, destination)
    overwrite = _overwrite(request)
    if present is not None and not overwrite:
        raise PreconditionFailed(f"there is a {present.href} already, and Overwrite is F")
    blocking = present is not None and (present.item is not None) is not as_item
    in_the_way = present.target.place(owner) if present is not None and blocking else None
    place_of_source = source.target.place(request.owner())
    return _Transfer(place_of_source, target, target.place(owner), overwrite, keep_source, in_the_way)


def _owner(request: DavRequest, target: Target) -> AccountId:
    """Whose the destination is. Whether an account is not there or not to be seen, the answer is the same."""
    try:
        return owner_of(target, request.directory, request.actor)
    except NotThere as error:
        raise DavRefused(409, error.message) from error


def _present(request: DavRequest, destination: Target) -> Resource | None:
    try:
        return locate(request.library, request.directory, request.actor, destination)
    except NotThere:
        return None


def _as_item(target: Target) -> Target:
    """The destination read as an item. Raises DavRefused where no item can be."""
    if target.is_item:
        require_name(target)
        return target
    above, slash, name = target.collection.rpartition("/")
    if target.sort is Sort.COLLECTION and slash:
        return Target(Sort.ITEM, target.login, target.home, above, name)
    raise DavRefused(403, f"an item cannot be at {target.href}: items go into collections")


def _as_collection(target: Target) -> Target:
    """The destination read as a collection. Raises DavRefused where no collection can be."""
    if target.is_item and target.home is Home.PHOTOS:
        return target.as_collection
    if target.sort is Sort.COLLECTION:
        return target
    local = _LOCATION.get(target.home) if target.home is not None else None
    condition = condition_in(target.home, local) if local else ""
    raise DavRefused(403, f"a collection cannot be at {target.href}", condition=condition)


async def _transfer_item(request: DavRequest, item: Item, transfer: _Transfer) -> DavResponse:
    conditions = write_conditions(request, partial(find_item, request))
    # Checked before the shares of a folder in the way are ended, and once more inside the transaction.
    conditions.check(item.digest, str(transfer.source))
    submit = partial(
        request.library.copy if transfer.keep_source else request.library.move,
        request.actor,
        transfer.source,
        transfer.place,
        overwrite=transfer.overwrite,
        conditions=conditions,
        in_the_way=transfer.in_the_way,
    )
    # Between accounts the bytes are read and examined before the write is queued.
    between_accounts = transfer.source.owner != transfer.place.owner
    kept = await (await in_worker(submit) if between_accounts else submit())
    is_new = kept.created and transfer.in_the_way is None
    return DavResponse(201 if is_new else 204, [(b"etag", etag_of(kept.item.digest).encode())])


async def _transfer_collection(request: DavRequest, source: Resource, transfer: _Transfer) -> DavResponse:
    check_on_collection(write_conditions(request, partial(find_item, request)), source.target)
    depth = request.depth
    if depth not in {"0", INFINITY}:
        raise BadRequest("a COPY of a collection has a Depth of 0 or infinity")
    carry = partial(request.library.move_collection, request.actor)
    if transfer.keep_source:
        carry = partial(request.library.copy_collection, request.actor, shallow=depth == "0")
    ticket = carry(transfer.source, transfer.place, overwrite=transfer.overwrite, in_the_way=transfer.in_the_way)
    is_new = await ticket and transfer.in_the_way is None
    return DavResponse(201 if is_new else 204)
