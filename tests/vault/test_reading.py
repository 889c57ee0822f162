"""Reading an account out of vaults: the longest proven run, whichever vault has the records and the bytes."""

from __future__ import annotations

import msgspec

from keepwell.model.erasures import ERASURES, Cause, Erased, ErasureOrder
from keepwell.model.errors import Forked
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Kind
from keepwell.model.record import Op, digest_of
from keepwell.storage.contract import Carried, Head
from keepwell.vault.layout import blob_name
from keepwell.vault.lines import render_line
from keepwell.vault.reading import Findings, erasures_in, read_account
from keepwell.vault.vault import Vault
from tests.vault.journals import ANNA, BERT, Journal
from tests.vault.vaults import damage, fill, new_vault, reopened

LARGE = b"a large body " * 20_000


def journal_of(records: int) -> Journal:
    """Anna's journal with this many records."""
    journal = Journal()
    for number in range(records - len(journal.carried)):
        journal.put(f"friend {number}", f"body {number}".encode())
    return journal


def read(*vaults: Vault, after: int = 0, journal: Journal | None = None) -> tuple[list[Carried], Findings]:
    findings = Findings()
    head = Head(after, journal.carried[after - 1].record.hash) if journal and after else Head(0, "0" * 64)
    return list(read_account([reopened(one) for one in vaults], ANNA, head, findings)), findings


def test_a_whole_vault_gives_every_record_with_its_bytes() -> None:
    """From packs that follow each other everything comes back as it was sealed."""
    journal, vault = journal_of(9), new_vault()
    fill(vault, journal, 1, 4)
    fill(vault, journal, 5, 9)
    carried, findings = read(vault)
    assert carried == journal.carried
    assert findings.faults == []


def test_a_damaged_pack_is_passed_over_for_another_that_has_its_records() -> None:
    """A merged pack that is damaged costs nothing while the old ones are there; it is told."""
    journal, vault = journal_of(9), new_vault()
    fill(vault, journal, 1, 4)
    fill(vault, journal, 5, 9)
    merged = fill(vault, journal, 1, 9)
    damage(vault, merged)
    carried, findings = read(vault)
    assert carried == journal.carried
    assert [fault.name for fault in findings.faults] == [merged]


def test_two_vaults_that_are_damaged_in_different_places_are_whole_together() -> None:
    """For each record whichever vault has it is used, whatever the packs' borders are."""
    journal, near, far = journal_of(12), new_vault("near"), new_vault("far")
    fill(near, journal, 1, 4)
    damage(near, fill(near, journal, 5, 8))
    fill(near, journal, 9, 12)
    damage(far, fill(far, journal, 1, 3))
    fill(far, journal, 4, 8)
    carried, findings = read(near, far)
    assert carried == journal.carried
    assert {fault.vault for fault in findings.faults} == {"near"}


def test_a_run_ends_where_nothing_has_the_next_record() -> None:
    """What lies behind the gap is not taken for the continuation of what is before it."""
    journal, vault = journal_of(12), new_vault()
    fill(vault, journal, 1, 4)
    vault.medium.remove(fill(vault, journal, 5, 8))
    fill(vault, journal, 9, 12)
    carried, _findings = read(vault)
    assert carried == journal.carried[:4]


def test_reading_goes_on_from_a_record_within_a_frame() -> None:
    """Only what is behind the asked head comes, though the frame begins before it."""
    journal, vault = journal_of(9), new_vault()
    fill(vault, journal)
    carried, _findings = read(vault, after=5, journal=journal)
    assert carried == journal.carried[5:]


def test_of_two_sides_of_a_fork_the_newest_epoch_counts_and_the_other_is_told() -> None:
    """A pack that a fenced server wrote does not win, though it leads farther."""
    winner, loser, vault = journal_of(6), journal_of(6), new_vault()
    fill(vault, winner, 1, 6)
    for number in range(5):
        loser.put(f"late {number}", b"written by the server that was fenced")
    late = fill(vault, loser, 7, 11)
    vault.epoch += 1
    winner.put("new", b"written by the server that took over")
    fill(vault, winner, 7, 7)
    carried, findings = read(vault)
    assert carried == winner.carried
    assert [(fault.name, type(fault.error)) for fault in findings.faults] == [(late, Forked)]


