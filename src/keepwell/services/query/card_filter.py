"""Card filters: what an addressbook-query asks for (RFC 6352 section 10.5), as values.

Leaves to others: reading them from XML (``keepwell.dav.filters``), and applying them (``card_match``).
"""

from dataclasses import dataclass
from enum import StrEnum

from keepwell.services.query.calendar_filter import ParamFilter
from keepwell.services.query.collation import TextMatch

__all__ = ["CardFilter", "CardPropFilter", "Combination", "ParamFilter"]


class Combination(StrEnum):
    """Whether one condition suffices or all are needed (RFC 6352 10.5)."""

    ANYOF = "anyof"
    ALLOF = "allof"


@dataclass(frozen=True, slots=True)
class CardPropFilter:
    """A property that shall be absent, or be there at least once with any or all of this true of the same one.

    With a ``group`` only properties of that group count, without one those of every group (RFC 6352 10.5.1).
    """

    name: str
    group: str = ""
    is_not_defined: bool = False
    test: Combination = Combination.ANYOF
    text_matches: tuple[TextMatch, ...] = ()
    param_filters: tuple[ParamFilter, ...] = ()


@dataclass(frozen=True, slots=True)
class CardFilter:
    """Any or all of some property filters; without any, every card is meant."""

    test: Combination = Combination.ANYOF
    prop_filters: tuple[CardPropFilter, ...] = ()
