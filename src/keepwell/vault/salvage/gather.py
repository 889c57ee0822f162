"""Gathering: every object of every place is looked at once, and what proves itself in it is put on the shelf.

What an object is, its name says, or else its first bytes (a disk that was repaired has files without names). A data
folder, a vault, an export and a heap of files are all taken alike, also mixed in one folder. What is damaged, encrypted
to other keys or unreadable is told, and the next object is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final

from pyrage.x25519 import Identity

from keepwell.model.errors import BadRequest, Damaged, KeepwellError
from keepwell.model.names import AccountId, Digest, Lineage, parse_account_id
from keepwell.model.record import Record, digest_of
from keepwell.storage.sqlite_carving import Pages
from keepwell.storage.sqlite_fragments import (
    accounts_named,
    bodies,
    collections_said,
    erased_said,
    items_said,
    ledgers_said,
    proven_records,
)
from keepwell.storage.sqlite_transaction import BLOB_OCTETS_MIN
from keepwell.vault.documents import Manifest, parse_manifest
from keepwell.vault.keys import DRILL_KEY_FILE, parse_secret_key
from keepwell.vault.layout import README, SEALED_SUFFIX, VAULT_DOCUMENT
from keepwell.vault.loss import ObjectFault
from keepwell.vault.medium import ObjectInfo
from keepwell.vault.salvage.pieces import (
    AGE_MAGIC,
    ZSTD_MAGIC,
    Piece,
    heads_said,
    index_said,
    opened_tail,
    pieces_of,
    unpacked_frames,
    unsealed,
)
from keepwell.vault.salvage.places import Place
from keepwell.vault.salvage.shelf import LooseFile, Shelf

_SQLITE_MAGIC: Final = b"SQLite format 3\0"
_OURS: Final = re.compile(
    r"(?:.*/)?(?:vault\.json|serve\.lock|access\.db(?:-wal)?|loss-report\.json|restore\.json|epochs/\d{10}\.json"
    r"|vaults/(?:[^/]+/)?[^/]+|[^/]+-shm)"
)
"""What data folders and vaults have besides data."""
_NOT_OPENED: Final = "nothing in it can be opened: it is damaged, or encrypted to other keys (--key FILE)"
_hex: Final = re.compile(r"[0-9a-f]{64}")
_account_file: Final = re.compile(r"(?:\.tmp-)?(a_(?:[a-z2-7]{16}|system))\b.*?\.db")

Progress = Callable[[int, int], None]
"""Told (bytes looked at, bytes in all)."""


class Sort(StrEnum):
    """What an object of a place is."""

    ACCOUNT_FILE = "account files"
    WAL = "logs of account files"
    PACK = "packs"
    TAIL = "tails"
    MANIFEST = "manifests"
    BLOB = "blobs"
    KEY = "keys"
    OTHER = "other files"
    OURS = "files without data"


def sort_of(name: str, beginning: bytes = b"") -> Sort:
    """What an object is, by its name, or else by its first bytes; pure."""
    last = PurePosixPath(name).name
    stem = last.removesuffix(".age")
    if last == DRILL_KEY_FILE:
        return Sort.KEY
    if _OURS.fullmatch(name):
        return Sort.OURS
    if _account_file.fullmatch(last):
        return Sort.ACCOUNT_FILE
    if last.endswith(".db-wal"):
        return Sort.WAL
    if stem.endswith(".jsonl.zst"):
        return Sort.PACK
    if last.endswith(".json.zst"):
        return Sort.MANIFEST
    if last.endswith(".jsonl"):
        return Sort.TAIL
    if _hex.fullmatch(stem):
        return Sort.BLOB
    if beginning.startswith(_SQLITE_MAGIC):
        return Sort.ACCOUNT_FILE
    return Sort.PACK if beginning.startswith((ZSTD_MAGIC, AGE_MAGIC)) else Sort.OTHER


@dataclass(slots=True)
class PlaceFound:
    """What one place has."""

    title: str
    objects: dict[Sort, int] = field(default_factory=dict)
    records: int = 0
    """That proved themselves, those that other places have too included."""
    accounts: set[AccountId] = field(default_factory=set)
    faults: list[ObjectFault] = field(default_factory=list)


class Gatherer:
    """Looks at places, once."""

    def __init__(self, places: Sequence[Place], keys: Sequence[Identity]) -> None:
        """At these places; with these secret keys, and those of drills that lie there. Raises StorageFault."""
        self._places = places
        self._listed = [list(place.objects()) for place in places]
        self._keys = list(keys)
        for place, objects in zip(places, self._listed, strict=True):
            self._keys += _keys_in(place, objects)

    def gather(self, shelf: Shelf, progress: Progress = lambda _done, _all: None) -> list[PlaceFound]:
        """Put everything that proves itself on the shelf; what each place has."""
        total = sum(info.size for objects in self._listed for info in objects)
        done = 0
        found: list[PlaceFound] = []
        for number, (place, objects) in enumerate(zip(self._places, self._listed, strict=True)):
            names = frozenset(info.name for info in objects)
            looking = _Looking(place, number, self._keys, shelf, names)
            for size in looking.look_at_all(objects):
                done += size
                progress(done, total)
            found.append(looking.found)
        return found

    def read_at(self, place: int, name: str) -> bytes:
        """The bytes of a blob or file, opened when they are encrypted. Raises NotThere, StorageFault."""
        octets, _missing = self._places[place].read(name)
        return unsealed(octets, self._keys) if name.endswith(SEALED_SUFFIX) else octets


class _Looking:
    """Looks at the objects of one place."""

    def __init__(
        self, place: Place, number: int, keys: Sequence[Identity], shelf: Shelf, names: frozenset[str]
    ) -> None:
        self.found = PlaceFound(place.title)
        self._place = place
        self._number = number
        self._keys = keys
        self._shelf = shelf
        self._names = names
        self._manifest: Manifest | None = None

    def look_at_all(self, objects: Sequence[ObjectInfo]) -> Iterator[int]:
        """At every object; gives the size of each when it is done. Packs that the newest manifest misses are told."""
        for info in objects:
            self.look(info.name)
            yield info.size
        there = {PurePosixPath(name).name for name in self._names}
        for pack in sorted(self._manifest.packs if self._manifest else ()):
            if PurePosixPath(pack).name not in there:
                self._fault(pack, "it is missing")

    def look(self, name: str) -> None:
        """At one object; whatever is wrong with it is noted."""
        octets = self._read(name)
        if octets is None:
            return
        sort = Sort.OURS if self._is_readme(name) else sort_of(name, octets[: len(AGE_MAGIC)])
        self.found.objects[sort] = self.found.objects.get(sort, 0) + 1
        match sort:
            case Sort.ACCOUNT_FILE:
                wal = f"{name}-wal"
                self._look_at_account(name, octets, (self._read(wal) or b"") if wal in self._names else b"")
            case Sort.WAL if name.removesuffix("-wal") not in self._names:
                self._look_at_account(name, b"", octets)
            case Sort.PACK:
                self._look_at_pack(name, octets)
            case Sort.TAIL:
                self._look_at_tail(name, octets)
            case Sort.MANIFEST:
                self._look_at_manifest(name, octets)
            case Sort.BLOB:
                self._look_at_blob(name, octets)
            case Sort.OTHER:
                self._shelf.add_file(LooseFile(self._number, name, digest_of(octets), len(octets)))
            case _:
                pass  # keys were read before, a log with its file; nothing else has data

    def _is_readme(self, name: str) -> bool:
        """Whether it is the one that lies in every vault."""
        path = PurePosixPath(name)
        return path.name == README and str(path.with_name(VAULT_DOCUMENT)) in self._names

    def _read(self, name: str) -> bytes | None:
        try:
            octets, missing = self._place.read(name)
        except KeepwellError as error:
            self._fault(name, error.message)
            return None
        if missing:
            self._fault(name, f"{missing} of {len(octets)} bytes cannot be read")
        return octets

    def _look_at_account(self, name: str, main: bytes, wal: bytes) -> None:
        pages = Pages(main, wal)
        accounts = list(dict.fromkeys([*_accounts_in_name(name), *accounts_named(pages)]))
        records = list(proven_records(pages, accounts))
        there = {self._shelf.add_body(body) for body in bodies(pages)}
        self._take(records)
        if len(accounts) == 1:
            self._hear_account(accounts[0], pages, records)
        self._tell_account(name, records, there | set(erased_said(pages)))

    def _hear_account(self, account: AccountId, pages: Pages, records: Sequence[Record]) -> None:
        """What the projections say about records that are gone; in the lineage of the last record that is not."""
        proven = {one.facts.seq for one in records}
        lineage = max(records, key=lambda one: one.facts.seq).facts.lineage if records else Lineage("")
        for digest in erased_said(pages):
            self._shelf.say_erased(account, digest)
        for entry in ledgers_said(pages):
            self._shelf.say_ledger(account, lineage, entry.kind, (entry.seq, entry.count, entry.set_hash_text))
        for collection in collections_said(pages):
            if collection.id not in proven:
                self._shelf.say_collection(account, lineage, collection)
        for item in items_said(pages):
            if item.sequence not in proven:
                self._shelf.say_item(account, lineage, item)

    def _tell_account(self, name: str, records: Sequence[Record], there: set[Digest]) -> None:
        top = max((one.facts.seq for one in records), default=0)
        gone = top - len({one.facts.seq for one in records})
        wanting = (
            {one.facts.digest for one in records if 0 <= (one.facts.size or -1) < BLOB_OCTETS_MIN} - there - {None}
        )
        if gone or wanting or not records:
            self._fault(name, f"of records 1 to {top} {gone} are gone, and the bytes of {len(wanting)} versions")

    def _look_at_pack(self, name: str, stored: bytes) -> None:
        pieces = [one for lines in unpacked_frames(stored, self._keys) for one in pieces_of(lines)]
        self._take_pieces(pieces)
        index = index_said(stored)
        for frame in index.frames if index else ():
            self._shelf.say_head(frame.account, frame.lineage, frame.last, frame.head)
            for kind, note in frame.ledger.items():
                self._shelf.say_ledger(frame.account, frame.lineage, kind, note)
        if not _hash_fits(name, stored):
            self._fault(name, f"it is damaged; {len(pieces)} lines of it prove themselves")
        elif not pieces:
            self._fault(name, _NOT_OPENED)

    def _look_at_tail(self, name: str, stored: bytes) -> None:
        pieces = [one for lines in opened_tail(stored, self._keys) for one in pieces_of(lines)]
        self._take_pieces(pieces)
        for heads in heads_said(stored):
            for account, (sequence, hashed) in heads.items():
                self._shelf.say_head(account, Lineage(""), sequence, hashed)
        if stored and not pieces:
            self._fault(name, _NOT_OPENED)

    def _look_at_manifest(self, name: str, stored: bytes) -> None:
        if not _hash_fits(name, stored):
            self._fault(name, "it is damaged")  # nothing proves a word of it, and what it says is told as lost
            return
        try:
            manifest = parse_manifest(stored)
        except Damaged as error:
            self._fault(name, error.message)
            return
        if self._manifest is None or self._manifest.number < manifest.number:
            self._manifest = manifest
        for account, note in manifest.accounts.items():
            self._shelf.say_head(account, note.lineage, note.seq, note.head)
            for kind, kind_note in note.ledger.items():
                self._shelf.say_ledger(account, note.lineage, kind, kind_note)

    def _look_at_blob(self, name: str, stored: bytes) -> None:
        body = unsealed(stored, self._keys) if name.endswith(SEALED_SUFFIX) else stored
        if not _hash_fits(name, stored):
            self._fault(name, "it is damaged")
        elif name.endswith(SEALED_SUFFIX) and not body:
            self._fault(name, _NOT_OPENED)
        else:
            self._shelf.add_body_at(digest_of(body), self._number, name)

    def _take(self, records: Sequence[Record]) -> None:
        for record in records:
            self._shelf.add_record(record)
            self.found.accounts.add(record.facts.account)
        self.found.records += len(records)

    def _take_pieces(self, pieces: Sequence[Piece]) -> None:
        self._take([one.record for one in pieces if one.record is not None])
        for piece in pieces:
            if piece.body is not None:
                self._shelf.add_body(piece.body)

    def _fault(self, name: str, message: str) -> None:
        self.found.faults.append(ObjectFault(self.found.title, name, message))


def _keys_in(place: Place, objects: Sequence[ObjectInfo]) -> Iterator[Identity]:
    for info in objects:
        if sort_of(info.name) is not Sort.KEY:
            continue
        for line in place.read(info.name)[0].decode(errors="replace").splitlines():
            with suppress(BadRequest):  # a damaged key opens nothing
                if line.strip() and not line.startswith("#"):
                    yield parse_secret_key(line)


def _accounts_in_name(name: str) -> Iterator[AccountId]:
    match = _account_file.match(PurePosixPath(name).name)
    if match is not None:
        with suppress(BadRequest):
            yield parse_account_id(match[1])


def _hash_fits(name: str, stored: bytes) -> bool:
    """Whether these are the bytes that the name promises; a file that lost its name promises nothing."""
    promised = _hex.search(PurePosixPath(name).name)
    return promised is None or promised[0] == digest_of(stored)
