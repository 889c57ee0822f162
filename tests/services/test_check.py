"""A check finds every flipped bit, tampered row and missing byte, and names it; a rebuild mends projections only."""

from __future__ import annotations

import os
import random
import resource
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from keepwell.model.errors import Damaged, NotThere
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Home, Kind
from keepwell.model.weight import Weight
from keepwell.services.check import Checker
from keepwell.services.findings import FINDINGS_MAX, Finding, Findings
from keepwell.storage.sqlite import SqliteStore
from keepwell.storage.sqlite_files import connect
from tests.services.samples import Desk, card, desk, event, todo

PHOTO = b"\xff\xd8" * 100_000


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as found:
        fill(found)
        yield found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, AccountId]:
    """A data folder that nobody has open, to be copied and harmed."""
    folder = tmp_path_factory.mktemp("whole")
    with desk(folder) as found:
        fill(found)
    return folder / "data", found.account


def fill(here: Desk) -> None:
    for number in range(20):
        here.put("contacts", f"{number}.vcf", card(f"c{number}", f"Person {number}"))
        here.put("calendar", f"{number}.ics", event(f"e{number}"), Home.CALENDARS)
    here.put("contacts", "0.vcf", card("c0", "Changed"))
    here.remove("contacts", "1.vcf")
    here.remove("contacts", "2.vcf")
    here.put("contacts", "2.vcf", card("c2", "Again"))
    here.put("tasks", "t.ics", todo("t"), Home.CALENDARS)
    here.put("photos", "one.jpg", PHOTO, Home.PHOTOS)
    here.make("gone", Kind.CONTACTS)
    here.put("gone", "past.vcf", card("p"))
    here.drop("gone")


def check(data: Path, account: AccountId) -> list[Finding]:
    with closing(SqliteStore(data)) as store:
        return Checker(store).check(account)


@contextmanager
def files_that_may_be_opened(count: int) -> Iterator[None]:
    """So many more than are open now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (max(int(one.name) for one in Path("/dev/fd").iterdir()) + count + 2, hard)
    )
    try:
        with suppress(OSError):
            while True:
                taken.append(os.open("/", os.O_RDONLY))
        for _ in range(count):
            os.close(taken.pop())
        yield
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def check_folder(data: Path) -> list[Finding]:
    with closing(SqliteStore(data)) as store:
        return Checker(store).check_folder(data, store.blobs)


def rebuild(data: Path, account: AccountId) -> list[Finding]:
    with closing(SqliteStore(data)) as store:
        return Checker(store).rebuild(account)


def file_of(data: Path, account: AccountId) -> Path:
    return next(data.glob(f"accounts/??/{account}.db"))


def copied(whole: tuple[Path, AccountId], folder: Path) -> tuple[Path, AccountId]:
    shutil.copytree(whole[0], folder / "copy")
    return folder / "copy", whole[1]


def tamper(data: Path, account: AccountId, statement: str) -> None:
    """Change a row behind Keepwell's back, with page checksums that are right."""
    with closing(SqliteStore(data)):
        pass  # brings in the checksum VFS
    with closing(connect(file_of(data, account))) as connection:
        connection.execute(statement).fetchall()


def flip(path: Path, offset: int, bit: int) -> None:
    octets = bytearray(path.read_bytes())
    octets[offset] ^= 1 << bit
    path.write_bytes(octets)


def damage(findings: list[Finding]) -> list[Finding]:
    return [one for one in findings if one.weight is Weight.DAMAGE]


def test_nothing_is_found_in_what_is_whole(here: Desk) -> None:
    """No finding at all, also while the folder is in use."""
    checker = Checker(here.keepwell.store)
    assert checker.check(here.account) == []
    assert checker.check(SYSTEM_ACCOUNT) == []
    assert checker.check_folder(here.keepwell.data, here.keepwell.store.blobs) == []


def test_a_check_changes_nothing(whole: tuple[Path, AccountId], tmp_path: Path) -> None:
    """The account's file is the same, octet for octet, after a check."""
    data, account = copied(whole, tmp_path)
    before = file_of(data, account).read_bytes()
    check(data, account)
    assert file_of(data, account).read_bytes() == before


