"""Carving: what is left of an account's file is found, whatever became of the rest of it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import apsw
import msgspec
import pytest

from keepwell.model.names import Kind
from keepwell.model.record import Op, Record, digest_of, is_proven
from keepwell.storage.contract import Entry, Transaction
from keepwell.storage.sqlite_carving import Pages
from keepwell.storage.sqlite_files import connect
from keepwell.storage.sqlite_fragments import (
    accounts_named,
    bodies,
    collections_said,
    items_said,
    ledgers_said,
    proven_records,
)
from keepwell.storage.sqlite_snapshot import record_from
from keepwell.storage.sqlite_transaction import BLOB_OCTETS_MIN
from tests.storage.damaged import (
    ANNA,
    HEADER_OCTETS_MAX,
    PAGE,
    AccountFile,
    account_file,
    certain_bodies,
    certain_records,
    fill,
    flipped,
    new_store,
    open_account,
    truncated,
    zeroed,
)

Damage = Callable[[bytes, int], bytes]

DAMAGES: dict[str, Damage] = {
    "one flipped bit": lambda octets, seed: flipped(octets, seed, 1),
    "many flipped bits": lambda octets, seed: flipped(octets, seed, 300),
    "a flipped bit in nearly every page": lambda octets, seed: flipped(octets, seed, len(octets) // PAGE * 3),
    "zeroed pages": lambda octets, seed: zeroed(octets, seed, 15),
    "no first page": lambda octets, _seed: bytes(PAGE) + octets[PAGE:],
    "truncated": truncated,
    "truncated and flipped": lambda octets, seed: flipped(truncated(octets, seed), seed, 30),
}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> AccountFile:
    return account_file(tmp_path_factory.mktemp("whole"))


def found_records(octets: bytes, wal: bytes = b"") -> set[str]:
    return {record.hash for record in proven_records(Pages(octets, wal), [ANNA])}


def test_a_whole_file_gives_everything(file: AccountFile) -> None:
    """Every record, all bytes, whose it is, its ledger, its items and its collection are found."""
    pages = Pages(file.octets)
    assert found_records(file.octets) == {record.hash for record in file.records}
    assert {digest_of(body) for body in bodies(pages)} >= file.bodies.keys()
    assert accounts_named(pages) == [ANNA]
    [ledger] = ledgers_said(pages)
    assert (ledger.kind, ledger.seq) == (Kind.CONTACTS, file.records[-1].facts.seq)
    assert [(one.id, one.kind, one.name) for one in collections_said(pages)] == [(2, Kind.CONTACTS, "friends")]
    by_seq = {record.facts.seq: record.facts for record in file.records}
    items = list(items_said(pages))
    assert len({item.name for item in items}) >= ledger.count
    assert all((by_seq[item.sequence].name, by_seq[item.sequence].digest) == (item.name, item.digest) for item in items)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_was_not_touched_is_found(file: AccountFile, damage: Damage) -> None:
    """Of twenty files damaged at random each untouched row and each body is found, and nothing that was never there."""
    all_records = {record.hash for record in file.records}
    for seed in range(20):
        damaged = damage(file.octets, seed)
        records = found_records(damaged)
        found = {digest_of(body) for body in bodies(Pages(damaged))}
        assert certain_records(file, damaged) <= records <= all_records, seed
        assert certain_bodies(file, damaged) <= found, seed


def test_every_item_row_of_whole_pages_is_found(file: AccountFile, tmp_path: Path) -> None:
    """What the rows say of items that are there is what SQLite reads of them."""
    (tmp_path / "whole.db").write_bytes(file.octets)
    with closing(apsw.Connection(str(tmp_path / "whole.db"), vfs="unix")) as connection:
        rows = connection.execute("SELECT name, seq, lower(hex(digest)) FROM items WHERE digest IS NOT NULL").fetchall()
    found = {(item.name, item.sequence, item.digest) for item in items_said(Pages(file.octets))}
    assert found >= set(rows)


def test_the_damage_of_these_tests_is_real(file: AccountFile) -> None:
    """The measure itself tells damaged files from whole ones: it is neither empty nor everything."""
    everything = {record.hash for record in file.records}
    assert certain_records(file, file.octets) == everything
    assert certain_bodies(file, file.octets) == file.bodies.keys()
    certain = certain_records(file, DAMAGES["many flipped bits"](file.octets, 1))
    assert set() < certain < everything


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_no_less_is_found_than_sqlite_recovers(file: AccountFile, tmp_path: Path, damage: Damage) -> None:
    """SQLite's own `.recover` finds no record that carving does not."""
    for seed in range(3):
        damaged = damage(file.octets, seed)
        assert recovered_by_sqlite(damaged, tmp_path / str(seed)) <= found_records(damaged), seed


