"""Effort: how many comparisons a query may cost (RFC 4791 section 7.8, RFC 6352 section 8.6).

For: a filter of two hundred conditions and an object of a hundred thousand lines, each within its own limit, which
together would keep a server busy for minutes.

Promises: a comparison is counted before it is made, and a long text counts as many. What one object costs too much for
is for its owner to see: whoever matches shows it, as everything that cannot be decided. A request that costs too much
with all its objects is refused by TooManyComparisons.

Leaves to others: the steps that recurrences take (``keepwell.formats.expansion``).
"""

from typing import Final

from keepwell.model.errors import TooManyResults
from keepwell.services.query.collation import TextMatch

#: For one object. A large one has a thousand lines, and a client asks for a handful of properties.
COMPARISONS_PER_OBJECT: Final = 500_000

#: For all objects of a request, some seconds of work; a hundred thousand events of twenty lines are not so many.
COMPARISONS_PER_REQUEST: Final = 4_000_000

#: Characters of a text that is folded and searched which cost as much as what is done for each comparison.
_CHARACTERS: Final = 64


class TooManyComparisons(TooManyResults):
    """A query costs more comparisons than one answer may."""

    def __init__(self, limit: int) -> None:
        """Say which limit was met."""
        super().__init__(f"the query takes more than {limit:,} comparisons", hint="Ask with fewer conditions.")


class Effort:
    """Comparisons that may still be made; what is spent of it is spent of its parent as well."""

    __slots__ = ("_left", "_limit", "_parent")

    def __init__(self, limit: int = COMPARISONS_PER_REQUEST, parent: "Effort | None" = None) -> None:
        """Start with the whole limit."""
        self._left = self._limit = limit
        self._parent = parent

    @property
    def is_spent(self) -> bool:
        """Whether more was asked for than there was."""
        return self._left < 0

    def of_object(self) -> "Effort":
        """What one object may cost of it."""
        return Effort(COMPARISONS_PER_OBJECT, self)

    def spend(self, comparisons: int = 1) -> None:
        """Count comparisons; raises TooManyComparisons when not so many are left, here or in the parent."""
        self._left -= comparisons
        if self._left < 0:
            raise TooManyComparisons(self._limit)
        if self._parent is not None:
            self._parent.spend(comparisons)

    def accepts(self, wanted: TextMatch, text: str) -> bool:
        """Whether the text matches, or does not where that is wanted."""
        self.spend(1 + (len(text) + len(wanted.value)) // _CHARACTERS)
        return wanted.accepts(text)
