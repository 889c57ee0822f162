"""Who may write into a vault, when the document that says so is damaged."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from keepwell.model.errors import Fenced
from keepwell.model.weight import Weight
from keepwell.services.accounts import ensure_system_account
from keepwell.services.vaults import Vaults
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.layout import epoch_name
from keepwell.vault.verify import Grade, verify
from tests.support.clock import FakeClock, SeededEntropy


@pytest.fixture
def vaults(tmp_path: Path) -> Vaults:
    made = Vaults(tmp_path / "data", FakeClock(step_seconds=1), SeededEntropy())
    with closing(SqliteStore(tmp_path / "data")) as store:
        ensure_system_account(store)
        made.add("near", str(tmp_path / "vault"), store)
    with closing(made.open_to_write("near", "a server")) as vault:
        vault.put_manifest()
    return made


def damage(tmp_path: Path, epoch: int, *, places: slice = slice(0, 1)) -> None:
    path = tmp_path / "vault" / epoch_name(epoch)
    octets = bytearray(path.read_bytes())
    octets[places] = b"?" * len(octets[places])
    path.write_bytes(octets)


def test_a_damaged_document_of_the_epoch_that_is_held_is_followed_by_another_epoch(
    vaults: Vaults, tmp_path: Path
) -> None:
    """Nobody can tell any more whose it is, so the next is claimed; the damage is no damage then."""
    damage(tmp_path, 1)
    with closing(vaults.open("near")) as vault:
        assert [one.weight for one in verify(vault, Grade.CONTENT).findings] == [Weight.DAMAGE, Weight.DAMAGE]
    with closing(vaults.open_to_write("near", "a server")) as vault:
        assert vault.epoch == 2
        found = verify(vault, Grade.CONTENT).findings
        assert {(one.object, one.weight) for one in found} == {(epoch_name(1), Weight.NOTE)}


def test_who_was_overtaken_stays_so_whatever_is_damaged(vaults: Vaults, tmp_path: Path) -> None:
    """A newer epoch is there by its name; that its document cannot be read gives the vault back to nobody."""
    other = Vaults(tmp_path / "data", FakeClock(), SeededEntropy(2))
    with closing(vaults.open_to_write("near", "a server")) as vault:
        held = (tmp_path / "data/vaults/near/epoch.json").read_bytes()
        with closing(other.open_to_write("near", "another server")):
            pass
        (tmp_path / "data/vaults/near/epoch.json").write_bytes(held)
        damage(tmp_path, 1)
        damage(tmp_path, 2)
        with pytest.raises(Fenced, match="cannot be read"):
            vault.require_epoch()
        with pytest.raises(Fenced):
            vaults.open_to_write("near", "a server")
