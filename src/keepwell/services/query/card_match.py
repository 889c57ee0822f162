"""Card matching: whether a card is what a query asks for (RFC 6352 sections 8.6 and 10.5).

Promises: texts are compared as people see them, without escapes and quoted-printable; a value in base64 has no text
and matches nothing, negated or not. A negated text match is true of a property whose text does not match, as RFC 6352
10.5.4 says, not of a card without any that does.

Leaves to others: narrowing by an index (``card_index``).
"""

from collections.abc import Iterable

from keepwell.formats.contentlines import Component, Line
from keepwell.formats.texts import from_quoted_printable, unescape
from keepwell.services.query.calendar_match import has_parameter
from keepwell.services.query.card_filter import CardFilter, CardPropFilter, Combination


def matches(card: Component, wanted: CardFilter) -> bool:
    """Whether the filter is true of the card."""
    lines = card.properties
    return not wanted.prop_filters or combined(wanted.test, (_has_property(lines, one) for one in wanted.prop_filters))


def combined(test: Combination, results: Iterable[bool]) -> bool:
    """Whether any, or all, of the results are true."""
    return any(results) if test is Combination.ANYOF else all(results)


def text_of(line: Line) -> str | None:
    """The text of a property as people see it; None for base64."""
    if not line.parameters:
        return unescape(line.value)
    encoding = (line.parameter("ENCODING") or "").upper()
    if encoding in ("B", "BASE64"):
        return None
    if encoding == "QUOTED-PRINTABLE":
        return unescape(from_quoted_printable(line.value, line.parameter("CHARSET")))
    return unescape(line.value)


def _has_property(lines: Iterable[Line], wanted: CardPropFilter) -> bool:
    found = [line for line in lines if line.name == wanted.name]
    if wanted.group:
        found = [line for line in found if line.group.upper() == wanted.group]
    if wanted.is_not_defined:
        return not found
    return any(_is_as_wanted(line, wanted) for line in found)


def _is_as_wanted(line: Line, wanted: CardPropFilter) -> bool:
    if not (wanted.text_matches or wanted.param_filters):
        return True
    text = text_of(line) if wanted.text_matches else None
    results = [text is not None and one.accepts(text) for one in wanted.text_matches]
    return combined(wanted.test, (*results, *(has_parameter(line, one) for one in wanted.param_filters)))
