"""Alarms: when they go off (RFC 5545 section 3.8.6), for queries by time (RFC 4791 section 9.9).

Promises: an alarm overlaps a time range when one of its triggers, repetitions included, is in it: at or after the
start and before the end. One that is relative to a recurring component is looked for at each of its instances, near
the asked time only; a million repetitions cost no more than one.

Leaves to others: which component the alarm belongs to.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from keepwell.formats.contentlines import Component, Line
from keepwell.formats.instances import Schedule
from keepwell.formats.times import DAY_SECONDS, TimeRange, parse_duration
from keepwell.formats.timing import moment_of


@dataclass(frozen=True, slots=True)
class _Repetition:
    """How often, and how many seconds apart, an alarm goes off again."""

    count: int
    seconds: int

    @property
    def length(self) -> int:
        return self.count * self.seconds


def goes_off(alarm: Component, owner: Component, schedule: Schedule, asked: TimeRange) -> bool:
    """Whether the alarm of this component goes off in the asked time. Raises InvalidValue, TooManyInstances."""
    trigger = alarm.line("TRIGGER")
    if trigger is None:
        return False
    repetition = _repetition_of(alarm)
    return any(_is_among(time, repetition, asked) for time in _times(trigger, owner, schedule, asked, repetition))


def _times(
    trigger: Line, owner: Component, schedule: Schedule, asked: TimeRange, repetition: _Repetition
) -> Iterator[int]:
    """The times of the first trigger: the one that is written, or one for each instance near the asked time."""
    text = trigger.value.strip().upper()
    if text[:1].isdigit():
        yield moment_of(trigger, schedule.context.zones).instant(schedule.context.floating_zone)
        return
    offset = _seconds(text)
    related_to_end = (trigger.parameter("RELATED") or "").upper() == "END"
    near = TimeRange(asked.start - offset - max(0, repetition.length) - 1, asked.end - offset + 1)
    for instance in schedule.instances_of(owner, near):
        yield (instance.ends_at if related_to_end else instance.starts_at) + offset


def _is_among(first: int, repetition: _Repetition, asked: TimeRange) -> bool:
    if first >= asked.start:
        return first < asked.end
    if repetition.length <= 0:
        return False
    steps = -((first - asked.start) // repetition.seconds)
    return steps <= repetition.count and first + steps * repetition.seconds < asked.end


def _repetition_of(alarm: Component) -> _Repetition:
    duration, count = alarm.value("DURATION"), (alarm.value("REPEAT") or "").strip()
    if duration is None or not (count.isascii() and count.isdigit()):
        return _Repetition(0, 0)
    return _Repetition(int(count[:9]), _seconds(duration.strip().upper()))


def _seconds(text: str) -> int:
    duration = parse_duration(text)
    return duration.days * DAY_SECONDS + duration.seconds
