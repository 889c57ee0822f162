"""An upgrade builds the new beside the old, compares, switches, can go back; killed anywhere it leaves one whole."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from keepwell.app.start import prepare
from keepwell.model.errors import CannotStart, Damaged, Unavailable
from keepwell.model.names import Kind
from keepwell.services.overrides import Overrides
from keepwell.services.upgrading import upgrade as upgrade_module
from keepwell.services.vaults import Vaults
from keepwell.storage.contract import Carried
from keepwell.storage.generations import SharedHold
from keepwell.storage.sqlite import SqliteStore
from keepwell.storage.sqlite_files import read_format
from keepwell.vault.ship import ship
from tests.house.source import ROOT
from tests.services.upgrading.folders import (
    contents,
    drill,
    fill,
    generation,
    make_format_0,
    upgrading,
)
from tests.storage.contract_suite import ANNA, BERT, done, put
from tests.support.clock import FakeClock, SeededEntropy


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A filled folder with a vault that has all of it, and a drill of that vault."""
    folder = tmp_path / "data"
    fill(folder)
    vaults = Vaults(folder, FakeClock(), SeededEntropy())
    with closing(SqliteStore(folder)) as store:
        vaults.add("near", str(tmp_path / "near"), store)
        with closing(vaults.open_to_write("near")) as vault:
            ship(vault, store, store.accounts())
    drill(folder)
    return folder


@pytest.fixture
def old(data: Path) -> Path:
    """The same in format 0."""
    make_format_0(data)
    return data


def formats(data: Path, name: str = "accounts") -> set[int]:
    return {read_format(path) for path in (data / name).glob("??/a_*.db")}


def add_a_card(data: Path) -> None:
    with closing(SqliteStore(data)) as store:
        done(store.account(ANNA), put("late", b"what came late"))


def test_an_older_format_is_brought_to_this_one(data: Path) -> None:
    """Every record, byte and held kind is there; the old files are kept as they were."""
    before = contents(data)
    make_format_0(data)
    files = generation(data)
    plan = upgrading(data).upgrade()
    assert set(plan.accounts.values()) == {0}
    assert contents(data) == before
    assert formats(data) == {1}
    assert generation(data, "accounts.previous") == files
    with closing(SqliteStore(data)) as store, store.account(BERT).reading() as snapshot:
        assert snapshot.held() == {Kind.PHOTOS: "they are being looked for"}


def test_with_nothing_to_do_nothing_is_done(data: Path) -> None:
    """A folder of this format is left as it is, drill or no drill."""
    files = generation(data)
    (data / "vaults" / "last-drill.json").unlink()
    assert upgrading(data).upgrade().accounts == {}
    assert generation(data) == files
    assert not (data / "accounts.previous").exists()


def test_a_rebuild_writes_every_file_anew(data: Path) -> None:
    """From its journal, with the same records; twice in a row as well."""
    before = contents(data)
    for _ in range(2):
        upgrading(data).upgrade(rebuild=True)
        assert contents(data) == before


def test_without_a_fresh_drill_nothing_is_touched(old: Path) -> None:
    """The refusal says why and what to do."""
    files = generation(old)
    drill(old, days_ago=8)
    with pytest.raises(CannotStart, match=r"8\.0 days ago") as caught:
        upgrading(old).upgrade()
    assert "keepwell drill" in caught.value.hint
    assert generation(old) == files
    assert not (old / "accounts.next").exists()


def test_a_drill_that_cannot_be_read_counts_as_none(old: Path) -> None:
    """Whatever is in the file, it never opens the gate by accident."""
    for octets in (b"", b"{", b"[]", b'{"at":"2026-11-22T08:00:00Z"}', b"\xff"):
        (old / "vaults" / "last-drill.json").write_bytes(octets)
        assert "no drill" in upgrading(old).plan().against[0]


