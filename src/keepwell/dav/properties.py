"""Which properties an answer carries, and how they are written: a plan is made once and applied to every resource.

    plan = plan_properties(root, report_property)        # from a PROPFIND, REPORT or Prefer
    text = plan.render(scene, resource)                  # one whole <D:response> for anything that is no item
    items = plan.for_items(scene, collection_resource)   # compiled for the items of one collection
    text = items.render(item, body)                      # one whole <D:response> per item, as often as needed

Promises: found properties come in a 200 propstat, missing ones in a 404 propstat, which `return=minimal` leaves out
(RFC 8144 section 2.1); a response always has one propstat at least. Dead properties come as they were stored. What is
missing is repeated in every response, so the names of a request, and what their repetition comes to, are bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lxml import etree

from keepwell.dav.live import LIVE
from keepwell.dav.liveproperty import ItemText, Scene
from keepwell.dav.multistatus import status_line
from keepwell.dav.names import dav
from keepwell.dav.paths import collection_href, encode
from keepwell.dav.resources import Resource
from keepwell.dav.xml import empty, property_name, wrap
from keepwell.model.errors import BadRequest, TooManyResults
from keepwell.model.record import Properties
from keepwell.storage.contract import Item

PROPERTIES_MAX: Final = 500
"""Properties that one request may name."""

NAMES_CHARACTERS_MAX: Final = 64 * 1024
"""What the names of one request may come to, namespaces included; clients send two or three thousand."""

MISSING_OCTETS_MAX: Final = 64 * 1024 * 1024
"""What the propstats of missing properties may come to in one answer, where each is longer than a client's."""

_MISSING_USUAL: Final = 4096
"""No client's names come to more, for however many items."""

_FOUND: Final = f"</D:prop>{status_line(200)}</D:propstat>"
_MISSING: Final = f"</D:prop>{status_line(404)}</D:propstat>"
_PROPSTAT: Final = "<D:propstat><D:prop>"
_END: Final = "</D:response>\n"


class Asked(StrEnum):
    """The three forms of a PROPFIND (RFC 4918 section 14.20)."""

    NAMED = "prop"
    ALL = "allprop"
    NAMES = "propname"


@dataclass(frozen=True, slots=True)
class ReportProperty:
    """A property that only a report can give, such as `CALDAV:calendar-data`, from an item and its bytes.

    `render` gives the whole element as XML text.
    """

    name: str
    render: Callable[[Item, bytes], str]


@dataclass(frozen=True, slots=True)
class PropertyPlan:
    """What was asked for: `names` in the order of the request, each once."""

    asked: Asked
    names: tuple[str, ...] = ()
    report_property: ReportProperty | None = None

    def render(self, scene: Scene, resource: Resource) -> str:
        """The response for one resource; an item too, when the report property is not asked for."""
        if resource.item is not None:
            return self.for_items(scene, resource).render(resource.item)
        found: dict[str, str] = {}
        for name in self._names_for_collection(resource):
            text = _render_on_collection(name, scene, resource)
            if text is not None:
                found[name] = empty(name) if self.asked is Asked.NAMES else text
        missing = [empty(name) for name in self.names if name not in found]
        return f"<D:response><D:href>{resource.href}</D:href>{_propstats(found.values(), missing, scene)}{_END}"

    def for_items(self, scene: Scene, resource: Resource) -> ItemPlan:
        """Compiled for the items of the collection that `resource` is, or is in."""
        return _compile(self, scene, resource)

    @property
    def needs_bodies(self) -> bool:
        """Whether items must come with their bytes."""
        return self.report_property is not None

    def _names_for_collection(self, resource: Resource) -> Iterable[str]:
        if self.asked is Asked.NAMED:
            return self.names
        return dict.fromkeys((*self._live_names(), *_dead(_properties_of(resource)), *self.names))

    def _live_names(self) -> list[str]:
        everything = self.asked is Asked.NAMES
        return [one.name for one in LIVE.values() if everything or one.in_allprop]


@dataclass(frozen=True, slots=True)
class ItemPlan:
    """A plan compiled for the items of one collection."""

    plan: PropertyPlan
    base: str
    parts: tuple[str | ItemText, ...]
    missing: tuple[str, ...]
    missing_propstat: str
    minimal: bool

    def render(self, item: Item, body: bytes = b"") -> str:
        """The response for one item; `body` is needed when the plan has a report property."""
        pieces = [part if isinstance(part, str) else part(item) for part in self.parts]
        report_property = self.plan.report_property
        if report_property is not None:
            pieces.append(report_property.render(item, body))
        missing = self.missing_propstat
        if item.properties:
            missing = self._add_dead(pieces, item.properties)
        if not any(pieces) and missing:
            return f"<D:response><D:href>{self.base}{encode(item.name)}</D:href>{missing}{_END}"
        found = "".join(pieces)
        name = encode(item.name)
        return f"<D:response><D:href>{self.base}{name}</D:href>{_PROPSTAT}{found}{_FOUND}{missing}{_END}"

    def _add_dead(self, pieces: list[str], properties: Properties) -> str:
        """Add the dead properties to `pieces`; returns the propstat of what is still missing."""
        if self.plan.asked is Asked.NAMED:
            pieces.extend(properties[name] for name in self.missing if name in properties)
        else:
            names_only = self.plan.asked is Asked.NAMES
            pieces.extend(empty(name) if names_only else text for name, text in properties.items())
        left = "".join(empty(name) for name in self.missing if name not in properties)
        return f"{_PROPSTAT}{left}{_MISSING}" if left and not self.minimal else ""


