"""The names of a vault's objects (docs/VAULT_FORMAT.md): made and read here, and nowhere else."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from keepwell.model.names import Digest

FORMAT_VERSION: Final = 1

README: Final = "README.md"
VAULT_DOCUMENT: Final = "vault.json"
EPOCHS: Final = "epochs/"
PACKS: Final = "packs/"
BLOBS: Final = "blobs/"
MANIFESTS: Final = "manifests/"
TAILS: Final = "tails/"
PROBE: Final = "probe/"

SEALED_SUFFIX: Final = ".age"
_PACK_SUFFIX: Final = ".jsonl.zst"
_MANIFEST_SUFFIX: Final = ".json.zst"

_epoch = re.compile(r"epochs/(\d{10})\.json")
_manifest = re.compile(r"manifests/(\d{10})-[0-9a-f]{64}\.json\.zst")
_tail = re.compile(r"tails/(\d{10})-[a-z2-7]+\.jsonl")
_hashed = re.compile(r"(?:packs|blobs|manifests)/.*?([0-9a-f]{64})[^/]*")


def epoch_name(number: int) -> str:
    """Who holds this epoch."""
    return f"{EPOCHS}{number:010d}.json"


def pack_name(stored: bytes, *, sealed: bool) -> str:
    """A pack with these stored bytes."""
    return f"{PACKS}{_sha256(stored)}{_PACK_SUFFIX}{SEALED_SUFFIX if sealed else ''}"


def blob_name(digest: Digest) -> str:
    """A blob that is stored as it is: its digest is that of the stored bytes."""
    return f"{BLOBS}{digest[:2]}/{digest}"


def sealed_blob_name(stored: bytes) -> str:
    """A blob that is stored encrypted: its name tells nothing of what it holds."""
    return blob_name(Digest(_sha256(stored))) + SEALED_SUFFIX


def manifest_name(number: int, stored: bytes) -> str:
    """A manifest with this number and these stored bytes."""
    return f"{MANIFESTS}{number:010d}-{_sha256(stored)}{_MANIFEST_SUFFIX}"


def tail_name(epoch: int, word: str) -> str:
    """The tail of one writing process."""
    return f"{TAILS}{epoch:010d}-{word}.jsonl"


def epoch_of(name: str) -> int | None:
    """The number of an epoch's or tail's name; None for any other."""
    found = _epoch.fullmatch(name) or _tail.fullmatch(name)
    return int(found[1]) if found else None


def manifest_number(name: str) -> int | None:
    """The number of a manifest's name; None for any other."""
    found = _manifest.fullmatch(name)
    return int(found[1]) if found else None


def stored_hash(name: str) -> str | None:
    """The SHA-256 that the stored bytes of this object must have, as its name says; None when it says none."""
    found = _hashed.fullmatch(name)
    return found[1] if found else None


def proves_itself(name: str, stored: bytes) -> bool:
    """Whether the stored bytes are those that the name says; False for a name that says nothing."""
    return stored_hash(name) == _sha256(stored)


def _sha256(stored: bytes) -> str:
    return hashlib.sha256(stored).hexdigest()
