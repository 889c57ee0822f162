"""Faults, each named: what the store does when something breaks at the worst moment."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import apsw
import pytest

from keepwell.model.errors import AlreadyThere, Damaged, StorageFault, Unavailable
from keepwell.model.names import AccountId
from keepwell.model.record import digest_of
from keepwell.storage import sqlite_files
from keepwell.storage import writers as writers_module
from keepwell.storage.blobs import FileBlobs
from keepwell.storage.contract import Transaction
from keepwell.storage.sqlite import SqliteStore
from keepwell.storage.writers import Writers
from tests.storage.contract_suite import ANNA, BERT, done, friends, make, names, put


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path)
    yield store
    store.close()


def test_two_creations_at_once_make_one_account(store: SqliteStore, tmp_path: Path) -> None:
    """Of two processes that create the same account one is told no, and the other's records stay."""
    other = SqliteStore(tmp_path)

    def create_meanwhile(_transaction: Transaction) -> None:
        done(other.create(ANNA, [make()]), put("bob"))

    with pytest.raises(AlreadyThere):
        store.create(ANNA, [make(), create_meanwhile])
    with store.account(ANNA).reading() as snapshot:
        assert names(snapshot) == ["bob"]
    assert [path.name for path in tmp_path.glob("accounts/*/.tmp-*")] == []
    other.close()


def test_an_old_snapshot_is_not_used_again_after_an_error(store: SqliteStore, tmp_path: Path) -> None:
    """A reader that met damage leaves its snapshot behind; the next one sees what was acknowledged since."""
    account = store.create(ANNA, [make()])
    done(account, put("a", b"x" * 200_000), put("b"))
    next(tmp_path.glob("blobs/*/*")).unlink()
    with pytest.raises(Damaged) as caught, account.reading() as snapshot:
        list(snapshot.items_with_bodies(friends(snapshot).id))
    assert caught.value is not None  # the traceback, and the cursor in it, are still alive
    done(account, put("c"))
    with account.reading() as snapshot:
        assert names(snapshot) == ["a", "b", "c"]


def test_a_lost_blob_is_healed_by_the_next_put(store: SqliteStore, tmp_path: Path) -> None:
    """Bytes that were lost or damaged since are written again when they are put again, before the yes."""
    account, body = store.create(ANNA, [make()]), b"x" * 200_000
    done(account, put("photo", body))
    (blob,) = tmp_path.glob("blobs/*/*")
    for break_it in (blob.unlink, lambda: blob.write_bytes(b"y" + body[1:])):
        break_it()
        done(account, put("photo", body))
        with account.reading() as snapshot:
            assert snapshot.content(digest_of(body)) == body


@pytest.mark.parametrize("octets", [0, 100])
@pytest.mark.parametrize("is_open", [True, False])
def test_a_file_that_was_cut_off_is_damage_and_its_log_stays(
    store: SqliteStore, tmp_path: Path, is_open: bool, octets: int
) -> None:
    """SQLite would take it for a new database, wait long to lay it out, and remove the log with the last records."""
    account = store.create(ANNA, [make()])
    done(account, put("a"), put("b"))
    path = next(tmp_path.glob(f"accounts/??/{ANNA}.db"))
    (log,) = tmp_path.glob(f"accounts/??/{ANNA}.db-wal")
    stored = log.read_bytes()
    if not is_open:
        shutil.copy(log, tmp_path / "log")
        store.close()
        shutil.move(tmp_path / "log", log)
        store = SqliteStore(tmp_path)
        account = store.account(ANNA)
    else:
        account._drop_idle()
    os.truncate(path, octets)
    with pytest.raises(StorageFault, match="cut off"):
        account.reading().__enter__()
    assert store.suspects.all() == [ANNA]
    [(_, head)] = list(store.read_heads())
    assert isinstance(head, Exception)
    assert log.read_bytes() == stored


def test_a_full_disk_under_the_blobs_fails_one_work(tmp_path: Path) -> None:
    """An error of the file system under a blob is a StorageFault that names the blob."""
    (tmp_path / "blobs").write_bytes(b"a file where the folder should be")
    with pytest.raises(StorageFault, match=digest_of(b"body")):
        FileBlobs(tmp_path / "blobs").put(b"body")


