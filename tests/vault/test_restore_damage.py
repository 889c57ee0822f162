"""Restoring from damaged vaults: whatever proves itself comes, what does not is told by name, and held."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from keepwell.model.errors import NotThere
from keepwell.model.names import SYSTEM_ACCOUNT, Kind
from keepwell.model.record import Op
from keepwell.model.weight import Weight
from keepwell.services.restoring.place import LOSS_REPORT
from keepwell.services.restoring.restore import RestoreOrder
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.documents import VaultDocument, render_document
from keepwell.vault.layout import VAULT_DOCUMENT, blob_name
from keepwell.vault.lines import render_line
from keepwell.vault.loss import Fate, Gap, LossReport
from keepwell.vault.vault import Vault
from keepwell.vault.verify import Grade, verify
from tests.vault.journals import ANNA, BERT, Journal
from tests.vault.restores import (
    card,
    folder_vault,
    held_in,
    journal_in,
    journal_of,
    kind_loss,
    loss_of,
    people,
    put_photo,
    records_of,
    restored,
    server_vault,
    write_tail,
)
from tests.vault.vaults import damage, fill


def vault_in_parts(folder: Path, journal: Journal, *parts: tuple[int, int]) -> tuple[Vault, list[str]]:
    """A vault with the journal in packs of these records each; and the packs' names."""
    vault = folder_vault(folder)
    fill(vault, people(journal))
    names = [fill(vault, journal, first, last) for first, last in parts]
    vault.put_manifest()
    return vault, names


def test_a_flipped_bit_in_a_pack_costs_what_only_it_had(tmp_path: Path) -> None:
    """The journal is restored up to the damage; records, items and times that are missing are told."""
    anna = journal_of(ANNA, 10)
    vault, packs = vault_in_parts(tmp_path / "near", anna, (1, 6), (7, 9), (10, 12))
    damage(vault, packs[1])
    into = tmp_path / "into"
    outcome = restored(RestoreOrder(into), tmp_path / "near")
    assert journal_in(into) == records_of(anna)[:6]
    loss, contacts = loss_of(outcome), kind_loss(outcome)
    assert (loss.records_expected, loss.records_recovered) == (12, 6)
    assert (contacts.expected, contacts.recovered, contacts.incomplete, contacts.lost) == (10, 4, 0, 6)
    at = [one.facts.at for one in records_of(anna)]
    assert loss.gaps == (Gap(7, 9, at[5], at[9]),)
    assert [(item.name, item.fate) for item in loss.items] == [(f"friend {n}.vcf", Fate.LOST) for n in (7, 8, 9)]
    assert packs[1] in {fault.name for fault in outcome.faults}


def test_a_missing_pack_is_known_from_the_manifest(tmp_path: Path) -> None:
    """Though no index speaks of it any more, what it held is counted as lost."""
    anna = journal_of(ANNA, 10)
    vault, packs = vault_in_parts(tmp_path / "near", anna, (1, 6), (7, 12))
    vault.medium.remove(packs[1])
    outcome = restored(RestoreOrder(tmp_path / "into"), tmp_path / "near")
    assert journal_in(tmp_path / "into") == records_of(anna)[:6]
    assert (kind_loss(outcome).expected, kind_loss(outcome).recovered, kind_loss(outcome).lost) == (10, 4, 6)


def test_an_account_of_which_nothing_is_left_is_lost_as_a_whole(tmp_path: Path) -> None:
    """It is in the report with all that it had, and no empty account stands in for it."""
    anna, bert = journal_of(ANNA, 10), journal_of(BERT, 3)
    vault = server_vault(tmp_path / "near", anna, bert)
    (pack,) = {ref.pack for ref in vault.frames(ANNA)}
    damage(vault, pack)
    outcome = restored(RestoreOrder(tmp_path / "into"), tmp_path / "near")
    assert (kind_loss(outcome).expected, kind_loss(outcome).recovered, kind_loss(outcome).lost) == (10, 0, 10)
    assert loss_of(outcome).gaps == (Gap(1, 12),)
    assert loss_of(outcome).login == "anna"
    store = SqliteStore(tmp_path / "into")
    assert store.accounts() == [BERT, SYSTEM_ACCOUNT]
    store.close()


def test_a_missing_blob_leaves_its_item_incomplete_and_everything_else_whole(tmp_path: Path) -> None:
    """The record is there, the bytes are not: the kind is held, others are served."""
    anna = journal_of(ANNA)
    gone = put_photo(anna, "gone.jpg", b"\xff\xd8 gone " * 20_000)
    put_photo(anna, "here.jpg")
    vault = server_vault(tmp_path / "near", anna)
    vault.medium.remove(blob_name(gone))
    into = tmp_path / "into"
    outcome = restored(RestoreOrder(into), tmp_path / "near")
    photos = kind_loss(outcome, Kind.PHOTOS)
    assert (photos.expected, photos.recovered, photos.incomplete, photos.lost) == (2, 1, 1, 0)
    assert [(item.name, item.fate, item.is_current) for item in loss_of(outcome).items] == [
        ("gone.jpg", Fate.INCOMPLETE, True)
    ]
    assert set(held_in(into)) == {Kind.PHOTOS}
    assert journal_in(into) == records_of(anna)


