"""Which epoch a process writes in: its own, or a new one in a vault that went back; never beside another server."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from keepwell.model.errors import Damaged, Fenced, NotThere
from keepwell.services.accounts import ensure_system_account
from keepwell.services.vaults import Vaults
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.repair import repair_vault
from keepwell.vault.verify import Grade, verify
from tests.support.clock import FakeClock, SeededEntropy


class Server:
    """A data folder whose vault is `near`."""

    def __init__(self, folder: Path, seed: int = 1) -> None:
        self.vaults = Vaults(folder / "data", FakeClock(), SeededEntropy(seed))
        self.folder = folder

    def found(self) -> None:
        with closing(SqliteStore(self.folder / "data")) as store:
            ensure_system_account(store)
            self.vaults.add("near", str(self.folder / "near"), store)

    def epoch(self, family: str) -> int:
        """In which a process of this family writes now."""
        with closing(self.vaults.open_to_write("near", family)) as vault:
            vault.require_epoch()
            return vault.epoch


@pytest.fixture
def server(tmp_path: Path) -> Server:
    made = Server(tmp_path)
    made.found()
    return made


def test_processes_of_one_family_share_an_epoch_and_another_claims_its_own(server: Server) -> None:
    """A command writes in the one that is held."""
    assert [server.epoch(family) for family in ("one", "one", "", "two")] == [1, 1, 1, 2]


def test_an_older_copy_of_the_vault_is_claimed_again(server: Server, tmp_path: Path) -> None:
    """The epoch that was held is not in it; nobody else can hold it there, so the same family goes on by itself."""
    server.epoch("one")
    shutil.copytree(tmp_path / "near", tmp_path / "yesterday")
    server.epoch("two")
    server.epoch("three")
    shutil.rmtree(tmp_path / "near")
    (tmp_path / "yesterday").rename(tmp_path / "near")
    assert [server.epoch(family) for family in ("three", "three", "")] == [2, 2, 2]


def test_a_vault_that_another_server_claimed_since_is_not_claimed_again(server: Server, tmp_path: Path) -> None:
    """Whoever started last holds it, also in an older copy of it."""
    server.epoch("one")
    shutil.copytree(tmp_path / "near", tmp_path / "yesterday")
    shutil.copytree(tmp_path / "data", tmp_path / "elsewhere" / "data")
    server.epoch("two")
    shutil.rmtree(tmp_path / "near")
    (tmp_path / "yesterday").rename(tmp_path / "near")
    assert Server(tmp_path / "elsewhere", seed=2).epoch("theirs") == 2
    with pytest.raises(Fenced):
        server.epoch("two")


@pytest.mark.parametrize("stored", [None, b"", b'{"keepwell_vault":1,"id":"v_another","made_at":""}'])
def test_a_vault_whose_document_is_not_what_it_was_is_known_by_its_manifest(
    server: Server, tmp_path: Path, stored: bytes | None
) -> None:
    """The settings say what it must have said, and the newest manifest that it was this: so it can be mended."""
    with closing(server.vaults.open_to_write("near", "one")) as vault:
        vault.put_manifest()
    path = tmp_path / "near" / "vault.json"
    before = path.read_bytes()
    path.unlink()
    if stored is not None:
        path.write_bytes(stored)
    with (
        closing(server.vaults.open_to_write("near", "two")) as vault,
        closing(SqliteStore(tmp_path / "data")) as store,
    ):
        repair_vault(vault, verify(vault, Grade.EXISTENCE).findings, store)
    assert path.read_bytes() == before


def test_a_vault_without_document_and_manifest_is_refused(server: Server, tmp_path: Path) -> None:
    """Nothing proves whose it is, nor does what another vault's manifest says."""
    (tmp_path / "near" / "vault.json").unlink()
    with pytest.raises(NotThere):
        server.vaults.open("near")
    other = Server(tmp_path / "elsewhere", seed=2)
    other.found()
    with closing(other.vaults.open_to_write("near", "one")) as vault:
        vault.put_manifest()
    shutil.rmtree(tmp_path / "near")
    (tmp_path / "elsewhere" / "near").rename(tmp_path / "near")
    with pytest.raises(Damaged, match="lies another vault"):
        server.vaults.open("near")
