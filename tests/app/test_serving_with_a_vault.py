"""A real server with a confirming vault: killed, its data lost, its vault gone, another server in its place."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from prove.s3 import S3Server

from tests.support.server import Server, ServerFailedError, keepwell, running_server

CARD = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{0}\r\nFN:{0}\r\nN:{0};;;;\r\nEND:VCARD\r\n"
WAIT_SECONDS = 30.0


class Phone:
    """A client of one account."""

    def __init__(self, server: Server, password: str) -> None:
        self._url = f"{server.url}/dav/contacts/ada/contacts/"
        self._auth = ("ada", password)

    def put(self, name: str) -> int:
        return self._ask("PUT", f"{name}.vcf", content=CARD.format(name), headers={"content-type": "text/vcard"})[0]

    def get(self, name: str) -> int:
        return self._ask("GET", f"{name}.vcf")[0]

    def names(self) -> set[str]:
        status, text = self._ask("PROPFIND", "", headers={"depth": "1"})
        assert status == 207
        return set(re.findall(r"/contacts/ada/contacts/([^/<]+)\.vcf<", text))

    def _ask(
        self, method: str, name: str, *, content: str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        answer = httpx2.request(method, self._url + name, content=content, headers=headers, auth=self._auth, timeout=30)
        return answer.status_code, answer.text


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, Path, str]:
    """A data folder with an account and a confirming vault: (data, vault, password)."""
    data, vault = tmp_path / "data", tmp_path / "disk" / "vault"
    vault.parent.mkdir()
    keepwell("account", "add", "ada", "--data", str(data))
    answer = keepwell("app-password", "add", "ada", "--label", "phone", "--data", str(data), "--json")
    keepwell("vault", "add", "disk", str(vault), "--confirm", "--data", str(data))
    return data, vault, json.loads(answer)["password"]


def until(fact: str, holds: object) -> None:
    assert callable(holds)
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not within {WAIT_SECONDS:.0f} s: {fact}"
        time.sleep(0.2)


def test_the_data_folder_is_lost_and_the_start_brings_everything_back(place: tuple[Path, Path, str]) -> None:
    """Accounts, app passwords and cards come back from the vault when only its settings are left."""
    data, _, password = place
    with running_server(data) as server:
        phone = Phone(server, password)
        assert [phone.put(f"card{number}") for number in range(5)] == [201] * 5
    shutil.rmtree(data / "accounts")
    with running_server(data) as server:
        assert Phone(server, password).names() == {f"card{number}" for number in range(5)}


def test_a_server_whose_vault_is_a_bucket_answers(
    tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its worker reaches the bucket, though its parent has used the same library before."""
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    data = tmp_path / "data"
    keepwell("account", "add", "ada", "--data", str(data))
    answer = keepwell("app-password", "add", "ada", "--label", "phone", "--data", str(data), "--json")
    keepwell("vault", "add", "far", s3.new_url(), "--confirm", "--data", str(data))
    with running_server(data) as server:
        phone = Phone(server, json.loads(answer)["password"])
        assert phone.put("card") == 201
    keepwell("verify", "--data", str(data))


def test_killed_and_put_back_to_yesterday(place: tuple[Path, Path, str], tmp_path: Path) -> None:
    """After kill -9 and an older copy of the data in its place every acknowledged card is there."""
    data, _, password = place
    with running_server(data) as server:
        assert Phone(server, password).put("early") == 201
    shutil.copytree(data / "accounts", tmp_path / "yesterday")
    with running_server(data) as server:
        phone = Phone(server, password)
        assert [phone.put(f"late{number}") for number in range(5)] == [201] * 5
        for process in children_of(os.getpid(), "serve"):
            os.kill(process, signal.SIGKILL)
    shutil.rmtree(data / "accounts")
    shutil.move(tmp_path / "yesterday", data / "accounts")
    with running_server(data) as server:
        assert Phone(server, password).names() == {"early", *(f"late{number}" for number in range(5))}
    assert "all is well" in keepwell("check", "--data", str(data))


