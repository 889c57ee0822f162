"""The witness: what is noted, what a crash leaves of it, and what is never forgotten."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest

from keepwell.model.names import AccountId, Kind, Lineage
from keepwell.services import noting as noting_module
from keepwell.services import witness as witness_module
from keepwell.services.noting import Noter
from keepwell.services.witness import Mark, Sighting, WitnessFile, lost_marks, sight
from keepwell.storage.writers import Unconfirmed, Writers
from tests.services.history import ANNA, BERT, World, entry
from tests.services.samples import card


def sighting(account: AccountId = ANNA, sequence: int = 5, **kinds: int) -> Sighting:
    marks = {Kind(kind): Mark(count, f"hash {count}", count, f"set {count}") for kind, count in kinds.items()}
    return Sighting(
        account=account,
        login="anna",
        at="2026-11-23T08:00:00.000000Z",
        lineage=Lineage("lineage"),
        first="first",
        sequence=sequence,
        hash=f"hash {sequence}",
        kinds=marks,
    )


@pytest.fixture
def file(tmp_path: Path) -> WitnessFile:
    return WitnessFile(tmp_path / "state" / "witness.jsonl", tmp_path / "data")


def note(file: WitnessFile, *sightings: Sighting) -> None:
    seen = {one.account: one for one in sightings}
    file.note(seen, seen.get)


def test_what_is_noted_is_known(file: WitnessFile) -> None:
    """The last line of each account counts, from whichever process."""
    assert file.load() == {}
    note(file, sighting(contacts=3), sighting(BERT, contacts=7))
    note(WitnessFile(file.path, Path("elsewhere")), sighting(sequence=6, contacts=4))
    assert file.load() == {ANNA: sighting(sequence=6, contacts=4), BERT: sighting(BERT, contacts=7)}


def test_marks_of_kinds_that_are_not_named_stay(file: WitnessFile) -> None:
    """A kind that is held is left out of a line, and what was known of it stays known."""
    note(file, sighting(contacts=3, calendar=2))
    note(file, sighting(sequence=9, calendar=8))
    assert file.load()[ANNA].kinds == sighting(contacts=3, calendar=8).kinds


def test_another_journal_under_the_same_id_is_no_continuation(file: WitnessFile) -> None:
    """A new system account has nothing of the old one: its marks are not mixed."""
    note(file, sighting(contacts=3))
    note(file, msgspec.structs.replace(sighting(calendar=2), first="other"))
    assert list(file.load()[ANNA].kinds) == [Kind.CALENDAR]


def test_a_line_that_was_cut_off_costs_itself_alone(file: WitnessFile) -> None:
    """A crash in the middle of a line loses that line; what comes later is read."""
    note(file, sighting(contacts=3))
    whole = file.path.read_bytes()
    for length in range(1, 40):
        file.path.write_bytes(whole + b"\n" + msgspec.json.encode(sighting(sequence=7, contacts=5))[:length])
        assert file.load()[ANNA] == sighting(contacts=3)
        note(file, sighting(BERT, contacts=7))
        assert file.load().keys() == {ANNA, BERT}


def test_damage_in_the_file_is_passed_over(file: WitnessFile) -> None:
    """A flipped byte makes one line unreadable, never the start impossible."""
    note(file, sighting(contacts=3), sighting(BERT, contacts=7))
    octets = bytearray(file.path.read_bytes())
    octets[octets.index(b"first") + 1] = 0xFF
    file.path.write_bytes(octets)
    assert file.load() == {BERT: sighting(BERT, contacts=7)}


def test_a_file_that_grew_is_written_anew(file: WitnessFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often an account is noted, the file stays within twice what it needs, and keeps every mark."""
    monkeypatch.setattr(witness_module, "OCTETS_MIN", 2000)
    file = WitnessFile(file.path, Path("data"))
    note(file, sighting(contacts=3), sighting(BERT, photos=1))
    for sequence in range(100):
        note(file, sighting(sequence=sequence, calendar=sequence))
    assert file.path.stat().st_size < 3000
    assert set(file.load()[ANNA].kinds) == {Kind.CONTACTS, Kind.CALENDAR}
    assert file.load()[BERT] == sighting(BERT, photos=1)


