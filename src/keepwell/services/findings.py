"""What a check finds: each thing with the account, the place in it, and a sentence; bounded in number.

What is `STALE` here is a projection, which `keepwell check --rebuild` makes anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from keepwell.model.errors import KeepwellError
from keepwell.model.names import AccountId
from keepwell.model.weight import Weight

Outcome = TypeVar("Outcome")

FINDINGS_MAX: Final = 200
"""Findings of one account that are listed; a broken disk would make a line for every item."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be. `place` is a page, record, item, collection, blob or file."""

    account: AccountId | None
    login: str
    weight: Weight
    place: str
    message: str


class Findings:
    """Gathers the findings of one account."""

    def __init__(self, account: AccountId | None, login: str) -> None:
        """None yet; `account` is None for the data folder itself."""
        self._account = account
        self._login = login
        self._found: list[Finding] = []
        self._left_out: dict[Weight, int] = {}

    def damage(self, place: str, message: str) -> None:
        """Something that was kept is not as it was kept."""
        self._add(Weight.DAMAGE, place, message)

    def stale(self, place: str, message: str) -> None:
        """A projection is wrong."""
        self._add(Weight.STALE, place, message)

    def note(self, place: str, message: str) -> None:
        """Something worth knowing."""
        self._add(Weight.NOTE, place, message)

    def attempt(self, place: str, action: Callable[[], Outcome]) -> Outcome | None:
        """Do `action`; when it fails in whatever way, that is damage at `place` and the check goes on.

        Damaged bytes can raise anything on their way through decoders; a check must survive all of it.
        """
        try:
            return action()
        except KeepwellError as error:
            self.damage(place, error.message)
        except Exception as error:
            self.damage(place, f"it cannot be read: {type(error).__name__}: {error}")
        return None

    def has(self, weight: Weight) -> bool:
        """Whether any has this weight."""
        return weight in self._left_out or any(one.weight is weight for one in self._found)

    def all(self) -> list[Finding]:
        """Everything found, in order, and how many more there were."""
        more = [
            Finding(self._account, self._login, weight, "more", f"{count} more like these are not listed")
            for weight, count in self._left_out.items()
        ]
        return self._found + more

    def _add(self, weight: Weight, place: str, message: str) -> None:
        if len(self._found) < FINDINGS_MAX:
            self._found.append(Finding(self._account, self._login, weight, place, message))
        else:
            self._left_out[weight] = self._left_out.get(weight, 0) + 1