def test_a_disk_that_is_gone_under_the_blobs_fails_one_work(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it is only asked whether a blob is there: a fault of the medium, not of the program."""
    account, body = store.create(ANNA, [make()]), b"x" * 200_000
    done(account, put("photo", body))
    exists = Path.exists

    def gone(path: Path) -> bool:
        if "blobs" in path.parts:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return exists(path)

    monkeypatch.setattr(Path, "exists", gone)
    [verdict] = account.transact([put("again", body)])
    assert isinstance(verdict, StorageFault)


def test_reading_goes_on_when_the_disk_is_full(store: SqliteStore, tmp_path: Path) -> None:
    """The log stays open: opening it anew would need room. With room again, writing goes on as well."""
    account = store.create(ANNA, [make()])
    done(account, put("a"))
    with account._writing("fill") as connection:
        pages = connection.execute("PRAGMA page_count").get
        connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageFault, match="full"):
        account.transact([put(f"{number}", b"x" * 50_000) for number in range(20)])
    assert list(tmp_path.glob("accounts/*/*-wal")) != []
    assert account._writer is None
    with account.reading() as snapshot:
        assert names(snapshot) == ["a"]
    done(account, put("b", b"x" * 50_000))
    with account.reading() as snapshot:
        assert names(snapshot) == ["a", "b"]


def test_an_odd_error_does_not_lock_others_out(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error between BEGIN and the works ends the transaction, so that other processes can write."""
    account = store.create(ANNA, [make()])
    with monkeypatch.context() as patch:
        patch.setattr("keepwell.storage.sqlite_account.SqliteTransaction", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            account.transact([put("bob")])
    other = SqliteStore(tmp_path)
    done(other.account(ANNA), put("eve"))
    other.close()


@pytest.mark.parametrize("broken", ["_descriptor", "identity_of"])
def test_a_dead_medium_under_the_lock_of_a_place(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Where not even the folder can be looked at, reads and writes are StorageFaults, and no connection is kept."""
    account = store.create(ANNA, [make()])
    done(account, put("bob"))

    with monkeypatch.context() as patch:
        patch.setattr("keepwell.storage.sqlite_account.SqliteTransaction", partial(die, patch, broken))
        with pytest.raises(StorageFault):
            account.transact([put("eve")])  # it dies in the middle
        with pytest.raises(StorageFault):
            account.transact([put("eve")])
        with pytest.raises(StorageFault), account.reading() as snapshot:
            names(snapshot)
    done(account, put("carl"))
    other = SqliteStore(tmp_path)
    done(other.account(ANNA), put("dora"))
    with account.reading() as snapshot:
        assert names(snapshot) == ["bob", "carl", "dora"]
    other.close()


def fail(*_: object) -> None:
    """What a dead medium answers."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def die(patch: pytest.MonkeyPatch, broken: str, *_: object) -> None:
    """Fail, and from now on at every look at the folder."""
    patch.setattr(f"keepwell.storage.sqlite_places.{broken}", fail)
    fail()


def test_a_medium_that_does_not_answer_is_a_fault(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """An account whose file cannot be looked at is not "not there"."""
    store.create(ANNA, [make()])
    store.create(BERT, [make()])

    again = SqliteStore(store._data)
    again.account(ANNA)
    again.account(ANNA).seen_in_place = b"before"
    monkeypatch.setattr("keepwell.storage.sqlite_account.identity_of", fail)
    for account in (ANNA, BERT):
        with pytest.raises(StorageFault):
            again.account(account)
    again.close()


def test_a_lane_outlives_any_error(store: SqliteStore) -> None:
    """A work that raises even SystemExit fails alone; the thread that ran it goes on."""
    store.create(ANNA, [make()])
    writers = Writers(store)

    def leave(_transaction: Transaction) -> None:
        raise SystemExit

    with pytest.raises((SystemExit, StorageFault)):
        writers.submit(ANNA, leave).result()
    writers.submit(ANNA, put("bob")).result()
    writers.close()


def test_a_missing_account_is_damage_to_a_writer(store: SqliteStore) -> None:
    """Whoever writes was sent by the directory: an account that is not there was lost."""
    writers = Writers(store)
    with pytest.raises(Damaged):
        writers.submit(BERT, put("bob")).result()
    writers.close()


def test_what_waits_is_counted_wherever_it_waits(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit holds for works that were sorted by account already, too."""
    monkeypatch.setattr(writers_module, "WAITING_MAX", 10)
    store.create(ANNA, [make()])
    gate, writers = threading.Event(), Writers(store, threads=1)
    tickets = [writers.submit(ANNA, lambda _transaction: gate.wait(10))]
    refused = 0
    for number in range(40):
        try:
            tickets.append(writers.submit(AccountId(ANNA), put(f"{number}")))  # type: ignore[arg-type]
        except Unavailable:
            refused += 1
        threading.Event().wait(0.001)
    gate.set()
    for ticket in tickets:
        ticket.result()
    writers.close()
    assert refused >= 20


def test_a_fault_while_looking_for_changes_is_one(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version that cannot be read is a StorageFault, and the next question opens the file anew."""
    account = store.create(ANNA, [make()])
    account.version()
    with monkeypatch.context() as patch:
        patch.setattr(account, "_watcher", apsw.Connection(":memory:"))
        account._watcher.close()  # type: ignore[union-attr]
        with pytest.raises(StorageFault):
            account.version()
    account._watcher = None
    assert account.version() > 0


def test_a_snapshot_that_cannot_begin_gives_its_connection_back(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a fault of that connection, which is closed; the next reader gets another."""
    account = store.create(ANNA, [make()])
    done(account, put("bob"))
    connection = account._borrow()
    connection.execute("BEGIN")
    with monkeypatch.context() as patch:
        patch.setattr(account, "_borrow", lambda: connection)
        with pytest.raises(StorageFault), account.reading():
            pass
    with account.reading() as snapshot:
        assert names(snapshot) == ["bob"]


def test_a_snapshot_that_is_interrupted_as_it_begins_leaves_nothing_behind(store: SqliteStore) -> None:
    """Ctrl-C comes through as itself, and whether that connection has begun nobody needs to know: it is closed."""
    account = store.create(ANNA, [make()])
    done(account, put("bob"))
    connection = account._borrow()

    def press_control_c(*_: object) -> bool:
        raise KeyboardInterrupt

    connection.exec_trace = press_control_c
    account._idle.append(connection)
    with pytest.raises(KeyboardInterrupt):
        account.reading().__enter__()
    with pytest.raises(apsw.ConnectionClosedError):
        connection.execute("BEGIN")
    assert account._idle == []
    done(account, put("eve"))
    with account.reading() as snapshot:
        assert names(snapshot) == ["bob", "eve"]


def test_another_process_that_writes_for_long_is_told(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The write is refused for now, and works when the other has ended."""
    account = store.create(ANNA, [make()])
    monkeypatch.setattr(sqlite_files, "BUSY_MILLISECONDS", 1)
    with closing(sqlite_files.connect(next(tmp_path.glob("accounts/*/*.db")))) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="written by another process"):
            account.transact([put("bob")])
        other.execute("ROLLBACK")
    done(account, put("bob"))


def test_an_account_that_was_closed_writes_once_more_and_keeps_nothing_open(store: SqliteStore) -> None:
    """Whoever still had it when it was closed for not being used may finish."""
    account = store.create(ANNA, [make()])
    account.close()
    done(account, put("bob"))
    assert account._writer is None
    with account.reading() as snapshot:
        assert names(snapshot) == ["bob"]


@pytest.mark.parametrize("used", [False, True], ids=["never used", "used before"])
def test_an_account_whose_folder_is_gone_is_not_written(store: SqliteStore, tmp_path: Path, used: bool) -> None:
    """There is nothing to lock, and nothing is made in its place."""
    account = store.create(ANNA, [make()])
    if used:
        done(account, put("bob"))
    shutil.rmtree(tmp_path / "accounts" / "an")
    with pytest.raises(Unavailable):
        account.transact([put("eve")])
    with pytest.raises(Unavailable), account.reading():
        pass
    assert not (tmp_path / "accounts" / "an").exists()


def test_a_file_that_cannot_be_read_is_not_proven(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A medium that does not answer says nothing of the bytes on it."""
    account = store.create(ANNA, [make()])
    monkeypatch.setattr("keepwell.storage.sqlite_account.prove_readable", fail)
    with pytest.raises(StorageFault):
        account.prove_readable()


@pytest.mark.parametrize("broken", ["sync_file", "appear"])
def test_an_account_that_cannot_be_made_durable_is_not_made(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Nothing of it stays, and it can be made when the medium answers again."""
    with monkeypatch.context() as patch:
        patch.setattr(f"keepwell.storage.sqlite.{broken}", fail)
        with pytest.raises(StorageFault):
            store.create(ANNA, [make()])
    assert [path for path in tmp_path.glob("accounts/**/*") if path.is_file()] == []
    store.create(ANNA, [make()])


def test_an_account_whose_log_stays_is_not_made(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its records would be in a log that does not get its name with it."""

    def keep_log(path: Path) -> None:
        path.with_name(path.name + "-wal").write_bytes(b"records")

    monkeypatch.setattr("keepwell.storage.sqlite.sync_file", keep_log)
    with pytest.raises(StorageFault, match="could not be closed"):
        store.create(ANNA, [make()])
    assert [path for path in tmp_path.glob("accounts/**/*") if path.is_file()] == []


def test_an_account_that_cannot_be_set_aside_stays(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a fault, and the account is read as before."""
    done(store.create(ANNA, [make()]), put("bob"))
    with monkeypatch.context() as patch:
        patch.setattr("keepwell.storage.sqlite.vanish", fail)
        with pytest.raises(StorageFault, match="set it aside"):
            store.set_aside(ANNA)
    with store.account(ANNA).reading() as snapshot:
        assert names(snapshot) == ["bob"]


def test_blobs_that_cannot_be_removed_are_told(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody may believe that they are gone."""
    body = b"x" * 200_000
    store.blobs.put(body)
    with monkeypatch.context() as patch:
        patch.setattr("keepwell.storage.sqlite.sweep", fail)
        with pytest.raises(StorageFault, match="removed"):
            store.sweep_blobs([digest_of(body)])
    assert store.sweep_blobs([digest_of(body)]) == [digest_of(body)]


def test_a_head_that_cannot_be_read_is_no_damage(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error comes in the head's place, and the account is not suspected."""
    store.create(ANNA, [make()])
    monkeypatch.setattr("keepwell.storage.sqlite.read_head", fail)
    [(account, error)] = store.read_heads()
    assert (account, type(error), store.suspects.all()) == (ANNA, OSError, [])
