"""Live properties of address books: RFC 6352 sections 6.2, 7.1 and 8.3.

`principal-address` and `directory-gateway` are absent: no card stands for an account, and there is no directory.
"""

from __future__ import annotations

from typing import Final

from keepwell.dav.live_calendar import COLLATIONS, homes_of
from keepwell.dav.liveproperty import LiveProperty, Scene, Value
from keepwell.dav.names import carddav
from keepwell.dav.resources import Resource
from keepwell.dav.xml import escape
from keepwell.model.names import Home
from keepwell.services.content import ITEM_OCTETS_MAX

_SUPPORTED_DATA: Final = "".join(
    f'<A:address-data-type content-type="text/vcard" version="{version}"/>' for version in ("3.0", "4.0", "2.1")
)
_COLLATION_SET: Final = "".join(f"<A:supported-collation>{name}</A:supported-collation>" for name in COLLATIONS)


def is_address_book(resource: Resource) -> bool:
    """Whether the resource is (or is in) an address book."""
    return resource.collection is not None and resource.home is Home.CONTACTS


def _constant(text: str) -> Value:
    return lambda _scene, resource: text if is_address_book(resource) else None


def _home_set(scene: Scene, resource: Resource) -> str | None:
    return homes_of(scene, resource, Home.CONTACTS)


def _description(_scene: Scene, resource: Resource) -> str | None:
    if resource.collection is None or not is_address_book(resource):
        return None
    text = resource.collection.properties.get("description")
    return None if text is None else escape(text)


PROPERTIES: Final = (
    LiveProperty(carddav("addressbook-home-set"), _home_set),
    LiveProperty(carddav("addressbook-description"), _description, stored_as="description"),
    LiveProperty(carddav("supported-address-data"), _constant(_SUPPORTED_DATA)),
    LiveProperty(carddav("max-resource-size"), _constant(str(ITEM_OCTETS_MAX))),
    LiveProperty(carddav("supported-collation-set"), _constant(_COLLATION_SET)),
)
