"""Gathering: what an object is, and what of a vault in a bucket gets on the shelf."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from keepwell.model.errors import BadRequest, NotThere
from keepwell.model.names import Kind
from keepwell.vault.layout import PACKS
from keepwell.vault.salvage.gather import Gatherer, PlaceFound, Sort, sort_of
from keepwell.vault.salvage.places import MediumPlace, open_place
from keepwell.vault.salvage.shelf import Shelf
from keepwell.vault.vault import Vault
from tests.vault.journals import ANNA, Journal
from tests.vault.vaults import damage, fill, new_vault

HEX = "0" * 64

NAMES = {
    f"packs/{HEX}.jsonl.zst": Sort.PACK,
    f"old/vault/packs/{HEX}.jsonl.zst.age": Sort.PACK,
    f"blobs/00/{HEX}": Sort.BLOB,
    f"blobs/00/{HEX}.age": Sort.BLOB,
    f"manifests/0000000001-{HEX}.json.zst": Sort.MANIFEST,
    "tails/0000000001-abc.jsonl": Sort.TAIL,
    "epochs/0000000001.json": Sort.OURS,
    "vault.json": Sort.OURS,
    "accounts/an/a_annaannaannaanna.db": Sort.ACCOUNT_FILE,
    "accounts/an/.tmp-a_annaannaannaanna-abc.db": Sort.ACCOUNT_FILE,
    "set-aside/a_annaannaannaanna-2026-11-23-abc/a_annaannaannaanna.db": Sort.ACCOUNT_FILE,
    "accounts/sy/a_system.db": Sort.ACCOUNT_FILE,
    "accounts/an/a_annaannaannaanna.db-wal": Sort.WAL,
    "accounts/an/a_annaannaannaanna.db-shm": Sort.OURS,
    "access.db": Sort.OURS,
    "vaults/settings.json": Sort.OURS,
    "vaults/near/drill.key": Sort.KEY,
    "contacts/friends/bob.vcf": Sort.OTHER,
    "photos/a_picture.jpg": Sort.OTHER,
}


@pytest.mark.parametrize(("name", "sort"), NAMES.items(), ids=NAMES)
def test_what_an_object_is_its_name_says(name: str, sort: Sort) -> None:
    """Wherever it lies."""
    assert sort_of(name) is sort


@pytest.mark.parametrize(
    ("beginning", "sort"),
    [
        (b"SQLite format 3\0", Sort.ACCOUNT_FILE),
        (b"\x28\xb5\x2f\xfd", Sort.PACK),
        (b"age-encryption.org/v1\n", Sort.PACK),
        (b"BEGIN:VCARD", Sort.OTHER),
    ],
)
def test_without_a_name_its_first_bytes_say(beginning: bytes, sort: Sort) -> None:
    """As in a lost+found."""
    assert sort_of("#1234", beginning) is sort


def gathered(vault: Vault, folder: Path) -> tuple[Shelf, PlaceFound]:
    gatherer = Gatherer([MediumPlace("s3://bucket", vault.medium)], [])
    shelf = Shelf(folder / "shelf.db", gatherer.read_at)
    [found] = gatherer.gather(shelf)
    return shelf, found


def small_vault() -> tuple[Vault, Journal]:
    vault, journal = new_vault(), Journal()
    for number in range(8):
        journal.put(f"card{number}", b"card %d" % number)
    journal.put("large", bytes(200_000))
    fill(vault, journal, 1, 5)
    fill(vault, journal, 6)
    vault.put_manifest()
    return vault, journal


def test_a_vault_in_a_bucket_gives_everything(tmp_path: Path) -> None:
    """Records, bytes, large bytes and what its indexes say are on the shelf."""
    vault, journal = small_vault()
    shelf, found = gathered(vault, tmp_path)
    with closing(shelf):
        assert list(shelf.records(ANNA)) == [one.record for one in journal.carried]
        assert all(shelf.body(facts.digest) for one in journal.carried if (facts := one.record.facts).digest)
        assert shelf.ledger(ANNA, set()) == journal.ledger()
        assert (found.records, found.accounts, found.faults) == (len(journal.carried), {ANNA}, [])


def test_of_a_past_lineage_nothing_that_is_said_counts(tmp_path: Path) -> None:
    """A newer lineage took its place: neither its ledger nor where it ended is expected any more."""
    vault, journal = small_vault()
    shelf, _found = gathered(vault, tmp_path)
    with closing(shelf):
        lineage = journal.carried[0].record.facts.lineage
        shelf.say_head(ANNA, lineage, 99)
        assert (shelf.head(ANNA, set()), shelf.head(ANNA, {lineage})) == (99, 0)
        assert (list(shelf.ledger(ANNA, set())), shelf.ledger(ANNA, {lineage})) == ([Kind.CONTACTS], {})


def test_damaged_and_missing_objects_are_told(tmp_path: Path) -> None:
    """A pack that is not what its name says, and one that the newest manifest lists and is not there."""
    vault, _journal = small_vault()
    one, other = (info.name for info in vault.medium.list(PACKS))
    damage(vault, one)
    vault.medium.remove(other)
    shelf, found = gathered(vault, tmp_path)
    shelf.close()
    assert {fault.name: fault.message.split(";")[0] for fault in found.faults} == {
        one: "it is damaged",
        other: "it is missing",
    }


def test_a_place_must_be_one() -> None:
    """Another sort of URL, or a path where nothing is, is refused."""
    with pytest.raises(BadRequest):
        open_place("ftp://somewhere/else")
    with pytest.raises(NotThere):
        open_place("/nowhere/at/all")
