"""A drill restores, compares, plants and finds; it fails when anything is wrong, and leaves nothing but its result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from keepwell.ground.entropy import Draw
from keepwell.ground.process import try_lock
from keepwell.model.errors import CannotStart, Unavailable
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Home, Kind
from keepwell.model.record import Op, digest_of
from keepwell.services.accounts import Accounts, ensure_system_account
from keepwell.services.directory import Directory
from keepwell.services.drilling import drill as module
from keepwell.services.drilling import finding
from keepwell.services.drilling.drill import PLACE, Drilling, DrillOrder
from keepwell.services.drilling.phone import Dialect, Listed, Phone
from keepwell.services.drilling.trial import choose_accounts
from keepwell.services.drills import DrillResult, Fault, read_drills
from keepwell.services.vaults import Vaults
from keepwell.storage.contract import Entry
from keepwell.storage.sqlite import SqliteStore
from keepwell.storage.writers import Writers
from keepwell.vault.findings import Found
from keepwell.vault.restore_plan import AccountPlan
from keepwell.vault.ship import ship
from tests.support.clock import FakeClock, SeededEntropy
from tests.vault.filled import PHOTO

ORDER = DrillOrder(seed=5, signed_in=0)


class Desk:
    """A data folder with three people and a vault that has everything of theirs."""

    def __init__(self, folder: Path) -> None:
        self.data, self.vault = folder / "data", folder / "vault"
        self.data.mkdir()
        self.clock, self.entropy = FakeClock(step_seconds=0.001), SeededEntropy()
        self.store = SqliteStore(self.data, self.clock, self.entropy)
        ensure_system_account(self.store)
        self.vaults = Vaults(self.data, self.clock, self.entropy)
        with closing(Writers(self.store)) as writers:
            accounts = Accounts(self.store, writers, Directory(self.store), self.clock, self.entropy)
            self.people = [accounts.add(login) for login in ("anna", "bert", "cleo")]
        for person in self.people:
            self.write(person, "bob.vcf")
        self.setting = self.vaults.add("near", str(self.vault), self.store)
        self.ship()
        self.served: list[Path] = []

    def write(self, account: AccountId, name: str, body: bytes = b"body") -> None:
        entry = Entry(Op.PUT, "test", Kind.CONTACTS, "contacts", name, name, "text/vcard", digest_of(body), len(body))
        [verdict] = self.store.account(account).transact([lambda transaction: transaction.append(entry, body)])
        assert not isinstance(verdict, BaseException)

    def ship(self) -> None:
        with closing(self.vaults.open_to_write("near")) as vault:
            ship(vault, self.store, self.store.accounts())
            vault.put_manifest()

    @contextmanager
    def serve(self, folder: Path) -> Iterator[str]:
        """Stands in for a real server, which tests/app starts."""
        self.served.append(folder)
        yield "http://127.0.0.1:1"

    def drilling(self) -> Drilling:
        return Drilling(self.data, self.store, SqliteStore, self.serve, self.clock, self.entropy)

    def drill(self, order: DrillOrder = ORDER) -> DrillResult:
        """One drill; whatever comes of it, only its result is left, and the vault is as it was."""
        before = state_of(self.vault)
        result = self.drilling().drill(self.setting, order)
        assert state_of(self.vault) == before
        assert not (self.data / PLACE).exists()
        assert read_drills(self.data)[-1] == result
        return result


def state_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.store.close()


def pack_of(desk: Desk) -> Path:
    return max((desk.vault / "packs").iterdir(), key=lambda path: path.stat().st_size)


def test_a_good_vault_passes(here: Desk) -> None:
    """Everything came back, was served, and a fault of each sort was found; the times are told."""
    here.write(here.people[0], "photo.jpg", PHOTO)
    here.ship()
    result = here.drill()
    assert (result.problems, result.passed) == ((), True)
    assert (result.accounts, result.accounts_known, result.is_sample) == (3, 3, False)
    assert [one.fault for one in result.planted] == list(Fault)
    assert all(one.found for one in result.planted)
    assert 0 < result.seconds_to_contacts <= result.seconds_to_everything <= result.seconds
    assert result.records > 20
    assert result.records_per_second > 0
    assert result.blob_octets_per_second > 0
    assert here.served == [here.data / PLACE / "restored"]


def test_a_vault_with_a_flipped_byte_fails(here: Desk) -> None:
    """The object is named, and nothing is planted into a vault that is damaged already."""
    pack = pack_of(here)
    stored = bytearray(pack.read_bytes())
    stored[20] ^= 1
    pack.write_bytes(stored)
    result = here.drill()
    assert not result.passed
    assert any(pack.name in problem for problem in result.problems)
    assert any("did not come back whole" in problem for problem in result.problems)
    assert result.planted == ()
    assert here.served == []


def test_a_vault_with_a_missing_object_fails(here: Desk) -> None:
    """However everything else may be."""
    pack_of(here).unlink()
    result = here.drill()
    assert not result.passed
    assert any("it is missing" in problem for problem in result.problems)


def test_a_damaged_object_that_is_not_needed_fails_too(here: Desk) -> None:
    """What is not read by the restore is found by looking at the vault."""
    readme = here.vault / "README.md"
    readme.write_bytes(readme.read_bytes() + b"x")
    result = here.drill()
    assert any("README.md" in problem for problem in result.problems)


def test_a_vault_that_is_gone_fails(here: Desk) -> None:
    """And so does one that is another."""
    here.vault.rename(here.vault.with_name("away"))
    result = here.drilling().drill(here.setting, ORDER)
    assert not result.passed
    assert "cannot be opened" in result.problems[0]
    assert not (here.data / PLACE).exists()


def test_a_vault_that_lacks_what_the_store_has_fails(here: Desk) -> None:
    """It was shipped nothing since: that everything comes back is not proven."""
    here.write(here.people[0], "late.vcf")
    result = here.drill()
    assert result.problems == (
        f"the vault lacks records of 1 accounts that the store had, {here.people[0]} among them",
    )


def test_an_account_that_the_store_has_lost_fails(here: Desk) -> None:
    """It comes back, and there is nothing to compare it with."""
    here.store.set_aside(here.people[0])
    result = here.drill()
    assert result.problems == (f"{here.people[0]}: it is in the vault, and not in the store",)
    assert here.served == []


@pytest.mark.parametrize("blind", ["verify_existence", "verify_content"])
def test_a_drill_whose_planted_fault_is_not_found_fails(
    here: Desk, blind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A verification that finds nothing proves nothing."""
    monkeypatch.setattr(finding, blind, lambda *_arguments: Found())
    result = here.drill()
    assert not result.passed
    assert all("did not find the planted fault" in problem for problem in result.problems)
    assert not all(one.found for one in result.planted)


