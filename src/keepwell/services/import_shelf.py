"""A collection that is being filled: it knows the names, UIDs and digests in it and decides where a new item goes.

It knows of what it decided before it is written, so many writes can be under way at once. Each decision carries the
condition under which it holds; when another writer was faster, the caller makes the shelf anew and decides again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from keepwell.model.errors import BadRequest
from keepwell.model.names import HOME_OF, Digest, Home, check_item_name
from keepwell.model.preconditions import ANY, Conditions, etag_of
from keepwell.services.content import Prepared, components_of
from keepwell.services.transfer_layout import free_name
from keepwell.storage.contract import Collection, Item

_UNFIT: Final = re.compile(r"[^A-Za-z0-9._@+-]+")
_STEM_CHARACTERS_MAX: Final = 200
_ENDING_CHARACTERS_MAX: Final = 16
_ENDING_OF: Final = {Home.CONTACTS: ".vcf", Home.CALENDARS: ".ics"}


@dataclass(frozen=True, slots=True)
class Placement:
    """Put the bytes at `name`, if `conditions` hold; they are new there or take the place of others."""

    name: str
    conditions: Conditions
    is_new: bool


@dataclass(slots=True)
class _Known:
    name: str
    uid: str
    digest: Digest


class Shelf:
    """Invariant: what it knows is the collection as it will be when all that was decided is written."""

    def __init__(self, collection: Collection, items: Iterable[Item]) -> None:
        """The collection with these items in it."""
        self.collection = collection
        self.home = HOME_OF[collection.kind]
        self._by_uid: dict[str, _Known] = {}
        self._by_name: dict[str, _Known] = {}
        for item in items:
            self._learn(_Known(item.name, item.uid, item.digest))

    def refusal(self, prepared: Prepared) -> str:
        """Why the collection does not take this; empty when it does."""
        taken = components_of(self.collection.kind, self.collection.properties)
        if not taken or prepared.index.component in taken:
            return ""
        return f"{self.home}/{self.collection.name} takes {', '.join(taken)}, not {prepared.index.component}"

    def place(self, prepared: Prepared, wanted: str | None) -> Placement | None:
        """Where these bytes go; None when they are there already.

        An item with the same UID is brought up to date wherever it is. A new one gets the name `wanted`, or one made
        of its UID (or digest) when None is wanted or no item can have that, and never takes the name of another item:
        without a UID nothing says that two items of one name are the same.
        """
        known = self._by_uid.get(prepared.uid) if prepared.uid else None
        name = known.name if known else self._name_for(prepared, wanted)
        current = self._by_name.get(name)
        if current is not None and current.digest == prepared.digest:
            return None
        if current is None:
            conditions = Conditions(if_none_match=(ANY,))
        else:
            conditions = Conditions(if_match=(etag_of(current.digest),))
        self._learn(_Known(name, prepared.uid, prepared.digest))
        return Placement(name, conditions, is_new=current is None)

    def _name_for(self, prepared: Prepared, wanted: str | None) -> str:
        name = wanted if wanted is not None and is_item_name(wanted) else self._name_of_uid(prepared, wanted or "")
        return free_name(name, lambda one: self._is_anothers(one, prepared))

    def _is_anothers(self, name: str, prepared: Prepared) -> bool:
        """Whether an item with other bytes has the name; one with these bytes is what the same import left before."""
        current = self._by_name.get(name)
        return current is not None and current.digest != prepared.digest

    def _name_of_uid(self, prepared: Prepared, wanted: str) -> str:
        stem = _UNFIT.sub("_", prepared.uid).lstrip(".")[:_STEM_CHARACTERS_MAX] or prepared.digest[:32]
        # By its ending alone do programs know what a photo is.
        return stem + (_ENDING_OF.get(self.home) or _UNFIT.sub("", PurePath(wanted).suffix)[:_ENDING_CHARACTERS_MAX])

    def _learn(self, known: _Known) -> None:
        before = self._by_name.get(known.name)
        if before is not None and before.uid:
            self._by_uid.pop(before.uid, None)
        self._by_name[known.name] = known
        if known.uid:
            self._by_uid[known.uid] = known


def is_item_name(text: str) -> bool:
    """Whether an item may have this name; a file may have one that an item cannot."""
    try:
        check_item_name(text)
    except BadRequest:
        return False
    return True
