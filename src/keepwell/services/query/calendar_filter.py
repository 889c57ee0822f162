"""Calendar filters: what a calendar-query asks for (RFC 4791 section 9.7), as values.

Leaves to others: reading them from XML (``keepwell.dav.filters``), and applying them (``calendar_match``).
"""

from dataclasses import dataclass

from keepwell.formats.times import TimeRange
from keepwell.services.query.collation import TextMatch

__all__ = ["CompFilter", "ParamFilter", "PropFilter", "TimeRange"]


@dataclass(frozen=True, slots=True)
class ParamFilter:
    """A parameter that shall be absent, be there, or have a value that matches."""

    name: str
    is_not_defined: bool = False
    text_match: TextMatch | None = None


@dataclass(frozen=True, slots=True)
class PropFilter:
    """A property that shall be absent, or be there at least once with all of this true of the same one."""

    name: str
    is_not_defined: bool = False
    time_range: TimeRange | None = None
    text_match: TextMatch | None = None
    param_filters: tuple[ParamFilter, ...] = ()


@dataclass(frozen=True, slots=True)
class CompFilter:
    """A component that shall be absent, or be there at least once with all of this true of the same one."""

    name: str
    is_not_defined: bool = False
    time_range: TimeRange | None = None
    prop_filters: tuple[PropFilter, ...] = ()
    comp_filters: "tuple[CompFilter, ...]" = ()
