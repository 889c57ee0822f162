"""`CALDAV:calendar-data` and `CARDDAV:address-data` in a report: which form of an item's content the answer carries.

Whole content, the common case, is the item's text escaped once. XML cannot carry every character, so what it cannot is
left out of the answer (a GET gives the original octets); one odd card must not stop a client's whole sync. For the
same reason an item whose parts cannot be told apart, or whose instances are too many to list, comes whole.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, tzinfo
from typing import Final

from keepwell.dav.filters import address_data_request, calendar_data_request, time_zone
from keepwell.dav.names import caldav, carddav, dav
from keepwell.dav.properties import ReportProperty
from keepwell.dav.reports.question import Question
from keepwell.dav.xml import escape_octets
from keepwell.formats.contentlines import Component, parse
from keepwell.formats.expansion import TooManyInstances
from keepwell.formats.partial import partial_calendar, partial_card
from keepwell.formats.refusals import InvalidContent
from keepwell.services.query.errors import InvalidFilter
from keepwell.storage.contract import Item

CALENDAR_DATA: Final = caldav("calendar-data")
ADDRESS_DATA: Final = carddav("address-data")

Part = Callable[[Component], str]
"""What is asked for of an object, as its text."""


def calendar_data(question: Question) -> ReportProperty:
    """The form in which the request wants calendar objects. Raises InvalidFilter."""
    element = question.root.find(f"{dav('prop')}/{CALENDAR_DATA}")
    request = None if element is None else calendar_data_request(element)
    if request is None or request.is_whole:
        return ReportProperty(CALENDAR_DATA, _whole_calendar)
    zone = floating_zone(question)
    return _partial(
        CALENDAR_DATA, "C:calendar-data", lambda calendar: partial_calendar(calendar, request, zone, question.budget)
    )


def address_data(question: Question) -> ReportProperty:
    """The form in which the request wants cards. Raises InvalidFilter."""
    element = question.root.find(f"{dav('prop')}/{ADDRESS_DATA}")
    request = None if element is None else address_data_request(element)
    if request is None or request.is_whole:
        return ReportProperty(ADDRESS_DATA, _whole_card)
    return _partial(ADDRESS_DATA, "A:address-data", lambda card: partial_card(card, request))


def _whole_calendar(_item: Item, body: bytes) -> str:
    return f"<C:calendar-data>{escape_octets(body)}</C:calendar-data>"


def _whole_card(_item: Item, body: bytes) -> str:
    return f"<A:address-data>{escape_octets(body)}</A:address-data>"


def _partial(name: str, tag: str, part: Part) -> ReportProperty:
    def render(_item: Item, body: bytes) -> str:
        component = component_in(body)
        try:
            octets = body if component is None else part(component).encode(errors="surrogateescape")
        except TooManyInstances:
            octets = body
        return f"<{tag}>{escape_octets(octets)}</{tag}>"

    return ReportProperty(name, render)


def component_in(body: bytes) -> Component | None:
    """The object that an item is; None when its bytes, taken once, would not be taken today."""
    try:
        return parse(body).components[0]
    except (InvalidContent, IndexError):
        return None


def floating_zone(question: Question) -> tzinfo:
    """In which zone floating times are read: that of the request, else of the calendar, else UTC (RFC 4791 7.3).

    Raises InvalidFilter when the request's is none.
    """
    element = question.root.find(caldav("timezone"))
    if element is not None:
        return time_zone("".join(str(part) for part in element.itertext()))
    text = question.collection().properties.get("timezone")
    try:
        return time_zone(text) if text else UTC
    except InvalidFilter:
        return UTC
