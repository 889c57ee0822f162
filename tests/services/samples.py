"""Small items, and a data folder with one account, for tests of services over the real store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from keepwell.app.wiring import Keepwell, open_keepwell
from keepwell.model.ledger import LedgerEntry
from keepwell.model.names import AccountId, Home, Kind
from keepwell.services.accounts import OPERATOR
from keepwell.services.actor import Actor
from keepwell.services.place import Place
from tests.support.clock import FakeClock, SeededEntropy


def card(uid: str, name: str = "Bob Berg", ending: str = "\r\n") -> bytes:
    lines = ["BEGIN:VCARD", "VERSION:3.0", f"UID:{uid}", f"FN:{name}", "N:Berg;Bob;;;", "END:VCARD", ""]
    return ending.join(lines).encode()


def calendar(*components: bytes) -> bytes:
    head = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Test//EN\r\n"
    return head + b"".join(components) + b"END:VCALENDAR\r\n"


def component(name: str, uid: str, summary: str = "Lunch") -> bytes:
    lines = [f"BEGIN:{name}", f"UID:{uid}", "DTSTAMP:20261123T100000Z", "DTSTART:20261124T120000Z"]
    lines += [f"SUMMARY:{summary}", f"END:{name}", ""]
    return "\r\n".join(lines).encode()


def event(uid: str, summary: str = "Lunch") -> bytes:
    return calendar(component("VEVENT", uid, summary))


def todo(uid: str, summary: str = "Buy milk") -> bytes:
    return calendar(component("VTODO", uid, summary))


def journal(uid: str, summary: str = "Diary") -> bytes:
    return calendar(component("VJOURNAL", uid, summary))


@dataclass(frozen=True)
class Desk:
    """An opened data folder and an account in it."""

    keepwell: Keepwell
    clock: FakeClock
    actor: Actor

    @property
    def account(self) -> AccountId:
        return self.actor.account

    def place(self, collection: str, name: str = "", home: Home = Home.CONTACTS) -> Place:
        return Place(self.account, home, collection, name)

    def put(self, collection: str, name: str, body: bytes, home: Home = Home.CONTACTS) -> None:
        self.keepwell.library.put(self.actor, self.place(collection, name, home), body).result()

    def remove(self, collection: str, name: str, home: Home = Home.CONTACTS) -> None:
        self.keepwell.library.remove(self.actor, self.place(collection, name, home)).result()

    def make(self, collection: str, kind: Kind = Kind.CONTACTS, home: Home = Home.CONTACTS, **properties: str) -> None:
        self.keepwell.library.make_collection(self.actor, self.place(collection, "", home), kind, properties).result()

    def drop(self, collection: str, home: Home = Home.CONTACTS) -> None:
        self.keepwell.library.drop_collection(self.actor, self.place(collection, "", home)).result()

    def bodies(self, collection: str, home: Home = Home.CONTACTS) -> dict[str, bytes]:
        with self.keepwell.library.reading(self.account) as snapshot:
            found = snapshot.collection(home, collection)
            assert found is not None, f"there is no {home}/{collection}"
            return {item.name: body for item, body in snapshot.items_with_bodies(found.id)}

    def collections(self, home: Home) -> list[str]:
        with self.keepwell.library.reading(self.account) as snapshot:
            return [one.name for one in snapshot.collections(home)]

    def ledger(self) -> dict[Kind, tuple[int, int]]:
        """Count and set-hash of each kind that has items."""
        with self.keepwell.library.reading(self.account) as snapshot:
            return {kind: _content(one) for kind, one in snapshot.ledger().items() if one.count}

    def head(self) -> int:
        with self.keepwell.library.reading(self.account) as snapshot:
            return snapshot.head().sequence

    def beside(self, login: str) -> Desk:
        """Another account of the same data folder."""
        account = self.keepwell.accounts.add(login)
        return Desk(self.keepwell, self.clock, Actor(account, login, OPERATOR))


def _content(entry: LedgerEntry) -> tuple[int, int]:
    return entry.count, entry.set_hash


@contextmanager
def desk(folder: Path, login: str = "anna") -> Iterator[Desk]:
    clock = FakeClock(step_seconds=1.0)
    with open_keepwell(folder / "data", clock=clock, entropy=SeededEntropy()) as keepwell:
        account = keepwell.accounts.add(login)
        yield Desk(keepwell, clock, Actor(account, login, OPERATOR))
