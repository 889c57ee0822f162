"""Expansion for clients: instances instead of recurrences (RFC 4791 section 9.6.5).

For: programs that want to show a month without computing recurrences or knowing time zones.

Promises: each instance of a recurring component that overlaps the asked range becomes a component of its own, with a
RECURRENCE-ID and without RRULE, RDATE and EXDATE; overrides take the place of their instances. Times with a TZID are
given in UTC and VTIMEZONEs are left out; dates stay dates and floating times stay floating. Everything else stands as
it was stored. What does not recur is kept wherever it is. More than INSTANCES_MAX, or
than EXPANDED_OCTETS_MAX of them, raise TooManyInstances.

Leaves to others: which objects are expanded.
"""

from collections.abc import Iterator
from datetime import UTC, timedelta, tzinfo
from typing import Final

from keepwell.formats.contentlines import Component, Line, make_line, render_component
from keepwell.formats.expansion import Budget, TooManyInstances
from keepwell.formats.extents import Shape
from keepwell.formats.instances import Family, Instance, families_of, schedule_of
from keepwell.formats.times import InvalidValue, Moment, TimeRange, clock_time, plus, utc_text
from keepwell.formats.timezones import zones_of
from keepwell.formats.timing import Context, moment_from

#: Instances in one answer for one object: hourly for half a year.
INSTANCES_MAX: Final = 5_000

#: Octets of the instances in one answer for one object; as much as an object itself may have.
EXPANDED_OCTETS_MAX: Final = 10 * 1024 * 1024

#: The components that can recur.
EXPANDED_COMPONENTS: Final = ("VEVENT", "VTODO", "VJOURNAL")

_RECURRENCE_LINES: Final = frozenset({"RRULE", "RDATE", "EXDATE", "EXRULE", "RECURRENCE-ID"})
_QUOTED: Final = frozenset(":;,")
_CIRCUMFLEXES: Final = str.maketrans({"^": "^^", "\n": "^n", '"': "^'"})


def expanded(calendar: Component, asked: TimeRange, floating_zone: tzinfo, budget: Budget | None = None) -> Component:
    """The calendar object with instances in place of recurrences; ``budget`` is the request's.

    Raises TooManyInstances.
    """
    context = Context(zones_of(calendar), floating_zone, Budget(parent=budget))
    room = Budget(EXPANDED_OCTETS_MAX, of="octets")
    families = [family for name in EXPANDED_COMPONENTS for family in families_of(calendar, name)]
    heads = {id(family.members[0].component): family for family in families}
    members = {id(member.component) for family in families for member in family.members}
    content: list[Line | Component] = []
    for part in calendar.content:
        if id(part) in heads:
            content.extend(_expanded_family(heads[id(part)], asked, context, room))
        elif isinstance(part, Line):
            content.append(part)
        elif id(part) not in members and part.name != "VTIMEZONE":
            content.append(_in_utc(part, context))
    return Component(calendar.name, calendar.begin, tuple(content), calendar.end)


def head_of(line: Line, *without: str) -> str:
    """Group, name and parameters of the line, as they stand before the colon, without some parameters."""
    name = f"{line.group}.{line.name}" if line.group else line.name
    kept = [parameter for parameter in line.parameters if parameter.name not in without]
    return name + "".join(f";{one.name}={','.join(map(_parameter_text, one.values))}" for one in kept)


def line_end_of(line: Line) -> str:
    """The sign that ends the line."""
    return "\r\n" if "\r" in line.raw or "\n" not in line.raw else "\n"


def _parameter_text(value: str) -> str:
    text = value.translate(_CIRCUMFLEXES)
    return text if _QUOTED.isdisjoint(text) else f'"{text}"'


def _expanded_family(family: Family, asked: TimeRange, context: Context, room: Budget) -> list[Component]:
    try:
        if family.recurs:
            return _instances_in(family, asked, context, room)
        return [_in_utc(member.component, context) for member in family.members]
    except InvalidValue:
        return [member.component for member in family.members]


def _instances_in(family: Family, asked: TimeRange, context: Context, room: Budget) -> list[Component]:
    found: list[Instance] = []
    sizes = {id(one.component): len(_octets_of(one.component)) for one in family.members}
    for instance in schedule_of(family, context).instances(asked):
        coverage = instance.coverage
        if asked.overlaps(coverage.start, coverage.end):
            room.spend(sizes[id(instance.component)])
            found.append(instance)
        if len(found) > INSTANCES_MAX:
            raise TooManyInstances(INSTANCES_MAX, "instances")
    found.sort(key=lambda one: one.starts_at)
    return [_component_of(instance, context) for instance in found]


def _octets_of(component: Component) -> bytes:
    return render_component(component).encode(errors="surrogateescape")


def _component_of(instance: Instance, context: Context) -> Component:
    component = instance.component
    content: list[Line | Component] = []
    for part in component.content:
        if isinstance(part, Component):
            content.append(_in_utc(part, context))
        elif part.name not in _RECURRENCE_LINES:
            content.extend(_lines_of(part, instance, context))
    return Component(component.name, component.begin, tuple(content), component.end)


def _lines_of(line: Line, instance: Instance, context: Context) -> Iterator[Line]:
    due_only = instance.extent.shape is Shape.TASK_DUE_ONLY
    if line.name == ("DUE" if due_only else "DTSTART"):
        yield _line_at(line, line.name, instance.start)
        if instance.recurrence is not None:
            yield _line_at(line, "RECURRENCE-ID", instance.recurrence)
    elif line.name in ("DTEND", "DUE") or (line.name == "DURATION" and instance.has_own_end):
        yield _line_at(line, "DTEND" if line.name == "DURATION" else line.name, _end_of(instance))
    else:
        yield _line_in_utc(line, context)


def _end_of(instance: Instance) -> Moment:
    start, duration = instance.start, instance.extent.duration
    if start.zone is not None:
        return Moment(clock_time(instance.ends_at), UTC, False)
    if instance.has_own_end:
        return Moment(plus(start.local, timedelta(seconds=instance.ends_at - instance.starts_at)), None, False)
    is_date = start.is_date and duration.seconds == 0
    return Moment(plus(start.local, timedelta(duration.days, duration.seconds)), None, is_date)


def _line_at(line: Line, name: str, moment: Moment) -> Line:
    """The line under this name with this time."""
    head = name + head_of(line, "TZID", "VALUE").removeprefix(line.name)
    if moment.is_date:
        head += ";VALUE=DATE"
    return make_line(head, _moment_text(moment), line_end=line_end_of(line))


def _moment_text(moment: Moment) -> str:
    if moment.zone is not None:
        return utc_text(moment.instant(UTC))
    # A floating time is written as UTC is, without the Z.
    text = utc_text(moment.instant(UTC))
    return text[:8] if moment.is_date else text[:-1]


def _in_utc(component: Component, context: Context) -> Component:
    content = tuple(
        _in_utc(part, context) if isinstance(part, Component) else _line_in_utc(part, context)
        for part in component.content
    )
    return Component(component.name, component.begin, content, component.end)


def _line_in_utc(line: Line, context: Context) -> Line:
    if not line.parameters or line.parameter("TZID") is None:
        return line
    try:
        moments = [moment_from(line, text.strip(), context.zones) for text in line.value.split(",")]
    except InvalidValue:
        return line
    text = ",".join(_moment_text(moment) for moment in moments)
    return make_line(head_of(line, "TZID"), text, line_end=line_end_of(line))