def test_with_the_vault_gone_writes_wait_and_reads_go_on(place: tuple[Path, Path, str]) -> None:
    """503 for writes, 200 for reads; and when the vault is back, writes are taken by themselves."""
    data, vault, password = place
    with running_server(data) as server:
        phone = Phone(server, password)
        assert phone.put("before") == 201
        until("there are two copies", lambda: readiness(server)["copies"]["contacts"] == 2)
        vault.rename(vault.with_name("away"))
        assert phone.put("unknown") == 503
        assert phone.put("after") == 503
        assert (phone.get("before"), phone.get("after")) == (200, 404)
        until("there is one copy", lambda: readiness(server)["copies"]["contacts"] == 1)
        assert readiness(server)["writes"] == "refused"
        shown = keepwell("status", "--data", str(data), "--json", code=1)
        assert (json.loads(shown)["copies_least"], json.loads(shown)["writes"]) == (1, "refused")
        assert 'keepwell_vault_up{vault="disk"} 0.0' in httpx2.get(f"{server.url}/metrics").text
        vault.with_name("away").rename(vault)
        until("writes are taken again", lambda: phone.put("again") in {201, 204})
        until("there are two copies again", lambda: readiness(server)["copies"]["contacts"] == 2)
        assert phone.names() == {"before", "unknown", "again"}
    shutil.rmtree(data / "accounts")
    with running_server(data) as server:
        assert Phone(server, password).names() == {"before", "unknown", "again"}


def test_a_vault_that_is_added_while_the_server_runs_is_taken_up(tmp_path: Path) -> None:
    """No restart is needed: within seconds the vault has everything, and writes wait for it."""
    data, vault = tmp_path / "data", tmp_path / "vault"
    keepwell("account", "add", "ada", "--data", str(data))
    with running_server(data) as server:
        password = json.loads(server.keepwell("app-password", "add", "ada", "--label", "phone", "--json"))["password"]
        phone = Phone(server, password)
        assert phone.put("before") == 201
        server.keepwell("vault", "add", "disk", str(vault), "--confirm")
        until("the vault has the records", lambda: records_in(server) >= 11)
        until("writes are taken", lambda: phone.put("after") in {201, 204})
    shutil.rmtree(data / "accounts")
    with running_server(data) as server:
        assert Phone(server, password).names() == {"before", "after"}


def test_a_copy_of_the_data_that_is_served_elsewhere_fences_the_first(
    place: tuple[Path, Path, str], tmp_path: Path
) -> None:
    """Two servers never write into one vault: the first refuses writes, and says which other took over."""
    data, _, password = place
    with running_server(data) as first:
        phone = Phone(first, password)
        assert phone.put("one") == 201
        shutil.copytree(data, tmp_path / "copy")
        with running_server(tmp_path / "copy") as second:
            assert Phone(second, password).names() == {"one"}
            assert phone.put("two") == 503
            assert Phone(second, password).put("three") == 201


def test_a_vault_of_another_server_is_refused(place: tuple[Path, Path, str], tmp_path: Path) -> None:
    """Adding a vault that holds somebody else's data is refused, and nothing of it is changed."""
    _, vault, _ = place
    before = sorted((path.name, path.stat().st_size) for path in vault.rglob("*") if path.is_file())
    with pytest.raises(ServerFailedError, match="the data of another server"):
        keepwell("vault", "add", "mine", str(vault), "--data", str(tmp_path / "other"))
    assert sorted((path.name, path.stat().st_size) for path in vault.rglob("*") if path.is_file()) == before


def test_a_command_beside_no_server_is_confirmed_too(place: tuple[Path, Path, str], tmp_path: Path) -> None:
    """What an import put is in the vault when the command has ended, and no tail is left behind."""
    data, vault, password = place
    (tmp_path / "friends.vcf").write_text(CARD.format("bob") + CARD.format("eve"))
    keepwell("import", "ada", str(tmp_path / "friends.vcf"), "--data", str(data))
    assert list(vault.glob("tails/*")) == []
    shutil.rmtree(data / "accounts")
    with running_server(data) as server:
        assert len(Phone(server, password).names()) == 2


def readiness(server: Server) -> dict[str, Any]:
    answer = httpx2.get(f"{server.url}/readyz")
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json()
    return document


def records_in(server: Server) -> int:
    [vault] = json.loads(server.keepwell("vault", "list", "--json"))["vaults"]
    return int(vault["records"] or 0)


def children_of(parent: int, word: str) -> list[int]:
    """The processes below this one whose command line has the word as one of its own, the youngest first.

    An S3 server for other tests may be below this process too, and says `server`.
    """
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if int(fields[1]) == parent and word in command:
            found += [*children_of(int(entry.name), word), int(entry.name)]
    return found