def recovered_by_sqlite(octets: bytes, folder: Path) -> set[str]:
    """Hashes of the records that the shell of SQLite recovers."""
    shell = shutil.which("sqlite3")
    assert shell is not None, "apt-get install sqlite3"
    folder.mkdir()
    (folder / "damaged.db").write_bytes(octets)
    script = subprocess.run([shell, str(folder / "damaged.db"), ".recover"], capture_output=True)
    subprocess.run([shell, str(folder / "recovered.db")], input=script.stdout, capture_output=True)
    with closing(apsw.Connection(str(folder / "recovered.db"), vfs="unix")) as connection:
        return {record.hash for row in journal_rows(connection) if (record := record_of(row)) is not None}


def journal_rows(connection: apsw.Connection) -> Iterator[tuple[apsw.SQLiteValue, ...]]:
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema")}
    if "journal" in tables:
        yield from connection.execute("SELECT * FROM journal")
    if "lost_and_found" in tables:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(lost_and_found)")]
        if "c14" in columns:
            names = ", ".join(f"c{number}" for number in range(1, 15))
            yield from connection.execute(f"SELECT id, {names} FROM lost_and_found WHERE nfield = 15")


def record_of(row: tuple[apsw.SQLiteValue, ...]) -> Record | None:
    try:
        record = record_from(ANNA, row)
        return record if is_proven(record) else None
    except (ValueError, TypeError, AttributeError, msgspec.MsgspecError):
        return None


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes, list[Record]]:
    """A file as a server leaves it that is cut off from power: its log beside it, of forty commits."""
    folder = tmp_path_factory.mktemp("running")
    store = new_store(folder)
    place = store.create(ANNA, [open_account, lambda transaction: fill(transaction, 20, seed=1)])
    for number in range(40):
        place.transact([lambda transaction, number=number: fill(transaction, 2, number, first=number * 2)])
    with place.reading() as snapshot:
        records = list(snapshot.records())
    [path] = folder.glob("accounts/??/a_*.db")
    main, wal = path.read_bytes(), path.with_name(path.name + "-wal").read_bytes()
    store.close()
    return main, wal, records


def test_the_log_is_read_too(running: tuple[bytes, bytes, list[Record]]) -> None:
    """What was committed last is only in the log, and found there."""
    main, wal, records = running
    assert found_records(main) < found_records(main, wal) == {record.hash for record in records}


def test_the_log_alone_gives_what_is_in_it(running: tuple[bytes, bytes, list[Record]]) -> None:
    """Without the file the log still has the records of its commits."""
    main, wal, records = running
    assert found_records(b"", wal) >= {record.hash for record in records} - found_records(main)


def test_a_log_is_read_on_behind_a_flipped_bit(running: tuple[bytes, bytes, list[Record]], tmp_path: Path) -> None:
    """SQLite drops every commit behind a bad frame; here nothing else than the frame is lost."""
    main, wal, records = running
    damaged = bytearray(wal)
    damaged[32 + 16] ^= 1  # the checksum of the first frame: its page is whole
    (tmp_path / "damaged.db").write_bytes(main)
    (tmp_path / "damaged.db-wal").write_bytes(damaged)
    with closing(apsw.Connection(str(tmp_path / "damaged.db"), vfs="unix")) as connection:
        assert connection.execute("SELECT max(seq) FROM journal").get == len(found_records(main))
    assert found_records(main, bytes(damaged)) == {record.hash for record in records}


def test_long_bytes_in_the_log_are_put_together(running: tuple[bytes, bytes, list[Record]]) -> None:
    """Bytes that need many pages are found when those are in the log."""
    main, wal, records = running
    found = {digest_of(body) for body in bodies(Pages(main, wal))}
    assert {record.facts.digest for record in records if record.facts.digest} <= found


def test_a_record_is_not_taken_for_another_account(file: AccountFile) -> None:
    """Whose record it is, the hash proves: under another account's id none is found."""
    assert list(proven_records(Pages(file.octets), [type(ANNA)("a_bertbertbertbert")])) == []


def test_a_row_at_the_beginning_of_a_page_that_is_none_is_passed_over(file: AccountFile) -> None:
    """Of a file that lost its beginning the pages are elsewhere: nothing is found that was never there."""
    all_records = {record.hash for record in file.records}
    places = [file.octets.find(record.facts.at.encode()) for record in file.records[:40]]
    for place in places:
        for before in range(HEADER_OCTETS_MAX):
            start = (place - before) % PAGE
            assert found_records(file.octets[start : start + 8 * PAGE]) <= all_records


