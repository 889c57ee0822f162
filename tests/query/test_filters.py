"""Filters in XML: what is read from a request, and what is refused with which precondition."""

from datetime import datetime

import pytest
from lxml import etree

from keepwell.dav.filters import (
    address_data_request,
    calendar_data_request,
    calendar_filter,
    card_filter,
    free_busy_range,
    time_zone,
)
from keepwell.formats.partial import AddressDataRequest, CalendarDataRequest, CompRequest, PropRequest
from keepwell.formats.times import FOREVER
from keepwell.services.query.calendar_filter import CompFilter, ParamFilter, PropFilter
from keepwell.services.query.card_filter import CardFilter, CardPropFilter, Combination
from keepwell.services.query.collation import Collation, MatchType, TextMatch
from keepwell.services.query.errors import InvalidFilter
from tests.query.building import octets, span
from tests.query.test_timezones import EASTERN


def calendar_xml(text: str) -> etree._Element:
    return etree.fromstring(f'<root xmlns="urn:ietf:params:xml:ns:caldav">{text}</root>')[0]


def card_xml(text: str) -> etree._Element:
    return etree.fromstring(f'<root xmlns="urn:ietf:params:xml:ns:carddav">{text}</root>')[0]


def inside(text: str) -> str:
    return f'<filter><comp-filter name="VCALENDAR">{text}</comp-filter></filter>'


def test_calendar_filter_is_read_whole() -> None:
    """Every element and attribute of RFC 4791 9.7 arrives in the value."""
    element = calendar_xml(
        inside(
            '<comp-filter name="vevent"><time-range start="20260101T000000Z" end="20260201T000000Z"/>'
            '<prop-filter name="ATTENDEE"><text-match collation="i;octet" negate-condition="yes"> bob</text-match>'
            '<param-filter name="PARTSTAT"><text-match>NEEDS</text-match></param-filter>'
            '<param-filter name="CN"><is-not-defined/></param-filter></prop-filter>'
            '<prop-filter name="DTSTART"><time-range start="20260101T000000Z"/></prop-filter>'
            '<comp-filter name="VALARM"><is-not-defined/></comp-filter></comp-filter>'
        )
    )

    assert calendar_filter(element) == CompFilter(
        "VCALENDAR",
        comp_filters=(
            CompFilter(
                "VEVENT",
                time_range=span("20260101T000000", "20260201T000000"),
                prop_filters=(
                    PropFilter(
                        "ATTENDEE",
                        text_match=TextMatch(" bob", Collation.OCTET, negate=True),
                        param_filters=(
                            ParamFilter("PARTSTAT", text_match=TextMatch("NEEDS", Collation.ASCII_CASEMAP)),
                            ParamFilter("CN", is_not_defined=True),
                        ),
                    ),
                    PropFilter("DTSTART", time_range=span("20260101T000000")),
                ),
                comp_filters=(CompFilter("VALARM", is_not_defined=True),),
            ),
        ),
    )


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        ("valid-filter", "<filter/>"),
        ("valid-filter", '<filter><comp-filter name="VEVENT"/></filter>'),
        ("valid-filter", '<filter><comp-filter name="VCALENDAR"/><comp-filter name="VCALENDAR"/></filter>'),
        ("valid-filter", inside('<comp-filter name=""/>')),
        ("valid-filter", inside('<comp-filter name="VEVENT"><time-range/></comp-filter>')),
        ("valid-filter", inside('<comp-filter name="VEVENT"><time-range start="20260101T000000"/></comp-filter>')),
        ("valid-filter", inside('<comp-filter name="VEVENT"><time-range start="20260101"/></comp-filter>')),
        ("valid-filter", inside('<comp-filter name="VEVENT"><time-range end="tomorrow"/></comp-filter>')),
        (
            "valid-filter",
            inside(
                '<comp-filter name="VEVENT"><time-range start="20260101T000000Z" end="20260101T000000Z"/></comp-filter>'
            ),
        ),
        ("valid-filter", inside('<comp-filter name="VEVENT"><is-not-defined/><prop-filter name="X"/></comp-filter>')),
        ("valid-filter", inside('<prop-filter name="X"><text-match/><text-match/></prop-filter>')),
        ("valid-filter", inside('<prop-filter name="X"><text-match negate-condition="perhaps"/></prop-filter>')),
        ("supported-filter", inside('<comp-filter name="VEVENT"><resembles/></comp-filter>')),
        (
            "supported-filter",
            inside('<comp-filter name="VTIMEZONE"><time-range start="20260101T000000Z"/></comp-filter>'),
        ),
        (
            "supported-filter",
            inside('<prop-filter name="SUMMARY"><time-range start="20260101T000000Z"/></prop-filter>'),
        ),
        ("supported-filter", inside('<comp-filter name="A">' * 20 + "</comp-filter>" * 20)),
        ("supported-filter", inside('<prop-filter name="A"/>' * 1000)),
        ("supported-collation", inside('<prop-filter name="X"><text-match collation="i;klingon"/></prop-filter>')),
    ],
)
def test_calendar_filter_is_refused_with_its_condition(condition: str, text: str) -> None:
    """What cannot be answered as asked raises InvalidFilter with the precondition of RFC 4791 7.8."""
    with pytest.raises(InvalidFilter) as caught:
        calendar_filter(calendar_xml(text))

    assert caught.value.condition == condition
    assert caught.value.reason


