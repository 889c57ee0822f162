"""Salvage: whatever any fragment proves comes back, nothing else does, and the loss report says what is missing."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from pyrage.x25519 import Identity

from keepwell.model.errors import AlreadyThere, BadRequest, Damaged, NotThere
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Kind
from keepwell.model.record import Op, digest_of
from keepwell.services.check import Checker
from keepwell.services.directory import Directory
from keepwell.services.exporting import export_account
from keepwell.services.findings import Finding
from keepwell.services.salvaging.build import Salvaged, carry_out
from keepwell.services.salvaging.salvage import Survey, salvaging
from keepwell.storage.contract import Entry, Snapshot, Transaction
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.keys import make_drill_key
from keepwell.vault.lines import parse_lines
from keepwell.vault.loss import AccountLoss, LossReport
from keepwell.vault.pack import read_index
from keepwell.vault.sealing import AgeSeal
from tests.services.fragments import (
    Left,
    Pristine,
    Truth,
    World,
    damage,
    items_of,
    left_for_certain,
    make_world,
    truth_of,
)
from tests.services.samples import card
from tests.storage.damaged import ANNA, fill, new_store, open_account
from tests.support.clock import FakeClock, SeededEntropy


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Never changed: tests take a copy."""
    return make_world(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def world(whole: World, tmp_path: Path) -> World:
    shutil.copytree(whole.folder, tmp_path / "world")
    return World(tmp_path / "world", whole.accounts, whole.truths)


class Outcome:
    """A salvage that was carried out, and the folder it made."""

    def __init__(self, into: Path, survey: Survey, salvaged: Salvaged) -> None:
        self.into = into
        self.survey = survey
        self.salvaged = salvaged

    def loss(self, account: AccountId) -> AccountLoss:
        return next(one for one in self.survey.accounts if one.account == account)

    def read(self, account: AccountId, what: Callable[[Snapshot], object]) -> object:
        with closing(SqliteStore(self.into)) as store, store.account(account).reading() as snapshot:
            return what(snapshot)

    def findings(self) -> list[Finding]:
        with closing(SqliteStore(self.into)) as store:
            checker = Checker(store)
            found = checker.check_folder(self.into, store.blobs)
            return found + [finding for account in store.accounts() for finding in checker.check(account)]


def salvage(
    into: Path, sources: Sequence[Path], keys: Sequence[Identity] = (), *, add_unproven: bool = False
) -> Outcome:
    clock = FakeClock(step_seconds=1)
    clock.advance(86_400)
    with salvaging([str(one) for one in sources], keys, into, clock, add_unproven=add_unproven) as one:
        survey = one.survey()
        return Outcome(into, survey, carry_out(one, survey, clock, SeededEntropy(5)))


def journal(snapshot: Snapshot) -> list[object]:
    return list(snapshot.records())


SOURCES: dict[str, Callable[[World], list[Path]]] = {
    "the data folder": lambda world: [world.data],
    "the vault": lambda world: [world.vault],
    "both": lambda world: [world.data, world.vault],
    "the folder around them": lambda world: [world.folder],
}


@pytest.mark.parametrize("sources", SOURCES.values(), ids=SOURCES)
def test_from_whole_copies_everything_comes_back(
    world: World, tmp_path: Path, sources: Callable[[World], list[Path]]
) -> None:
    """Journals are the same records, the report says that all is whole, and a check finds nothing."""
    outcome = salvage(tmp_path / "new", sources(world))
    for account, truth in world.truths.items():
        assert outcome.read(account, journal) == truth.records
        assert outcome.read(account, items_of) == truth.items
        assert outcome.read(account, lambda snapshot: snapshot.held()) == {}
    assert all(loss.is_whole for loss in outcome.survey.accounts)
    assert outcome.findings() == []
    assert not (tmp_path / "new.salvaging").exists()


DAMAGES: dict[str, Callable[[World, int], None]] = {
    "flipped bits in both copies": lambda world, seed: (
        damage(files_of(world), seed, flips=40),
        damage(world.packs(), seed, flips=2),
    )[0],
    "flipped bits everywhere in the store, half of the packs gone": lambda world, seed: (
        damage(files_of(world), seed, flips=200),
        forget(world.packs()[seed % 2 :: 2]),
    )[0],
    "zeroed pages in the store, truncated packs": lambda world, seed: (
        damage(files_of(world), seed, zeroes=12),
        damage(world.packs(), seed, cut=True),
    )[0],
    "truncated account files, flipped packs": lambda world, seed: (
        damage(files_of(world), seed, cut=True),
        damage(world.packs(), seed, flips=3),
    )[0],
    "no store, half of the packs gone": lambda world, seed: (
        forget(files_of(world)),
        forget(world.packs()[seed % 2 :: 2]),
    )[0],
    "zeroed pages in the store, no vault": lambda world, seed: (
        damage(files_of(world), seed, zeroes=4),
        forget([path for path in world.vault.rglob("*") if path.is_file()]),
    )[0],
}


def files_of(world: World) -> list[Path]:
    """The files of people; the system account stays whole here."""
    return [world.file(account) for account in world.accounts.values()]


def forget(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("do_damage", DAMAGES.values(), ids=DAMAGES)
def test_whatever_a_fragment_proves_comes_back(
    world: World, tmp_path: Path, do_damage: Callable[[World, int], None], seed: int
) -> None:
    """Both copies are damaged in different places: what is left in either is used, and what is not is told exactly."""
    pristine = Pristine.of(world)
    do_damage(world, seed)
    left = left_for_certain(world, pristine)
    outcome = salvage(tmp_path / "new", [world.data, world.vault])
    assert outcome.findings() == []
    for account in world.accounts.values():
        truth = world.truths[account]
        require_everything_left(outcome, account, truth, left)
        require_exact_report(outcome, account, truth, left)


def require_everything_left(outcome: Outcome, account: AccountId, truth: Truth, left: Left) -> None:
    """Each item of which the record and the bytes are left is there, and nothing that never was."""
    there = outcome.read(account, items_of)
    assert isinstance(there, dict)
    assert there.items() <= truth.items.items()
    for record in truth.records:
        facts = record.facts
        if facts.op is Op.PUT and record.hash in left.records and facts.digest in left.bodies:
            assert facts.name in {name for _home, _collection, name in there}, facts.name


def require_exact_report(outcome: Outcome, account: AccountId, truth: Truth, left: Left) -> None:
    """Counts, gaps and names are those that a look at the store beside the truth gives."""
    loss, there = outcome.loss(account), outcome.read(account, items_of)
    assert isinstance(there, dict)
    gone = {seq for gap in loss.gaps for seq in range(gap.first, gap.last + 1)}
    assert gone.isdisjoint(record.facts.seq for record in truth.records if record.hash in left.records)
    assert loss.records_recovered + len(gone) == loss.records_expected <= len(truth.records)
    for kind in loss.kinds:
        expected = [name for name in truth.items if kind_of(name) is kind.kind]
        recovered = [name for name in there if kind_of(name) is kind.kind]
        assert kind.recovered == len(recovered)
        assert kind.expected == kind.recovered + kind.incomplete + kind.lost <= len(expected)
        assert not kind.proven or kind.recovered == kind.expected
    missing = {(item.collection, item.name) for item in loss.items}
    assert missing.isdisjoint((collection, name) for _home, collection, name in there)
    by_name = {record.facts.name: record.facts for record in truth.records}
    assert all((item.seq, item.size) == (by_name[item.name].seq, by_name[item.name].size) for item in loss.items)
    if loss.records_expected == len(truth.records):
        assert sum(kind.expected for kind in loss.kinds) == len(truth.items)
        is_whole = there == truth.items
        held = outcome.read(account, lambda snapshot: set(snapshot.held()))
        assert isinstance(held, set)
        assert loss.is_whole == (is_whole and not gone)
        assert bool(held) == (not is_whole)


def kind_of(name: tuple[object, str, str]) -> Kind:
    return {"contacts": Kind.CONTACTS, "photos": Kind.PHOTOS, "calendar": Kind.CALENDAR}[name[1]]


def test_bytes_from_one_copy_and_records_from_the_other_make_an_item(world: World, tmp_path: Path) -> None:
    """The account file lost its journal's pages, the vault lost its blobs: together they are whole."""
    for path in (world.vault / "blobs").rglob("*"):
        if path.is_file():
            path.unlink()
    for account in world.accounts.values():
        path = world.file(account)
        octets = path.read_bytes()
        for record in world.truths[account].records:
            octets = octets.replace(bytes.fromhex(record.hash), bytes(32))
        path.write_bytes(octets)
    assert not all(loss.is_whole for loss in salvage(tmp_path / "store", [world.data]).survey.accounts)
    assert not all(loss.is_whole for loss in salvage(tmp_path / "vault", [world.vault]).survey.accounts)
    outcome = salvage(tmp_path / "both", [world.data, world.vault])
    assert all(loss.is_whole for loss in outcome.survey.accounts)
    for account, truth in world.truths.items():
        assert outcome.read(account, journal) == truth.records


def test_updates_and_removals_behind_a_gap_are_followed(tmp_path: Path) -> None:
    """Cards were changed and removed: behind a missing pack later changes count, and what is wrong is not proven."""
    world = make_world(tmp_path / "world", updates=True)
    forget(world.packs()[1:2])
    outcome = salvage(tmp_path / "new", [world.vault])
    assert outcome.findings() == []
    for account in world.accounts.values():
        there, truth = outcome.read(account, items_of), world.truths[account].items
        assert isinstance(there, dict)
        changed = {name for name in there if there[name] != truth.get(name)}
        proven = {kind.kind for kind in outcome.loss(account).kinds if kind.proven}
        assert {kind_of(name) for name in changed | (truth.keys() - there.keys())}.isdisjoint(proven)


@pytest.mark.parametrize("what", ["the account file", "the log"])
def test_a_running_server_s_log_is_used(tmp_path: Path, what: str) -> None:
    """A copy taken while a server ran: the last commits are in the -wal, also when the file beside it is gone."""
    folder = tmp_path / "data"
    store = new_store(folder)
    place = store.create(ANNA, [open_account, lambda transaction: fill(transaction, 30, seed=3)])
    place.transact([lambda transaction: fill(transaction, 5, seed=4, first=50)])
    with place.reading() as snapshot:
        truth = truth_of(snapshot)
    shutil.copytree(folder, tmp_path / "copy")
    store.close()
    if what == "the log":
        shutil.copytree(folder, tmp_path / "older")  # what the close has checkpointed
        forget(list((tmp_path / "copy").glob("accounts/??/a_*.db")))
    outcome = salvage(tmp_path / "new", [one for one in (tmp_path / "copy", tmp_path / "older") if one.exists()])
    assert outcome.read(ANNA, items_of) == truth.items
    assert outcome.loss(ANNA).is_whole


def test_a_lost_system_account_costs_only_the_logins(world: World, tmp_path: Path) -> None:
    """Everybody's data is there, under disabled logins made of the accounts' ids, which an operator can enable."""
    forget([world.file(SYSTEM_ACCOUNT)])
    outcome = salvage(tmp_path / "new", [world.data])
    logins = [f"found-{account[2:8]}" for account in sorted(world.accounts.values())]
    assert outcome.salvaged.found_logins == logins
    assert outcome.findings() == []
    with closing(SqliteStore(outcome.into)) as store:
        directory = Directory(store)
        assert [(one.login, one.disabled) for one in directory.account_documents()] == [(one, True) for one in logins]
    for account in world.accounts.values():
        assert outcome.read(account, items_of) == world.truths[account].items


def test_a_login_without_anything_else_gets_an_account_that_is_held(world: World, tmp_path: Path) -> None:
    """Nothing of bert's is left: he is there, with nothing, and nothing is what no device is told."""
    account = world.accounts["bert"]
    forget([world.file(account)])
    outcome = salvage(tmp_path / "new", [world.data])
    assert outcome.findings() == []
    held = outcome.read(account, lambda snapshot: set(snapshot.held()))
    assert held == {kind for kind in Kind if kind is not Kind.SYSTEM}
    assert (outcome.loss(account).login, outcome.loss(account).records_recovered) == ("bert", 0)
    assert not outcome.loss(account).is_whole


def test_an_encrypted_vault_is_opened_by_a_key(tmp_path: Path) -> None:
    """With one of its keys everything comes back; without, nothing does, and that is said of every pack."""
    key = Identity.generate()
    world = make_world(tmp_path / "world", seal=AgeSeal([str(key.to_public())], [key]))
    outcome = salvage(tmp_path / "new", [world.vault], [key])
    for account, truth in world.truths.items():
        assert outcome.read(account, items_of) == truth.items
    closed = salvage(tmp_path / "closed", [world.vault])
    assert [one.account for one in closed.survey.accounts if one.records_recovered] == []
    faults = {fault.name for fault in closed.survey.places[0].faults}
    assert faults >= {f"packs/{path.name}" for path in world.packs()}


def test_a_drill_key_in_a_data_folder_opens_the_vault(tmp_path: Path) -> None:
    """The data folder that is salvaged has the drill's key of its vault: that is a key like another."""
    folder = tmp_path / "world/data/vaults/near"
    key = make_drill_key(folder, "near")
    world = make_world(tmp_path / "world", seal=AgeSeal([str(key.to_public())], [key]))
    forget(files_of(world))
    outcome = salvage(tmp_path / "new", [world.data, world.vault])
    assert all(loss.is_whole for loss in outcome.survey.accounts)


def test_an_export_has_bytes_that_records_ask_for(world: World, tmp_path: Path) -> None:
    """Only the journal survived; the cards and photos are found in an export, by their digests."""
    account = world.accounts["anna"]
    with closing(SqliteStore(world.data)) as store:
        export_account(store, account, "anna", tmp_path / "export")
    path = world.file(account)
    octets = path.read_bytes()
    for body in world.truths[account].bodies.values():
        octets = octets.replace(body[:24], bytes(24))
    path.write_bytes(octets)
    shutil.rmtree(world.data / "blobs")
    alone = salvage(tmp_path / "alone", [world.data])
    assert sum(kind.incomplete for kind in alone.loss(account).kinds) == len(world.truths[account].items)
    outcome = salvage(tmp_path / "new", [world.data, tmp_path / "export"])
    assert outcome.read(account, journal) == world.truths[account].records
    assert outcome.loss(account).is_whole


def test_files_without_names_are_known_by_their_bytes(world: World, tmp_path: Path) -> None:
    """A repaired disk gives files called #123: account files, packs and blobs are found among them."""
    found = tmp_path / "lost+found"
    found.mkdir()
    for number, path in enumerate(Pristine.of(world).octets):
        shutil.copy(path, found / f"#{number}")
    outcome = salvage(tmp_path / "new", [found])
    for account, truth in world.truths.items():
        assert outcome.read(account, items_of) == truth.items


def test_a_gap_begins_a_new_lineage_and_holds_what_is_not_whole(world: World, tmp_path: Path) -> None:
    """The middle pack is gone: the lineage is another from there on, and the kinds that lost something are held."""
    account = world.accounts["anna"]
    firsts = {_first_of(path, account): path for path in world.packs()}
    middle = sorted(firsts)[2]
    forget([firsts[middle]])
    outcome = salvage(tmp_path / "new", [world.vault])
    [gap] = outcome.loss(account).gaps
    records = outcome.read(account, journal)
    assert isinstance(records, list)
    lineages = [record.facts.lineage for record in records]
    assert gap.first == middle
    assert len(set(lineages[: middle - 1])) == len(set(lineages[middle - 1 :])) == 1
    assert lineages[0] != lineages[-1]
    assert outcome.read(account, lambda snapshot: snapshot.lineage()) == lineages[-1]
    assert outcome.read(account, lambda snapshot: set(snapshot.held())) == {Kind.CONTACTS, Kind.CALENDAR, Kind.PHOTOS}


def _first_of(path: Path, account: AccountId) -> int:
    index = read_index(path.read_bytes())
    assert index is not None
    return next((frame.first for frame in index.frames if frame.account == account), 0)


def test_the_loss_report_lies_in_the_new_folder(world: World, tmp_path: Path) -> None:
    """What is told is kept with the data: sources, losses and faults."""
    damage(files_of(world), 1, zeroes=3)
    outcome = salvage(tmp_path / "new", [world.data])
    stored = msgspec.json.decode((outcome.into / "loss-report.json").read_bytes(), type=LossReport)
    assert stored == outcome.salvaged.report
    assert {loss.account for loss in stored.accounts} == set(world.accounts.values())


def test_sources_are_never_written_to(world: World, tmp_path: Path) -> None:
    """Every file of the sources is the same afterwards, and none is there that was not."""
    damage(files_of(world), 1, flips=30)
    before = Pristine.of(world).octets
    salvage(tmp_path / "new", [world.data, world.vault])
    assert Pristine.of(world).octets == before


def test_a_survey_alone_leaves_nothing(world: World, tmp_path: Path) -> None:
    """What a dry run does: it tells the losses, and afterwards no folder is there."""
    with salvaging([str(world.data)], [], tmp_path / "new", FakeClock()) as one:
        assert len(one.survey().accounts) == 3
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "new.salvaging").exists()


def test_a_salvage_that_was_killed_is_begun_anew(world: World, tmp_path: Path) -> None:
    """What a killed run left behind does not get into the new folder."""
    left = tmp_path / "new.salvaging"
    (left / "accounts/aa").mkdir(parents=True)
    (left / ".salvage.lock").touch()
    (left / "accounts/aa/a_aaaaaaaaaaaaaaaa.db").write_bytes(b"half")
    outcome = salvage(tmp_path / "new", [world.data])
    assert outcome.findings() == []
    assert not left.exists()


def test_a_fault_while_building_leaves_nothing(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When an account cannot be built there is no folder that looks whole."""

    def restore(_store: SqliteStore, account: AccountId, *_rest: object) -> None:
        raise Damaged(f"no place for {account}")

    monkeypatch.setattr(SqliteStore, "restore", restore)
    with pytest.raises(Damaged, match="no place"):
        salvage(tmp_path / "new", [world.data])
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "new.salvaging").exists()


def test_a_place_that_is_taken_is_refused(world: World, tmp_path: Path) -> None:
    """Nothing is ever overwritten: neither a folder with something in it nor one that another program made."""
    (tmp_path / "new").mkdir()
    (tmp_path / "new/file").touch()
    with pytest.raises(AlreadyThere):
        salvage(tmp_path / "new", [world.data])
    (tmp_path / "other.salvaging").mkdir()
    (tmp_path / "other.salvaging/file").touch()
    with pytest.raises(AlreadyThere):
        salvage(tmp_path / "other", [world.data])
    assert (tmp_path / "other.salvaging/file").exists()


def test_a_place_inside_a_source_is_refused(world: World) -> None:
    """A salvage does not read what it builds."""
    with pytest.raises(BadRequest):
        salvage(world.data / "new", [world.data])


def test_a_source_that_is_not_there_is_refused(world: World, tmp_path: Path) -> None:
    """A mistyped path is no copy that lost everything."""
    with pytest.raises(NotThere):
        salvage(tmp_path / "new", [world.data, tmp_path / "nothing"])


def without_journal_rows(world: World, account: AccountId, names: set[str]) -> None:
    """Damage the records that put these items, and nothing else."""
    path = world.file(account)
    octets = path.read_bytes()
    for record in world.truths[account].records:
        if record.facts.name in names:
            row = bytes.fromhex(record.facts.prev) + bytes.fromhex(record.hash)
            octets = octets.replace(row, row[:32] + bytes(32))
    path.write_bytes(octets)


CARDS = {"card-4-3.vcf", "card-4-7.vcf"}


def test_items_that_only_rows_have_are_told_and_not_added(world: World, tmp_path: Path) -> None:
    """The records of two cards are gone, their rows and bytes are there: lost by name, and offered."""
    account = world.accounts["anna"]
    without_journal_rows(world, account, CARDS)
    outcome = salvage(tmp_path / "new", [world.data])
    assert {one.name for one in outcome.loss(account).items} == CARDS
    assert {one.name for one in outcome.survey.unproven} == CARDS
    there = outcome.read(account, items_of)
    assert isinstance(there, dict)
    assert {name for _home, _collection, name in world.truths[account].items.keys() - there.keys()} == CARDS


def test_items_that_only_rows_have_are_added_on_demand(world: World, tmp_path: Path) -> None:
    """They come back as they were, and the ledger's set-hash proves that the kind is whole: nothing is held."""
    account = world.accounts["anna"]
    without_journal_rows(world, account, CARDS)
    outcome = salvage(tmp_path / "new", [world.data], add_unproven=True)
    assert outcome.read(account, items_of) == world.truths[account].items
    assert outcome.read(account, lambda snapshot: snapshot.held()) == {}
    assert all(kind.proven for kind in outcome.loss(account).kinds)
    assert outcome.findings() == []


def exported(world: World, folder: Path) -> Path:
    with closing(SqliteStore(world.data)) as store:
        export_account(store, world.accounts["anna"], "anna", folder)
    return folder


@pytest.mark.parametrize("add_unproven", [False, True], ids=["told", "added on demand"])
def test_what_only_an_export_has_is_unproven(tmp_path: Path, *, add_unproven: bool) -> None:
    """Only the first pack is left, and an export of later: its further cards are offered, and added on demand."""
    world = make_world(tmp_path / "world")
    account = world.accounts["anna"]
    with closing(SqliteStore(world.data)) as store:
        [verdict] = store.account(account).transact([_put_real_cards])
        assert not isinstance(verdict, BaseException)
    export = exported(world, tmp_path / "export")
    outcome = salvage(tmp_path / "new", [world.vault, export], add_unproven=add_unproven)
    assert [one.name for one in outcome.survey.unproven] == ["late-0.vcf", "late-1.vcf"]
    assert outcome.survey.loose == []
    there = outcome.read(account, items_of)
    assert isinstance(there, dict)
    late = {name for _home, _collection, name in there if name.startswith("late")}
    assert late == ({"late-0.vcf", "late-1.vcf"} if add_unproven else set())
    assert outcome.findings() == []


def _put_real_cards(transaction: Transaction) -> None:
    for number in range(2):
        body = card(f"late-{number}")
        name = f"late-{number}.vcf"
        entry = Entry(
            Op.PUT, "phone", Kind.CONTACTS, "contacts", name, f"late-{number}", "text/vcard", digest_of(body), len(body)
        )
        transaction.append(entry, body)


def test_an_export_never_replaces_what_is_proven(world: World, tmp_path: Path) -> None:
    """A file of the export was changed by hand: the card stays what its record says."""
    export = exported(world, tmp_path / "export")
    (export / "contacts/contacts/card-0-0.vcf").write_bytes(card("other"))
    outcome = salvage(tmp_path / "new", [world.data, export], add_unproven=True)
    assert outcome.read(world.accounts["anna"], items_of) == world.truths[world.accounts["anna"]].items


def test_a_fork_is_told_and_kept_aside(world: World, tmp_path: Path) -> None:
    """Two copies went different ways: the longer is taken; of the other every record is kept, with its bytes."""
    account = world.accounts["anna"]
    shutil.copytree(world.data, tmp_path / "other")
    _put(world.data, account, ["a", "b", "c"])
    _put(tmp_path / "other", account, ["x", "y"])
    outcome = salvage(tmp_path / "new", [world.data, tmp_path / "other"])
    reach = len(world.truths[account].records)
    assert [(one.account, one.first, one.last) for one in outcome.survey.forks] == [(account, reach + 1, reach + 2)]
    there = outcome.read(account, items_of)
    assert isinstance(there, dict)
    assert {name for _home, _collection, name in there} >= {"a", "b", "c"}
    lines = parse_lines((outcome.into / f"set-aside/salvage/{account}.jsonl").read_bytes())
    assert [(line.record.facts.name, line.body) for line in lines] == [("x", b"x"), ("y", b"y")]


def _put(data: Path, account: AccountId, names: list[str]) -> None:
    def work(transaction: Transaction) -> None:
        for name in names:
            body = name.encode()
            entry = Entry(Op.PUT, "phone", Kind.CONTACTS, "contacts", name, "", "", digest_of(body), len(body))
            transaction.append(entry, body)

    clock = FakeClock(step_seconds=1)
    clock.advance(3_600)
    with closing(SqliteStore(data, clock)) as store:
        assert store.account(account).transact([work]) == [None]


def test_a_salvaged_folder_outweighs_what_it_was_made_of(world: World, tmp_path: Path) -> None:
    """Salvaged again together with the old fragments, the new history stands, though the old one reached higher."""
    account = world.accounts["anna"]
    forget(world.packs()[1:3])
    first = salvage(tmp_path / "first", [world.vault])
    _put(first.into, account, ["new"])
    second = salvage(tmp_path / "second", [first.into, world.vault])
    with closing(SqliteStore(first.into)) as store, store.account(account).reading() as snapshot:
        assert second.read(account, journal) == journal(snapshot)


@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_system_account_still_opens(world: World, tmp_path: Path, seed: int) -> None:
    """Whatever is left of the system account, everybody has a login, and a check finds nothing."""
    damage([world.file(SYSTEM_ACCOUNT)], seed, flips=150, zeroes=3)
    outcome = salvage(tmp_path / "new", [world.data])
    assert outcome.findings() == []
    with closing(SqliteStore(outcome.into)) as store:
        assert {one.account for one in Directory(store).account_documents()} == set(world.accounts.values())


def test_a_failing_disk_is_read_around(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some sectors of the account's file cannot be read: the rest of it is used, and how much is missing is told."""
    account = world.accounts["anna"]
    path, bad = world.file(account), 5 * 4096
    read_bytes, pread = Path.read_bytes, os.pread

    def failing_read_bytes(self: Path) -> bytes:
        if self == path:
            raise OSError(errno.EIO, "Input/output error")
        return read_bytes(self)

    def failing_pread(descriptor: int, length: int, offset: int) -> bytes:
        if offset == bad:
            raise OSError(errno.EIO, "Input/output error")
        return pread(descriptor, length, offset)

    monkeypatch.setattr(Path, "read_bytes", failing_read_bytes)
    monkeypatch.setattr(os, "pread", failing_pread)
    outcome = salvage(tmp_path / "new", [world.folder])
    monkeypatch.undo()
    assert outcome.read(account, items_of) == world.truths[account].items
    faults = {fault.name: fault.message for fault in outcome.survey.places[0].faults}
    assert faults[str(path.relative_to(world.folder))].startswith("4096 of")


def test_what_was_erased_does_not_come_back(tmp_path: Path) -> None:
    """Older versions were erased in the store: a vault that has them does not bring them back, and nothing is lost."""
    world = make_world(tmp_path / "world", updates=True)
    account = world.accounts["anna"]
    truth = world.truths[account]
    current = {digest_of(body) for body in truth.items.values()}
    old = [digest for digest in truth.bodies if digest not in current]
    with closing(SqliteStore(world.data)) as store:
        assert store.account(account).erase(len(truth.records), old) == old
    outcome = salvage(tmp_path / "new", [world.data, world.vault])
    assert outcome.read(account, journal) == truth.records
    assert outcome.read(account, lambda snapshot: [snapshot.content(digest) for digest in old]) == [None] * len(old)
    assert outcome.loss(account).is_whole
    assert outcome.salvaged.report.accounts == ()
    assert all(truth.bodies[digest] not in path.read_bytes() for path in _files(outcome.into) for digest in old)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
