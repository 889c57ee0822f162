"""Verifying, merging and repairing on real media: a folder, and a bucket of a real S3 server."""

from __future__ import annotations

from pathlib import Path

import pytest
from prove.s3 import S3Server

from keepwell.vault.media import open_medium
from keepwell.vault.medium import Medium
from keepwell.vault.merge import Merger
from keepwell.vault.merge_plan import GRACE_SECONDS, TIER_PACKS_MAX
from keepwell.vault.reading import read_account
from keepwell.vault.repair import repair_vault
from keepwell.vault.verify import Grade, verify
from tests.vault.filled import PHOTO, Filled
from tests.vault.journals import ANNA


@pytest.fixture(params=["folder", "bucket"])
def medium(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Medium:
    if request.param == "folder":
        return open_medium(str(tmp_path / "vault"), name="test", make=True)
    server = request.getfixturevalue("s3")
    assert isinstance(server, S3Server)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return open_medium(server.new_url(), name="test")


@pytest.fixture
def made(medium: Medium) -> Filled:
    """A vault with more small packs than may stay, and a photo."""
    found = Filled(medium)
    for number in range(TIER_PACKS_MAX + 1):
        found.grow(ANNA, photo=PHOTO if number == 3 else None)
        found.ship()
    found.vault.put_manifest()
    return found


def hashes(made: Filled) -> list[str]:
    return [one.record.hash for one in read_account([made.open()], ANNA)]


def test_a_vault_is_merged_and_whole_in_every_grade(made: Filled) -> None:
    """One pack is left after the grace, with every record."""
    before = hashes(made)
    merger = Merger(made.vault, made.clock)
    assert merger.tick().merged == TIER_PACKS_MAX + 1
    made.vault.put_manifest()
    made.clock.advance(GRACE_SECONDS)
    assert merger.tick().removed == TIER_PACKS_MAX + 1
    assert len(list(made.medium.list("packs/"))) == 1
    assert hashes(made) == before
    assert [verify(made.open(), grade).findings for grade in Grade] == [[], [], []]


@pytest.mark.parametrize("prefix", ["packs/", "blobs/", "manifests/", "README.md"])
def test_what_is_lost_is_found_and_made_good(made: Filled, prefix: str) -> None:
    """From the store; then everything is whole again for whoever opens the vault."""
    before = hashes(made)
    lost = [info.name for info in made.medium.list(prefix)][-1]
    made.medium.remove(lost)
    found = verify(made.vault, Grade.RECORDS)
    assert not found.is_whole
    assert repair_vault(made.vault, found.findings, made.store).failures == {}
    assert verify(made.open(), Grade.RECORDS).findings == []
    assert hashes(made) == before