@pytest.mark.parametrize("seed", range(10))
def test_a_flipped_bit_anywhere_is_found_and_its_page_named(
    whole: tuple[Path, AccountId], tmp_path: Path, seed: int
) -> None:
    """Whichever bit of whichever page of the account's file."""
    data, account = copied(whole, tmp_path)
    path = file_of(data, account)
    octets = path.read_bytes()
    chance = random.Random(seed)
    for _ in range(12):
        offset = chance.randrange(len(octets))
        flip(path, offset, chance.randrange(8))
        found = damage(check(data, account))
        path.write_bytes(octets)
        for side in ("-wal", "-shm"):
            path.with_name(path.name + side).unlink(missing_ok=True)
        assert found, f"bit flip at byte {offset} was not found"
        assert all((one.account, one.login) == (account, "anna") for one in found)
        assert any(f"page {offset // 4096 + 1} " in one.message for one in found)


def test_a_flipped_bit_in_the_header_is_found(whole: tuple[Path, AccountId], tmp_path: Path) -> None:
    """Each of the hundred bytes that tell SQLite what the file is."""
    data, account = copied(whole, tmp_path)
    path = file_of(data, account)
    octets = path.read_bytes()
    for offset in range(100):
        flip(path, offset, offset % 8)
        found = damage(check(data, account))
        path.write_bytes(octets)
        for side in ("-wal", "-shm"):
            path.with_name(path.name + side).unlink(missing_ok=True)
        assert found, f"bit flip at byte {offset} was not found"


def test_a_flipped_bit_in_the_system_account_is_found(whole: tuple[Path, AccountId], tmp_path: Path) -> None:
    """Even where it hides the logins: the check goes on and says so."""
    data, _ = copied(whole, tmp_path)
    path = file_of(data, SYSTEM_ACCOUNT)
    octets = path.read_bytes()
    chance = random.Random(7)
    for _ in range(20):
        offset = chance.randrange(len(octets))
        flip(path, offset, chance.randrange(8))
        found = damage(check(data, SYSTEM_ACCOUNT))
        path.write_bytes(octets)
        for side in ("-wal", "-shm"):
            path.with_name(path.name + side).unlink(missing_ok=True)
        assert found, f"bit flip at byte {offset} was not found"
        assert {one.login for one in found} == {"(system)"}


def test_a_cut_file_is_found(whole: tuple[Path, AccountId], tmp_path: Path) -> None:
    """A file that lost its end, a page or a part of one."""
    data, account = copied(whole, tmp_path)
    path = file_of(data, account)
    octets = path.read_bytes()
    for length in (0, 50, 4096, len(octets) - 4096, len(octets) - 1):
        path.write_bytes(octets[:length])
        assert damage(check(data, account)), f"a file cut to {length} bytes was not found"


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("UPDATE journal SET by = 'someone' WHERE seq = 9", "record 9"),
        ("UPDATE journal SET at = '2020-01-01T00:00:00.000000Z' WHERE seq = 9", "record 9"),
        ("UPDATE journal SET kind = 'nonsense' WHERE seq = 9", "record 9"),
        ("UPDATE journal SET properties = '{' WHERE seq = 2", "record 2"),
        ("UPDATE journal SET name = CAST(x'ff' AS TEXT) WHERE seq = 9", "record 9"),
        ("UPDATE journal SET hash = zeroblob(32) WHERE seq = 9", "record 9"),
        ("UPDATE journal SET prev = zeroblob(32) WHERE seq = 9", "record 9"),
        ("DELETE FROM journal WHERE seq = 9", "record 10"),
        ("UPDATE content SET body = x'00' WHERE id = 3", "item contacts/1.vcf"),
        ("DELETE FROM content WHERE id = 3", "item contacts/1.vcf"),
        ("UPDATE content SET body = body || x'00' WHERE id = 1", "item contacts/0.vcf"),
        ("UPDATE meta SET value = 'other' WHERE key = 'lineage'", "record "),
    ],
)
def test_a_tampered_row_is_found_and_named(
    whole: tuple[Path, AccountId], tmp_path: Path, statement: str, place: str
) -> None:
    """The journal and the content prove themselves, whatever wrote to the file; past items too."""
    data, account = copied(whole, tmp_path)
    tamper(data, account, statement)
    found = damage(check(data, account))
    assert any(place in one.place for one in found), found
    with pytest.raises(Damaged):
        rebuild(data, account)


