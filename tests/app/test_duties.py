"""What the elected keeper does to vaults and to the store: each in its time; faults take only their own down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from keepwell.app.duties import VaultDuties
from keepwell.app.scrubbing import MEND_AGAIN_SECONDS, SCRUB_SECONDS, Scrubbing
from keepwell.model.errors import Damaged, Held, Locked, StorageFault
from keepwell.model.names import Home
from keepwell.services import repair as repair_module
from keepwell.services.confirming import Confirming
from keepwell.services.keeper import Chore, Keeper
from keepwell.services.mending import Mending
from keepwell.services.tending import Duty
from keepwell.services.vault_link import VaultLink
from keepwell.services.vault_settings import OnLoss, Role, VaultSetting, VaultSettings
from keepwell.services.verified import VerifiedFile
from keepwell.services.verifying import Verifying
from keepwell.services.whole import whole
from keepwell.storage.carrying import missing
from keepwell.storage.sqlite import SqliteStore
from keepwell.storage.sqlite_files import opened
from keepwell.vault.memory_medium import MemoryMedium
from keepwell.vault.merge_plan import GRACE_SECONDS, TIER_PACKS_MAX
from keepwell.vault.vault import Vault
from keepwell.vault.verify import Grade, verify
from tests.vault.filled import Filled
from tests.vault.journals import ANNA, BERT


class Server:
    """One data folder, one vault, and the keeper with all its duties; time passes when the test says so."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.store = SqliteStore(self.data)
        self.made = Filled(store=self.store)
        self.made.clock.step_seconds = 0.0
        self.made.grow(ANNA, cards=30)
        self.made.grow(BERT, cards=3)
        self.made.ship()
        self.setting = VaultSetting(name="here", url="memory", id="v", confirm=True, on_loss=OnLoss.REFUSE)
        settings = VaultSettings(self.data)
        settings.add(self.setting)
        self.link = VaultLink("here", self._open, self.store, self.made.clock, self.made.entropy, role=Role.CONFIRMS)
        self.link.reopen()
        self.confirming = Confirming([self.link])
        self.file = VerifiedFile(self.data / "vaults" / "here")
        mending = Mending(
            self.store, settings.all, lambda _name: self.made.open(), lambda _name: self.file, self.made.clock
        )
        self.scrubbing = Scrubbing(self.data, self.store, self.confirming, mending, self.made.clock)
        duties = VaultDuties(Verifying(lambda _name: self.file, self.made.clock), mending, self.made.clock)
        self.keeper = self.keeping(duties.all(), [self.scrubbing.chore()])

    def _open(self) -> Vault:
        return self.made.open(claim=True)

    def keeping(self, duties: tuple[Duty, ...], chores: list[Chore]) -> Keeper:
        return Keeper(
            self.data,
            self.confirming,
            VaultSettings(self.data),
            lambda _setting: self.link,
            self.made.clock,
            duties,
            chores,
        )

    @property
    def medium(self) -> MemoryMedium:
        assert isinstance(self.made.medium, MemoryMedium)
        return self.made.medium

    def pass_time(self, seconds: float, step: float = 5.0) -> None:
        """Let the keeper tick for so long."""
        for _ in range(int(seconds / step)):
            self.made.clock.advance(step)
            self.keeper.tick()

    def packs(self) -> list[str]:
        return [info.name for info in self.medium.list("packs/")]

    def flip(self, name: str) -> None:
        stored = self.medium.read(name)
        self.medium.replace(name, stored[:30] + bytes([stored[30] ^ 1]) + stored[31:])

    def scrub(self) -> None:
        """Let one check of the store begin and end."""
        self.made.clock.advance(SCRUB_SECONDS)
        self.scrubbing.tick()
        while self.scrubbing._checking is not None:
            self.scrubbing._checking.process.wait()
            self.scrubbing.tick()

    def close(self) -> None:
        self.keeper.close()
        self.scrubbing.close()
        self.confirming.close()
        self.store.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    yield made
    made.close()


def test_within_the_first_hours_all_grades_are_proven_and_a_manifest_is_published(server: Server) -> None:
    """By slices alone; nobody asks for it."""
    server.pass_time(1200)
    known = server.file.read()
    assert set(known.grades) == set(Grade)
    assert [one.damaged for one in known.grades.values()] == [0, 0, 0]
    assert server.link.vault.manifest() is not None
    assert verify(server.made.open(), Grade.RECORDS).findings == []


def test_a_new_vault_has_a_manifest_within_seconds(server: Server) -> None:
    """So it can be drilled as soon as it was added."""
    assert server.link.vault.manifest() is None
    server.pass_time(15)
    assert server.link.vault.manifest() is not None


