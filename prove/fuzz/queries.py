"""Queries of calendars and address books, each with an object that it is asked of: XML, a zero octet, the stored bytes.

Checked: a filter that is refused is refused with its precondition; the index never drops what reading would find, and
never decides otherwise than reading does; what is answered of an object (parts, instances, busy times) can be read
again and be put into XML; following recurrences takes bounded work, however absurd they are.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, tzinfo
from typing import Final

from lxml import etree

from keepwell.dav import filters
from keepwell.dav.names import CARDDAV, caldav, carddav, dav
from keepwell.dav.reports.data import component_in
from keepwell.dav.reports.question import STEPS_PER_REQUEST
from keepwell.dav.xml import escape_octets, parse_request
from keepwell.formats.contentlines import Component, parse
from keepwell.formats.expand import EXPANDED_OCTETS_MAX
from keepwell.formats.expansion import Budget, TooManyInstances
from keepwell.formats.partial import partial_calendar, partial_card
from keepwell.formats.times import TimeRange
from keepwell.model.errors import BadRequest, Refused
from keepwell.model.names import Home
from keepwell.services.content import examine
from keepwell.services.query import calendar_match, card_match
from keepwell.services.query.calendar_filter import CompFilter
from keepwell.services.query.card_filter import CardFilter
from keepwell.services.query.card_index import coarse_card, verdict
from keepwell.services.query.errors import InvalidFilter
from keepwell.services.query.freebusy import busy_times, free_busy
from keepwell.services.query.prefilter import coarse_calendar
from keepwell.storage.contract import Index
from prove.fuzz.target import bounded, require, words

STEPS_MAX: Final = 3_000_000
"""A question about an object takes 20,000 of the product's own steps, and each of those some of these here."""
STEPS_PER_ZONE: Final = 6_000_000
"""A VTIMEZONE may take 200,000 of the product's steps, once."""

WORDS: Final = words(
    b"<C:filter>|</C:filter>|<C:comp-filter name='VEVENT'>|</C:comp-filter>|<C:is-not-defined/>|<C:expand",
    b"<C:time-range start='20260101T000000Z' end='20270101T000000Z'/>|<C:prop-filter name='DUE'>",
    b"<C:text-match>|</C:text-match>|negate-condition='yes'|collation='i;octet'|match-type='equals'",
    b"<C:limit-recurrence-set|<C:limit-freebusy-set|<C:comp name='VEVENT'>|<C:prop name='UID'/>|novalue='yes'",
    b"RRULE:FREQ=YEARLY|FREQ=MONTHLY|FREQ=WEEKLY|FREQ=DAILY|FREQ=HOURLY|FREQ=MINUTELY|FREQ=SECONDLY",
    b";COUNT=9|;INTERVAL=999|;UNTIL=20300101|;BYDAY=-1MO|;BYMONTH=2|;BYMONTHDAY=31|;BYYEARDAY=366|;BYWEEKNO=53",
    b";BYHOUR=0,23|;BYMINUTE=59|;BYSECOND=60|;BYSETPOS=-1|;WKST=SU|DURATION:P1W|DURATION:-PT1S|TRIGGER:-P1D",
    b"RDATE:|EXDATE:|;VALUE=DATE:|;VALUE=PERIOD:|;TZID=X:|;RANGE=THISANDFUTURE|DTEND:|DUE:|99991231T235959Z",
    b"BEGIN:VALARM\n|END:VALARM\n|BEGIN:STANDARD\n|END:STANDARD\n|TZOFFSETFROM:+0100\n|TZOFFSETTO:-2359\n",
    b"FREEBUSY:|00010101T000000|TRIGGER;RELATED=END:|REPEAT:9999\n|RECURRENCE-ID:20260101T000000Z\n|\n",
)


def check(data: bytes) -> None:
    """One query of one object."""
    question, _, stored = data.partition(b"\0")
    try:
        root = parse_request(question)
    except BadRequest:
        return
    if root is None:
        return
    with bounded(data, STEPS_MAX + STEPS_PER_ZONE * stored.count(b"BEGIN:VTIMEZONE")):
        try:
            if etree.QName(root).namespace == CARDDAV:
                _ask_card(root, stored)
            else:
                _ask_calendar(root, stored)
        except InvalidFilter as refusal:
            require(refusal.reason != "", "a query is refused without a reason")