def test_an_override_is_kept_before_anything_is_done(old: Path) -> None:
    """It is there even when the upgrade then fails, with the reason and what stood against it."""
    drill(old, passed=False)
    steps: list[str] = []

    def told(step: str) -> None:
        steps.append(step)
        [kept] = Overrides(old).all()
        assert (kept.about, kept.reason) == ("upgrade", "the disk is failing")
        assert "failed" in kept.against[0]

    upgrading(old, told).upgrade(override="the disk is failing")
    assert steps[0] == "noted"
    assert formats(old) == {1}


def test_an_override_needs_a_reason(old: Path) -> None:
    """An empty one is refused."""
    drill(old, passed=False)
    with pytest.raises(Exception, match="needs a reason"):
        upgrading(old).upgrade(override=" ")
    assert formats(old) == {0}


def test_an_override_that_nobody_needed_is_not_kept(old: Path) -> None:
    """Where nothing stands against the upgrade, nothing was overridden."""
    upgrading(old).upgrade(override="just in case")
    assert Overrides(old).all() == ()


def test_a_folder_that_is_in_use_is_not_upgraded(old: Path) -> None:
    """Nothing can be written to a generation that is on its way out; nor is any opened while it is."""
    hold = SharedHold(old)
    with pytest.raises(Unavailable, match="in use"):
        upgrading(old).upgrade()
    hold.release()
    seen: list[str] = []

    def told(step: str) -> None:
        with pytest.raises(Unavailable, match="being upgraded"):
            SqliteStore(old)
        seen.append(step)

    upgrading(old, told).upgrade()
    assert "switched" in seen


