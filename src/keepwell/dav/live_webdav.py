"""Live properties of every resource: RFC 4918 section 15, RFC 3253 3.1.5, RFC 4331, RFC 5995 3.2.1, RFC 6578 4."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from typing import Final

from keepwell.dav.liveproperty import ItemText, LiveProperty, Scene, everywhere
from keepwell.dav.names import CALENDARSERVER, caldav, carddav, dav
from keepwell.dav.paths import Sort
from keepwell.dav.resources import Access, Resource
from keepwell.dav.tokens import render_token
from keepwell.dav.xml import empty, escape, href
from keepwell.model.names import HOME_OF, Home
from keepwell.model.preconditions import etag_of
from keepwell.services.state import CollectionState
from keepwell.storage.contract import Item

ADD_MEMBER_NAME: Final = ";add-member"
"""The last segment of the URL that takes POST (RFC 5995); items may not have this name."""

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(moment: str) -> str:
    """A moment of the store as an HTTP-date (RFC 9110 section 5.6.7)."""
    return _http_date(moment[:19])


@lru_cache(maxsize=4096)
def _http_date(second: str) -> str:
    at = datetime.fromisoformat(second)
    return f"{_DAYS[at.weekday()]}, {at.day:02d} {_MONTHS[at.month - 1]} {at.year:04d} {second[11:]} GMT"


def content_type(item: Item) -> str:
    """The Content-Type under which an item is served."""
    return _content_type(item.media_type, item.component)


@lru_cache(maxsize=256)
def _content_type(media_type: str, component: str) -> str:
    if media_type == "text/calendar":
        return f"text/calendar; charset=utf-8; component={component or 'VEVENT'}"
    return "text/vcard; charset=utf-8" if media_type == "text/vcard" else media_type


@lru_cache(maxsize=256)
def _escaped_type(media_type: str, component: str) -> str:
    return escape(_content_type(media_type, component))


def _created(item: Item) -> str:
    return item.created[:19] + "Z"


def _length(item: Item) -> str:
    return str(item.size)


def _type(item: Item) -> str:
    return _escaped_type(item.media_type, item.component)


def _etag(item: Item) -> str:
    return etag_of(item.digest)


def _modified(item: Item) -> str:
    return http_date(item.modified)


def _per_item(name: str, function: ItemText) -> LiveProperty:
    return LiveProperty(name, of_item=lambda _scene, _resource: function, in_allprop=True)


def _display_name(scene: Scene, resource: Resource) -> str | None:
    if resource.collection is not None:
        text = resource.collection.properties.get("displayname")
        return None if text is None else escape(text)
    if resource.target.sort is Sort.PRINCIPAL and resource.owner is not None:
        return escape(scene.directory.display_name(resource.owner) or resource.target.login)
    return None


_COLLECTION: Final = empty(dav("collection"))
_TYPE_IN_HOME: Final = {
    Home.CONTACTS: _COLLECTION + empty(carddav("addressbook")),
    Home.CALENDARS: _COLLECTION + empty(caldav("calendar")),
}


def _resource_type(_scene: Scene, resource: Resource) -> str:
    if resource.target.sort is Sort.PRINCIPAL:
        return _COLLECTION + empty(dav("principal"))
    if resource.collection is None:
        return _COLLECTION
    return _TYPE_IN_HOME.get(HOME_OF[resource.collection.kind], _COLLECTION)


def _no_type(_scene: Scene, _resource: Resource) -> str:
    return ""


def _sync_token(_scene: Scene, resource: Resource) -> str | None:
    if resource.collection is None or resource.lineage is None:
        return None
    collection = resource.collection
    return render_token(CollectionState(resource.lineage, collection.id, collection.sequence))


def _add_member(_scene: Scene, resource: Resource) -> str | None:
    return None if resource.collection is None else href(resource.href + ADD_MEMBER_NAME)


def _quota_used(_scene: Scene, resource: Resource) -> str | None:
    """RFC 4331 section 4, for owners: what else an account holds is nobody's business to whom it shares something."""
    if resource.access is not Access.OWNER:
        return None
    if resource.collection is not None:
        return str(resource.collection.octets)
    return str(resource.octets) if resource.octets >= 0 else None


_REPORTS_ANYWHERE: Final = (
    dav("expand-property"),
    dav("principal-property-search"),
    dav("principal-search-property-set"),
    dav("principal-match"),
    dav("acl-principal-prop-set"),
)
_REPORTS_IN_HOME: Final = {
    Home.CONTACTS: (carddav("addressbook-query"), carddav("addressbook-multiget")),
    Home.CALENDARS: (caldav("calendar-query"), caldav("calendar-multiget"), caldav("free-busy-query")),
}


def reports_on(resource: Resource) -> tuple[str, ...]:
    """Clark names of the reports that make sense on a resource that is no item."""
    if resource.collection is None:
        return _REPORTS_ANYWHERE
    in_home = _REPORTS_IN_HOME.get(HOME_OF[resource.collection.kind], ())
    return (*in_home, dav("sync-collection"), *_REPORTS_ANYWHERE)


def _supported_reports(scene: Scene, resource: Resource) -> str:
    return _report_set(name for name in reports_on(resource) if name in scene.reports)


_NOT_ON_ITEMS: Final = frozenset({caldav("free-busy-query"), dav("sync-collection")})


def reports_on_item(resource: Resource) -> tuple[str, ...]:
    """Clark names of the reports that an item answers about itself (RFC 4791 section 7, RFC 6352 section 8)."""
    in_home = _REPORTS_IN_HOME.get(HOME_OF[resource.required_collection().kind], ())
    return (*(name for name in in_home if name not in _NOT_ON_ITEMS), dav("expand-property"))


def _supported_reports_of_item(scene: Scene, resource: Resource) -> str:
    return _report_set(name for name in reports_on_item(resource) if name in scene.reports)


def _report_set(names: Iterable[str]) -> str:
    return "".join(f"<D:supported-report><D:report>{empty(name)}</D:report></D:supported-report>" for name in names)


PROPERTIES: Final = (
    _per_item(dav("creationdate"), _created),
    LiveProperty(dav("displayname"), _display_name, in_allprop=True, stored_as="displayname"),
    _per_item(dav("getcontentlength"), _length),
    _per_item(dav("getcontenttype"), _type),
    _per_item(dav("getetag"), _etag),
    _per_item(dav("getlastmodified"), _modified),
    LiveProperty(dav("resourcetype"), _resource_type, _no_type, in_allprop=True),
    everywhere(dav("supportedlock"), "", in_allprop=True),
    everywhere(dav("lockdiscovery"), "", in_allprop=True),
    LiveProperty(dav("supported-report-set"), _supported_reports, _supported_reports_of_item),
    LiveProperty(dav("sync-token"), _sync_token),
    LiveProperty(f"{{{CALENDARSERVER}}}getctag", _sync_token),
    LiveProperty(dav("add-member"), _add_member),
    LiveProperty(dav("quota-used-bytes"), _quota_used),
)
