"""`keepwell status` says how many copies there are, without a server by looking itself."""

from __future__ import annotations

from tests.cli.command import Command


def test_without_a_vault_it_says_one_copy(anna: Command) -> None:
    """Plainly, and that is no fault: exit code 0."""
    outcome = anna.must("status")
    assert outcome.output.startswith("One copy of everything.")
    assert "There is no vault" in outcome.output
    document = anna.must("status", "--json").document
    assert (document["copies_least"], document["vaults"], document["writes"]) == (1, [], "unserved")


def test_a_vault_that_has_everything_is_the_second_copy(anna: Command) -> None:
    """Judged by device: a folder on the disk of the store does not survive that disk."""
    anna.must("vault", "add", "near", str(anna.folder / "near"), "--confirm")
    outcome = anna.must("status")
    assert outcome.output.startswith("Two copies of everything.")
    assert "near\tconfirms\topen\tyes\t0" in outcome.output
    assert "near is on" in outcome.output
    assert "the vaults were opened and compared" in outcome.output
    document = anna.must("status", "--json").document
    assert document["copies"] == dict.fromkeys(("contacts", "calendar", "notes", "tasks", "photos", "scores"), 2)
    assert document["survives_host"] is False
    anna.must("verify", "near")
    assert "existence just now, content just now" in anna.must("status").output


def test_a_vault_that_lacks_something_or_is_gone_does_not_count(anna: Command) -> None:
    """Exit code 1, and the reason for the operator."""
    near = anna.folder / "near"
    anna.must("vault", "add", "near", str(near))
    packs = list((near / "packs").iterdir())
    for pack in packs:
        pack.rename(anna.folder / pack.name)
    outcome = anna.run("status")
    assert outcome.code == 1
    assert outcome.output.startswith("One copy of everything.")
    assert "near does not count: it lacks something of 2 accounts" in outcome.output
    near.rename(anna.folder / "away")
    outcome = anna.run("status")
    assert outcome.code == 1
    assert "near\tfollows\tdown\tno" in outcome.output
    assert "Is its disk mounted?" not in outcome.output
    assert "cannot be opened" in outcome.output


def test_an_encrypted_vault_whose_recovery_key_is_not_proven_does_not_count(anna: Command) -> None:
    """Nobody knows yet that anybody can open it."""
    anna.must("vault", "add", "sealed", str(anna.folder / "sealed"), "--encrypt")
    outcome = anna.run("status")
    assert outcome.code == 1
    assert "its recovery key was not typed back yet" in outcome.output
