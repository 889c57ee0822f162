"""What a seed decides about everything that was not synced when the power went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from enum import StrEnum
from random import Random
from typing import Final

_SHARES: Final = (0.0, 0.2, 0.5, 0.8, 1.0)
"""How much of what one file or folder has unsynced survives: one may lose all while another loses nothing."""


class Mode(StrEnum):
    """What the medium does with what was not synced."""

    DROP = "drop"
    """Nothing of it is there."""
    KEEP = "keep"
    """Everything of it is there."""
    SOME = "some"
    """Each write and each operation on a name is there as a whole or not at all."""
    TEAR = "tear"
    """Writes are there in part as well, sector by sector, and what is missing may show what lay there before."""


class Fate:
    """The decisions of one cut. `figures` counts what was decided."""

    def __init__(self, mode: Mode, seed: str) -> None:
        """The same seed decides the same about the same operations."""
        self._mode = mode
        self._random = Random(seed)
        self._share = 0.5
        self.figures: Counter[str] = Counter()

    def turn_to_another(self) -> None:
        """What follows is about another file or folder."""
        self._share = self._random.choice(_SHARES)

    def keeps_name(self, *, possible: bool) -> bool:
        """Whether an operation on names is there; never when others that it stands on are not."""
        kept = possible and self._keeps()
        self.figures["names kept" if kept else "names dropped"] += 1
        return kept

    def keeps_size(self) -> bool:
        """Whether a change of a file's size, without bytes, is there."""
        return self._keeps()

    def of_write(self, sectors: range) -> tuple[Collection[int], bool]:
        """(the sectors of a write that are there, whether the size is the one that it made)."""
        reached = self._reached(sectors)
        sort = "kept" if len(reached) == len(sectors) else "torn" if reached else "dropped"
        self.figures[f"writes {sort}"] += 1
        size = self._keeps() if self._mode is Mode.TEAR else bool(reached)
        return reached, size

    def missing(self, octets: int) -> bytes:
        """What is read where the file grew and nothing arrived."""
        if self._mode is Mode.TEAR and self._random.random() < 0.5:
            return self._random.randbytes(octets)
        return bytes(octets)

    def _keeps(self) -> bool:
        if self._mode in (Mode.DROP, Mode.KEEP):
            return self._mode is Mode.KEEP
        return self._random.random() < self._share

    def _reached(self, sectors: range) -> Collection[int]:
        if self._mode is Mode.TEAR and self._random.random() < 0.5:
            count = self._random.randint(0, len(sectors))
            return sectors[:count] if self._random.random() < 0.5 else self._random.sample(sectors, count)
        return sectors if self._keeps() else ()
