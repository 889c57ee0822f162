"""A data folder and its vault for tests of salvage: what was in them, how they are damaged, what is left for certain.

What is left is worked out without the code that is tested: a row of an account's file is there when none of its bytes
was changed (`tests.storage.damaged`), a pack's frame when none of its bytes was.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from backports import zstd

from keepwell.model.names import HOME_OF, AccountId, Digest, Home, Kind
from keepwell.model.record import Op, Record, digest_of
from keepwell.services.accounts import Accounts, ensure_system_account
from keepwell.services.directory import Directory
from keepwell.storage.contract import Entry, Snapshot, Transaction
from keepwell.storage.sqlite import SqliteStore
from keepwell.storage.writers import Writers
from keepwell.vault.documents import EpochDocument, VaultDocument, render_document
from keepwell.vault.layout import VAULT_DOCUMENT
from keepwell.vault.lines import parse_lines
from keepwell.vault.media import open_medium
from keepwell.vault.pack import read_index
from keepwell.vault.sealing import PlainSeal, Seal
from keepwell.vault.ship import ship
from keepwell.vault.vault import Vault, open_vault
from tests.storage.damaged import AccountFile, certain_bodies, certain_records, pages_of
from tests.support.clock import FakeClock, SeededEntropy

LOGINS = ("anna", "bert")
BLOB_OCTETS = 140_000
Items = dict[tuple[Home, str, str], bytes]


@dataclass
class Truth:
    """One account as it was."""

    records: list[Record]
    items: Items
    bodies: dict[Digest, bytes]


@dataclass
class World:
    """A data folder and a vault beside it, closed, and what they were."""

    folder: Path
    accounts: dict[str, AccountId] = field(default_factory=dict)
    truths: dict[AccountId, Truth] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def vault(self) -> Path:
        return self.folder / "vault"

    def file(self, account: AccountId) -> Path:
        [path] = self.data.glob(f"accounts/??/{account}.db")
        return path

    def packs(self) -> list[Path]:
        return sorted(self.vault.glob("packs/*"))


def make_world(folder: Path, *, seal: Seal | None = None, updates: bool = False, shipments: int = 5) -> World:
    """Two people with cards, photos and a calendar each, shipped to a vault in several packs."""
    world, clock = World(folder), FakeClock(step_seconds=1)
    world.vault.mkdir(parents=True)
    with closing(SqliteStore(world.data, clock, SeededEntropy())) as store, closing(Writers(store)) as writers:
        ensure_system_account(store)
        accounts = Accounts(store, writers, Directory(store), clock, SeededEntropy(2))
        for login in LOGINS:
            world.accounts[login] = accounts.add(login)
            accounts.add_password(login, "phone")
        with closing(_new_vault(world, clock, seal or PlainSeal())) as vault:
            for number in range(shipments):
                for login in LOGINS:
                    _live(store, world.accounts[login], number, login, updates=updates)
                ship(vault, store, store.accounts())
            vault.put_manifest()
        for account in store.accounts():
            with store.account(account).reading() as snapshot:
                world.truths[account] = truth_of(snapshot)
    return world


def truth_of(snapshot: Snapshot) -> Truth:
    """Everything of an account."""
    carried = list(snapshot.carried())
    bodies = {digest_of(one.body): one.body for one in carried if one.body is not None}
    return Truth([one.record for one in carried], items_of(snapshot), bodies)


def items_of(snapshot: Snapshot) -> Items:
    """Every item and its bytes."""
    return {
        (HOME_OF[collection.kind], collection.name, item.name): body
        for collection in snapshot.collections()
        for item, body in snapshot.items_with_bodies(collection.id)
    }


def _new_vault(world: World, clock: FakeClock, seal: Seal) -> Vault:
    medium = open_medium(str(world.vault), name="test")
    document = VaultDocument(keepwell_vault=1, id="v_test", made_at="2026-11-23T08:00:00.000000Z")
    medium.create(VAULT_DOCUMENT, render_document(document))
    vault = open_vault("test", medium, lambda _document: seal, clock)
    vault.claim(EpochDocument(epoch=0, server="test", at="2026-11-23T08:00:00.000000Z"))
    return vault


def _live(store: SqliteStore, account: AccountId, number: int, login: str, *, updates: bool) -> None:
    draw = random.Random(f"{login}{number}")

    def work(transaction: Transaction) -> None:
        for one in range(12):
            _put(transaction, Kind.CONTACTS, "contacts", f"card-{number}-{one}.vcf", _card(draw))
        _put(transaction, Kind.PHOTOS, "photos", f"photo-{number}.jpg", draw.randbytes(BLOB_OCTETS))
        _put(transaction, Kind.CALENDAR, "calendar", f"event-{number}.ics", draw.randbytes(3000).hex().encode())
        if updates and number:
            for one in range(4):
                _put(transaction, Kind.CONTACTS, "contacts", f"card-{number - 1}-{one}.vcf", _card(draw))
            for one in range(4, 7):
                name = f"card-{number - 1}-{one}.vcf"
                transaction.append(Entry(Op.REMOVE, "phone", Kind.CONTACTS, "contacts", name))

    [verdict] = store.account(account).transact([work])
    if isinstance(verdict, BaseException):
        raise verdict


def _card(draw: random.Random) -> bytes:
    number = draw.randrange(10**9)
    note = draw.randbytes(draw.choice([20, 100, 400])).hex()
    lines = ("BEGIN:VCARD", "VERSION:3.0", f"UID:{number}", f"FN:P{number}", "N:P;;;;", f"NOTE:{note}", "END:VCARD", "")
    return "\r\n".join(lines).encode()


def _put(transaction: Transaction, kind: Kind, collection: str, name: str, body: bytes) -> None:
    entry = Entry(Op.PUT, "phone", kind, collection, name, name, "", digest_of(body), len(body))
    transaction.append(entry, body)


@dataclass
class Left:
    """What is left for certain: records by their hashes, and bytes by their digests."""

    records: set[str] = field(default_factory=set)
    bodies: set[Digest] = field(default_factory=set)


@dataclass
class Pristine:
    """The stored bytes as they were before any damage, by path."""

    octets: dict[Path, bytes]

    @classmethod
    def of(cls, world: World) -> Pristine:
        paths = (path for top in (world.data, world.vault) for path in top.rglob("*") if path.is_file())
        return cls({path: path.read_bytes() for path in paths})


def left_for_certain(world: World, pristine: Pristine) -> Left:
    """What the fragments as they lie there now still hold, worked out from which of their bytes were changed."""
    left = Left()
    for path, before in pristine.octets.items():
        now = path.read_bytes() if path.exists() else b""
        if path.suffix == ".db" and path.name.startswith("a_"):
            _add_account_file(world, path, before, now, left)
        elif path.parent.name == "packs":
            for lines in _untouched_frames(before, now):
                _add_lines(lines, left)
        elif path.parent.parent.name == "blobs" and before == now:
            left.bodies.add(Digest(path.name))
    return left


def _add_account_file(world: World, path: Path, before: bytes, now: bytes, left: Left) -> None:
    truth = world.truths[AccountId(path.stem)]
    small = {digest: body for digest, body in truth.bodies.items() if len(body) < 128 * 1024}
    pages = {digest: pages_of(before, digest, body) for digest, body in small.items()}
    file = AccountFile(before, truth.records, small, pages)
    left.records |= certain_records(file, now)
    left.bodies |= certain_bodies(file, now)


def _untouched_frames(before: bytes, now: bytes) -> Iterator[bytes]:
    index = read_index(before)
    assert index is not None
    for frame in index.frames:
        end = frame.offset + frame.length
        if before[frame.offset : end] == now[frame.offset : end]:
            yield zstd.decompress(before[frame.offset : end])


def _add_lines(lines: bytes, left: Left) -> None:
    for line in parse_lines(lines):
        left.records.add(line.record.hash)
        if line.body is not None and line.record.facts.digest is not None:
            left.bodies.add(line.record.facts.digest)


def damage(paths: Iterable[Path], seed: int, *, flips: int = 0, zeroes: int = 0, cut: bool = False) -> None:
    """Flip bits, fill stretches of 4,096 bytes with zeros, or cut the files off, at random."""
    draw = random.Random(seed)
    for path in paths:
        octets = bytearray(path.read_bytes())
        for _ in range(flips):
            octets[draw.randrange(len(octets))] ^= 1 << draw.randrange(8)
        for _ in range(zeroes):
            start = draw.randrange(0, len(octets), 4096)
            octets[start : start + 4096] = bytes(len(octets[start : start + 4096]))
        path.write_bytes(octets[: draw.randrange(len(octets))] if cut else octets)
