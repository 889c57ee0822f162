"""Accounts, app passwords and grants are kept by the command, and the data folder is made when it is missing."""

from __future__ import annotations

from tests.cli.command import Command


def test_an_account_is_added_and_the_next_step_told(command: Command) -> None:
    """The data folder comes by itself; what is printed can be copied and run."""
    outcome = command.must("account", "add", "anna", "--name", "Anna Berg", "--data", "elsewhere")
    assert "keepwell app-password add anna --label phone --data elsewhere" in outcome.output
    assert (command.folder / "elsewhere").is_dir()
    [account] = command.must("account", "list", "--json", "--data", "elsewhere").list("accounts")
    assert (account["login"], account["display_name"], account["disabled"]) == ("anna", "Anna Berg", False)


def test_an_account_is_disabled_and_enabled(anna: Command) -> None:
    """The list shows it."""
    anna.must("account", "disable", "anna")
    assert anna.must("account", "list", "--json").list("accounts")[0]["disabled"] is True
    assert "disabled" in anna.must("account", "list").output
    anna.must("account", "enable", "anna")
    assert anna.must("account", "list", "--json").list("accounts")[0]["disabled"] is False


def test_an_app_password_is_shown_once(anna: Command) -> None:
    """The JSON answer has login, label and password; the list does not."""
    made = anna.must("app-password", "add", "anna", "--label", "phone", "--json").document
    assert set(made) == {"login", "label", "password"}
    assert (made["login"], made["label"]) == ("anna", "phone")
    listed = anna.must("app-password", "list", "anna", "--json")
    assert [one["label"] for one in listed.list("passwords")] == ["phone"]
    assert str(made["password"]) not in listed.output
    assert "secret" not in listed.output


def test_an_app_password_is_revoked_by_label(anna: Command) -> None:
    """Another one stays."""
    for label in ("phone", "old phone"):
        anna.must("app-password", "add", "anna", "--label", label)
    anna.must("app-password", "revoke", "anna", "old phone")
    assert [one["label"] for one in anna.must("app-password", "list", "anna", "--json").list("passwords")] == ["phone"]


def test_a_collection_is_shared_and_not_any_more(anna: Command) -> None:
    """A name that several homes have needs its home."""
    anna.must("account", "add", "ben")
    anna.must("grant", "add", "anna", "contacts", "ben", "--write")
    anna.must("grant", "add", "anna", "calendars/calendar", "ben")
    grants = anna.must("grant", "list", "anna", "--json").list("grants")
    assert [(one["home"], one["collection"], one["grantee"], one["write"]) for one in grants] == [
        ("calendars", "calendar", "ben", False),
        ("contacts", "contacts", "ben", True),
    ]
    anna.must("grant", "remove", "anna", "contacts", "ben")
    assert len(anna.must("grant", "list", "anna", "--json").list("grants")) == 1


def test_tables_are_plain_lines_when_nobody_looks(anna: Command) -> None:
    """Columns with a tabulator between, for other programs; no frames, no colors."""
    heading, row = anna.must("account", "list").output.splitlines()
    assert heading.split("\t") == ["LOGIN", "NAME", "STATE", "MADE", "ACCOUNT"]
    assert row.split("\t")[0] == "anna"


def test_the_access_log_is_shown(anna: Command) -> None:
    """Empty until someone signs in."""
    assert anna.must("access", "anna", "--json").document == {"login": "anna", "entries": []}
