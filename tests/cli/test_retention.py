"""`keepwell retention` and `keepwell erase`: what they print, refuse, mark and take back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from keepwell.services.retention.jumps import ClockFile
from tests.cli.command import Command

CARD = "BEGIN:VCARD\r\nVERSION:4.0\r\nUID:bob\r\nFN:Bob Unmistakable\r\nEND:VCARD\r\n"


@pytest.fixture
def bob(anna: Command, tmp_path: Path) -> Command:
    """A card of Bob's, and a vault that has it."""
    (tmp_path / "bob.vcf").write_text(CARD, newline="")
    anna.must("import", "anna", str(tmp_path / "bob.vcf"))
    anna.must("vault", "add", "near", str(tmp_path / "near"))
    return anna


def item(command: Command) -> str:
    records = command.must("history", "anna", "--collection", "contacts", "--json").list("records")
    return next(str(one["name"]) for one in records if one["op"] == "put")


def test_an_item_is_marked_shown_and_taken_back(bob: Command) -> None:
    """The mark is told with the command that undoes it."""
    words = ["erase", "anna", "--collection", "contacts", "--item", item(bob)]
    assert "1 versions" in bob.must(*words, "--dry-run").output
    assert bob.must("retention", "--json").list("orders") == []
    marked = bob.must(*words, "--reason", "asked for")
    assert "--undo" in marked.output
    [order] = bob.must("retention", "--dry-run", "--json").list("orders")
    assert (order["state"], order["reason"], order["cause"]) == ("marked", "asked for", "request")
    assert f"contacts/contacts/{item(bob)}" in bob.run("retention", "--dry-run").output
    bob.must("retention", "--undo", str(order["id"]))
    assert bob.run("retention", "--undo", str(order["id"])).code == 3


def test_what_is_marked_and_not_verified_is_told(bob: Command) -> None:
    """With what to do about it; nothing is due yet, so nothing was refused."""
    bob.must("erase", "anna", "--account")
    assert "vault near was never verified" in bob.must("retention").output
    bob.must("verify")
    assert "Stands against" not in bob.must("retention").output


def test_by_a_clock_that_jumped_nothing_is_marked_until_it_is_trusted(bob: Command) -> None:
    """It was last seen ten years ago, and nobody can tell whether so much time passed."""
    ClockFile(bob.data).look(datetime(2016, 11, 23, tzinfo=UTC))
    words = ["erase", "anna", "--collection", "contacts", "--item", item(bob)]
    refused = bob.run(*words)
    assert refused.code != 0
    assert "the clock went from 2016-11-23" in refused.errors
    assert "--trust-clock" in refused.errors
    assert "the clock went from" in bob.must("retention", "--dry-run").output
    assert "the clock went from" not in bob.must("retention", "--trust-clock").output
    bob.must(*words)


@pytest.mark.parametrize(
    "words",
    [
        ["erase", "anna"],
        ["erase", "anna", "--item", "x"],
        ["erase", "anna", "--account", "--item", "x", "--collection", "contacts"],
        ["erase", "anna", "--account", "--wait-days", "0.5"],
        ["retention", "--history-days", "59"],
    ],
)
def test_what_makes_no_sense_is_refused(bob: Command, words: list[str]) -> None:
    """Exit code 2; nothing is marked."""
    assert bob.run(*words).code == 2
    assert bob.must("retention", "--dry-run", "--json").list("orders") == []


def test_a_mistyped_item_is_refused(bob: Command) -> None:
    """It would erase nothing, and nobody would know."""
    assert bob.run("erase", "anna", "--collection", "contacts", "--item", "nobody").code == 3


def test_forgetting_the_only_proven_vault_is_told(bob: Command) -> None:
    """What lies in it stays, and whoever cleans up there should know what it is."""
    bob.must("vault", "add", "far", str(bob.folder / "far"))
    bob.must("verify", "near")
    assert "only copy that is known to be good" not in bob.must("vault", "remove", "far").errors
    removed = bob.must("vault", "remove", "near")
    assert "only copy that is known to be good" in removed.errors
    assert (bob.folder / "near" / "vault.json").exists()
