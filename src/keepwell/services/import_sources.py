"""What lies at the paths that a person wants imported: which files, and in which collection each belongs.

- A file goes to the account's first collection that takes what is in it (`ByContent`).
- A folder that Keepwell exported says itself what it holds (`Exported`).
- In any other folder each folder below with files in it is a collection (`Vdir`, as vdirsyncer and others lay them
  out, with `displayname` and `color` files); files that lie directly in the folder given go by content.

Nothing is passed over in silence: what is not taken is told as a `Problem`, or as `Aside` when no one would expect it
to be imported (hidden files, links to folders). Links and devices within folders are not followed, so that a folder
from a stranger brings in nothing from elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keepwell.model.errors import BadRequest
from keepwell.model.names import HOME_OF, Home, check_collection_name
from keepwell.model.record import Properties
from keepwell.services.transfer_layout import (
    DOCUMENT_NAME,
    PROPERTY_FILES,
    CollectionDocument,
    ItemDocument,
    parse_document,
)

PROPERTY_OCTETS_MAX: Final = 4096
"""A `displayname` or `color` file is not longer."""

FILE_OCTETS_MAX: Final = 512 * 1024 * 1024
"""Largest file, in bytes; it is read whole."""

IMPORTED_HOMES: Final = frozenset({Home.CONTACTS, Home.CALENDARS, Home.PHOTOS})

_COMPONENT: Final = re.compile(rb"^[ \t]*BEGIN[ \t]*:[ \t]*(VEVENT|VTODO|VJOURNAL)\b", re.IGNORECASE | re.MULTILINE)
_COMPONENT_ORDER: Final = ("VEVENT", "VTODO", "VJOURNAL")


@dataclass(frozen=True, slots=True)
class ByContent:
    """The account's first collection that takes what is in the file."""


@dataclass(frozen=True, slots=True)
class Vdir:
    """A collection with this folder's name; `properties` are those of its property files."""

    folder: Path
    display_name: str = ""
    color: str = ""

    @property
    def properties(self) -> Properties:
        """Those that its files say."""
        return {name: text for name, text in (("displayname", self.display_name), ("color", self.color)) if text}


@dataclass(frozen=True, slots=True)
class Exported:
    """A collection of a Keepwell export, found again by its place in the document."""

    folder: Path
    position: int


Target = ByContent | Vdir | Exported


@dataclass(frozen=True, slots=True)
class Source:
    """A file to import. `given` says that the person named this very file."""

    path: Path
    octets: int
    target: Target
    given: bool = False
    item: ItemDocument | None = None
    """Of an exported file: what the export says of it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A path that should have been imported and cannot be."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Aside:
    """A path within a folder that nobody expects to be imported."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class CollectionFound:
    """A collection of an export: the files after it with this target belong to it."""

    target: Exported
    document: CollectionDocument


Finding = Source | Problem | Aside | CollectionFound


def find_sources(path: Path) -> Iterator[Finding]:
    """Everything at this path, in order of names."""
    if not path.exists():
        yield Problem(path, "there is no such file or folder")
    elif not path.is_dir():
        yield _file(path, ByContent(), given=True)
    else:
        document = _exported_document(path)
        yield from _exported(path, document) if document else _walk(path, path)


def components_in(folder: Path) -> tuple[str, ...]:
    """The calendar components in a folder's files, by a look at their BEGIN lines."""
    found: set[str] = set()
    with suppress(OSError):  # what cannot be read is told when its turn comes
        for path in folder.iterdir():
            found |= _components_of_file(path)
    return tuple(one for one in _COMPONENT_ORDER if one in found)


def _components_of_file(path: Path) -> set[str]:
    try:
        octets = path.read_bytes() if _is_plain_file(path) and path.stat().st_size <= FILE_OCTETS_MAX else b""
    except OSError:
        return set()  # told when its turn comes
    return {match[1].upper().decode() for match in _COMPONENT.finditer(octets)}


