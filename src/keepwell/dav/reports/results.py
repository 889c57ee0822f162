"""What the reports that list items share: rendering them, and limits on their number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from lxml import etree

from keepwell.dav.errors import DavRefused
from keepwell.dav.names import dav
from keepwell.dav.properties import PropertyPlan, ReportProperty, plan_names, plan_properties
from keepwell.dav.reports.question import Question
from keepwell.dav.xml import empty
from keepwell.model.errors import BadRequest
from keepwell.storage.contract import Item

LIMIT_MAX: Final = 1 << 30
"""A limit above this is none."""

_LIMIT_DIGITS: Final = 9

_ASKING: Final = frozenset({dav("prop"), dav("allprop"), dav("propname")})


def plan_items(question: Question, report_property: ReportProperty) -> PropertyPlan:
    """The properties that a query or multiget asks for, which may be none at all (RFC 4791 section 9.5)."""
    asked = {str(element.tag) for element in question.root}
    if asked.isdisjoint(_ASKING):
        return plan_names(())
    return plan_properties(question.root, report_property)


def render_items(question: Question, plan: PropertyPlan, items: Sequence[Item]) -> list[str]:
    """One response for each of these items of the collection, read with their bytes when the plan needs them."""
    render = plan.for_items(question.scene, question.resource).render
    if not plan.needs_bodies:
        return [render(item) for item in items]
    return [render(item, body) for item, body in bodies_of(question, items)]


def bodies_of(question: Question, items: Sequence[Item]) -> Iterator[tuple[Item, bytes]]:
    """These items of the collection with their bytes, by name."""
    names = [item.name for item in items]
    return question.required_snapshot().items_with_bodies(question.collection().id, names)


def results_limit(root: etree._Element, limit_name: str, results_name: str) -> int | None:
    """The limit that a request sets on the number of results (RFC 5323 section 5.17); None when it sets none.

    Raises BadRequest when it is no number, and the precondition `DAV:number-of-matches-within-limits` when it is
    zero: no truncated answer would ever bring such a client further (RFC 6578 section 3.7).
    """
    element = root.find(f"{limit_name}/{results_name}")
    if element is None:
        return None
    text = (element.text or "").strip()
    if not text.isascii() or not text.isdigit():
        raise BadRequest(f"the limit on results is {text!r}, not a number")
    digits = text.lstrip("0")
    if not digits:
        condition = empty(dav("number-of-matches-within-limits"))
        raise DavRefused(403, "an answer of no results cannot be continued", condition=condition)
    return int(digits) if len(digits) <= _LIMIT_DIGITS else LIMIT_MAX
