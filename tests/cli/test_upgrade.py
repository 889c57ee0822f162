"""`keepwell upgrade` is refused without a proven copy, overridden on record, carried out, and taken back."""

from __future__ import annotations

from contextlib import closing

import apsw
import apsw.sqlite_extra

from tests.cli.command import Command


def age(command: Command) -> None:
    """Make the system account's file one of format 0."""
    path = command.data / "accounts" / "sy" / "a_system.db"
    if "cksmvfs" not in apsw.vfs_names():
        with closing(apsw.Connection(":memory:")) as scratch:
            apsw.sqlite_extra.load(scratch, "cksumvfs")
    with closing(apsw.Connection(str(path), vfs="cksmvfs")) as connection:
        connection.execute("UPDATE meta SET value = '0' WHERE key = 'format'")


def test_a_folder_of_this_format_has_nothing_to_upgrade(anna: Command) -> None:
    """Exit code 0, and it says so."""
    assert "nothing to do" in anna.must("upgrade").output


def test_a_rebuild_without_a_drill_is_refused_and_tells_why(anna: Command) -> None:
    """Exit code 4, as the dry run foretold, and nothing is changed."""
    for words in (["--dry-run"], []):
        outcome = anna.run("upgrade", "--rebuild", *words)
        assert outcome.code == 4
        assert "there is no vault" in outcome.output + outcome.errors
    assert not (anna.data / "accounts.previous").exists()


def test_an_override_goes_on_and_is_kept_and_back_takes_it_back(anna: Command) -> None:
    """With the reason in the data folder; the account is served before and after."""
    anna.must("upgrade", "--rebuild", "--override", "no second disk yet")
    assert "no second disk yet" in (anna.data / "overrides.json").read_text()
    anna.must("account", "add", "bert")
    document = anna.must("upgrade", "--back", "--dry-run", "--json").document
    assert len(document["brought"]) == 2  # type: ignore[arg-type]
    anna.must("upgrade", "--back")
    assert [one["login"] for one in anna.must("account", "list", "--json").list("accounts")] == ["anna", "bert"]
    assert anna.run("upgrade", "--back").code == 4


def test_an_older_format_is_not_served(anna: Command) -> None:
    """The hint says what to do; there is no way from format 0, and that is told as well."""
    age(anna)
    outcome = anna.run("serve")
    assert outcome.code == 4
    assert "keepwell upgrade" in outcome.errors
    refusal = anna.run("upgrade", "--override", "really")
    assert refusal.code == 4
    assert "format 0, from which no way leads" in refusal.errors
