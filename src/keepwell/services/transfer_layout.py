"""How an exported folder is laid out; what `exporting` writes and `importing` reads.

    properties.json                       what the files alone cannot say (the format is `ExportDocument`)
    contacts/<collection>/<name>.vcf      items, octet for octet
    contacts/<collection>/displayname     the collection's name for people, and `color`, as vdir programs use them
    calendars/<collection>/<name>.ics     calendars, task lists and notebooks
    photos/<collection>/…                 files

An item's file has the item's name. Only where a folder cannot hold that name beside another (`displayname`, or two
names that differ in case alone, which some file systems take for one) it has a name of its own, which
`properties.json` tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from keepwell.model.names import NAME_OCTETS_MAX, Digest, Home, Kind
from keepwell.model.record import Properties

DOCUMENT_NAME: Final = "properties.json"
FORMAT_VERSION: Final = 1

DISPLAY_NAME_FILE: Final = "displayname"
COLOR_FILE: Final = "color"
PROPERTY_FILES: Final = {DISPLAY_NAME_FILE: "displayname", COLOR_FILE: "color"}
"""Files beside the items, and the collection property that each holds."""


class ItemDocument(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a file alone cannot say of its item: its name, if it is not the file's; media type; dead properties."""

    name: str = ""
    media_type: str = ""
    properties: Properties | None = None


class CollectionDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One collection: where it belongs, its properties, and what its files cannot say."""

    home: Home
    kind: Kind
    name: str
    count: int
    properties: Properties
    files: dict[str, ItemDocument]


class LedgerDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger of one kind, by which an import can be compared with what was exported."""

    kind: Kind
    count: int
    set_hash: str


class HeadDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The last record that the export has in it."""

    sequence: int
    hash: Digest


class ExportDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of `properties.json`; readers ignore fields that they do not know."""

    keepwell_export: int
    login: str
    head: HeadDocument
    ledger: list[LedgerDocument]
    collections: list[CollectionDocument]


def render_document(document: ExportDocument) -> bytes:
    """Indented, because people read it."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def parse_document(octets: bytes) -> ExportDocument | None:
    """The document, or None when these bytes are none, or one of a newer format."""
    try:
        document = msgspec.json.decode(octets, type=ExportDocument)
    except (msgspec.DecodeError, ValueError):
        return None
    return document if document.keepwell_export <= FORMAT_VERSION else None


def file_names(home: Home, names: Iterable[str]) -> dict[str, str]:
    """The file name of each item name in one folder of this home."""
    taken = set() if home is Home.PHOTOS else set(PROPERTY_FILES)
    files = {}
    for name in names:
        files[name] = free_name(name, lambda one: one.casefold() in taken)
        taken.add(files[name].casefold())
    return files


def free_name(wanted: str, is_taken: Callable[[str], bool]) -> str:
    """`wanted`, or else the first of `wanted-2`, `wanted-3` … (before its ending) that is not taken."""
    if not is_taken(wanted):
        return wanted
    stem, dot, ending = wanted.rpartition(".")
    if not stem:
        stem, dot, ending = wanted, "", ""
    number = 2
    while is_taken(name := _numbered(stem, number, dot + ending)):
        number += 1
    return name


def _numbered(stem: str, number: int, ending: str) -> str:
    tail = f"-{number}{ending}"
    room = max(NAME_OCTETS_MAX - len(tail.encode()), 0)
    return stem.encode()[:room].decode(errors="ignore") + tail
