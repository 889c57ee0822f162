"""`DAV:expand-property` (RFC 3253 section 3.8): properties, and the properties of what they point to, in one answer.

Every `DAV:href` in a property whose element in the request has properties in it becomes a `DAV:response` about the
resource at that href; one that cannot be found or seen is answered 404 in its place. What is no path (a mail address)
stays as it is. Nesting, the number of followed hrefs and the size of the answer are bounded, because a short request
could ask for a lot.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from xml.sax.saxutils import unescape

from lxml import etree

from keepwell.dav.live import LIVE
from keepwell.dav.liveproperty import LiveProperty, Scene
from keepwell.dav.multistatus import multistatus, not_found, status_line
from keepwell.dav.names import DAV, dav
from keepwell.dav.paths import ROOT_PATH, parse_path
from keepwell.dav.properties import PROPERTIES_MAX
from keepwell.dav.reports.question import Question, Report, resources_in
from keepwell.dav.reports.size import Room
from keepwell.dav.request import DavResponse
from keepwell.dav.resources import Resource, locate
from keepwell.dav.xml import empty, escape, property_name, wrap
from keepwell.model.errors import BadRequest, NotThere, TooManyResults

NESTING_MAX: Final = 8
"""How many hrefs may be followed one after the other."""

FOLLOWED_MAX: Final = 500
"""How many hrefs one answer follows."""

_href = re.compile(r"<D:href>([^<]*)</D:href>")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A property, and what is wanted of the resources that it points to."""

    name: str
    inside: tuple[Wanted, ...] = ()


def answer(question: Question) -> DavResponse:
    """The multistatus for the resource, and with Depth 1 for its members that are no items."""
    if sum(1 for _ in question.root.iter(dav("property"))) > PROPERTIES_MAX:
        raise BadRequest(f"a request may name {PROPERTIES_MAX} properties")
    wanted = read_wanted(question.root)
    depth = question.depth("0")
    if depth not in {"0", "1"}:
        raise BadRequest("DAV:expand-property is answered for a Depth of 0 or 1")
    expansion = _Expansion(question)
    resources = [question.resource] if depth == "0" else [question.resource, *resources_in(question, question.resource)]
    return multistatus([expansion.counted(expansion.response(resource, wanted)) for resource in resources])


def read_wanted(element: etree._Element, level: int = 0) -> tuple[Wanted, ...]:
    """The properties that an element of the request names. Raises BadRequest."""
    if level > NESTING_MAX:
        raise BadRequest(f"DAV:expand-property is followed {NESTING_MAX} levels deep")
    return tuple(_read_one(child, level) for child in element.iterchildren(dav("property")))


def _read_one(element: etree._Element, level: int) -> Wanted:
    local = str(element.get("name", ""))
    if not local:
        raise BadRequest("a DAV:property in DAV:expand-property has no name")
    namespace = str(element.get("namespace", DAV))
    name = property_name(f"{{{namespace}}}{local}")
    try:
        # The name becomes an element of the answer, so it must be one, and parsers must take its namespace.
        etree.QName(namespace, local)
        etree.fromstring(f'<x:{local} xmlns:x="{escape(namespace)}"/>')
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BadRequest(f"{local!r} in {namespace!r} cannot be the name of a property") from error
    return Wanted(name, read_wanted(element, level + 1))


@dataclass(slots=True)
class _Expansion:
    """One answer in the making; counts the hrefs that it follows, and what it brings together."""

    question: Question
    followed: int = field(default=0)
    room: Room = field(default_factory=Room)

    def counted(self, response: str) -> str:
        """The same response, when the answer has room for it. Raises TooManyResults."""
        if not self.room.takes(response):
            raise TooManyResults("DAV:expand-property asks for more than one answer holds")
        return response

    def response(self, resource: Resource, wanted: tuple[Wanted, ...]) -> str:
        """The response about one resource."""
        found, missing = [], []
        for one in wanted:
            text = property_text(self.question, resource, one.name)
            if text is None:
                missing.append(empty(one.name))
            else:
                found.append(self._expanded(text, one.inside) if one.inside else text)
        href = escape(resource.href)
        return f"<D:response><D:href>{href}</D:href>{self._propstats(found, missing)}</D:response>\n"

    def _propstats(self, found: list[str], missing: list[str]) -> str:
        if self.question.scene.minimal:
            missing = []
        parts = ((200, found), (404, missing)) if found or not missing else ((404, missing),)
        return "".join(
            f"<D:propstat><D:prop>{''.join(texts)}</D:prop>{status_line(status)}</D:propstat>"
            for status, texts in parts
            if texts or status == 200
        )

    def _expanded(self, text: str, wanted: tuple[Wanted, ...]) -> str:
        return _href.sub(lambda found: self._follow(found, wanted), text)

    def _follow(self, found: re.Match[str], wanted: tuple[Wanted, ...]) -> str:
        path = unescape(found[1])
        if not path.startswith(ROOT_PATH):
            return found[0]
        self.followed += 1
        if self.followed > FOLLOWED_MAX:
            raise TooManyResults(f"DAV:expand-property follows {FOLLOWED_MAX} hrefs in one answer")
        request = self.question.request
        try:
            resource = locate(request.library, request.directory, request.actor, parse_path(path))
        except (NotThere, BadRequest):
            return not_found(path)
        return self.counted(self.response(resource, wanted))


def property_text(question: Question, resource: Resource, name: str) -> str | None:
    """One property of one resource, as a whole element; None when it has no such property."""
    live = LIVE.get(name)
    value = None if live is None else _live_value(live, question.scene, resource)
    if value is not None:
        return wrap(name, value)
    if resource.item is not None:
        return (resource.item.properties or {}).get(name)
    return None if resource.collection is None else resource.collection.properties.get(name)


def hrefs_in(text: str) -> set[str]:
    """The paths and addresses in a live property."""
    return {unescape(found) for found in _href.findall(text)}


def _live_value(live: LiveProperty, scene: Scene, resource: Resource) -> str | None:
    if resource.item is None:
        return live.value(scene, resource)
    value = live.of_item(scene, resource)
    return value(resource.item) if callable(value) else value


REPORT: Final = Report(dav("expand-property"), answer)
