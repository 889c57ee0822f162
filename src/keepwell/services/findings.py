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
from keepwell.storage.sqlite_check import is_for_now

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

        Damaged bytes can raise anything on their way through decoders; a check must survive all of it. Only what a full
        disk and the like give reason for says nothing of what was kept.
        """
        try:
            return action()
        except Exception as error:
            message = error.message if isinstance(error, KeepwellError) else f"{type(error).__name__}: {error}"
            if is_for_now(error):
                self._add(Weight.UNREAD, place, f"it could not be read now, so nothing is known of it: {message}")
            elif isinstance(error, KeepwellError):
                self.damage(place, message)
            else:
                self.damage(place, f"it cannot be read: {message}")
        return None

    def has(self, *weights: Weight) -> bool:
        """Whether any has one of these weights."""
        return any(one.weight in weights for one in self._found) or any(one in self._left_out for one in weights)

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