def test_an_older_version_without_bytes_holds_nothing(tmp_path: Path) -> None:
    """Every item is there as it last was; that its history is not whole is told."""
    anna = journal_of(ANNA)
    gone = put_photo(anna, "sea.jpg", b"\xff\xd8 the first " * 20_000)
    put_photo(anna, "sea.jpg")
    vault = server_vault(tmp_path / "near", anna)
    damage(vault, blob_name(gone))
    into = tmp_path / "into"
    outcome = restored(RestoreOrder(into), tmp_path / "near")
    assert [(item.name, item.is_current) for item in loss_of(outcome).items] == [("sea.jpg", False)]
    assert kind_loss(outcome, Kind.PHOTOS).proven
    assert held_in(into) == {}


def test_two_vaults_that_are_each_damaged_elsewhere_are_whole_together(tmp_path: Path) -> None:
    """Records and bytes come from whichever has them; what was passed over is told, and nothing is lost."""
    anna = journal_of(ANNA, 10)
    first = put_photo(anna, "first.jpg", b"\xff\xd8 first " * 20_000)
    second = put_photo(anna, "second.jpg", b"\xff\xd8 second " * 20_000)
    near, near_packs = vault_in_parts(tmp_path / "near", anna, (1, 6), (7, 15))
    far, far_packs = vault_in_parts(tmp_path / "far", anna, (1, 9), (10, 15))
    damage(near, near_packs[1])
    far.medium.remove(far_packs[0])
    near.medium.remove(blob_name(first))
    damage(far, blob_name(second))
    fill(far, anna, 5, 9)
    outcome = restored(RestoreOrder(tmp_path / "into"), tmp_path / "near", tmp_path / "far")
    assert outcome.loss is None
    assert outcome.faults
    assert journal_in(tmp_path / "into") == records_of(anna)
    assert held_in(tmp_path / "into") == {}


def test_what_is_missing_is_held_and_nothing_may_be_appended(tmp_path: Path) -> None:
    """A kind that is short is not served as if it were whole; one that did not change since is."""
    anna = journal_of(ANNA, 4)
    anna.add(Op.MAKE, Kind.NOTES, "notes")
    anna.put("late.vcf", card("Late"))
    vault, packs = vault_in_parts(tmp_path / "near", anna, (1, 7), (8, 8))
    vault.medium.remove(packs[1])
    into = tmp_path / "into"
    outcome = restored(RestoreOrder(into), tmp_path / "near")
    assert set(held_in(into)) == {Kind.CONTACTS, Kind.SYSTEM}
    assert {loss.kind: loss.proven for loss in loss_of(outcome).kinds} == {Kind.CONTACTS: False, Kind.NOTES: True}


def test_the_report_is_written_beside_the_data(tmp_path: Path) -> None:
    """What the command tells lies in the folder as a document."""
    anna = journal_of(ANNA, 10)
    vault, packs = vault_in_parts(tmp_path / "near", anna, (1, 6), (7, 12))
    vault.medium.remove(packs[1])
    outcome = restored(RestoreOrder(tmp_path / "into"), tmp_path / "near")
    written = msgspec.json.decode((tmp_path / "into" / LOSS_REPORT).read_bytes(), type=LossReport)
    assert written == outcome.loss


def test_a_later_run_with_a_whole_vault_mends_what_was_begun_with_a_damaged_one(tmp_path: Path) -> None:
    """Bytes that one vault lacked come from another, and the kind is opened."""
    anna = journal_of(ANNA)
    gone = put_photo(anna, "gone.jpg")
    near = server_vault(tmp_path / "near", anna)
    server_vault(tmp_path / "far", anna)
    near.medium.remove(blob_name(gone))
    into = tmp_path / "into"
    assert restored(RestoreOrder(into), tmp_path / "near").loss is not None
    assert restored(RestoreOrder(into), tmp_path / "near", tmp_path / "far").loss is None
    assert held_in(into) == {}
    assert not (into / LOSS_REPORT).exists()


