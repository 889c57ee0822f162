"""Faults of whole objects: of a vault, and of the files of a data folder; one at a time, and two at once.

Each object is taken away, emptied, cut off, lengthened, exchanged with another of its kind, given that one's bytes, or
those of another vault's, or found a second time under a name that its kind could have; each file of a data folder
likewise. What must come of it say `prove.faulty_vault` and `prove.broken_store`. All faults are dealt out to `UNITS`
units by their seeds; each unit also tries pairs of them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final, TypeVar

import structlog

from keepwell.vault.layout import BLOBS, EPOCHS, MANIFESTS, PACKS, TAILS, VAULT_DOCUMENT, epoch_name, epoch_of
from prove.broken_store import BrokenStore
from prove.broken_vault import Changes, Fault
from prove.case import Case, Unit
from prove.faulty_vault import FaultyVault
from prove.flipped_store import names_of, own_witness
from prove.flipped_vault import quick_folder
from prove.left_of_vault import left_of
from prove.small_world import SmallWorld, Tree, make_world, sorts_of

UNITS: Final = 16
PAIRS: Final = 5
SETTINGS: Final = "vaults/settings.json"
"""Of a vault that a start finds, and as many of one that is served."""

ALONE: Final[Mapping[str, Callable[[bytes], bytes | None]]] = {
    "missing": lambda _octets: None,
    "emptied": lambda _octets: b"",
    "cut off in the middle": lambda octets: octets[: len(octets) // 2],
    "cut off by a byte": lambda octets: octets[:-1],
    "lengthened": lambda octets: octets + b"\x00" * 100,
    "followed by itself": lambda octets: octets * 2,
}
"""What becomes of an object by itself."""

One = TypeVar("One")


@dataclass(frozen=True, slots=True)
class Wrong:
    """Objects that are other than they were, and how, in words."""

    what: str
    changes: Changes

    def and_also(self, other: Wrong) -> Wrong:
        """Both; of an object that both concern the other."""
        return Wrong(f"{self.what}, and {other.what}", {**self.changes, **other.changes})


def run(unit: Unit) -> None:
    """This unit's faults, one after the other."""
    random = unit.random("faults")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="prove-", dir=quick_folder(unit))))
        with own_witness(folder / "other"):
            other = make_world(folder / "other", f"{unit.seed}/other")
        stack.enter_context(own_witness(folder))
        world = make_world(folder, str(unit.seed))
        stack.enter_context(structlog.testing.capture_logs())
        with closing(FaultyVault(world, unit)) as faulty:
            _try_at_rest(faulty, world, other, unit.seed, random)
            _try_served(faulty, world, other, unit.seed, random)
        with closing(BrokenStore(world, unit)) as broken:
            for fault in _share(list(of_data(world)), unit.seed):
                broken.try_out(fault, check=True, start=True)


def _try_at_rest(faulty: FaultyVault, world: SmallWorld, other: SmallWorld, seed: int, random: Random) -> None:
    alone = list(of_vault(world.vault_files, other.vault_files))
    for wrong in [*_share(alone, seed), *_pairs(alone, random)]:
        faulty.try_at_rest(fault_of(world, world.vault_files, wrong))


def _try_served(faulty: FaultyVault, world: SmallWorld, other: SmallWorld, seed: int, random: Random) -> None:
    """By their numbers: each server that opens the vault puts objects of its own there."""
    numbers = range(len(list(of_vault(faulty.served_objects(), other.vault_files))))
    for number in _share(numbers, seed):
        faulty.try_served(partial(_numbered, world, other, number))
    for _ in range(PAIRS):
        faulty.try_served(
            lambda files: fault_of(world, files, next(_pairs(list(of_vault(files, other.vault_files)), random)))
        )


def _numbered(world: SmallWorld, other: SmallWorld, number: int, files: Tree) -> Fault:
    return fault_of(world, files, list(of_vault(files, other.vault_files))[number])


def _share(all_of_them: Sequence[One], seed: int) -> Sequence[One]:
    return all_of_them[seed % UNITS :: UNITS]


