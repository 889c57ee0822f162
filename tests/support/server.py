"""A real Keepwell server, run as a process of its own for as long as a test needs it.

`running_server` promises that the server answers before the test begins, and that neither it nor a
process it started is left behind; when the test fails, the end of the server's log is in the failure.
"""

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

KEEPWELL = Path(sys.prefix) / "bin" / "keepwell"
START_SECONDS_MAX = 20.0
STOP_SECONDS_MAX = 10.0
LOG_LINES_SHOWN = 60


class ServerFailedError(Exception):
    """The server did not start, or a command of `keepwell` failed; the message has what it printed."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: where it answers and the data folder it serves."""

    url: str
    data: Path

    @property
    def dav(self) -> str:
        """Where discovery starts."""
        return f"{self.url}/dav/"

    def keepwell(self, *arguments: str) -> str:
        """Run one command of `keepwell` on the served data folder and return what it printed."""
        return keepwell(*arguments, "--data", str(self.data))

    def add_account(self, login: str) -> str:
        """Add an account and return an app password for it."""
        self.keepwell("account", "add", login)
        answer = self.keepwell("app-password", "add", login, "--label", "tests", "--json")
        password = json.loads(answer)["password"]
        if not isinstance(password, str):
            raise ServerFailedError(f"`keepwell app-password add --json` gave no password: {answer}")
        return password


def keepwell(*arguments: str, code: int = 0) -> str:
    """Run one command of `keepwell` and return what it printed; raises ServerFailedError when it ends otherwise."""
    if not KEEPWELL.exists():
        raise ServerFailedError(f"{KEEPWELL} is not there; install it with: make install")
    done = subprocess.run([str(KEEPWELL), *arguments], capture_output=True, text=True, timeout=60)
    if done.returncode != code:
        shown = " ".join(arguments)
        raise ServerFailedError(f"`keepwell {shown}` exited with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


@contextlib.contextmanager
def running_server(
    data: Path, *, host: str = "127.0.0.1", port: int | None = None, options: Sequence[str] = ()
) -> Iterator[Server]:
    """Serve a data folder on a free loopback port, or on this one, until the block ends."""
    scheme = "https" if "--tls-cert" in options else "http"
    url = f"{scheme}://{host}:{port or free_port(host)}"
    data.mkdir(parents=True, exist_ok=True)
    log = data.parent / f"{data.name}.log"
    process = _start(url, data, log, options)
    try:
        _wait_until_ready(url, process)
        yield Server(url, data)
    except BaseException as error:
        error.add_note(f"the end of the server's log, {log}:\n{_tail(log)}")
        raise
    finally:
        _stop(process)


def free_port(host: str) -> int:
    """A port on which nothing listens at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _start(url: str, data: Path, log: Path, options: Sequence[str]) -> subprocess.Popen[bytes]:
    host, _, port = url.partition("://")[2].rpartition(":")
    command = [str(KEEPWELL), "serve", "--data", str(data), "--host", host, "--port", port, *options]
    with log.open("ab") as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while not _answers(f"{url}/healthz"):
        if process.poll() is not None:
            raise ServerFailedError(f"`keepwell serve` ended with {process.returncode} before it answered")
        if time.monotonic() > deadline:
            raise ServerFailedError(f"{url}/healthz did not answer 200 within {START_SECONDS_MAX:.0f} s")
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        # Whose certificate it is does not matter here: the tests of TLS look at that.
        with urllib.request.urlopen(url, timeout=2, context=ssl._create_unverified_context()) as response:
            status: int = response.status
            return status == 200
    except OSError:  # refused, reset or an HTTP error: not ready yet
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to end, then end what is left of its process group, which is its own session."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS_MAX)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(STOP_SECONDS_MAX)


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join(lines[-LOG_LINES_SHOWN:])