def test_card_filter_is_read_whole() -> None:
    """Every element and attribute of RFC 6352 10.5 arrives in the value, with the defaults of cards."""
    element = card_xml(
        '<filter test="allof"><prop-filter name="item1.email" test="allof"><text-match>Bob</text-match>'
        '<text-match match-type="starts-with" collation="i;ascii-casemap" negate-condition="yes">b</text-match>'
        '<param-filter name="type"><text-match match-type="equals">home</text-match></param-filter></prop-filter>'
        '<prop-filter name="TEL"><is-not-defined/></prop-filter></filter>'
    )

    assert card_filter(element) == CardFilter(
        Combination.ALLOF,
        (
            CardPropFilter(
                "EMAIL",
                group="ITEM1",
                test=Combination.ALLOF,
                text_matches=(
                    TextMatch("Bob", Collation.UNICODE_CASEMAP),
                    TextMatch("b", Collation.ASCII_CASEMAP, True, MatchType.STARTS_WITH),
                ),
                param_filters=(
                    ParamFilter(
                        "TYPE", text_match=TextMatch("home", Collation.UNICODE_CASEMAP, False, MatchType.EQUALS)
                    ),
                ),
            ),
            CardPropFilter("TEL", is_not_defined=True),
        ),
    )


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        ("valid-filter", '<filter test="someof"/>'),
        ("valid-filter", "<filter><prop-filter/></filter>"),
        (
            "valid-filter",
            '<filter><prop-filter name="FN"><text-match match-type="sounds-like"/></prop-filter></filter>',
        ),
        ("supported-filter", '<filter><comp-filter name="VCARD"/></filter>'),
        ("supported-collation", '<filter><prop-filter name="FN"><text-match collation="x"/></prop-filter></filter>'),
    ],
)
def test_card_filter_is_refused_with_its_condition(condition: str, text: str) -> None:
    """What cannot be answered as asked raises InvalidFilter with the precondition of RFC 6352 8.6."""
    with pytest.raises(InvalidFilter) as caught:
        card_filter(card_xml(text))

    assert caught.value.condition == condition


def test_empty_card_filter_means_every_card() -> None:
    """A filter without conditions is one that every card meets."""
    assert card_filter(card_xml("<filter/>")) == CardFilter()


