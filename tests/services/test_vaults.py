"""Which epoch a process writes in: its own, or a new one in a vault that went back; never beside another server."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from keepwell.model.errors import Fenced
from keepwell.services.accounts import ensure_system_account
from keepwell.services.vaults import Vaults
from keepwell.storage.sqlite import SqliteStore
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
