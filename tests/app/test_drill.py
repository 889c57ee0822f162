"""Real drills: a vault in a folder or a bucket, plain or encrypted, while the live server goes on untouched."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prove.s3 import S3Server

from keepwell.app import drill_chore
from keepwell.app.drill_chore import RETRY_SECONDS, SETTLE_SECONDS, DrillChore, due_vault
from keepwell.app.drill_server import serving
from keepwell.model.errors import Unavailable
from keepwell.services.confirming import Confirming
from keepwell.services.drills import DrillResult, keep_drill
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.memory_medium import MemoryMedium
from tests.app.test_serving_with_a_vault import CARD, Phone, until
from tests.services.vault_desk import Desk, establish
from tests.support.clock import FakeClock
from tests.support.server import KEEPWELL, keepwell, running_server

EVENT = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//T//T//EN\r\nBEGIN:VEVENT\r\nUID:{0}\r\nDTSTAMP:20261123T080000Z\r\n"
    "DTSTART:20261123T080000Z\r\nSUMMARY:{0}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with two people who have cards and events."""
    data = tmp_path / "data"
    (tmp_path / "cards.vcf").write_text("".join(CARD.format(f"card{number}") for number in range(30)))
    (tmp_path / "events.ics").write_text("".join(EVENT.format(f"event{number}") for number in range(20)))
    for login in ("ada", "bob"):
        keepwell("account", "add", login, "--data", str(data))
        keepwell("import", login, str(tmp_path / "cards.vcf"), str(tmp_path / "events.ics"), "--data", str(data))
    return data


def drilled(data: Path, *words: str, code: int = 0) -> dict[str, Any]:
    [result] = json.loads(keepwell("drill", *words, "--data", str(data), "--json", code=code))["drills"]
    assert not (data / "drill").exists()
    assert isinstance(result, dict)
    return result


def heads_in(data: Path) -> dict[str, object]:
    store = SqliteStore(data)
    try:
        return dict(store.read_heads())
    finally:
        store.close()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def servers(data: Path) -> list[int]:
    """The processes that serve what a drill of this folder restored."""
    word = str(data / "drill" / "restored").encode()
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and word in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


def test_a_drill_beside_a_running_server_touches_nothing(data: Path, tmp_path: Path) -> None:
    """Neither the live ledgers nor the vault, its epochs included; and the status tells of the drill."""
    vault = tmp_path / "vault"
    keepwell("vault", "add", "disk", str(vault), "--confirm", "--data", str(data))
    with running_server(data) as server:
        heads, lying = heads_in(data), contents(vault)
        result = drilled(data)
        assert (result["passed"], result["problems"]) == (True, [])
        assert (result["accounts"], len(result["sampled"])) == (2, 2)
        assert result["items_compared"] == 2 * (30 + 20)
        assert [one["found"] for one in result["planted"]] == [True] * 3
        assert (heads_in(data), contents(vault), servers(data)) == (heads, lying, [])
        until("the status tells of it", lambda: "restore_seconds" in httpx2.get(f"{server.url}/metrics").text)
        assert "A restore was last proven" in httpx2.get(server.url).text
        password = json.loads(server.keepwell("app-password", "add", "ada", "--label", "phone", "--json"))["password"]
        assert Phone(server, password).put("after") == 201
    assert "A restore was last proven" in keepwell("status", "--data", str(data))


