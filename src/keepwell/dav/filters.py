"""Filters in XML: what a query asks for, read into values (RFC 4791 sections 9.6 to 9.11, RFC 6352 section 10).

Promises: what is read means what the RFCs say, and what is not understood is refused with its precondition instead of
being answered as if it had not been asked: an unknown collation, a time that is not in UTC, a time range on something
that has no time.

Leaves to others: applying the filters, and answering with the precondition.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, tzinfo
from typing import Final, TypeVar

from lxml import etree

from keepwell.dav.names import caldav, carddav
from keepwell.formats.contentlines import parse
from keepwell.formats.partial import AddressDataRequest, CalendarDataRequest, CompRequest, PropRequest
from keepwell.formats.refusals import InvalidContent
from keepwell.formats.times import BEGINNING, FOREVER, InvalidValue, TimeRange, parse_moment
from keepwell.formats.timezones import Zones
from keepwell.services.query.calendar_filter import CompFilter, ParamFilter, PropFilter
from keepwell.services.query.calendar_match import TIMED_COMPONENTS, TIMED_PROPERTIES
from keepwell.services.query.card_filter import CardFilter, CardPropFilter, Combination
from keepwell.services.query.collation import Collation, MatchType, TextMatch, collation_named
from keepwell.services.query.errors import Condition, InvalidFilter

#: Filters nest as deep as components do: VCALENDAR, VEVENT, VALARM, and some room for unknown ones.
_NESTING_MAX: Final = 8

#: Conditions in one filter, or properties that are asked for; a person asks for a handful.
_CONDITIONS_MAX: Final = 200

#: What can be asked for, with its versions; cards are answered in the version in which they are stored.
_CALENDAR_TYPES: Final = {"text/calendar": ("2.0",)}
_CARD_TYPES: Final = {"text/vcard": ("3.0", "4.0", "2.1"), "text/x-vcard": ("3.0", "4.0", "2.1")}

_Value = TypeVar("_Value")


def calendar_filter(element: etree._Element) -> CompFilter:
    """A CALDAV:filter. Raises InvalidFilter."""
    _check_size(element)
    parts = list(element.iterchildren(caldav("comp-filter")))
    if len(parts) != 1 or len(element) != 1:
        raise InvalidFilter("valid-filter", "a filter holds exactly one comp-filter")
    wanted = _comp_filter(parts[0], 1)
    if wanted.name != "VCALENDAR":
        raise InvalidFilter("valid-filter", f"the outermost comp-filter is {wanted.name[:40]!r}, not VCALENDAR")
    return wanted


def card_filter(element: etree._Element) -> CardFilter:
    """A CARDDAV:filter. Raises InvalidFilter."""
    _check_size(element)
    _check_children(element, carddav("prop-filter"))
    prop_filters = tuple(_card_prop_filter(child) for child in element.iterchildren(carddav("prop-filter")))
    return CardFilter(_combination(element), prop_filters)


def calendar_data_request(element: etree._Element) -> CalendarDataRequest:
    """A CALDAV:calendar-data in a request. Raises InvalidFilter."""
    _check_size(element)
    _check_media_type(element, _CALENDAR_TYPES, "supported-calendar-data")
    expand = _only(element, caldav("expand"), _closed_range)
    limit = _only(element, caldav("limit-recurrence-set"), _closed_range)
    if expand is not None and limit is not None:
        raise InvalidFilter("valid-filter", "expand and limit-recurrence-set exclude each other")
    return CalendarDataRequest(
        component=_only(element, caldav("comp"), _comp_request),
        expand=expand,
        limit_recurrence_set=limit,
        limit_freebusy_set=_only(element, caldav("limit-freebusy-set"), _closed_range),
    )


def address_data_request(element: etree._Element) -> AddressDataRequest:
    """A CARDDAV:address-data in a request. Raises InvalidFilter."""
    _check_size(element)
    _check_media_type(element, _CARD_TYPES, "supported-address-data")
    properties = tuple(_card_prop_request(child) for child in element.iterchildren(carddav("prop")))
    if not properties or element.find(carddav("allprop")) is not None:
        return AddressDataRequest()
    return AddressDataRequest(properties)


def free_busy_range(element: etree._Element) -> TimeRange:
    """The time range of a CALDAV:free-busy-query. Raises InvalidFilter."""
    asked = _only(element, caldav("time-range"), _closed_range)
    if asked is None:
        raise InvalidFilter("valid-filter", "a free-busy-query needs a time-range")
    return asked


def time_zone(text: str) -> tzinfo:
    """The zone in the calendar object of a CALDAV:timezone or calendar-timezone. Raises InvalidFilter."""
    try:
        calendars = parse(text.strip().encode(errors="surrogatepass")).components
    except InvalidContent as refusal:
        raise InvalidFilter("valid-calendar-data", f"the timezone is no calendar object: {refusal}") from refusal
    parts = [part for calendar in calendars if calendar.name == "VCALENDAR" for part in calendar.components]
    zones = [part for part in parts if part.name == "VTIMEZONE"]
    if len(calendars) != 1 or len(parts) != 1 or len(zones) != 1:
        raise InvalidFilter("valid-calendar-data", "the timezone holds something else than exactly one VTIMEZONE")
    zone = Zones(lambda: zones).named((zones[0].value("TZID") or "").strip())
    if zone is None:
        raise InvalidFilter("valid-calendar-data", "the VTIMEZONE cannot be understood")
    return zone


def _comp_filter(element: etree._Element, depth: int) -> CompFilter:
    if depth > _NESTING_MAX:
        raise InvalidFilter("supported-filter", f"comp-filters nest deeper than {_NESTING_MAX} levels")
    name, is_not_defined = _name(element), _is_not_defined(element, caldav("is-not-defined"))
    _check_children(element, *map(caldav, ("is-not-defined", "time-range", "prop-filter", "comp-filter")))
    return CompFilter(
        name=name,
        is_not_defined=is_not_defined,
        time_range=_only(element, caldav("time-range"), _timed(name, TIMED_COMPONENTS)),
        prop_filters=tuple(_prop_filter(child) for child in element.iterchildren(caldav("prop-filter"))),
        comp_filters=tuple(_comp_filter(child, depth + 1) for child in element.iterchildren(caldav("comp-filter"))),
    )


def _prop_filter(element: etree._Element) -> PropFilter:
    name, is_not_defined = _name(element), _is_not_defined(element, caldav("is-not-defined"))
    _check_children(element, *map(caldav, ("is-not-defined", "time-range", "text-match", "param-filter")))
    return PropFilter(
        name=name,
        is_not_defined=is_not_defined,
        time_range=_only(element, caldav("time-range"), _timed(name, TIMED_PROPERTIES)),
        text_match=_only(element, caldav("text-match"), _calendar_text_match),
        param_filters=_param_filters(element, caldav, _calendar_text_match),
    )


def _card_prop_filter(element: etree._Element) -> CardPropFilter:
    group, _, name = _name(element).rpartition(".")
    is_not_defined = _is_not_defined(element, carddav("is-not-defined"))
    _check_children(element, *map(carddav, ("is-not-defined", "text-match", "param-filter")))
    return CardPropFilter(
        name=name,
        group=group,
        is_not_defined=is_not_defined,
        test=_combination(element),
        text_matches=tuple(_card_text_match(child) for child in element.iterchildren(carddav("text-match"))),
        param_filters=_param_filters(element, carddav, _card_text_match),
    )


def _param_filters(
    element: etree._Element, qualified: Callable[[str], str], text_match: Callable[[etree._Element], TextMatch]
) -> tuple[ParamFilter, ...]:
    found = []
    for child in element.iterchildren(qualified("param-filter")):
        _check_children(child, qualified("is-not-defined"), qualified("text-match"))
        is_not_defined = _is_not_defined(child, qualified("is-not-defined"))
        found.append(ParamFilter(_name(child), is_not_defined, _only(child, qualified("text-match"), text_match)))
    return tuple(found)


def _calendar_text_match(element: etree._Element) -> TextMatch:
    return _text_match(element, Collation.ASCII_CASEMAP)


def _card_text_match(element: etree._Element) -> TextMatch:
    return _text_match(element, Collation.UNICODE_CASEMAP)


def _text_match(element: etree._Element, default: Collation) -> TextMatch:
    # RFC 4791 has no match-type; the servers of Apple understand it all the same, and so do some clients.
    match_type = element.get("match-type", MatchType.CONTAINS.value)
    negate = element.get("negate-condition", "no")
    if match_type not in frozenset(MatchType) or negate not in ("yes", "no"):
        raise InvalidFilter(
            "valid-filter", f"a text-match has match-type {match_type!r} and negate-condition {negate!r}"
        )
    collation = collation_named(element.get("collation", default.value), default)
    return TextMatch(element.text or "", collation, negate == "yes", MatchType(match_type))


def _timed(name: str, timed: frozenset[str]) -> Callable[[etree._Element], TimeRange]:
    """The reader of a time range on this, which must be something that has a time (RFC 4791 9.9)."""

    def read(element: etree._Element) -> TimeRange:
        if name not in timed:
            raise InvalidFilter("supported-filter", f"a time-range on {name[:40]!r} has no meaning")
        return _time_range(element)

    return read


def _closed_range(element: etree._Element) -> TimeRange:
    asked = _time_range(element)
    if asked.start == BEGINNING or asked.end == FOREVER:
        raise InvalidFilter("valid-filter", f"{_local(element)} needs both start and end")
    return asked


def _time_range(element: etree._Element) -> TimeRange:
    start, end = _instant(element, "start", BEGINNING), _instant(element, "end", FOREVER)
    if (start, end) == (BEGINNING, FOREVER):
        raise InvalidFilter("valid-filter", f"{_local(element)} needs a start or an end")
    if start >= end:
        raise InvalidFilter("valid-filter", f"the start of {_local(element)} is not before its end")
    return TimeRange(start, end)


def _instant(element: etree._Element, attribute: str, default: int) -> int:
    text = element.get(attribute)
    if text is None:
        return default
    try:
        moment = parse_moment(text)
    except InvalidValue as cause:
        raise InvalidFilter("valid-filter", f"{attribute} of {_local(element)}: {cause}") from cause
    if moment.zone is not UTC:
        raise InvalidFilter("valid-filter", f"{attribute} of {_local(element)} is {text!r}, which is not in UTC")
    return moment.instant(UTC)


def _comp_request(element: etree._Element, depth: int = 1) -> CompRequest:
    if depth > _NESTING_MAX:
        raise InvalidFilter("supported-calendar-data", f"comp elements nest deeper than {_NESTING_MAX} levels")
    properties = tuple(
        PropRequest(_name(child), _has_no_value(child)) for child in element.iterchildren(caldav("prop"))
    )
    components = tuple(_comp_request(child, depth + 1) for child in element.iterchildren(caldav("comp")))
    is_empty = len(element) == 0
    return CompRequest(
        name=_name(element),
        all_properties=is_empty or element.find(caldav("allprop")) is not None,
        properties=properties,
        all_components=is_empty or element.find(caldav("allcomp")) is not None,
        components=components,
    )


def _card_prop_request(element: etree._Element) -> PropRequest:
    group, _, name = _name(element).rpartition(".")
    return PropRequest(name, _has_no_value(element), group)


def _has_no_value(element: etree._Element) -> bool:
    return element.get("novalue", "no") == "yes"


def _combination(element: etree._Element) -> Combination:
    test = element.get("test", Combination.ANYOF.value)
    if test not in frozenset(Combination):
        raise InvalidFilter("valid-filter", f"the test {test[:40]!r} is neither anyof nor allof")
    return Combination(test)


def _is_not_defined(element: etree._Element, tag: str) -> bool:
    if element.find(tag) is None:
        return False
    if len(element) > 1:
        raise InvalidFilter("valid-filter", f"{_local(element)} asks for something of what is-not-defined")
    return True


def _name(element: etree._Element) -> str:
    name = element.get("name", "").strip().upper()
    if not name:
        raise InvalidFilter("valid-filter", f"{_local(element)} has no name")
    return name


def _only(element: etree._Element, tag: str, read: Callable[[etree._Element], _Value]) -> _Value | None:
    """What is read from the child of this tag, or None; there can be one at most."""
    children = list(element.iterchildren(tag))
    if len(children) > 1:
        raise InvalidFilter("valid-filter", f"{_local(element)} holds {_local(children[0])} more than once")
    return read(children[0]) if children else None


def _check_children(element: etree._Element, *known: str) -> None:
    for child in element.iterchildren(etree.Element):
        if child.tag not in known:
            raise InvalidFilter("supported-filter", f"{_local(child)} in {_local(element)} is not known here")


def _check_size(element: etree._Element) -> None:
    count = sum(1 for _ in element.iterdescendants())
    if count > _CONDITIONS_MAX:
        raise InvalidFilter(
            "supported-filter", f"{count} conditions are more than the {_CONDITIONS_MAX} that are taken"
        )


def _check_media_type(element: etree._Element, known: Mapping[str, tuple[str, ...]], condition: Condition) -> None:
    """Refuse what is not stored here and is not made of it (RFC 4791 9.6, RFC 6352 10.4)."""
    media_type = element.get("content-type", next(iter(known))).lower()
    version = element.get("version")
    if media_type not in known or (version is not None and version not in known[media_type]):
        raise InvalidFilter(condition, f"{media_type[:80]} {version or ''} is not what can be answered")


def _local(element: etree._Element) -> str:
    return etree.QName(element).localname
