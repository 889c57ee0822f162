"""Exporting an account into standard files that other programs open, from one snapshot.

The folder appears whole or not at all: everything is written to a temporary folder beside it, synced, and renamed.
Octets are the client's. Files and folders are their owner's alone, whatever the umask is: they are people's data.
Export then import into a new account gives the same ledger.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keepwell.ground.durable import make_folder, sync_file, sync_folder
from keepwell.model.errors import AlreadyThere, BadRequest
from keepwell.model.names import HOME_OF, AccountId, Digest, Home, Kind
from keepwell.services.transfer_layout import (
    DOCUMENT_NAME,
    FORMAT_VERSION,
    PROPERTY_FILES,
    CollectionDocument,
    ExportDocument,
    HeadDocument,
    ItemDocument,
    LedgerDocument,
    file_names,
    render_document,
)
from keepwell.services.whole import WholeReading
from keepwell.storage.contract import Collection, Item, Snapshot, Store

MEDIA_TYPE_OF: Final = {Home.CONTACTS: "text/vcard", Home.CALENDARS: "text/calendar"}
"""The media type that an item has when nothing else was said."""

SYNCS_AT_ONCE: Final = 32
"""20,000 files took 71 s one after the other and 6 s so, on a busy disk."""

Progress = Callable[[int, int], None]
"""Told (items done, items in all) now and then."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    folder: Path
    counts: dict[Kind, int]
    octets: int
    sequence: int


def export_account(
    store: Store, account: AccountId, login: str, folder: Path, progress: Progress = lambda _done, _all: None
) -> Exported:
    """Write the account into `folder`, which must not be there or be empty.

    Raises AlreadyThere, NotThere, Damaged (bytes that do not prove themselves are never exported), Held (an
    export would look as if it were everything), OSError.
    """
    _require_vacant(folder)
    make_folder(folder.parent)
    temporary = folder.with_name(f".{folder.name[:200]}.tmp-{os.getpid()}")
    temporary.mkdir(mode=0o700)
    try:
        with WholeReading(store.account(account).reading()) as snapshot:
            exported = _Writer(snapshot, temporary, progress).write(login, folder)
        temporary.rename(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(folder.parent)
    return exported


def _require_vacant(folder: Path) -> None:
    hint = "Choose a folder that is not there yet, or an empty one."
    if folder.name in {"", ".."}:
        raise BadRequest(f"{folder} cannot be exported to", hint=hint)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise AlreadyThere(f"{folder} is there already and is no folder", hint=hint)
    if folder.is_dir() and any(folder.iterdir()):
        raise AlreadyThere(f"{folder} is not empty", hint=hint)


class _Writer:
    """Writes one snapshot into one folder, which nobody else sees yet."""

    def __init__(self, snapshot: Snapshot, folder: Path, progress: Progress) -> None:
        self._snapshot = snapshot
        self._folder = folder
        self._progress = progress
        self._collections = [one for one in snapshot.collections() if one.kind is not Kind.SYSTEM]
        self._total = sum(one.count for one in self._collections)
        self._done = 0
        self._octets = 0
        self._written: list[Path] = []

    def write(self, login: str, final: Path) -> Exported:
        documents = [self._write_collection(one) for one in self._collections]
        self._write_file(self._folder / DOCUMENT_NAME, render_document(self._document(login, documents)))
        self._sync()
        counts: dict[Kind, int] = {}
        for one in self._collections:
            counts[one.kind] = counts.get(one.kind, 0) + one.count
        return Exported(final, counts, self._octets, self._snapshot.head().sequence)

    def _document(self, login: str, collections: list[CollectionDocument]) -> ExportDocument:
        head = self._snapshot.head()
        ledger = [
            LedgerDocument(kind=one.kind, count=one.count, set_hash=one.set_hash_text)
            for one in self._snapshot.ledger().values()
        ]
        return ExportDocument(
            keepwell_export=FORMAT_VERSION,
            login=login,
            head=HeadDocument(sequence=head.sequence, hash=Digest(head.hash)),
            ledger=ledger,
            collections=collections,
        )

    def _write_collection(self, collection: Collection) -> CollectionDocument:
        home = HOME_OF[collection.kind]
        folder = self._folder / home / collection.name
        make_folder(folder)
        self._write_properties(home, folder, collection)
        names = file_names(home, [item.name for item in self._snapshot.items(collection.id)])
        files = {}
        for item, body in self._snapshot.items_with_bodies(collection.id):
            self._write_file(folder / names[item.name], body)
            document = _document_of(home, item, names[item.name])
            if document != ItemDocument():
                files[names[item.name]] = document
            self._done += 1
            self._progress(self._done, self._total)
        return CollectionDocument(
            home=home,
            kind=collection.kind,
            name=collection.name,
            count=collection.count,
            properties=collection.properties,
            files=files,
        )

    def _write_properties(self, home: Home, folder: Path, collection: Collection) -> None:
        if home is Home.PHOTOS:
            return  # its files may have any name; `properties.json` has them
        for file, name in PROPERTY_FILES.items():
            if name in collection.properties:
                self._write_file(folder / file, collection.properties[name].encode())

    def _write_file(self, path: Path, octets: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
        self._written.append(path)
        self._octets += len(octets)

    def _sync(self) -> None:
        """Make every file, then every folder survive a power cut; many at once, because a disk joins their syncs."""
        with ThreadPoolExecutor(SYNCS_AT_ONCE) as pool:
            for _ in pool.map(sync_file, self._written):
                pass  # raises what a sync raised
        for folder, _, _ in os.walk(self._folder):
            sync_folder(Path(folder))


def _document_of(home: Home, item: Item, file: str) -> ItemDocument:
    usual = item.media_type == MEDIA_TYPE_OF.get(home)
    return ItemDocument(
        name="" if file == item.name else item.name,
        media_type="" if usual else item.media_type,
        properties=item.properties or None,
    )
