"""Verifying finds whatever is wrong in a vault: flipped bytes, objects gone, cut or exchanged, false ledgers, forks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pyrage
import pytest

from keepwell.model.errors import Locked, StorageFault
from keepwell.model.names import Kind
from keepwell.model.record import Op
from keepwell.model.weight import Weight
from keepwell.vault import ship as shipping
from keepwell.vault import verify_content as contents
from keepwell.vault.catalogue import NOTHING
from keepwell.vault.documents import EpochDocument, render_document, render_epoch_document
from keepwell.vault.findings import Found
from keepwell.vault.keys import Recipients
from keepwell.vault.layout import README, VAULT_DOCUMENT, epoch_name
from keepwell.vault.lines import render_line
from keepwell.vault.medium import ObjectInfo
from keepwell.vault.memory_medium import MemoryMedium
from keepwell.vault.pack import SHIP_LEVEL, Run
from keepwell.vault.sealing import AgeSeal
from keepwell.vault.vault import Vault
from keepwell.vault.verify import Grade, verify
from keepwell.vault.verify_content import verify_content, verify_object
from keepwell.vault.verify_records import verify_records
from tests.vault.filled import PHOTO, Filled, filled
from tests.vault.journals import ANNA, BERT, Journal
from tests.vault.vaults import SERVER, damage, fill, new_vault, reopened


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Filled:
    """A vault whose photo is a blob though it is small, so that every byte of everything can be tried."""
    monkeypatch.setattr(shipping, "INLINE_OCTETS_MAX", 100)
    made = Filled()
    made.grow(ANNA, cards=2, photo=b"photo" * 20)
    made.grow(BERT, cards=1)
    made.ship()
    made.vault.put_manifest()
    made.confirm(ANNA)
    return made


@pytest.fixture
def whole() -> Filled:
    return filled()


def objects(made: Filled) -> list[ObjectInfo]:
    return list(made.medium.list())


def named(made: Filled, prefix: str) -> str:
    """The last object whose name begins so."""
    return [info.name for info in objects(made) if info.name.startswith(prefix)][-1]


def memory(made: Filled) -> MemoryMedium:
    if not isinstance(made.medium, MemoryMedium):
        raise TypeError("not in memory")
    return made.medium


def flips(stored: bytes, masks: Callable[[int], list[int]]) -> Iterator[tuple[int, bytes]]:
    for offset in range(len(stored)):
        for mask in masks(offset):
            yield offset, stored[:offset] + bytes([stored[offset] ^ mask]) + stored[offset + 1 :]


def damaged(found: Found) -> set[str]:
    return {one.object for one in found.findings if one.weight is Weight.DAMAGE}


@pytest.mark.parametrize("grade", Grade)
def test_nothing_is_found_in_a_vault_that_is_whole(whole: Filled, grade: Grade) -> None:
    """No finding of any weight, in any grade, and something was looked at."""
    found = verify(whole.open(), grade)
    assert (found.findings, found.objects > 0, found.octets > 0) == ([], True, True)


def test_a_flipped_bit_of_any_byte_of_any_object_is_found(small: Filled) -> None:
    """README, vault.json, epochs, manifests, packs, blobs, tails: each byte of each, one bit of it."""
    vault = small.open()
    missed = []
    for info in objects(small):
        stored = small.medium.read(info.name)
        for offset, octets in flips(stored, lambda offset: [1 << offset % 8]):
            memory(small).replace(info.name, octets)
            if not verify_object(vault, info).findings:
                missed.append((info.name, offset))
        memory(small).replace(info.name, stored)
    assert missed == []
    assert len({info.name.partition("/")[0] for info in objects(small)}) == 7


def test_every_bit_of_a_tail_counts(small: Filled) -> None:
    """A tail has no hash of its own: all eight bits of each of its bytes are found all the same."""
    vault, name = small.open(), named(small, "tails/")
    stored = small.medium.read(name)
    missed = []
    for offset, octets in flips(stored, lambda _offset: [1 << bit for bit in range(8)]):
        memory(small).replace(name, octets)
        if not verify_object(vault, ObjectInfo(name, len(octets))).findings:
            missed.append((offset, octets[offset]))
    assert missed == []


def test_a_flipped_bit_in_an_encrypted_tail_is_found() -> None:
    """The names of heads, which nothing seals, included."""
    key = pyrage.x25519.Identity.generate()
    public = str(key.to_public())
    made = Filled(seal=AgeSeal([public], [key]), recipients=Recipients(public, public, public))
    made.grow(ANNA)
    made.ship()
    name = made.confirm(ANNA, cards=1)
    vault, stored = made.open(), made.medium.read(name)
    assert verify(vault, Grade.RECORDS).is_whole
    missed = []
    for offset, octets in flips(stored, lambda offset: [1 << offset % 8]):
        memory(made).replace(name, octets)
        if not verify_object(vault, ObjectInfo(name, len(octets))).findings:
            missed.append(offset)
    assert missed == []


def test_a_tail_without_its_key_is_told_as_not_proven() -> None:
    """No damage is claimed where nothing can be read."""
    key = pyrage.x25519.Identity.generate()
    public = str(key.to_public())
    made = Filled(seal=AgeSeal([public], [key]), recipients=Recipients(public, public, public))
    name = made.confirm(ANNA, cards=1)
    blind = Vault("here", made.medium, made.document, AgeSeal([public]), made.clock)
    found = verify_object(blind, ObjectInfo(name, 1))
    assert [(one.weight, one.message[:10]) for one in found.findings] == [(Weight.NOTE, "not proven")]


def test_a_line_that_a_crash_cut_off_is_no_damage(small: Filled) -> None:
    """It was not confirmed; damage before it is told as such."""
    name = named(small, "tails/")
    stored = small.medium.read(name).rstrip(b"\n")
    memory(small).replace(name, stored[:-20] + b"\n\n\n")
    found = verify(small.open(), Grade.CONTENT)
    assert [(one.object, one.weight) for one in found.findings] == [(name, Weight.NOTE)]
    memory(small).replace(name, stored.replace(b'"friends"', b'"fiends"', 1))
    assert damaged(verify(small.open(), Grade.CONTENT)) == {name}


@pytest.mark.parametrize("prefix", ["packs/", "blobs/", README, VAULT_DOCUMENT])
def test_a_missing_object_is_found_by_existence(whole: Filled, prefix: str) -> None:
    """Whichever it is, and named."""
    vault, name = whole.open(), named(whole, prefix)
    whole.medium.remove(name)
    assert name in damaged(verify(vault, Grade.EXISTENCE))


def test_a_newest_manifest_that_is_gone_is_found_by_who_knew_it(whole: Filled) -> None:
    """What must be there is said by one that is too old then."""
    vault = whole.open(claim=True)
    vault.put_manifest()
    whole.medium.remove(named(whole, "manifests/"))
    assert "manifests/" in damaged(verify(vault, Grade.EXISTENCE))


def test_a_newest_manifest_that_cannot_be_read_is_found(whole: Filled) -> None:
    """Also by who opens the vault later."""
    vault = whole.open(claim=True)
    vault.put_manifest()
    memory(whole).replace(named(whole, "manifests/"), b"{}")
    assert "manifests/" in damaged(verify(whole.open(), Grade.EXISTENCE))


def test_a_vault_without_a_manifest_is_told(whole: Filled) -> None:
    """A new one has none yet: that is no damage, and nothing can be missed in it."""
    whole.medium.remove(named(whole, "manifests/"))
    found = verify(whole.open(), Grade.EXISTENCE)
    assert [(one.object, one.weight) for one in found.findings] == [("manifests/", Weight.NOTE)]


@pytest.mark.parametrize("prefix", ["packs/", "blobs/", README])
def test_a_missing_object_is_found_by_who_opens_the_vault_later(whole: Filled, prefix: str) -> None:
    """Also when the catalogue was made after the loss."""
    name = named(whole, prefix)
    whole.medium.remove(name)
    assert name in damaged(verify(whole.open(), Grade.EXISTENCE))


def test_a_missing_epoch_is_found(whole: Filled) -> None:
    """Without any nobody can tell who may write."""
    whole.medium.remove(named(whole, "epochs/"))
    assert "epochs/" in damaged(verify(whole.open(), Grade.EXISTENCE))


@pytest.mark.parametrize("left", [0, 1, 40, -1])
def test_a_truncated_pack_is_found_by_existence(whole: Filled, left: int) -> None:
    """Its size is not what the manifest says."""
    vault, name = whole.open(), named(whole, "packs/")
    memory(whole).replace(name, whole.medium.read(name)[:left])
    assert name in damaged(verify(vault, Grade.EXISTENCE))
    assert name in damaged(verify(whole.open(), Grade.EXISTENCE))


def test_two_exchanged_packs_are_found_by_content(whole: Filled) -> None:
    """Each is a good pack, under a name that is not its own."""
    first, second = [info.name for info in objects(whole) if info.name.startswith("packs/")]
    stored = whole.medium.read(first), whole.medium.read(second)
    memory(whole).replace(first, stored[1])
    memory(whole).replace(second, stored[0])
    assert damaged(verify(whole.open(), Grade.CONTENT)) >= {first, second}


def test_a_loss_does_not_vanish_with_the_next_manifest(whole: Filled) -> None:
    """A pack that is gone before the vault is opened, and a manifest published then: what it held is still missed."""
    whole.medium.remove(whole.vault.frames(ANNA)[0].pack)
    later = whole.open(claim=True)
    later.put_manifest()
    assert damaged(verify(later, Grade.EXISTENCE)) >= {ANNA, BERT}


def test_what_others_put_and_merged_meanwhile_is_no_damage(whole: Filled) -> None:
    """A catalogue that is old is brought up to date before anything counts as missing."""
    old = whole.open()
    whole.grow(BERT)
    shipping.ship(whole.vault, whole.store, [BERT])
    frames = whole.vault.frames(BERT)
    whole.vault.put_pack([all_of_bert(whole)], level=SHIP_LEVEL)
    gone = frames[-1].pack
    whole.vault.put_manifest()
    whole.vault.remove_pack(gone)
    whole.vault.put_manifest()
    assert verify(old, Grade.RECORDS).findings == []


def all_of_bert(made: Filled) -> Run:
    """All records of Bert as one run."""
    with made.store.account(BERT).reading() as snapshot:
        found = shipping.run_of(snapshot, NOTHING, made.vault.put_blob)
    if found is None:
        raise ValueError("nothing to ship")
    return found


def test_a_strange_object_is_noted(whole: Filled) -> None:
    """What nobody knows harms nobody, and is told."""
    whole.medium.create("packs/holiday.jpg", b"who put this here?")
    found = verify_content(whole.open(), objects(whole), threads=2)
    assert [(one.object, one.weight) for one in found.findings] == [("packs/holiday.jpg", Weight.NOTE)]


def test_an_object_that_cannot_be_read_is_damage_and_a_medium_that_cannot_is_a_fault(whole: Filled) -> None:
    """A bad sector below one object says nothing of the others; a medium that is gone says nothing at all."""
    vault, name = whole.open(), named(whole, "blobs/")
    gone = False

    def fail(operation: str, at: str) -> None:
        if gone or at == name:
            raise StorageFault("the disk does not answer")

    listed = objects(whole)
    memory(whole).before = fail
    assert damaged(verify_content(vault, listed)) == {name}
    gone = True
    with pytest.raises(StorageFault):
        verify_content(vault, listed)


def _with_run(made: Filled, change: Callable[[Run], Run]) -> Vault:
    """The vault after Bert's records were put once more, changed."""
    made.vault.put_pack([change(all_of_bert(made))], level=SHIP_LEVEL)
    return made.open()


