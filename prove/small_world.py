"""A small data folder with its confirming vault, in which every byte can be broken: made once, then kept as bytes.

It is made by the product itself, in this process, with a clock and randomness of the seed, and left as `kill -9` leaves
it: one account has a log of SQLite beside its file, the vault has a tail. There is every sort of object: several packs,
merged ones, manifests, epochs, a tail, a blob, the documents; in the store every kind, with changed, removed, moved and
renamed things in the history. `truth` is what its clients put there, noted beside the product, never read back from it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from keepwell.app.wiring import Keepwell, open_keepwell
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Digest, Home, Kind
from keepwell.model.record import Record
from keepwell.services.accounts import OPERATOR
from keepwell.services.actor import Actor
from keepwell.services.check import Checker
from keepwell.services.place import Place
from keepwell.services.vaults import Vaults
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.layout import epoch_name
from keepwell.vault.merge import Merger
from keepwell.vault.ship import ship
from prove.claims import digest_of

VAULT_NAME: Final = "other"
LOGINS: Final = ("ada", "bob")
BLOB_OCTETS: Final = 128 * 1024
"""The fewest that are a blob of their own."""
EPOCH_HELD: Final = f"vaults/{VAULT_NAME}/epoch.json"
SPACE_OCTETS: Final = 2000
"""Space taken beforehand at the end of the tail."""
EACH: Final = 6
"""Items of each kind that the first account has at the end, at least; the second has a third of them."""

Spot = tuple[Home, str, str]
"""Home, collection and name of an item."""
Items = dict[Spot, bytes]
Tree = dict[str, bytes]
"""Files by their path, with what is in them."""


class SeedClock:
    """A clock that goes on by a second with every question."""

    def __init__(self) -> None:
        """At a fixed moment."""
        self._moment = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)

    def now(self) -> datetime:
        """The present moment."""
        self._moment += timedelta(seconds=1)
        return self._moment

    def monotonic(self) -> float:
        """Seconds since some fixed point."""
        return self.now().timestamp()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._moment += timedelta(seconds=seconds)


class SeedEntropy:
    """Randomness that is the same for the same seed."""

    def __init__(self, seed: str) -> None:
        """By this seed."""
        self._random = random.Random(seed)

    def octets(self, count: int) -> bytes:
        """`count` bytes."""
        return self._random.randbytes(count)


@dataclass(frozen=True, slots=True)
class Journal:
    """One account's records, and the digests of every bytes that it ever had."""

    records: tuple[Record, ...]
    bodies: Mapping[Digest, bytes]


@dataclass(frozen=True)
class SmallWorld:
    """What was made, as bytes; `place` puts it into folders again. `data` and `vault` are where it was made."""

    data: Path
    vault: Path
    accounts: Mapping[str, AccountId]
    truth: Mapping[AccountId, Items]
    """What each account has at the end."""
    journals: Mapping[AccountId, Journal]
    data_files: Mapping[str, bytes]
    vault_files: Mapping[str, bytes]

    def write(self, *, data: bool = True, vault: bool = True) -> None:
        """Put the files where they were, and take away whatever else is there."""
        if data:
            write_tree(self.data, self.data_files)
        if vault:
            write_tree(self.vault, self.vault_files)

    def file_of(self, account: AccountId) -> str:
        """The path of an account's file in the data folder."""
        return next(name for name in self.data_files if name.endswith(f"{account}.db"))


@dataclass
class _Person:
    """One account while the world is made."""

    keepwell: Keepwell
    actor: Actor
    random: random.Random
    items: Items = field(default_factory=dict)

    def put(self, home: Home, collection: str, name: str, body: bytes) -> None:
        self.keepwell.library.put(self.actor, self._place(home, collection, name), body).result()
        self.items[home, collection, name] = body

    def remove(self, home: Home, collection: str, name: str) -> None:
        self.keepwell.library.remove(self.actor, self._place(home, collection, name)).result()
        del self.items[home, collection, name]

    def move(self, home: Home, collection: str, name: str, to: str) -> None:
        source, target = self._place(home, collection, name), self._place(home, collection, to)
        self.keepwell.library.move(self.actor, source, target, overwrite=False).result()
        self.items[home, collection, to] = self.items.pop((home, collection, name))

    def make(self, kind: Kind, home: Home, collection: str) -> None:
        self.keepwell.library.make_collection(self.actor, self._place(home, collection), kind, {}).result()

    def drop(self, home: Home, collection: str) -> None:
        self.keepwell.library.drop_collection(self.actor, self._place(home, collection)).result()
        self.items = {spot: body for spot, body in self.items.items() if spot[:2] != (home, collection)}

    def word(self) -> str:
        return self.random.randbytes(8).hex()

    def _place(self, home: Home, collection: str, name: str = "") -> Place:
        return Place(self.actor.account, home, collection, name)


