"""One server with its data folder, its vault and its accounts: founded, started, killed, started again.

A world has its paths given, so that data and vault may lie on disks that are cut off. What must outlive every fault
(claims, passwords, logs, the witness) lies in the `ground`, which nothing breaks.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from prove.claims import Claims
from prove.client import Client

KEEPWELL = Path(sys.prefix) / "bin" / "keepwell"
START_SECONDS_MAX = 60.0
COMMAND_SECONDS_MAX = 300.0
LOG_LINES_SHOWN = 40
PAUSE_SECONDS_MAX = 30.0
VAULT_NAME = "other"


class WorldError(Exception):
    """The server or a command did not do what it must; the message has what it printed."""


@dataclass
class World:
    """Invariant: at most one server process at a time, and none after `kill` or `stop`."""

    ground: Path
    data: Path
    vault: str | None = None
    """A folder or a URL; None: one copy."""
    logins: tuple[str, ...] = ("ada", "bob")
    program: Sequence[str] = (str(KEEPWELL),)
    """What is run as `keepwell`: another build, or the same inside of a tool."""
    environment: Mapping[str, str] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    port: int = 0

    def __post_init__(self) -> None:
        """Nothing is made but the ground."""
        self.ground.mkdir(parents=True, exist_ok=True)
        self.claims = Claims(self.ground / "claims.jsonl")
        self.log = self.ground / "server.log"
        self.process: subprocess.Popen[bytes] | None = None

    def found(self, *, confirm: bool = True) -> None:
        """Make the accounts, their app passwords and the vault. Raises WorldError."""
        for login in self.logins:
            self.command("account", "add", login)
            answer = json.loads(self.command("app-password", "add", login, "--label", "proving", "--json"))
            self.passwords[login] = answer["password"]
        if self.vault is not None:
            self.command("vault", "add", VAULT_NAME, self.vault, *(["--confirm"] if confirm else []))

    def command(self, *arguments: str, code: int | Sequence[int] = 0, data: Path | None = None) -> str:
        """Run a command on the data folder and return what it printed. Raises WorldError when it ends otherwise."""
        line = [*self.program, *arguments, "--data", str(data or self.data)]
        try:
            done = subprocess.run(
                line, capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX, env=self._environment()
            )
        except subprocess.TimeoutExpired:
            raise WorldError(f"`keepwell {' '.join(arguments)}` did not end in {COMMAND_SECONDS_MAX:.0f} s") from None
        if done.returncode not in ([code] if isinstance(code, int) else code):
            shown = f"`keepwell {' '.join(arguments)}` exited with {done.returncode}"
            raise WorldError(f"{shown}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self, *, before: Sequence[str] = (), options: Sequence[str] = ()) -> None:
        """Serve until `/healthz` answers; `before` stands before the command. Raises WorldError."""
        self.spawn(before=before, options=options)
        self.wait_until_it_serves()

    def spawn(self, *, before: Sequence[str] = (), options: Sequence[str] = ()) -> None:
        """Start the server and do not wait for it."""
        self.port = self.port or _free_port()
        words = ["serve", "--port", str(self.port), "--drill-hours", "0", "--no-log-requests", *options]
        self.spawn_command(*words, before=before)

    def spawn_command(self, *arguments: str, before: Sequence[str] = ()) -> None:
        """Start a command on the data folder and do not wait for it; until `kill` or `stop` it is the one process."""
        command = [*before, *self.program, *arguments, "--data", str(self.data)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=self._environment(),
            )

    def wait_until_it_serves(self, seconds: float = START_SECONDS_MAX) -> None:
        """Raises WorldError, with the end of its log, when it ends before or does not answer in time."""
        deadline = time.monotonic() + seconds
        while not self.answers():
            if self.has_ended():
                raise WorldError(f"the server ended before it served:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise WorldError(f"the server did not answer within {seconds:.0f} s:\n{self.tail()}")
            time.sleep(0.01)

    def answers(self) -> bool:
        """Whether it serves."""
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def has_ended(self) -> bool:
        """Whether the server's process has ended (or was never started)."""
        return self.process is None or self.process.poll() is not None

    def client(self, login: str) -> Client:
        """A client that is signed in to one of the accounts."""
        return Client(self.port, login, self.passwords[login])

    def ask_to_end(self) -> None:
        """Ask the server to end, and do not wait for it; `kill` or `stop` comes after."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)

    def pause(self, *, between_calls: bool) -> None:
        """Stop all of the server's threads until `go_on`; `between_calls` waits until no system call is under way."""
        if self.process is None:
            return
        group = self.process.pid
        os.killpg(group, signal.SIGSTOP)
        deadline = time.monotonic() + PAUSE_SECONDS_MAX
        while between_calls and not all(state in "TZX" for state in _states(group)):
            if time.monotonic() > deadline:
                raise WorldError(f"the server did not stop within {PAUSE_SECONDS_MAX:.0f} s: {sorted(_states(group))}")
            time.sleep(0.0005)

    def go_on(self) -> None:
        """Let the server's threads run again."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End the server and its workers at once, as `kill -9` does."""
        self._end(signal.SIGKILL, 30)

    def stop(self, seconds: float = 30.0) -> None:
        """Ask the server to end; it is killed when it does not."""
        self._end(signal.SIGTERM, seconds)

    def close(self) -> None:
        """Leave nothing running."""
        self.kill()
        self.claims.close()

    @contextmanager
    def having_environment(self) -> Iterator[None]:
        """What the server has in its environment this process has while the block runs: the access keys of vaults."""
        before = dict(os.environ)
        os.environ.update(self.environment)
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://127.0.0.1:{self.port}"

    def logged(self, start: int = 0) -> str:
        """What the servers printed from this character on."""
        return self.log.read_text(errors="replace")[start:] if self.log.exists() else ""

    def tail(self) -> str:
        """The end of the server's log."""
        return "\n".join(self.logged().splitlines()[-LOG_LINES_SHOWN:])

    def _end(self, number: int, seconds: float) -> None:
        if self.process is None:
            return
        group = self.process.pid
        with suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(group, number)
            else:
                self.process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        self.process.wait(30)
        self.process = None
        _wait_for_group(group)

    def _environment(self) -> dict[str, str]:
        witness = {"KEEPWELL_WITNESS": str(self.ground / "witness.jsonl")}
        python = {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}  # a crash says in the log where it was
        return {**os.environ, **witness, **python, **self.environment}