@pytest.mark.parametrize("change", ["record", "byte", "ledger"])
def test_a_new_file_that_is_not_like_the_old_is_never_served(
    old: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the comparison is for: a fault in the new version must not get past it."""
    files = generation(old)
    restore = SqliteStore.restore

    def faulty(store: SqliteStore, account: str, carried: object, indexer: object) -> object:
        place = restore(store, account, carried, indexer)  # type: ignore[arg-type]
        path = next((old / "accounts.next").glob(f"??/{account}.db"))
        with closing(apsw.Connection(str(path), vfs="cksmvfs")) as connection:
            if change == "record":
                connection.execute("DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)")
            elif change == "byte":
                connection.execute("UPDATE content SET body = x'00' WHERE body IS NOT NULL")
            else:
                connection.execute("UPDATE ledger SET count = count + 1")
        return place

    monkeypatch.setattr(SqliteStore, "restore", faulty)
    with pytest.raises(Damaged):
        upgrading(old).upgrade()
    assert generation(old) == files
    assert not (old / "accounts.previous").exists()


def test_an_account_that_does_not_prove_itself_stops_the_upgrade(old: Path) -> None:
    """Damage is not built into new files."""
    path = next((old / "accounts").glob(f"??/{ANNA}.db"))
    with closing(apsw.Connection(str(path), vfs="cksmvfs")) as connection:
        connection.execute("UPDATE changes SET name = 'other' WHERE seq = 3")
    with pytest.raises(Damaged, match="record 3"):
        upgrading(old).upgrade()
    assert formats(old) == {0}


def test_going_back_brings_along_what_came_since(data: Path) -> None:
    """Nothing that was acknowledged since the upgrade is lost, and what was served until now is kept."""
    upgrading(data).upgrade(rebuild=True)
    add_a_card(data)
    since = contents(data)
    assert upgrading(data).go_back().bring == (ANNA,)
    assert contents(data) == since
    assert (data / "accounts.undone").exists()


def test_an_account_made_since_is_there_after_going_back(data: Path) -> None:
    """The generation before did not have it."""
    upgrading(data).upgrade(rebuild=True)
    next((data / "accounts.previous").glob(f"??/{BERT}.db")).unlink()
    since = contents(data)
    upgrading(data).go_back()
    assert contents(data) == since


def test_going_back_to_an_older_format_needs_a_vault_that_has_what_came_since(old: Path) -> None:
    """That version brings it back from there when it starts; an override is kept."""
    files = generation(old)
    upgrading(old).upgrade()
    add_a_card(old)
    with pytest.raises(CannotStart, match="no vault has"):
        upgrading(old).go_back()
    vaults = Vaults(old, FakeClock(), SeededEntropy())
    with closing(SqliteStore(old)) as store, closing(vaults.open_to_write("near")) as vault:
        ship(vault, store, [ANNA])
    assert upgrading(old).go_back().left_to_vaults == (ANNA,)
    assert generation(old) == files


def test_a_start_refuses_an_older_format_and_leaves_it_alone(old: Path) -> None:
    """It is neither served, nor taken for damage that a vault heals."""
    files = generation(old)
    with pytest.raises(CannotStart, match="format 0") as caught:
        prepare(old, "family", lambda _sentence: None)
    assert "keepwell upgrade" in caught.value.hint
    assert generation(old) == files
    assert not (old / "set-aside").exists()


def killed(what: str, data: Path, step: int) -> bool:
    """Run it and kill it behind a step; whether there was such a step."""
    words = [sys.executable, "-m", "tests.services.upgrading.folders", what, str(data), str(step)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True)
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr.decode()
    return done.returncode != 0


def served(data: Path, before: object, *, old_inodes: set[int]) -> str:
    """Which generation a start serves; never a mix, and never another content."""
    found = contents(data)
    assert found == before
    inodes = {path.stat().st_ino for path in (data / "accounts").glob("??/a_*.db")}
    assert len(inodes) == len(found)
    assert inodes == old_inodes or not inodes & old_inodes
    return "old" if inodes == old_inodes else "new"


@pytest.mark.parametrize("what", ["upgrade", "back"])
def test_killed_behind_any_step_a_start_serves_the_old_or_the_new(data: Path, tmp_path: Path, what: str) -> None:
    """Never a mix and never nothing; the next attempt then does the whole."""
    if what == "back":
        upgrading(data).upgrade(rebuild=True)
        add_a_card(data)
    seen: list[str] = []
    step = 0
    while True:
        step += 1
        folder = tmp_path / f"copy-{step}"
        subprocess.run(["cp", "-a", str(data), str(folder)], check=True)
        before = contents(folder)
        inodes = {path.stat().st_ino for path in (folder / "accounts").glob("??/a_*.db")}
        if not killed(what, folder, step):
            break
        seen.append(served(folder, before, old_inodes=inodes))
        if what == "upgrade":
            upgrading(folder).upgrade(rebuild=True)
            assert contents(folder) == before
    assert seen == sorted(seen, reverse=True)
    assert {"old", "new"} == set(seen)
    assert len(seen) == (8 if what == "upgrade" else 3)


def test_a_generation_that_was_left_lying_is_never_served_later(data: Path, tmp_path: Path) -> None:
    """Ready when a crash stopped the upgrade, weeks of writes ago, it must not come back when accounts are lost."""
    assert killed("upgrade", data, 5)  # behind "ready"
    assert (data / "accounts.ready").exists()
    add_a_card(data)
    assert not (data / "accounts.ready").exists()
    (data / "accounts").rename(tmp_path / "lost")
    assert contents(data) == {}


def test_records_are_compared_and_not_only_counted(monkeypatch: pytest.MonkeyPatch, data: Path) -> None:
    """A comparison that sees other bytes under the same hash says no."""
    carried = Carried
    same = upgrade_module._require_same

    def other_bytes(account: object, old: object, new: object) -> None:
        class Other:
            def carried(self) -> object:
                return (carried(one.record, b"other" if one.body else None) for one in old.carried())  # type: ignore[attr-defined]

        same(account, Other(), new)  # type: ignore[arg-type]

    monkeypatch.setattr(upgrade_module, "_require_same", other_bytes)
    with pytest.raises(Damaged, match="not the same"):
        upgrading(data).upgrade(rebuild=True)
