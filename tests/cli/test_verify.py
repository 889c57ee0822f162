"""`keepwell verify` proves vaults in three grades, and tells what is wrong with which exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import Command


@pytest.fixture
def near(anna: Command) -> Path:
    """The folder of a vault that has everything."""
    folder = anna.folder / "near"
    anna.must("vault", "add", "near", str(folder))
    return folder


def flip(path: Path) -> None:
    stored = bytearray(path.read_bytes())
    stored[20] ^= 4
    path.write_bytes(stored)


@pytest.mark.parametrize("grade", ["existence", "content", "records"])
def test_a_whole_vault_is_well_in_every_grade(anna: Command, near: Path, grade: str) -> None:
    """Exit code 0, counts, and what is remembered in the data folder."""
    [answer] = anna.must("verify", "near", "--grade", grade, "--json").list("vaults")
    assert (answer["vault"], answer["grade"], answer["findings"], answer["fault"]) == ("near", grade, [], "")
    assert isinstance(answer["octets"], int)
    assert answer["octets"] > 0
    known = json.loads((anna.data / "vaults" / "near" / "verified.json").read_text())
    assert grade in known["grades"]
    assert known["grades"][grade]["damaged"] == 0
    assert near.is_dir()


def test_all_vaults_are_verified_when_none_is_named(anna: Command, near: Path) -> None:
    """One that cannot be reached is told with exit code 4, and does not hold up the others."""
    anna.must("vault", "add", "far", str(anna.folder / "far"))
    assert [one["vault"] for one in anna.must("verify", "--json").list("vaults")] == ["near", "far"]
    near.rename(anna.folder / "gone")
    outcome = anna.run("verify")
    assert outcome.code == 4
    assert "near could not be verified" in outcome.output
    assert "far, grade content" in outcome.output
    assert "all is well" in outcome.output


def test_a_flipped_byte_is_told_with_exit_code_5(anna: Command, near: Path) -> None:
    """The object is named; existence alone cannot see it."""
    pack = next((near / "packs").iterdir())
    flip(pack)
    assert anna.run("verify", "--grade", "existence").code == 0
    outcome = anna.run("verify")
    assert outcome.code == 5
    assert f"packs/{pack.name}" in outcome.output
    assert "1 things are damaged or missing" in outcome.output
    [answer] = anna.run("verify", "--grade", "records", "--json").list("vaults")
    assert answer["findings"]


def test_a_missing_object_is_told_with_exit_code_5(anna: Command, near: Path) -> None:
    """By the lowest grade already."""
    next((near / "packs").iterdir()).unlink()
    assert anna.run("verify", "--grade", "existence").code == 5


def test_a_damaged_vault_document_is_told_with_exit_code_5(anna: Command, near: Path) -> None:
    """The vault cannot even be opened."""
    (near / "vault.json").write_bytes(b"{")
    assert anna.run("verify").code == 5


def test_there_must_be_a_vault_of_that_name(anna: Command) -> None:
    """Nothing to verify is refused: it is not well."""
    assert anna.run("verify").code == 3
    assert anna.run("verify", "near").code == 3


def test_an_encrypted_vault_is_verified_with_the_drills_key(anna: Command) -> None:
    """Without it content is proven, and records cannot be."""
    anna.must("vault", "add", "sealed", str(anna.folder / "sealed"), "--encrypt")
    anna.must("verify", "--grade", "records")
    for key in (anna.data / "vaults" / "sealed").glob("*key*"):
        key.unlink()
    anna.must("verify", "--grade", "content")
    assert anna.run("verify", "--grade", "records").code == 3
