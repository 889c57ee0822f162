"""MKCOL (RFC 4918 9.3), extended MKCOL (RFC 5689) and MKCALENDAR (RFC 4791 5.3.1).

What a new collection is follows from where it is made: a folder among the photos, an address book among the contacts,
a calendar, task list or notebook (by its components) among the calendars. Nothing nests in those (RFC 4791 section
4.2, RFC 6352 section 5.2). Properties are set with the making or the whole is refused.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from lxml import etree

from keepwell.dav.conditions import write_conditions
from keepwell.dav.errors import DavRefused
from keepwell.dav.items import find_item
from keepwell.dav.multistatus import DECLARATION
from keepwell.dav.names import DECLARATIONS, caldav, carddav, dav
from keepwell.dav.options import allow_header
from keepwell.dav.paths import Sort, Target
from keepwell.dav.propertyset import Draft, Rejection, Unfit, components_text, read_update
from keepwell.dav.request import DavRequest, DavResponse, xml_response
from keepwell.dav.resources import locate, require_visible
from keepwell.dav.xml import empty, wrap
from keepwell.model.errors import NotThere
from keepwell.model.names import Home, Kind
from keepwell.model.record import Properties
from keepwell.services.content import kind_of_components

_RESOURCE_TYPE: Final = dav("resourcetype")
_COMPONENTS: Final = caldav("supported-calendar-component-set")

_TYPES_IN_HOME: Final = {
    Home.CONTACTS: {dav("collection"), carddav("addressbook")},
    Home.CALENDARS: {dav("collection"), caldav("calendar")},
    Home.PHOTOS: {dav("collection")},
}
_LOCATION: Final = {
    Home.CONTACTS: empty(carddav("addressbook-collection-location-ok")),
    Home.CALENDARS: empty(caldav("calendar-collection-location-ok")),
}


async def make_collection(request: DavRequest) -> DavResponse:
    """MKCOL, plain or extended."""
    target = _target_of_new(request)
    root = await _body(request, dav("mkcol"))
    return await _make(request, target, _Making(target, root, dav("mkcol-response")))


async def make_calendar(request: DavRequest) -> DavResponse:
    """MKCALENDAR; only where calendars are."""
    if request.target.home is not Home.CALENDARS:
        raise DavRefused(403, "a calendar cannot be made here", condition=_LOCATION[Home.CALENDARS])
    target = _target_of_new(request)
    root = await _body(request, caldav("mkcalendar"))
    return await _make(request, target, _Making(target, root, caldav("mkcalendar-response")))


def _target_of_new(request: DavRequest) -> Target:
    """Where the collection will be. Raises DavRefused where nothing can be made, or something is."""
    target = request.target
    if target.is_item and target.home is Home.PHOTOS:
        target = target.as_collection
    if target.sort is Sort.COLLECTION:
        return target
    if target.home is not None and target.is_item:
        require_visible(request.directory, request.actor, target)
        raise DavRefused(403, "collections do not nest here", condition=_LOCATION.get(target.home, ""))
    locate(request.library, request.directory, request.actor, target)
    raise DavRefused(405, f"{target.href} is there already", headers=(allow_header(target),))


#: The last is what curl says when nobody says anything, and how-tos on MKCALENDAR leave it at that.
_READ_AS_XML: Final = frozenset({"application/xml", "text/xml", "application/x-www-form-urlencoded"})


async def _body(request: DavRequest, expected: str) -> etree._Element | None:
    """The root element; None without a body. What is not understood is 415 (RFC 4918 section 9.3)."""
    sent = (request.header(b"content-type") or "application/xml").partition(";")[0].strip().lower()
    if sent not in _READ_AS_XML and await _has_body(request):
        raise DavRefused(415, f"a body of {sent} says nothing about the collection to make")
    root = await request.xml()
    if root is not None and root.tag != expected:
        raise DavRefused(415, f"the body is a {root.tag}, not a {expected}")
    return root


async def _has_body(request: DavRequest) -> bool:
    length = request.headers.get(b"content-length")
    return length != b"0" if length is not None else b"transfer-encoding" in request.headers


class _Making:
    """What the client asked the new collection to be."""

    def __init__(self, target: Target, root: etree._Element | None, failure: str) -> None:
        self.home = target.required_home()
        self.failure = failure
        self.draft = Draft(self.home, on_collection=True)
        self.components = ""
        if root is not None:
            read_update(root, self.draft)
            self.draft.reject_beyond_room({})
            self._take_protected(root)

    def _take_protected(self, root: etree._Element) -> None:
        """The two protected properties that are set with the making, and only then."""
        for element in root.iterfind(f"{dav('set')}/{dav('prop')}/*"):
            if element.tag == _RESOURCE_TYPE:
                self.draft.rejected.pop(_RESOURCE_TYPE, None)
                if not {str(child.tag) for child in element} <= _TYPES_IN_HOME[self.home]:
                    self.draft.rejected[_RESOURCE_TYPE] = Rejection(403, empty(dav("valid-resourcetype")))
            elif element.tag == _COMPONENTS and self.home is Home.CALENDARS:
                self.draft.rejected.pop(_COMPONENTS, None)
                self._take_components(element)

    def _take_components(self, element: etree._Element) -> None:
        try:
            self.components = components_text(element)
        except Unfit as unfit:
            self.draft.rejected[_COMPONENTS] = unfit.rejection

    def kind(self) -> Kind:
        """The kind of the new collection."""
        if self.home is Home.CALENDARS:
            return kind_of_components(tuple(self.components.split(",")) if self.components else ())
        return Kind.CONTACTS if self.home is Home.CONTACTS else Kind.PHOTOS

    def properties(self) -> Properties:
        """What is stored with it."""
        set_now = {name: text for name, text in self.draft.changes.items() if text is not None}
        return {**set_now, "components": self.components} if self.components else set_now


async def _make(request: DavRequest, target: Target, making: _Making) -> DavResponse:
    owner = request.owner()
    request.actor.require_owner(owner, making.home, target.collection)
    # Only an If header can hold here, by what it says of other resources.
    write_conditions(request, partial(find_item, request)).check(None, target.href)
    if making.draft.rejected:
        return _refused(making)
    place = target.place(owner)
    try:
        await request.library.make_collection(request.actor, place, making.kind(), making.properties())
    except NotThere as error:
        # RFC 4918 section 9.3.1: the folders above must be there.
        raise DavRefused(409, error.message) from error
    return DavResponse(201, [(b"cache-control", b"no-cache")])


def _refused(making: _Making) -> DavResponse:
    """RFC 5689 section 3.3: nothing was made; the body says which property stood in the way."""
    root = wrap(making.failure, making.draft.propstats())
    opening, bracket, rest = root.partition(">")
    return xml_response(403, f"{DECLARATION}{opening} {DECLARATIONS}{bracket}{rest}\n")
