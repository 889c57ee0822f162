"""`CALDAV:calendar-multiget` (RFC 4791 section 7.9) and `CARDDAV:addressbook-multiget` (RFC 6352 section 8.7).

Promises: every href of the request is answered once: with its properties, or with a 404 of its own when there is no
such item in this collection, whatever else the path may lead to, or with a 507 of its own when the answer has no room
for it any more. The Depth header is not looked at.

A hundred items a time are how most clients read everything, so this path does one read for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepwell.dav.multistatus import multistatus, not_found, truncated
from keepwell.dav.names import caldav, carddav, dav
from keepwell.dav.paths import Target, parse_path
from keepwell.dav.properties import PropertyPlan
from keepwell.dav.reports.data import address_data, calendar_data
from keepwell.dav.reports.question import Question, Report, collection_base
from keepwell.dav.reports.results import plan_items
from keepwell.dav.reports.size import Room
from keepwell.dav.request import DavResponse
from keepwell.dav.xml import text_of
from keepwell.model.errors import BadRequest, NotThere


def answer_calendar(question: Question) -> DavResponse:
    """The calendar items that were asked for."""
    return _answer(question, plan_items(question, calendar_data(question)))


def answer_contacts(question: Question) -> DavResponse:
    """The cards that were asked for."""
    return _answer(question, plan_items(question, address_data(question)))


def _answer(question: Question, plan: PropertyPlan) -> DavResponse:
    asked = _names_by_href(question)
    names = list(dict.fromkeys(name for name in asked.values() if name))
    responses: dict[str, str] = {}
    room, is_whole = Room(), True
    for name, response in _found(question, plan, names):
        is_whole = room.takes(response)
        if not is_whole:
            break
        responses[name] = response
    missing = [
        not_found(href) if is_whole or not name else truncated(href)
        for href, name in asked.items()
        if name not in responses
    ]
    return multistatus([*responses.values(), *missing])


def _found(question: Question, plan: PropertyPlan, names: list[str]) -> Iterator[tuple[str, str]]:
    """Name and response of those items that are there."""
    snapshot, number = question.required_snapshot(), question.collection().id
    render = plan.for_items(question.scene, question.resource).render
    if plan.needs_bodies:
        return ((item.name, render(item, body)) for item, body in snapshot.items_with_bodies(number, names))
    return ((name, render(item)) for name in names if (item := snapshot.item(number, name)) is not None)


def _names_by_href(question: Question) -> dict[str, str]:
    """Every href as it was sent → the name of the item that it means in this collection; empty when it means none."""
    hrefs = [text_of(element) for element in question.root.iterchildren(dav("href"))]
    if not hrefs:
        raise BadRequest("a multiget names the items that it wants, each in a DAV:href")
    target = question.resource.target
    base = collection_base(target)
    return {href: _name_in(href, base, target) for href in hrefs}


def _name_in(href: str, base: str, target: Target) -> str:
    """The name of the item; whatever host the href names, because a proxy may know this one by another name."""
    rest = href.removeprefix(base)
    if rest != href and target.name == "" and "%" not in rest and "/" not in rest:
        return rest
    if "://" in href:
        href = "/" + href.partition("://")[2].partition("/")[2]
    try:
        found = parse_path(href)
    except (NotThere, BadRequest):
        return ""
    wanted = (target.login, target.home, target.collection)
    is_there = found.is_item and (found.login, found.home, found.collection) == wanted
    return found.name if is_there and target.name in ("", found.name) else ""


CALENDAR: Final = Report(caldav("calendar-multiget"), answer_calendar)
CONTACTS: Final = Report(carddav("addressbook-multiget"), answer_contacts)
