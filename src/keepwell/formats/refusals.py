"""Refusals and caps: why a file is not taken.

For: the one error of this package, and the limits that are checked before anything is parsed.

Promises: a refusal names the physical line, says in one plain sentence what was found, and carries the name
of the precondition that a WebDAV answer needs (RFC 4791 5.3.2.1, RFC 6352 6.3.2.1) as a plain word.

Leaves to others: turning the word into XML, a status or an exit code.
"""

from dataclasses import dataclass
from typing import Final, Literal

Condition = Literal[
    "",
    "max-resource-size",
    "supported-address-data",
    "valid-address-data",
    "supported-calendar-data",
    "valid-calendar-data",
    "valid-calendar-object-resource",
]

_REASON_CHARACTERS_MAX: Final = 300


class InvalidContent(ValueError):
    """A file that is refused: ``line`` (from 1; 0 means the whole file), ``reason`` and ``condition``.

    ``condition`` is empty while nobody has said yet whether the file is a card or a calendar. The reason may
    quote the file; it is cut and stripped of what no answer could carry.
    """

    def __init__(self, line: int, reason: str, *, condition: Condition = "") -> None:
        """Keep where, why and under which precondition."""
        self.line = line
        self.reason = _tellable(reason)
        self.condition = condition
        super().__init__(f"line {line}: {self.reason}" if line else self.reason)


class NotUtf8(InvalidContent):
    """A file that is refused because its characters are written in another way than UTF-8."""


@dataclass(frozen=True, slots=True)
class Caps:
    """What a file may have at most; ``line_octets_max`` is about unfolded lines."""

    octets_max: int
    lines_max: int
    line_octets_max: int
    nesting_max: int


#: Generous enough for a card with a photo in one line, small enough to be read between two requests.
DEFAULT_CAPS: Final = Caps(
    octets_max=10 * 1024 * 1024,
    lines_max=200_000,
    line_octets_max=10 * 1024 * 1024,
    nesting_max=16,
)


def _tellable(reason: str) -> str:
    shown = reason if len(reason) <= _REASON_CHARACTERS_MAX else reason[:_REASON_CHARACTERS_MAX] + "…"
    return "".join(character if character.isprintable() else "\ufffd" for character in shown)
