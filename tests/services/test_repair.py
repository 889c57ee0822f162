"""A damaged account comes back from a vault that has all of it; nothing good is ever replaced, nothing is guessed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import Mock

import apsw
import pytest

from keepwell.model.errors import Damaged, Held, KeepwellError, StorageFault, Unavailable
from keepwell.model.names import AccountId, Home, Kind
from keepwell.model.record import Op
from keepwell.services import repair as module
from keepwell.services.catch_up import catch_up
from keepwell.services.mending import Mending
from keepwell.services.repair import Copy, Outcome, repair_account
from keepwell.services.vault_settings import OnLoss, VaultSetting
from keepwell.services.verified import VerifiedFile
from keepwell.services.whole import whole
from keepwell.storage.contract import Carried, Entry
from keepwell.storage.sqlite import SqliteStore
from keepwell.storage.sqlite_account import SqliteAccount
from keepwell.storage.sqlite_files import PAGE_OCTETS
from keepwell.vault.memory_medium import MemoryMedium
from keepwell.vault.prove import prove_account
from keepwell.vault.ship import ship
from keepwell.vault.vault import Vault
from keepwell.vault.verify import Grade, verify
from tests.vault.filled import Filled
from tests.vault.journals import ANNA, BERT


def one_card(octets: bytearray) -> None:
    """Flip a bit in a card, and so in one page: the last such place, because a page that was split keeps old bytes."""
    octets[octets.rindex(b"FN:Person 7 of 10.vcf")] ^= 8


class Scene:
    """A data folder and a vault of it; the store is closed and opened around every harm."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.made = Filled(store=SqliteStore(self.data))
        self.made.grow(ANNA, cards=60, photo=b"\xff\xd8" * 100_000)
        self.made.grow(BERT, cards=3)
        self.made.ship()
        self.made.grow(ANNA, cards=40)
        self.made.ship()
        self.made.vault.put_manifest()
        self.before = self.story()

    @property
    def store(self) -> SqliteStore:
        assert isinstance(self.made.store, SqliteStore)
        return self.made.store

    @property
    def file(self) -> Path:
        return next(self.data.glob(f"accounts/??/{ANNA}.db"))

    def story(self, account: AccountId = ANNA) -> list[Carried]:
        with self.store.account(account).reading() as snapshot:
            return list(snapshot.carried())

    def harm(self, how: Callable[[bytearray], None]) -> None:
        """Change the account's file behind everybody's back."""
        self.store.close()
        octets = bytearray(self.file.read_bytes())
        how(octets)
        self.file.write_bytes(octets)
        self.made.store = SqliteStore(self.data)

    def copy(self, *, confirms: bool = True) -> Copy:
        return Copy(self.made.open(), confirms)

    def mending(self, folder: Path) -> Mending:
        setting = VaultSetting(name="here", url="memory", id="v", confirm=True, on_loss=OnLoss.REFUSE)
        return Mending(
            self.store,
            lambda: [setting],
            lambda _name: self.made.open(),
            lambda name: VerifiedFile(folder / name),
            self.made.clock,
        )


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.store.close()


def test_a_sound_account_is_left_alone(scene: Scene) -> None:
    """Not even its file is another one."""
    inode = scene.file.stat().st_ino
    assert repair_account(scene.store, [scene.copy()], ANNA).outcome is Outcome.SOUND
    assert scene.file.stat().st_ino == inode
    assert not (scene.data / "set-aside").exists()


@pytest.mark.parametrize("harm", [Path.unlink, lambda blob: blob.write_bytes(b"?" * 200_000)])
def test_bytes_come_back_from_a_vault_that_lacks_the_last_records(scene: Scene, harm: Callable[[Path], None]) -> None:
    """The file of the account stays as it is, with what no vault has yet."""
    scene.made.grow(ANNA, cards=2)
    before, inode = scene.story(), scene.file.stat().st_ino
    (blob,) = scene.data.glob("blobs/*/*")
    harm(blob)
    repair = repair_account(scene.store, [scene.copy()], ANNA)
    assert (repair.outcome, repair.records, repair.aside) == (Outcome.RESTORED, len(before), "")
    assert scene.story() == before
    assert scene.file.stat().st_ino == inode
    assert repair_account(scene.store, [scene.copy()], ANNA).outcome is Outcome.SOUND


