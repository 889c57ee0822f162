"""PROPFIND (RFC 4918 section 9.1) with Depth 0 and 1; infinity is refused by its precondition (section 9.1.1).

The `depth-noroot` preference (RFC 8144 section 3) leaves the resource itself out of a Depth 1 answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepwell.dav.errors import DavRefused
from keepwell.dav.multistatus import HEAD, TAIL
from keepwell.dav.options import CLASSES
from keepwell.dav.properties import PropertyPlan, plan_properties
from keepwell.dav.request import INFINITY, DavRequest, DavResponse, in_worker, xml_response
from keepwell.dav.resources import Resource, collections_in, load, locate, members, require_visible
from keepwell.dav.scene import Header, scene_of
from keepwell.storage.contract import Snapshot

_INFINITE: Final = "<D:propfind-finite-depth/>"


async def propfind(request: DavRequest) -> DavResponse:
    """Answer with the properties of a resource and, with Depth 1, of its members."""
    depth = request.depth
    if depth == INFINITY:
        raise DavRefused(403, "PROPFIND of infinite depth is not done here", condition=_INFINITE)
    plan = plan_properties(await request.xml())
    without_root = depth == "1" and "depth-noroot" in request.prefer
    answer = _Answer(request, plan, members=depth == "1", root=not without_root)
    # Depth 0 reads one or two rows, for which a thread costs more than it saves.
    body = answer.body() if depth == "0" else await in_worker(answer.body)
    headers = _headers(request, without_root=without_root)
    return xml_response(207, body, *headers, *answer.location())


def _headers(request: DavRequest, *, without_root: bool) -> list[Header]:
    headers = [(b"dav", CLASSES.encode())]
    applied = [b"return=minimal"] * request.minimal + [b"depth-noroot"] * without_root
    if applied:
        headers.append((b"preference-applied", b", ".join(applied)))
    return headers


class _Answer:
    """One PROPFIND, ready to be rendered on any thread."""

    def __init__(self, request: DavRequest, plan: PropertyPlan, *, members: bool, root: bool) -> None:
        self._request = request
        self._plan = plan
        self._scene = scene_of(request)
        self._members = members
        self._root = root
        self._found: Resource | None = None

    def body(self) -> bytes:
        """The whole document."""
        return "".join((HEAD, *self._responses(), TAIL)).encode()

    def location(self) -> list[Header]:
        """Content-Location, when a collection was asked for without its closing slash (RFC 4918 section 5.2)."""
        found = self._found
        if found is None or found.item is not None or self._request.target.slashed:
            return []
        return [(b"content-location", found.href.encode())]

    def _responses(self) -> Iterator[str]:
        request = self._request
        if not request.target.login:
            yield from self._ownerless()
            return
        owner = require_visible(request.directory, request.actor, request.target)
        with request.library.reading(owner) as snapshot:
            resource = self._found = load(snapshot, request.actor, owner, request.target)
            if self._root:
                yield self._plan.render(self._scene, resource)
            if self._members and resource.item is None:
                yield from self._within(snapshot, resource)

    def _ownerless(self) -> Iterator[str]:
        request = self._request
        resource = self._found = locate(request.library, request.directory, request.actor, request.target)
        if self._root:
            yield self._plan.render(self._scene, resource)
        if self._members:
            for member in members(resource, request.library, request.directory, request.actor):
                yield self._plan.render(self._scene, member)

    def _within(self, snapshot: Snapshot, resource: Resource) -> Iterator[str]:
        for member in collections_in(snapshot, resource, self._request.actor):
            yield self._plan.render(self._scene, member)
        if resource.collection is not None:
            render = self._plan.for_items(self._scene, resource).render
            yield from map(render, snapshot.items(resource.collection.id))
