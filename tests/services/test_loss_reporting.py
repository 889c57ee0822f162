"""The report of a whole data folder: damage to the store's files and to vaults is counted as what it is."""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from keepwell.model.errors import NotThere
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Home, Kind, Lineage
from keepwell.model.record import Op, digest_of
from keepwell.services.incidents import Cause, Incident, KindIncident
from keepwell.services.indexing import index_again
from keepwell.services.loss_reporting import ConfirmingOutage, LossReporting, Report, outages_of
from keepwell.services.losses import STORE
from keepwell.services.status.values import Outage
from keepwell.services.vault_settings import OnLoss, VaultSetting
from keepwell.services.witness import Mark, Sighting, sight
from keepwell.storage.contract import Entry
from keepwell.storage.memory import MemoryStore
from keepwell.storage.sqlite import SqliteStore
from keepwell.storage.sqlite_files import connect
from keepwell.vault.layout import blob_name
from keepwell.vault.loss import Fate, Gap, KindLoss
from keepwell.vault.ship import ship
from keepwell.vault.vault import Vault
from tests.services.samples import card, desk, event
from tests.support.clock import FakeClock
from tests.vault.journals import ANNA, Journal
from tests.vault.vaults import fill, new_vault, reopened

PHOTO = b"\xff\xd8" * 100_000


@dataclass(frozen=True)
class Scene:
    """A data folder that nobody has open, the account of anna in it, and a vault with everything."""

    data: Path
    account: AccountId
    vault: Vault

    def report(self, *logins: str, vaults: Sequence[Vault] | None = None, unread: str = "") -> Report:
        found = [reopened(self.vault)] if vaults is None else vaults
        with closing(SqliteStore(self.data)) as store:
            reporting = LossReporting(store, found, {unread: "no key"} if unread else {}, FakeClock())
            return reporting.report(reporting.accounts(logins))

    @property
    def file(self) -> Path:
        return next(self.data.glob(f"accounts/??/{self.account}.db"))

    def tamper(self, statement: str) -> None:
        """Change a row behind Keepwell's back, with page checksums that are right."""
        with closing(SqliteStore(self.data)), closing(connect(self.file)) as connection:
            connection.execute(statement).fetchall()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    vault = new_vault("near")
    with desk(tmp_path) as here:
        for number in range(5):
            here.put("contacts", f"{number}.vcf", card(f"c{number}"))
        here.put("calendar", "tea.ics", event("tea"), Home.CALENDARS)
        here.put("photos", "sea.jpg", PHOTO, Home.PHOTOS)
        ship(vault, here.keepwell.store, here.keepwell.store.accounts())
        vault.put_manifest()
        account = here.account
    return Scene(tmp_path / "data", account, vault)


def kind(report: Report, wanted: Kind) -> KindLoss:
    return next(one for one in report.totals if one.kind is wanted)


def counts(report: Report, wanted: Kind) -> tuple[int, int, int, int, int]:
    """Expected, here, elsewhere, incomplete, lost."""
    one = kind(report, wanted)
    return one.expected, one.recovered, one.elsewhere, one.incomplete, one.lost


def test_nothing_is_missing_where_nothing_is(scene: Scene) -> None:
    """Everything is here and proven; the copies are equal."""
    report = scene.report()
    assert report.is_whole
    assert report.loss.accounts_whole == 2
    assert counts(report, Kind.CONTACTS) == (5, 5, 0, 0, 0)
    assert all(one.proven for one in report.totals)
    assert [(one.name, one.accounts, one.behind) for one in report.copies] == [(STORE, 2, 0), ("near", 2, 0)]
    assert {one.records for one in report.copies} == {report.copies[0].records}


def test_an_account_that_is_gone_is_elsewhere(scene: Scene) -> None:
    """The vault has all of it, and nothing of it is lost."""
    scene.file.unlink()
    report = scene.report()
    assert not report.is_whole
    [loss] = report.loss.accounts
    assert (loss.account, loss.login) == (scene.account, "anna")
    assert loss.records_elsewhere == loss.records_expected == loss.records_recovered
    assert counts(report, Kind.CONTACTS) == (5, 0, 5, 0, 0)
    assert {item.fate for item in loss.items} == {Fate.ELSEWHERE}
    assert [one.behind for one in report.copies] == [loss.records_expected, 0]