def test_bytes_that_no_vault_has_are_not_brought(scene: Scene) -> None:
    """Then the account is held as before, and nothing of it is replaced."""
    (blob,) = scene.data.glob("blobs/*/*")
    blob.unlink()
    for one in scene.made.medium.list("blobs/"):
        scene.made.medium.take_away(one.name)
    assert repair_account(scene.store, [scene.copy()], ANNA).outcome is Outcome.HELD
    assert not blob.exists()


@pytest.mark.parametrize("seed", range(12))
def test_a_flipped_bit_anywhere_that_matters_is_repaired_from_the_vault(scene: Scene, seed: int) -> None:
    """Afterwards the history and every byte are what they were, and the damaged file is kept."""

    def flip(octets: bytearray) -> None:
        octets[random.Random(seed).randrange(PAGE_OCTETS, len(octets))] ^= 8

    scene.harm(flip)
    repair = repair_account(scene.store, [scene.copy()], ANNA)
    assert repair.outcome in {Outcome.RESTORED, Outcome.SOUND}
    assert scene.story() == scene.before
    if repair.outcome is Outcome.RESTORED:
        assert repair.records == len(scene.before)
        assert (scene.data / repair.aside).is_dir()


def test_a_damaged_byte_of_an_item_is_repaired(scene: Scene) -> None:
    """The page is found because its checksum is wrong."""
    scene.harm(one_card)
    assert repair_account(scene.store, [scene.copy()], ANNA).outcome is Outcome.RESTORED
    assert scene.story() == scene.before


def test_a_missing_blob_is_repaired(scene: Scene) -> None:
    """Bytes outside the account's file belong to it."""
    scene.store.close()
    for path in (scene.data / "blobs").glob("??/*"):
        path.unlink()
    scene.made.store = SqliteStore(scene.data)
    assert repair_account(scene.store, [scene.copy()], ANNA).outcome is Outcome.RESTORED
    assert scene.story() == scene.before


def test_a_vault_that_lacks_the_last_record_is_not_restored_from(scene: Scene) -> None:
    """What was acknowledged and is in the damaged file alone must not go: held, told, and the file stays."""
    scene.made.grow(ANNA, cards=1)
    scene.harm(one_card)
    inode = scene.file.stat().st_ino
    repair = repair_account(scene.store, [scene.copy()], ANNA)
    assert repair.outcome is Outcome.HELD
    assert "not up to 105" in repair.reason
    assert scene.file.stat().st_ino == inode
    with scene.store.account(ANNA).reading() as snapshot, pytest.raises(Held):
        whole(snapshot).collections(Home.CONTACTS)


def test_a_vault_that_tells_another_story_is_not_restored_from(scene: Scene) -> None:
    """A record of the same number with another hash: nobody's word is taken over the other's."""
    other = Filled()
    other.clock.advance(3)
    other.grow(ANNA, cards=200)
    other.ship()
    scene.harm(one_card)
    repair = repair_account(scene.store, [Copy(other.open(), confirms=True)], ANNA)
    assert repair.outcome is Outcome.HELD
    assert "is another one" in repair.reason


def harm_vault(vault: Vault, name: str, place: int = 30) -> None:
    assert isinstance(vault.medium, MemoryMedium)
    stored = vault.medium.read(name)
    vault.medium.replace(name, stored[:place] + b"#" + stored[place + 1 :])


def packs(scene: Scene) -> list[str]:
    return [ref.pack for ref in scene.made.vault.frames(ANNA)]


def test_a_damaged_vault_does_nothing_to_a_good_store(scene: Scene) -> None:
    """Whoever asks for a repair by mistake gets none."""
    for name in packs(scene):
        harm_vault(scene.made.vault, name)
    assert repair_account(scene.store, [scene.copy()], ANNA).outcome is Outcome.SOUND
    assert scene.story() == scene.before


