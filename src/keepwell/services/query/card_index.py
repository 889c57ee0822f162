"""The card index: one folded text per card, and what a query can tell from it (RFC 6352 section 8.6).

For: answering most searches of an address book without reading the cards.

Promises: the text of a card that a filter is true of has at least one of the filter's ``needles`` in it, so looking
for them drops nothing; ``verdict`` says yes or no only when reading the card would say the same. The text holds every
property as SEPARATOR, upper-case name, colon and value folded by i;unicode-casemap, with a SEPARATOR at the end.
Values cut to ``vcard.TEXT_CHARACTERS_MAX`` characters leave the mark TRUNCATED, which is a needle of every query.

Leaves to others: where the texts are kept. Groups, parameters and binary values are not in them.
"""

from dataclasses import dataclass
from typing import Final

from keepwell.formats.vcard import BINARY_PROPERTIES, CardFacts
from keepwell.services.query.card_filter import CardFilter, CardPropFilter, Combination
from keepwell.services.query.collation import Collation, MatchType, TextMatch, fold

#: XML 1.0 cannot carry these, so no query asks for them; in values they are replaced.
SEPARATOR: Final = "\x1e"
TRUNCATED: Final = "\x1d"

#: With more needles than this every text is looked at anyway.
NEEDLES_MAX: Final = 32

#: Characters of a text that are searched at the cost of one comparison.
_CHARACTERS: Final = 512

_REPLACED: Final = {ord(SEPARATOR): "\x1f", ord(TRUNCATED): "\x1f"}


@dataclass(frozen=True, slots=True)
class CoarseCard:
    """Which cards to look at: those whose text has one of the needles; every card when there are none."""

    needles: tuple[str, ...]


def search_text(facts: CardFacts) -> str:
    """The text of an examined card for the index."""
    properties = [f"{SEPARATOR}{name}:{value}" for name, value in facts.texts]
    text = "".join(properties)
    if text.count(SEPARATOR) > len(properties) or TRUNCATED in text:
        properties = [f"{SEPARATOR}{name}:{value.translate(_REPLACED)}" for name, value in facts.texts]
        text = "".join(properties)
    # Folding goes character by character; where some are not ASCII, most properties still are, and quickly folded.
    folded = fold(text) if text.isascii() else "".join([fold(one) for one in properties])
    return folded + SEPARATOR + (TRUNCATED if facts.truncated else "")


def coarse_card(wanted: CardFilter) -> CoarseCard:
    """What the index can narrow the cards to."""
    each = [_needles(one) for one in wanted.prop_filters]
    if wanted.test is Combination.ALLOF:
        # Any one of the conditions must hold; the longest needle is the rarest.
        usable = [needles for needles in each if needles]
        chosen = max(usable, key=lambda needles: min(map(len, needles)), default=())
    else:
        chosen = tuple(needle for needles in each for needle in needles) if all(each) else ()
    return CoarseCard((*chosen, TRUNCATED) if 0 < len(chosen) <= NEEDLES_MAX else ())


def cost_of(wanted: CardFilter, text: str) -> int:
    """How many comparisons ``verdict`` is worth, at most."""
    conditions = sum(1 + len(one.text_matches) for one in wanted.prop_filters)
    return conditions * (1 + len(text) // _CHARACTERS)


def verdict(wanted: CardFilter, text: str) -> bool | None:
    """Whether the filter is true of the card with this text; None when the card must be read to know."""
    if not wanted.prop_filters:
        return True
    return _combined(wanted.test, [_verdict_of_property(one, text) for one in wanted.prop_filters])


def _needles(wanted: CardPropFilter) -> tuple[str, ...]:
    """Texts of which a card must have one for the filter to be true; none when that cannot be told."""
    if wanted.is_not_defined or wanted.name in BINARY_PROPERTIES:
        return ()
    usable = [_needle(wanted.name, one) for one in wanted.text_matches if not one.negate]
    if wanted.test is Combination.ALLOF:
        return (max(usable, key=len),) if usable else _name_needle(wanted)
    is_whole = len(usable) == len(wanted.text_matches) and not wanted.param_filters
    return tuple(usable) if usable and is_whole else _name_needle(wanted)


def _name_needle(wanted: CardPropFilter) -> tuple[str, ...]:
    # A base64 value leaves no trace in the text; such a property can still be there and have a parameter.
    needs_text = wanted.text_matches and (wanted.test is Combination.ALLOF or not wanted.param_filters)
    return (_head(wanted.name),) if needs_text else ()


def _needle(name: str, wanted: TextMatch) -> str:
    value = fold(wanted.value)
    match wanted.match_type:
        case MatchType.EQUALS:
            return f"{_head(name)}{value}{SEPARATOR}"
        case MatchType.STARTS_WITH:
            return _head(name) + value
        case MatchType.ENDS_WITH:
            return value + SEPARATOR
        case MatchType.CONTAINS:
            return value or _head(name)


def _head(name: str) -> str:
    return f"{SEPARATOR}{fold(name)}:"


def _verdict_of_property(wanted: CardPropFilter, text: str) -> bool | None:
    head = _head(wanted.name)
    if wanted.group or wanted.name in BINARY_PROPERTIES or text.endswith(TRUNCATED):
        return None
    if wanted.is_not_defined:
        return False if head in text else None
    if wanted.param_filters:
        needles = _needles(wanted)
        return False if needles and not any(needle in text for needle in needles) else None
    if not wanted.text_matches:
        return True if head in text else None
    values = (
        [part[len(head) - 1 :] for part in text.split(SEPARATOR) if part.startswith(head[1:])] if head in text else []
    )
    return _combined(Combination.ANYOF, [_verdict_of_value(wanted, value) for value in values])


def _verdict_of_value(wanted: CardPropFilter, folded_value: str) -> bool | None:
    return _combined(wanted.test, [_verdict_of_match(one, folded_value) for one in wanted.text_matches])


def _verdict_of_match(wanted: TextMatch, folded_value: str) -> bool | None:
    found = wanted.finds(folded_value, fold(wanted.value))
    # What i;unicode-casemap finds different, every other collation does; what it finds equal, they may not.
    return None if found and wanted.collation is not Collation.UNICODE_CASEMAP else found is not wanted.negate


def _combined(test: Combination, results: list[bool | None]) -> bool | None:
    """Any or all of the results, where None stands for either."""
    decisive = test is Combination.ANYOF
    if decisive in results:
        return decisive
    return None if None in results else not decisive