def plan_properties(root: etree._Element | None, report_property: ReportProperty | None = None) -> PropertyPlan:
    """The plan of a PROPFIND or REPORT body, of a `DAV:prop` itself, or of nothing (allprop). Raises BadRequest.

    `report_property` is used only when the request names it.
    """
    if root is None:
        return PropertyPlan(Asked.ALL)
    for element in (root, *root):
        if element.tag == dav("prop"):
            return _named(element, report_property)
        if element.tag == dav("propname"):
            return PropertyPlan(Asked.NAMES)
        if element.tag == dav("allprop"):
            return _all(root, report_property)
    raise BadRequest("the request names no properties", hint="It needs DAV:prop, DAV:allprop or DAV:propname.")


def plan_names(names: Iterable[str]) -> PropertyPlan:
    """The plan for these properties, by Clark name."""
    return PropertyPlan(Asked.NAMED, tuple(dict.fromkeys(names)))


def _named(prop: etree._Element, report_property: ReportProperty | None) -> PropertyPlan:
    names = _names_in(prop)
    if report_property is None or report_property.name not in names:
        return PropertyPlan(Asked.NAMED, names)
    others = tuple(name for name in names if name != report_property.name)
    return PropertyPlan(Asked.NAMED, others, report_property)


def _all(root: etree._Element, report_property: ReportProperty | None) -> PropertyPlan:
    """RFC 4918 section 9.1: `include` adds to what allprop gives anyway."""
    include = root.find(dav("include"))
    included = () if include is None else _names_in(include)
    beside = tuple(name for name in included if name not in LIVE or not LIVE[name].in_allprop)
    if report_property is not None and report_property.name in beside:
        others = tuple(name for name in beside if name != report_property.name)
        return PropertyPlan(Asked.ALL, others, report_property)
    return PropertyPlan(Asked.ALL, beside)


def _names_in(element: etree._Element) -> tuple[str, ...]:
    if len(element) > PROPERTIES_MAX:
        raise BadRequest(f"a request may name {PROPERTIES_MAX} properties")
    names = tuple(dict.fromkeys(property_name(str(child.tag)) for child in element))
    if sum(map(len, names)) > NAMES_CHARACTERS_MAX:
        raise BadRequest(f"the names of properties in a request may have {NAMES_CHARACTERS_MAX} characters together")
    return names


def _compile(plan: PropertyPlan, scene: Scene, resource: Resource) -> ItemPlan:
    names = plan.names if plan.asked is Asked.NAMED else dict.fromkeys((*plan._live_names(), *plan.names))
    parts: list[str | ItemText] = []
    missing: list[str] = []
    for name in names:
        live = LIVE.get(name)
        value = None if live is None else live.of_item(scene, resource)
        if value is None:
            missing.append(name)
        elif plan.asked is Asked.NAMES:
            parts.append(empty(name))
        else:
            _add_part(parts, name, value)
    asked_missing = tuple(name for name in missing if name in plan.names)
    left = "".join(empty(name) for name in asked_missing)
    missing_propstat = f"{_PROPSTAT}{left}{_MISSING}" if left and not scene.minimal else ""
    target = resource.target
    collection = resource.required_collection()
    if len(missing_propstat) > max(_MISSING_USUAL, MISSING_OCTETS_MAX // max(1, collection.count)):
        raise TooManyResults(
            f"{len(missing)} properties that {resource.href} does not have would fill the answer",
            hint="Ask for fewer, or send Prefer: return=minimal.",
        )
    base = collection_href(target.required_home(), target.login, collection.name)
    return ItemPlan(plan, base, tuple(parts), asked_missing, missing_propstat, scene.minimal)


def _add_part(parts: list[str | ItemText], name: str, value: str | ItemText) -> None:
    """Add a property; texts that stand beside each other become one, so that items cost as few steps as can be."""
    if isinstance(value, str):
        _add_text(parts, wrap(name, value))
        return
    opening, closing = wrap(name, "\0").split("\0")
    _add_text(parts, opening)
    parts.append(value)
    _add_text(parts, closing)


def _add_text(parts: list[str | ItemText], text: str) -> None:
    last = parts[-1] if parts else None
    if isinstance(last, str):
        parts[-1] = last + text
    else:
        parts.append(text)


def _render_on_collection(name: str, scene: Scene, resource: Resource) -> str | None:
    live = LIVE.get(name)
    value = None if live is None else live.value(scene, resource)
    if value is not None:
        return wrap(name, value)
    return _dead(_properties_of(resource)).get(name)


def _properties_of(resource: Resource) -> Properties:
    return {} if resource.collection is None else resource.collection.properties


def _dead(properties: Properties) -> Properties:
    return {name: text for name, text in properties.items() if name.startswith("{")}


def _propstats(found: Iterable[str], missing: list[str], scene: Scene) -> str:
    text = "".join(found)
    has_missing = bool(missing) and not scene.minimal
    good = f"{_PROPSTAT}{text}{_FOUND}" if text or not has_missing else ""
    return good + (f"{_PROPSTAT}{''.join(missing)}{_MISSING}" if has_missing else "")