def test_a_false_ledger_is_found_by_records(whole: Filled) -> None:
    """A pack that proves itself and whose index says another count than its records come to."""
    vault = _with_run(whole, lambda run: msgspec.structs.replace(run, ledger={Kind.CONTACTS: (5, 99, "0" * 64)}))
    assert verify(vault, Grade.CONTENT).is_whole
    found = verify(vault, Grade.RECORDS)
    assert ["ledger" in one.message for one in found.findings] == [True]


def test_bytes_that_are_nowhere_are_found_by_records(whole: Filled) -> None:
    """A record whose put brings nothing, and nothing before it did, could not be restored."""

    def without_bytes(run: Run) -> Run:
        with whole.store.account(BERT).reading() as snapshot:
            lines = [render_line(msgspec.structs.replace(one, body=None)) for one in snapshot.carried()]
        return msgspec.structs.replace(run, lines=b"".join(lines))

    for ref in whole.vault.frames(BERT):
        whole.medium.remove(ref.pack)
    found = verify(_with_run(whole, without_bytes), Grade.RECORDS)
    assert [one for one in found.findings if "are nowhere" in one.message and one.object == BERT]


def test_a_fork_inside_a_vault_is_found_by_records(whole: Filled) -> None:
    """A second pack with another record of the same number."""
    other = Filled()
    other.clock.advance(1)
    other.grow(BERT, cards=2)
    whole.vault.put_pack([all_of_bert(other)], level=SHIP_LEVEL)
    found = verify(whole.open(), Grade.RECORDS)
    assert [one for one in found.findings if "is another one than in other packs" in one.message]