def test_an_accepted_loss_is_served_and_can_be_told_from_the_journal(tmp_path: Path) -> None:
    """Items without bytes are removed by new records, and nothing is held."""
    anna = journal_of(ANNA)
    gone = put_photo(anna, "gone.jpg", b"\xff\xd8 gone " * 20_000)
    put_photo(anna, "here.jpg")
    vault = server_vault(tmp_path / "near", anna)
    vault.medium.remove(blob_name(gone))
    into = tmp_path / "into"
    outcome = restored(RestoreOrder(into, accept_loss=True), tmp_path / "near")
    assert kind_loss(outcome, Kind.PHOTOS).incomplete == 1
    assert held_in(into) == {}
    *before, removal = journal_in(into)
    assert before == records_of(anna)
    assert (removal.facts.op, removal.facts.name, removal.facts.by) == (Op.REMOVE, "gone.jpg", "keepwell restore")
    assert restored(RestoreOrder(into, accept_loss=True), tmp_path / "near").loss is not None
    assert len(journal_in(into)) == len(anna.carried) + 1


def test_accepting_that_records_are_lost_begins_a_new_lineage(tmp_path: Path) -> None:
    """No sync token of the lost future is answered from what comes after."""
    anna = journal_of(ANNA, 10)
    vault, packs = vault_in_parts(tmp_path / "near", anna, (1, 6), (7, 12))
    vault.medium.remove(packs[1])
    into = tmp_path / "into"
    restored(RestoreOrder(into, accept_loss=True), tmp_path / "near")
    *before, opening = journal_in(into)
    assert before == records_of(anna)[:6]
    assert opening.facts.op is Op.OPEN
    assert opening.facts.lineage != before[-1].facts.lineage
    assert held_in(into) == {}


@pytest.mark.parametrize("side", ["shorter", "longer"])
def test_a_fork_is_told_and_costs_nothing(tmp_path: Path, side: str) -> None:
    """What a fenced server wrote is no part of the account, nor of what is expected."""
    anna, other = journal_of(ANNA, 4), journal_of(ANNA, 4)
    vault = folder_vault(tmp_path / "near")
    fill(vault, people(anna))
    fill(vault, anna)
    for number in range(1 if side == "shorter" else 5):
        other.put(f"fenced {number}.vcf", b"never acknowledged")
    fork = fill(vault, other, 7)
    vault.epoch += 1
    anna.put("new.vcf", b"acknowledged")
    anna.put("newer.vcf", b"acknowledged")
    fill(vault, anna, 7)
    outcome = restored(RestoreOrder(tmp_path / "into"), tmp_path / "near")
    assert outcome.loss is None
    assert {fault.name for fault in outcome.faults} == {fork}
    assert journal_in(tmp_path / "into") == records_of(anna)


def test_an_index_that_tells_another_ledger_is_told(tmp_path: Path) -> None:
    """Nothing proves an index by itself: what it says and the items do not is no loss without a reason."""
    anna = journal_of(ANNA, 3)
    vault = folder_vault(tmp_path / "near")
    fill(vault, people(anna))
    run = anna.run(ledger={Kind.CONTACTS: (5, 4, "f" * 64)})
    vault.put_pack([run], level=3)
    outcome = restored(RestoreOrder(tmp_path / "into"), tmp_path / "near")
    assert not kind_loss(outcome).proven
    assert set(held_in(tmp_path / "into")) == {Kind.CONTACTS}


@pytest.mark.parametrize(("part", "is_record_left"), [(b"Friend 7", True), (b'"uid"', False)])
def test_a_flipped_bit_in_a_tail_costs_the_line_that_it_is_in(
    tmp_path: Path, part: bytes, is_record_left: bool
) -> None:
    """In an item's bytes only those; elsewhere in the line that record, and what follows is known by name."""
    anna = journal_of(ANNA, 10)
    vault, _packs = vault_in_parts(tmp_path / "near", anna, (1, 6))
    write_tail(vault, anna, 7)
    [tail] = [info.name for info in vault.medium.list("tails/")]
    line = render_line(anna.carried[9])
    damage(vault, tail, vault.medium.read(tail).index(line) + line.index(part))
    into = tmp_path / "into"
    outcome = restored(RestoreOrder(into), tmp_path / "near")
    loss, contacts = loss_of(outcome), kind_loss(outcome)
    assert (loss.records_expected, loss.records_recovered) == (12, 12 if is_record_left else 9)
    assert (contacts.incomplete, contacts.lost) == ((1, 0) if is_record_left else (0, 2))
    names = [f"friend {number}.vcf" for number in ((7,) if is_record_left else (8, 9))]
    assert [item.name for item in loss.items if item.is_current] == names
    assert Kind.CONTACTS in held_in(into)


def test_a_tail_that_ends_with_a_broken_line_is_told(tmp_path: Path) -> None:
    """Whether that line was ever confirmed nobody can tell, so it is no loss; but it is not passed over in silence."""
    anna = journal_of(ANNA, 10)
    vault, _packs = vault_in_parts(tmp_path / "near", anna, (1, 6))
    write_tail(vault, anna, 7)
    [tail] = [info.name for info in vault.medium.list("tails/")]
    damage(vault, tail, len(vault.medium.read(tail)) - 30)
    outcome = restored(RestoreOrder(tmp_path / "into"), tmp_path / "near")
    assert outcome.loss is None
    assert journal_in(tmp_path / "into") == records_of(anna)[:11]
    assert [(fault.name, "its last line" in fault.message) for fault in outcome.faults] == [(tail, True)]


