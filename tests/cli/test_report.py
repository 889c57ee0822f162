"""`keepwell report` tells what is lost, and its exit code whether anything is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keepwell.cli.exit_codes import ExitCode
from tests.cli.command import Command
from tests.services.samples import card


@pytest.fixture
def kept(anna: Command) -> Command:
    """Three contacts, and a vault with them."""
    (anna.folder / "three.vcf").write_bytes(card("a") + card("b") + card("c"))
    anna.must("import", "anna", "three.vcf")
    (anna.folder / "vaults").mkdir()
    anna.must("vault", "add", "near", "vaults/near")
    return anna


def file_of_anna(command: Command) -> Path:
    account = command.must("account", "list", "--json").list("accounts")[0]["account"]
    return next(command.data.glob(f"accounts/??/{account}.db"))


def test_with_nothing_missing_it_ends_with_0(kept: Command) -> None:
    """It tells how many of each kind there are, and how the copies stand."""
    outcome = kept.must("report")
    assert "contacts\t3\t3\t0\t0\t0\tyes" in outcome.output
    assert "nothing of them is missing" in outcome.output
    assert "near\t2\t" in outcome.output
    document = kept.must("report", "anna", "--json").document
    assert document["unread"] == {}


def test_what_is_elsewhere_is_told_by_name(kept: Command) -> None:
    """The account's file is gone, and the vault has everything."""
    file_of_anna(kept).unlink()
    outcome = kept.run("report")
    assert outcome.code == ExitCode.PARTLY
    assert "contacts\t3\t0\t3\t0\t0\tno" in outcome.output
    assert outcome.output.count("only another copy has contacts/") == 3
    assert "What is elsewhere comes back" in outcome.output


def test_what_is_lost_is_counted_from_the_ledgers(kept: Command) -> None:
    """Neither store nor vault has it; the manifest says how much it was."""
    file_of_anna(kept).unlink()
    for pack in (kept.folder / "vaults/near/packs").iterdir():
        pack.unlink()
    outcome = kept.run("report", "anna", "--json")
    assert outcome.code == ExitCode.PARTLY
    assert {one["kind"]: (one["expected"], one["lost"]) for one in outcome.list("totals")}["contacts"] == (3, 3)
    plain = kept.run("report", "anna").output
    assert "records 1 to " in plain
    assert "nowhere" in plain


def test_a_vault_that_cannot_be_reached_is_told(kept: Command) -> None:
    """The report is of what can be seen, and does not say that all is well."""
    (kept.folder / "vaults/near").rename(kept.folder / "vaults/far")
    outcome = kept.run("report")
    assert outcome.code == ExitCode.PARTLY
    assert "near could not be read" in outcome.errors
    assert list(json.loads(kept.run("report", "--json").output)["unread"]) == ["near"]


def test_an_encrypted_vault_is_read_with_the_drills_key(anna: Command) -> None:
    """Without it only its indexes count, and that is told."""
    (anna.folder / "vaults").mkdir()
    anna.must("vault", "add", "near", "vaults/near", "--encrypt", "--key-file", "operator.key")
    assert anna.run("report").code == ExitCode.OK
    (anna.data / "vaults/near/drill.key").unlink()
    file_of_anna(anna).unlink()
    outcome = anna.run("report", "--json")
    assert outcome.code == ExitCode.PARTLY
    assert list(outcome.document["unread"]) == ["near"]  # type: ignore[call-overload]


def test_an_account_that_nobody_knows_is_refused(kept: Command) -> None:
    """A slip of the pen is no loss."""
    assert kept.run("report", "bert").code == ExitCode.REFUSED
