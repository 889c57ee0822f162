"""A person's desk: a home folder in which vdirsyncer keeps copies of the account's collections.

khal, khard and todoman work on those copies, as their users have them; so a change made in one of these
programs reaches the server by the next sync, and one made elsewhere reaches the program.
"""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compat.places import program
from compat.suite_run import clean_environment

from tests.programs.accounts import Account

PAIRS: Mapping[str, tuple[str, str]] = {"contacts": ("carddav", ".vcf"), "calendars": ("caldav", ".ics")}


@dataclass(frozen=True, slots=True)
class Run:
    """What a program came to."""

    status: int
    output: str


@dataclass(frozen=True, slots=True)
class Desk:
    """The home folder of a person, with the account their programs are set up for."""

    home: Path
    account: Account

    @property
    def contacts(self) -> Path:
        """The local copy of the address book."""
        return self.home / "contacts" / "contacts"

    @property
    def calendar(self) -> Path:
        """The local copy of the calendar."""
        return self.home / "calendars" / "calendar"

    @property
    def tasks(self) -> Path:
        """The local copy of the task list."""
        return self.home / "calendars" / "tasks"

    def run(self, name: str, *arguments: str, typed: str = "", editor: str = "") -> Run:
        """Run a program in this home folder and return how it ended."""
        environment = clean_environment(self.home) | {"EDITOR": editor, "COLUMNS": "200", "TERM": "dumb"}
        done = subprocess.run(
            [str(program(name)), *arguments],
            cwd=self.home,
            env=environment,
            input=typed,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Run(done.returncode, done.stdout + done.stderr)

    def must_run(self, name: str, *arguments: str, typed: str = "", editor: str = "") -> str:
        """Run a program that has to succeed and return what it printed."""
        run = self.run(name, *arguments, typed=typed, editor=editor)
        assert run.status == 0, f"{name} {' '.join(arguments)} exited with {run.status}:\n{run.output}"
        return run.output

    def sync(self) -> str:
        """Bring the local copies and the server together; fails when vdirsyncer reports anything wrong."""
        return self.must_run("vdirsyncer", "sync")


def set_up_desk(home: Path, account: Account, *, conflicts: str = "") -> Desk:
    """Configure vdirsyncer for the account and let it discover the collections from the server's root.

    `conflicts` is a line such as `conflict_resolution = "a wins"`; a is the local copy.
    """
    desk = Desk(home, account)
    for folder in (desk.contacts, desk.calendar, desk.tasks):
        folder.mkdir(parents=True)
    settings = home / ".config" / "vdirsyncer" / "config"
    settings.parent.mkdir(parents=True)
    sections = [f'[general]\nstatus_path = "{home}/status"\n']
    sections += [_pair(desk, kind, conflicts) for kind in PAIRS]
    settings.write_text("\n".join(sections))
    desk.must_run("vdirsyncer", "discover", typed="y\n" * 20)
    return desk


def _pair(desk: Desk, kind: str, conflicts: str) -> str:
    protocol, extension = PAIRS[kind]
    return f"""
[pair {kind}]
a = "{kind}_here"
b = "{kind}_there"
collections = ["from a"]
metadata = ["displayname"]
{conflicts}

[storage {kind}_here]
type = "filesystem"
path = "{desk.home}/{kind}"
fileext = "{extension}"

[storage {kind}_there]
type = "{protocol}"
url = "{desk.account.dav}"
username = "{desk.account.login}"
password = "{desk.account.password}"
"""
