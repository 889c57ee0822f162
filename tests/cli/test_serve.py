"""Commands work on a folder while it is served, and what they change is served at once."""

from __future__ import annotations

import base64
import json
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from keepwell.cli.exit_codes import ExitCode
from tests.cli.command import KEEPWELL, Command
from tests.services.samples import card
from tests.support.server import Server, running_server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running_server(tmp_path / "data", options=("--no-log-requests",)) as found:
        yield found


@pytest.fixture
def beside(server: Server, tmp_path: Path) -> Command:
    """The command line on the folder that is being served."""
    return Command(tmp_path)


def get(server: Server, path: str, login: str, password: str) -> tuple[int, bytes]:
    credential = base64.b64encode(f"{login}:{password}".encode()).decode()
    request = urllib.request.Request(server.dav + path, headers={"Authorization": f"Basic {credential}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, b""


def test_what_commands_change_is_served_at_once(server: Server, beside: Command) -> None:
    """An account, its password and its items come, and the password goes, without a restart."""
    password = server.add_account("anna")
    (beside.folder / "bob.vcf").write_bytes(card("b"))
    beside.must("import", "anna", "bob.vcf")
    assert get(server, "contacts/anna/contacts/bob.vcf", "anna", password) == (200, card("b"))
    beside.must("check")
    beside.must("check", "--rebuild", "anna")
    assert get(server, "contacts/anna/contacts/bob.vcf", "anna", password) == (200, card("b"))
    assert get(server, "contacts/anna/contacts/bob.vcf", "anna", "wrong")[0] == 401
    beside.must("app-password", "revoke", "anna", "tests")
    assert get(server, "contacts/anna/contacts/bob.vcf", "anna", password)[0] == 401


def test_uses_are_in_the_access_log(server: Server, beside: Command) -> None:
    """Who signed in, with what and from where, once the server has written its counts."""
    password = server.add_account("anna")
    get(server, "contacts/anna/contacts/none.vcf", "anna", password)
    for _ in range(100):
        entries = beside.must("access", "anna", "--json").list("entries")
        if entries:
            break
    assert (entries[0]["credential"], entries[0]["outcome"]) == ("app-password:tests", "signed in")


def test_a_folder_is_served_once(server: Server, beside: Command) -> None:
    """A second server on the same folder is refused, with a hint, and never says that it serves."""
    refused = beside.run("serve", "--port", "1024")
    assert refused.output == ""
    assert refused.code == ExitCode.UNAVAILABLE
    assert "serves" in refused.errors
    assert "hint: " in refused.errors


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_stop_ends_well(tmp_path: Path, told: signal.Signals) -> None:
    """With code 0, after it said where it serves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [str(KEEPWELL), "serve", "--data", str(tmp_path / "data"), "--port", str(port), "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            _wait_until_it_answers(f"http://127.0.0.1:{port}/healthz")
            process.send_signal(told)
            output, _ = process.communicate(timeout=20)
        finally:
            process.kill()
    assert json.loads(output)["url"] == f"http://127.0.0.1:{port}/"
    assert process.returncode == 0


def _wait_until_it_answers(url: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"{url} did not answer")
