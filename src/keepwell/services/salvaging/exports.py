"""Items that lie in exported folders and that no record knows: what may be added, though nothing proves it.

An export says of each file which item it was (`transfer_layout`), and whose. Other files say nothing of the sort; they
are for `keepwell import`, where a person says whose they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath

from keepwell.model.errors import Refused
from keepwell.model.names import AccountId, Home
from keepwell.services.content import prepare
from keepwell.services.exporting import MEDIA_TYPE_OF
from keepwell.services.transfer_layout import (
    DOCUMENT_NAME,
    PROPERTY_FILES,
    CollectionDocument,
    ItemDocument,
    parse_document,
)
from keepwell.vault.salvage.plan import Addition
from keepwell.vault.salvage.shelf import LooseFile

Read = Callable[[LooseFile], bytes]
"""The bytes of a loose file."""


def without_property_files(files: list[LooseFile]) -> list[LooseFile]:
    """These files but those that only describe an export or a collection."""
    beside = {*PROPERTY_FILES, DOCUMENT_NAME}
    return [file for file in files if PurePosixPath(file.name).name not in beside]


def additions_from_exports(
    files: list[LooseFile], unknown: list[LooseFile], accounts: Mapping[str, AccountId], at: str, read: Read
) -> Iterator[Addition]:
    """What the exports among `files` have of these accounts (by login) and no record knows; `at` is their moment."""
    by_folder: dict[tuple[int, PurePosixPath], list[LooseFile]] = {}
    for file in unknown:
        by_folder.setdefault((file.place, PurePosixPath(file.name).parent), []).append(file)
    for file in files:
        path = PurePosixPath(file.name)
        document = parse_document(read(file)) if path.name == DOCUMENT_NAME else None
        if document is None or document.login not in accounts:
            continue
        for collection in document.collections:
            folder = path.parent / collection.home / collection.name
            for one in by_folder.get((file.place, folder), []):
                addition = _addition(accounts[document.login], collection, one, at, read)
                if addition is not None:
                    yield addition


def _addition(
    account: AccountId, collection: CollectionDocument, file: LooseFile, at: str, read: Read
) -> Addition | None:
    name = PurePosixPath(file.name).name
    if collection.home is not Home.PHOTOS and name in PROPERTY_FILES:
        return None
    document = collection.files.get(name, ItemDocument())
    media_type = document.media_type or MEDIA_TYPE_OF.get(collection.home, "")
    try:
        prepared = prepare(collection.home, read(file), media_type)
    except Refused:
        return None  # it stays among the loose files
    return Addition(
        account=account,
        kind=collection.kind,
        collection=collection.name,
        name=document.name or name,
        uid=prepared.uid,
        media_type=media_type or prepared.media_type,
        digest=prepared.digest,
        size=file.size,
        at=at,
        origin=f"an export, {file.name}",
        properties=document.properties,
    )