def test_calendar_data_is_read_whole() -> None:
    """Parts, expansion and limits of RFC 4791 9.6 arrive in the value."""
    element = calendar_xml(
        '<calendar-data><comp name="VCALENDAR"><prop name="VERSION"/><comp name="VEVENT"><prop name="UID"/>'
        '<prop name="SUMMARY" novalue="yes"/><allcomp/></comp><comp name="VTIMEZONE"/></comp>'
        '<limit-recurrence-set start="20260101T000000Z" end="20260201T000000Z"/>'
        '<limit-freebusy-set start="20260101T000000Z" end="20260201T000000Z"/></calendar-data>'
    )
    month = span("20260101T000000", "20260201T000000")

    assert calendar_data_request(element) == CalendarDataRequest(
        CompRequest(
            "VCALENDAR",
            all_properties=False,
            properties=(PropRequest("VERSION"),),
            all_components=False,
            components=(
                CompRequest("VEVENT", False, (PropRequest("UID"), PropRequest("SUMMARY", True)), True, ()),
                CompRequest("VTIMEZONE"),
            ),
        ),
        limit_recurrence_set=month,
        limit_freebusy_set=month,
    )


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        ("supported-calendar-data", '<calendar-data content-type="application/json"/>'),
        ("supported-calendar-data", '<calendar-data content-type="text/calendar" version="3.0"/>'),
        ("valid-filter", '<calendar-data><expand start="20260101T000000Z"/></calendar-data>'),
        (
            "valid-filter",
            '<calendar-data><expand start="20260101T000000Z" end="20260201T000000Z"/>'
            '<limit-recurrence-set start="20260101T000000Z" end="20260201T000000Z"/></calendar-data>',
        ),
    ],
)
def test_calendar_data_is_refused_with_its_condition(condition: str, text: str) -> None:
    """A form of the data that is not served is refused, not replaced by another."""
    with pytest.raises(InvalidFilter) as caught:
        calendar_data_request(calendar_xml(text))

    assert caught.value.condition == condition


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<address-data/>", AddressDataRequest()),
        ('<address-data content-type="text/vcard" version="4.0"><allprop/></address-data>', AddressDataRequest()),
        (
            '<address-data><prop name="fn"/><prop name="EMAIL" novalue="yes"/></address-data>',
            AddressDataRequest((PropRequest("FN"), PropRequest("EMAIL", True))),
        ),
    ],
)
def test_address_data_is_read_whole(text: str, expected: AddressDataRequest) -> None:
    """The properties asked for of cards arrive in the value."""
    assert address_data_request(card_xml(text)) == expected


def test_unknown_form_of_a_card_is_refused() -> None:
    """A media type that cards are not served in has its precondition."""
    with pytest.raises(InvalidFilter) as caught:
        address_data_request(card_xml('<address-data content-type="application/vcard+json" version="4.0"/>'))

    assert caught.value.condition == "supported-address-data"


def test_free_busy_needs_both_ends() -> None:
    """Busy times are told for a range with a start and an end."""
    whole = calendar_xml(
        '<free-busy-query><time-range start="20260101T000000Z" end="20260201T000000Z"/></free-busy-query>'
    )

    assert free_busy_range(whole) == span("20260101T000000", "20260201T000000")
    assert free_busy_range(whole).end != FOREVER
    for text in ("<free-busy-query/>", '<free-busy-query><time-range start="20260101T000000Z"/></free-busy-query>'):
        with pytest.raises(InvalidFilter):
            free_busy_range(calendar_xml(text))


def test_zone_of_a_query_is_read_from_its_calendar_object() -> None:
    """A CALDAV:timezone holds one VTIMEZONE, and anything else is refused as invalid calendar data."""
    zone = time_zone(octets(EASTERN).decode())

    assert zone.utcoffset(datetime(2026, 7, 1)) is not None
    for text in ("", "Europe/Berlin", octets().decode(), octets(EASTERN, EASTERN).decode()):
        with pytest.raises(InvalidFilter) as caught:
            time_zone(text)
        assert caught.value.condition == "valid-calendar-data"


def test_data_request_of_many_properties_is_refused() -> None:
    """More properties than anybody asks for are refused before any item is read."""
    wanted = "".join(f'<prop name="X{number}"/>' for number in range(300))

    with pytest.raises(InvalidFilter):
        calendar_data_request(calendar_xml(f'<calendar-data><comp name="VCALENDAR">{wanted}</comp></calendar-data>'))
    with pytest.raises(InvalidFilter):
        address_data_request(card_xml(f"<address-data>{wanted}</address-data>"))