def test_records_that_do_not_fit_are_found_by_records() -> None:
    """Each proves itself and follows the one before; and one puts a card into an address book that never was."""
    vault, journal = new_vault(), Journal()
    journal.add(Op.PUT, Kind.CONTACTS, "foes", "bob", body=b"Bob")
    vault.put_pack([journal.run()], level=SHIP_LEVEL)
    [finding] = verify_records(vault, [ANNA]).findings
    assert (finding.object, finding.weight) == (ANNA, Weight.DAMAGE)
    assert "the record behind 2" in finding.message


def test_a_pack_that_cannot_be_read_is_damage_by_records_too() -> None:
    """The other accounts are looked at all the same."""
    vault, journal, beside = new_vault(), Journal(), Journal(BERT)
    journal.put("bob")
    broken = fill(vault, journal)
    fill(vault, beside)

    def fail(operation: str, name: str) -> None:
        if name == broken:
            raise StorageFault("the disk does not answer")

    assert isinstance(vault.medium, MemoryMedium)
    vault.medium.before = fail
    [finding] = verify_records(vault, [ANNA, BERT]).findings
    assert (finding.object, finding.message) == (ANNA, "the disk does not answer")


def test_a_frame_that_a_restore_would_not_need_is_verified_too() -> None:
    """Another pack has all of it. Damage in it is told all the same, and the other account is looked at."""
    vault, journal, beside = new_vault(), Journal(), Journal(BERT)
    journal.put("bob")
    small, _whole, _beside = fill(vault, journal, 1, 2), fill(vault, journal), fill(vault, beside)
    damage(vault, small)
    [finding] = verify_records(vault, [ANNA, BERT]).findings
    assert (finding.object, finding.weight) == (small, Weight.DAMAGE)


