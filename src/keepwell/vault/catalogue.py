"""The catalogue: what a vault holds of each account, as its packs' indexes and its tails say.

A cache in memory, made anew from the objects whenever a vault is opened. An account's *coverage* is the unbroken run of
records from the first; what lies behind a gap is known, and does not count. Nothing here is proven: reading proves it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from keepwell.model.names import AccountId, Kind, Lineage
from keepwell.model.record import GENESIS
from keepwell.storage.contract import Head
from keepwell.vault.lines import Line
from keepwell.vault.pack import Frame, LedgerNote, PackIndex

NOTHING = Head(0, GENESIS)


@dataclass(frozen=True, slots=True)
class FrameRef:
    """A frame, the pack that it lies in, and the epoch in which that was written."""

    pack: str
    frame: Frame
    epoch: int


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack of the vault: its name, length and index.

    `is_reindexed`: the index was damaged, and is made anew of the frames; `is_partial`: not all of them can be read.
    """

    name: str
    size: int
    index: PackIndex
    is_reindexed: bool = False
    is_partial: bool = False


@dataclass(slots=True)
class _Holding:
    """What is held of one account; frames sorted by their first record, the longest first."""

    frames: list[FrameRef] = field(default_factory=list)
    tail: dict[int, Line] = field(default_factory=dict)


class Catalogue:
    """What one vault holds. Not safe for several threads: its vault guards it."""

    def __init__(self) -> None:
        """Of an empty vault."""
        self.packs: dict[str, Pack] = {}
        self._held: dict[AccountId, _Holding] = {}

    def add_pack(self, pack: Pack) -> None:
        """A pack that is there; may be told again."""
        if pack.name in self.packs:
            return
        self.packs[pack.name] = pack
        for frame in pack.index.frames:
            frames = self._of(frame.account).frames
            frames.append(FrameRef(pack.name, frame, pack.index.epoch))
            frames.sort(key=_place)

    def drop_pack(self, name: str) -> None:
        """A pack that is gone, or not to be used."""
        pack = self.packs.pop(name, None)
        for frame in pack.index.frames if pack else ():
            holding = self._of(frame.account)
            holding.frames = [ref for ref in holding.frames if ref.pack != name]

    def add_tail(self, lines: Iterable[Line]) -> None:
        """Records of a tail, each proven."""
        for line in lines:
            facts = line.record.facts
            self._of(facts.account).tail[facts.seq] = line

    def accounts(self) -> list[AccountId]:
        """Every account of which something is held, in order."""
        return sorted(self._held)

    def head(self, account: AccountId) -> Head:
        """Where the coverage ends; sequence 0 when nothing counts."""
        head = self.packed_head(account)
        tail = self._held[account].tail if account in self._held else {}
        while (line := tail.get(head.sequence + 1)) is not None and line.record.facts.prev == head.hash:
            head = Head(head.sequence + 1, line.record.hash)
        return head

    def packed_head(self, account: AccountId) -> Head:
        """Where the coverage by packs alone ends."""
        refs = self.covering(account)
        return Head(refs[-1].frame.last, refs[-1].frame.head) if refs else NOTHING

    def covering(self, account: AccountId) -> list[FrameRef]:
        """The fewest frames that hold the coverage by packs, in order; they may overlap."""
        holding = self._held.get(account)
        return chain(holding.frames) if holding else []

    def frames(self, account: AccountId) -> list[FrameRef]:
        """Every frame of the account, those that overlap and those behind a gap included."""
        return list(self._held[account].frames) if account in self._held else []

    def is_superseded(self, name: str, by: Iterable[str]) -> bool:
        """Whether the others have all of a pack: each of its frames lies within one of theirs, or in their coverage."""
        others = set(by) - {name}
        return all(
            _have([ref for ref in self.frames(frame.account) if ref.pack in others], frame)
            for frame in self.packs[name].index.frames
        )

    def tail_lines(self, account: AccountId) -> list[Line]:
        """The records of tails, in order, gaps and all."""
        tail = self._held[account].tail if account in self._held else {}
        return [tail[seq] for seq in sorted(tail)]

    def ledger(self, account: AccountId) -> dict[Kind, LedgerNote]:
        """The ledger after the last packed record of the coverage."""
        refs = self.covering(account)
        return dict(refs[-1].frame.ledger) if refs else {}

    def lineage(self, account: AccountId) -> Lineage | None:
        """The lineage of the last packed record of the coverage."""
        refs = self.covering(account)
        return refs[-1].frame.lineage if refs else None

    def _of(self, account: AccountId) -> _Holding:
        return self._held.setdefault(account, _Holding())


def chain(refs: Iterable[FrameRef]) -> list[FrameRef]:
    """The fewest of these frames of one account, of one or several vaults, that hold its unbroken run, in order."""
    return list(_chain(sorted(refs, key=_place)))


def _have(refs: Sequence[FrameRef], frame: Frame) -> bool:
    if any(ref.frame.first <= frame.first and ref.frame.last >= frame.last for ref in refs):
        return True
    covering = chain(refs)
    return bool(covering) and covering[-1].frame.last >= frame.last


def _place(ref: FrameRef) -> tuple[int, int]:
    return ref.frame.first, -ref.frame.last


def _chain(frames: list[FrameRef]) -> Iterator[FrameRef]:
    """Greedy: of the frames that continue the run, the one that leads farthest."""
    head, index = NOTHING, 0
    while True:
        best: FrameRef | None = None
        while index < len(frames) and frames[index].frame.first <= head.sequence + 1:
            ref = frames[index]
            index += 1
            if _continues(ref.frame, head) and (best is None or ref.frame.last > best.frame.last):
                best = ref
        if best is None:
            return
        yield best
        head = Head(best.frame.last, best.frame.head)


def _continues(frame: Frame, head: Head) -> bool:
    """Whether it leads on from `head`; one that begins before it is proven to by reading."""
    return frame.last > head.sequence and (frame.first <= head.sequence or frame.prev == head.hash)