def test_a_flipped_bit_in_the_index_of_a_pack_costs_nothing(tmp_path: Path) -> None:
    """Its frames say what it should say: everything comes back, nothing that never was is missed, and it is told."""
    anna = journal_of(ANNA, 10)
    vault, [pack] = vault_in_parts(tmp_path / "near", anna, (1, 12))
    for word in (b'"last":', b'"account":"a_', b'"head":"', b'"first":', b'"octets":'):
        stored = vault.medium.read(pack)
        place = stored.rindex(word) + len(word)
        damage(vault, pack, place)
        outcome = restored(RestoreOrder(tmp_path / f"into{place}"), tmp_path / "near")
        assert outcome.loss is None
        assert journal_in(tmp_path / f"into{place}") == records_of(anna)
        assert ["index" in fault.message for fault in outcome.faults] == [True]
        damage(vault, pack, place)


def test_what_is_left_of_an_account_without_a_beginning_is_told(tmp_path: Path) -> None:
    """Nothing of it can be restored, and the records behind the gap are told by name: salvage has them."""
    anna = journal_of(ANNA, 4)
    vault, packs = vault_in_parts(tmp_path / "near", anna, (1, 4), (5, 6))
    vault.medium.remove(packs[0])
    loss = loss_of(restored(RestoreOrder(tmp_path / "into"), tmp_path / "near"))
    assert [(gap.first, gap.last) for gap in loss.gaps] == [(1, 4)]
    assert [(item.name, item.fate) for item in loss.items] == [(f"friend {n}.vcf", Fate.LOST) for n in (2, 3)]


def test_packs_and_manifests_of_another_vault_bring_nobody(tmp_path: Path) -> None:
    """Copied into this one they are told; its own accounts come back, and no others."""
    near = server_vault(tmp_path / "near", journal_of(ANNA, 3))
    far = server_vault(tmp_path / "far", journal_of(BERT, 3))
    for info in far.medium.list():
        if info.name.startswith(("packs/", "manifests/")):
            near.medium.create(info.name, far.medium.read(info.name))
    outcome = restored(RestoreOrder(tmp_path / "into"), tmp_path / "near")
    assert (outcome.accounts, outcome.loss) == (2, None)
    assert {"of another vault" in fault.message for fault in outcome.faults} == {True}


def test_packs_of_another_vault_are_noted_and_are_no_damage(tmp_path: Path) -> None:
    """Whole under their own names, or under names that are not theirs: nothing of this vault depends on them."""
    near = server_vault(tmp_path / "near", journal_of(ANNA, 3))
    far = server_vault(tmp_path / "far", journal_of(BERT, 3))
    strange = next(far.medium.list("packs/")).name
    misnamed = f"packs/{'0' * 64}.jsonl.zst"
    for name in (strange, misnamed):
        near.medium.create(name, far.medium.read(strange))
    found = verify(near, Grade.CONTENT)
    noted = {one.object for one in found.findings if "of another vault" in one.message}
    assert noted == {strange, misnamed}
    assert {one.weight for one in found.findings if one.object in noted} == {Weight.NOTE}


@pytest.mark.parametrize("stored", [None, b"{", "another's"], ids=["missing", "damaged", "another's"])
def test_a_plain_vault_is_known_by_its_manifest_when_its_document_is_not_what_it_was(
    tmp_path: Path, stored: bytes | str | None
) -> None:
    """Everything comes back, and what is wrong with the document is told."""
    server_vault(tmp_path / "near", journal_of(ANNA, 3))
    path = tmp_path / "near" / VAULT_DOCUMENT
    path.unlink()
    if stored is not None:
        other = VaultDocument(keepwell_vault=1, id="v_another", made_at="")
        path.write_bytes(stored if isinstance(stored, bytes) else render_document(other))
    outcome = restored(RestoreOrder(tmp_path / "into"), tmp_path / "near")
    assert (outcome.accounts, outcome.loss, len(outcome.faults)) == (2, None, 1)


def test_without_document_and_manifest_a_vault_is_refused(tmp_path: Path) -> None:
    """Nothing says whose it is: an empty folder is no vault either."""
    server_vault(tmp_path / "near", journal_of(ANNA, 3))
    (tmp_path / "near" / VAULT_DOCUMENT).unlink()
    for path in (tmp_path / "near" / "manifests").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(NotThere):
        restored(RestoreOrder(tmp_path / "into"), tmp_path / "near")
