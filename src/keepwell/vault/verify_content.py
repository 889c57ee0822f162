"""Verifying a vault, the second grade: every stored byte is what was stored.

Packs, blobs and manifests are read whole and hashed against their names; the small documents against the newest
manifest; the lines of tails, which have no hash of their own, prove themselves record by record. The objects can be
verified in any number of slices. One that was listed and is gone since is not this grade's to tell.

Bytes are read in pieces of some MiB: for these hashing lets other threads run, so two threads hash nearly twice as
fast, and no object of whatever size fills the memory.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec
from msgspec.structs import replace

from keepwell.model.errors import Damaged, Locked, NotThere, StorageFault
from keepwell.model.unreadable import UNREADABLE
from keepwell.model.weight import Weight
from keepwell.vault.findings import Found
from keepwell.vault.layout import BLOBS, PACKS, README, TAILS, VAULT_DOCUMENT, epoch_of, stored_hash
from keepwell.vault.lines import Line, parse_exact_line, texts_of
from keepwell.vault.manifests import octets_that_count
from keepwell.vault.medium import ObjectInfo
from keepwell.vault.tail import Envelope, render_envelope
from keepwell.vault.vault import Vault
from keepwell.vault.verify_existence import check_epoch

PIECE_OCTETS: Final = 4 * 1024 * 1024

Progress = Callable[[int, int], None]
"""Called with what is done and what there is."""


def verify_content(
    vault: Vault, objects: Sequence[ObjectInfo], *, threads: int = 1, progress: Progress = lambda _done, _all: None
) -> Found:
    """Whether these objects of a listing are what was stored. Raises StorageFault when the medium is gone."""
    total = sum(info.size for info in objects)
    found = Found()
    for one in _in_threads(vault, objects, threads):
        found.add(one)
        progress(found.octets, total)
    return found


def _in_threads(vault: Vault, objects: Iterable[ObjectInfo], threads: int) -> Iterator[Found]:
    if threads == 1:
        yield from (verify_object(vault, info) for info in objects)
        return
    with ThreadPoolExecutor(threads, thread_name_prefix="keepwell-verify") as pool:
        yield from pool.map(lambda info: verify_object(vault, info), objects)


def verify_object(vault: Vault, info: ObjectInfo) -> Found:
    """Whether one object is what was stored. Raises StorageFault when the medium is gone."""
    found = Found(objects=1, octets=info.size)
    try:
        _check(vault, info, found)
    except NotThere:
        return Found()
    except Damaged as error:
        found.damage(info.name, error.message)
    except Locked as error:
        found.note(info.name, f"not proven: {error.message}")
    except StorageFault as error:
        vault.require_answers(error)
        found.damage(info.name, error.message)
    return found


def _check(vault: Vault, info: ObjectInfo, found: Found) -> None:
    name = info.name
    hashed = stored_hash(name)
    if hashed is not None:
        if _hash_of(vault, info) == hashed:
            return
        if name.startswith(BLOBS) and not _is_needed(vault, name):
            found.note(name, "its bytes are not those that its name says, and nothing needs it")
        elif name.startswith(PACKS) and _is_anothers(vault, info):
            found.note(name, "it is of another vault, and counts for nothing")
        else:
            raise Damaged("its bytes are not those that were stored under this name")
    elif name.startswith(TAILS):
        _check_tail(vault, name, found)
    elif name in {README, VAULT_DOCUMENT}:
        _check_document(vault, info)
    elif epoch_of(name) is not None:
        _check_epoch(vault, info, found)
    else:
        found.note(name, "nobody knows what it is: no object of a vault has such a name")


def _is_needed(vault: Vault, blob: str) -> bool:
    """Whether anything names this blob, or may: what tails got since they were read is looked at anew."""
    if vault.unread() or any(blob in frame.blobs for pack in vault.packs() for frame in pack.index.frames):
        return True
    tails = (info.name for info in vault.medium.list(TAILS))
    return any(vault.seal.sealed or blob.encode() in vault.medium.read(name) for name in tails)


def _is_anothers(vault: Vault, pack: ObjectInfo) -> bool:
    """Whether it is a pack of another vault, and none of this one's should be under its name."""
    manifest = vault.manifest()
    return (manifest is None or pack.name not in manifest.packs) and (
        vault.read_index_of(pack).vault != vault.document.id
    )


def _hash_of(vault: Vault, info: ObjectInfo) -> str:
    hashing, offset = hashlib.sha256(), 0
    while True:
        # No more than there should be, and one byte to see the end by: memory that is not filled costs as well.
        length = min(PIECE_OCTETS, max(info.size - offset, 0) + 1)
        piece = vault.medium.read_range(info.name, offset, length)
        hashing.update(piece)
        offset += len(piece)
        if len(piece) < length:
            return hashing.hexdigest()


def _check_document(vault: Vault, info: ObjectInfo) -> None:
    name, manifest = info.name, vault.manifest()
    hashed = manifest.documents.get(name) if manifest else None
    if hashed is not None and _hash_of(vault, info) != hashed:
        raise Damaged("its bytes are not those that were there when a manifest first named it")


def _check_epoch(vault: Vault, info: ObjectInfo, found: Found) -> None:
    """That of an epoch that has ended tells people who held it, and nothing depends on what is in it."""
    checked = Found()
    try:
        _check_document(vault, info)
        check_epoch(info.name, vault, checked)
    except Damaged as error:
        checked.damage(info.name, error.message)
    if (epoch_of(info.name) or 0) < vault.newest_epoch():
        checked.findings = [replace(one, weight=Weight.NOTE) for one in checked.findings]
    found.findings += checked.findings


def _check_tail(vault: Vault, name: str, found: Found) -> None:
    """Every line that counts; at the end there may be line feeds (space taken beforehand), and what a crash cut off."""
    stored = vault.medium.read(name)
    texts = texts_of(stored[: octets_that_count(name, vault.manifest())])
    for number, text in enumerate(texts, 1):
        try:
            for line in _lines_of(text, vault):
                _require_blob(vault, line)
        except Damaged as error:
            if number < len(texts):
                found.damage(name, f"line {number}: {error.message}")
            else:
                found.note(name, f"its last line is damaged, or was cut off and never confirmed: {error.message}")


def _lines_of(text: bytes, vault: Vault) -> list[Line]:
    if not vault.seal.sealed:
        return [parse_exact_line(text)]
    try:
        envelope = msgspec.json.decode(text, type=Envelope)
        sealed = base64.b64decode(envelope.age, validate=True)
        octets = vault.seal.unseal(sealed)
    except (*UNREADABLE, ValueError) as error:  # ValueError: what is no base64, also beyond ASCII
        raise Damaged(f"it cannot be read: {error}") from error
    lines = [parse_exact_line(one) for one in octets.splitlines(keepends=True)]
    heads = {line.record.facts.account: (line.record.facts.seq, line.record.hash) for line in lines}
    if heads != envelope.heads:
        raise Damaged("its records do not lead to the heads that it names")
    if render_envelope(envelope) != text or base64.b64encode(sealed).decode() != envelope.age:
        raise Damaged("it is not as it was written")
    return lines


def _require_blob(vault: Vault, line: Line) -> None:
    facts = line.record.facts
    if line.blob is not None and not vault.medium.exists(line.blob):
        raise Damaged(f"{line.blob}, which record {facts.seq} of {facts.account} needs, is missing")