def _states(group: int) -> Iterator[str]:
    """The state of each thread of the group's processes, a letter each (proc(5))."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            if _fields(process / "stat")[2] == str(group):
                for thread in (process / "task").iterdir():
                    with suppress(OSError):
                        yield _fields(thread / "stat")[0]


def _fields(stat: Path) -> list[str]:
    """State, parent, group, …: what stands behind the name, which may have any characters in it."""
    return stat.read_text().rpartition(")")[2].split()


def _wait_for_group(group: int) -> None:
    """Wait until no process of the group lives: a folder in use cannot be unmounted."""
    for _ in range(3000):
        if not _lives(group):
            return
        time.sleep(0.01)
    raise WorldError(f"processes of group {group} are left after they were killed")


def _lives(group: int) -> bool:
    """Whether a process of the group has not ended: ended ones may stay for a second until their new parent looks."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return any(_lives_in(group, folder) for folder in Path("/proc").iterdir() if folder.name.isdigit())


def _lives_in(group: int, folder: Path) -> bool:
    try:
        state, _parent, its_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
        # A process that ends may be told as ended (Z) while threads of it are still at work in the kernel.
        return int(its_group) == group and (state != "Z" or len(list((folder / "task").iterdir())) > 1)
    except OSError:  # it is gone
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
