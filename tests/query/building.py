"""Builders for the tests of queries: calendar objects and instants from short texts."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from keepwell.formats.contentlines import Component, parse
from keepwell.formats.times import BEGINNING, FOREVER, TimeRange
from keepwell.services.query.calendar_filter import CompFilter, PropFilter
from keepwell.services.query.calendar_match import matches

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")


def octets(*components: str) -> bytes:
    """A calendar object of these components, each given as lines."""
    text = "\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//test", *components, "END:VCALENDAR", ""])
    return text.replace("\n", "\r\n").encode()


def component(name: str, *lines: str) -> str:
    """A component with a UID and these lines."""
    return "\n".join([f"BEGIN:{name}", "UID:one", "DTSTAMP:20260101T000000Z", *lines, f"END:{name}"])


def event(*lines: str) -> str:
    """A VEVENT with these lines."""
    return component("VEVENT", *lines)


def alarm(*lines: str) -> str:
    """A VALARM with these lines."""
    return "\n".join(["BEGIN:VALARM", "ACTION:DISPLAY", *lines, "END:VALARM"])


def calendar(*components: str) -> Component:
    """The same as ``octets``, parsed."""
    return parse(octets(*components)).components[0]


def at(text: str) -> int:
    """The instant of a UTC time like 20260105T090000."""
    return int(datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC).timestamp())


def span(start: str = "", end: str = "") -> TimeRange:
    """A time range of UTC times; an empty text leaves its side open."""
    return TimeRange(at(start) if start else BEGINNING, at(end) if end else FOREVER)


def within(name: str, asked: TimeRange, *prop_filters: PropFilter) -> CompFilter:
    """The filter of the usual query: components of this name in this time range."""
    return CompFilter("VCALENDAR", comp_filters=(CompFilter(name, time_range=asked, prop_filters=prop_filters),))


def is_found(parsed: Component, asked: TimeRange, name: str = "VEVENT", zone: ZoneInfo | None = None) -> bool:
    """Whether the usual query finds the calendar object."""
    return matches(parsed, within(name, asked), zone or UTC)