def test_what_is_forgotten_and_replaced(file: WitnessFile) -> None:
    """An account that was given up is known no more; a replaced file has what it was given."""
    note(file, sighting(contacts=3), sighting(BERT, contacts=7))
    file.forget(ANNA)
    assert file.load().keys() == {BERT}
    file.replace([sighting(contacts=1)])
    assert file.load() == {ANNA: sighting(contacts=1)}


def test_an_account_is_seen_with_the_last_record_of_each_kind(tmp_path: Path) -> None:
    """Every mark is a record of the journal; held kinds have none; and nothing of it is lost in that journal."""
    world = World(tmp_path)
    world.put("one", "two")
    world.put("tea", kind=Kind.CALENDAR)
    with world.store.account(ANNA).reading() as snapshot:
        seen = sight(snapshot, "anna", "now")
        assert seen is not None
        records = {record.facts.seq: record for record in snapshot.records()}
        for kind, mark in seen.kinds.items():
            assert (records[mark.sequence].hash, records[mark.sequence].facts.kind) == (mark.hash, kind)
        assert lost_marks(snapshot, seen) == {}
    world.store.account(ANNA).hold({Kind.CONTACTS: "why"})
    with world.store.account(ANNA).reading() as snapshot:
        again = sight(snapshot, "anna", "now")
    assert again is not None
    assert Kind.CONTACTS not in again.kinds
    assert seen.kinds[Kind.CONTACTS].count == 2


def test_an_empty_account_is_not_seen(tmp_path: Path) -> None:
    """There is nothing that could be missing."""
    world = World(tmp_path)
    world.store.create(BERT)
    with world.store.account(BERT).reading() as snapshot:
        assert sight(snapshot, "bert", "now") is None


def noter_of(world: World) -> Noter:
    return Noter(world.store, world.witness, world.clock, Unconfirmed(), login_of=lambda _account: "anna")


def test_what_was_written_is_noted_and_what_was_not_is_not_looked_at(tmp_path: Path) -> None:
    """A note costs what changed; at the end everything is noted."""
    world = World(tmp_path)
    world.store.create(BERT)
    noter = noter_of(world)
    writers = Writers(world.store, noter, threads=1)
    body = card("one")
    writers.submit(ANNA, lambda transaction: transaction.append(entry(Kind.CONTACTS, "one", body), body)).result()
    assert world.witness.load() == {}
    writers.close()
    noter.close()
    (seen,) = world.witness.load().values()
    assert (seen.account, seen.login, seen.kinds[Kind.CONTACTS].count) == (ANNA, "anna", 1)
    before = world.witness.path.read_bytes()
    noter.note()
    assert world.witness.path.read_bytes() == before


def test_a_witness_that_cannot_be_written_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told once; what was to be noted is noted when that is possible again."""
    world, log = World(tmp_path), io.StringIO()
    monkeypatch.setattr("keepwell.services.noting._log.warning", lambda event, **_facts: log.write(f"{event} "))
    noter = noter_of(world)
    noter.confirm(ANNA, [], lambda _fault: None)
    world.witness.path.mkdir(parents=True)
    noter.note()
    noter.note()
    assert log.getvalue() == "witness.not_written "
    world.witness.path.rmdir()
    noter.note()
    assert world.witness.load().keys() == {ANNA}


def test_accounts_that_nobody_saw_are_noted_some_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an update or the loss of the witness every account is noted again, without a slow start."""
    monkeypatch.setattr(noting_module, "UNSEEN_MAX", 1)
    world = World(tmp_path)
    noter = noter_of(world)
    for count in (1, 2, 2):
        noter.look_for_unseen()
        noter.note()
        assert len(world.witness.load()) == count
