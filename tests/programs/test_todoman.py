"""todoman, a task list for the terminal, shows what is on the server, adds to it and ticks it off."""

from pathlib import Path

import pytest

from tests.programs.accounts import Account
from tests.programs.desk import Desk, set_up_desk
from tests.programs.items import task

SETTINGS = """
path = "{calendars}/*"
date_format = "%Y-%m-%d"
time_format = "%H:%M"
default_list = "tasks"
cache_path = "{home}/todoman.db"
"""


@pytest.fixture
def desk(home: Path, account: Account) -> Desk:
    desk = set_up_desk(home, account)
    settings = home / ".config" / "todoman" / "config.py"
    settings.parent.mkdir(parents=True)
    settings.write_text(SETTINGS.format(calendars=home / "calendars", home=home))
    return desk


def test_a_task_on_the_server_is_listed(desk: Desk) -> None:
    desk.account.put(desk.account.tasks, "tax.ics", task("tax", "Hand in the tax form"))
    desk.sync()
    assert "Hand in the tax form" in desk.must_run("todo", "list")


def test_a_new_task_reaches_the_server(desk: Desk) -> None:
    desk.must_run("todo", "new", "--list", "tasks", "--due", "2027-05-01", "Water the plants")
    desk.sync()
    (stored,) = desk.account.texts(desk.account.tasks).values()
    assert "SUMMARY:Water the plants" in stored
    assert "DUE" in stored


def test_a_task_ticked_off_here_is_done_there(desk: Desk) -> None:
    desk.account.put(desk.account.tasks, "tax.ics", task("tax", "Hand in the tax form"))
    desk.sync()
    desk.must_run("todo", "list")  # gives the tasks their numbers
    desk.must_run("todo", "done", "1")
    desk.sync()
    (stored,) = desk.account.texts(desk.account.tasks).values()
    assert "STATUS:COMPLETED" in stored
    assert "COMPLETED:" in stored
