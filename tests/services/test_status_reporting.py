"""Serving processes say how their vaults are, and whoever reads it believes only those that live."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from keepwell.ground.clock import render_moment
from keepwell.model.errors import StorageFault, Unavailable
from keepwell.model.names import AccountId, Kind
from keepwell.services.drills import HISTORY_MAX, DrillResult, keep_drill, read_drills
from keepwell.services.restoring.speed import read_speed
from keepwell.services.status.reading import KEPT_SECONDS, StatusReader, status_of_folder
from keepwell.services.status.reporter import HELD_A_TICK, HELD_AT_FIRST, Reporter
from keepwell.services.status.reports import BEAT_SECONDS, STALE_SECONDS, LinkReport, ProcessReport, ReportFiles
from keepwell.services.status.surveying import HeldWatch
from keepwell.services.status.values import PEOPLES_KINDS, VaultState, Writes
from keepwell.services.vaults import Vaults
from keepwell.storage.family import claim
from keepwell.storage.memory import MemoryStore
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.memory_medium import MemoryMedium
from tests.services.vault_desk import ANNA, BERT, Desk, establish, make, put
from tests.support.clock import FakeClock, SeededEntropy


@pytest.fixture
def desk() -> Iterator[Desk]:
    medium = MemoryMedium()
    establish(medium)
    made = Desk([medium])
    yield made
    made.close()


def reporter(desk: Desk, data: Path, *, elected: bool = True) -> Reporter:
    return Reporter(data, desk.confirming, desk.store, desk.clock, "family", is_elected=lambda: elected)


def test_a_link_is_told_as_it_is(desk: Desk, tmp_path: Path) -> None:
    """Open or down and why, what it lacks, what was shipped; and whether writes are refused for it."""
    told = reporter(desk, tmp_path)
    told.tick()
    [link] = told.latest().links
    assert "not opened yet" in link.fault
    assert "cannot confirm" in told.latest().refusal
    desk.open()
    desk.write(put("bob"))
    told.tick()
    [link] = told.latest().links
    assert (link.fault, link.behind_accounts, told.latest().refusal) == ("", 0, "")
    assert link.shipped_records >= 1
    assert link.tail_octets > 0
    desk.links[0].go_down(StorageFault("its disk is gone"))
    desk.links[0].note(ANNA)
    told.tick()
    [link] = told.latest().links
    assert (link.fault, link.behind_accounts) == ("its disk is gone", 1)
    [outage] = link.outages
    assert (outage.reason, outage.until) == ("its disk is gone", "")


def test_a_report_is_written_when_something_changed_and_at_every_beat(desk: Desk, tmp_path: Path) -> None:
    """Not else: nothing happens for most of the time."""
    path = tmp_path / "vaults" / "processes" / f"{os.getpid()}.json"
    told = reporter(desk, tmp_path)
    told.tick()
    first = path.stat().st_ino
    desk.clock.advance(1)
    told.tick()
    assert path.stat().st_ino == first
    desk.links[0].note(ANNA)
    told.tick()
    second = path.stat().st_ino
    assert second != first
    desk.clock.advance(BEAT_SECONDS)
    told.tick()
    assert path.stat().st_ino != second


def test_a_process_that_ends_takes_its_report_away(desk: Desk, tmp_path: Path) -> None:
    """And its thread ends with it; closing twice does no harm."""
    told = reporter(desk, tmp_path)
    told.start()
    told.close()
    told.close()
    assert ReportFiles(tmp_path).read(desk.clock.now()) == []


def test_a_vault_that_hangs_is_told_as_not_answering(desk: Desk, tmp_path: Path) -> None:
    """The thread that asks it hangs with it; whoever asks this process does not."""
    desk.open()
    told = reporter(desk, tmp_path)
    told.tick()
    desk.clock.advance(STALE_SECONDS + 1)
    assert "not answered" in told.latest().links[0].fault


def test_reports_of_dead_processes_and_of_earlier_servers_are_not_believed(tmp_path: Path) -> None:
    """A process that was killed leaves its report; its age tells."""
    clock = FakeClock()
    files = ReportFiles(tmp_path)
    for process, family in ((1, "old"), (2, "new"), (3, "new")):
        files.put(ProcessReport(at=render_moment(clock.now()), process=process, family=family))
        clock.advance(1)
    assert [one.process for one in files.read(clock.now())] == [2, 3]
    files.put(ProcessReport(at=render_moment(clock.now()), process=3, family="new"))
    clock.advance(STALE_SECONDS - 0.5)
    assert [one.process for one in files.read(clock.now())] == [3]
    (tmp_path / "vaults" / "processes" / "4.json").write_bytes(b"{")
    clock.advance(STALE_SECONDS)
    assert files.read(clock.now()) == []
    files.remove_stale(clock.now())
    assert list((tmp_path / "vaults" / "processes").glob("*.json")) == []


def test_held_accounts_are_found_by_going_round() -> None:
    """Those that cannot be read are held whole; what was let go is not counted any more."""
    store = MemoryStore()
    for number in range(5):
        store.create(AccountId(f"a_{number}"))
    store.account(AccountId("a_3")).hold({Kind.CONTACTS: "lost", Kind.NOTES: "lost"})
    watch = HeldWatch(store)
    watch.look_at(2)
    assert watch.report().accounts == 0
    watch.look_at(3)
    assert (watch.report().accounts, watch.report().kinds) == (1, {Kind.CONTACTS: 1, Kind.NOTES: 1})
    store.account(AccountId("a_3")).hold({})
    watch.look_at_all()
    assert (watch.report().accounts, watch.report().kinds) == (0, {})


def test_an_account_that_cannot_be_read_is_held_whole(tmp_path: Path) -> None:
    """Nothing of it is served either."""
    store = SqliteStore(tmp_path)
    store.create(ANNA)
    store.create(BERT)
    store.close()
    path = tmp_path / "accounts" / ANNA.removeprefix("a_")[:2] / f"{ANNA}.db"
    path.write_bytes(b"x" * path.stat().st_size)
    watch = HeldWatch(store)
    watch.look_at_all()
    assert (watch.report().accounts, set(watch.report().kinds)) == (1, set(PEOPLES_KINDS))
    store.close()


def test_the_elected_process_alone_looks_after_held_accounts(desk: Desk, tmp_path: Path) -> None:
    """What they are is told once all were looked at, with pauses, then some are looked at in each tick."""
    count = HELD_AT_FIRST + 1
    for number in range(count):
        desk.store.create(AccountId(f"a_{number}")).hold({Kind.TASKS: "lost"})
    other = reporter(desk, tmp_path, elected=False)
    other.tick()
    assert other.latest().held is None
    told = reporter(desk, tmp_path)
    told.tick()
    assert told.latest().held is None
    told.tick()
    assert told.latest().held is not None
    assert told.latest().held.accounts == count  # type: ignore[union-attr]
    for number in range(count):
        desk.store.account(AccountId(f"a_{number}")).hold({})
    told.tick()
    assert told.latest().held.accounts == count - HELD_A_TICK  # type: ignore[union-attr]


def test_a_page_is_answered_from_what_all_processes_say(tmp_path: Path) -> None:
    """This process from memory, the others from their reports; an answer holds for a second."""
    data = tmp_path / "data"
    clock = FakeClock()
    vaults = Vaults(data, clock, SeededEntropy())
    store = SqliteStore(data)
    vaults.add("near", str(tmp_path / "near"), store)
    store.close()
    own = ProcessReport(at=render_moment(clock.now()), process=1, links=(LinkReport(vault="near"),))
    reader = StatusReader(data, vaults, clock, lambda: own)
    assert reader.read().copies_least == 2
    fault = LinkReport(vault="near", fault="gone")
    ReportFiles(data).put(msgspec.structs.replace(own, process=2, links=(fault,)))
    assert reader.read().copies_least == 2
    clock.advance(KEPT_SECONDS)
    status = reader.read()
    assert (status.copies_least, status.vaults[0].state, status.vaults[0].reason) == (1, VaultState.DOWN, "gone")


def test_settings_that_cannot_be_read_are_told_and_nothing_is_raised(tmp_path: Path) -> None:
    """The pages go on, and say that there is one copy as far as anyone can tell."""
    clock = FakeClock()
    vaults = Vaults(tmp_path, clock, SeededEntropy())
    (tmp_path / "vaults").mkdir()
    for path in ("vaults/settings.json", "incidents.json"):
        (tmp_path / path).write_bytes(b"{")
    own = ProcessReport(at=render_moment(clock.now()), process=1)
    status = StatusReader(tmp_path, vaults, clock, lambda: own).read()
    assert status.copies_least == 1
    assert ["cannot be read" in problem for problem in status.problems] == [True, True]
    command = status_of_folder(tmp_path, vaults, MemoryStore(), clock)
    assert (command.problems, command.writes) == (status.problems, Writes.UNSERVED)


def test_a_command_compares_the_vaults_itself_when_no_server_runs(tmp_path: Path) -> None:
    """What lies in the vault is compared with the store, account by account."""
    data = tmp_path / "data"
    clock = FakeClock()
    vaults, store = Vaults(data, clock, SeededEntropy()), SqliteStore(data)
    store.create(ANNA, [make(), put("bob")])
    vaults.add("near", str(tmp_path / "near"), store)
    status = status_of_folder(data, vaults, store, clock)
    assert (status.copies_least, status.vaults[0].behind_accounts) == (1, 1)
    assert status.vaults[0].independence is not None
    (tmp_path / "near").rename(tmp_path / "away")
    gone = status_of_folder(data, vaults, store, clock)
    assert gone.vaults[0].state is VaultState.DOWN
    store.close()


def test_a_command_takes_the_servers_word_while_one_runs(tmp_path: Path) -> None:
    """The server's links know what the vault lacks without comparing anything."""
    data = tmp_path / "data"
    clock = FakeClock()
    vaults, store = Vaults(data, clock, SeededEntropy()), SqliteStore(data)
    vaults.add("near", str(tmp_path / "near"), store)
    link = LinkReport(vault="near", behind_accounts=7)
    ReportFiles(data).put(ProcessReport(at=render_moment(clock.now()), process=1, links=(link,)))
    assert status_of_folder(data, vaults, store, clock).vaults[0].behind_accounts == 0
    lock = claim(data, "family")
    status = status_of_folder(data, vaults, store, clock)
    assert (status.vaults[0].behind_accounts, status.writes) == (7, Writes.TAKEN)
    lock.release()
    store.close()