def test_an_account_that_no_copy_has_is_lost_with_what_its_ledger_counted(scene: Scene) -> None:
    """The manifest still says how much there was; without a vault only the login says that there was anything."""
    scene.file.unlink()
    for pack in scene.vault.packs():
        scene.vault.medium.remove(pack.name)
    with closing(SqliteStore(scene.data)) as store:
        ship(scene.vault, store, [SYSTEM_ACCOUNT])
    report = scene.report()
    assert counts(report, Kind.CONTACTS) == (5, 0, 0, 0, 5)
    [loss] = report.loss.accounts
    assert loss.gaps == (Gap(1, loss.records_expected),)
    [loss] = scene.report(vaults=[]).loss.accounts
    assert (loss.login, loss.records_expected, loss.kinds) == ("anna", 1, ())


def test_bytes_are_elsewhere_or_nowhere(scene: Scene) -> None:
    """A photograph whose blob is gone here is elsewhere; when the vault has it no more, it is incomplete, by name."""
    next((scene.data / "blobs").rglob(digest_of(PHOTO))).unlink()
    report = scene.report()
    assert counts(report, Kind.PHOTOS) == (1, 0, 1, 0, 0)
    assert counts(report, Kind.CONTACTS) == (5, 5, 0, 0, 0)
    scene.vault.medium.remove(blob_name(digest_of(PHOTO)))
    report = scene.report()
    assert counts(report, Kind.PHOTOS) == (1, 0, 0, 1, 0)
    [item] = report.loss.accounts[0].items
    assert (item.collection, item.name, item.size, item.fate) == ("photos", "sea.jpg", len(PHOTO), Fate.INCOMPLETE)


def test_what_the_store_lists_behind_a_hole_in_its_journal_is_here(scene: Scene) -> None:
    """A record that nothing has is told with the moments around it; its item is served, so it is not lost."""
    scene.tamper("DELETE FROM journal WHERE seq = 9")
    report = scene.report(vaults=[])
    [loss] = report.loss.accounts
    [gap] = loss.gaps
    assert (gap.first, gap.last) == (9, 9)
    assert gap.since < gap.until
    assert counts(report, Kind.CONTACTS) == (5, 5, 0, 0, 0)
    assert all(one.proven for one in loss.kinds)
    [loss] = scene.report().loss.accounts
    assert (loss.gaps, loss.records_elsewhere) == ((), 1)


def test_an_item_that_was_taken_out_behind_keepwells_back_is_counted(scene: Scene) -> None:
    """Its record is here, and its bytes: it is not lost. Without its bytes it is incomplete."""
    scene.tamper("DELETE FROM content WHERE id IN (SELECT content_id FROM items WHERE name = '3.vcf')")
    assert counts(scene.report(vaults=[]), Kind.CONTACTS) == (5, 4, 0, 1, 0)
    assert counts(scene.report(), Kind.CONTACTS) == (5, 4, 1, 0, 0)


@pytest.mark.parametrize("seed", range(12))
def test_a_damaged_file_is_survived(scene: Scene, seed: int) -> None:
    """Wherever bits flip, the report tells what is left: with the vault nothing is lost, and the sums are right."""
    chance = random.Random(seed)
    octets = bytearray(scene.file.read_bytes())
    for _ in range(chance.choice([1, 8, 60])):
        octets[chance.randrange(len(octets))] ^= 1 << chance.randrange(8)
    scene.file.write_bytes(octets)
    for vaults in ([reopened(scene.vault)], []):
        report = scene.report("anna", vaults=vaults)
        for one in report.totals:
            assert one.expected == one.recovered + one.elsewhere + one.incomplete + one.lost
            if vaults:
                assert (one.expected, one.incomplete + one.lost) == (
                    5 if one.kind is Kind.CONTACTS else one.expected,
                    0,
                )
    assert [counts(scene.report("anna"), wanted)[0] for wanted in (Kind.CONTACTS, Kind.CALENDAR)] == [5, 1]


