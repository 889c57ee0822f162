"""Card matching: whether a card is what a query asks for (RFC 6352 sections 8.6 and 10.5).

Promises: texts are compared as people see them, without escapes and quoted-printable; a value in base64 has no text
and matches nothing, negated or not. A negated text match is true of a property whose text does not match, as RFC 6352
10.5.4 says, not of a card without any that does. A card that costs more comparisons than one may counts as matching:
its owner sees it.

Leaves to others: narrowing by an index (``card_index``).
"""

from collections.abc import Iterable, Sequence

from keepwell.formats.contentlines import Component, Line
from keepwell.formats.texts import from_quoted_printable, unescape
from keepwell.services.query.calendar_match import has_parameter
from keepwell.services.query.card_filter import CardFilter, CardPropFilter, Combination
from keepwell.services.query.effort import Effort, TooManyComparisons


def matches(card: Component, wanted: CardFilter, effort: Effort | None = None) -> bool:
    """Whether the filter is true of the card. Raises TooManyComparisons when ``effort``, the request's, is spent."""
    if not wanted.prop_filters:
        return True
    lines: dict[str, list[Line]] = {}
    for line in card.properties:
        lines.setdefault(line.name, []).append(line)
    own = (effort or Effort()).of_object()
    try:
        results = (_has_property(lines.get(one.name, []), one, own) for one in wanted.prop_filters)
        return combined(wanted.test, results)
    except TooManyComparisons:
        if own.is_spent:
            return True
        raise


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


def _has_property(lines: Sequence[Line], wanted: CardPropFilter, effort: Effort) -> bool:
    """Whether the filter is true of these lines, which have its name."""
    if wanted.group:
        effort.spend(len(lines))
        lines = [line for line in lines if line.group.upper() == wanted.group]
    if wanted.is_not_defined:
        return not lines
    return any(_is_as_wanted(line, wanted, effort) for line in lines)


def _is_as_wanted(line: Line, wanted: CardPropFilter, effort: Effort) -> bool:
    effort.spend()
    if not (wanted.text_matches or wanted.param_filters):
        return True
    text = text_of(line) if wanted.text_matches else None
    results = [text is not None and effort.accepts(one, text) for one in wanted.text_matches]
    return combined(wanted.test, (*results, *(has_parameter(line, one, effort) for one in wanted.param_filters)))