def make_world(folder: Path, seed: str) -> SmallWorld:
    """Make it in `folder`, which is empty; it stays there."""
    data, vault = folder / "data", folder / "vault"
    clock, entropy = SeedClock(), SeedEntropy(seed)
    people: dict[str, _Person] = {}
    with open_keepwell(data, clock=clock, entropy=entropy) as keepwell:
        keepwell.vaults.add(VAULT_NAME, str(vault), keepwell.store, confirm=True)
        for login in LOGINS:
            actor = Actor(keepwell.accounts.add(login), login, OPERATOR)
            keepwell.accounts.add_password(login, "phone")
            people[login] = _Person(keepwell, actor, random.Random(f"{seed}/{login}"))
        for person in people.values():
            _live(person, 0)
        _fill_vault(keepwell)
        people[LOGINS[1]].put(Home.CONTACTS, "contacts", "merged.vcf", _card("merged", "Merged"))
    _merge(data, clock, entropy)
    with open_keepwell(data, clock=clock, entropy=entropy) as keepwell:
        for person in people.values():
            person.keepwell = keepwell
            _live_on(person)
    accounts = {login: person.actor.account for login, person in people.items()}
    with open_keepwell(data, clock=clock, entropy=entropy) as keepwell:
        for login, person in people.items():
            person.keepwell = keepwell
            if login == LOGINS[0]:
                _live(person, 1)
        Checker(keepwell.store).check(accounts[LOGINS[0]])  # brings the log into the file: what is there is small then
        for number in range(2):
            _put_card(people[LOGINS[0]], EACH + number)
        files = read_tree(data), _with_little_space(read_tree(vault))  # as a kill would leave them
        journals = {account: _journal(keepwell.store, account) for account in (SYSTEM_ACCOUNT, *accounts.values())}
    with closing(Vaults(data, clock, entropy).open_to_write(VAULT_NAME, "server")) as claimed:
        epochs = {epoch_name(claimed.epoch): claimed.medium.read(epoch_name(claimed.epoch))}
        held = {EPOCH_HELD: (data / EPOCH_HELD).read_bytes()}
    truth = {person.actor.account: person.items for person in people.values()}
    # A server that was started after the kill has claimed the vault, and not yet packed what the tail holds.
    world = SmallWorld(data, vault, accounts, truth, journals, files[0] | held, files[1] | epochs)
    world.write()
    return world


def _live(person: _Person, part: int) -> None:
    """Items of every kind: of each kind those whose number leaves `part` of two, or the third account's few."""
    if part == 0 and person.actor.login == LOGINS[0]:
        person.put(Home.PHOTOS, "photos", "sea.jpg", person.random.randbytes(BLOB_OCTETS))
        person.make(Kind.SCORES, Home.SCORES, "chess")
        person.make(Kind.CONTACTS, Home.CONTACTS, "friends")
    count = EACH if person.actor.login == LOGINS[0] else EACH // 3
    for number in range(count):
        if number % 2 == part:
            for put in _PUTS:
                put(person, number)


def _live_on(person: _Person) -> None:
    """Changes, removals, moves, a dropped collection."""
    person.put(Home.CONTACTS, "contacts", "0.vcf", _card("c0", person.word()))
    person.put(Home.CALENDARS, "calendar", "gone.ics", _component("VEVENT", "gone", person.word()))
    person.remove(Home.CALENDARS, "calendar", "gone.ics")
    person.move(Home.CALENDARS, "tasks", "0.ics", "moved.ics")
    if person.actor.login == LOGINS[0]:
        person.put(Home.CONTACTS, "friends", "past.vcf", _card("past", person.word()))
        person.drop(Home.CONTACTS, "friends")
        person.make(Kind.CONTACTS, Home.CONTACTS, "friends")
        person.put(Home.CONTACTS, "friends", "now.vcf", _card("now", person.word()))