def test_the_system_account_may_be_lost(scene: Scene) -> None:
    """Logins come from the vault, then; without one accounts have their ids."""
    next(scene.data.glob(f"accounts/??/{SYSTEM_ACCOUNT}.db")).unlink()
    scene.file.unlink()
    assert {loss.login for loss in scene.report().loss.accounts} == {"(system)", "anna"}
    with desk(scene.data.parent / "other") as there:
        there.put("contacts", "0.vcf", card("c0"))
        file = there.keepwell.data / "accounts" / "sy" / f"{SYSTEM_ACCOUNT}.db"
    file.unlink()
    with closing(SqliteStore(scene.data.parent / "other" / "data")) as store:
        reporting = LossReporting(store, [], {}, FakeClock())
        report = reporting.report(reporting.accounts())
    assert [(one.account, one.login) for one in report.loss.accounts] == [(SYSTEM_ACCOUNT, "(system)")]
    assert report.loss.accounts_whole == 1


def test_an_older_copy_of_the_file_is_behind_its_vault(scene: Scene) -> None:
    """What came after it is elsewhere; what was removed after it is not expected back."""
    aside = scene.file.read_bytes()
    with closing(SqliteStore(scene.data)) as store:
        place = store.account(scene.account)
        body = card("new")
        removal = Entry(Op.REMOVE, "test", Kind.CONTACTS, "contacts", "0.vcf", "c0")
        put = Entry(
            Op.PUT, "test", Kind.CONTACTS, "contacts", "new.vcf", "new", "text/vcard", digest_of(body), len(body)
        )
        place.transact([lambda one: one.append(removal), lambda one: one.append(put, body)])
        ship(scene.vault, store, [scene.account])
    scene.file.write_bytes(aside)
    report = scene.report()
    assert counts(report, Kind.CONTACTS) == (5, 4, 1, 0, 0)
    [loss] = report.loss.accounts
    assert [item.name for item in loss.items] == ["new.vcf"]
    assert loss.records_elsewhere == 2


def test_a_vault_of_another_history_is_told() -> None:
    """A copy that has another record under a number is named, and its records are not mixed in."""
    ours, theirs = Journal(), Journal()
    ours.put("bob", b"ours")
    theirs.put("bob", b"theirs")
    store, vault = MemoryStore(FakeClock()), new_vault("near")
    store.restore(ANNA, ours.carried, index_again)
    fill(vault, theirs)
    reporting = LossReporting(store, [reopened(vault)], {}, FakeClock())
    report = reporting.report([ANNA])
    assert counts(report, Kind.CONTACTS) == (1, 1, 0, 0, 0)
    assert [fault.copy for fault in report.loss.faults] == ["near"]
    assert [loss.forks for loss in report.loss.accounts] == [("near",)]


def test_what_is_held_is_told_with_its_reason(scene: Scene) -> None:
    """A kind that is not served is not whole, whatever the counts say."""
    with closing(SqliteStore(scene.data)) as store:
        store.account(scene.account).hold({Kind.CONTACTS: "15 items were known"})
    assert [loss.held for loss in scene.report().loss.accounts] == [{Kind.CONTACTS: "15 items were known"}]


def test_a_copy_that_cannot_be_read_is_told_and_keeps_the_report_from_saying_all_is_well(scene: Scene) -> None:
    """Its indexes still say how much there was; its contents do not count."""
    assert not scene.report(unread="near").is_whole
    scene.file.unlink()
    report = scene.report(unread="near")
    assert counts(report, Kind.CONTACTS) == (5, 0, 0, 0, 5)
    assert report.unread == {"near": "no key"}


def test_accounts_are_chosen_by_login_or_id(scene: Scene) -> None:
    """One that no copy knows of is refused."""
    assert scene.report("anna").loss.accounts_whole == 1
    assert scene.report(scene.account).loss.accounts_whole == 1
    with pytest.raises(NotThere):
        scene.report("bert")


def test_an_empty_data_folder_has_lost_nothing(tmp_path: Path) -> None:
    """There is nothing that anything says there was."""
    with closing(SqliteStore(tmp_path)) as store:
        reporting = LossReporting(store, [], {}, FakeClock())
        assert reporting.accounts() == []
        assert reporting.report([]).is_whole


def test_what_was_erased_for_good_is_not_lost(scene: Scene) -> None:
    """Its record stays, and says that it was; nobody misses the bytes."""
    with closing(SqliteStore(scene.data)) as store:
        place = store.account(scene.account)
        removal = Entry(Op.REMOVE, "test", Kind.CONTACTS, "contacts", "0.vcf", "c0")
        place.transact([lambda one: one.append(removal)])
        with place.reading() as snapshot:
            last = snapshot.head().sequence
        place.erase(last, [digest_of(card("c0"))])
    assert scene.report(vaults=[]).is_whole
    assert counts(scene.report(), Kind.CONTACTS) == (4, 4, 0, 0, 0)
    assert scene.report().is_whole


