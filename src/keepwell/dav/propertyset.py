"""Reading the property changes of PROPPATCH, extended MKCOL and MKCALENDAR into what is stored.

A `Draft` collects changes in document order (RFC 4918 section 9.2) and says which names cannot be changed and why; it
is stored as a whole or not at all. Settable live properties are stored as text under plain names, everything else as
the XML of its element, with the language that held for it (RFC 4918 section 4.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from keepwell.dav.errors import DavRefused
from keepwell.dav.live import is_protected, stored_name
from keepwell.dav.multistatus import status_line
from keepwell.dav.names import XML_LANG, caldav, dav
from keepwell.dav.properties import PROPERTIES_MAX
from keepwell.dav.xml import clean, empty, property_name, text_of
from keepwell.formats.refusals import DEFAULT_CAPS, InvalidContent
from keepwell.formats.rows import outline, read_rows
from keepwell.model.errors import BadRequest
from keepwell.model.names import Home, Kind
from keepwell.model.record import Properties
from keepwell.services.content import COMPONENTS_OF
from keepwell.services.steps import merged

VALUE_CHARACTERS_MAX: Final = 64 * 1024
"""Longest value of one property."""

PROPERTIES_OCTETS_MAX: Final = 1024 * 1024
"""What the properties of one resource may take together: every listing of it reads them."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a property is not changed: a status and the text of a precondition element (may be empty)."""

    status: int
    condition: str = ""


PROTECTED: Final = Rejection(403, "<D:cannot-modify-protected-property/>")
TOO_LONG: Final = Rejection(507)
NO_ROOM: Final = Rejection(507)
CONFLICT: Final = Rejection(409)


class Unfit(Exception):
    """A value that a property cannot have."""

    def __init__(self, rejection: Rejection) -> None:
        """Keep why."""
        super().__init__(rejection.condition)
        self.rejection = rejection


@dataclass(slots=True)
class Draft:
    """Changes read so far. `changes` maps stored names to text, or to None for a removal."""

    home: Home | None
    on_collection: bool
    names: dict[str, None] = field(default_factory=dict)
    """Clark names in the order of the request, each once."""
    changes: dict[str, str | None] = field(default_factory=dict)
    rejected: dict[str, Rejection] = field(default_factory=dict)

    def set(self, element: etree._Element) -> None:
        """Take the value of one property element."""
        name = self._note(element)
        if not self._refuse_protected(name):
            try:
                self.changes[self._key(name)] = self._text(name, element)
            except Unfit as unfit:
                self.rejected[name] = unfit.rejection

    def remove(self, element: etree._Element) -> None:
        """Take the removal of one property."""
        name = self._note(element)
        if not self._refuse_protected(name):
            self.changes[self._key(name)] = None

    def _note(self, element: etree._Element) -> str:
        name = property_name(str(element.tag))
        self.names[name] = None
        return name

    def _refuse_protected(self, name: str) -> bool:
        if is_protected(name):
            self.rejected[name] = PROTECTED
        return name in self.rejected

    def _key(self, name: str) -> str:
        return (self._stored_name(name)) or name

    def _stored_name(self, name: str) -> str:
        return stored_name(name, self.home) if self.on_collection and self.home is not None else ""

    def _text(self, name: str, element: etree._Element) -> str:
        stored = self._stored_name(name)
        text = _READERS.get(stored, _plain_text)(element) if stored else _dead_text(element)
        if len(text) > VALUE_CHARACTERS_MAX:
            raise Unfit(TOO_LONG)
        return text

    def reject_beyond_room(self, present: Properties) -> None:
        """Reject the changes when they would make the resource's properties, now `present`, larger than they may be."""
        after = _octets(merged(present, self.changes))
        if after > PROPERTIES_OCTETS_MAX and after > _octets(present):
            self.rejected.update(dict.fromkeys(self.names, NO_ROOM))

    def propstats(self) -> str:
        """The propstats of the outcome: all 200, or the rejected with their reasons and the others 424."""
        if not self.rejected:
            return _propstat(self.names, 200)
        others = [name for name in self.names if name not in self.rejected]
        texts = [_propstat([name], why.status, why.condition) for name, why in self.rejected.items()]
        return "".join((*texts, _propstat(others, 424) if others else ""))