def _ask_calendar(root: etree._Element, stored: bytes) -> None:
    budget, zone = Budget(STEPS_PER_REQUEST), _zone(root)
    element, calendar, index = root.find(caldav("filter")), component_in(stored), _index(Home.CALENDARS, stored)
    if element is not None:
        wanted = filters.calendar_filter(element)
        if calendar is not None and index is not None:
            _check_index(wanted, index, calendar_match.matches(calendar, wanted, zone, budget))
    element = root.find(f"{dav('prop')}/{caldav('calendar-data')}")
    if element is not None:
        request = filters.calendar_data_request(element)
        if calendar is not None:
            _check_part(lambda: partial_calendar(calendar, request, zone, budget), stored)
    if root.tag == caldav("free-busy-query"):
        asked = filters.free_busy_range(root)
        if calendar is not None:
            _check_busy(calendar, asked, zone, budget)


def _zone(root: etree._Element) -> tzinfo:
    element = root.find(caldav("timezone"))
    return UTC if element is None else filters.time_zone("".join(str(part) for part in element.itertext()))


def _index(home: Home, stored: bytes) -> Index | None:
    """What the storage would know of the object; None when it would not be taken."""
    try:
        return examine(home, stored)[1]
    except Refused:
        return None


def _check_index(wanted: CompFilter, index: Index, is_found: bool) -> None:
    """As `calendar-query` asks the index: what that leaves out must not match, what it calls certain must."""
    coarse = coarse_calendar(wanted)
    if index.span_start is None or index.span_end is None:
        raise AssertionError("a calendar object without a span")
    is_left = index.span_end > coarse.start and index.span_start < coarse.end
    is_left = is_left and coarse.component in (None, index.component)
    if not is_left:
        require(not is_found, f"the index leaves out what the filter is true of: {index}, {coarse}")
    elif coarse.certain or (coarse.exact_allowed and index.span_exact):
        require(is_found, f"the index is certain of what the filter is not true of: {index}, {coarse}")


def _check_part(part: Callable[[], str], stored: bytes) -> None:
    """What is answered of an object is one again, or nothing, and XML can carry it."""
    try:
        octets = part().encode(errors="surrogateescape")
    except TooManyInstances:
        return
    require(len(octets) <= 2 * (EXPANDED_OCTETS_MAX + len(stored)), f"{len(octets):,} octets of {len(stored):,}")
    if octets:
        require(len(parse(octets).components) == 1, "a part of an object is no object")
    _as_xml(octets)


def _as_xml(octets: bytes) -> None:
    etree.fromstring(f"<a>{escape_octets(octets)}</a>", etree.XMLParser(huge_tree=True))


def _check_busy(calendar: Component, asked: TimeRange, zone: tzinfo, budget: Budget) -> None:
    try:
        busy = list(busy_times(calendar, asked, zone, budget))
    except TooManyInstances:
        return
    require(all(asked.start <= one.start < one.end <= asked.end for one in busy), "busy outside of what was asked")
    parse(free_busy(busy, asked, uid="u", stamp=0))


def _ask_card(root: etree._Element, stored: bytes) -> None:
    card, index = component_in(stored), _index(Home.CONTACTS, stored)
    element = root.find(carddav("filter"))
    if element is not None:
        wanted = filters.card_filter(element)
        if card is not None and index is not None:
            _check_search(wanted, index.search_text, card_match.matches(card, wanted))
    element = root.find(f"{dav('prop')}/{carddav('address-data')}")
    if element is not None:
        request = filters.address_data_request(element)
        if card is not None:
            _check_part(lambda: partial_card(card, request), stored)


def _check_search(wanted: CardFilter, text: str, is_found: bool) -> None:
    needles = coarse_card(wanted).needles
    if needles and not any(needle in text for needle in needles):
        require(not is_found, f"the needles {needles} drop a card that the filter is true of")
        return
    decided = verdict(wanted, text)
    require(decided in (None, is_found), f"the index says {decided} of a card, and reading it {is_found}")
