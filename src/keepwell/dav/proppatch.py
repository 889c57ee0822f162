"""PROPPATCH (RFC 4918 section 9.2): properties are changed all together or not at all, in document order."""

from __future__ import annotations

from keepwell.dav.conditions import write_conditions
from keepwell.dav.items import check_on_collection, find_item
from keepwell.dav.multistatus import multistatus
from keepwell.dav.names import dav
from keepwell.dav.propertyset import PROTECTED, Draft, read_update
from keepwell.dav.request import DavRequest, DavResponse
from keepwell.dav.resources import Resource, locate
from keepwell.dav.scene import MINIMAL_APPLIED
from keepwell.model.errors import BadRequest
from keepwell.model.record import Properties


async def proppatch(request: DavRequest) -> DavResponse:
    """Change properties of a collection or an item; whatever else there is has none that can be changed."""
    root = await request.xml()
    if root is None or root.tag != dav("propertyupdate"):
        raise BadRequest("a PROPPATCH needs a DAV:propertyupdate as its body")
    resource = locate(request.library, request.directory, request.actor, request.target)
    _check_conditions(request, resource)
    draft = Draft(resource.home, on_collection=resource.item is None)
    read_update(root, draft)
    if resource.collection is None:
        draft.rejected.update(dict.fromkeys(draft.names, PROTECTED))
    draft.reject_beyond_room(_present_properties(resource))
    if draft.changes and not draft.rejected:
        await _store(request, resource, draft)
    if request.minimal and not draft.rejected:
        return DavResponse(204, [MINIMAL_APPLIED])
    return multistatus([f"<D:response><D:href>{resource.href}</D:href>{draft.propstats()}</D:response>\n"])


def _check_conditions(request: DavRequest, resource: Resource) -> None:
    conditions = write_conditions(request, lambda path: find_item(request, path))
    if resource.item is None:
        check_on_collection(conditions, resource.target)
    else:
        conditions.check(resource.item.digest, resource.href)


def _present_properties(resource: Resource) -> Properties:
    if resource.item is not None:
        return resource.item.properties or {}
    return {} if resource.collection is None else resource.collection.properties


async def _store(request: DavRequest, resource: Resource, draft: Draft) -> None:
    place = resource.target.place(request.owner())
    if resource.item is None:
        await request.library.set_collection_properties(request.actor, place, draft.changes)
    else:
        await request.library.set_item_properties(request.actor, place, draft.changes)