def test_without_a_key_records_are_not_verified() -> None:
    """That is told as such: nothing is said to be damaged that nobody could read."""
    vault = new_vault(seal=AgeSeal([str(pyrage.x25519.Identity.generate().to_public())]))
    fill(vault, Journal())
    with pytest.raises(Locked):
        verify_records(vault, [ANNA])


def test_bytes_that_came_before_need_not_come_again() -> None:
    """A record may put bytes that an earlier one brought: they are there."""
    vault, journal = new_vault(), Journal()
    journal.put("bob", b"the same")
    journal.put("robert", b"the same")
    journal.carried[-1] = msgspec.structs.replace(journal.carried[-1], body=None)
    fill(vault, journal)
    assert verify_records(vault, [ANNA]).findings == []


def test_a_document_of_another_vault_is_found_by_existence(whole: Filled) -> None:
    """As after copying one vault's files over another's."""
    memory(whole).replace(
        VAULT_DOCUMENT, render_document(msgspec.structs.replace(whole.document, id="v_anothervault2222"))
    )
    assert damaged(verify(whole.vault, Grade.EXISTENCE)) == {VAULT_DOCUMENT}


def test_a_document_of_another_epoch_is_found_by_existence(whole: Filled) -> None:
    """Its number is in its name and in it."""
    memory(whole).replace(epoch_name(1), render_epoch_document(EpochDocument(epoch=7, server="other", at="")))
    assert damaged(verify(whole.vault, Grade.EXISTENCE)) == {epoch_name(1)}


