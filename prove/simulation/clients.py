"""The clients of a simulation: each asks one thing at a time, in places of its own, and remembers how it ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from keepwell.model.errors import KeepwellError, Refused
from keepwell.model.names import HOME_OF, AccountId, Home, Kind
from keepwell.model.record import Op
from keepwell.services.actor import Actor
from keepwell.services.library import Library
from keepwell.services.place import Kept, Place
from keepwell.storage.contract import Snapshot
from prove.claims import Change, Claim, Digest, Expectation, Verdict, digest_of
from prove.simulation.choices import Choices, one_of, weighed
from prove.simulation.server import Worker

NAMES: Final = ("a", "b", "c")
COLLECTION: Final[Digest] = "collection"
"""What a collection's place has for a digest."""

PADDING: Final = 90
"""Octets that make some items large enough for a blob of the vault, with the bounds of a simulation."""

Trace = tuple[AccountId, Op, str, str, Digest]
"""What a record shows of who asked for it: account, op, collection, name, digest."""


def place_of(account: AccountId, home: Home, collection: str, name: str = "") -> str:
    """How claims name a place."""
    return f"{account}/{home}/{collection}" + (f"/{name}" if name else "")


class Settles(Protocol):
    """What is known of a write under way."""

    @property
    def is_settled(self) -> bool:
        """Whether `result` answers at once."""
        ...

    def result(self) -> object:
        """What it came to. Raises what it was refused with."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as it was handed to the library, and what records come of it when it is carried out."""

    verb: str
    changes: tuple[Change, ...]
    traces: tuple[Trace, ...]
    ticket: Settles


@dataclass(frozen=True, slots=True)
class Request:
    """What one client asked of one process."""

    claim: Claim
    worker: Worker
    ticket: Settles


@dataclass(slots=True)
class Answered:
    """Everything that clients were told, and all that they ever asked for."""

    expectation: Expectation = field(default_factory=Expectation)
    counted: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(Verdict, 0))
    kept: dict[tuple[AccountId, int], Digest] = field(default_factory=dict)
    """Records that were acknowledged with their number: the digest that each must have for ever."""
    asked: dict[Trace, int] = field(default_factory=dict)
    confirmed: dict[AccountId, int] = field(default_factory=dict)
    """The last record of each account that is known to be acknowledged, and with it every one before."""


