"""The history of an account, for people: who changed what and when, and what an item was before.

It only reads the journal. Nothing is ever taken out of it, so every version of every item can be found here, also
those of collections that were dropped since.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from keepwell.model.errors import BadRequest, NotThere
from keepwell.model.names import HOME_OF, Digest, Home
from keepwell.model.record import Op, Record
from keepwell.storage.contract import Snapshot

Spot = tuple[Home, str]
"""A home and the name of a collection in it, which may be there no more."""


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Which records: of one collection, of one item name in it, at most `limit` of the newest (None: all)."""

    spot: Spot | None = None
    item: str | None = None
    limit: int | None = None
    oldest_first: bool = False


def list_records(snapshot: Snapshot, query: HistoryQuery) -> list[Record]:
    """The records that the query asks for, the newest first unless it says otherwise."""
    chosen = deque(_chosen(snapshot, query), maxlen=query.limit)
    return list(chosen) if query.oldest_first else list(reversed(chosen))


def read_version(snapshot: Snapshot, sequence: int) -> tuple[Record, bytes]:
    """The record with this sequence and the bytes that it put. Raises NotThere, BadRequest, Damaged."""
    record = next(snapshot.records(sequence - 1), None) if sequence > 0 else None
    if record is None or record.facts.seq != sequence:
        raise NotThere(f"{snapshot.account()} has no record {sequence}", hint="See: keepwell history LOGIN")
    if record.facts.op is not Op.PUT or record.facts.digest is None:
        raise BadRequest(
            f"record {sequence} is a {record.facts.op}, which has no content",
            hint="Choose the sequence of a put.",
        )
    body = snapshot.content(record.facts.digest)
    if body is None:
        raise NotThere(f"the bytes of record {sequence} were erased", hint="See: keepwell retention --dry-run")
    return record, body


def erased_among(snapshot: Snapshot, records: Iterable[Record]) -> set[Digest]:
    """The digests whose bytes were erased."""
    digests = {record.facts.digest for record in records}
    return {digest for digest in digests if digest is not None and snapshot.is_erased(digest)}


def find_spot(snapshot: Snapshot, text: str) -> Spot:
    """The collection, there now or once, that `text` names: a name, or home/name when several homes have it.

    One that is there now wins over one that was dropped. Raises NotThere, BadRequest (ambiguous).
    """
    now = [(HOME_OF[one.kind], one.name) for one in snapshot.collections()]
    found = _matching(now, text) or _matching(_spots_ever(snapshot), text)
    if not found:
        known = ", ".join(sorted(f"{home}/{name}" for home, name in now)) or "none"
        raise NotThere(f"there is no collection {text!r}, now or in the history", hint=f"There are: {known}.")
    if len(found) > 1:
        names = " or ".join(f"{home}/{name}" for home, name in found)
        raise BadRequest(f"{text!r} is the name of several collections", hint=f"Say which: {names}.")
    return found[0]


def _chosen(snapshot: Snapshot, query: HistoryQuery) -> Iterator[Record]:
    for record in snapshot.records(collection=query.spot):
        if query.item is None or record.facts.name == query.item:
            yield record


def _spots_ever(snapshot: Snapshot) -> list[Spot]:
    """Every collection that was ever made, once, the oldest first."""
    made = (record.facts for record in snapshot.records() if record.facts.op is Op.MAKE)
    return list(dict.fromkeys((HOME_OF[facts.kind], facts.collection) for facts in made if facts.kind))


def _matching(spots: list[Spot], text: str) -> list[Spot]:
    return [spot for spot in spots if text in {spot[1], f"{spot[0]}/{spot[1]}"}]