def test_what_was_removed_while_it_was_verified_is_nothing(whole: Filled) -> None:
    """Packs are merged and tails rolled meanwhile: what must be there, existence tells."""
    vault, listed = whole.open(), objects(whole)
    whole.medium.remove(named(whole, "tails/"))
    found = verify_content(vault, listed, threads=1)
    assert (found.findings, found.objects) == ([], len(listed) - 1)


def test_a_large_object_is_verified_piece_by_piece(whole: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    """However its length and that of a piece go together, it is whole, and a flipped bit in it is found."""
    name = named(whole, "blobs/")
    for octets in (len(PHOTO) // 2, len(PHOTO) // 2 - 1, len(PHOTO)):
        monkeypatch.setattr(contents, "PIECE_OCTETS", octets)
        assert verify_content(whole.open(), objects(whole)).findings == []
    memory(whole).replace(name, b"?" + PHOTO[1:])
    assert damaged(verify_content(whole.open(), objects(whole))) == {name}


def test_a_blob_that_only_a_tail_needs_is_missed(whole: Filled) -> None:
    """No pack and no manifest speaks of it yet."""
    before = {info.name for info in whole.medium.list("blobs/")}
    vault = whole.open()
    at = vault.head(ANNA).sequence
    whole.grow(ANNA, cards=0, photo=b"another" * 30_000)
    with whole.store.account(ANNA).reading() as snapshot:
        [carried] = snapshot.carried(at)
    line = shipping.line_of(carried, vault.put_blob, [])
    tail = whole.medium.open_log("tails/0000000001-again.jsonl")
    assert tail is not None
    tail.append(line)
    tail.close()
    assert verify(whole.open(), Grade.CONTENT).findings == []
    [blob] = {info.name for info in whole.medium.list("blobs/")} - before
    whole.medium.remove(blob)
    [finding] = verify(whole.open(), Grade.CONTENT).findings
    assert (finding.object, blob in finding.message) == ("tails/0000000001-again.jsonl", True)


def test_a_sealed_line_that_says_the_same_otherwise_is_damage() -> None:
    """Nothing proves what stands around the sealed bytes but that it is as this program writes it."""
    key = pyrage.x25519.Identity.generate()
    made = Filled(seal=AgeSeal([str(key.to_public())], [key]))
    made.grow(ANNA)
    name = made.confirm(ANNA, cards=1)
    stored = made.medium.read(name)
    assert verify_object(made.open(), ObjectInfo(name, len(stored))).findings == []
    memory(made).replace(name, stored.replace(b'"heads":', b'"heads": '))
    found = verify_object(made.open(), ObjectInfo(name, len(memory(made).read(name)))).findings
    assert found
    assert all("as it was written" in finding.message for finding in found)


def test_a_pack_that_comes_while_the_vault_is_listed_is_not_missing(whole: Filled) -> None:
    """Whoever confirms puts packs all the time: what comes behind the listing must not be taken for lost."""
    vault = whole.vault
    listed = vault.medium.list

    def list_and_put(prefix: str = "") -> Iterator[ObjectInfo]:
        found = list(listed(prefix))
        if not prefix:
            whole.grow(ANNA, cards=1)
            whole.ship()
        return iter(found)

    vault.medium.list = list_and_put  # type: ignore[method-assign]
    assert damaged(verify(vault, Grade.EXISTENCE)) == set()


def test_a_pack_that_another_process_puts_while_one_looks_is_no_finding() -> None:
    """It is listed, and was not there when the catalogue was brought up to date."""
    medium = MemoryMedium()
    vault = new_vault(medium=medium)
    fill(vault, Journal(ANNA))
    other, put = reopened(vault), list[str]()
    other.resume(vault.epoch, SERVER.server)

    def meanwhile(operation: str, name: str) -> None:
        if (operation, name) == ("list", "") and not put:
            put.append("")
            put[0] = fill(other, Journal(BERT))

    medium.before = meanwhile
    found = verify(vault, Grade.EXISTENCE)
    assert put[0] in medium.objects()
    assert put[0] not in {one.object for one in found.findings}
