"""Gathering: what an object is, and what of a vault in a bucket gets on the shelf."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from pyrage.x25519 import Identity

from keepwell.model.errors import BadRequest, Damaged, NotThere, StorageFault
from keepwell.model.names import Digest, Kind
from keepwell.model.record import digest_of
from keepwell.vault.documents import Manifest, parse_manifest, render_manifest
from keepwell.vault.layout import BLOBS, MANIFESTS, PACKS, manifest_name
from keepwell.vault.memory_medium import MemoryMedium
from keepwell.vault.salvage.gather import Gatherer, PlaceFound, Sort, sort_of
from keepwell.vault.salvage.places import FolderPlace, MediumPlace, open_place
from keepwell.vault.salvage.shelf import Shelf
from keepwell.vault.sealing import AgeSeal
from keepwell.vault.vault import Vault
from tests.vault.filled import Filled
from tests.vault.journals import ANNA, BERT, Journal
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


def gathered_from(folder: Path, tmp_path: Path, *keys: Identity) -> tuple[Shelf, PlaceFound]:
    gatherer = Gatherer([FolderPlace(folder)], keys)
    shelf = Shelf(tmp_path / "shelf.db", gatherer.read_at)
    [found] = gatherer.gather(shelf)
    return shelf, found


def test_an_object_that_cannot_be_read_costs_no_other(tmp_path: Path) -> None:
    """It is told, and the rest is looked at."""
    vault, journal = small_vault()
    broken = vault.frames(ANNA)[0].pack

    def fail(_operation: str, name: str) -> None:
        if name == broken:
            raise StorageFault("the disk does not answer")

    assert isinstance(vault.medium, MemoryMedium)
    vault.medium.before = fail
    shelf, found = gathered(vault, tmp_path)
    with closing(shelf):
        assert list(shelf.records(ANNA)) == [one.record for one in journal.carried[5:]]
        assert [(fault.name, fault.message) for fault in found.faults] == [(broken, "the disk does not answer")]


def test_a_damaged_manifest_and_a_damaged_blob_are_told(tmp_path: Path) -> None:
    """The damaged bytes get on no shelf, and what the manifest said is not known."""
    vault, journal = small_vault()
    [manifest] = [info.name for info in vault.medium.list(MANIFESTS)]
    [blob] = [info.name for info in vault.medium.list(BLOBS)]
    for name in (manifest, blob):
        damage(vault, name)
    shelf, found = gathered(vault, tmp_path)
    with closing(shelf):
        assert {fault.name for fault in found.faults} == {manifest, blob}
        assert not shelf.has_body(Digest(journal.carried[-1].record.facts.digest or ""))


def test_a_manifest_that_is_damaged_and_can_be_read_tells_nothing(tmp_path: Path) -> None:
    """A flipped bit in a number would be told as so many records lost, one in a name as an account that never was."""
    vault, journal = small_vault()
    [name] = [info.name for info in vault.medium.list(MANIFESTS)]
    manifest = parse_manifest(vault.medium.read(name))
    notes = {ANNA: msgspec.structs.replace(manifest.accounts[ANNA], seq=4711), BERT: manifest.accounts[ANNA]}
    vault.medium.remove(name)
    vault.medium.create(name, render_manifest(msgspec.structs.replace(manifest, accounts=notes)))
    shelf, found = gathered(vault, tmp_path)
    with closing(shelf):
        assert shelf.accounts() == [ANNA]
        assert shelf.head(ANNA, set()) <= len(journal.carried)
        assert [fault.name for fault in found.faults] == [name]


def test_a_manifest_that_is_none_is_told(tmp_path: Path) -> None:
    """Its bytes are those that its name says, and make no sense all the same."""
    vault, _journal = small_vault()
    name = manifest_name(99, b"nonsense")
    vault.medium.create(name, b"nonsense")
    shelf, found = gathered(vault, tmp_path)
    with closing(shelf):
        assert shelf.accounts() == [ANNA]
        assert [fault.name for fault in found.faults] == [name]


def test_of_several_manifests_the_newest_says_what_is_missing(tmp_path: Path) -> None:
    """Whatever the order is in which they are found: an older copy of the vault may lie beside."""
    old = Manifest(
        manifest=1, vault="v_near", epoch=1, number=1, at="", packs={"packs/old": 1}, accounts={}, documents={}
    )
    new = msgspec.structs.replace(old, number=2, packs={"packs/new": 1})
    for folder, manifest in (("a", new), ("b", old)):
        stored = render_manifest(manifest)
        path = tmp_path / "copies" / folder / manifest_name(manifest.number, stored)
        path.parent.mkdir(parents=True)
        path.write_bytes(stored)
    shelf, found = gathered_from(tmp_path / "copies", tmp_path)
    shelf.close()
    assert [fault.name for fault in found.faults] == ["packs/new"]


def test_what_looks_like_an_account_and_is_none_is_told(tmp_path: Path) -> None:
    """A file that lost its name, and of which nothing but the first bytes is left."""
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "lost+found" / "#1234").write_bytes(b"SQLite format 3\0" + bytes(4080))
    shelf, found = gathered_from(tmp_path / "lost+found", tmp_path)
    with closing(shelf):
        assert (shelf.accounts(), [fault.name for fault in found.faults]) == ([], ["#1234"])


def test_a_tail_that_no_key_opens_still_says_how_far_it_led(tmp_path: Path) -> None:
    """So that the loss report knows what is missing."""
    seal = AgeSeal([str(Identity.generate().to_public())])
    made = Filled(seal=seal)
    made.grow(ANNA, cards=1)
    tail = made.confirm(ANNA, cards=2)
    shelf, found = gathered(made.vault, tmp_path)
    with closing(shelf):
        assert (list(shelf.records(ANNA)), shelf.head(ANNA, set())) == ([], made.head(ANNA).sequence)
        assert [(fault.name, "other keys" in fault.message) for fault in found.faults] == [(tail, True)]


def test_a_place_is_a_folder_a_file_or_a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by path or URL; links are not followed, they may lead in circles or out of what was meant."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"KEEPWELL_VAULT_SALVAGE_{name}", "key")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "one").write_bytes(b"one")
    (tmp_path / "below" / "link").symlink_to(tmp_path / "below" / "one")
    for text in (str(tmp_path), f"file://{tmp_path}"):
        assert [info.name for info in open_place(text).objects()] == ["below/one"]
    alone = open_place(str(tmp_path / "below" / "one"))
    assert [(info.name, alone.read(info.name)) for info in alone.objects()] == [("one", (b"one", 0))]
    with closing(open_place("s3://bucket/prefix?endpoint=http://127.0.0.1:9")) as bucket:
        assert isinstance(bucket, MediumPlace)


def test_what_is_not_there_any_more_is_told_from_what_cannot_be_opened(tmp_path: Path) -> None:
    """The first was removed meanwhile, the second is a fault of the disk, or of its file system."""
    (tmp_path / "one").write_bytes(b"one")
    place = FolderPlace(tmp_path)
    with pytest.raises(NotThere, match="any more"):
        place.read("two")
    with pytest.raises(StorageFault, match="cannot be opened"):
        place.read("one/below")


def test_bytes_that_changed_since_they_were_found_are_not_taken(tmp_path: Path) -> None:
    """Somebody writes there while it is salvaged."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "bob.vcf").write_bytes(b"Bob")
    shelf, _found = gathered_from(tmp_path / "files", tmp_path)
    with closing(shelf):
        assert shelf.body(digest_of(b"Bob")) == b"Bob"
        (tmp_path / "files" / "bob.vcf").write_bytes(b"Rob")
        with pytest.raises(Damaged, match="a moment ago"):
            shelf.body(digest_of(b"Bob"))
        with pytest.raises(Damaged, match="not found"):
            shelf.body(digest_of(b"never there"))
