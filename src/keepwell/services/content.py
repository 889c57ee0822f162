"""What the library must know of an item's bytes before it keeps them: are they valid here, their UID, their index.

`prepare` is pure and may run on any thread; it never changes a byte.
"""

from __future__ import annotations

from typing import Final

import msgspec

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


class Prepared(msgspec.Struct, frozen=True, gc=False):
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
    uid, index = examine(home, body)
    media_type = _MEDIA_TYPES.get(home) or media_type or "application/octet-stream"
    return Prepared(body, digest_of(body), media_type, uid, index)


def examine(home: Home, body: bytes) -> tuple[str, Index]:
    """The UID and index of `body` in `home`. Raises ContentRefused (with the line) or TooLarge."""
    limit = octets_max(home)
    if len(body) > limit:
        raise TooLarge(f"{len(body)} bytes are more than the {limit} that one item may have", limit=limit)
    try:
        return _EXAMINE[home](body)
    except InvalidContent as error:
        where = f"line {error.line}: " if error.line else ""
        raise ContentRefused(f"{where}{error.reason}", condition=error.condition, line=error.line) from error


def _examine_card(body: bytes) -> tuple[str, Index]:
    facts = vcard.examine(body)
    return facts.uid, Index("VCARD", search_text=search_text(facts))


def _examine_calendar(body: bytes) -> tuple[str, Index]:
    facts = icalendar.examine(body)
    span = recurrence.span_of(facts, body)
    return facts.uid, Index(facts.component, span.start, span.end, span.exact)


def _examine_file(_body: bytes) -> tuple[str, Index]:
    return "", NO_INDEX


_EXAMINE: Final = {
    Home.CONTACTS: _examine_card,
    Home.CALENDARS: _examine_calendar,
    Home.PHOTOS: _examine_file,
    Home.SCORES: _examine_file,
    Home.SYSTEM: _examine_file,
}

_MEDIA_TYPES: Final = {Home.CONTACTS: "text/vcard", Home.CALENDARS: "text/calendar"}


def components_of(kind: Kind, properties: Properties) -> tuple[str, ...]:
    """The calendar components that a collection takes; empty for a kind that is no calendar."""
    chosen = properties.get("components")
    return tuple(chosen.split(",")) if chosen else COMPONENTS_OF.get(kind, ())


def kind_of_components(components: tuple[str, ...]) -> Kind:
    """The kind of a calendar collection that takes these components: its first in VEVENT, VTODO, VJOURNAL."""
    if not components or "VEVENT" in components:
        return Kind.CALENDAR
    return Kind.TASKS if "VTODO" in components else Kind.NOTES