def test_a_damaged_vault_is_not_restored_from(scene: Scene) -> None:
    """Half an account is not put in the place of one that is damaged in one page."""
    scene.harm(one_card)
    harm_vault(scene.made.vault, packs(scene)[0])
    inode = scene.file.stat().st_ino
    assert repair_account(scene.store, [scene.copy()], ANNA).outcome is Outcome.HELD
    assert scene.file.stat().st_ino == inode


def test_two_damaged_vaults_are_whole_together(scene: Scene) -> None:
    """Each record from whichever of them has it."""
    second = Filled()
    ship(second.vault, scene.store, [ANNA])
    scene.harm(one_card)
    harm_vault(scene.made.vault, packs(scene)[1])
    copies = [scene.copy(), Copy(second.open(), confirms=False)]
    assert repair_account(scene.store, copies, ANNA).outcome is Outcome.RESTORED
    assert scene.story() == scene.before


def test_both_damaged_in_different_places_are_mended_both(scene: Scene, tmp_path: Path) -> None:
    """The vault from the store, where that is whole, then the store from the vault; both are counted."""
    scene.harm(one_card)
    harm_vault(scene.made.vault, packs(scene)[1])
    repair = scene.mending(tmp_path).mend_account(ANNA, [scene.made.vault])
    assert repair.outcome is Outcome.RESTORED
    assert scene.story() == scene.before
    assert verify(scene.made.open(), Grade.RECORDS).findings == []
    repairs = VerifiedFile(tmp_path / "here").read().repairs
    assert (repairs.objects, repairs.accounts, repairs.last) == (1, 1, ANNA)


def test_both_damaged_in_the_same_place_stay_as_they_are(scene: Scene, tmp_path: Path) -> None:
    """Nothing is removed on either side; it is held for whoever has another copy."""
    scene.harm(one_card)
    harm_vault(scene.made.vault, packs(scene)[0])
    before = sorted(info.name for info in scene.made.medium.list("packs/"))
    inode = scene.file.stat().st_ino
    assert scene.mending(tmp_path).mend_account(ANNA, [scene.made.vault]).outcome is Outcome.HELD
    assert set(before) <= {info.name for info in scene.made.medium.list("packs/")}
    assert scene.file.stat().st_ino == inode


def test_what_was_held_is_whole_again_once_a_vault_can_help(scene: Scene, tmp_path: Path) -> None:
    """The restored account is not held any more."""
    scene.harm(one_card)
    [first, _] = packs(scene)
    good = scene.made.medium.read(first)
    harm_vault(scene.made.vault, first)
    mending = scene.mending(tmp_path)
    assert mending.mend_account(ANNA, []).outcome is Outcome.HELD
    assert isinstance(scene.made.medium, MemoryMedium)
    scene.made.medium.replace(first, good)
    assert mending.mend_account(ANNA, []).outcome is Outcome.RESTORED
    with scene.store.account(ANNA).reading() as snapshot:
        assert snapshot.held() == {}
    assert scene.story() == scene.before


