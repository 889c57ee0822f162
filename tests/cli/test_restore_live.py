"""`keepwell restore --live` shows what comes back, and does it once that is confirmed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from keepwell.cli.exit_codes import ExitCode
from tests.cli.command import Command
from tests.services.samples import card, event

LIVE = ("restore", "--live", "--from", "near", "--account", "anna")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two contacts and an event that a vault has; one contact was changed since, the rest is gone. To be copied."""
    folder = tmp_path_factory.mktemp("lost")
    command = Command(folder)
    command.must("account", "add", "anna")
    (folder / "two.vcf").write_bytes(card("a") + card("b"))
    (folder / "tea.ics").write_bytes(event("tea"))
    command.must("import", "anna", "two.vcf", "tea.ics")
    (folder / "vaults").mkdir()
    command.must("vault", "add", "near", "vaults/near")
    command.must("vault", "remove", "near")
    for collection in ("contacts", "calendar"):
        command.must("rewind", "anna", "--collection", collection, "--to-seq", str(first_record(command, collection)))
    (folder / "one.vcf").write_bytes(card("a", "Anna Changed"))
    command.must("import", "anna", "one.vcf")
    return folder


@pytest.fixture
def lost(folder: Path, tmp_path: Path) -> Command:
    shutil.copytree(folder, tmp_path / "lost")
    return Command(tmp_path / "lost")


def first_record(command: Command, collection: str) -> int:
    """The record that made a collection."""
    records = command.must("history", "anna", "--collection", collection, "--oldest-first", "--json").list("records")
    return int(str(records[0]["seq"]))


def from_vault(command: Command, *words: str) -> tuple[str, ...]:
    return ("restore", "--live", "--from", str(command.folder / "vaults/near"), "--account", "anna", *words)


def exported(command: Command, folder: str) -> set[bytes]:
    command.must("export", "anna", folder)
    return {path.read_bytes() for path in (command.folder / folder).rglob("*.vcf")}


def test_nothing_happens_before_it_is_confirmed(lost: Command) -> None:
    """Without a person at a terminal, and without --yes, it tells how to do it and that it did not."""
    for words, code in ((("--dry-run",), ExitCode.OK), ((), ExitCode.REFUSED)):
        outcome = lost.run(*from_vault(lost, *words))
        assert outcome.code == code
        assert "1 of 2 contacts come back; 1 differ: 1 stay as they are." in outcome.output
        assert "1 of 1 events come back." in outcome.output
        assert "Nothing was changed." in outcome.output
    assert exported(lost, "out") == {card("a", "Anna Changed")}


def test_what_it_says_to_type_does_it(lost: Command) -> None:
    """The command that the preview gives is carried out, once; then the account is another."""
    told = lost.run(*from_vault(lost, "--kind", "contacts")).output.splitlines()[-1].split()
    assert told[0] == "keepwell"
    outcome = lost.must(*told[1:])
    assert "Done, by 1 new records." in outcome.output
    assert exported(lost, "out") == {card("a", "Anna Changed"), card("b")}
    assert lost.run(*told[1:]).output.endswith("there is nothing to do.\n")
    undo = next(line.split() for line in outcome.output.splitlines() if "keepwell rewind" in line)
    lost.must(*undo[1:])
    assert exported(lost, "undone") == {card("a", "Anna Changed")}
    assert lost.run(*told[1:]).code == ExitCode.REFUSED


@pytest.mark.parametrize(
    ("keep", "cards"),
    [
        ("current", {card("a", "Anna Changed"), card("b")}),
        ("restored", {card("a"), card("b")}),
        ("both", {card("a", "Anna Changed"), card("a"), card("b")}),
    ],
)
def test_the_choice_decides_what_differs(lost: Command, keep: str, cards: set[bytes]) -> None:
    """The current, the restored, or both."""
    document = lost.must(*from_vault(lost, "--keep", keep, "--yes", "--json")).document
    assert document["done"] is True
    assert exported(lost, "out") == cards


def test_a_folder_of_another_server_is_a_copy_too(lost: Command) -> None:
    """What was restored elsewhere is brought into the live account."""
    lost.must("restore", "--from", str(lost.folder / "vaults/near"), "--into", "elsewhere")
    lost.must("restore", "--live", "--from", "elsewhere", "--account", "anna", "--yes")
    assert exported(lost, "out") == {card("a", "Anna Changed"), card("b")}


@pytest.mark.parametrize(
    "words",
    [
        ("restore", "--from", "near"),
        ("restore", "--live", "--from", "near", "--into", "x", "--account", "anna"),
        ("restore", "--live", "--from", "near"),
        ("restore", "--live", "--from", "near", "--from", "far", "--account", "anna"),
        (*LIVE, "--kind", "contacts", "--kind", "tasks"),
    ],
)
def test_half_an_order_is_refused(anna: Command, words: tuple[str, ...]) -> None:
    """It says what is missing."""
    outcome = anna.run(*words)
    assert outcome.code == ExitCode.USAGE
    assert "hint: " in outcome.errors


def test_a_copy_that_is_not_there_is_refused(anna: Command) -> None:
    """With the names of those that are."""
    outcome = anna.run(*LIVE)
    assert outcome.code == ExitCode.REFUSED
    assert "no vault" in outcome.errors
