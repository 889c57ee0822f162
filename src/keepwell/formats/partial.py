"""Partial retrieval: the parts of an object that a client asks for (RFC 4791 section 9.6, RFC 6352 section 10.4).

For: answers to queries that name properties, or that want instances instead of recurrences.

Promises: what is served of an object stands as it was stored, line by line, except where the client asked for
something else: values left out (``novalue``), instances (``expand``), busy times cut to a range. BEGIN, END and, of a
card, VERSION are always there, since nothing can be read without. An empty comp element asks for all of the component,
as the example in RFC 4791 7.8.1 shows.

Leaves to others: reading requests from XML, and making text fit for XML.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from keepwell.formats.contentlines import Component, Line, make_line, render_component
from keepwell.formats.expand import EXPANDED_COMPONENTS, expanded, head_of, line_end_of
from keepwell.formats.expansion import Budget
from keepwell.formats.instances import Family, families_of, schedule_of
from keepwell.formats.times import InvalidValue, TimeRange
from keepwell.formats.timezones import zones_of
from keepwell.formats.timing import Context, period_from


@dataclass(frozen=True, slots=True)
class PropRequest:
    """A property that is asked for, without its value when ``no_value``; in a card perhaps of one group only."""

    name: str
    no_value: bool = False
    group: str = ""


@dataclass(frozen=True, slots=True)
class CompRequest:
    """A component that is asked for: all of its properties or these, all of its components or these."""

    name: str
    all_properties: bool = True
    properties: tuple[PropRequest, ...] = ()
    all_components: bool = True
    components: "tuple[CompRequest, ...]" = ()


@dataclass(frozen=True, slots=True)
class CalendarDataRequest:
    """What is asked for of a calendar object; the octets as stored when nothing is set.

    ``expand`` and ``limit_recurrence_set`` exclude each other.
    """

    component: CompRequest | None = None
    expand: TimeRange | None = None
    limit_recurrence_set: TimeRange | None = None
    limit_freebusy_set: TimeRange | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the octets as stored are the answer."""
        return self == WHOLE_CALENDAR


@dataclass(frozen=True, slots=True)
class AddressDataRequest:
    """What is asked for of a card: all of it, or these properties."""

    properties: tuple[PropRequest, ...] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the octets as stored are the answer."""
        return self.properties is None


WHOLE_CALENDAR: Final = CalendarDataRequest()


def partial_calendar(
    calendar: Component, request: CalendarDataRequest, floating_zone: tzinfo, budget: Budget | None = None
) -> str:
    """The text of what is asked for of the calendar object; ``budget`` is the request's. Raises TooManyInstances."""
    if request.expand is not None:
        calendar = expanded(calendar, request.expand, floating_zone, budget)
    elif request.limit_recurrence_set is not None:
        calendar = _with_overrides_in(calendar, request.limit_recurrence_set, floating_zone)
    if request.limit_freebusy_set is not None:
        calendar = _with_periods_in(calendar, request.limit_freebusy_set, floating_zone)
    if request.component is None:
        return render_component(calendar)
    wanted = request.component
    return "".join(_chosen_texts(calendar, wanted)) if calendar.name == wanted.name else ""


def partial_card(card: Component, request: AddressDataRequest) -> str:
    """The text of what is asked for of the card."""
    if request.properties is None:
        return render_component(card)
    wanted = (*request.properties, PropRequest("VERSION"))
    lines = (text for line in card.properties for text in _line_text(line, wanted))
    return "".join([card.begin.raw, *lines, card.end.raw])


def _chosen_texts(component: Component, wanted: CompRequest) -> Iterator[str]:
    yield component.begin.raw
    for part in component.content:
        if isinstance(part, Line):
            yield from [part.raw] if wanted.all_properties else _line_text(part, wanted.properties)
        elif wanted.all_components:
            yield render_component(part)
        else:
            for request in wanted.components:
                if request.name == part.name:
                    yield from _chosen_texts(part, request)
                    break
    yield component.end.raw


def _line_text(line: Line, wanted: Iterable[PropRequest]) -> Iterator[str]:
    for request in wanted:
        if request.name == line.name and request.group in ("", line.group.upper()):
            yield make_line(head_of(line), "", line_end=line_end_of(line)).raw if request.no_value else line.raw
            return


def _with_overrides_in(calendar: Component, asked: TimeRange, floating_zone: tzinfo) -> Component:
    """The object without the overrides that say nothing about the asked time (RFC 4791 9.6.6)."""
    context = Context(zones_of(calendar), floating_zone)
    outside: set[int] = set()
    for name in EXPANDED_COMPONENTS:
        for family in families_of(calendar, name):
            if family.overrides:
                outside.update(map(id, _overrides_outside(family, asked, context)))
    return _with_content(calendar, [part for part in calendar.content if id(part) not in outside])


def _overrides_outside(family: Family, asked: TimeRange, context: Context) -> list[Component]:
    try:
        return schedule_of(family, context).overrides_outside(asked)
    except InvalidValue:
        # Left out would mean that the client shows the instance as planned, which it is not.
        return []


def _with_periods_in(calendar: Component, asked: TimeRange, floating_zone: tzinfo) -> Component:
    """The object with only those periods of FREEBUSY that overlap the asked time (RFC 4791 9.6.7)."""
    context = Context(zones_of(calendar), floating_zone)
    content: list[Line | Component] = []
    for part in calendar.content:
        if isinstance(part, Component) and part.name == "VFREEBUSY":
            lines = [line for inner in part.content for line in _periods_in(inner, asked, context)]
            content.append(_with_content(part, lines))
        else:
            content.append(part)
    return _with_content(calendar, content)


def _periods_in(part: Line | Component, asked: TimeRange, context: Context) -> Iterator[Line | Component]:
    if isinstance(part, Component) or part.name != "FREEBUSY":
        yield part
        return
    texts = part.value.split(",")
    kept = [text for text in texts if _is_period_in(part, text.strip(), asked, context)]
    if len(kept) == len(texts):
        yield part
    elif kept:
        yield make_line(head_of(part), ",".join(kept), line_end=line_end_of(part))


def _is_period_in(line: Line, text: str, asked: TimeRange, context: Context) -> bool:
    try:
        period = period_from(line, text, context)
        return asked.overlaps(period.start.instant(context.floating_zone), period.end)
    except InvalidValue:
        return True


def _with_content(component: Component, content: Sequence[Line | Component]) -> Component:
    return Component(component.name, component.begin, tuple(content), component.end)
