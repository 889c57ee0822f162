"""Where things are, and what a put came to: the words that the library and its faces share."""

from __future__ import annotations

from dataclasses import dataclass

from keepwell.model.names import AccountId, Home
from keepwell.storage.contract import Item


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is: a collection of an owner, or an item of it when `name` is not empty."""

    owner: AccountId
    home: Home
    collection: str
    name: str = ""

    def __str__(self) -> str:
        """For messages."""
        return f"{self.home}/{self.collection}" + (f"/{self.name}" if self.name else "")


@dataclass(frozen=True, slots=True)
class Kept:
    """What a put came to: the item as it is now, and whether it is new."""

    item: Item
    created: bool
