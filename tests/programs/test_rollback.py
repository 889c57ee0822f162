"""The rollback drill, with vdirsyncer as the device: an older copy of the data folder is put back, and served.

On other servers the device then deletes what is newer on it. Here nothing is lost on either side.
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from tests.programs.accounts import Account
from tests.programs.desk import Desk, set_up_desk
from tests.programs.items import card, event
from tests.support.server import Server, free_port, keepwell, running_server

LOGIN = "ada"
SYNC = """<?xml version="1.0"?><sync-collection xmlns="DAV:"><sync-token>{}</sync-token><sync-level>1</sync-level>
<prop><getetag/></prop></sync-collection>"""

Files = dict[str, bytes]


@dataclass
class Drill:
    """A server that is stopped and started on one address, its data folder, and a person's desk."""

    folder: Path
    port: int = field(default_factory=lambda: free_port("127.0.0.1"))

    def __post_init__(self) -> None:
        self.data = self.folder / "data"
        self.copy = self.folder / "copy"
        self.witness = self.folder / "state" / "witness.jsonl"
        self.account = Account(f"http://127.0.0.1:{self.port}/dav/", LOGIN, "")

    @contextmanager
    def serving(self) -> Iterator[Server]:
        with running_server(self.data, port=self.port) as server:
            yield server

    def begin(self) -> Desk:
        """An account with five cards and two events, that the device and the server have."""
        with self.serving() as server:
            self.account = Account(server.dav, LOGIN, server.add_account(LOGIN))
            home = self.folder / "home"
            home.mkdir()
            desk = set_up_desk(home, self.account)
            for name in ("one", "two", "three", "four", "five"):
                (desk.contacts / f"{name}.vcf").write_bytes(card(name, name.title()).encode())
            for name in ("tea", "walk"):
                (desk.calendar / f"{name}.ics").write_bytes(event(name, name.title()).encode())
            desk.sync()
        return desk

    def back_up(self) -> None:
        """What an operator copies while the server stands still."""
        shutil.copytree(self.data, self.copy)

    def put_back(self) -> None:
        """The copy takes the place of the folder, and nothing in it says so."""
        shutil.rmtree(self.data)
        shutil.copytree(self.copy, self.data)

    def live_on(self, desk: Desk) -> None:
        """After the copy: the person adds five cards, changes one, and deletes one of a card and an event each."""
        with self.serving():
            for name in ("six", "seven", "eight", "nine", "ten"):
                (desk.contacts / f"{name}.vcf").write_bytes(card(name, name.title()).encode())
            (local(desk, "one")).write_bytes(card("one", "One Changed").encode())
            local(desk, "two").unlink()
            local(desk, "tea").unlink()
            desk.sync()
            self.token = self.sync_token()

    def sync(self, token: str = "") -> httpx2.Response:
        return self.account.request("REPORT", self.account.contacts, SYNC.format(token), Depth="1")

    def sync_token(self) -> str:
        found = re.search(r"<(?:\w+:)?sync-token>([^<]+)</", self.sync().text)
        assert found is not None
        return found[1]

    def texts(self) -> set[str]:
        """Everything on the server, as the device would get it."""
        account = self.account
        return {*account.texts(account.contacts).values(), *account.texts(account.calendar).values()}


def local(desk: Desk, uid: str) -> Path:
    """The file in which the device has the item with this UID."""
    files = [*desk.contacts.iterdir(), *desk.calendar.iterdir()]
    return next(path for path in files if f"UID:{uid}" in path.read_text().splitlines())


def files_of(desk: Desk) -> Files:
    """Everything on the device, by name."""
    found = [*desk.contacts.iterdir(), *desk.calendar.iterdir()]
    return {path.name: path.read_bytes() for path in found if path.suffix in (".vcf", ".ics")}


@pytest.fixture
def drill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drill:
    drill = Drill(tmp_path)
    monkeypatch.setenv("KEEPWELL_WITNESS", str(drill.witness))
    return drill


