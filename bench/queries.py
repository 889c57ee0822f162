"""The XML that the measured requests carry, and how their answers are counted."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import islice

from bench.data import Month
from bench.servers import Target

_CONTACT_DATA = "urn:ietf:params:xml:ns:carddav", "address-data"
_EVENT_DATA = "urn:ietf:params:xml:ns:caldav", "calendar-data"
_XML = ("Content-Type", 'application/xml; charset="utf-8"')
_RESPONSE = re.compile(rb"</(?:[\w.-]+:)?response>")
_GONE = re.compile(rb"href>\s*<(?:[\w.-]+:)?status>HTTP/1\.[01] 404")
_TRUNCATED = re.compile(rb"href>\s*<(?:[\w.-]+:)?status>HTTP/1\.[01] 507")
_TOKEN = re.compile(rb"<(?:[\w.-]+:)?sync-token(?:\s[^>]*)?>([^<]+)</")


def propfind_all(target: Target, collection: str) -> bytes:
    """What a client asks to compare a collection with its copy: every member's ETag, type and kind."""
    body = _document("D:propfind", "DAV:", "<D:prop><D:getetag/><D:getcontenttype/><D:resourcetype/></D:prop>")
    return target.request("PROPFIND", collection, body, [_XML, ("Depth", "1")])


def sync_collection(target: Target, collection: str, token: str = "") -> bytes:
    """RFC 6578: what changed since the token; all members when it is empty."""
    parts = f"<D:sync-token>{token}</D:sync-token><D:sync-level>1</D:sync-level><D:prop><D:getetag/></D:prop>"
    return _report(target, collection, _document("D:sync-collection", "DAV:", parts), depth="0")


def multiget(target: Target, collection: str, names: Iterable[str]) -> bytes:
    """The named members with their bytes."""
    namespace, data = _kind(target, collection)
    hrefs = "".join(f"<D:href>{collection}{name}</D:href>" for name in names)
    report = "addressbook-multiget" if collection == target.contacts else "calendar-multiget"
    body = _document(f"C:{report}", namespace, f"<D:prop><D:getetag/><C:{data}/></D:prop>{hrefs}")
    return _report(target, collection, body, depth="0")


def multigets(target: Target, collection: str, names: Iterable[str], size: int = 100) -> list[bytes]:
    """The whole collection, so many at a time."""
    left = iter(names)
    return [multiget(target, collection, batch) for batch in iter(lambda: tuple(islice(left, size)), ())]


def calendar_query(target: Target, month: Month) -> bytes:
    """The events of a month with their bytes."""
    start, end = month.bounds()
    body = _document(
        "C:calendar-query",
        _EVENT_DATA[0],
        "<D:prop><D:getetag/><C:calendar-data/></D:prop>"
        '<C:filter><C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT">'
        f'<C:time-range start="{start}" end="{end}"/></C:comp-filter></C:comp-filter></C:filter>',
    )
    return _report(target, target.calendar, body, depth="1")


def addressbook_query(target: Target, fragment: str) -> bytes:
    """The contacts whose name or address contains the fragment, with their bytes."""
    match = f'<C:text-match collation="i;unicode-casemap" match-type="contains">{fragment}</C:text-match>'
    filters = "".join(f'<C:prop-filter name="{name}">{match}</C:prop-filter>' for name in ("FN", "EMAIL"))
    parts = f'<D:prop><D:getetag/><C:address-data/></D:prop><C:filter test="anyof">{filters}</C:filter>'
    body = _document("C:addressbook-query", _CONTACT_DATA[0], parts)
    return _report(target, target.contacts, body, depth="1")


def members(body: bytes) -> int:
    """How many resources a multistatus speaks of, without the entry that says there is more."""
    return len(_RESPONSE.findall(body)) - is_truncated(body)


def gone(body: bytes) -> int:
    """How many of them it says were deleted; Radicale tells even a client that never saw them."""
    return len(_GONE.findall(body))


def is_truncated(body: bytes) -> bool:
    """True if the server says (RFC 6578 3.6) that this is not yet all."""
    return _TRUNCATED.search(body) is not None


def sync_token(body: bytes) -> str:
    """The token to ask with next time; empty if there is none."""
    found = _TOKEN.findall(body)
    return str(found[-1].decode()) if found else ""


def _kind(target: Target, collection: str) -> tuple[str, str]:
    return _CONTACT_DATA if collection == target.contacts else _EVENT_DATA


def _report(target: Target, collection: str, body: bytes, *, depth: str) -> bytes:
    return target.request("REPORT", collection, body, [_XML, ("Depth", depth)])


def _document(root: str, namespace: str, parts: str) -> bytes:
    spaces = 'xmlns:D="DAV:"' + ("" if namespace == "DAV:" else f' xmlns:C="{namespace}"')
    return f'<?xml version="1.0" encoding="utf-8"?><{root} {spaces}>{parts}</{root}>'.encode()
