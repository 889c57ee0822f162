"""What is erased leaves no trace in any file of the data folder, and blobs go when nobody has them any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from keepwell.model.errors import Damaged, StorageFault, Unavailable
from keepwell.model.record import digest_of
from keepwell.storage import sqlite_erasing
from keepwell.storage.blobs import GOING
from keepwell.storage.contract import Index, Transaction
from keepwell.storage.sqlite import SqliteStore
from tests.storage.contract_suite import ANNA, BERT, done, friends, make, put, remove

SECRET = b"an unmistakable secret of somebody " * 40
PHOTO = b"an unmistakable photo of somebody " * 6_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(SqliteStore(tmp_path)) as opened:
        yield opened


def traces(folder: Path) -> list[str]:
    """Files that hold what nobody else would write."""
    return [path.name for path in folder.rglob("*") if path.is_file() and b"unmistakable" in path.read_bytes()]


def test_no_trace_is_left(store: SqliteStore, tmp_path: Path) -> None:
    """Neither in pages nor in the log, nor of the search text of an item that went long before; the file is sound."""
    account = store.create(ANNA, [make(), *(put(f"n{number}", b"x" * 3000) for number in range(20))])
    done(account, put("bob", SECRET, index=Index(search_text="the unmistakable name")))
    done(account, put("bob", b"new"), *(remove(f"n{number}") for number in range(10)))
    assert traces(tmp_path)
    account.erase(99, [digest_of(SECRET)])
    assert traces(tmp_path) == []
    assert account.check_medium() == []
    with account.reading() as snapshot:
        assert len(list(snapshot.items_with_bodies(friends(snapshot).id))) == 11


def test_a_reader_keeps_the_log_and_so_it_is_not_done_yet(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told, nothing is harmed, and the next attempt does the rest."""
    monkeypatch.setattr("keepwell.storage.sqlite_files.BUSY_MILLISECONDS", 50)
    account = store.create(ANNA, [make(), put("bob", SECRET), put("bob", b"new")])
    with account.reading() as snapshot:
        snapshot.head()
        with pytest.raises((Unavailable, StorageFault)):
            account.erase(3, [digest_of(SECRET)])
    account.erase(3, [digest_of(SECRET)])
    assert traces(tmp_path) == []


def test_a_crash_before_the_traces_were_removed_is_made_good(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next call removes them though there is nothing to erase any more."""
    account = store.create(ANNA, [make(), put("bob", SECRET), put("bob", b"new")])
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_erasing, "_remove_traces", lambda *_words: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            account.erase(3, [digest_of(SECRET)])
    assert account.erase(3, [digest_of(SECRET)]) == [digest_of(SECRET)]
    assert traces(tmp_path) == []


def test_an_item_whose_bytes_were_erased_is_never_served_empty(store: SqliteStore, tmp_path: Path) -> None:
    """Should a restore bring one to light, reading it fails until it was removed."""
    account = store.create(ANNA, [make(), put("bob", SECRET)])
    lines = []
    with account.reading() as snapshot:
        for one in snapshot.carried():
            lines.append(type(one)(one.record, None, erased=one.body is not None))
    store.set_aside(ANNA)
    again = store.restore(ANNA, lines, lambda _home, _body: Index())
    with pytest.raises(Damaged, match="were erased"), again.reading() as snapshot:
        list(snapshot.items_with_bodies(friends(snapshot).id))


def with_photo(store: SqliteStore) -> None:
    done(store.create(ANNA, [make(), put("photo", PHOTO)]), put("photo", b"other"))
    store.account(ANNA).erase(99, [digest_of(PHOTO)])


def test_a_blob_that_nobody_has_any_more_goes(store: SqliteStore, tmp_path: Path) -> None:
    """Its file is removed."""
    with_photo(store)
    assert traces(tmp_path)
    assert store.sweep_blobs([digest_of(PHOTO), digest_of(b"never there")]) == [digest_of(PHOTO)]
    assert traces(tmp_path) == []


def test_a_blob_that_another_account_has_stays(store: SqliteStore) -> None:
    """It is read as before."""
    with_photo(store)
    done(store.create(BERT, [make()]), put("photo", PHOTO))
    assert store.sweep_blobs([digest_of(PHOTO)]) == []
    assert store.blobs.read(digest_of(PHOTO)) == PHOTO


def test_a_blob_that_is_being_put_at_that_moment_stays(store: SqliteStore) -> None:
    """The transaction saw that it is there and has not committed yet: it is waited for."""
    with_photo(store)
    bert = store.create(BERT, [make()])
    appended, sweeping = threading.Event(), threading.Event()

    def work(transaction: Transaction) -> None:
        put("photo", PHOTO)(transaction)
        appended.set()
        sweeping.wait(10)

    writing = threading.Thread(target=lambda: done(bert, work))
    writing.start()
    appended.wait(10)
    take = store._blobs.take_out_of_sight

    def taken(digests: object) -> object:
        found = take(digests)  # type: ignore[arg-type]
        sweeping.set()
        return found

    store._blobs.take_out_of_sight = taken  # type: ignore[assignment, method-assign]
    other = SqliteStore(store._data)  # another process: nothing but files and locks between them
    other._blobs = store._blobs
    assert other.sweep_blobs([digest_of(PHOTO)]) == []
    writing.join()
    other.close()
    with bert.reading() as snapshot:
        assert [body for _item, body in snapshot.items_with_bodies(friends(snapshot).id)] == [PHOTO]


def test_while_an_account_is_in_the_making_no_blob_goes(store: SqliteStore, tmp_path: Path) -> None:
    """It may need the blob, and nobody can ask it."""
    with_photo(store)
    stray = tmp_path / "accounts" / "be" / ".tmp-a_bertbertbertbert-aaaa.db"
    stray.parent.mkdir()
    stray.touch()
    assert store.sweep_blobs([digest_of(PHOTO)]) == []
    stray.unlink()
    assert store.sweep_blobs([digest_of(PHOTO)]) == [digest_of(PHOTO)]


def test_an_account_that_cannot_be_read_keeps_all_blobs(store: SqliteStore, tmp_path: Path) -> None:
    """Nobody knows what it needs."""
    with_photo(store)
    store.create(BERT, [make()])
    store.close()
    next(tmp_path.glob(f"accounts/*/{BERT}.db")).write_bytes(b"damaged" * 1000)
    with pytest.raises((StorageFault, Damaged)):
        store.sweep_blobs([digest_of(PHOTO)])
    assert store.blobs.read(digest_of(PHOTO)) == PHOTO


def test_a_blob_out_of_sight_is_still_read_and_put_anew(store: SqliteStore, tmp_path: Path) -> None:
    """What a crash in the middle leaves harms nobody, and the next sweep begins with it again."""
    with_photo(store)
    store._blobs.take_out_of_sight([digest_of(PHOTO)])
    assert store.blobs.read(digest_of(PHOTO)) == PHOTO
    bert = store.create(BERT, [make()])
    done(bert, put("photo", PHOTO))
    assert len(list(tmp_path.glob(f"blobs/*/*{digest_of(PHOTO)}"))) == 2
    assert store.sweep_blobs([digest_of(PHOTO)]) == []
    assert not list(tmp_path.glob(f"blobs/*/{GOING}*"))
    done(bert, put("photo", b"other"))
    bert.erase(99, [digest_of(PHOTO)])
    assert store.sweep_blobs([digest_of(PHOTO)]) == [digest_of(PHOTO)]