class Client:
    """One program of one account; two may share an account, never a place."""

    def __init__(self, account: AccountId, kind: Kind, number: int, answered: Answered) -> None:
        """Idle."""
        self.account = account
        self._home = HOME_OF[kind]
        self._kind = kind
        self._number = number
        self._shelf = f"shelf{number}"
        self._extra = f"extra{number}"
        self._answered = answered
        self._actor = Actor(account, "someone", f"client {number}")
        self._sent = 0
        self.waiting: Request | None = None

    @property
    def shelf(self) -> tuple[Kind, str]:
        """The collection that is always there."""
        return self._kind, self._shelf

    def ask(self, worker: Worker, choices: Choices) -> str:
        """Send a request to a process; what it is, for traces."""
        ways: list[tuple[int, Callable[[Library, Choices], Asked | None]]] = [
            (8, self._put),
            (2, self._remove),
            (2, self._move),
            (1, self._make_or_drop),
        ]
        asked = weighed(choices, ways)(worker.library, choices) or self._put(worker.library, choices)
        claim = Claim(f"client {self._number}", asked.verb, asked.changes)
        for trace in asked.traces:
            self._answered.asked[trace] = self._answered.asked.get(trace, 0) + 1
        self._answered.expectation.known.update(one.digest for one in claim.changes if one.digest is not None)
        self.waiting = Request(claim, worker, asked.ticket)
        return f"client {self._number} asks {worker.process.name}: {asked.verb} {asked.changes[0].place}"

    def look(self) -> str:
        """See whether the request was answered, or never will be; what came of it, for traces."""
        request = self.waiting
        if request is None or not (request.ticket.is_settled or not request.worker.process.is_alive):
            return ""
        self.waiting = None
        verdict, outcome = _verdict_of(request)
        self._answered.expectation.take(request.claim, verdict)
        self._answered.counted[verdict] += 1
        if isinstance(outcome, Kept):
            self._answered.kept[self.account, outcome.item.sequence] = outcome.item.digest
            known = self._answered.confirmed.get(self.account, 0)
            self._answered.confirmed[self.account] = max(known, outcome.item.sequence)
        return f"client {self._number} is told {verdict}: {outcome}"

    def _put(self, library: Library, choices: Choices) -> Asked:
        collection = self._collection(choices)
        name = one_of(choices, NAMES)
        body = self._body(name, large=choices.below(4) == 3)
        place = Place(self.account, self._home, collection, name)
        digest = digest_of(body)
        changes = (self._change(collection, name, digest),)
        return Asked(
            "put", changes, (self._trace(Op.PUT, collection, name, digest),), library.put(self._actor, place, body)
        )

    def _remove(self, library: Library, choices: Choices) -> Asked:
        collection, name = self._collection(choices), one_of(choices, NAMES)
        place = Place(self.account, self._home, collection, name)
        return Asked(
            "remove",
            (self._change(collection, name, None),),
            (self._trace(Op.REMOVE, collection, name),),
            library.remove(self._actor, place),
        )

    def _move(self, library: Library, choices: Choices) -> Asked | None:
        """Only of what is certain to be there: what would come of another is anyone's guess."""
        collection, name = self._collection(choices), one_of(choices, NAMES)
        digest = self._known_at(collection, name)
        into, new = self._collection(choices), one_of(choices, NAMES)
        if digest is None or (collection, name) == (into, new):
            return None
        source = Place(self.account, self._home, collection, name)
        target = Place(self.account, self._home, into, new)
        return Asked(
            "move",
            (self._change(into, new, digest), self._change(collection, name, None)),
            (self._trace(Op.PUT, into, new, digest), self._trace(Op.REMOVE, collection, name)),
            library.move(self._actor, source, target, overwrite=True),
        )

    def _make_or_drop(self, library: Library, choices: Choices) -> Asked:
        place, here = Place(self.account, self._home, self._extra), place_of(self.account, self._home, self._extra)
        if choices.below(2):
            inside = [self._change(self._extra, name, None) for name in NAMES]
            return Asked(
                "drop",
                (Change(here, None), *inside),
                (self._trace(Op.DROP, self._extra),),
                library.drop_collection(self._actor, place),
            )
        return Asked(
            "make",
            (Change(here, COLLECTION),),
            (self._trace(Op.MAKE, self._extra),),
            library.make_collection(self._actor, place, self._kind, {}),
        )

    def _collection(self, choices: Choices) -> str:
        return self._extra if choices.below(4) == 3 else self._shelf

    def _body(self, name: str, *, large: bool) -> bytes:
        """Bytes that were never sent before."""
        self._sent += 1
        text = f"{self._number}.{self._sent}" + "." * (PADDING if large else 0)
        if self._home is Home.CONTACTS:
            return f"BEGIN:VCARD\r\nVERSION:4.0\r\nUID:{name}{self._sent}\r\nFN:{text}\r\nEND:VCARD\r\n".encode()
        return text.encode()

    def _known_at(self, collection: str, name: str) -> Digest | None:
        values = self._answered.expectation.values.get(place_of(self.account, self._home, collection, name), {None})
        return next(iter(values)) if len(values) == 1 else None

    def _change(self, collection: str, name: str, digest: Digest | None) -> Change:
        return Change(place_of(self.account, self._home, collection, name), digest)

    def _trace(self, op: Op, collection: str, name: str = "", digest: Digest = "") -> Trace:
        return self.account, op, collection, name, digest


def _verdict_of(request: Request) -> tuple[Verdict, object]:
    if not request.ticket.is_settled:
        return Verdict.UNKNOWN, "its process ended"
    try:
        outcome = request.ticket.result()
    except Refused as error:
        return Verdict.REFUSED, error
    except KeepwellError as error:
        return Verdict.UNKNOWN, error
    return Verdict.OK, outcome


def places_in(snapshot: Snapshot, fixed: Iterable[tuple[Kind, str]]) -> dict[str, Digest]:
    """Everything that is there, each with the digest of its bytes; collections that are always there are left out."""
    account, always = snapshot.account(), set(fixed)
    found: dict[str, Digest] = {}
    for collection in snapshot.collections():
        home = HOME_OF[collection.kind]
        if (collection.kind, collection.name) not in always:
            found[place_of(account, home, collection.name)] = COLLECTION
        for item, body in snapshot.items_with_bodies(collection.id):
            found[place_of(account, home, collection.name, item.name)] = digest_of(body)
    return found
