"""The real server process: starting, refusing to start, restarting, TLS, workers, and keeping what it said yes to."""

from __future__ import annotations

import asyncio
import base64
import http.client
import os
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest
import structlog

from keepwell.app import asgi
from keepwell.app.log import configure_log
from keepwell.app.server import connections_max
from keepwell.storage.sqlite import files_of_accounts_max
from tests.support.server import KEEPWELL, Server, ServerFailedError, running_server

CARD = b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:%d\r\nFN:Bob\r\nEND:VCARD\r\n"


def ask(
    server: Server,
    method: str,
    path: str,
    *,
    password: str = "",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    context: ssl.SSLContext | None = None,
) -> tuple[int, bytes]:
    request = urllib.request.Request(server.url + path, data=body, method=method, headers=dict(headers or {}))
    if password:
        request.add_header("Authorization", "Basic " + base64.b64encode(f"anna:{password}".encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=20, context=context) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def put(server: Server, password: str, number: int) -> int:
    path = f"/dav/contacts/anna/contacts/{number}.vcf"
    return ask(server, "PUT", path, password=password, body=CARD % number)[0]


def workers_of(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children]


def parent_of(server: Server) -> int:
    return int((server.data / "serve.lock").read_text().split()[0])


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    """Every process is killed with SIGKILL after a 201; the next server has the item."""
    with running_server(tmp_path / "data") as server:
        password = server.add_account("anna")
        assert put(server, password, 1) == 201
        parent = parent_of(server)
        for pid in [*workers_of(parent), parent]:
            os.kill(pid, signal.SIGKILL)
    with running_server(tmp_path / "data") as server:
        status, body = ask(server, "GET", "/dav/contacts/anna/contacts/1.vcf", password=password)
        assert (status, body) == (200, CARD % 1)
        assert put(server, password, 2) == 201


def test_a_second_server_is_refused(tmp_path: Path) -> None:
    """A folder that is being served is not served again; the refusal says by which process."""
    with running_server(tmp_path / "data") as server:
        with pytest.raises(ServerFailedError), running_server(tmp_path / "data"):
            pass
        log = (tmp_path / "data.log").read_text()
        assert f"process {parent_of(server)}" in log
        assert "hint:" in log
        assert "Traceback" not in log


def test_a_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    """The server goes on with a new worker when one is killed."""
    with running_server(tmp_path / "data") as server:
        password = server.add_account("anna")
        os.kill(workers_of(parent_of(server))[0], signal.SIGKILL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                if put(server, password, 1) in {201, 204}:
                    return
            except OSError:
                time.sleep(0.1)
        pytest.fail("no worker answered within 20 s")


def test_two_workers_share_a_folder(tmp_path: Path) -> None:
    """Two processes write to one account at once; nothing is lost and the chain holds."""
    with running_server(tmp_path / "data", options=["--workers", "2"]) as server:
        password = server.add_account("anna")
        assert {put(server, password, number) for number in range(60)} == {201}
        server.keepwell("check")


def test_a_command_line_works_beside_the_server(tmp_path: Path) -> None:
    """An app password that is revoked by the command line stops working at the server's next request."""
    with running_server(tmp_path / "data") as server:
        password = server.add_account("anna")
        assert put(server, password, 1) == 201
        server.keepwell("app-password", "revoke", "anna", "tests")
        assert put(server, password, 2) == 401


def test_tls(tmp_path: Path) -> None:
    """With a certificate and key the server speaks TLS, and only TLS."""
    if shutil.which("openssl") is None:
        pytest.fail("this test needs openssl: apt-get install openssl")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(cert)]
    making = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files]
    subprocess.run(making, check=True, capture_output=True)
    options = ["--tls-cert", str(cert), "--tls-key", str(key)]
    context = ssl.create_default_context(cafile=str(cert))
    with running_server(tmp_path / "data", options=options) as server:
        assert server.url.startswith("https://")
        assert ask(server, "GET", "/healthz", context=context)[0] == 200
        with pytest.raises((OSError, http.client.HTTPException)):
            urllib.request.urlopen(server.url.replace("https", "http") + "/healthz", timeout=5)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tls-cert", "/nowhere/cert.pem"], "certificate and its key"),
        (["--trusted-proxy", "not-an-address"], "trusted proxy"),
        (["--workers", "0"], "workers"),
    ],
)
def test_options_that_cannot_be(tmp_path: Path, options: list[str], said: str) -> None:
    """An option that makes no sense is refused with a sentence and a hint, and no traceback."""
    done = subprocess.run(
        [str(KEEPWELL), "serve", "--data", str(tmp_path / "data"), *options], capture_output=True, text=True, timeout=30
    )
    assert done.returncode not in {0, 70}
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_trusted_proxy_names_the_client(tmp_path: Path) -> None:
    """X-Forwarded-For of a trusted proxy reaches the access log; without trust it does not."""
    forwarded = {"X-Forwarded-For": "203.0.113.7, 127.0.0.1"}
    for options, expected in ((["--trusted-proxy", "127.0.0.0/8"], "203.0.113.7"), ([], "127.0.0.1")):
        data = tmp_path / expected
        with running_server(data, options=options) as server:
            password = server.add_account("anna")
            ask(server, "GET", "/dav/contacts/anna/contacts/", password=password, headers=forwarded)
            time.sleep(0)
        shown = subprocess.run(
            [str(KEEPWELL), "access", "anna", "--data", str(data), "--json"], capture_output=True, text=True, check=True
        )
        assert expected in shown.stdout


