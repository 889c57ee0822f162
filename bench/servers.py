"""The servers under measurement: how each is configured, filled, started and stopped.

Promises: every server writes to the same file system, is set to sync what it acknowledges, and gets the
configuration that makes it fastest otherwise; `configuration` says in words what that is, for the report.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.client import Address, ClientError, drive, exchange
from bench.data import Dataset, Item

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".venv-bench" / "bin"
LOGIN = "bench"
CONTACT_TYPE = "text/vcard; charset=utf-8"
EVENT_TYPE = "text/calendar; charset=utf-8"
_START_SECONDS = 120.0
_RADICALE_SETTINGS = """\
[server]
hosts = {bind}
max_connections = 64
timeout = 600
[auth]
type = none
[storage]
filesystem_folder = {storage}
use_mtime_and_size_for_item_cache = True
[web]
type = none
[logging]
level = warning
"""
_GUNICORN_OPTIONS = (
    f"--workers={os.cpu_count()}",
    "--worker-class=gthread",
    "--threads=16",
    "--keep-alive=300",
    "--timeout=900",
    "--log-level=warning",
)


class ServerError(Exception):
    """A server is not installed, did not start, or could not be filled."""


@dataclass(frozen=True, slots=True)
class Target:
    """A running server as the client sees it: where it listens, who asks, and where the two collections are."""

    address: Address
    login: str
    password: str
    contacts: str
    calendar: str

    def request(self, method: str, path: str, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()) -> bytes:
        """The bytes of one request."""
        secret = base64.b64encode(f"{self.login}:{self.password}".encode()).decode()
        lines = [
            f"{method} {path} HTTP/1.1",
            f"Host: {self.address[0]}:{self.address[1]}",
            f"Authorization: Basic {secret}",
        ]
        lines += [f"{name}: {value}" for name, value in headers]
        if body or method in ("PUT", "REPORT", "PROPFIND"):
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def for_login(self, login: str, password: str) -> Target:
        """The same server for someone else; the paths have `{}` where the login belongs."""
        return Target(self.address, login, password, self.contacts.format(login), self.calendar.format(login))

    def put(self, item: Item) -> bytes:
        """The request that stores an item in the collection of its kind."""
        kind = CONTACT_TYPE if item.name.endswith(".vcf") else EVENT_TYPE
        return self.request("PUT", self.path(item.name), item.body, [("Content-Type", kind)])

    def path(self, name: str) -> str:
        """The path of an item, by its name."""
        return (self.contacts if name.endswith(".vcf") else self.calendar) + name


class Server(Protocol):
    """One server, with one data folder, for one data set."""

    configuration: str

    def version(self) -> str:
        """The version that is installed; raises `ServerError` if none is."""

    def start(self, folder: Path, data: Dataset) -> Target:
        """Fill an empty folder with the data, serve it, and return once requests are answered."""

    def process(self) -> int:
        """The id of the server's first process."""

    def stop(self) -> None:
        """End the server and everything it started."""


