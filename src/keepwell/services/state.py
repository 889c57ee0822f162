"""States: opaque texts that name a moment in one collection's history, for whoever asks what changed since.

A state of another lineage (a history that went back) or of another collection (also one that had the same name before)
is refused with StaleToken, never answered with "nothing changed". A state of a sequence that is not there yet was given
out by this server before it lost that record: it is refused with FutureState, and its account held.

`library_in_state` makes writes that are carried out only while their collection is still in the state that the caller
knows (`ifInState` of RFC 8620 section 5.3): the state is compared inside the storage transaction.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from keepwell.model.errors import HELD_RETRY_SECONDS, NotThere, PreconditionFailed, StaleToken, Unavailable
from keepwell.model.names import Lineage
from keepwell.services.actor import Actor
from keepwell.services.library import Library
from keepwell.services.place import Place
from keepwell.storage.contract import Collection, Snapshot

_state = re.compile(r"([A-Za-z0-9_.-]{1,128})\.([0-9]{1,18})\.([0-9]{1,18})")


class FutureState(Unavailable):
    """A client knows of a record that is not here."""

    def __init__(self, sequence: int) -> None:
        """Say which."""
        super().__init__(
            f"you have seen record {sequence} of this account, and it is not here: the server lost it",
            hint="Delete nothing on your devices. The operator decides: keepwell lineage show",
            retry_after_seconds=HELD_RETRY_SECONDS,
        )


class StateMismatch(PreconditionFailed):
    """The collection is not in the state any more that the caller named."""


@dataclass(frozen=True, slots=True)
class CollectionState:
    """A moment in the history of a collection: its last change then."""

    lineage: Lineage
    collection_id: int
    sequence: int

    def __str__(self) -> str:
        """As clients see it; they compare it and send it back, and read nothing in it."""
        return f"{self.lineage}.{self.collection_id}.{self.sequence}"


def state_of(snapshot: Snapshot, collection: Collection) -> CollectionState:
    """The state of a collection of this snapshot."""
    return CollectionState(snapshot.lineage(), collection.id, collection.sequence)


def account_state(snapshot: Snapshot) -> CollectionState:
    """The state of a whole account: another one after every change of it. Collection 0 is never there."""
    return CollectionState(snapshot.lineage(), 0, snapshot.head().sequence)


def parse_state(text: str) -> CollectionState:
    """Read a state. Raises StaleToken."""
    found = _state.fullmatch(text)
    if found is None:
        raise StaleToken(f"{text[:80]!r} is not a state of this server", hint="Start over without a state.")
    return CollectionState(Lineage(found[1]), int(found[2]), int(found[3]))


def require_known(
    library: Library, actor: Actor, snapshot: Snapshot, state: CollectionState, now: CollectionState | None
) -> None:
    """Return when a state that a client brought is a moment of the history that led to `now`.

    Raises StaleToken when it is of another collection or history, which a client answers by starting over. Raises
    FutureState when it is of a future that this server has lost: then starting over would empty the device. Where the
    collection itself is not here (`now` is None) it returns, when that proves nothing.
    """
    is_same = now is not None and (state.lineage, state.collection_id) == (now.lineage, now.collection_id)
    if now is not None and is_same and state.sequence <= now.sequence:
        return
    latest, is_of_lineage = max(state.sequence, state.collection_id), state.lineage == snapshot.lineage()
    is_future = is_of_lineage and (is_same or latest > snapshot.head().sequence)
    if is_future or not is_of_lineage:
        proves = library.is_told(actor, snapshot.account(), state.lineage, latest)
        if proves or is_future:
            raise FutureState(latest)
    if now is not None:
        raise StaleToken(f"{state} belongs to another collection or history", hint="Start over without a state.")


def library_in_state(library: Library, place: Place, expected: str) -> Library:
    """The library with writes that settle with StateMismatch unless the collection at `place` is in this state."""

    def guard(snapshot: Snapshot) -> None:
        collection = snapshot.collection(place.home, place.collection)
        if collection is None:
            raise NotThere(f"there is no collection {place.home}/{place.collection}")
        now = str(state_of(snapshot, collection))
        if now != expected:
            raise StateMismatch(
                f"{place.home}/{place.collection} is in state {now}, not {expected[:80]}; nothing was changed",
                hint="Ask for the changes since the state that you know, then try again.",
            )

    return library.guarded(guard)
