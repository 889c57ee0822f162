"""Live properties of calendars, task lists and notebooks: RFC 4791 sections 5.2, 6.2 and 7.5, RFC 6638 9.1.

Also what Apple's programs keep on a calendar: its color and its place among the others. `max-instances` and
`max-attendees-per-instance` are absent, which says that there is no such limit (RFC 4791 5.2.8, 5.2.9).
"""

from __future__ import annotations

from typing import Final

from keepwell.dav.liveproperty import LiveProperty, Scene, Value
from keepwell.dav.names import APPLE_ICAL, caldav
from keepwell.dav.paths import Sort, home_href
from keepwell.dav.resources import Resource, home_logins
from keepwell.dav.xml import escape, href
from keepwell.model.names import Home
from keepwell.services.content import ITEM_OCTETS_MAX, components_of

COLLATIONS: Final = ("i;ascii-casemap", "i;octet", "i;unicode-casemap")

_SUPPORTED_DATA: Final = '<C:calendar-data content-type="text/calendar" version="2.0"/>'


def is_calendar(resource: Resource) -> bool:
    """Whether the resource is a calendar collection (an item in one has the same home, but is none)."""
    return resource.collection is not None and resource.home is Home.CALENDARS


def _constant(text: str) -> Value:
    return lambda _scene, resource: text if is_calendar(resource) else None


def _stored(name: str) -> Value:
    def value(_scene: Scene, resource: Resource) -> str | None:
        if resource.collection is None or not is_calendar(resource):
            return None
        text = resource.collection.properties.get(name)
        return None if text is None else escape(text)

    return value


def _home_set(scene: Scene, resource: Resource) -> str | None:
    return homes_of(scene, resource, Home.CALENDARS)


def homes_of(scene: Scene, resource: Resource, home: Home) -> str | None:
    """The homes in which a principal finds collections: its own and, for the actor, those of who shares with them."""
    if resource.target.sort is not Sort.PRINCIPAL:
        return None
    own = resource.owner == scene.actor.account
    logins = home_logins(scene.actor, scene.directory, home) if own else [resource.target.login]
    return "".join(href(home_href(home, login)) for login in logins)


def _components(_scene: Scene, resource: Resource) -> str | None:
    if resource.collection is None or not is_calendar(resource):
        return None
    names = components_of(resource.collection.kind, resource.collection.properties)
    return "".join(f'<C:comp name="{escape(name)}"/>' for name in names)


def _transparency(_scene: Scene, resource: Resource) -> str | None:
    if resource.collection is None or not is_calendar(resource):
        return None
    transparent = resource.collection.properties.get("transparency") == "transparent"
    return "<C:transparent/>" if transparent else "<C:opaque/>"


_COLLATION_SET: Final = "".join(f"<C:supported-collation>{name}</C:supported-collation>" for name in COLLATIONS)

PROPERTIES: Final = (
    LiveProperty(caldav("calendar-home-set"), _home_set),
    LiveProperty(caldav("calendar-description"), _stored("description"), stored_as="description"),
    LiveProperty(caldav("calendar-timezone"), _stored("timezone"), stored_as="timezone"),
    LiveProperty(caldav("supported-calendar-component-set"), _components),
    LiveProperty(caldav("supported-calendar-data"), _constant(_SUPPORTED_DATA)),
    LiveProperty(caldav("max-resource-size"), _constant(str(ITEM_OCTETS_MAX))),
    LiveProperty(caldav("min-date-time"), _constant("00010101T000000Z")),
    LiveProperty(caldav("max-date-time"), _constant("99991231T235959Z")),
    LiveProperty(caldav("supported-collation-set"), _constant(_COLLATION_SET)),
    LiveProperty(caldav("schedule-calendar-transp"), _transparency, stored_as="transparency"),
    LiveProperty(f"{{{APPLE_ICAL}}}calendar-color", _stored("color"), stored_as="color"),
    LiveProperty(f"{{{APPLE_ICAL}}}calendar-order", _stored("order"), stored_as="order"),
)
