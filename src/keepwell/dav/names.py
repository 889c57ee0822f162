"""XML names of the DAV face, in Clark notation (`{namespace}local`), and the prefixes that answers use for them.

Every answer declares the same prefixes on its root element, so that a fragment rendered anywhere fits everywhere.
"""

from __future__ import annotations

from typing import Final

DAV: Final = "DAV:"
CALDAV: Final = "urn:ietf:params:xml:ns:caldav"
CARDDAV: Final = "urn:ietf:params:xml:ns:carddav"
CALENDARSERVER: Final = "http://calendarserver.org/ns/"
APPLE_ICAL: Final = "http://apple.com/ns/ical/"
KEEPWELL: Final = "https://keepwell.invalid/ns"

PREFIXES: Final = {
    DAV: "D",
    CALDAV: "C",
    CARDDAV: "A",
    CALENDARSERVER: "S",
    APPLE_ICAL: "I",
}

DECLARATIONS: Final = " ".join(f'xmlns:{prefix}="{namespace}"' for namespace, prefix in PREFIXES.items())
"""The attributes that a root element needs for fragments to fit in it."""

XML_LANG: Final = "{http://www.w3.org/XML/1998/namespace}lang"


def dav(local: str) -> str:
    """A name of RFC 4918 and its relatives."""
    return f"{{{DAV}}}{local}"


def caldav(local: str) -> str:
    """A name of RFC 4791."""
    return f"{{{CALDAV}}}{local}"


def carddav(local: str) -> str:
    """A name of RFC 6352."""
    return f"{{{CARDDAV}}}{local}"


def clark(tag: str) -> str:
    """The Clark name of an lxml tag; one without a namespace gets an empty one, so it is never a plain word."""
    return tag if tag.startswith("{") else "{}" + tag


def split(name: str) -> tuple[str, str]:
    """Namespace and local part of a Clark name."""
    namespace, _, local = name[1:].partition("}")
    return namespace, local
