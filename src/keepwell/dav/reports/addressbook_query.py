"""`CARDDAV:addressbook-query` (RFC 6352 section 8.6): the cards that a filter is true of, as many as are wanted.

The index of folded texts narrows first and mostly decides (`services.query.card_index`); a card is read only when its
text cannot tell, or when it was found and is asked for. A limit (RFC 6352 section 10.6) cuts the answer, as its size
does, and it says so with 507 for the address book itself.

Depth: without the header, members are meant, as in a calendar-query.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from keepwell.dav.filters import card_filter
from keepwell.dav.multistatus import multistatus
from keepwell.dav.names import carddav
from keepwell.dav.properties import PropertyPlan
from keepwell.dav.reports.data import address_data, component_in
from keepwell.dav.reports.question import Question, Report
from keepwell.dav.reports.results import plan_items, results_limit
from keepwell.dav.reports.size import cut
from keepwell.dav.request import DavResponse
from keepwell.services.query.card_filter import CardFilter
from keepwell.services.query.card_index import coarse_card, cost_of, verdict
from keepwell.services.query.card_match import matches
from keepwell.services.query.errors import InvalidFilter

_ONE_BY_ONE_SHARE: Final = 8
"""Up to an eighth of the address book, looking cards up one by one costs less than passing over all of them."""


def answer(question: Question) -> DavResponse:
    """The multistatus of what matches. Raises InvalidFilter, BadRequest."""
    element = question.root.find(carddav("filter"))
    if element is None:
        raise InvalidFilter("supported-filter", "an addressbook-query has a filter")
    wanted = card_filter(element)
    plan = plan_items(question, address_data(question))
    limit = results_limit(question.root, carddav("limit"), carddav("nresults"))
    names = list(islice(_matching(question, wanted), None if limit is None else limit + 1))
    return multistatus(cut(question.resource.href, _responses(question, plan, names), limit))


def _matching(question: Question, wanted: CardFilter) -> Iterator[str]:
    """The names of the cards that the filter is true of, those that need no reading first."""
    if question.resource.item is not None:
        yield from _matching_when_read(question, wanted, [question.resource.item.name])
        return
    if question.depth("1") == "0":
        return
    snapshot, unsure = question.required_snapshot(), []
    for name, text in snapshot.search_texts(question.collection().id, coarse_card(wanted).needles):
        question.effort.spend(cost_of(wanted, text))
        decided = verdict(wanted, text)
        if decided:
            yield name
        elif decided is None:
            unsure.append(name)
    yield from _matching_when_read(question, wanted, unsure)


def _matching_when_read(question: Question, wanted: CardFilter, names: Sequence[str]) -> Iterator[str]:
    for item, body in question.required_snapshot().items_with_bodies(question.collection().id, names):
        card = component_in(body)
        # What cannot be understood is shown: a card too many can be seen and mended by its owner.
        if card is None or matches(card, wanted, question.effort):
            yield item.name


def _responses(question: Question, plan: PropertyPlan, names: Sequence[str]) -> Iterator[str]:
    snapshot, collection = question.required_snapshot(), question.collection()
    render = plan.for_items(question.scene, question.resource).render
    if plan.needs_bodies:
        return (render(item, body) for item, body in snapshot.items_with_bodies(collection.id, names))
    if len(names) * _ONE_BY_ONE_SHARE < collection.count:
        found = (snapshot.item(collection.id, name) for name in names)
        return (render(item) for item in found if item is not None)
    wanted = frozenset(names)
    return (render(item) for item in snapshot.items(collection.id) if item.name in wanted)


REPORT: Final = Report(carddav("addressbook-query"), answer)