@pytest.fixture
def odd(tmp_path: Path) -> tuple[Path, Callable[..., Pages]]:
    """An account's file, and what changes it as no Keepwell does, and reads what is left."""
    with closing(new_store(tmp_path)) as store:
        store.create(ANNA, [open_account, lambda transaction: fill(transaction, 20, 1)])
    [path] = tmp_path.glob("accounts/??/a_*.db")

    def change(*statements: str) -> Pages:
        with closing(connect(path)) as connection:
            for statement in statements:
                connection.execute(statement)
        return Pages(path.read_bytes())

    return path, change


@pytest.mark.parametrize("value", [ANNA.replace("a_", "a?"), "account-of-nobody"], ids=["as long as one", "shorter"])
def test_an_account_that_is_none_is_not_named(odd: tuple[Path, Callable[..., Pages]], value: str) -> None:
    """What stands there is no id: then nobody's file it is."""
    pages = odd[1](f"UPDATE meta SET value = '{value}' WHERE key = 'account'", "VACUUM")
    assert accounts_named(pages) == []


def test_what_rows_say_badly_is_not_heard(odd: tuple[Path, Callable[..., Pages]]) -> None:
    """A kind that is none, in a ledger or of a collection."""
    pages = odd[1]("UPDATE ledger SET kind = 'pictures'", "UPDATE collections SET kind = 'pictures'", "VACUUM")
    assert (ledgers_said(pages), list(collections_said(pages))) == ([], [])


def test_a_row_is_found_though_what_stands_before_it_looks_like_its_length(
    odd: tuple[Path, Callable[..., Pages]],
) -> None:
    """The row before it in the page ends with a number (of two gigabytes) whose every octet could begin a length.

    Of a page with a flipped bit nothing is heard, wherever in it such rows may begin.
    """
    later = (
        "INSERT INTO collections SELECT 99, home, kind, 'later', properties, seq, count, 0x80808080 FROM collections"
    )
    pages = odd[1](later, "VACUUM")
    assert sorted(one.name for one in collections_said(pages)) == ["friends", "later"]
    octets = odd[0].read_bytes()
    assert list(collections_said(Pages(octets.replace(b"Friends", b"Fiends!")))) == []


def test_of_several_ledgers_the_newest_is_heard(tmp_path: Path) -> None:
    """Pages of an earlier state may lie in a file as well, before the newer ones or behind them."""
    states, last = list[bytes](), 0
    for number in range(2):
        with closing(new_store(tmp_path)) as store:
            place = store.account(ANNA) if states else store.create(ANNA, [open_account])
            place.transact([lambda transaction, number=number: fill(transaction, 8, number)])
            with place.reading() as snapshot:
                last = snapshot.head().sequence
        [path] = tmp_path.glob("accounts/??/a_*.db")
        states.append(path.read_bytes())
    older, newer = states
    assert [[one.seq for one in ledgers_said(Pages(octets))] for octets in (older + newer, newer + older)] == [
        [last]
    ] * 2


def test_bytes_that_a_flipped_bit_makes_a_text_are_none(file: AccountFile) -> None:
    """In the row's header it says which of both a column is; all other bytes are found as before."""
    digest, body = next(item for item in file.bodies.items() if len(item[1]) < 200)
    row, damaged = bytes.fromhex(digest) + body, bytearray(file.octets)
    places = [found.start() - 1 for found in re.finditer(re.escape(row), file.octets)]
    for place in places:
        damaged[place] ^= 1
    before, found = list(bodies(Pages(file.octets))), list(bodies(Pages(bytes(damaged))))
    assert places != []
    assert found == [one for one in before if one != body]


def test_large_bytes_are_not_in_the_file(tmp_path: Path) -> None:
    """They lie beside it: a row says that they are somewhere, and brings none."""
    body = b"x" * BLOB_OCTETS_MIN

    def put(transaction: Transaction) -> None:
        open_account(transaction)
        entry = Entry(Op.PUT, "phone", Kind.CONTACTS, "friends", "a", "a", "text/vcard", digest_of(body), len(body))
        transaction.append(entry, body)

    with closing(new_store(tmp_path)) as store:
        store.create(ANNA, [put])
    [path] = tmp_path.glob("accounts/??/a_*.db")
    assert list(bodies(Pages(path.read_bytes()))) == []