def test_a_damaged_pack_is_found_and_mended_within_a_day(server: Server) -> None:
    """It is counted, and what is remembered says that all is well again."""
    server.pass_time(1200)
    [bad] = server.packs()
    server.flip(bad)
    server.pass_time(25 * 3600, step=60)
    assert bad not in server.packs()
    known = server.file.read()
    assert known.repairs.objects == 1
    assert [one.damaged for one in known.grades.values()] == [0, 0, 0]
    assert server.link.fault is None
    assert verify(server.made.open(), Grade.RECORDS).findings == []


def test_small_packs_are_merged_and_the_old_ones_go(server: Server) -> None:
    """After the grace, with a manifest that says so."""
    for _ in range(TIER_PACKS_MAX):
        server.made.grow(ANNA)
        server.link.note(ANNA)
        server.pass_time(5)
    assert len(server.packs()) == TIER_PACKS_MAX + 1
    server.pass_time(2 * GRACE_SECONDS, step=30)
    assert len(server.packs()) == 1
    assert verify(server.made.open(), Grade.RECORDS).findings == []


def test_a_duty_that_fails_takes_no_vault_down_and_a_medium_that_fails_does(server: Server) -> None:
    """Writes must not be refused because a key is missing or something old is damaged."""
    errors: list[Exception] = [Locked("no key"), missing_record(server), OSError("no space")]

    def fail(_link: VaultLink) -> None:
        raise errors[0] if errors else StorageFault("the disk is gone")

    keeper = server.keeping((Duty("fail", 1.0, fail),), [])
    keeper.tick()
    while errors:
        server.made.clock.advance(1)
        keeper.tick()
        assert server.link.fault is None
        errors.pop(0)
    server.made.clock.advance(1)
    keeper.tick()
    assert isinstance(server.link.fault, StorageFault)
    keeper.close()


def missing_record(server: Server) -> Exception:
    with server.store.account(ANNA).reading() as snapshot:
        return missing(next(iter(snapshot.records())))


def one_card(path: Path) -> None:
    octets = bytearray(path.read_bytes())
    octets[octets.rindex(b"FN:Person 7 of 10.vcf")] ^= 8
    path.write_bytes(octets)


def harm_account(server: Server) -> None:
    """Damage the account's file while nobody has it open."""
    server.store.close()
    one_card(next(server.data.glob(f"accounts/??/{ANNA}.db")))


def story(server: Server) -> list[str]:
    with server.store.account(ANNA).reading() as snapshot:
        return [one.record.hash for one in snapshot.carried()]


def test_the_scrub_finds_a_damaged_account_and_has_it_mended(server: Server) -> None:
    """The damage lies where nobody reads; the pass goes on and remembers where it is."""
    before = story(server)
    harm_account(server)
    server.scrub()
    assert story(server) == before
    assert server.file.read().repairs.accounts == 1
    scrubbed = VerifiedFile(server.data / "scrub")
    assert scrubbed.read().passes[Grade.RECORDS].after == BERT
    server.scrub()
    assert scrubbed.read().grades[Grade.RECORDS].objects == 2
    assert scrubbed.read().grades[Grade.RECORDS].damaged == 0


def test_an_account_that_someone_could_not_read_is_mended_at_once(server: Server) -> None:
    """At the next tick, before any pass comes to it."""
    before = story(server)
    harm_account(server)
    with pytest.raises(StorageFault):
        story(server)
    server.scrubbing.tick()
    assert story(server) == before
    assert server.store.suspects.all() == []


def test_an_account_that_could_not_be_mended_is_tried_again(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays a suspect, and a minute later the vault has all of it, or the disk no errors any more."""
    before = story(server)
    harm_account(server)
    with pytest.raises(StorageFault):
        story(server)
    with monkeypatch.context() as patched:
        patched.setattr(repair_module, "prove_account", Mock(side_effect=Damaged("a pack is gone")))
        server.scrubbing.tick()
    server.scrubbing.tick()
    assert server.store.suspects.all() == [ANNA]
    with pytest.raises(Held), server.store.account(ANNA).reading() as snapshot:
        whole(snapshot).collections(Home.CONTACTS)
    server.made.clock.advance(MEND_AGAIN_SECONDS)
    server.scrubbing.tick()
    assert server.store.suspects.all() == []
    assert story(server) == before


def test_wrong_projections_are_made_anew(server: Server) -> None:
    """The journal is the data; a count that is wrong is no damage."""
    server.store.close()
    with opened(next(server.data.glob(f"accounts/??/{ANNA}.db"))) as connection:
        connection.execute("UPDATE ledger SET count = 99").fetchall()
    server.scrub()
    with server.store.account(ANNA).reading() as snapshot:
        assert 99 in [entry.count for entry in snapshot.ledger().values()]
    server.scrub()
    with server.store.account(ANNA).reading() as snapshot:
        assert [entry.count for entry in snapshot.ledger().values()] == [30, 0]
