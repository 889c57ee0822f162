"""What is wrong with a query, in the words of its preconditions (RFC 4791 section 7.8, RFC 6352 section 8.6).

Leaves to others: turning a condition into XML and a status.
"""

from typing import Literal, TypeAlias

from keepwell.model.errors import Refused

Condition: TypeAlias = Literal[
    "valid-filter",
    "supported-filter",
    "supported-collation",
    "valid-calendar-data",
    "supported-calendar-data",
    "supported-address-data",
]


class InvalidFilter(Refused):
    """A query that cannot be answered as it is asked; ``condition`` is the precondition that it does not meet."""

    def __init__(self, condition: Condition, reason: str) -> None:
        """Keep the precondition and the reason."""
        super().__init__(reason)
        self.condition = condition
        self.reason = reason


class UnsupportedCollation(InvalidFilter):
    """A text match by a collation that is not known here."""

    def __init__(self, name: str) -> None:
        """Say which."""
        reason = f"the collation {name[:80]!r} is not one of i;ascii-casemap, i;octet and i;unicode-casemap"
        super().__init__("supported-collation", reason)