def _exported_document(folder: Path) -> list[CollectionDocument] | None:
    path = folder / DOCUMENT_NAME
    try:
        document = parse_document(path.read_bytes()) if _is_plain_file(path) else None
    except OSError:
        return None  # the walk tells that it cannot be read
    return None if document is None else document.collections


def _exported(top: Path, documents: list[CollectionDocument]) -> Iterator[Finding]:
    known = {top / DOCUMENT_NAME}
    for position, document in enumerate(documents):
        folder = top / document.home / document.name
        known.add(folder)
        reason = _unfit(document)
        if reason:
            yield Problem(folder, reason)
        elif not folder.is_dir():
            yield Problem(folder, f"the export has {document.count} items there, but there is no such folder")
        elif folder.resolve() != top.resolve() / document.home / document.name:
            yield Problem(folder, "a link leads there, which an import of a folder does not follow")
        else:
            yield from _exported_collection(Exported(folder, position), document)
    yield from _walk(top, top, known=frozenset(known))


def _unfit(document: CollectionDocument) -> str:
    """Why a document, perhaps a stranger's, is not followed; empty when it is."""
    if document.home not in IMPORTED_HOMES or HOME_OF[document.kind] is not document.home:
        return f"a collection of {document.kind} in {document.home} cannot be imported"
    try:
        check_collection_name(document.home, document.name)
    except BadRequest as error:
        return error.message
    return ""


def _exported_collection(target: Exported, document: CollectionDocument) -> Iterator[Finding]:
    yield CollectionFound(target, document)
    aside = {} if document.home is Home.PHOTOS else PROPERTY_FILES
    count = 0
    try:
        paths = sorted(target.folder.iterdir())
    except OSError as error:
        yield Problem(target.folder, f"cannot be read: {error.strerror}")
        return
    for path in paths:
        if path.is_dir() and document.home is Home.PHOTOS and path.is_symlink():
            yield Aside(path, "it is a link")
            continue
        if path.name in aside or (path.is_dir() and document.home is Home.PHOTOS):
            continue  # its properties, which the document has too; a collection of its own
        count += 1
        yield _file(path, target, item=document.files.get(path.name, ItemDocument()))
    if count < document.count:
        yield Problem(target.folder, f"the export has {document.count} items there, but {count} files were found")


def _walk(top: Path, folder: Path, known: frozenset[Path] = frozenset()) -> Iterator[Finding]:
    """The folder and those below it; what is `known` was told before."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        yield Problem(folder, f"cannot be read: {error.strerror}")
        return
    target = ByContent() if folder == top else _vdir(folder)
    for path in paths:
        if path in known or (isinstance(target, Vdir) and path.name in PROPERTY_FILES and not path.is_symlink()):
            continue
        if path.name.startswith("."):
            yield Aside(path, "it is hidden")
        elif path.is_symlink():
            yield Aside(path, "it is a link")
        elif not path.is_dir():
            yield _file(path, target)
    for path in paths:
        if path.is_dir() and not path.is_symlink() and not path.name.startswith(".") and path not in known:
            yield from _walk(top, path, known)


def _is_plain_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _vdir(folder: Path) -> Vdir:
    texts = {name: _read_property(folder / file) for file, name in PROPERTY_FILES.items()}
    return Vdir(folder, texts["displayname"], texts["color"])


def _read_property(path: Path) -> str:
    try:
        octets = path.read_bytes()[:PROPERTY_OCTETS_MAX] if _is_plain_file(path) else b""
    except OSError:
        return ""  # a name for people is not worth refusing their data for
    return octets.decode(errors="ignore").strip()


def _file(path: Path, target: Target, *, given: bool = False, item: ItemDocument | None = None) -> Finding:
    if not given and path.is_symlink():
        return Problem(path, "it is a link, which an import of a folder does not follow")
    if not path.is_file():
        return Problem(path, "it is neither a file nor a folder")
    try:
        return Source(path, path.stat().st_size, target, given, item)
    except OSError as error:
        return Problem(path, f"cannot be read: {error.strerror}")