STALE = [
    ("DELETE FROM journal WHERE seq = (SELECT max(seq) FROM journal)", "contacts/gone"),
    ("UPDATE items SET seq = seq + 1000 WHERE name = '3.vcf'", "contacts/contacts/3.vcf"),
    ("UPDATE items SET born = born - 1 WHERE name = '3.vcf'", "contacts/contacts/3.vcf"),
    ("UPDATE items SET uid = 'x' WHERE name = '3.vcf'", "contacts/contacts/3.vcf"),
    ("UPDATE items SET content_id = 1 WHERE name = '3.vcf'", "contacts/contacts/3.vcf"),
    ("UPDATE items SET component = 'VTODO' WHERE name = '3.ics'", "calendars/calendar/3.ics"),
    ("UPDATE items SET span_start = span_start + 1 WHERE name = '3.ics'", "calendars/calendar/3.ics"),
    ("UPDATE items SET span_end = NULL WHERE name = '3.ics'", "calendars/calendar/3.ics"),
    ("DELETE FROM items WHERE name = '3.ics'", "calendars/calendar/3.ics"),
    ("DELETE FROM items WHERE name = '1.vcf'", "contacts/contacts/1.vcf"),
    ("UPDATE items SET name = 'other' WHERE name = '3.vcf'", "contacts/contacts/other"),
    ("UPDATE search SET text = 'x' WHERE name = '3.vcf'", "contacts/contacts/3.vcf"),
    ("UPDATE collections SET count = count + 1 WHERE name = 'tasks'", "calendars/tasks"),
    ("UPDATE collections SET properties = '{}' WHERE name = 'tasks'", "calendars/tasks"),
    ("DELETE FROM collections WHERE name = 'notes'", "calendars/notes"),
    ("UPDATE ledger SET count = count - 1 WHERE kind = 'contacts'", "ledger contacts"),
    ("UPDATE ledger SET set_hash = '00' WHERE kind = 'calendar'", "ledger calendar"),
    ("DELETE FROM ledger WHERE kind = 'tasks'", "ledger tasks"),
]


@pytest.mark.parametrize(("statement", "place"), STALE)
def test_a_wrong_projection_is_found_and_named(
    whole: tuple[Path, AccountId], tmp_path: Path, statement: str, place: str
) -> None:
    """Every column of every projection is compared with what the journal and the bytes come to."""
    data, account = copied(whole, tmp_path)
    tamper(data, account, statement)
    found = check(data, account)
    assert {one.weight for one in found} == {Weight.STALE}
    assert any(one.place == place for one in found), found


@pytest.mark.parametrize("statement", [one for one, _ in STALE])
def test_a_rebuild_mends_projections(whole: tuple[Path, AccountId], tmp_path: Path, statement: str) -> None:
    """After it nothing is found, because all of them come from the journal and the content."""
    data, account = copied(whole, tmp_path)
    tamper(data, account, statement)
    assert rebuild(data, account) == []


def test_a_rebuild_of_what_is_whole_changes_nothing_seen(here: Desk) -> None:
    """Items, ledger and head are the same."""
    before = here.bodies("contacts"), here.ledger(), here.head()
    assert Checker(here.keepwell.store).rebuild(here.account) == []
    assert (here.bodies("contacts"), here.ledger(), here.head()) == before


def test_a_rebuild_refuses_on_a_damaged_page(whole: tuple[Path, AccountId], tmp_path: Path) -> None:
    """It would make a damaged state look whole."""
    data, account = copied(whole, tmp_path)
    flip(file_of(data, account), 5000, 3)
    with pytest.raises(Damaged, match="not rebuilt"):
        rebuild(data, account)