def test_a_vault_without_a_manifest_fails(here: Desk) -> None:
    """Of what no manifest names nobody could tell that it is missing."""
    for manifest in (here.vault / "manifests").iterdir():
        manifest.unlink()
    result = here.drill()
    assert not result.passed
    assert any("the vault has no manifest yet" in problem for problem in result.problems)


def test_a_sample_is_restored_when_that_is_asked_for(here: Desk) -> None:
    """Some accounts and the system account; all of the vault is looked at all the same."""
    result = here.drill(DrillOrder(seed=5, signed_in=0, accounts_max=1))
    assert result.passed
    assert (result.accounts, result.accounts_known, result.is_sample) == (1, 3, True)


class Seeing(Phone):
    """A phone that sees an address book with nothing in it."""

    def __init__(self, *_arguments: object) -> None:
        pass

    def collections(self, dialect: Dialect) -> dict[str, str]:
        return {"contacts": "/contacts/"}

    def items(self, collection: str) -> dict[str, Listed]:
        return {}

    def close(self) -> None:
        pass


def test_a_restored_server_that_shows_less_fails(here: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal of the live store says what there should be; app passwords are put into the restored copy alone."""
    monkeypatch.setattr(module, "Phone", Seeing)
    before = here.store.account(SYSTEM_ACCOUNT).version()
    result = here.drill(DrillOrder(seed=5, signed_in=2))
    assert len(result.sampled) == 2
    assert any("1 items are missing, bob.vcf among them" in problem for problem in result.problems)
    assert any(problem.startswith(f"{Home.CALENDARS} of ") for problem in result.problems)
    assert here.store.account(SYSTEM_ACCOUNT).version() == before


def test_a_server_that_does_not_start_fails(here: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be served was not brought back."""

    @contextmanager
    def failing(_folder: Path) -> Iterator[str]:
        raise CannotStart("it does not start")
        yield ""

    monkeypatch.setattr(here, "serve", failing)
    assert here.drill().problems == ("it does not start",)


def test_one_drill_runs_at_a_time(here: Desk) -> None:
    """The second is refused, and leaves no result."""
    lock = try_lock(here.data / "vaults" / "drill.lock")
    assert lock is not None
    with pytest.raises(Unavailable, match="another drill"):
        here.drilling().drill(here.setting, ORDER)
    assert read_drills(here.data) == []


def test_what_a_killed_drill_left_is_removed(here: Desk) -> None:
    """Its half-restored place does not stand in the way."""
    (here.data / PLACE / "restored.restoring").mkdir(parents=True)
    (here.data / PLACE / "restored.restoring" / "stray").write_bytes(b"x")
    assert here.drill().passed


def test_without_room_nothing_is_begun(here: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """That says nothing of the vault, so there is no result."""
    monkeypatch.setattr(module, "ROOM_OCTETS", 1 << 60)
    with pytest.raises(Unavailable, match="no room"):
        here.drilling().drill(here.setting, ORDER)
    assert read_drills(here.data) == []
    assert not (here.data / PLACE).exists()


def planned(account: str, octets: int) -> AccountPlan:
    return AccountPlan(AccountId(account), account, (), 1, 1, {}, octets, octets, 0, 0)


@pytest.mark.parametrize(
    ("accounts_max", "octets_max", "count"),
    [(None, None, None), (5, 100, None), (3, None, 3), (None, 35, 3), (None, 5, 1), (2, 35, 2)],
)
def test_a_sample_keeps_both_limits(accounts_max: int | None, octets_max: int | None, count: int | None) -> None:
    """One account at least; none is chosen when everything is within the limits."""
    plans = [planned(f"a_{number}", 10) for number in range(5)] + [planned(SYSTEM_ACCOUNT, 1000)]
    chosen = choose_accounts(plans, Draw(1), accounts_max=accounts_max, octets_max=octets_max)
    assert (None if chosen is None else len(chosen)) == count
    assert chosen is None or SYSTEM_ACCOUNT not in chosen
