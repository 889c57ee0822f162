"""The server that a drill starts on a restored copy: the real command, on a free port of this machine, for a while.

It is a process of its own that ends with the drill, however that ends. It gets no access key of any vault, and the
restored copy names none, so it writes to none.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from keepwell.app.config import DEFAULT_HOST, WITNESS_VARIABLE
from keepwell.app.own_command import own_command
from keepwell.ground.clock import Clock, SystemClock
from keepwell.model.errors import Unavailable

START_SECONDS_MAX: Final = 120.0
STOP_SECONDS_MAX: Final = 15.0
POLL_SECONDS: Final = 0.05
LOG_CHARACTERS: Final = 2000

_SECRET_PREFIXES: Final = ("KEEPWELL_", "AWS_")


@contextmanager
def serving(data: Path) -> Iterator[str]:
    """Serve a data folder while the block runs: its URL. Raises Unavailable when the server does not start."""
    port = _free_port()
    log = data.with_name(data.name + ".log")
    process = _start(data, port, log)
    try:
        _wait_until_it_answers(port, process, log, SystemClock())
        yield f"http://{DEFAULT_HOST}:{port}"
    finally:
        _stop(process)


def _start(data: Path, port: int, log: Path) -> subprocess.Popen[bytes]:
    options = ["--data", str(data), "--host", DEFAULT_HOST, "--port", str(port), "--no-log-requests"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_SECRET_PREFIXES)}
    # What an earlier drill's server noted of the same folder would be taken for a history that went back.
    environment[WITNESS_VARIABLE] = str(data.with_name(data.name + ".witness"))
    with log.open("wb") as output:
        return subprocess.Popen(  # noqa: S603  (our own command)
            own_command("serve", *options),
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _free_port() -> int:
    with socket.create_server((DEFAULT_HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _wait_until_it_answers(port: int, process: subprocess.Popen[bytes], log: Path, clock: Clock) -> None:
    deadline = clock.monotonic() + START_SECONDS_MAX
    while not _answers(port):
        if process.poll() is not None:
            raise Unavailable(f"the server on the restored copy ended with {process.returncode}: {_end_of(log)}")
        if clock.monotonic() > deadline:
            raise Unavailable(f"the server on the restored copy did not answer in {START_SECONDS_MAX:.0f} s")
        time.sleep(POLL_SECONDS)


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection(DEFAULT_HOST, port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, by its number; then end what is left of its session."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS_MAX)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-LOG_CHARACTERS:].strip()