def assert_unchanged_by_sync(drill: Drill, desk: Desk) -> None:
    """Syncing changes nothing on either side, and both have the same."""
    here, there = files_of(desk), drill.texts()
    # What vdirsyncer got inside XML it writes with LF.
    assert {body.decode().replace("\r\n", "\n").replace("\n", "\r\n") for body in here.values()} == there
    desk.sync()
    assert files_of(desk) == here
    assert drill.texts() == there


def assert_device_keeps_all(desk: Desk) -> None:
    """vdirsyncer says that it could not sync, and the device has all that it had."""
    here = files_of(desk)
    for _ in range(2):
        assert desk.run("vdirsyncer", "sync").status != 0
        assert files_of(desk) == here


@pytest.mark.parametrize("way", ["an older copy", "an empty folder"])
def test_with_a_vault_everything_is_back(drill: Drill, way: str) -> None:
    """The start heals from the vault: what is newer is back, what was deleted stays so, and tokens stay valid."""
    keepwell("vault", "add", "disk", str(drill.folder / "vault"), "--confirm", "--data", str(drill.data))
    desk = drill.begin()
    drill.back_up()
    drill.live_on(desk)
    if way == "an older copy":
        drill.put_back()
    else:
        shutil.rmtree(drill.data / "accounts")
    with drill.serving():
        assert_unchanged_by_sync(drill, desk)
        answer = drill.sync(drill.token)
        assert answer.status_code == 207
        assert "<D:response>" not in answer.text, "nothing changed since that token"
        assert len(drill.account.names(drill.account.contacts)) == 9
        (desk.contacts / "late.vcf").write_bytes(card("late", "Late").encode())
        desk.sync()
        assert "late" in drill.sync(drill.token).text
    assert keepwell("lineage", "show", "--data", str(drill.data)).startswith("Nothing is held")


def test_without_a_vault_the_witness_holds_it(drill: Drill) -> None:
    """The device deletes nothing; after its files were imported and that was accepted, both sides are whole again."""
    desk = drill.begin()
    drill.back_up()
    drill.live_on(desk)
    before = {body.decode() for body in files_of(desk).values()}
    drill.put_back()
    with drill.serving() as server:
        assert drill.sync().status_code == 503
        assert int(drill.sync(drill.token).headers["retry-after"]) > 0
        assert_device_keeps_all(desk)
        told = server.keepwell("lineage", "show", LOGIN)
        assert re.search(r"contacts\s+9\s+5\s", told), told
        assert re.search(r"calendar\s+1\s+2\s", told), told
        server.keepwell("import", LOGIN, str(desk.contacts), "--into", "contacts")
        assert_device_keeps_all(desk)
        assert "Nothing was changed" in server.keepwell("lineage", "accept", LOGIN, "--dry-run")
        assert_device_keeps_all(desk)
        server.keepwell("lineage", "accept", LOGIN)
        assert drill.sync(drill.token).status_code == 403, "the lineage is another one"
        desk.sync()
        # What no device has any more cannot be known to be deleted: it is back, and is deleted once more.
        assert drill.texts() == before | {card("two", "Two"), event("tea", "Tea")}
        assert_unchanged_by_sync(drill, desk)
        local(desk, "two").unlink()
        local(desk, "tea").unlink()
        desk.sync()
        assert drill.texts() == before
    with drill.serving() as server:
        assert server.keepwell("lineage", "show").startswith("Nothing is held")
        assert_unchanged_by_sync(drill, desk)


def test_without_any_witness_a_token_of_the_future_holds_it(drill: Drill) -> None:
    """Nothing on the server's side knows; the first client that brings a token makes it 503 for every device."""
    desk = drill.begin()
    drill.back_up()
    drill.live_on(desk)
    drill.put_back()
    drill.witness.unlink()
    with drill.serving() as server:
        answer = drill.sync(drill.token)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert_device_keeps_all(desk)
        assert "a device has seen record" in server.keepwell("lineage", "show", LOGIN)
    with drill.serving():
        assert drill.sync().status_code == 503, "it is held over a start too"
