"""A vault as it would be with a fault in it: a view of its medium in which some objects are other than they are.

For drills, which must find what they plant. The vault itself is only read: whoever would write through the view is
refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from keepwell.model.errors import BadRequest, NotThere
from keepwell.model.names import AccountId
from keepwell.vault.documents import Manifest, render_manifest
from keepwell.vault.layout import MANIFESTS, manifest_name, manifest_number, pack_name
from keepwell.vault.medium import Log, Medium, MediumIdentity, ObjectInfo
from keepwell.vault.pack import PackIndex, cut_pack


@dataclass(frozen=True, slots=True)
class Flip:
    """One byte of an object that is another: its place, and the bits that are turned round in it, not 0."""

    offset: int
    bits: int


@dataclass(frozen=True, slots=True)
class Alteration:
    """What is other than it is: objects with a flipped byte, objects that are not there, objects that are."""

    flipped: Mapping[str, Flip] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    added: Mapping[str, bytes] = field(default_factory=dict)


class AlteredMedium:
    """A medium seen through an alteration. Invariant: the medium below is never written to."""

    def __init__(self, medium: Medium, alteration: Alteration) -> None:
        """Over a medium, which stays its owner's to close."""
        self._medium = medium
        self._alteration = alteration

    def create(self, name: str, octets: bytes) -> None:
        """Refuse. Raises BadRequest."""
        raise self._only_read(f"creating {name} ({len(octets)} bytes)")

    def read(self, name: str) -> bytes:
        """All bytes of an object, as altered. Raises NotThere, StorageFault."""
        self._require_there(name)
        added = self._alteration.added.get(name)
        return self._flipped(name, 0, self._medium.read(name)) if added is None else added

    def read_range(self, name: str, offset: int, length: int) -> bytes:
        """A part of an object, as altered. Raises NotThere, StorageFault."""
        self._require_there(name)
        added = self._alteration.added.get(name)
        if added is not None:
            start = offset if offset >= 0 else max(0, len(added) + offset)
            return added[start : start + length]
        if offset < 0 and name in self._alteration.flipped:
            offset = max(0, self._size(name) + offset)
        return self._flipped(name, offset, self._medium.read_range(name, offset, length))

    def exists(self, name: str) -> bool:
        """Whether an object is there, as altered. Raises StorageFault."""
        if name in self._alteration.hidden:
            return False
        return name in self._alteration.added or self._medium.exists(name)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Every object, as altered, in order. Raises StorageFault."""
        gone = self._alteration.hidden | self._alteration.added.keys()
        there = [info for info in self._medium.list(prefix) if info.name not in gone]
        added = (ObjectInfo(name, len(octets)) for name, octets in self._alteration.added.items())
        there += [info for info in added if info.name.startswith(prefix)]
        return iter(sorted(there, key=lambda info: info.name))

    def remove(self, name: str) -> None:
        """Refuse. Raises BadRequest."""
        raise self._only_read(f"removing {name}")

    def open_log(self, name: str) -> Log | None:
        """Refuse. Raises BadRequest."""
        raise self._only_read(f"opening the log {name}")

    def keeps(self, name: str) -> bool:
        """Refuse. Raises BadRequest."""
        raise self._only_read(f"syncing the name of {name}")

    def settle(self, logs: str) -> None:
        """Refuse. Raises BadRequest."""
        raise self._only_read(f"settling {logs}")

    def identity(self) -> MediumIdentity:
        """That of the medium below."""
        return self._medium.identity()

    def close(self) -> None:
        """Nothing: the medium below is its owner's."""

    def _require_there(self, name: str) -> None:
        if name in self._alteration.hidden:
            raise NotThere(f"there is no {name} at {self._medium.identity().place}")

    def _size(self, name: str) -> int:
        return next((info.size for info in self._medium.list(name) if info.name == name), 0)

    def _flipped(self, name: str, offset: int, octets: bytes) -> bytes:
        flip = self._alteration.flipped.get(name)
        if flip is None or not offset <= flip.offset < offset + len(octets):
            return octets
        changed = bytearray(octets)
        changed[flip.offset - offset] ^= flip.bits
        return bytes(changed)

    def _only_read(self, doing: str) -> BadRequest:
        return BadRequest(f"{doing} through an altered view of a vault was refused: it is only read")


def account_gone(
    medium: Medium, packs: Mapping[str, PackIndex], manifest: Manifest, account: AccountId, *, sealed: bool
) -> Alteration:
    """What a fault of merging would leave: the account's frames cut out of these packs, and all hashes right.

    The manifest names the packs that there would be, and the account as it was. Raises NotThere, StorageFault.
    """
    added: dict[str, bytes] = {}
    for name, index in packs.items():
        stored = cut_pack(medium.read(name), index, account, sealed=sealed)
        if stored is not None:
            added[pack_name(stored, sealed=sealed)] = stored
    sizes = {name: size for name, size in manifest.packs.items() if name not in packs}
    sizes |= {name: len(stored) for name, stored in added.items()}
    forged = render_manifest(msgspec.structs.replace(manifest, packs=sizes))
    newest = {info.name for info in medium.list(MANIFESTS) if manifest_number(info.name) == manifest.number}
    added[manifest_name(manifest.number, forged)] = forged
    return Alteration(hidden=frozenset(packs) | newest, added=added)
