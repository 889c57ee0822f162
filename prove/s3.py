"""A real S3 server, SeaweedFS, run as one process for as long as a test session needs it.

`running_s3` promises that the server answers signed requests before the first test begins, that it syncs the bytes of
an object before it answers (seen with strace: one fsync an object; the filer's index of names is not synced), that it
reports to nobody, and that nothing is left behind. Its process ends with ours, however that ends.
"""

import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from obstore.exceptions import BaseError
from obstore.store import S3Store

WEED = Path(sys.prefix) / "bin" / "weed"
BUCKET = "vaults"
OPEN_BUCKET = "open"
"""This bucket is anyone's: a proxy may change requests to it, which would break a signature."""
ACCESS_KEY_ID = "AKIATESTS"
SECRET_ACCESS_KEY = "of-no-use-elsewhere"

START_SECONDS_MAX = 30.0
SHELL_SECONDS_MAX = 30.0
LOG_LINES_SHOWN = 60

_SERVICES = ("master", "volume", "filer", "s3")
_IDENTITIES = {
    "identities": [
        {
            "name": "tests",
            "credentials": [{"accessKey": ACCESS_KEY_ID, "secretKey": SECRET_ACCESS_KEY}],
            "actions": ["Admin", "Read", "List", "Tagging", "Write"],
        },
        {"name": "anonymous", "actions": [f"{action}:{OPEN_BUCKET}" for action in ("Read", "List", "Write")]},
    ]
}
_SET_UP = f"""\
fs.configure -locationPrefix=/buckets/ -fsync -apply
s3.bucket.create -name={BUCKET}
s3.bucket.create -name={OPEN_BUCKET}
"""


class S3FailedError(Exception):
    """The server did not start; the message says why."""


@dataclass(frozen=True, slots=True)
class S3Server:
    """A running server, and places in it that no other test uses."""

    endpoint: str
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def new_url(self, *, bucket: str = BUCKET, endpoint: str = "") -> str:
        """The URL of a vault in a prefix of its own; with `endpoint`, by way of a proxy."""
        return f"s3://{bucket}/vault-{next(self._numbers)}?endpoint={endpoint or self.endpoint}"

    @staticmethod
    def environment() -> dict[str, str]:
        """The variables that give the access key to whoever opens such a vault."""
        return {"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY}


@contextlib.contextmanager
def running_s3() -> Iterator[S3Server]:
    """Run a server on free loopback ports until the block ends; raises S3FailedError."""
    if not WEED.exists():
        raise S3FailedError(f"{WEED} is not there; install what the tests need with: make test")
    with tempfile.TemporaryDirectory(prefix="s3-") as name:
        folder, ports = Path(name), _free_ports()
        process = _start(folder, ports)
        try:
            _wait_for(ports["s3"], process)
            _set_up(ports)
            server = S3Server(f"http://127.0.0.1:{ports['s3']}")
            _wait_until_it_stores(server)
            yield server
        except BaseException as error:
            error.add_note(f"the end of the S3 server's log:\n{_tail(folder / 'log')}")
            raise
        finally:
            _stop(process, ports)


def _free_ports() -> dict[str, int]:
    """For each service a port, and one behind `.grpc` for its inner talk."""
    with contextlib.ExitStack() as stack:
        ports = {}
        for name in (*_SERVICES, *(f"{service}.grpc" for service in _SERVICES)):
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports[name] = int(probe.getsockname()[1])
        return ports


def _start(folder: Path, ports: dict[str, int]) -> subprocess.Popen[bytes]:
    (folder / "data").mkdir()
    (folder / "s3.json").write_text(json.dumps(_IDENTITIES))
    options = [
        f"-dir={folder}/data",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.telemetry=false",
        "-master.peers=none",  # the only one: it need not wait for others before it leads
        "-master.volumeSizeLimitMB=64",
        "-volume.max=100",
        "-filer",
        f"-filer.localSocket={folder}/filer.sock",
        "-s3",
        f"-s3.config={folder}/s3.json",
        f"-s3.localSocket={folder}/s3.sock",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]
    for service in _SERVICES:
        options += [f"-{service}.port={ports[service]}", f"-{service}.port.grpc={ports[f'{service}.grpc']}"]
    command = ["setpriv", "--pdeathsig", "KILL", str(WEED), "-logtostderr=true", "server", *options]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if process.poll() is not None:
            raise S3FailedError(f"`weed server` ended with {process.returncode} before it answered")
        if time.monotonic() > deadline:
            raise S3FailedError(f"nothing listens on port {port} after {START_SECONDS_MAX:.0f} s")
        time.sleep(0.05)


def _set_up(ports: dict[str, int]) -> None:
    command = [str(WEED), "shell"]
    command += [f"-{one}=127.0.0.1:{ports[one]}.{ports[f'{one}.grpc']}" for one in ("master", "filer")]
    done = subprocess.run(command, input=_SET_UP, capture_output=True, text=True, timeout=SHELL_SECONDS_MAX)
    if done.returncode or '"fsync":  true' not in done.stdout:
        raise S3FailedError(f"`weed shell` could not set the buckets up:\n{done.stdout}{done.stderr}")


def _wait_until_it_stores(server: S3Server) -> None:
    store = S3Store(
        BUCKET,
        endpoint=server.endpoint,
        region="us-east-1",
        access_key_id=ACCESS_KEY_ID,
        secret_access_key=SECRET_ACCESS_KEY,
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    deadline = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            store.put("ready", b"")
            store.delete("ready")
        except BaseError as error:
            if time.monotonic() > deadline:
                raise S3FailedError(f"the S3 server stores nothing: {error}") from error
            time.sleep(0.1)
        else:
            return


def _stop(process: subprocess.Popen[bytes], ports: dict[str, int]) -> None:
    """End it at once: when asked politely it takes fifteen seconds, and its data is thrown away."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for service in _SERVICES:
        Path(f"/tmp/seaweedfs-{service}-grpc-{ports[f'{service}.grpc']}.sock").unlink(missing_ok=True)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])