def read_update(root: etree._Element, draft: Draft) -> None:
    """Read the `set` and `remove` elements below `root` into the draft, in document order.

    Raises BadRequest, and DavRefused when they are too many.
    """
    if sum(map(len, root.iterfind(f"*/{dav('prop')}"))) > PROPERTIES_MAX:
        raise DavRefused(403, f"a request may change {PROPERTIES_MAX} properties")
    takers: dict[str, Callable[[etree._Element], None]] = {dav("set"): draft.set, dav("remove"): draft.remove}
    for instruction in root:
        take = takers.get(str(instruction.tag))
        if take is None:
            continue
        prop = instruction.find(dav("prop"))
        if prop is None:
            raise BadRequest("a DAV:set or DAV:remove has no DAV:prop in it")
        for element in prop:
            take(element)


def _octets(properties: Properties) -> int:
    return sum(len(name.encode()) + len(text.encode()) for name, text in properties.items())


def _propstat(names: Iterable[str], status: int, condition: str = "") -> str:
    error = f"<D:error>{condition}</D:error>" if condition else ""
    properties = "".join(empty(name) for name in names)
    return f"<D:propstat><D:prop>{properties}</D:prop>{status_line(status)}{error}</D:propstat>"


def _plain_text(element: etree._Element) -> str:
    return clean("".join(str(part) for part in element.itertext()))


def _timezone_text(element: etree._Element) -> str:
    """RFC 4791 section 5.2.2: an iCalendar object with exactly one VTIMEZONE."""
    text = _plain_text(element)
    try:
        calendars = outline(read_rows(text.strip().encode(), DEFAULT_CAPS), DEFAULT_CAPS)
    except InvalidContent as error:
        raise Unfit(_INVALID_TIMEZONE) from error
    inside = [block.name for calendar in calendars for block in calendar.blocks()]
    if [calendar.name for calendar in calendars] != ["VCALENDAR"] or inside != ["VTIMEZONE"]:
        raise Unfit(_INVALID_TIMEZONE)
    return text


_INVALID_TIMEZONE: Final = Rejection(403, empty(caldav("valid-calendar-data")))


def _transparency_text(element: etree._Element) -> str:
    """RFC 6638 section 9.1."""
    for value in ("opaque", "transparent"):
        if element.find(caldav(value)) is not None:
            return value
    raise Unfit(CONFLICT)


def components_text(element: etree._Element) -> str:
    """The stored form of a `supported-calendar-component-set` (RFC 4791 section 5.2.3). Raises Unfit."""
    names = dict.fromkeys(child.get("name", "").upper() for child in element if child.tag == caldav("comp"))
    known = COMPONENTS_OF[Kind.CALENDAR]
    if not names or any(name not in known for name in names):
        raise Unfit(Rejection(403, empty(caldav("supported-calendar-component"))))
    return ",".join(names)


_READERS: Final = {"timezone": _timezone_text, "transparency": _transparency_text, "order": text_of, "color": text_of}


def _dead_text(element: etree._Element) -> str:
    """The element as XML that stands by itself: its namespaces declared, its language written on it."""
    alone = deepcopy(element)
    alone.tail = None
    language = next((one.get(XML_LANG) for one in _upwards(element) if one.get(XML_LANG)), None)
    if language:
        alone.set(XML_LANG, language)
    return etree.tostring(alone, encoding="unicode", with_tail=False)


def _upwards(element: etree._Element) -> Iterable[etree._Element]:
    return (element, *element.iterancestors())
