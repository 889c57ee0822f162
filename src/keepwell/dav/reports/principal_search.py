"""`DAV:principal-property-search` and `DAV:principal-search-property-set` (RFC 3744 sections 9.4 and 9.5).

Promises: only principals that the actor may see are searched, wherever the request was sent; each property search
must hold (`test="anyof"`, which Apple's programs send: one of them). A request without any lists them all, and one
that names no properties gets those that a client needs next: some clients send both (python-caldav).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lxml import etree

from keepwell.dav.multistatus import DECLARATION, multistatus
from keepwell.dav.names import DECLARATIONS, caldav, carddav, clark, dav
from keepwell.dav.properties import PROPERTIES_MAX, PropertyPlan, plan_names, plan_properties
from keepwell.dav.reports.expand_property import property_text
from keepwell.dav.reports.principals import visible_principals
from keepwell.dav.reports.question import Question, Report
from keepwell.dav.request import DavResponse, xml_response
from keepwell.dav.resources import Resource
from keepwell.dav.xml import empty, text_of
from keepwell.model.errors import BadRequest

SEARCHABLE: Final = {
    dav("displayname"): "Name",
    caldav("calendar-user-address-set"): "Mail address",
    caldav("calendar-home-set"): "Home of calendars",
}
"""The properties that can be searched, and what people call them."""

_DEFAULT: Final = (
    dav("displayname"),
    caldav("calendar-home-set"),
    carddav("addressbook-home-set"),
    dav("principal-URL"),
    dav("resourcetype"),
)

_MATCHES: Final[dict[str, Callable[[str, str], bool]]] = {
    "contains": lambda text, sought: sought in text,
    "equals": lambda text, sought: sought == text,
    "starts-with": lambda text, sought: text.startswith(sought),
    "ends-with": lambda text, sought: text.endswith(sought),
}
"""RFC 3744 knows `contains` only; the others are the `match-type` that Apple's programs send."""


@dataclass(frozen=True, slots=True)
class PropertySearch:
    """A text to find in any of some properties of a principal, without regard to case."""

    names: tuple[str, ...]
    sought: str
    match_type: str


def answer_search(question: Question) -> DavResponse:
    """The principals that match."""
    question.require_depth_zero()
    searches = _read_searches(question.root)
    combined = any if question.root.get("test") == "anyof" else all
    plan = _plan(question.root)
    responses = [
        plan.render(question.scene, principal)
        for principal in visible_principals(question)
        if not searches or combined(_holds(question, principal, search) for search in searches)
    ]
    return multistatus(responses)


def _read_searches(root: etree._Element) -> list[PropertySearch]:
    searches = [_read_search(one) for one in root.iterchildren(dav("property-search"))]
    if len(searches) > PROPERTIES_MAX or sum(len(one.names) for one in searches) > PROPERTIES_MAX:
        raise BadRequest(f"a request may search {PROPERTIES_MAX} properties")
    return searches


def _read_search(element: etree._Element) -> PropertySearch:
    prop, match = element.find(dav("prop")), element.find(dav("match"))
    if prop is None or match is None:
        raise BadRequest("a DAV:property-search has a DAV:prop and a DAV:match")
    match_type = str(match.get("match-type", "contains"))
    if match_type not in _MATCHES:
        raise BadRequest(f"the match-type {match_type!r} is not known here")
    names = tuple(clark(str(child.tag)) for child in prop)
    return PropertySearch(names, text_of(match).casefold(), match_type)


def _holds(question: Question, principal: Resource, search: PropertySearch) -> bool:
    matches = _MATCHES[search.match_type]
    return any(
        matches(text, search.sought)
        for name in search.names
        if name in SEARCHABLE
        for text in _texts(property_text(question, principal, name) or "")
    )


def _texts(element: str) -> list[str]:
    """The texts in a property, without the elements around them, for comparing without regard to case."""
    if not element:
        return []
    root = etree.fromstring(f"<prop {DECLARATIONS}>{element}</prop>")
    return [str(text).strip().casefold() for text in root.itertext() if str(text).strip()]


def _plan(root: etree._Element) -> PropertyPlan:
    prop = root.find(dav("prop"))
    return plan_names(_DEFAULT) if prop is None or len(prop) == 0 else plan_properties(prop)


def answer_property_set(question: Question) -> DavResponse:
    """Which properties can be searched."""
    question.require_depth_zero()
    entries = "".join(
        f"<D:principal-search-property><D:prop>{empty(name)}</D:prop>"
        f'<D:description xml:lang="en">{says}</D:description></D:principal-search-property>\n'
        for name, says in SEARCHABLE.items()
    )
    text = (
        f"{DECLARATION}<D:principal-search-property-set {DECLARATIONS}>\n{entries}</D:principal-search-property-set>\n"
    )
    return xml_response(200, text)


SEARCH: Final = Report(dav("principal-property-search"), answer_search)
PROPERTY_SET: Final = Report(dav("principal-search-property-set"), answer_property_set)
