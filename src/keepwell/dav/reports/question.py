"""One REPORT request as its report sees it, and what a report is: a declared object in the table of this package.

A report works on one snapshot: the collection that it describes, the items that it lists and the token that it gives
belong to the same moment. It runs on a worker thread, because its work grows with what it finds; reports have few
threads of their own, so that nobody who lists a folder or loads a photo waits for them. The work that following
recurrences takes is bounded for all objects of a request together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from keepwell.dav.errors import DavRefused, condition_in
from keepwell.dav.live_webdav import reports_on
from keepwell.dav.liveproperty import Scene
from keepwell.dav.names import caldav, carddav, dav
from keepwell.dav.paths import Target, collection_href, encode
from keepwell.dav.request import DavRequest, DavResponse
from keepwell.dav.resources import Resource, collections_in, load, locate, members, require_visible
from keepwell.dav.scene import MINIMAL_APPLIED, scene_of
from keepwell.dav.xml import empty
from keepwell.formats.expansion import Budget
from keepwell.model.errors import BadRequest, NotThere
from keepwell.model.names import Home
from keepwell.services.query.effort import Effort
from keepwell.services.query.errors import InvalidFilter
from keepwell.storage.contract import Collection, Snapshot

_ON_ITEMS: Final = frozenset(
    {
        caldav("calendar-query"),
        caldav("calendar-multiget"),
        carddav("addressbook-query"),
        carddav("addressbook-multiget"),
        dav("expand-property"),
    }
)
"""Reports that an item can answer about itself (RFC 4791 section 7, RFC 6352 section 8)."""


STEPS_PER_REQUEST: Final = 2_000_000
"""Steps that following recurrences may take for one request, about two seconds; a month of a large calendar takes
some thousands."""

_THREADS: Final = ThreadPoolExecutor(2, thread_name_prefix="report")


def _budget() -> Budget:
    return Budget(STEPS_PER_REQUEST)


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks (`request`), about what (`resource`), how (`root`), in front of which snapshot of the owner's account.

    What belongs to nobody (the root, the list of principals) has no snapshot. `budget` is what all recurrences that are
    followed for it may cost together, `effort` what comparing all objects with its filter may.
    """

    request: DavRequest
    resource: Resource
    root: etree._Element
    scene: Scene
    snapshot: Snapshot | None = None
    budget: Budget = field(default_factory=_budget)
    effort: Effort = field(default_factory=Effort)

    def required_snapshot(self) -> Snapshot:
        """The snapshot of a resource that has an owner. Raises NotThere."""
        if self.snapshot is None:
            raise NotThere(f"there is no collection at {self.resource.href}")
        return self.snapshot

    def collection(self) -> Collection:
        """The collection that the resource is, or is in. Raises NotThere."""
        return self.resource.required_collection()

    def item_href(self, name: str) -> str:
        """The path of an item of the collection."""
        return collection_base(self.resource.target) + encode(name)

    def depth(self, absent: str) -> str:
        """The Depth header; `absent` when it was not sent, which differs between reports."""
        return self.request.depth if self.request.header(b"depth") is not None else absent

    def require_depth_zero(self) -> None:
        """Raise BadRequest unless the Depth is 0, as the reports of RFC 3744 demand; absent means 0 there."""
        if self.depth("0") != "0":
            raise BadRequest("this report is defined for a Depth of 0 only (RFC 3744 section 9)")


Answer = Callable[[Question], DavResponse]


@dataclass(frozen=True, slots=True)
class Report:
    """One report: its Clark name, and the function that answers it on a worker thread.

    `look_closer` is asked before a collection is told not to be there, and may raise something better.
    """

    name: str
    answer: Answer
    look_closer: Callable[[DavRequest, etree._Element], None] | None = None

    async def __call__(self, request: DavRequest, root: etree._Element) -> DavResponse:
        """Answer the request. Raises what the report refuses, and `DAV:supported-report` where it has no sense."""

        def work() -> DavResponse:
            try:
                with asked(request, root) as question:
                    require_supported(self.name, question.resource)
                    return _answered(self.answer, question)
            except NotThere:
                if self.look_closer is not None and request.target.login:
                    self.look_closer(request, root)
                raise

        response = await asyncio.get_running_loop().run_in_executor(_THREADS, work)
        if request.minimal and response.status == 207:
            response.headers.append(MINIMAL_APPLIED)
        return response


def _answered(answer: Answer, question: Question) -> DavResponse:
    """The answer, where a filter is refused in the namespace of what it was asked of."""
    try:
        return answer(question)
    except InvalidFilter as error:
        home = question.resource.home
        # RFC 6352 has no valid-filter; what cannot be read is not supported there.
        is_in_contacts = home is Home.CONTACTS and error.condition == "valid-filter"
        local = "supported-filter" if is_in_contacts else error.condition
        raise DavRefused(403, error.reason, condition=condition_in(home, local)) from error


def require_supported(name: str, resource: Resource) -> None:
    """Raise `DAV:supported-report` (RFC 3253 section 3.6) unless this report can be asked about this resource."""
    known = name in reports_on(resource)
    if not known or (resource.item is not None and name not in _ON_ITEMS):
        local = name.rpartition("}")[2]
        message = f"the report {local} has no meaning for {resource.href}"
        raise DavRefused(403, message, condition=empty(dav("supported-report")))


@contextmanager
def asked(request: DavRequest, root: etree._Element) -> Iterator[Question]:
    """The question of a request, while its snapshot is open. Raises NotThere."""
    scene, target = scene_of(request), request.target
    if not target.login:
        resource = locate(request.library, request.directory, request.actor, target)
        yield Question(request, resource, root, scene)
        return
    owner = require_visible(request.directory, request.actor, target)
    with request.library.reading(owner) as snapshot:
        resource = load(snapshot, request.actor, owner, target)
        yield Question(request, resource, root, scene, snapshot)


def resources_in(question: Question, resource: Resource) -> list[Resource]:
    """The members of a resource that are no items."""
    request = question.request
    if resource.owner is None:
        return list(members(resource, request.library, request.directory, request.actor))
    with request.library.reading(resource.owner) as snapshot:
        return list(collections_in(snapshot, resource, request.actor))


def collection_base(target: Target) -> str:
    """The path of the collection that a target is or is in: what the paths of its items begin with."""
    return collection_href(target.required_home(), target.login, target.collection)
