"""One flipped bit in any byte of any file of a data folder: never served for right, found, made good from the vault.

What must come of it says `prove.broken_store`. A unit takes every `UNITS`th byte of each file, the first of them by its
seed, and flips one bit, so as many units with successive seeds flip a bit of each byte.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

import structlog

from keepwell.app.config import WITNESS_VARIABLE
from prove.broken_store import BrokenStore
from prove.broken_vault import Fault
from prove.case import Case, Unit
from prove.flipped_vault import quick_folder
from prove.small_world import SmallWorld, flipped, make_world

UNITS: Final = 512


@dataclass(frozen=True, slots=True)
class Effort:
    """With one of so many flips in a sort of file it is checked, or a start is made; the others are only served."""

    checked: int = 1
    started: int = 1
    is_served: bool = True


FULL: Final = Effort()
EFFORTS: Final = {
    ".db": Effort(4, 32),
    "-wal": Effort(64, 32, is_served=False),  # what is in it is served only after a start has found it
    "-shm": Effort(64, 64, is_served=False),
}
BLOB: Final = Effort(64, 64)


def run(unit: Unit) -> None:
    """Every byte of this unit's, one after the other."""
    random = unit.random("flips")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="prove-", dir=quick_folder(unit))))
        stack.enter_context(own_witness(folder))
        world = make_world(folder, str(unit.seed))
        stack.enter_context(structlog.testing.capture_logs())
        with closing(BrokenStore(world, unit)) as broken:
            for number, (name, fault) in enumerate(_faults(world, unit.seed, random)):
                _try(broken, name, fault, number)


def _try(broken: BrokenStore, name: str, fault: Fault, number: int) -> None:
    is_blob = name.startswith("blobs/")
    effort = BLOB if is_blob else next((one for end, one in EFFORTS.items() if name.endswith(end)), FULL)
    check, start = number % effort.checked == 0, number % effort.started == 0
    if is_blob and not check:
        broken.try_bytes(fault)
    elif check or start or effort.is_served:
        broken.try_out(fault, check=check, start=start)


@contextmanager
def own_witness(folder: Path) -> Iterator[None]:
    """The witness of what is started here lies in this folder."""
    before = os.environ.get(WITNESS_VARIABLE)
    os.environ[WITNESS_VARIABLE] = str(folder / "witness.jsonl")
    try:
        yield
    finally:
        os.environ.pop(WITNESS_VARIABLE)
        if before is not None:
            os.environ[WITNESS_VARIABLE] = before


def _faults(world: SmallWorld, seed: int, random: Random) -> Iterator[tuple[str, Fault]]:
    for name, octets in world.data_files.items():
        for offset in range(seed % UNITS, len(octets), UNITS):
            bit = random.randrange(8)
            what = f"bit {bit} of byte {offset} of {name} flipped"
            yield name, Fault(what, {name: flipped(octets, offset, bit)}, names_of(name))


def names_of(name: str) -> frozenset[str]:
    """What may be named when a file is broken."""
    stem = name.rpartition("/")[2]
    return frozenset({name, stem, stem.partition(".")[0]})


CASE: Final = Case("flipped-store", "a bit of every byte of every file of a data folder", run, short=1, full=UNITS)
