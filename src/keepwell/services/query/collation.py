"""Collations: when two texts count as the same (RFC 4790, RFC 5051), and the text matches that use them.

For: text-match in both kinds of query (RFC 4791 section 9.7.5, RFC 6352 section 10.5.4), and folding for the index.

Promises: every collation folds character by character, so a text that is contained in another is still contained
after folding. What i;ascii-casemap or i;octet find equal, i;unicode-casemap finds equal too; an index folded by the
latter thus drops nothing.

Leaves to others: which text of a property is compared.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final
from unicodedata import normalize

from keepwell.services.query.errors import UnsupportedCollation

_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]+")
_ASCII_UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}


class Collation(StrEnum):
    """The collations that queries may name."""

    ASCII_CASEMAP = "i;ascii-casemap"
    OCTET = "i;octet"
    UNICODE_CASEMAP = "i;unicode-casemap"


class MatchType(StrEnum):
    """Where in the property's text the searched text must be."""

    EQUALS = "equals"
    CONTAINS = "contains"
    STARTS_WITH = "starts-with"
    ENDS_WITH = "ends-with"


@dataclass(frozen=True, slots=True)
class TextMatch:
    """A text-match: which text, compared how, and whether a text that does not match is wanted instead."""

    value: str
    collation: Collation
    negate: bool = False
    match_type: MatchType = MatchType.CONTAINS

    def accepts(self, text: str) -> bool:
        """Whether the text matches, or does not where that is wanted."""
        found = self.finds(folded(text, self.collation), _folded_value(self.value, self.collation))
        return found is not self.negate

    def finds(self, folded_text: str, folded_value: str) -> bool:
        """Whether the folded value is where it shall be in the folded text."""
        return _COMPARISONS[self.match_type](folded_text, folded_value)


def collation_named(name: str, default: Collation) -> Collation:
    """The collation of this name; ``default`` for "default" (RFC 4790 3.1). Raises UnsupportedCollation."""
    if name == "default":
        return default
    try:
        return Collation(name)
    except ValueError:
        raise UnsupportedCollation(name) from None


def folded(text: str, collation: Collation) -> str:
    """The text such that texts which the collation finds equal become the same."""
    if collation is Collation.UNICODE_CASEMAP:
        return fold(text)
    return text.translate(_ASCII_UPPER) if collation is Collation.ASCII_CASEMAP else text


def fold(text: str) -> str:
    """The text folded by i;unicode-casemap: title case, then compatibility decomposition (RFC 5051 section 2)."""
    if text.isascii():
        return text.upper()
    # Among octets only the ASCII letters are raised; what is left for character by character is little, as a rule.
    raised = text.encode(errors="surrogatepass").upper().decode(errors="surrogatepass")
    return _NOT_ASCII.sub(_titles, raised)


def _titles(match: re.Match[str]) -> str:
    return match[0].translate(_UNICODE_TITLES)


class _UnicodeTitles(dict[int, str]):
    """The folds of the characters met so far."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        title = character.title()
        # RFC 5051 takes the simple mapping of UnicodeData.txt, which never makes two characters of one.
        fold = self[code] = normalize("NFKD", title if len(title) == 1 else character)
        return fold


_UNICODE_TITLES: Final = _UnicodeTitles()
_folded_needle: Final = lru_cache(maxsize=256)(folded)

#: Longer texts are folded again for each comparison: what is remembered is bounded in size, not only in number.
_REMEMBERED_CHARACTERS: Final = 1_000


def _folded_value(value: str, collation: Collation) -> str:
    return _folded_needle(value, collation) if len(value) <= _REMEMBERED_CHARACTERS else folded(value, collation)


_COMPARISONS: Final[Mapping[MatchType, Callable[[str, str], bool]]] = {
    MatchType.EQUALS: str.__eq__,
    MatchType.CONTAINS: str.__contains__,
    MatchType.STARTS_WITH: str.startswith,
    MatchType.ENDS_WITH: str.endswith,
}
