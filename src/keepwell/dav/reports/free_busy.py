"""`CALDAV:free-busy-query` (RFC 4791 section 7.10): when the owner of a calendar is busy, without saying with what.

The answer is an iCalendar object, not a multistatus. Whoever may read a calendar may ask. Depth: without the header,
the calendar's items are looked at, as in a calendar-query; with 0 nothing is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepwell.dav.filters import free_busy_range
from keepwell.dav.names import caldav
from keepwell.dav.reports.data import component_in, floating_zone
from keepwell.dav.reports.question import Question, Report
from keepwell.dav.reports.results import bodies_of
from keepwell.dav.request import DavResponse
from keepwell.formats.times import TimeRange
from keepwell.ground.clock import SystemClock
from keepwell.ground.entropy import SystemEntropy, base32_word
from keepwell.services.query.freebusy import Busy, busy_times, free_busy
from keepwell.storage.contract import SpanQuery

_BUSY_COMPONENTS: Final = frozenset({"VEVENT", "VFREEBUSY"})
_UID_BITS: Final = 100
_CLOCK: Final = SystemClock()
_ENTROPY: Final = SystemEntropy()


def answer(question: Question) -> DavResponse:
    """The free-busy times in the asked range. Raises InvalidFilter, TooManyInstances."""
    asked = free_busy_range(question.root)
    busy = _busy(question, asked) if question.depth("1") != "0" else ()
    uid = base32_word(_ENTROPY, _UID_BITS)
    body = free_busy(busy, asked, uid=uid, stamp=int(_CLOCK.now().timestamp()))
    return DavResponse(200, [(b"content-type", b"text/calendar; charset=utf-8")], body)


def _busy(question: Question, asked: TimeRange) -> Iterator[Busy]:
    query = SpanQuery(None, asked.start, asked.end)
    found = question.required_snapshot().in_span(question.collection().id, query)
    items = [item for item, _ in found if item.component in _BUSY_COMPONENTS]
    zone = floating_zone(question)
    for _, body in bodies_of(question, items):
        calendar = component_in(body)
        if calendar is not None:
            yield from busy_times(calendar, asked, zone, question.budget)


REPORT: Final = Report(caldav("free-busy-query"), answer)
