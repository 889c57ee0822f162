"""Where accounts' files appear and vanish: what a stop at any step leaves behind, and others who have a file open."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from keepwell.model.errors import AlreadyThere, NotThere, Unavailable
from keepwell.storage.contract import Carried, Head, Transaction
from keepwell.storage.sqlite import SqliteStore
from keepwell.storage.sqlite_files import connect
from tests.storage.contract_suite import ANNA, BERT, LIVES, carried, done, everything, make, names, put, worded

STEPS = ("fsync", "link", "unlink", "mkdir", "rename")
"""What changes a folder, and what makes it durable."""


class Stopped(BaseException):
    """The process is gone."""


class Power:
    """Lets so many steps happen; from then on nothing happens any more, also no cleaning up."""

    def __init__(self, patch: pytest.MonkeyPatch, steps: int) -> None:
        self.left = steps
        for name in STEPS:
            patch.setattr(os, name, self._limited(getattr(os, name)))

    def _limited(self, real: Callable[..., object]) -> Callable[..., object]:
        def step(*arguments: object, **options: object) -> object:
            if self.left <= 0:
                raise Stopped
            self.left -= 1
            return real(*arguments, **options)

        return step


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "data")
    yield store
    store.close()


@pytest.fixture
def records(tmp_path: Path) -> list[Carried]:
    with closing(SqliteStore(tmp_path / "origin")) as origin:
        account = origin.create(ANNA, [make()])
        for works in LIVES:
            done(account, *works)
        return carried(account)


def account_file(data: Path) -> Path:
    return data / "accounts" / "an" / f"{ANNA}.db"


def killed_server(data: Path, tmp_path: Path) -> object:
    """A data folder as a server leaves it that was killed: the last commits are in the `-wal` alone."""
    store = SqliteStore(tmp_path / "running")
    account = store.create(ANNA, [make()])
    done(account, put("bob"), put("eve", b"x" * 200_000))
    shutil.copytree(tmp_path / "running", data)
    assert account_file(data).with_name(f"{ANNA}.db-wal").stat().st_size > 0
    state = everything(account)
    store.close()
    return state


def test_a_restore_that_is_stopped_leaves_nothing_or_all(
    tmp_path: Path, records: list[Carried], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever a restore stops, the next start finds the whole account or none, and can restore it then."""
    outcomes = set()
    for steps in range(100):
        data = tmp_path / f"data{steps}"
        with closing(SqliteStore(data)) as store, monkeypatch.context() as patch:
            power = Power(patch, steps)
            try:
                store.restore(ANNA, records, worded)
            except Stopped:
                pass
            else:
                outcomes.add("finished")
        with closing(SqliteStore(data)) as store:
            outcomes.add(f"{len(store.accounts())} there")
            if not store.accounts():
                store.restore(ANNA, records, worded)
            assert carried(store.account(ANNA)) == records
        if power.left > 0:
            break
    assert outcomes == {"0 there", "1 there", "finished"}


def test_setting_aside_that_is_stopped_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it stops, the account is whole in its place, or whole in the folder that it was set aside in."""
    outcomes = set()
    for steps in range(100):
        data = tmp_path / f"data{steps}"
        state = killed_server(data, tmp_path / f"{steps}")
        store = SqliteStore(data)
        with monkeypatch.context() as patch:
            power = Power(patch, steps)
            try:
                store.set_aside(ANNA)
            except Stopped:
                pass
            else:
                outcomes.add("finished")
        if account_file(data).exists():
            outcomes.add("in its place")
        else:
            outcomes.add("aside")
            (folder,) = data.glob("set-aside/*")
            account_file(data).with_name(f"{ANNA}.db-wal").unlink(missing_ok=True)
            account_file(data).with_name(f"{ANNA}.db-shm").unlink(missing_ok=True)
            for file in folder.iterdir():
                shutil.copy(file, account_file(data).parent)
        with closing(SqliteStore(data)) as again:
            assert everything(again.account(ANNA)) == state
        if power.left > 0:
            break
    assert outcomes == {"in its place", "aside", "finished"}


def test_a_log_without_its_file_is_set_aside(tmp_path: Path, records: list[Carried]) -> None:
    """SQLite would take the `-wal` that a lost file left for that of the new file: it is kept elsewhere before."""
    data = tmp_path / "data"
    killed_server(data, tmp_path)
    log = account_file(data).with_name(f"{ANNA}.db-wal").read_bytes()
    account_file(data).unlink()
    with closing(SqliteStore(data)) as store:
        store.restore(ANNA, records, worded)
        assert carried(store.account(ANNA)) == records
    assert [path.read_bytes() for path in data.glob(f"set-aside/*/{ANNA}.db-wal")] == [log]


def test_what_is_set_aside_opens_as_it_was(tmp_path: Path) -> None:
    """The name that is returned is of a folder that has the account's file and its log, with every record."""
    data = tmp_path / "data"
    killed_server(data, tmp_path)
    with closing(SqliteStore(data)) as store:
        folder = data / store.set_aside(ANNA)
    with closing(connect(folder / f"{ANNA}.db")) as connection:
        assert connection.execute("SELECT count(*) FROM journal").get == 3


