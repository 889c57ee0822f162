"""The real server process: starting, refusing to start, restarting, TLS, workers, and keeping what it said yes to."""

from __future__ import annotations

import base64
import http.client
import os
import shutil
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest

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