def _card(uid: str, word: str) -> bytes:
    return _lines("BEGIN:VCARD", "VERSION:3.0", f"UID:{uid}", f"FN:{word}", f"N:{word};;;;", "END:VCARD")


def _component(name: str, uid: str, word: str) -> bytes:
    inside = [f"BEGIN:{name}", f"UID:{uid}", "DTSTAMP:20260101T000000Z", f"SUMMARY:{word}", f"END:{name}"]
    if name == "VEVENT":
        inside.insert(3, "DTSTART:20260301T100000Z")
    return _lines("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Keepwell//proving//EN", *inside, "END:VCALENDAR")


def _lines(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode()


def _put_card(person: _Person, number: int) -> None:
    person.put(Home.CONTACTS, "contacts", f"{number}.vcf", _card(f"c{number}", person.word()))


def _put_component(person: _Person, number: int, *, collection: str, name: str) -> None:
    body = _component(name, f"{collection}-{number}", person.word())
    person.put(Home.CALENDARS, collection, f"{number}.ics", body)


def _put_photo(person: _Person, number: int) -> None:
    person.put(Home.PHOTOS, "photos", f"{number}.jpg", b"\xff\xd8" + person.random.randbytes(200))


def _put_score(person: _Person, number: int) -> None:
    if person.actor.login == LOGINS[0]:
        person.put(Home.SCORES, "chess", f"{number}.json", b'{"best":"%s"}' % person.word().encode())


_PUTS: Final[Sequence[Callable[[_Person, int], None]]] = (
    _put_card,
    lambda person, number: _put_component(person, number, collection="calendar", name="VEVENT"),
    lambda person, number: _put_component(person, number, collection="tasks", name="VTODO"),
    lambda person, number: _put_component(person, number, collection="notes", name="VJOURNAL"),
    _put_photo,
    _put_score,
)


def _fill_vault(keepwell: Keepwell) -> None:
    """What the keeper of a server does now and then: packs, and a manifest of them."""
    with closing(keepwell.vaults.open_to_write(VAULT_NAME)) as vault:
        ship(vault, keepwell.store, keepwell.store.accounts())
        vault.put_manifest()


def _merge(data: Path, clock: SeedClock, entropy: SeedEntropy) -> None:
    """And merge packs, remove those that were merged when their time has come, publish what there is."""
    with ExitStack() as stack:
        keepwell = stack.enter_context(open_keepwell(data, clock=clock, entropy=entropy))
        vault = stack.enter_context(closing(keepwell.vaults.open_to_write(VAULT_NAME)))
        merger = Merger(vault, clock)
        for _ in range(3):
            merger.tick()
            clock.advance(7200)
        vault.put_manifest()


def _with_little_space(files: Tree) -> Tree:
    """A tail takes a million line feeds of space beforehand; some thousand are as good, and a hundred times faster."""
    cut = {name: octets.rstrip(b"\n") for name, octets in files.items() if name.startswith("tails/")}
    return files | {name: octets + b"\n" * SPACE_OCTETS for name, octets in cut.items()}


def _journal(store: SqliteStore, account: AccountId) -> Journal:
    with store.account(account).reading() as snapshot:
        carried = list(snapshot.carried())
    bodies = {Digest(digest_of(one.body)): one.body for one in carried if one.body is not None}
    return Journal(tuple(one.record for one in carried), bodies)


def read_tree(folder: Path) -> Tree:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def write_tree(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make the folder hold these files and no others; what is as it must be already is left alone."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() and str(path.relative_to(folder)) not in files:
            path.unlink()
    for name, octets in files.items():
        path = folder / name
        if not path.exists() or path.read_bytes() != octets:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(octets)


def flipped(octets: bytes, offset: int, bit: int) -> bytes:
    """The same with one bit flipped."""
    return octets[:offset] + bytes([octets[offset] ^ (1 << bit)]) + octets[offset + 1 :]


def sorts_of(names: Iterator[str]) -> dict[str, list[str]]:
    """Names by their first part: the sorts of objects of a vault."""
    sorts: dict[str, list[str]] = {}
    for name in names:
        sorts.setdefault(name.partition("/")[0], []).append(name)
    return sorts