def test_a_file_that_is_no_database_is_set_aside(store: SqliteStore, tmp_path: Path) -> None:
    """Damage of any sort does not keep a file in its place."""
    store.create(ANNA)
    store.close()
    account_file(tmp_path / "data").write_bytes(b"nothing of SQLite's" * 1000)
    store.set_aside(ANNA)
    assert store.accounts() == []


def test_nothing_is_committed_to_a_file_that_was_set_aside(
    store: SqliteStore, tmp_path: Path, records: list[Carried]
) -> None:
    """A process that has the old file open is turned away, and then writes to the new one."""
    store.create(ANNA, [make()])
    with closing(SqliteStore(tmp_path / "data")) as other:
        held = other.account(ANNA)
        done(held, put("bob"))
        store.set_aside(ANNA)
        with pytest.raises(Unavailable):
            held.transact([put("lost")])
        with pytest.raises(NotThere):
            other.account(ANNA)
        store.restore(ANNA, records, worded)
        with pytest.raises(Unavailable):
            held.transact([put("lost")])
        with pytest.raises(Unavailable):
            held.hold({})
        done(other.account(ANNA), put("found"))
    with store.account(ANNA).reading() as snapshot:
        assert "found" in names(snapshot)


def test_setting_aside_waits_for_what_is_being_written(store: SqliteStore, tmp_path: Path) -> None:
    """A transaction under way ends first, is acknowledged, and is in what was set aside."""
    store.create(ANNA, [make()])
    asides = list[str]()
    thread = threading.Thread(target=lambda: asides.append(store.set_aside(ANNA)))

    def start(_transaction: Transaction) -> None:
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()

    with closing(SqliteStore(tmp_path / "data")) as other:
        done(other.account(ANNA), put("early"), start, put("late"))
        thread.join()
    with closing(connect(tmp_path / "data" / asides[0] / f"{ANNA}.db")) as connection:
        assert connection.execute("SELECT name FROM items").fetchall() == [("early",), ("late",)]


def test_a_file_that_someone_else_replaced_is_found_at_the_second_try(store: SqliteStore, tmp_path: Path) -> None:
    """Whoever is turned away once, because the file is another one, is given that one the next time."""
    store.create(ANNA, [make()])
    account = store.account(ANNA)
    done(account, put("bob"))
    account.close()
    file = account_file(tmp_path / "data")
    shutil.copy(file, file.with_name("copy"))
    file.with_name("copy").rename(file)
    with pytest.raises(Unavailable):
        store.account(ANNA).transact([put("eve")])
    done(store.account(ANNA), put("eve"))


def test_who_closes_the_old_file_leaves_the_log_of_the_new(
    store: SqliteStore, tmp_path: Path, records: list[Carried]
) -> None:
    """SQLite takes a log away by its name; a process that lets go of the old file takes nothing of the new one's."""
    store.create(ANNA, [make()])
    other = SqliteStore(tmp_path / "data")
    held = other.account(ANNA)
    done(held, put("bob"))
    with held.reading() as snapshot:
        assert names(snapshot) == ["bob"]
    held.version()
    store.set_aside(ANNA)
    done(store.restore(ANNA, records, worded), put("found"))
    held.close()
    other.close()
    assert account_file(tmp_path / "data").with_name(f"{ANNA}.db-wal").stat().st_size > 0
    with closing(SqliteStore(tmp_path / "data")) as third, third.account(ANNA).reading() as snapshot:
        assert "found" in names(snapshot)


