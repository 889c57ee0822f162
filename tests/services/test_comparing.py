"""Epochs of a data folder: nothing is written to a vault before store and vault were compared in the epoch."""

from __future__ import annotations

from pathlib import Path

import pytest

from keepwell.model.errors import Unavailable
from keepwell.services.epochs import Comparing, EpochHeld, note_compared, open_to_write
from keepwell.services.vault_link import VaultLink
from keepwell.services.vault_settings import Role, VaultSettings
from keepwell.storage.memory import MemoryStore
from keepwell.vault.memory_medium import MemoryMedium
from keepwell.vault.vault import Vault
from tests.services.vault_desk import ANNA, SERVER, Desk, establish, looked_at, names_in, put
from tests.support.clock import FakeClock, SeededEntropy


@pytest.fixture
def medium() -> MemoryMedium:
    made = MemoryMedium()
    establish(made)
    return made


class Folder:
    """What one data folder and one server family do about a vault."""

    def __init__(self, data: Path, medium: MemoryMedium, store: MemoryStore, family: str = "family") -> None:
        self.book = VaultSettings(data)
        self.medium = medium
        self.store = store
        self.family = family

    def opened(self) -> Vault:
        def claim(vault: Vault, family: str) -> EpochHeld:
            return EpochHeld(vault.claim(SERVER), SERVER.server, family)

        return open_to_write(self.book, "test", self.family, lambda: looked_at(self.medium), claim)

    def link(self) -> VaultLink:
        comparing = Comparing(self.book, self.family)
        return VaultLink(
            "test", self.opened, self.store, FakeClock(), SeededEntropy(), role=Role.CONFIRMS, compare=comparing
        )


def behind(medium: MemoryMedium) -> MemoryStore:
    """An older copy of a store of which the vault has more."""
    desk = Desk([medium], store=MemoryStore()).open()
    desk.write(put("one"))
    assert isinstance(desk.store, MemoryStore)
    older = desk.store.copied()
    desk.write(put("two"))
    desk.close()
    return older


def test_a_process_does_not_open_a_vault_that_the_start_could_not_reach(tmp_path: Path, medium: MemoryMedium) -> None:
    """Its keeper compares first; else an older copy would be served and written to as if it were the newest."""
    folder = Folder(tmp_path, medium, behind(medium))
    link = folder.link()
    with pytest.raises(Unavailable, match="not compared"):
        link.reopen(again=False)
    assert link.reopen().extended == {ANNA: 1}
    link.close()


def test_what_one_process_compared_the_others_rely_on(tmp_path: Path, medium: MemoryMedium) -> None:
    """In the same epoch; the next start compares anew."""
    folder = Folder(tmp_path, medium, behind(medium))
    first, second = folder.link(), folder.link()
    first.reopen()
    second.reopen(again=False)
    with pytest.raises(Unavailable):
        Folder(tmp_path, medium, folder.store, family="the next").link().reopen(again=False)
    first.close()
    second.close()


def test_a_command_opens_a_vault_at_once(tmp_path: Path, medium: MemoryMedium) -> None:
    """It compares nothing, since looking at every account takes long; what it may write is looked at by account."""
    link = Folder(tmp_path, medium, behind(medium), family="").link()
    link.reopen(again=False)
    with pytest.raises(Unavailable, match="ends with record 2"):
        link.require(ANNA)
    link.close()


def test_an_epoch_begins_with_a_manifest(tmp_path: Path, medium: MemoryMedium) -> None:
    """It says what counts: whatever a server that lost the vault puts there later is known by it."""
    folder = Folder(tmp_path, medium, MemoryStore())
    vault = folder.opened()
    note_compared(folder.book, vault)
    found = looked_at(medium).manifest()
    assert found is not None
    assert found.epoch == vault.epoch


def test_a_pack_of_a_server_that_lost_the_vault_counts_for_nothing(tmp_path: Path, medium: MemoryMedium) -> None:
    """It wrote the pack after another had claimed the vault: nobody was told yes, and the other goes its own way."""
    loser = Desk([medium], store=MemoryStore()).open()
    loser.write(put("both"))
    assert isinstance(loser.store, MemoryStore)
    winner = loser.store.copied()
    link = Folder(tmp_path, medium, winner).link()
    link.reopen()
    loser.store.account(ANNA).transact([put("of the loser"), put("another of the loser")])
    loser.links[0].note(ANNA)
    with pytest.raises(Unavailable, match="taken over"):
        loser.links[0].catch_up()
    winner.account(ANNA).transact([put("of the winner")])
    link.note(ANNA)
    link.catch_up()
    link.close()
    assert names_in(medium) == ["both", "of the winner"]
    again = Folder(tmp_path, medium, winner, family="the next").link()
    assert again.reopen().held == {}
    again.close()
    loser.close()
