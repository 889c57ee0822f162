"""`CALDAV:calendar-query` (RFC 4791 section 7.8): the calendar items that a filter is true of.

The index narrows first (`services.query.prefilter`): what it decides alone is never read, the rest is parsed and
matched. Bytes are read only of what must be matched, or was found and is asked for. An answer that grows too large is
cut, and says so with 507 for the calendar itself.

Depth: without the header, members are meant. RFC 3253 would have it be 0, with which a query of a calendar never finds
anything; no client that leaves it out wants that. An item answers about itself at any depth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from keepwell.dav.filters import calendar_filter
from keepwell.dav.multistatus import multistatus
from keepwell.dav.names import caldav
from keepwell.dav.properties import PropertyPlan
from keepwell.dav.reports.data import calendar_data, component_in, floating_zone
from keepwell.dav.reports.question import Question, Report
from keepwell.dav.reports.results import bodies_of, plan_items
from keepwell.dav.reports.size import cut
from keepwell.dav.request import DavResponse
from keepwell.services.query.calendar_filter import CompFilter
from keepwell.services.query.calendar_match import matches
from keepwell.services.query.errors import InvalidFilter
from keepwell.services.query.prefilter import coarse_calendar
from keepwell.storage.contract import Item, SpanQuery


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the index leaves: items that certainly match, and items that must be read to know."""

    certain: list[Item]
    open: list[Item]


def answer(question: Question) -> DavResponse:
    """The multistatus of what matches. Raises InvalidFilter, BadRequest."""
    element = question.root.find(caldav("filter"))
    if element is None:
        raise InvalidFilter("valid-filter", "a calendar-query has a filter")
    wanted = calendar_filter(element)
    plan = plan_items(question, calendar_data(question))
    candidates = _candidates(question, wanted)
    zone = floating_zone(question)
    matching = _matching(question, wanted, candidates.open, zone)
    return multistatus(cut(question.resource.href, _responses(question, plan, candidates.certain, matching)))


def _matching(question: Question, wanted: CompFilter, items: list[Item], zone: tzinfo) -> Iterator[tuple[Item, bytes]]:
    for item, body in bodies_of(question, items):
        calendar = component_in(body)
        # What cannot be understood is shown: an item too many can be seen and mended by its owner.
        if calendar is None or matches(calendar, wanted, zone, question.budget, question.effort):
            yield item, body


def _responses(
    question: Question, plan: PropertyPlan, certain: list[Item], matching: Iterator[tuple[Item, bytes]]
) -> Iterator[str]:
    render = plan.for_items(question.scene, question.resource).render
    if plan.needs_bodies:
        yield from (render(item, body) for item, body in bodies_of(question, certain))
    else:
        yield from map(render, certain)
    yield from (render(item, body) for item, body in matching)


def _candidates(question: Question, wanted: CompFilter) -> Candidates:
    if question.resource.item is not None:
        return Candidates([], [question.resource.item])
    if question.depth("1") == "0":
        return Candidates([], [])
    coarse = coarse_calendar(wanted)
    query = SpanQuery(coarse.component, coarse.start, coarse.end)
    candidates = Candidates([], [])
    for item, is_exact in question.required_snapshot().in_span(question.collection().id, query):
        is_certain = coarse.certain or (coarse.exact_allowed and is_exact)
        (candidates.certain if is_certain else candidates.open).append(item)
    return candidates


REPORT: Final = Report(caldav("calendar-query"), answer)
