"""The bytes of one file: what programs see, what was synced, and what may be on the medium after a cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from prove.lossy.fate import Fate

SECTOR_OCTETS: Final = 512


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at an offset; the file grows when they end behind its end."""

    offset: int
    octets: bytes

    def carry_out(self, content: bytearray) -> None:
        """Change the bytes."""
        if len(content) < self.offset:
            content.extend(bytes(self.offset - len(content)))
        content[self.offset : self.offset + len(self.octets)] = self.octets

    @property
    def sectors(self) -> range:
        """Those that it changes."""
        return _sectors(self.offset, self.offset + len(self.octets))


@dataclass(frozen=True, slots=True)
class Resize:
    """Another size: what is behind it is gone, what is new is zero."""

    octets: int

    def carry_out(self, content: bytearray) -> None:
        """Change the bytes."""
        del content[self.octets :]
        content.extend(bytes(self.octets - len(content)))


class Content:
    """Invariant: what is seen is what was synced with the pending steps carried out, in their order."""

    def __init__(self) -> None:
        """An empty file of which nothing was synced: empty is then certain."""
        self.seen = bytearray()
        self._synced = bytearray()
        self._pending: list[Write | Resize] = []

    def write(self, offset: int, octets: bytes) -> None:
        """Write, and promise nothing."""
        self._take(Write(offset, octets))

    def resize(self, octets: int) -> None:
        """Cut off or lengthen, and promise nothing."""
        self._take(Resize(octets))

    def sync(self) -> None:
        """Make what is seen certain."""
        for step in self._pending:
            step.carry_out(self._synced)
        self._pending.clear()

    def survive(self, fate: Fate) -> None:
        """Be what the medium has after a cut: that is then seen, and certain."""
        if self._pending:
            fate.turn_to_another()
            self._synced = _surviving(self._synced, self._pending, fate)
            self._pending.clear()
        self.seen = bytearray(self._synced)

    def _take(self, step: Write | Resize) -> None:
        step.carry_out(self.seen)
        self._pending.append(step)


def _surviving(synced: bytearray, steps: list[Write | Resize], fate: Fate) -> bytearray:
    """Follow the steps, and take from the file as it was after each what the fate lets arrive of it."""
    now, size = bytearray(synced), len(synced)
    arrived: dict[int, bytes] = {}
    written: set[int] = set()
    for step in steps:
        before = len(now)
        step.carry_out(now)
        if isinstance(step, Write):
            reached, resized = fate.of_write(step.sectors)
            arrived.update({number: bytes(now[_span(number)]) for number in reached})
            written.update(step.sectors)
        else:
            resized = fate.keeps_size()
            if resized:
                arrived.update({number: bytes(now[_span(number)]) for number in _sectors(len(now), before)})
        if resized:
            size = len(now)
    return _composed(synced, size, arrived, written, fate)


def _composed(synced: bytearray, size: int, arrived: dict[int, bytes], written: set[int], fate: Fate) -> bytearray:
    after = bytearray(synced)
    after.extend(bytes(max(0, size - len(after))))
    for number in sorted(written - arrived.keys()):
        start = max(number * SECTOR_OCTETS, len(synced))
        end = min((number + 1) * SECTOR_OCTETS, size)
        if start < end:
            after[start:end] = fate.missing(end - start)
    for number, octets in arrived.items():
        Write(number * SECTOR_OCTETS, octets.ljust(SECTOR_OCTETS, b"\0")).carry_out(after)
    Resize(size).carry_out(after)
    return after


def _sectors(start: int, end: int) -> range:
    return range(start // SECTOR_OCTETS, -(-end // SECTOR_OCTETS))


def _span(number: int) -> slice:
    return slice(number * SECTOR_OCTETS, (number + 1) * SECTOR_OCTETS)
