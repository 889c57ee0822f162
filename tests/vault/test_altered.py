"""A vault seen through an alteration is other where it was altered, the same elsewhere, and never written to."""

from __future__ import annotations

import pytest

from keepwell.model.errors import BadRequest, NotThere
from keepwell.vault.altered import Alteration, AlteredMedium, Flip, account_gone
from keepwell.vault.layout import PACKS
from keepwell.vault.medium import Medium, ObjectInfo
from keepwell.vault.memory_medium import MemoryMedium
from keepwell.vault.pack import cut_pack, read_index
from keepwell.vault.vault import Vault
from keepwell.vault.verify import Grade, verify
from tests.vault.filled import Filled, filled
from tests.vault.journals import ANNA, BERT


def medium() -> MemoryMedium:
    made = MemoryMedium()
    made.create("packs/a", b"0123456789")
    made.create("packs/b", b"bbbb")
    return made


def seen(medium: Medium, here: Filled) -> Vault:
    vault = Vault("here", medium, here.document, here.seal, here.clock)
    vault.look()
    return vault


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [
        (0, 10, b"0123\x35567"),
        (4, 1, b"\x35"),
        (5, 3, b"567"),
        (-6, 2, b"\x355"),
        (-100, 6, b"0123\x355"),
        (3, 100, b"3\x355"),
    ],
)
def test_one_byte_is_another_wherever_a_part_begins(offset: int, length: int, expected: bytes) -> None:
    """Reading whole and reading any part agree; other objects are as they are."""
    altered = AlteredMedium(medium(), Alteration(flipped={"packs/a": Flip(4, 1)}))
    assert altered.read("packs/a") == b"0123\x3556789"
    assert altered.read_range("packs/a", offset, length).startswith(expected[: min(length, 6)])
    assert altered.read("packs/b") == b"bbbb"
    assert list(altered.list()) == list(medium().list())


def test_a_hidden_object_is_not_there_in_any_way() -> None:
    """Not read, not found, not listed."""
    altered = AlteredMedium(medium(), Alteration(hidden=frozenset({"packs/a"})))
    for read in (lambda: altered.read("packs/a"), lambda: altered.read_range("packs/a", 0, 1)):
        with pytest.raises(NotThere):
            read()
    assert not altered.exists("packs/a")
    assert altered.exists("packs/b")
    assert [info.name for info in altered.list()] == ["packs/b"]


def test_an_added_object_is_there_in_every_way() -> None:
    """Read whole and in part, found, listed in its place with its size."""
    altered = AlteredMedium(medium(), Alteration(added={"packs/ab": b"xyz", "blobs/x": b""}))
    assert (altered.read("packs/ab"), altered.read_range("packs/ab", -2, 1)) == (b"xyz", b"y")
    assert altered.exists("packs/ab")
    assert list(altered.list("packs/")) == [
        ObjectInfo("packs/a", 10),
        ObjectInfo("packs/ab", 3),
        ObjectInfo("packs/b", 4),
    ]


def test_nothing_is_written_through_the_view() -> None:
    """Creating, removing, logs and settling them are refused, and the medium below is as before."""
    below = medium()
    altered = AlteredMedium(below, Alteration())
    for write in (
        lambda: altered.create("packs/c", b""),
        lambda: altered.remove("packs/a"),
        lambda: altered.open_log("t"),
        lambda: altered.settle("tails/"),
        lambda: altered.keeps("packs/a"),
    ):
        with pytest.raises(BadRequest, match="only read"):
            write()
    altered.close()
    assert list(below.list()) == list(medium().list())
    assert altered.identity() == below.identity()


def test_a_pack_without_an_account_holds_the_others_as_they_were() -> None:
    """The frames that are left lead to the same records; of the last account nothing is left."""
    here = filled()
    packs = [pack for pack in here.vault.packs() if {frame.account for frame in pack.index.frames} == {ANNA, BERT}]
    stored = here.medium.read(packs[0].name)
    cut = cut_pack(stored, packs[0].index, ANNA, sealed=False)
    assert cut is not None
    index = read_index(cut)
    assert index is not None
    assert [frame.account for frame in index.frames] == [BERT]
    assert cut_pack(cut, index, BERT, sealed=False) is None


def test_an_account_that_is_gone_leaves_a_vault_whose_every_hash_is_right() -> None:
    """Content is proven, and the account is missed all the same, because the manifest says that it must be there."""
    here = filled()
    manifest = here.vault.manifest()
    assert manifest is not None
    packs = {pack.name: pack.index for pack in here.vault.packs() if BERT in {one.account for one in pack.index.frames}}
    altered = AlteredMedium(here.medium, account_gone(here.medium, packs, manifest, BERT, sealed=False))
    vault = seen(altered, here)
    assert set(vault.heads()) == {ANNA}
    assert vault.head(ANNA) == here.vault.head(ANNA)
    assert {info.name for info in altered.list(PACKS)}.isdisjoint(packs)
    found = verify(vault, Grade.RECORDS)
    assert {one.object for one in found.findings} == {BERT}
    assert verify(here.vault, Grade.RECORDS).is_whole
