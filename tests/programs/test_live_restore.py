"""What is restored into a running service reaches every device by its ordinary sync."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.programs.accounts import MULTIPLE, Account
from tests.programs.desk import set_up_desk
from tests.programs.items import card, event
from tests.programs.test_vdirsyncer import local_texts
from tests.support.server import Server, keepwell, running_server

NAMES = ("ada", "bob", "eve", "ida")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Server, Account]]:
    """A server of its own whose writes a vault confirms, and a person on it."""
    data = tmp_path / "data"
    keepwell("account", "add", "anna", "--data", str(data))
    keepwell("vault", "add", "near", str(tmp_path / "vault"), "--confirm", "--data", str(data))
    with running_server(data) as server:
        answer = server.keepwell("app-password", "add", "anna", "--label", "tests", "--json")
        yield server, Account(server.dav, "anna", json.loads(answer)["password"])


def last_record(server: Server) -> str:
    return str(json.loads(server.keepwell("history", "anna", "--limit", "1", "--json"))["records"][0]["seq"])


def synced(account: Account, token: str = "") -> tuple[str, dict[str, str]]:
    """The sync token after what changed since `token`, and each name that did, with its status line."""
    ask = (
        f'<sync-collection xmlns="DAV:"><sync-token>{token}</sync-token><sync-level>1</sync-level>'
        "<prop><getetag/></prop></sync-collection>"
    )
    answer = account.request("REPORT", account.contacts, ask)
    assert answer.status_code == MULTIPLE, answer.text
    responses = re.findall(r"<(?:\w+:)?response>(.*?)</(?:\w+:)?response>", answer.text, re.S)
    found = [re.findall(r"<(?:\w+:)?(?:href|status)>([^<]+)<", one) for one in responses]
    tokens = re.findall(r"<(?:\w+:)?sync-token>([^<]+)<", answer.text)
    return tokens[0], {href.rpartition("/")[2]: status for href, status in found}


def test_devices_see_items_come_back_through_their_sync_token(served: tuple[Server, Account], home: Path) -> None:
    """A device that lost its mind removed everything; the server's operator brings it back while it is served.

    A client that syncs by token is told of the items, one that vdirsyncer keeps gets them back, octet for octet, and
    what was made since stays.
    """
    server, account = served
    desk = set_up_desk(home, account)
    for name in NAMES:
        account.put(account.contacts, f"{name}.vcf", card(name, name.title()))
    account.put(account.calendar, "tea.ics", event("tea", "Tea"))
    desk.sync()
    before = last_record(server)
    for name in NAMES[:3]:
        assert account.request("DELETE", f"{account.contacts}{name}.vcf").is_success
    account.put(account.contacts, "new.vcf", card("new", "New"))
    desk.sync()
    assert len(local_texts(desk.contacts)) == 2
    token, _ = synced(account)
    order = ("restore", "--live", "--from", "near", "--account", "anna", "--seq", before, "--kind", "contacts")
    told = server.keepwell(*order, "--dry-run")
    assert "3 of 4 contacts come back; 1 are only here: they stay." in told
    assert synced(account, token)[1] == {}
    server.keepwell(*order, "--yes")
    _, changes = synced(account, token)
    assert changes == {f"{name}.vcf": "HTTP/1.1 200 OK" for name in NAMES[:3]}
    desk.sync()
    assert sorted(local_texts(desk.contacts)) == sorted(card(name, name.title()) for name in (*NAMES, "new"))
    assert server.keepwell(*order, "--yes").endswith("there is nothing to do.\n")


def test_what_came_back_is_confirmed_like_any_other_write(served: tuple[Server, Account]) -> None:
    """The vault has the new records, too, and nothing is missing in any copy."""
    server, account = served
    account.put(account.contacts, "ada.vcf", card("ada", "Ada"))
    before = last_record(server)
    assert account.request("DELETE", f"{account.contacts}ada.vcf").is_success
    server.keepwell("restore", "--live", "--from", "near", "--account", "anna", "--seq", before, "--yes")
    assert account.names(account.contacts) == {"ada.vcf"}
    server.keepwell("verify", "near", "--grade", "records")
    report = json.loads(server.keepwell("report", "--json"))
    assert [one["behind"] for one in report["copies"]] == [0, 0]
    assert report["loss"]["accounts"] == []
