"""A damaged index of a pack costs nothing that is in the pack, and nobody is told of records that never were."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

import msgspec
import pyrage
import pytest

from keepwell.storage.contract import Carried
from keepwell.vault.keys import Recipients
from keepwell.vault.lines import render_line
from keepwell.vault.memory_medium import MemoryMedium
from keepwell.vault.pack import Frame, read_index, render_pack
from keepwell.vault.reading import read_account
from keepwell.vault.reindexing import reindexed
from keepwell.vault.repair import repair_vault
from keepwell.vault.sealing import AgeSeal, PlainSeal
from keepwell.vault.vault import Vault
from keepwell.vault.verify import Grade, verify
from tests.vault.filled import Filled
from tests.vault.journals import ANNA, BERT, Journal

AT = "2026-11-23T08:00:00.000000Z"
FIRST_WORD = len(b"age-encryption.org/v1\n")


def plain() -> Filled:
    return filled_by(Filled())


def sealed() -> Filled:
    key = pyrage.x25519.Identity.generate()
    public = str(key.to_public())
    return filled_by(Filled(seal=AgeSeal([public], [key]), recipients=Recipients(public, public, public)))


def filled_by(made: Filled) -> Filled:
    made.grow(ANNA, cards=2)
    made.grow(BERT, cards=1)
    made.ship()
    made.vault.put_manifest()
    return made


def memory(made: Filled) -> MemoryMedium:
    if not isinstance(made.medium, MemoryMedium):
        raise TypeError("not in memory")
    return made.medium


def the_pack(made: Filled) -> tuple[str, bytes]:
    [pack] = made.vault.packs()
    return pack.name, made.medium.read(pack.name)


def indexes_with_a_flip(stored: bytes) -> Iterator[bytes]:
    """The pack with one bit flipped, in each byte from the end of its last frame on."""
    index, chance = read_index(stored), random.Random(1)
    assert index is not None
    for offset in range(index.frames[-1].offset + index.frames[-1].length, len(stored)):
        yield stored[:offset] + bytes([stored[offset] ^ 1 << chance.randrange(8)]) + stored[offset + 1 :]


def everything(vault: Vault) -> list[list[Carried]]:
    return [list(read_account([vault], account)) for account in (ANNA, BERT)]


@pytest.mark.parametrize("make", [plain, sealed])
def test_wherever_a_bit_of_the_index_is_flipped_the_heads_are_the_true_ones(make: Callable[[], Filled]) -> None:
    """And every record is read, the pack is named, and made good from the store."""
    made = make()
    name, stored = the_pack(made)
    heads, all_of_it = made.vault.heads(), everything(made.vault)
    for octets in indexes_with_a_flip(stored):
        memory(made).replace(name, octets)
        vault = made.open()
        assert vault.heads() == heads
        assert everything(vault) == all_of_it
        assert name in {one.object for one in verify(vault, Grade.CONTENT).findings}
    writing = made.open(claim=True)
    done = repair_vault(writing, verify(writing, Grade.CONTENT).findings, made.store)
    assert (name in done.objects, done.failures) == (True, {})
    assert verify(made.open(), Grade.RECORDS).is_whole


@pytest.mark.parametrize("make", [plain, sealed])
def test_an_index_made_anew_says_what_the_index_said(make: Callable[[], Filled]) -> None:
    """But for the ledgers and the epoch, of which no record tells."""
    made = make()
    _name, stored = the_pack(made)
    index = read_index(stored)
    assert index is not None
    found, is_all = reindexed(stored, index.vault, made.seal)
    assert is_all
    assert found.frames == tuple(without_ledger(one) for one in index.frames)


def without_ledger(frame: Frame) -> Frame:
    return msgspec.structs.replace(frame, ledger={})


def test_a_pack_with_a_damaged_frame_and_a_damaged_index_stays_until_somebody_looks() -> None:
    """What was in that frame nobody can tell any more: no manifest lists the pack, and repairing leaves it there."""
    made = plain()
    name, stored = the_pack(made)
    index = read_index(stored)
    assert index is not None
    place = index.frames[1].offset + 20
    memory(made).replace(name, stored[:place] + b"?" + stored[place + 1 : -30] + b"?" + stored[-29:])
    writing = made.open(claim=True)
    [pack] = writing.packs()
    assert (pack.is_reindexed, pack.is_partial) == (True, True)
    assert name not in writing.put_manifest().packs
    done = repair_vault(writing, verify(writing, Grade.CONTENT).findings, made.store)
    assert name in done.failures
    assert made.medium.exists(name)


@pytest.mark.parametrize("make", [plain, sealed])
def test_a_pack_that_was_cut_off_gives_the_frames_that_are_whole(make: Callable[[], Filled]) -> None:
    """Cut behind the word by which one is known: nothing of it counts, and it is known that something is missing."""
    made = make()
    _name, stored = the_pack(made)
    index = read_index(stored)
    assert index is not None
    first, last = index.frames
    end = last.offset + last.length
    for left in (*range(last.offset + FIRST_WORD, end, 7), end - 1):  # the last octets are of a checksum
        found, is_all = reindexed(stored[:left], index.vault, made.seal)
        assert (found.frames, is_all) == ((without_ledger(first),), False), left


@pytest.mark.parametrize("lines", [[], [0, 1, 3], [0, 2, 1, 3], [0, 1, 1]], ids=["none", "gap", "order", "twice"])
def test_a_frame_whose_records_do_not_follow_each_other_is_none(lines: list[int]) -> None:
    """Each of them proves itself; that they are an account's successive records only their chain says."""
    journal = Journal()
    journal.put("bob")
    journal.put("eve")
    run = journal.run(lines=[render_line(journal.carried[place]) for place in lines])
    stored, _index = render_pack([run, Journal(BERT).run()], vault="v", epoch=1, at=AT, seal=PlainSeal())
    found, is_all = reindexed(stored, "v", PlainSeal())
    assert ([frame.account for frame in found.frames], is_all) == ([BERT], False)


def test_a_manifest_keeps_the_ledger_that_a_damaged_index_does_not_tell() -> None:
    """What must be there is not forgotten because the object that told it is damaged."""
    made = plain()
    name, stored = the_pack(made)
    before = made.vault.manifest()
    memory(made).replace(name, stored[:-30] + b"?" + stored[-29:])
    after = made.open(claim=True).put_manifest()
    assert before is not None
    assert after.accounts == before.accounts


def test_an_index_of_before_it_had_a_hash_is_read() -> None:
    """Packs of older versions are as good as they were."""
    made = plain()
    _name, stored = the_pack(made)
    index = read_index(stored)
    older = re.sub(rb',"hash":"[0-9a-f]{64}"\}\n$', b"}\n", stored)
    assert older != stored
    assert read_index(older) == index
    assert reindexed(older, "v", PlainSeal())[1]
