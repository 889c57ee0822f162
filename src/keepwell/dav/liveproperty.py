"""What a live property is: a declared object in a table (the tables are in `live_*.py`, their union in `live.py`).

A property has two renderers. `value` is asked once per resource that is not an item. `of_item` is asked once per
request and collection, and gives either text that is the same for all its items or a small function of an item, so
that twenty thousand items cost twenty thousand short calls and nothing else. Both give the element's content as XML
text; None says that the property is not defined there, which is a 404 in its answer (RFC 4918 section 9.1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from keepwell.dav.ports import Directory
from keepwell.dav.resources import Resource
from keepwell.services.actor import Actor
from keepwell.storage.contract import Item


@dataclass(frozen=True, slots=True)
class Scene:
    """What is the same for every resource of one answer."""

    actor: Actor
    directory: Directory
    reports: frozenset[str] = frozenset()
    minimal: bool = False


ItemText = Callable[[Item], str]
Value = Callable[[Scene, Resource], str | None]
OfItem = Callable[[Scene, Resource], str | ItemText | None]


def nowhere(_scene: Scene, _resource: Resource) -> None:
    """Not defined."""
    return


@dataclass(frozen=True, slots=True)
class LiveProperty:
    """One live property. `in_allprop` follows its RFC; `stored_as` is set when clients may change it on collections."""

    name: str
    value: Value = nowhere
    of_item: OfItem = nowhere
    in_allprop: bool = False
    stored_as: str = ""


def everywhere(name: str, text: str, *, in_allprop: bool = False) -> LiveProperty:
    """A property that has the same content on every resource."""
    return LiveProperty(name, lambda _scene, _resource: text, lambda _scene, _resource: text, in_allprop)