def test_a_shorter_side_of_a_fork_is_told_as_well() -> None:
    """The other side is told also when the run went past its end."""
    winner, loser, vault = journal_of(6), journal_of(6), new_vault()
    fill(vault, winner, 1, 6)
    loser.put("late", b"written by the server that was fenced")
    late = fill(vault, loser, 7, 7)
    vault.epoch += 1
    for number in range(3):
        winner.put(f"new {number}", b"written by the server that took over")
    fill(vault, winner, 7, 9)
    carried, findings = read(vault)
    assert carried == winner.carried
    assert [(fault.name, type(fault.error)) for fault in findings.faults] == [(late, Forked)]


def test_bytes_of_a_missing_blob_come_from_the_other_vault() -> None:
    """A blob is taken from whichever vault has it."""
    journal, near, far = journal_of(4), new_vault("near"), new_vault("far")
    record = journal.put("large", LARGE)
    for vault in (near, far):
        fill(vault, journal)
    assert record.facts.digest is not None
    near.medium.remove(blob_name(record.facts.digest))
    carried, findings = read(near, far)
    assert carried == journal.carried
    assert [fault.vault for fault in findings.faults] == ["near"]


def test_bytes_that_nothing_has_are_left_out_and_told() -> None:
    """The record comes without its bytes, and so does everything behind it."""
    journal, vault = journal_of(4), new_vault()
    record = journal.put("large", LARGE)
    journal.put("after", b"small")
    fill(vault, journal)
    assert record.facts.digest is not None
    name = blob_name(record.facts.digest)
    damage(vault, name)
    carried, findings = read(vault)
    assert [one.record for one in carried] == [one.record for one in journal.carried]
    assert [one.record.facts.name for one in carried if one.record.facts.op is Op.PUT and one.body is None] == ["large"]
    assert [fault.name for fault in findings.faults] == [name]


def test_bytes_that_were_shipped_again_within_a_line_stand_in_for_a_missing_blob() -> None:
    """A later frame that brings the same bytes itself is found, though another record brings them."""
    journal, vault = journal_of(4), new_vault()
    record = journal.put("large", LARGE)
    fill(vault, journal)
    journal.add(Op.PUT, Kind.CONTACTS, "friends", "again", body=LARGE)
    vault.put_pack([journal.run(6, 6)], level=3)
    assert record.facts.digest is not None
    vault.medium.remove(blob_name(record.facts.digest))
    carried, _findings = read(vault)
    assert carried == journal.carried


def test_a_blob_with_other_bytes_is_told_and_another_place_tried() -> None:
    """A line that names the wrong object, which is itself what its name says."""
    journal, near, far = journal_of(2), new_vault("near"), new_vault("far")
    journal.put("large", LARGE)
    wrong = near.put_blob(b"other large bytes")
    lines = [render_line(one) for one in journal.carried[:-1]] + [render_line(journal.carried[-1], wrong)]
    near.put_pack([journal.run(lines=lines, blobs=[wrong])], level=3)
    fill(far, journal)
    carried, findings = read(near)
    assert carried[-1].body is None
    assert [(fault.name, "does not hold" in fault.error.message) for fault in findings.faults] == [(wrong, True)]
    carried, _findings = read(near, far)
    assert carried[-1].body == LARGE


def order_for(account: AccountId) -> bytes:
    moment = "2026-11-23T08:00:00.000000Z"
    erased = {account: Erased(9, (digest_of(b"erased"),))}
    order = ErasureOrder(id="one", cause=Cause.REQUEST, made_at=moment, due_at=moment, begun_at=moment, erased=erased)
    return msgspec.json.encode(order)


def test_orders_of_erasure_that_cannot_be_read_erase_nothing() -> None:
    """One whose bytes are nowhere, and one that was taken back."""
    vault, journal = new_vault(), Journal(SYSTEM_ACCOUNT)
    journal.add(Op.MAKE, Kind.SYSTEM, ERASURES)
    journal.add(Op.PUT, Kind.SYSTEM, ERASURES, "kept", body=order_for(ANNA))
    journal.add(Op.PUT, Kind.SYSTEM, ERASURES, "taken back", body=order_for(BERT))
    journal.add(Op.REMOVE, Kind.SYSTEM, ERASURES, "taken back")
    journal.add(Op.PUT, Kind.SYSTEM, ERASURES, "lost", body=order_for(SYSTEM_ACCOUNT))
    lines = [render_line(one) for one in journal.carried[:-1]]
    lines.append(render_line(msgspec.structs.replace(journal.carried[-1], body=None)))
    vault.put_pack([journal.run(lines=lines)], level=3)
    assert erasures_in([reopened(vault)]).accounts() == [ANNA]
