"""Prefilter: what the index of calendar objects can tell about a query (RFC 4791 section 7.8).

For: reading only the objects that a calendar-query may match, and not even those that it certainly does.

Promises: an object that the filter is true of has the component and overlaps the range that are given here, so
narrowing by them drops nothing. What is declared certain needs no reading.

Leaves to others: the index (``keepwell.formats.recurrence``), and cards (``card_index``).
"""

from dataclasses import dataclass
from typing import Final

from keepwell.formats.icalendar import MAIN_COMPONENTS
from keepwell.formats.times import BEGINNING, FOREVER, TimeRange
from keepwell.services.query.calendar_filter import CompFilter

#: The components whose spans are computed by the tables of RFC 4791 9.9.
_SPANNED: Final = frozenset({"VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY"})

_ALWAYS: Final = TimeRange()


@dataclass(frozen=True, slots=True)
class CoarseCalendar:
    """Which calendar objects to look at: those with this main component whose span overlaps [start, end).

    ``component`` is None when any may match. ``exact_allowed`` says that objects with an exact span need no reading,
    ``certain`` that no object of these needs it.
    """

    component: str | None = None
    start: int = BEGINNING
    end: int = FOREVER
    exact_allowed: bool = False
    certain: bool = False


def coarse_calendar(wanted: CompFilter) -> CoarseCalendar:
    """What the index can narrow the calendar objects to."""
    main = next((one for one in wanted.comp_filters if one.name in MAIN_COMPONENTS and not one.is_not_defined), None)
    if wanted.name != "VCALENDAR" or wanted.is_not_defined:
        return CoarseCalendar()
    if main is None:
        return CoarseCalendar(certain=_is_bare(wanted) and not wanted.comp_filters)
    asked = main.time_range if main.time_range is not None and main.name in _SPANNED else _ALWAYS
    alone = _is_bare(wanted) and wanted.comp_filters == (main,) and _is_bare(main) and not main.comp_filters
    return CoarseCalendar(main.name, asked.start, asked.end, alone, alone and main.time_range is None)


def _is_bare(wanted: CompFilter) -> bool:
    return not wanted.prop_filters