def test_a_second_server_on_the_same_port_is_refused(tmp_path: Path) -> None:
    """Two servers on one port would each answer half of the requests: the second is refused before it begins."""
    with running_server(tmp_path / "data") as server:
        port = server.url.rpartition(":")[2]
        done = subprocess.run(
            [str(KEEPWELL), "serve", "--data", str(tmp_path / "other"), "--port", port],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode not in {0, 70}
        assert f"port {port}" in done.stderr
        assert "Keepwell serves" not in done.stdout


def test_a_lost_account_is_not_answered_as_empty(tmp_path: Path) -> None:
    """An account whose file is gone answers 503 with Retry-After on every path, never 404 or an empty listing."""
    with running_server(tmp_path / "data") as server:
        password = server.add_account("anna")
        put(server, password, 1)
    (lost,) = [path for path in (tmp_path / "data" / "accounts").glob("*/a_*.db") if path.stem != "a_system"]
    lost.unlink()
    with running_server(tmp_path / "data") as server:
        for method, path in (
            ("GET", "/dav/contacts/anna/contacts/1.vcf"),
            ("PROPFIND", "/dav/contacts/anna/contacts/"),
            ("PROPFIND", "/dav/contacts/anna/"),
            ("GET", "/api/v1/collections"),
        ):
            assert ask(server, method, path, password=password, headers={"Depth": "1"})[0] == 503, (method, path)
        assert put(server, password, 2) == 503


def test_killing_the_parent_ends_its_workers(tmp_path: Path) -> None:
    """A worker does not outlive its parent, so the folder can be served again at once."""
    with running_server(tmp_path / "data") as server:
        parent = parent_of(server)
        workers = workers_of(parent)
        os.kill(parent, signal.SIGKILL)
        deadline = time.monotonic() + 15
        while any(Path(f"/proc/{pid}/cmdline").exists() and _lives(pid) for pid in workers):
            assert time.monotonic() < deadline, "a worker outlives its parent"
            time.sleep(0.05)
    with running_server(tmp_path / "data"):
        pass


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_an_early_answer_keeps_the_connection(tmp_path: Path) -> None:
    """A request that is answered without a look at its body does not cost the client its connection."""
    with running_server(tmp_path / "data") as server:
        host, _, port = server.url.partition("://")[2].rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            for _ in range(20):
                connection.sendall(b"PROPFIND /dav/ HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
                time.sleep(0.005)
                connection.sendall(b"0123456789")
                answer = b""
                while not answer.endswith(b"}") and b"\r\n\r\n" not in answer:
                    part = connection.recv(65536)
                    assert part, "the server closed the connection"
                    answer += part
                assert b" 401 " in answer


def test_files_are_private(tmp_path: Path) -> None:
    """Nobody but their owner can read the files of the data folder."""
    with running_server(tmp_path / "data") as server:
        put(server, server.add_account("anna"), 1)
        loose = [path for path in server.data.rglob("*") if path.stat().st_mode & 0o077]
        assert loose == []


def test_a_fault_is_logged_without_secrets(capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> None:
    """What is logged of a failure is its traceback, not the variables in it."""
    configure_log()
    request.addfinalizer(structlog.reset_defaults)

    def fail(secret: str) -> None:
        raise ZeroDivisionError(len(secret))

    variable = "".join(reversed("2retnuh"))
    try:
        fail(variable)
    except ZeroDivisionError as error:
        structlog.get_logger("test").error("request.failed", exc_info=error)
    shown = capsys.readouterr().err
    assert "ZeroDivisionError" in shown
    assert "hunter2" not in shown


def test_every_request_leaves_one_line(tmp_path: Path) -> None:
    """The log has one line per request, without content or secrets."""
    with running_server(tmp_path / "data") as server:
        password = server.add_account("anna")
        put(server, password, 1)
    log = (tmp_path / "data.log").read_text()
    lines = [line for line in log.splitlines() if '"method":"PUT"' in line]
    assert len(lines) == 1
    assert '"status":201' in lines[0]
    assert password not in log
    assert "VCARD" not in log


def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever sends a small body an octet now and then gets the answer before its end, and the connection is closed."""
    monkeypatch.setattr(asgi, "DRAIN_SECONDS_MAX", 0.01)
    sent: list[str] = []

    async def receive() -> asgi.Message:
        await asyncio.Event().wait()
        return {}

    async def send(message: asgi.Message) -> None:
        sent.append(str(message["type"]))

    async def answer() -> None:
        _receive, draining = asgi._reading_all_before_answering(receive, send)
        for kind in ("http.response.start", "http.response.body"):
            await draining({"type": kind})

    asyncio.run(answer())
    assert sent == ["http.response.start", "http.response.body"]


@pytest.mark.parametrize(
    ("files", "connections"),
    [(256, 64), (1024, 128), (4096, 1920), (20_000, 17_824), (1 << 20, 32_768), (resource.RLIM_INFINITY, 32_768)],
)
def test_connections_leave_files_for_storing(files: int, connections: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever connects does not take the files that accounts are kept in, however few a process may have."""
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (files, files))
    assert connections_max() == connections
    assert files == resource.RLIM_INFINITY or connections <= 64 or connections + files_of_accounts_max() < files