def _pairs(alone: Sequence[Wrong], random: Random) -> Iterator[Wrong]:
    """But never `vault.json` together with manifests: only these prove what was in it."""
    drawn = 0
    while drawn < PAIRS:
        both = Wrong.and_also(*random.sample(alone, 2))
        if VAULT_DOCUMENT not in both.changes or not any(name.startswith(MANIFESTS) for name in both.changes):
            drawn += 1
            yield both


def of_vault(files: Mapping[str, bytes], others: Mapping[str, bytes]) -> Iterator[Wrong]:
    """Every fault of one object, or of two that are exchanged; `others` are another vault's objects."""
    sorts = sorts_of(iter(files))
    for name, octets in files.items():
        for what, change in ALONE.items():
            yield Wrong(f"{name} {what}", {name: change(octets)})
        for peer in (one for one in sorts[name.partition("/")[0]] if one != name):
            yield Wrong(f"{name} with the bytes of {peer}", {name: files[peer]})
            if peer > name:
                yield Wrong(f"{name} exchanged with {peer}", {name: files[peer], peer: octets})
        if not name.startswith(TAILS):  # nothing in a tail says whose it is
            yield Wrong(f"{name} with the bytes of another vault's", {name: _like(others, name)})
        for second in _other_names(files, name):
            yield Wrong(f"{name} a second time as {second}", {second: octets})
        if name.startswith(TAILS):
            lines = octets.splitlines(keepends=True)
            yield Wrong(f"{name} as it was earlier", {name: b"".join(lines[: len(octets.split()) // 2])})


def _like(others: Mapping[str, bytes], name: str) -> bytes:
    """The object of another vault that comes nearest."""
    sort = name.partition("/")[0]
    return others.get(name) or next(octets for one, octets in others.items() if one.partition("/")[0] == sort)


def _other_names(files: Mapping[str, bytes], name: str) -> Iterator[str]:
    """Names that an object of this kind could have, and that none has."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    if name.startswith((PACKS, BLOBS)):
        yield name.replace(name.partition(".")[0].rpartition("/")[2], digest)
    elif name.startswith(MANIFESTS):
        yield re.sub(r"\d{10}", "0000000099", name)  # it has the hash of its bytes, and is the newest by its number
        yield re.sub(r"[0-9a-f]{64}", digest, name)
    elif name.startswith(TAILS):
        yield re.sub(r"-[a-z2-7]+", "-another", name)
    elif name.startswith(EPOCHS):
        yield epoch_name(max(epoch_of(one) or 0 for one in files) + 1)
    else:
        yield f"{name}.1"


def fault_of(world: SmallWorld, files: Mapping[str, bytes], wrong: Wrong) -> Fault:
    """With what may be named: the objects, their kind, and the accounts of which less is left."""
    changes = wrong.changes
    kinds = {kind for kind in (MANIFESTS, EPOCHS) for name in changes if name.startswith(kind)}
    now = {name: octets for name, octets in {**files, **changes}.items() if octets is not None}
    before, after = left_of(world, files), left_of(world, now)
    accounts = {account for account in before if before[account] != after[account]}
    return Fault(wrong.what, changes, frozenset({*changes, *kinds, *accounts}))


def of_data(world: SmallWorld) -> Iterator[Fault]:
    """Every fault of one file of the data folder, or of two that are exchanged."""
    files = world.data_files
    for name, octets in files.items():
        for what, change in ALONE.items():
            if name != SETTINGS or what != "missing":  # without them it is a folder that has no vaults
                yield Fault(f"{name} {what}", {name: change(octets)}, names_of(name))
        for peer in files:
            if peer > name and Path(peer).suffix == Path(name).suffix:
                changes = {name: files[peer], peer: octets}
                yield Fault(f"{name} exchanged with {peer}", changes, names_of(name) | names_of(peer))


CASE: Final = Case(
    "faulty-objects",
    "every object of a vault, and every file of a data folder, missing, cut off, exchanged or a second time",
    run,
    full=UNITS,
)
