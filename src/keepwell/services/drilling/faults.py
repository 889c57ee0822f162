"""Which faults a drill plants, and where: drawn by a seed, from what the vault must have; nothing is written.

Each is planted in a view of the vault (`vault/altered.py`):

- a flipped byte, anywhere in a pack, a blob or the newest manifest;
- a missing object, a pack or blob;
- an account gone, as a fault of merging would leave it: every hash is right, and the account is in no pack.

Only what the vault still needs is drawn (frames that lead somewhere, packs that the manifest names): the loss of
anything else is no fault.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from keepwell.ground.entropy import Draw
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId
from keepwell.services.drills import Fault
from keepwell.vault.altered import Alteration, Flip, account_gone
from keepwell.vault.catalogue import FrameRef
from keepwell.vault.layout import MANIFESTS, manifest_number
from keepwell.vault.medium import ObjectInfo
from keepwell.vault.vault import Vault

AFFECTED_MAX: Final = 2
"""Accounts that are restored to see whether a fault is noticed."""

CANDIDATES: Final = 20
PACKS_MAX: Final = 8
"""The account that is gone is the first of so many drawn that is in so few packs, because those are read whole."""


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """A fault, the object or account that it is about, and whom it touches."""

    fault: Fault
    object: str
    alteration: Alteration
    touched: frozenset[AccountId] = frozenset()
    """Accounts that need what is at fault: these may be named with it, and no others."""

    @property
    def affected(self) -> tuple[AccountId, ...]:
        """Some of those, which are restored to see whether that is noticed."""
        return tuple(sorted(self.touched))[:AFFECTED_MAX]


def draw_faults(vault: Vault, draw: Draw) -> list[PlannedFault]:
    """A fault of each sort that there is a place for in this vault. Raises StorageFault, NotThere."""
    needed = _needed(vault)
    planned = [_flipped_byte(vault, needed, draw), _missing_object(vault, needed, draw), _account_gone(vault, draw)]
    return [one for one in planned if one is not None]


def _needed(vault: Vault) -> list[FrameRef]:
    """Every frame that the vault's accounts need."""
    return [ref for account in sorted(vault.heads()) for ref in vault.covering(account)]


def _flipped_byte(vault: Vault, needed: Sequence[FrameRef], draw: Draw) -> PlannedFault | None:
    manifests = [info for info in vault.medium.list(MANIFESTS) if manifest_number(info.name) is not None]
    sorts = [
        sorted({ref.pack for ref in needed}),
        _blobs(needed),
        [max(info.name for info in manifests)] if manifests else [],
    ]
    sorts = [names for names in sorts if names]
    if not sorts:
        return None
    info = _info(vault, draw.one(draw.one(sorts)))
    flip = Flip(draw.below(max(1, info.size)), 1 + draw.below(255))
    return PlannedFault(
        Fault.FLIPPED_BYTE,
        info.name,
        Alteration(flipped={info.name: flip}),
        _accounts_of(ref for ref in needed if _is_hit(ref, info.name, flip.offset)),
    )


def _is_hit(ref: FrameRef, name: str, offset: int) -> bool:
    """Whether whoever reads this frame and its blobs reads that byte."""
    frame = ref.frame
    return name in frame.blobs or (ref.pack == name and frame.offset <= offset < frame.offset + frame.length)


def _missing_object(vault: Vault, needed: Sequence[FrameRef], draw: Draw) -> PlannedFault | None:
    """Of packs only those that a manifest names: of another nobody could tell that it was there."""
    manifest = vault.manifest()
    named = sorted({ref.pack for ref in needed} & manifest.packs.keys()) if manifest else []
    sorts = [names for names in (named, _blobs(needed)) if names]
    if not sorts:
        return None
    name = draw.one(draw.one(sorts))
    refs = [ref for ref in needed if ref.pack == name or name in ref.frame.blobs]
    return PlannedFault(Fault.MISSING_OBJECT, name, Alteration(hidden=frozenset({name})), _accounts_of(refs))


def _account_gone(vault: Vault, draw: Draw) -> PlannedFault | None:
    manifest = vault.manifest()
    if manifest is None:
        return None
    there = [one for one in sorted(manifest.accounts) if vault.covering(one)]
    people = [one for one in there if one != SYSTEM_ACCOUNT] or there
    if not people:
        return None
    account = min(draw.shuffled(people)[:CANDIDATES], key=lambda one: max(PACKS_MAX, len(_packs_of(vault, one))))
    packs = _packs_of(vault, account)
    indexes = {pack.name: pack.index for pack in vault.packs() if pack.name in packs}
    gone = account_gone(vault.medium, indexes, manifest, account, sealed=vault.seal.sealed)
    return PlannedFault(Fault.ACCOUNT_GONE, account, gone, frozenset({account}))


def _packs_of(vault: Vault, account: AccountId) -> set[str]:
    return {ref.pack for ref in vault.frames(account)}


def _blobs(refs: Iterable[FrameRef]) -> list[str]:
    return sorted({blob for ref in refs for blob in ref.frame.blobs})


def _info(vault: Vault, name: str) -> ObjectInfo:
    return next((info for info in vault.medium.list(name) if info.name == name), ObjectInfo(name, 0))


def _accounts_of(refs: Iterable[FrameRef]) -> frozenset[AccountId]:
    return frozenset(ref.frame.account for ref in refs)
