"""One flipped bit in any byte of any object of a vault: found by name, never read for right, made good from the store.

What must come of it says `prove.broken_vault`. A unit takes every `UNITS`th byte of each object, the first of them by
its seed, and flips one bit, so as many units with successive seeds flip a bit of each byte.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Final

from prove.broken_vault import BrokenVault, Fault
from prove.case import Case, Unit
from prove.small_world import SmallWorld, flipped, make_world

UNITS: Final = 512
BYTES: Final = ("blobs/", "README.md")
"""Objects of which no reader makes anything but bytes; with one of `WHOLE_ONE_OF` of theirs everything is done."""
WHOLE_ONE_OF: Final = 16
RESTORED_ONE_OF: Final = 64
"""A whole restore is carried out after one of so many flips."""


def run(unit: Unit) -> None:
    """Every byte of this unit's, one after the other; by turns a start or the keeper mends."""
    random = unit.random("flips")
    with tempfile.TemporaryDirectory(prefix="prove-", dir=quick_folder(unit)) as folder:
        world = make_world(Path(folder), str(unit.seed))
        with closing(BrokenVault(world, unit)) as broken:
            for number, fault in enumerate(_faults(world, unit.seed, random)):
                if number % WHOLE_ONE_OF and next(iter(fault.names)).startswith(BYTES):
                    broken.try_bytes(fault)
                    continue
                broken.try_out(fault, by_start=number % 2 == 1, restore_too=number % RESTORED_ONE_OF == 0)


def quick_folder(unit: Unit) -> Path:
    """In memory where that can be had: nothing is cut off here, so nothing depends on syncs."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() else unit.folder


def _faults(world: SmallWorld, seed: int, random: Random) -> Iterator[Fault]:
    for name, octets in world.vault_files.items():
        for offset in range(seed % UNITS, len(octets), UNITS):
            bit = random.randrange(8)
            what = f"bit {bit} of byte {offset} of {name} flipped"
            yield Fault(what, {name: flipped(octets, offset, bit)}, frozenset({name}))


CASE: Final = Case("flipped-vault", "a bit of every byte of every object of a vault", run, short=1, full=UNITS)