def test_a_bucket_is_drilled_with_its_access_key(data: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The vault's own, from the environment; the restored server gets none."""
    for name, value in s3.environment().items():
        monkeypatch.setenv(name.replace("AWS_", "KEEPWELL_VAULT_FAR_"), value)
    keepwell("vault", "add", "far", s3.new_url(), "--data", str(data))
    result = drilled(data, "far")
    assert (result["passed"], result["problems"]) == (True, [])


def test_an_encrypted_vault_is_drilled_with_the_drills_key(data: Path, tmp_path: Path) -> None:
    """Without it the drill fails: nobody has proven that anything comes back."""
    keepwell("vault", "add", "sealed", str(tmp_path / "sealed"), "--encrypt", "--data", str(data))
    assert drilled(data)["passed"]
    for key in (data / "vaults" / "sealed").glob("*key*"):
        key.unlink()
    assert not drilled(data, code=5)["passed"]


def test_a_damaged_vault_fails_with_exit_code_5(data: Path, tmp_path: Path) -> None:
    """The status says that the last drill failed, and the same seed draws the same again."""
    keepwell("vault", "add", "disk", str(tmp_path / "vault"), "--data", str(data))
    pack = next((tmp_path / "vault" / "packs").iterdir())
    stored = bytearray(pack.read_bytes())
    stored[30] ^= 4
    pack.write_bytes(stored)
    shown = keepwell("drill", "disk", "--seed", "7", "--data", str(data), code=5)
    assert pack.name in shown
    assert "--seed 7" in shown
    assert "The last drill, just now, failed" in keepwell("status", "--data", str(data))
    assert [json.loads(line)["passed"] for line in (data / "vaults" / "drills.jsonl").read_text().splitlines()] == [
        False
    ]


def test_there_must_be_a_vault_to_drill(data: Path) -> None:
    """Nothing drilled is nothing proven."""
    keepwell("drill", "--data", str(data), code=3)
    keepwell("drill", "none", "--data", str(data), code=3)


def test_a_drill_that_is_told_to_stop_leaves_nothing_behind(data: Path, tmp_path: Path) -> None:
    """Neither its place nor its server nor a result."""
    keepwell("vault", "add", "disk", str(tmp_path / "vault"), "--data", str(data))
    with subprocess.Popen([str(KEEPWELL), "drill", "--data", str(data)]) as process:
        until("its server runs", lambda: servers(data))
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 130
    assert servers(data) == []
    assert not (data / "drill").exists()
    assert not (data / "vaults" / "last-drill.json").exists()


def test_a_drill_that_is_killed_takes_its_server_with_it(data: Path, tmp_path: Path) -> None:
    """Its place is left, and the next drill clears it away."""
    keepwell("vault", "add", "disk", str(tmp_path / "vault"), "--data", str(data))
    with subprocess.Popen([str(KEEPWELL), "drill", "--data", str(data)]) as process:
        until("its server runs", lambda: servers(data))
        process.kill()
    until("its server ended", lambda: not servers(data))
    assert (data / "drill").exists()
    assert drilled(data)["passed"]


def test_a_folder_that_cannot_be_served_is_told_with_the_servers_words(tmp_path: Path) -> None:
    """The end of its log is in the error."""
    (tmp_path / "data").write_text("no folder")
    with pytest.raises(Unavailable, match="ended with"), serving(tmp_path / "data"):
        pass


NEVER = float("inf")


@pytest.mark.parametrize(
    ("drilled", "tried", "due"),
    [
        ({}, {}, "a"),
        ({"a": 90000.0}, {}, "b"),
        ({"a": 90000.0, "b": 86400.0}, {}, "a"),
        ({"a": 100.0, "b": 86400.0}, {}, "b"),
        ({"a": 100.0, "b": 86399.0}, {}, None),
        ({"b": 86399.0}, {"a": RETRY_SECONDS - 1}, None),
        ({"b": 86399.0}, {"a": RETRY_SECONDS}, "a"),
    ],
)
def test_the_vault_whose_drill_is_the_longest_ago_comes_next(
    drilled: dict[str, float], tried: dict[str, float], due: str | None
) -> None:
    """When it is time, and not at once again after a drill that left no result."""
    assert due_vault(["a", "b"], drilled, tried, 86400.0) == due


@pytest.fixture
def desk() -> Desk:
    medium = MemoryMedium()
    establish(medium)
    return Desk([medium])


def stand_in(monkeypatch: pytest.MonkeyPatch, program: str) -> list[tuple[str, ...]]:
    """Another program in place of the command; what it was called with."""
    called: list[tuple[str, ...]] = []

    def command(*words: str) -> list[str]:
        called.append(words)
        return [sys.executable, "-c", program]

    monkeypatch.setattr(drill_chore, "own_command", command)
    return called


def ended(chore: DrillChore) -> bool:
    time.sleep(0.01)
    chore.tick()
    return chore._running is None


def test_the_keeper_drills_each_open_vault_once_a_day(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process of its own, bounded; not right after a start, and not a vault that is down."""
    called = stand_in(monkeypatch, "")
    chore = DrillChore(tmp_path, desk.confirming, desk.clock, every_seconds=86400.0)
    desk.clock.advance(SETTLE_SECONDS)
    chore.tick()
    assert called == []
    desk.open()
    chore.tick()
    assert called == [
        ("drill", "v0", "--accounts", "100", "--octets", str(2 << 30), "--data", str(tmp_path)),
    ]
    until("the drill ended", lambda: ended(chore))
    keep_drill(tmp_path, DrillResult(at="2026-11-23T08:20:00.000000Z", vault="v0", passed=True))
    desk.clock.advance(86400.0 - 1)
    chore.tick()
    assert len(called) == 1
    desk.clock.advance(1)
    chore.tick()
    assert len(called) == 2
    chore.close()
    desk.close()


def test_a_drill_under_way_ends_with_the_keeper(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing waits for it, and may be called twice."""
    stand_in(monkeypatch, "import time; time.sleep(600)")
    chore = DrillChore(tmp_path, desk.open().confirming, desk.clock, every_seconds=1.0)
    desk.clock.advance(SETTLE_SECONDS)
    chore.tick()
    assert chore._running is not None
    process = chore._running[1]
    chore.close()
    chore.close()
    assert process.returncode is not None
    desk.close()


def test_without_vaults_nothing_is_drilled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing to prove."""
    called = stand_in(monkeypatch, "")
    clock = FakeClock()
    chore = DrillChore(tmp_path, Confirming(), clock, every_seconds=1.0)
    clock.advance(SETTLE_SECONDS)
    chore.tick()
    assert called == []
