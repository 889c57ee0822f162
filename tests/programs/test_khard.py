"""khard, an address book for the terminal, shows what is on the server, adds to it and edits it."""

from pathlib import Path

import pytest

from tests.programs.accounts import Account
from tests.programs.desk import Desk, set_up_desk
from tests.programs.items import card

SETTINGS = """
[addressbooks]
[[contacts]]
path = {contacts}
[general]
default_action = list
editor = false
merge_editor = false
[vcard]
preferred_version = 3.0
"""

NEW_CONTACT = """
First name: Grace
Last name: Hopper
Email:
    work: grace@example.org
Note: found the first bug
"""


@pytest.fixture
def desk(home: Path, account: Account) -> Desk:
    desk = set_up_desk(home, account)
    settings = home / ".config" / "khard" / "khard.conf"
    settings.parent.mkdir(parents=True)
    settings.write_text(SETTINGS.format(contacts=desk.contacts))
    return desk


def test_a_card_on_the_server_is_shown(desk: Desk) -> None:
    desk.account.put(desk.account.contacts, "ada.vcf", card("ada", "Ada Lovelace", phone="555 0199"))
    desk.sync()
    assert "555 0199" in desk.must_run("khard", "phone", "Ada")


def test_a_new_card_reaches_the_server(desk: Desk) -> None:
    (desk.home / "new.yaml").write_text(NEW_CONTACT)
    desk.must_run("khard", "new", "-a", "contacts", "-i", "new.yaml")
    desk.sync()
    (stored,) = desk.account.texts(desk.account.contacts).values()
    assert "FN:Grace Hopper" in stored
    assert "EMAIL;TYPE=work:grace@example.org" in stored


def test_an_edited_card_reaches_the_server_and_keeps_what_khard_does_not_know(desk: Desk) -> None:
    desk.account.put(desk.account.contacts, "ada.vcf", card("ada", "Ada Lovelace"))
    desk.sync()
    (desk.home / "edit.yaml").write_text("First name: Ada\nLast name: King\nPhone:\n    home: 555 0111\n")
    desk.must_run("khard", "edit", "-i", "edit.yaml", "Ada", typed="y\n")
    desk.sync()
    (stored,) = desk.account.texts(desk.account.contacts).values()
    assert "N:King;Ada" in stored
    assert "555 0111" in stored
    assert "X-KEPT-AS-IT-IS" in stored
