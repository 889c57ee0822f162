"""What the library must know of an item's bytes before it keeps them: are they valid here, their UID, their index.

`prepare` is pure and may run on any thread; it never changes a byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from keepwell.formats import icalendar, recurrence, vcard
from keepwell.formats.contentlines import InvalidContent
from keepwell.model.errors import ContentRefused, TooLarge
from keepwell.model.names import Digest, Home, Kind
from keepwell.model.record import Properties, digest_of
from keepwell.services.query.card_index import search_text
from keepwell.storage.contract import NO_INDEX, Index

ITEM_OCTETS_MAX: Final = 10 * 1024 * 1024
"""Largest contact or calendar item, in bytes (CALDAV:max-resource-size, CARDDAV:max-resource-size)."""

FILE_OCTETS_MAX: Final = 256 * 1024 * 1024
"""Largest file in the photos home, in bytes."""

COMPONENTS_OF: Final = {
    Kind.CALENDAR: ("VEVENT", "VTODO", "VJOURNAL"),
    Kind.TASKS: ("VTODO",),
    Kind.NOTES: ("VJOURNAL",),
}
"""Components that a collection takes unless its property `components` says otherwise."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Bytes found fit to be kept in a home, with what is indexed of them."""

    body: bytes
    digest: Digest
    media_type: str
    uid: str
    index: Index


def octets_max(home: Home) -> int:
    """The largest item that a home takes, in bytes."""
    return FILE_OCTETS_MAX if home is Home.PHOTOS else ITEM_OCTETS_MAX


def prepare(home: Home, body: bytes, media_type: str = "") -> Prepared:
    """Examine `body` for `home`. Raises ContentRefused (with the line) or TooLarge."""
    limit = octets_max(home)
    if len(body) > limit:
        raise TooLarge(f"{len(body)} bytes are more than the {limit} that one item may have", limit=limit)
    try:
        return _PREPARE[home](body, media_type)
    except InvalidContent as error:
        where = f"line {error.line}: " if error.line else ""
        raise ContentRefused(f"{where}{error.reason}", condition=error.condition, line=error.line) from error


def _prepare_card(body: bytes, _media_type: str) -> Prepared:
    facts = vcard.examine(body)
    index = Index(component="VCARD", search_text=search_text(facts))
    return Prepared(body, digest_of(body), "text/vcard", facts.uid, index)


def _prepare_calendar(body: bytes, _media_type: str) -> Prepared:
    facts = icalendar.examine(body)
    span = recurrence.span_of(facts, body)
    index = Index(facts.component, span.start, span.end, span.exact)
    return Prepared(body, digest_of(body), "text/calendar", facts.uid, index)


def _prepare_file(body: bytes, media_type: str) -> Prepared:
    return Prepared(body, digest_of(body), media_type or "application/octet-stream", "", NO_INDEX)


_PREPARE: Final = {
    Home.CONTACTS: _prepare_card,
    Home.CALENDARS: _prepare_calendar,
    Home.PHOTOS: _prepare_file,
    Home.SYSTEM: _prepare_file,
}


def components_of(kind: Kind, properties: Properties) -> tuple[str, ...]:
    """The calendar components that a collection takes; empty for a kind that is no calendar."""
    chosen = properties.get("components")
    return tuple(chosen.split(",")) if chosen else COMPONENTS_OF.get(kind, ())


def kind_of_components(components: tuple[str, ...]) -> Kind:
    """The kind of a calendar collection that takes these components: its first in VEVENT, VTODO, VJOURNAL."""
    if not components or "VEVENT" in components:
        return Kind.CALENDAR
    return Kind.TASKS if "VTODO" in components else Kind.NOTES
