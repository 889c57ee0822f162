"""Bodies of requests in XML: an octet that chooses a resource, then a PROPFIND, PROPPATCH, MKCOL or REPORT of it.

Checked: what is refused is refused with an answer that is no fault of the server; every answer is XML that can be read
(of a free-busy query, a calendar), no longer than a bound that grows with the request; of a property change, what is
kept fits into any later answer.
"""

from __future__ import annotations

from typing import Final, cast

from lxml import etree

from keepwell.dav.errors import verdict_on
from keepwell.dav.multistatus import document
from keepwell.dav.names import caldav, dav
from keepwell.dav.properties import plan_properties
from keepwell.dav.propertyset import Draft, read_update
from keepwell.dav.reports import REPORTS
from keepwell.dav.reports.question import Report, asked, require_supported
from keepwell.dav.request import DavRequest
from keepwell.dav.resources import load
from keepwell.dav.scene import scene_of
from keepwell.dav.xml import parse_request
from keepwell.formats.contentlines import parse
from keepwell.model.errors import KeepwellError
from keepwell.services.query.errors import InvalidFilter
from prove.fuzz.shelf import ACCOUNT, ACTOR, LIBRARY, PATHS, request_for
from prove.fuzz.target import bounded, require, words

STEPS_FIXED: Final = 3_000_000
STEPS_PER_OCTET: Final = 4000
OCTETS_FIXED: Final = 200_000
OCTETS_PER_OCTET: Final = 600
"""An answer has four items at most, and each may name every property that was asked for; `expand-property` follows
what points to a principal, again and again."""
DEPTHS: Final = (b"0", b"1", b"infinity")

WORDS: Final = words(
    b"<D:propfind xmlns:D='DAV:'>|<D:prop>|</D:prop>|<D:allprop/>|<D:propname/>|<D:include>|<D:getetag/>|<D:owner/>",
    b"<D:propertyupdate|<D:set>|</D:set>|<D:remove>|<D:resourcetype>|<D:collection/>|<D:displayname>|xml:lang='de'",
    b"<D:mkcol|<C:mkcalendar|<C:supported-calendar-component-set>|<C:comp name='VTODO'/>|<C:calendar-timezone>",
    b"<D:sync-collection|<D:sync-token/>|<D:sync-level>1</D:sync-level>|<D:limit><D:nresults>1</D:nresults></D:limit>",
    b"<D:expand-property|<D:property name='owner'>|</D:property>|name='acl'|namespace='urn:x'|<D:principal-match",
    b"<D:self/>|<D:principal-property>|<D:principal-property-search|<D:property-search>|<D:match>|test='anyof'",
    b"<C:calendar-multiget|<D:href>/dav/calendars/ada/work/1.ics</D:href>|<D:acl-principal-prop-set|<![CDATA[|]]>",
    b"xmlns:C='urn:ietf:params:xml:ns:caldav'|xmlns:C='urn:ietf:params:xml:ns:carddav'|xmlns:x='|xmlns=''|&#13;|&lt;",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>|&b;|<?xml version='1.0' encoding='utf-16'?>|<?pi?>|<!--|-->|xmlns:xml=",
)


def check(data: bytes) -> None:
    """One request."""
    chosen, body = (data[0] if data else 0), data[1:]
    path, depth = PATHS[chosen % len(PATHS)], DEPTHS[chosen // len(PATHS) % len(DEPTHS)]
    prefer = [(b"prefer", b"return=minimal")] if chosen & 0x80 else []
    request = request_for("REPORT", path, [(b"depth", depth), *prefer])
    with bounded(data, STEPS_FIXED + STEPS_PER_OCTET * len(data)):
        try:
            root = parse_request(body)
            answer = b"" if root is None else _answer(request, root)
        except InvalidFilter:
            return  # which the frame of a report answers with its precondition
        except KeepwellError as error:
            require(400 <= verdict_on(error, request.target).status < 500, f"answered {error!r}")
            return
    require(len(answer) <= OCTETS_FIXED + OCTETS_PER_OCTET * len(data), f"{len(answer):,} octets for {len(data):,}")
    if answer.startswith(b"BEGIN:"):
        parse(answer)
    elif answer:
        _read(answer)


def _answer(request: DavRequest, root: etree._Element) -> bytes:
    report = REPORTS.get(str(root.tag))
    if report is not None:
        return _report(cast(Report, report), request, root)
    if root.tag in (dav("propertyupdate"), dav("mkcol"), caldav("mkcalendar")):
        return _update(request, root)
    return _find(request, root)


def _report(report: Report, request: DavRequest, root: etree._Element) -> bytes:
    with asked(request, root) as question:
        require_supported(report.name, question.resource)
        return report.answer(question).body


def _update(request: DavRequest, root: etree._Element) -> bytes:
    """The propstats of a change that nobody makes, and what would be kept as it would stand in a later answer."""
    draft = Draft(request.target.home, on_collection=request.target.collection != "")
    read_update(root, draft)
    draft.reject_beyond_room({})
    kept = [text for name, text in draft.changes.items() if text is not None and name.startswith("{")]
    _read(document(kept).encode())
    return document([f"<D:response>{draft.propstats()}</D:response>"]).encode()


def _find(request: DavRequest, root: etree._Element) -> bytes:
    plan, scene = plan_properties(root), scene_of(request)
    if not request.target.login:
        return b""
    with LIBRARY.reading(ACCOUNT) as snapshot:
        resource = load(snapshot, ACTOR, ACCOUNT, request.target)
        responses = [plan.render(scene, resource)]
        if resource.collection is not None and resource.item is None:
            responses += map(plan.for_items(scene, resource).render, snapshot.items(resource.collection.id))
    return document(responses).encode()


def _read(answer: bytes) -> None:
    etree.fromstring(answer, etree.XMLParser(huge_tree=True, resolve_entities=False))