def test_a_deleted_blob_is_found(whole: tuple[Path, AccountId], tmp_path: Path) -> None:
    """By the record and the item that need it."""
    data, account = copied(whole, tmp_path)
    [blob] = list(data.glob("blobs/??/*"))
    blob.unlink()
    [found] = damage(check(data, account))
    assert found.place.endswith("item photos/one.jpg")
    assert blob.name in found.message


def test_a_flipped_bit_in_a_blob_is_found(whole: tuple[Path, AccountId], tmp_path: Path) -> None:
    """By its digest."""
    data, account = copied(whole, tmp_path)
    [blob] = list(data.glob("blobs/??/*"))
    flip(blob, 777, 0)
    [found] = damage(check(data, account))
    assert blob.name in found.message


def test_what_belongs_to_nobody_is_noted(here: Desk) -> None:
    """Blobs that no record names and temporary files are told, and are no damage."""
    digest = here.keepwell.store.blobs.put(b"orphan" * 100_000)
    stray = next(here.keepwell.data.glob("accounts/??")) / ".tmp-a_x.db"
    stray.write_bytes(b"")
    found = Checker(here.keepwell.store).check_folder(here.keepwell.data, here.keepwell.store.blobs)
    assert {one.weight for one in found} == {Weight.NOTE}
    assert {one.place for one in found} == {f"blob {digest}", str(stray.relative_to(here.keepwell.data))}


def test_a_missing_account_is_found(whole: tuple[Path, AccountId], tmp_path: Path) -> None:
    """An account that has a login must have its file; a file without a login is noted."""
    data, account = copied(whole, tmp_path)
    file_of(data, account).unlink()
    assert [one.place for one in damage(check_folder(data))] == ["account anna"]
    shutil.copy(file_of(whole[0], account), data / "accounts" / account.removeprefix("a_")[:2])
    file_of(data, SYSTEM_ACCOUNT).unlink()
    found = check_folder(data)
    assert {one.place for one in damage(found)} == {"account (system)"}
    assert f"account {account}" in {one.place for one in found}


def test_an_account_in_the_place_of_another_is_found(whole: tuple[Path, AccountId], tmp_path: Path) -> None:
    """Every record is sealed with its account, so a file under another's name proves nothing."""
    data, account = copied(whole, tmp_path)
    shutil.copy(file_of(data, SYSTEM_ACCOUNT), file_of(data, account))
    assert any(one.place == "record 1" for one in damage(check(data, account)))


def test_accounts_are_chosen_by_login(here: Desk) -> None:
    """Or by id; one that is not there is refused."""
    checker = Checker(here.keepwell.store)
    assert checker.accounts(["anna"]) == [here.account]
    assert checker.accounts([here.account]) == [here.account]
    assert set(checker.accounts()) == {here.account, SYSTEM_ACCOUNT}
    with pytest.raises(NotThere):
        checker.accounts(["nobody"])


def test_findings_are_bounded() -> None:
    """A broken disk does not fill the screen, and how many more there are is told."""
    findings = Findings(None, "anna")
    for number in range(FINDINGS_MAX + 5):
        findings.damage(f"record {number}", "wrong")
    assert len(findings.all()) == FINDINGS_MAX + 1
    assert "5 more" in findings.all()[-1].message


def test_what_cannot_be_opened_beside_too_many_files_is_not_called_damaged(
    whole: tuple[Path, AccountId], tmp_path: Path
) -> None:
    """However many may still be opened: it is told as not read, or all of it was read and is whole."""
    data, account = tmp_path / "data", whole[1]
    shutil.copytree(whole[0], data)
    found: list[set[Weight]] = []
    while not found or found[-1]:
        with closing(SqliteStore(data)) as store:
            checker = Checker(store)
            store.account(account)
            with files_that_may_be_opened(len(found)):
                found.append({one.weight for one in checker.check(account)})
    assert len(found) > 2
    assert all(Weight.UNREAD in weights and Weight.DAMAGE not in weights for weights in found[:-1])