class Process:
    """A server process in a group of its own, with its output in a file."""

    def __init__(self, name: str) -> None:
        """Not yet started; the name is for messages."""
        self._name = name
        self._running: subprocess.Popen[bytes] | None = None

    def start(self, command: Sequence[str | Path], log: Path, *, environment: dict[str, str]) -> None:
        """Start the command."""
        variables = {"PATH": os.environ["PATH"], "HOME": str(log.parent), "LANG": "C.UTF-8", **environment}
        with log.open("wb") as output:
            self._running = subprocess.Popen(
                command, stdout=output, stderr=output, env=variables, start_new_session=True
            )
        self._log = log

    def wait_for(self, address: Address, probe: bytes) -> None:
        """Wait until the probe is answered with something that is not a server error."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._running is None or self._running.poll() is not None:
                break
            try:
                if exchange(address, probe).status < 500:
                    return
            except (OSError, ClientError):
                pass
            time.sleep(0.05)
        raise ServerError(
            f"{self._name} did not start; the end of its output:\n{self._log.read_text(errors='replace')[-2000:]}"
        )

    def id(self) -> int:
        """The process id."""
        if self._running is None:
            raise ServerError(f"{self._name} is not running")
        return self._running.pid

    def stop(self) -> None:
        """End the whole process group, gently first."""
        if self._running is None:
            return
        for sign in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._running.pid, sign)
                self._running.wait(timeout=10)
                break
            except subprocess.TimeoutExpired:
                continue
            except ProcessLookupError:
                break
        self._running = None


class Radicale:
    """Radicale, filled through its file format: one file per item beside a `.Radicale.props`.

    By its own command, which listens with a backlog of five and closes after every request, so that sixteen
    connections mostly wait for lost packets to be sent again. Or under Gunicorn, for which it has an entry point, with
    connections kept alive: faster at reading, and what `--servers keepwell,radicale-gunicorn,xandikos` measures.
    """

    def __init__(self, *, gunicorn: bool = False) -> None:
        """With its own server, or under Gunicorn."""
        self._gunicorn = gunicorn
        self._process = Process("Radicale")
        serving = "its own server, `max_connections = 64`"
        if gunicorn:
            serving = f"under Gunicorn with {os.cpu_count()} workers of 16 threads, connections kept alive"
        self.configuration = (
            f"{serving}; every file and folder it writes is synced (`_filesystem_fsync`, its default, which a "
            "configuration file cannot change); no password is checked; item cache keyed by time and size; "
            "log level warning"
        )

    def version(self) -> str:
        """See `Server`."""
        return _installed("radicale")

    def start(self, folder: Path, data: Dataset) -> Target:
        """See `Server`."""
        target = Target(("127.0.0.1", free_port()), LOGIN, "none", f"/{LOGIN}/contacts/", f"/{LOGIN}/calendar/")
        home = folder / "collections" / "collection-root" / LOGIN
        _write_files(home / "contacts", [contact.item() for contact in data.contacts])
        _write_files(home / "calendar", [event.item() for event in data.events])
        (home / "contacts" / ".Radicale.props").write_text(json.dumps({"tag": "VADDRESSBOOK"}))
        (home / "calendar" / ".Radicale.props").write_text(json.dumps({"tag": "VCALENDAR"}))
        settings = folder / "radicale.conf"
        settings.write_text(_RADICALE_SETTINGS.format(bind=_bind(target), storage=folder / "collections"))
        command: list[str | Path] = [PEERS / "radicale", "--config", settings]
        if self._gunicorn:
            command = [
                PEERS / "gunicorn",
                f"--bind={_bind(target)}",
                *_GUNICORN_OPTIONS,
                "radicale:application",
            ]
        self._process.start(command, folder / "radicale.log", environment={"RADICALE_CONFIG": str(settings)})
        self._process.wait_for(target.address, target.request("PROPFIND", f"/{LOGIN}/", headers=[("Depth", "0")]))
        return target

    def process(self) -> int:
        """See `Server`."""
        return self._process.id()

    def stop(self) -> None:
        """See `Server`."""
        self._process.stop()


class Xandikos:
    """Xandikos, filled through its file format: one Git repository per collection, one commit for all."""

    configuration = (
        "Git repositories with `core.fsyncObjectFiles = true` (objects are synced; index and branch always are; "
        "folders and the checked-out copy never are, for which there is no setting); no password is checked; "
        "`--eager --index-threshold 0` "
        "(indexes are made at start and at the first query)"
    )

    def __init__(self) -> None:
        """Not yet started."""
        self._process = Process("Xandikos")

    def version(self) -> str:
        """See `Server`."""
        return _installed("xandikos")

    def start(self, folder: Path, data: Dataset) -> Target:
        """See `Server`."""
        target = Target(
            ("127.0.0.1", free_port()),
            LOGIN,
            "none",
            "/user/contacts/addressbook/",
            "/user/calendars/calendar/",
        )
        root = folder / "xandikos"
        self._serve(folder, root, target, "--defaults")
        self._process.stop()
        for path, items in (
            (target.contacts, [contact.item() for contact in data.contacts]),
            (target.calendar, [event.item() for event in data.events]),
        ):
            collection = root / path.strip("/")
            _write_files(collection, items)
            subprocess.run([PEERS / "python", Path(__file__).with_name("fill_repository.py"), collection], check=True)
        self._serve(folder, root, target, "--eager", "--index-threshold", "0")
        return target

    def _serve(self, folder: Path, root: Path, target: Target, *options: str) -> None:
        host, port = target.address
        command: list[str | Path] = [
            PEERS / "xandikos",
            "serve",
            "--directory",
            root,
            "--listen-address",
            host,
            "--port",
            str(port),
            "--no-detect-systemd",
            *options,
        ]
        self._process.start(command, folder / "xandikos.log", environment={"XDG_DATA_HOME": str(folder / "state")})
        self._process.wait_for(target.address, target.request("PROPFIND", "/user/", headers=[("Depth", "0")]))

    def process(self) -> int:
        """See `Server`."""
        return self._process.id()

    def stop(self) -> None:
        """See `Server`."""
        self._process.stop()


class Keepwell:
    """Keepwell, filled over HTTP as any client would."""

    configuration = "default settings, one app password checked with every request, filled over HTTP"
    program = ROOT / ".venv" / "bin" / "keepwell"

    def __init__(self) -> None:
        """Not yet started."""
        self._process = Process("Keepwell")

    def version(self) -> str:
        """See `Server`."""
        if not self.program.exists():
            raise ServerError(f"{self.program} is missing: run `make install`")
        return _installed("keepwell", self.program.parent)

    def start(self, folder: Path, data: Dataset) -> Target:
        """See `Server`."""
        store = folder / "data"
        self.run("account", "add", LOGIN, "--data", str(store))
        answer = json.loads(self.run("app-password", "add", LOGIN, "--data", str(store), "--json", "--label", "bench"))
        target = self.serve(folder, store).for_login(LOGIN, answer["password"])
        payloads = [target.put(contact.item()) for contact in data.contacts] + [
            target.put(event.item()) for event in data.events
        ]
        refused = [
            answer.status for answer in drive(target.address, payloads, connections=16).answers if answer.status != 201
        ]
        if refused:
            raise ServerError(f"Keepwell refused {len(refused)} of {len(payloads)} items, the first with {refused[0]}")
        return target

    def serve(self, folder: Path, store: Path) -> Target:
        """Serve a data folder that is there already; the target is signed in as nobody yet."""
        target = Target(("127.0.0.1", free_port()), "", "", "/dav/contacts/{}/contacts/", "/dav/calendars/{}/calendar/")
        host, port = target.address
        self._process.start(
            [self.program, "serve", "--data", store, "--host", host, "--port", str(port)],
            folder / "keepwell.log",
            environment={},
        )
        self._process.wait_for(target.address, target.request("GET", "/healthz"))
        return target

    def run(self, *arguments: str) -> str:
        """Run one command of the command line; its output."""
        done = subprocess.run([self.program, *arguments], capture_output=True, text=True)
        if done.returncode:
            raise ServerError(f"keepwell {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def process(self) -> int:
        """See `Server`."""
        return self._process.id()

    def stop(self) -> None:
        """See `Server`."""
        self._process.stop()


def free_port() -> int:
    """A TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _bind(target: Target) -> str:
    host, port = target.address
    return f"{host}:{port}"


def _write_files(folder: Path, items: Sequence[Item]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for item in items:
        (folder / item.name).write_bytes(item.body)


def _installed(package: str, programs: Path = PEERS) -> str:
    script = f"import importlib.metadata as m; print(m.version({package!r}))"
    command: list[str | Path] = [programs / "python", "-c", script]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        install = "bench/install.sh" if programs == PEERS else "make install"
        raise ServerError(f"{package} is not installed in {programs.parent}: run {install}") from error