def test_an_old_place_reads_no_new_file(store: SqliteStore, tmp_path: Path, records: list[Carried]) -> None:
    """Who asked for the account before it was put in place anew is told to ask again, and opens nothing."""
    store.create(ANNA, [make()])
    with closing(SqliteStore(tmp_path / "data")) as other:
        held = other.account(ANNA)
        store.set_aside(ANNA)
        store.restore(ANNA, records, worded)
        with pytest.raises(Unavailable), held.reading():
            pass
        with pytest.raises(Unavailable):
            held.version()


def test_a_closed_store_leaves_one_file_for_an_account(store: SqliteStore, tmp_path: Path) -> None:
    """After the last process closed it, an account is its `.db` alone."""
    with closing(SqliteStore(tmp_path / "data")) as other:
        account = store.create(ANNA, [make()])
        done(account, put("bob"))
        other.account(ANNA).version()
        assert list(store.read_heads())
        with account.reading(), account.reading(), account.reading():
            pass
    store.close()
    assert [path.name for path in account_file(tmp_path / "data").parent.iterdir()] == [f"{ANNA}.db"]


def test_two_restores_at_once_make_one_account(store: SqliteStore, tmp_path: Path, records: list[Carried]) -> None:
    """Of two processes that restore the same account one is told no, and the other's stays."""
    other = SqliteStore(tmp_path / "data")

    def slowly() -> Iterator[Carried]:
        yield from records
        done(other.restore(ANNA, records, worded), put("more"))

    with pytest.raises(AlreadyThere):
        store.restore(ANNA, slowly(), worded)
    other.close()
    assert len(carried(store.account(ANNA))) == len(records) + 1
    assert [path.name for path in (tmp_path / "data").glob("accounts/*/.tmp-*")] == []


def test_a_damaged_account_has_no_head(store: SqliteStore, tmp_path: Path) -> None:
    """A file that cannot be read is told with the reason, and the other heads are read all the same."""
    done(store.create(ANNA, [make()]), put("bob"))
    done(store.create(BERT, [make()]), put("bob"))
    store.close()
    account_file(tmp_path / "data").write_bytes(b"nothing of SQLite's" * 1000)
    heads = dict(store.read_heads())
    assert isinstance(heads[ANNA], Exception)
    with store.account(BERT).reading() as snapshot:
        assert heads[BERT] == snapshot.head()


def test_a_head_is_read_past_what_a_killed_server_left(tmp_path: Path) -> None:
    """Commits that are in the log alone count, and a folder's name may have any characters."""
    data = tmp_path / "50% ? #data"
    killed_server(data, tmp_path)
    with closing(SqliteStore(data)) as store:
        heads = dict(store.read_heads())
        with store.account(ANNA).reading() as snapshot:
            assert heads[ANNA] == snapshot.head()
            assert snapshot.head().sequence == 3
        store.close()
        assert dict(store.read_heads()) == heads


def test_reading_a_head_leaves_the_file_as_it_is(store: SqliteStore, tmp_path: Path) -> None:
    """Heads of accounts that nobody has open are read without making a file."""
    done(store.create(ANNA, [make()]), put("bob"))
    store.close()
    for _account, head in store.read_heads():
        assert head == Head(2, carried(store.account(ANNA))[-1].record.hash)
    assert store.account(ANNA).check_medium() == []


def test_heads_are_read_while_others_write(store: SqliteStore) -> None:
    """A head is that of a commit that was acknowledged before it was read, or of a later one."""
    account = store.create(ANNA, [make()])
    for number in range(5):
        done(account, put(f"{number}", b"%d" % number))
        assert [head for _, head in store.read_heads()] == [Head(number + 2, carried(account)[-1].record.hash)]
