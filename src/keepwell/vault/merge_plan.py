"""Which packs of a vault to merge, and which to remove once others have all that is in them; pure.

Packs are sorted into tiers by how large they are unpacked. When there are more than `TIER_PACKS_MAX` in a tier, they
become one, of a higher tier or the same. So a byte is written again once for each tier at most, more or less, and a
vault that is merged has at most `TIER_PACKS_MAX` packs in each of the four tiers, and one pack for every 32 MiB of
unpacked records, beside those that wait to be removed; an account has at most one frame in each, or two where records
are between them that lie elsewhere. Photographs and other large bytes are objects of their own and never merged.

A pack is *superseded* when each of its frames lies within a frame of another pack that is not. So say the indexes; it
is proven before anything is removed. It is removed `GRACE_SECONDS` after the packs that supersede it were written:
whoever restores at that time has read the catalogue before and goes on reading. This is all the state there is: after
a crash at any point the same follows from what lies in the vault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from keepwell.ground.clock import parse_moment
from keepwell.model.names import AccountId
from keepwell.vault.catalogue import Pack
from keepwell.vault.pack import Frame

TIER_OCTETS: Final = (64 * 1024, 512 * 1024, 4 * 1024 * 1024, 32 * 1024 * 1024)
"""Unpacked, up to which a pack belongs to a tier; what is larger is not merged any more."""

TIER_PACKS_MAX: Final = 8

MERGED_OCTETS_MAX: Final = 64 * 1024 * 1024
"""Unpacked, in one merged pack: what is held in memory while merging, more or less."""

MERGED_PACKS_MAX: Final = 256
"""Packs merged at once: bounds how long one merge takes when many have gathered."""

GRACE_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Merge:
    """These packs become one."""

    packs: tuple[str, ...]


def plan_merge(packs: Sequence[Pack]) -> list[Merge]:
    """What to merge now, the smallest packs first; nothing when every tier is within its bound."""
    waiting = superseded(packs)
    tiers: list[list[Pack]] = [[] for _ in TIER_OCTETS]
    for pack in sorted(packs, key=lambda one: (one.index.at, one.name)):
        tier = _tier(pack)
        if tier is not None and pack.name not in waiting:
            tiers[tier].append(pack)
    chosen = [_chosen(tier) for tier in tiers if len(tier) > TIER_PACKS_MAX]
    return [Merge(tuple(pack.name for pack in one)) for one in chosen if len(one) > 1]


def plan_removal(packs: Sequence[Pack], now: datetime) -> dict[str, tuple[str, ...]]:
    """Each pack that may be removed now, with those that have all of it: never one whose own index is damaged."""
    written = {pack.name: parse_moment(pack.index.at) for pack in packs if not pack.is_reindexed}
    return {
        name: by
        for name, by in superseded(packs).items()
        if all(one in written and (now - written[one]).total_seconds() >= GRACE_SECONDS for one in by)
    }


def superseded(packs: Sequence[Pack]) -> dict[str, tuple[str, ...]]:
    """Each pack of which others have everything, with those others, none of which is superseded itself."""
    covers: dict[str, set[str]] = {}
    needed: set[str] = set()
    for refs in _by_account(packs).values():
        for name, cover in _covers(refs):
            if cover is None:
                needed.add(name)
            else:
                covers.setdefault(name, set()).add(cover)
    return {name: tuple(sorted(by)) for name, by in sorted(covers.items()) if name not in needed}


def unpacked_octets(pack: Pack) -> int:
    """How large a pack's records are."""
    return sum(frame.octets for frame in pack.index.frames)


def _tier(pack: Pack) -> int | None:
    octets = unpacked_octets(pack)
    return next((tier for tier, limit in enumerate(TIER_OCTETS) if octets <= limit), None)


def _chosen(tier: Sequence[Pack]) -> list[Pack]:
    """The oldest packs, as many as one merge takes."""
    chosen: list[Pack] = []
    octets = 0
    for pack in tier[:MERGED_PACKS_MAX]:
        octets += unpacked_octets(pack)
        if octets > MERGED_OCTETS_MAX:
            break
        chosen.append(pack)
    return chosen


def _by_account(packs: Sequence[Pack]) -> Mapping[AccountId, list[tuple[Frame, Pack]]]:
    found: dict[AccountId, list[tuple[Frame, Pack]]] = {}
    for pack in packs:
        for frame in pack.index.frames:
            found.setdefault(frame.account, []).append((frame, pack))
    return found


def _covers(refs: Sequence[tuple[Frame, Pack]]) -> Iterator[tuple[str, str | None]]:
    """Each frame's pack, and a pack with a frame that it lies within; None where there is none.

    Of frames that are equal, that in the larger pack counts, then that in the newer.
    """
    ranked = sorted(refs, key=lambda ref: (ref[1].size, ref[1].index.at, ref[1].name), reverse=True)
    farthest: tuple[int, str] | None = None
    for frame, pack in sorted(ranked, key=lambda ref: (ref[0].first, -ref[0].last)):
        if farthest is not None and frame.last <= farthest[0]:
            yield pack.name, farthest[1]
        else:
            yield pack.name, None
            farthest = frame.last, pack.name