def test_drills_are_kept_in_order_and_the_last_one_apart(tmp_path: Path) -> None:
    """A line that cannot be read is left out; the oldest go in time."""
    assert read_drills(tmp_path) == []
    for number in range(3):
        keep_drill(tmp_path, DrillResult(at=f"2026-11-2{number}T00:00:00.000000Z", vault="near", passed=True))
    history = tmp_path / "vaults" / "drills.jsonl"
    history.write_bytes(history.read_bytes().replace(b"2026-11-21", b'"2026-11-21'))
    assert [one.at[:10] for one in read_drills(tmp_path)] == ["2026-11-20", "2026-11-22"]
    last = msgspec.json.decode((tmp_path / "vaults" / "last-drill.json").read_bytes(), type=DrillResult)
    assert last.at.startswith("2026-11-22")
    history.write_bytes(history.read_bytes() * HISTORY_MAX)
    keep_drill(tmp_path, last)
    assert len(read_drills(tmp_path)) == HISTORY_MAX


def test_a_drill_that_measured_nothing_leaves_the_estimate_to_an_earlier_one(tmp_path: Path) -> None:
    """A vault that cannot be opened says nothing of how fast one is restored."""
    at = "2026-11-22T00:00:00.000000Z"
    keep_drill(tmp_path, DrillResult(at=at, vault="near", passed=True, records_per_second=50.0))
    keep_drill(tmp_path, DrillResult(at="2026-11-23T00:00:00.000000Z", vault="near", passed=False))
    speed = read_speed(tmp_path)
    assert speed is not None
    assert (speed.at, speed.records_per_second) == (at, 50.0)


def test_a_vault_counts_as_behind_while_something_is_being_shipped(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it is there: a crash in between would show that it was not."""
    desk.open()
    seen = []

    def failing(*_arguments: object, **_options: object) -> None:
        seen.append(desk.links[0].behind())
        raise Unavailable("not now")

    monkeypatch.setattr("keepwell.services.vault_link.ship", failing)
    desk.links[0].note(ANNA)
    with pytest.raises(Unavailable):
        desk.links[0].catch_up()
    assert seen == [1]
    assert desk.links[0].behind() == 1