def test_what_was_held_is_let_go_when_it_is_sound_after_all(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that had errors and has none any more; what is held for another reason stays so."""
    scene.store.account(ANNA).hold({Kind.PHOTOS: "they are being looked for"})
    scene.made.grow(ANNA, cards=1)  # of which the vault has nothing
    mending = scene.mending(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(SqliteAccount, "prove_readable", Mock(side_effect=Damaged("disk I/O error")))
        assert mending.mend_account(ANNA, []).outcome is Outcome.HELD
    with scene.store.account(ANNA).reading() as snapshot, pytest.raises(Held):
        whole(snapshot).collections(Home.CONTACTS)
    assert mending.mend_account(ANNA, []).outcome is Outcome.SOUND
    with scene.store.account(ANNA).reading() as snapshot:
        assert snapshot.held() == {Kind.PHOTOS: "they are being looked for"}


def test_what_is_held_for_another_reason_stays_so_in_the_restored_account(scene: Scene) -> None:
    """Whoever held it did so because of something that a vault does not have."""
    scene.store.account(ANNA).hold({Kind.PHOTOS: "they are being looked for"})
    scene.harm(one_card)
    assert repair_account(scene.store, [scene.copy()], ANNA).outcome is Outcome.RESTORED
    with scene.store.account(ANNA).reading() as snapshot:
        assert snapshot.held() == {Kind.PHOTOS: "they are being looked for"}


def test_a_vault_that_got_the_last_record_after_it_was_opened_is_restored_from(scene: Scene) -> None:
    """Clients write while the file is read: the vaults are looked at when that is done."""
    copy = scene.copy()
    scene.made.grow(ANNA, cards=1)
    scene.made.ship()
    before = scene.story()
    scene.harm(one_card)
    assert repair_account(scene.store, [copy], ANNA).outcome is Outcome.RESTORED
    assert scene.story() == before


def wipe(octets: bytearray) -> None:
    octets[:] = b"\0" * len(octets)


def test_a_file_of_which_nothing_can_be_read_is_restored_from_a_confirming_vault(scene: Scene) -> None:
    """It has everything that was ever acknowledged."""
    scene.harm(wipe)
    assert repair_account(scene.store, [scene.copy()], ANNA).outcome is Outcome.RESTORED
    assert scene.story() == scene.before


def test_a_file_of_which_nothing_can_be_read_is_not_restored_from_a_following_vault(scene: Scene) -> None:
    """Nobody can tell whether that has everything."""
    scene.harm(wipe)
    repair = repair_account(scene.store, [scene.copy(confirms=False)], ANNA)
    assert repair.outcome is Outcome.HELD
    assert scene.file.exists()


@pytest.mark.parametrize("error", [apsw.FullError, apsw.CantOpenError, apsw.BusyError, OSError, MemoryError])
def test_a_medium_that_cannot_serve_now_is_no_damage(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """A full disk, too many open files: nothing is set aside for it."""

    def fail(_store: object, _account: object) -> None:
        raise error("not now")

    monkeypatch.setattr(module, "_prove_journal", fail)
    with pytest.raises(StorageFault):
        repair_account(scene.store, [scene.copy()], ANNA)
    assert scene.file.exists()
    assert not (scene.data / "set-aside").exists()


def test_an_account_that_is_written_meanwhile_is_not_set_aside(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that came between the look and the repair would be lost with the file."""
    scene.harm(one_card)
    prove = prove_account

    def slowly(*words: object) -> object:
        entry = Entry(Op.REMOVE, "test", Kind.CONTACTS, "friends", "3.vcf")
        [verdict] = scene.store.account(ANNA).transact([lambda transaction: transaction.append(entry)])
        assert not isinstance(verdict, Exception)
        return prove(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "prove_account", slowly)
    copies = [scene.copy()]
    try:
        outcome = repair_account(scene.store, copies, ANNA).outcome
    except Unavailable:
        outcome = Outcome.HELD
    assert outcome is not Outcome.RESTORED
    assert scene.file.exists()


def test_stopped_between_setting_aside_and_restoring_a_start_goes_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account is in the vault and not in the store, which is what a start looks for."""
    scene.harm(one_card)

    def stop(*_words: object) -> None:
        raise KeepwellError("the power is gone")

    with monkeypatch.context() as patched:
        patched.setattr(SqliteStore, "restore", stop)
        with pytest.raises(KeepwellError, match="power"):
            repair_account(scene.store, [scene.copy()], ANNA)
    assert ANNA not in scene.store.accounts()
    with closing(scene.made.open(claim=True)) as vault:
        catch_up(scene.store, [vault], is_complete=True)
    assert scene.story() == scene.before


def test_whoever_meets_damage_notes_the_account(scene: Scene) -> None:
    """Reading an item of the damaged page is enough; a sound account is not noted."""
    scene.harm(one_card)
    assert scene.store.suspects.all() == []
    with pytest.raises(StorageFault):
        scene.story()
    scene.story(BERT)
    assert scene.store.suspects.all() == [ANNA]
    scene.store.suspects.clear(ANNA)
    assert scene.store.suspects.all() == []


def test_damage_of_the_store_does_not_take_the_vault_down(scene: Scene) -> None:
    """Shipping tells which account could not be read, and ships the others."""
    other = Filled()
    scene.harm(one_card)
    shipped = ship(other.vault, scene.store, [ANNA, BERT])
    assert list(shipped.failures) == [ANNA]
    assert other.vault.head(BERT).sequence > 0
