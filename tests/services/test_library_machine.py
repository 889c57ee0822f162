"""A state machine drives the library and a plain dictionary through the same changes and compares everything.

Compared after every step: items and their bytes, counts, the ledger, the chain, and the sync answer from every
earlier moment of every collection.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from keepwell.app.wiring import open_keepwell
from keepwell.model.errors import AlreadyThere, Forbidden, NotThere, PreconditionFailed, UidConflict
from keepwell.model.ledger import LedgerEntry
from keepwell.model.names import Home, Kind
from keepwell.model.preconditions import Conditions, etag_of
from keepwell.model.record import check_link, digest_of
from keepwell.services.actor import Actor
from keepwell.services.place import Place
from keepwell.services.rewind import Rewinder
from tests.support.clock import FakeClock, SeededEntropy

COLLECTIONS = ["friends", "work", "club"]
NAMES = ["a.vcf", "b.vcf", "c.vcf", "d.vcf"]
UIDS = ["one", "two", "three"]

Items = dict[str, bytes]


def card(uid: str, text: str) -> bytes:
    return f"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nFN:{text}\r\nN:{text};;;;\r\nEND:VCARD\r\n".encode()


def uid_of(body: bytes) -> str:
    return body.decode().split("UID:")[1].split("\r\n")[0]


class LibraryMachine(RuleBasedStateMachine):
    """The library on real files, beside `model`: collection name → item name → bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="keepwell-machine-"))
        self.clock = FakeClock(step_seconds=1.0)
        self.entropy = SeededEntropy()
        self.open()
        self.account = self.keepwell.accounts.add("anna")
        self.actor = Actor(self.account, "anna", "test")
        self.model: dict[str, Items] = {"contacts": {}}
        # Every moment seen so far: (collection id, sequence) → its items then.
        self.moments: dict[tuple[int, int], Items] = {}
        # What the account held after each sequence, for rewinding.
        self.past: dict[int, dict[str, Items]] = {}

    def open(self) -> None:
        self.context = open_keepwell(self.folder, clock=self.clock, entropy=self.entropy)
        self.keepwell = self.context.__enter__()
        self.library = self.keepwell.library

    def teardown(self) -> None:
        self.context.__exit__(None, None, None)
        shutil.rmtree(self.folder)

    def place(self, collection: str, name: str = "") -> Place:
        return Place(self.account, Home.CONTACTS, collection, name)

    def uid_taken(self, collection: str, name: str, uid: str) -> bool:
        return any(other != name and uid_of(body) == uid for other, body in self.model[collection].items())

    @initialize()
    def begin(self) -> None:
        self.remember()

    @rule(collection=st.sampled_from(COLLECTIONS))
    def make(self, collection: str) -> None:
        ticket = self.library.make_collection(self.actor, self.place(collection), Kind.CONTACTS, {})
        if collection in self.model:
            self.refused(ticket, AlreadyThere)
        else:
            assert ticket.result().count == 0
            self.model[collection] = {}

    @rule(collection=st.sampled_from(COLLECTIONS))
    def drop(self, collection: str) -> None:
        ticket = self.library.drop_collection(self.actor, self.place(collection))
        if collection in self.model:
            ticket.result()
            del self.model[collection]
        else:
            self.refused(ticket, NotThere)

    @rule(
        collection=st.sampled_from(["contacts", *COLLECTIONS]),
        name=st.sampled_from(NAMES),
        uid=st.sampled_from(UIDS),
        text=st.sampled_from(["x", "y"]),
        condition=st.sampled_from(["none", "new", "current", "wrong"]),
    )
    def put(self, collection: str, name: str, uid: str, text: str, condition: str) -> None:
        body = card(uid, text)
        current = self.model.get(collection, {}).get(name)
        tag = etag_of(digest_of(current)) if current is not None else '"nothing"'
        conditions = {
            "none": Conditions(),
            "new": Conditions(if_none_match=("*",)),
            "current": Conditions(if_match=(tag,)),
            "wrong": Conditions(if_match=('"wrong"',)),
        }[condition]
        holds = {"none": True, "new": current is None, "current": current is not None, "wrong": False}[condition]
        ticket = self.library.put(self.actor, self.place(collection, name), body, conditions=conditions)
        if collection not in self.model:
            self.refused(ticket, NotThere)
        elif not holds:
            self.refused(ticket, PreconditionFailed)
        elif self.uid_taken(collection, name, uid):
            self.refused(ticket, UidConflict)
        else:
            assert ticket.result().created == (current is None)
            self.model[collection][name] = body

    @rule(collection=st.sampled_from(["contacts", *COLLECTIONS]), name=st.sampled_from(NAMES))
    def remove(self, collection: str, name: str) -> None:
        ticket = self.library.remove(self.actor, self.place(collection, name))
        if name in self.model.get(collection, {}):
            ticket.result()
            del self.model[collection][name]
        else:
            self.refused(ticket, NotThere)

    @rule(
        source=st.tuples(st.sampled_from(["contacts", *COLLECTIONS]), st.sampled_from(NAMES)),
        into=st.tuples(st.sampled_from(["contacts", *COLLECTIONS]), st.sampled_from(NAMES)),
        overwrite=st.booleans(),
        moving=st.booleans(),
    )
    def transfer(self, source: tuple[str, str], into: tuple[str, str], overwrite: bool, moving: bool) -> None:
        act = self.library.move if moving else self.library.copy
        if source == into:
            try:
                act(self.actor, self.place(*source), self.place(*into), overwrite=overwrite)
            except Forbidden:
                return
            raise AssertionError("copied onto itself")
        ticket = act(self.actor, self.place(*source), self.place(*into), overwrite=overwrite)
        body = self.model.get(source[0], {}).get(source[1])
        if body is None or into[0] not in self.model:
            self.refused(ticket, NotThere)
        elif into[1] in self.model[into[0]] and not overwrite:
            self.refused(ticket, AlreadyThere)
        elif self.conflicts(source, into, body, moving):
            self.refused(ticket, UidConflict)
        else:
            ticket.result()
            if moving:
                del self.model[source[0]][source[1]]
            self.model[into[0]][into[1]] = body

    def conflicts(self, source: tuple[str, str], target: tuple[str, str], body: bytes, moving: bool) -> bool:
        others = {
            name: uid_of(other)
            for name, other in self.model[target[0]].items()
            if name != target[1] and not (moving and (target[0], name) == source)
        }
        return uid_of(body) in others.values()

    @precondition(lambda self: len(self.past) > 1)
    @rule(collection=st.sampled_from(["contacts", *COLLECTIONS]), data=st.data())
    def rewind(self, collection: str, data: st.DataObject) -> None:
        sequence = data.draw(st.sampled_from(sorted(self.past)))
        then = self.past[sequence].get(collection)
        self.rewind_to(collection, sequence, then)

    def rewind_to(self, collection: str, sequence: int, then: Items | None) -> None:
        if then is None and collection not in self.model:
            return  # nothing then, nothing now
        rewinder = Rewinder(self.keepwell.store, self.keepwell.writers)
        plan = rewinder.preview(self.actor, (Home.CONTACTS, collection), sequence)
        rewinder.rewind(self.actor, plan).result()
        if then is None:
            del self.model[collection]
        else:
            self.model[collection] = dict(then)

    @rule()
    def restart(self) -> None:
        self.context.__exit__(None, None, None)
        self.open()

    def refused(self, ticket: object, kind: type[Exception]) -> None:
        try:
            ticket.result()  # type: ignore[attr-defined]
        except kind:
            return
        raise AssertionError(f"expected {kind.__name__}")

    def remember(self) -> None:
        with self.library.reading(self.account) as snapshot:
            head = snapshot.head().sequence
            self.past[head] = {name: dict(items) for name, items in self.model.items()}
            for collection in snapshot.collections(Home.CONTACTS):
                self.moments[collection.id, head] = dict(self.model[collection.name])

    @invariant()
    def everything_is_the_same(self) -> None:
        with self.library.reading(self.account) as snapshot:
            found: dict[str, Items] = {}
            entry = LedgerEntry(Kind.CONTACTS)
            for collection in snapshot.collections(Home.CONTACTS):
                items = {item.name: body for item, body in snapshot.items_with_bodies(collection.id)}
                found[collection.name] = items
                assert collection.count == len(items)
                assert collection.octets == sum(len(body) for body in items.values())
                for name, body in items.items():
                    entry = entry.with_item(collection.name, name, digest_of(body))
            assert found == self.model
            ledger = snapshot.ledger()[Kind.CONTACTS]
            assert (ledger.count, ledger.set_hash) == (entry.count, entry.set_hash)
            before = None
            for record in snapshot.records():
                check_link(before, record)
                before = record
        self.remember()

    @invariant()
    def sync_answers_lead_from_then_to_now(self) -> None:
        with self.library.reading(self.account) as snapshot:
            now = {one.id: one.name for one in snapshot.collections(Home.CONTACTS)}
            for (number, sequence), then in self.moments.items():
                if number not in now:
                    continue
                client = dict(then)
                for change in snapshot.changes(number, sequence, 1000):
                    if change.item is None:
                        del client[change.name]
                    else:
                        found = snapshot.item_with_body(number, change.name)
                        assert found is not None
                        client[change.name] = found[1]
                assert client == self.model[now[number]]


LibraryMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestLibraryMachine = LibraryMachine.TestCase
