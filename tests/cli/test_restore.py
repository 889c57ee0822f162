"""`keepwell restore`: after the data folder is gone, everything is back and served, by the command alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from base64 import b64encode
from pathlib import Path

import pytest

from keepwell.model.names import AccountId
from tests.cli.command import KEEPWELL, Command
from tests.support.server import running_server
from tests.vault.restores import card, journal_of, put_photo, server_vault
from tests.vault.test_restore import assert_sound

START_SECONDS_MAX = 20.0


def card_file(folder: Path, name: str) -> Path:
    path = folder / f"{name}.vcf"
    path.write_bytes(card(name))
    return path


@pytest.fixture
def lost(anna: Command) -> tuple[Command, str]:
    """A server with a vault, whose data folder is gone; and anna's password."""
    anna.must("import", "anna", *(str(card_file(anna.folder, name)) for name in ("Ada", "Bob")))
    added = anna.must("app-password", "add", "anna", "--label", "tests", "--json")
    anna.must("vault", "add", "near", str(anna.folder / "near"))
    shutil.rmtree(anna.data)
    return anna, str(added.document["password"])


@pytest.fixture
def kept(tmp_path: Path) -> Command:
    """A vault with anna's seven cards, and no data folder."""
    server_vault(tmp_path / "near", journal_of())
    return Command(tmp_path)


def test_everything_is_back_and_is_served(lost: tuple[Command, str]) -> None:
    """A device signs in with its old password and finds its cards where they were."""
    command, password = lost
    said = command.must("restore", "--from", "near", "--into", "back").output
    assert "proven equal to their ledgers" in said
    assert "keepwell vault add NAME" in said
    with running_server(command.folder / "back") as server:
        request = urllib.request.Request(f"{server.dav}contacts/anna/contacts/Ada.vcf")
        request.add_header("Authorization", "Basic " + b64encode(f"anna:{password}".encode()).decode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.read() == card("Ada")


def test_the_restored_folder_goes_on_with_its_vault(lost: tuple[Command, str]) -> None:
    """What is written after a restore is shipped to the same vault, behind what was there."""
    command, _ = lost
    command.must("restore", "--from", "near", "--into", "data")
    command.must("vault", "add", "near", str(command.folder / "near"))
    command.must("import", "anna", str(card_file(command.folder, "Eve")))
    shutil.rmtree(command.data)
    outcome = command.must("restore", "--from", "near", "--into", "data", "--json")
    assert outcome.document["items"] == {"contacts": 3, "calendar": 0, "notes": 0, "tasks": 0, "photos": 0, "system": 2}


def test_a_plan_changes_nothing(kept: Command) -> None:
    """A dry run tells what would come, for people and for programs, and makes no folder."""
    assert "anna" in kept.must("restore", "--from", "near", "--into", "back", "--dry-run").output
    planned = kept.must("restore", "--from", "near", "--into", "back", "--dry-run", "--json")
    (anna,) = [one for one in planned.list("accounts") if one["login"] == "anna"]
    assert anna["counts"] == {"contacts": 7}
    assert planned.document["estimate_seconds"] is None
    assert not (kept.folder / "back").exists()
    assert not (kept.folder / "back.restoring").exists()


def test_an_estimate_comes_from_the_last_measurement(kept: Command) -> None:
    """With a measured speed the plan says how long it will take."""
    (kept.data / "vaults").mkdir(parents=True)
    speed = {"at": "2026-11-23T08:00:00.000000Z", "records_per_second": 10.0}
    (kept.data / "vaults" / "last-drill.json").write_text(json.dumps(speed))
    planned = kept.must("restore", "--from", "near", "--into", "back", "--dry-run", "--json").document
    assert planned["estimate_seconds"] == pytest.approx(float(str(planned["records"])) / 10)


def test_one_account_is_named_by_its_login(kept: Command) -> None:
    """The others are left out, and the plan says how many."""
    assert kept.run("restore", "--from", "near", "--into", "back", "--account", "nobody").code == 3
    outcome = kept.must("restore", "--from", "near", "--into", "back", "--account", "anna", "--json")
    assert outcome.document["accounts"] == 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--seq", "3"), 2),
        (("--seq", "3", "--account", "anna", "--at", "2026-11-23"), 2),
        (("--at", "yesterday"), 2),
        (("--kind", "music"), 2),
        (("--kind", "system"), 2),
        (("--kind-order", "contacts,music"), 2),
        (("--from", "nowhere"), 4),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(kept: Command, words: tuple[str, ...], code: int) -> None:
    """Nothing is made, and the answer says what is wrong."""
    outcome = kept.run("restore", "--from", "near", "--into", "back", *words)
    assert (outcome.code, "Traceback" in outcome.errors) == (code, False)
    assert not (kept.folder / "back").exists()


def test_a_place_that_is_taken_is_refused(kept: Command) -> None:
    """A restore never overwrites anything."""
    (kept.folder / "back").mkdir()
    (kept.folder / "back" / "mine").touch()
    assert kept.run("restore", "--from", "near", "--into", "back").code == 3


def test_a_loss_is_told_and_is_the_exit_code(tmp_path: Path) -> None:
    """What is nowhere is listed by name; the folder is there all the same."""
    anna = journal_of()
    gone = put_photo(anna, "gone.jpg")
    vault = server_vault(tmp_path / "near", anna)
    vault.medium.remove(f"blobs/{gone[:2]}/{gone}")
    outcome = Command(tmp_path).run("restore", "--from", "near", "--into", "back")
    assert outcome.code == 1
    assert "album/gone.jpg" in outcome.output
    assert "loss-report.json" in outcome.output
    report = json.loads((tmp_path / "back" / "loss-report.json").read_text())
    assert [item["name"] for item in report["accounts"][0]["items"]] == ["gone.jpg"]


def test_a_restore_that_was_killed_goes_on(tmp_path: Path) -> None:
    """After kill -9 in the midst there is no folder; the same command goes on, and gives the whole."""
    journals = [journal_of(account_id(number), 60) for number in range(40)]
    server_vault(tmp_path / "near", *journals)
    words = [str(KEEPWELL), "restore", "--from", "near", "--into", "back"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        deadline = time.monotonic() + START_SECONDS_MAX
        while len(made(tmp_path)) < 5:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline, "it never began"
            time.sleep(0.001)
        os.killpg(process.pid, signal.SIGKILL)
    before = made(tmp_path)
    assert 5 <= len(before) < len(journals)
    assert not (tmp_path / "back").exists()
    outcome = Command(tmp_path).must("restore", "--from", "near", "--into", "back", "--json")
    assert outcome.document["accounts"] == len(journals) + 1
    assert_sound(tmp_path / "back", *(journal.account for journal in journals))
    assert {name: path.stat().st_ino for name, path in found(tmp_path / "back").items()}.items() >= before.items()


def made(folder: Path) -> dict[str, int]:
    """The accounts that are there in the folder that is being built."""
    return {name: path.stat().st_ino for name, path in found(folder / "back.restoring").items()}


def found(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in folder.glob("accounts/??/a_*.db")}


def account_id(number: int) -> AccountId:
    """An id that is one of many."""
    return AccountId(f"a_{'abcdefgh'[number % 8]}{'abcdefgh'[number // 8]}{'x' * 14}")
