"""The bytes of a file after a cut: what was synced for certain, and of the rest only what there once was."""

from __future__ import annotations

from random import Random

import pytest
from prove.lossy.content import SECTOR_OCTETS, Content
from prove.lossy.fate import Fate, Mode

SEEDS = range(150)
OLD, NEW = b"o" * SECTOR_OCTETS, b"n" * SECTOR_OCTETS


def after_cut(content: Content, mode: Mode, seed: int) -> bytes:
    content.survive(Fate(mode, str(seed)))
    return bytes(content.seen)


def old_file(sectors: int) -> Content:
    content = Content()
    content.write(0, OLD * sectors)
    content.sync()
    return content


def step(content: Content, random: Random) -> None:
    """A write or another size, small enough that steps overlap."""
    place = random.randrange(6 * SECTOR_OCTETS)
    if random.random() < 0.2:
        content.resize(place)
    else:
        content.write(place, random.randbytes(random.randrange(1, 3 * SECTOR_OCTETS)))


def sector(octets: bytes, number: int) -> bytes:
    return octets[number * SECTOR_OCTETS : (number + 1) * SECTOR_OCTETS].ljust(SECTOR_OCTETS, b"\0")


@pytest.mark.parametrize("mode", Mode)
def test_what_was_synced_survives_every_seed(mode: Mode) -> None:
    """Nothing that comes after a sync takes away what no step after it touched."""
    for seed in SEEDS:
        content = old_file(4)
        content.write(5 * SECTOR_OCTETS, NEW)
        assert after_cut(content, mode, seed).startswith(OLD * 4)


@pytest.mark.parametrize("mode", Mode)
def test_every_sector_shows_a_state_that_it_had(mode: Mode) -> None:
    """Since the last sync, that is; and the size is one that the file had. Only where it grew may be odd bytes."""
    for seed in SEEDS:
        content, random = Content(), Random(seed)
        for _ in range(random.randrange(4)):
            step(content, random)
        content.sync()
        states = [bytes(content.seen)]
        for _ in range(random.randrange(6)):
            step(content, random)
            states.append(bytes(content.seen))
        found = after_cut(content, mode, seed)
        assert len(found) in {len(state) for state in states}
        for number in range(len(states[0]) // SECTOR_OCTETS):
            end = len(found) - number * SECTOR_OCTETS
            assert sector(found, number)[:end] in {sector(state, number)[:end] for state in states}


def test_nothing_or_everything() -> None:
    """`drop` leaves what was synced, `keep` what was seen; then that is certain."""
    for seed in SEEDS:
        content, random = old_file(2), Random(seed)
        for _ in range(5):
            step(content, random)
        seen = bytes(content.seen)
        assert after_cut(content, Mode.KEEP, seed) == seen
        assert after_cut(content, Mode.DROP, seed) == seen
    content.write(0, b"x")
    assert after_cut(content, Mode.DROP, 0) == seen


def test_the_later_write_without_the_earlier_one() -> None:
    """Writes arrive in any order, and each may be missing."""
    seen = set()
    for seed in SEEDS:
        content = old_file(4)
        content.write(0, NEW)
        content.write(3 * SECTOR_OCTETS, NEW)
        found = after_cut(content, Mode.SOME, seed)
        seen.add((found.startswith(NEW), found.endswith(NEW)))
    assert seen == {(False, False), (False, True), (True, False), (True, True)}


def test_torn_writes_begin_and_end_at_sectors() -> None:
    """A write of four sectors is there from its beginning, from its middle, in two parts; never a part of a sector."""
    seen = set()
    for seed in range(1000):
        content = old_file(4)
        content.write(0, NEW * 4)
        found = after_cut(content, Mode.TEAR, seed)
        seen.add("".join(found[place : place + 1].decode() for place in range(0, len(found), SECTOR_OCTETS)))
        assert set(found.replace(OLD, b"").replace(NEW, b"")) == set()
    assert len(seen) == 16


def test_a_part_of_a_sector_keeps_its_order() -> None:
    """The second write in a sector is never there without the first."""
    for seed in SEEDS:
        content = old_file(1)
        content.write(0, b"1")
        content.write(1, b"2")
        assert after_cut(content, Mode.TEAR, seed)[:2] in {b"oo", b"1o", b"12"}


def test_where_a_file_grew_anything_may_be() -> None:
    """The size may be there without the bytes: then there are zeros, or what lay there before."""
    seen = set()
    for seed in SEEDS:
        content = old_file(1)
        content.write(SECTOR_OCTETS, NEW)
        found = after_cut(content, Mode.TEAR, seed)[SECTOR_OCTETS:]
        seen.add({b"": "nothing", NEW: "new", bytes(SECTOR_OCTETS): "zeros"}.get(found, "odd bytes"))
    assert seen == {"nothing", "new", "zeros", "odd bytes"}