def test_outages_of_vaults_that_should_confirm_are_told() -> None:
    """With what it meant for writes; those of following vaults mean nothing."""
    gone = Outage("2026-11-23T08:00:00.000000Z", "unplugged")
    settings = [
        VaultSetting(name="near", url="/near", id="v_1", confirm=True, on_loss=OnLoss.DEGRADE),
        VaultSetting(name="far", url="/far", id="v_2"),
    ]
    assert outages_of(settings, {"near": [gone], "far": [gone]}) == [
        ConfirmingOutage(vault="near", since=gone.since, until="", reason="unplugged", went_on=True)
    ]


def reported(scene: Scene, seen: dict[AccountId, Sighting], incidents: Sequence[Incident] = ()) -> Report:
    with closing(SqliteStore(scene.data)) as store:
        reporting = LossReporting(store, [], {}, FakeClock(), seen=seen, incidents=incidents)
        return reporting.report(reporting.accounts())


def sighting(scene: Scene, more: int = 0) -> Sighting:
    """The account as it is, or as it was with so many more contacts, each by a record."""
    with closing(SqliteStore(scene.data)) as store, store.account(scene.account).reading() as snapshot:
        found = sight(snapshot, "anna", "")
        assert found is not None
    last = found.sequence + more
    kinds = found.kinds | {Kind.CONTACTS: Mark(last, "f" * 64, 5 + more, "f" * 64)}
    return msgspec.structs.replace(found, sequence=last, hash="f" * 64, kinds=kinds) if more else found


def test_a_witness_that_saw_the_same_changes_nothing(scene: Scene) -> None:
    """It knows no more than the store."""
    assert reported(scene, {scene.account: sighting(scene)}).is_whole


def test_what_only_the_witness_saw_is_lost(scene: Scene) -> None:
    """An older copy of the data folder was put back, and no vault has the rest: how much it was is known."""
    report = reported(scene, {scene.account: sighting(scene, more=3)})
    assert counts(report, Kind.CONTACTS) == (8, 5, 0, 0, 3)
    assert counts(report, Kind.CALENDAR) == (1, 1, 0, 0, 0)
    [loss] = report.loss.accounts
    assert [gap.last - gap.first + 1 for gap in loss.gaps] == [3]
    scene.file.unlink()
    assert counts(reported(scene, {scene.account: sighting_of_nobody(scene)}), Kind.CONTACTS) == (8, 0, 0, 0, 8)


def sighting_of_nobody(scene: Scene) -> Sighting:
    """An account with eight contacts that has no file any more."""
    marks = {Kind.CONTACTS: Mark(20, "f" * 64, 8, "f" * 64)}
    return Sighting(
        account=scene.account,
        login="anna",
        at="",
        lineage=Lineage("l"),
        first="e" * 64,
        sequence=20,
        hash="f" * 64,
        kinds=marks,
    )


@pytest.mark.parametrize("is_accepted", [False, True])
def test_an_incident_counts_until_someone_decides(scene: Scene, is_accepted: bool) -> None:
    """A new history began, so the numbers of records say nothing; what had been there is still missed, or not."""
    one = KindIncident(
        known=Mark(99, "f" * 64, 8, "f" * 64), count=5, reason="8 were known", accepted_at="now" if is_accepted else ""
    )
    incident = Incident(
        id="i",
        account=scene.account,
        login="anna",
        found_at="",
        cause=Cause.WITNESS,
        sequence_known=99,
        sequence_here=20,
        lineage_before=Lineage("l"),
        kinds={Kind.CONTACTS: one},
    )
    report = reported(scene, {}, [incident])
    assert counts(report, Kind.CONTACTS) == ((5, 5, 0, 0, 0) if is_accepted else (8, 5, 0, 0, 3))
    assert report.is_whole == is_accepted
    gone = msgspec.structs.replace(incident, formerly=AccountId("a_bertbertbertbert"))
    report = reported(scene, {}, [gone])
    assert counts(report, Kind.CONTACTS) == ((5, 5, 0, 0, 0) if is_accepted else (13, 5, 0, 0, 8))
