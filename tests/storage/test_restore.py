"""Restoring in bulk: the same rows as appending one by one, over random histories; what is indexed; what is kept."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepwell.model.errors import Damaged
from keepwell.model.names import HOME_OF, Home, Kind
from keepwell.model.record import Op, digest_of
from keepwell.services.check import Checker
from keepwell.services.indexing import index_again
from keepwell.storage import sqlite_bulk, sqlite_restore
from keepwell.storage.contract import NO_INDEX, Carried, Entry, Index, Work
from keepwell.storage.sqlite import SqliteStore
from keepwell.storage.sqlite_files import connect
from tests.storage.contract_suite import ANNA, carried, done, drop, friends, make, names, put, remove, worded

TABLES = ("meta", "journal", "content", "collections", "items", "search", "ledger")

CARD = b"BEGIN:VCARD\r\nVERSION:3.0\r\nUID:%s\r\nFN:%s\r\nEND:VCARD\r\n"
EVENT = (
    b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:%s\r\nDTSTART:20260101T1%s0000Z\r\nEND:VEVENT\r\n"
    b"END:VCALENDAR\r\n"
)
BODIES = {
    Kind.CONTACTS: [CARD % (b"u1", b"Bob"), CARD % (b"u2", "Zoë".encode()), CARD % (b"u3", b"x" * 140_000), b"no card"],
    Kind.CALENDAR: [EVENT % (b"u1", b"0"), EVENT % (b"u1", b"1"), EVENT.replace(b"UID", b"X") % (b"y" * 140_000, b"2")],
    Kind.PHOTOS: [b"\xff\xd8" * 70_000, b"\xff\xd8small", CARD % (b"u1", b"Bob")],
}
"""Bytes with an index and without, small and large, and the same bytes in two homes."""

kinds = st.sampled_from(list(BODIES))
places = st.tuples(kinds, st.sampled_from(["one", "one", "two"]))
item_places = st.tuples(places, st.sampled_from(["a", "b"]))
properties = st.none() | st.dictionaries(st.sampled_from(["displayname", "{x:}é"]), st.sampled_from(["x", "é"]))


@st.composite
def entries(draw: st.DrawFn) -> tuple[Entry, bytes | None]:
    """A change: most are puts, as in life."""
    op = draw(st.sampled_from([*[Op.PUT] * 6, Op.REMOVE, Op.REMOVE, Op.MAKE, Op.SET, Op.DROP, Op.OPEN]))
    if op is Op.OPEN:
        return Entry(op, "test"), None
    (kind, collection), name = draw(item_places)
    given_properties = draw(properties)
    if op is not Op.PUT:
        return Entry(op, "test", kind, collection, name if op is Op.REMOVE else "", properties=given_properties), None
    body = draw(st.sampled_from(BODIES[kind]))
    uid = draw(st.sampled_from(["", "u1", "u2"]))
    media_type = draw(st.sampled_from(["", "text/vcard"]))
    entry = Entry(op, "test", kind, collection, name, uid, media_type, digest_of(body), len(body), given_properties)
    return entry, body


def work(entry: Entry, body: bytes | None) -> Work:
    index = NO_INDEX if body is None or entry.kind is None else index_again(HOME_OF[entry.kind], body)
    return lambda transaction: transaction.append(entry, body, index)


MAKES = [(Entry(Op.MAKE, "test", kind, name), None) for kind in BODIES for name in ("one", "two")]


def rows(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table of the account's file."""
    with closing(connect(next(folder.glob("accounts/*/*.db")))) as connection:
        return {table: sorted(connection.execute(f"SELECT * FROM {table}"), key=repr) for table in TABLES}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path)
    yield store
    store.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(entries(), min_size=20, max_size=60))
def test_restored_rebuilt_and_appended_rows_are_the_same(history: list[tuple[Entry, bytes | None]]) -> None:
    """Whatever happened to an account, restoring, rebuilding and extending come to the rows that appending made."""
    folder = Path(tempfile.mkdtemp())
    try:
        with closing(SqliteStore(folder / "1")) as first:
            account = first.create(ANNA)
            account.transact([work(*change) for change in MAKES + history])
            records = carried(account)
            appended = rows(folder / "1")
            account.rebuild(index_again)
            assert rows(folder / "1") == appended
        with closing(SqliteStore(folder / "2")) as second:
            second.restore(ANNA, records, index_again)
            assert rows(folder / "2") == appended
            assert Checker(second).check(ANNA) == []
        with closing(SqliteStore(folder / "3")) as third:
            third.create(ANNA).extend(records, index_again)
            assert rows(folder / "3") == appended
    finally:
        shutil.rmtree(folder)


def test_batches_of_any_size_come_to_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How much is gathered before it is written makes no difference."""
    with closing(SqliteStore(tmp_path / "origin")) as origin:
        account = origin.create(ANNA, [make()])
        done(account, *[put(f"{number}", b"%d" % number, index=worded(Home.CONTACTS, b"")) for number in range(50)])
        done(account, *[remove(f"{number}") for number in range(0, 50, 3)])
        records, expected = carried(account), rows(tmp_path / "origin")
    for number, (records_max, octets_max, items_max) in enumerate([(1, 10**6, 1), (7, 3, 7), (10**6, 10**6, 49)]):
        monkeypatch.setattr(sqlite_restore, "RECORDS_OF_BATCH", records_max)
        monkeypatch.setattr(sqlite_restore, "OCTETS_OF_BATCH", octets_max)
        monkeypatch.setattr(sqlite_bulk, "ITEMS_OF_BATCH", items_max)
        with closing(SqliteStore(tmp_path / f"{number}")) as store:
            store.restore(ANNA, iter(records), lambda home, _body: worded(home, b""))
            assert rows(tmp_path / f"{number}") == expected


def test_only_what_is_there_is_indexed(store: SqliteStore) -> None:
    """A restore does not index bytes that were replaced, removed or dropped since."""
    account = store.create(ANNA, [make(), make("gone")])
    done(account, put("bob", b"1"), put("bob", b"2"), put("eve", b"3"), remove("eve"), put("zoe", b"4", "gone"))
    done(account, drop("gone"))
    records, indexed = carried(account), list[bytes]()

    def index(_home: Home, body: bytes) -> Index:
        indexed.append(body)
        return NO_INDEX

    store.set_aside(ANNA)
    store.restore(ANNA, records, index)
    assert indexed == [b"2"]


def test_large_bytes_are_not_read_back(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restore of photos writes each once and reads none."""
    account = store.create(ANNA, [make()])
    done(account, put("photo", b"x" * 200_000))
    records = carried(account)
    store.set_aside(ANNA)
    monkeypatch.setattr(type(store.blobs), "read", lambda *_: 1 / 0)
    with store.restore(ANNA, records, worded).reading() as snapshot:
        assert names(snapshot) == ["photo"]


def test_a_restored_file_is_sound_and_synced_before_it_has_its_name(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is synced when it is complete, before it appears; then every page of it proves itself."""
    records = carried(store.create(ANNA, [make()]))
    store.set_aside(ANNA)
    order: list[str] = []

    def sync(path: Path) -> None:
        order.append("synced")
        with closing(connect(path)) as connection:
            assert connection.execute("SELECT count(*) FROM items").get == 0
            assert connection.execute("SELECT count(*) FROM collections").get == 1
        assert store.accounts() == []

    monkeypatch.setattr("keepwell.storage.sqlite.sync_file", sync)
    store.restore(ANNA, records, worded)
    assert order == ["synced"]
    assert store.account(ANNA).check_medium() == []
    assert list(tmp_path.glob("accounts/*/.tmp-*")) == []


def test_damage_in_the_middle_leaves_nothing(store: SqliteStore, tmp_path: Path) -> None:
    """A restore that meets damage late leaves neither an account nor a stray file."""
    account = store.create(ANNA, [make()])
    done(account, *[put(f"{number}", b"%d" % number) for number in range(1200)])
    records = carried(account)
    records[1100] = Carried(records[1100].record, b"other bytes")
    store.set_aside(ANNA)
    with pytest.raises(Damaged, match="record 1101"):
        store.restore(ANNA, iter(records), worded)
    assert store.accounts() == []
    assert list(tmp_path.glob("accounts/*/.tmp-*")) == []


def test_missing_bytes_are_told_when_they_are_carried(store: SqliteStore, tmp_path: Path) -> None:
    """What is carried is proven: a lost blob, a lost row and changed bytes are Damaged, never left out."""
    account = store.create(ANNA, [make()])
    done(account, put("photo", b"x" * 200_000), put("bob", b"1"), put("eve", b"2"))
    path = next(tmp_path.glob("accounts/*/*.db"))
    with closing(connect(path)) as connection:
        connection.execute("UPDATE content SET body = x'39' WHERE digest = ?", (bytes.fromhex(digest_of(b"2")),))
    with pytest.raises(Damaged):
        carried(account, 3)
    with closing(connect(path)) as connection:
        connection.execute("DELETE FROM content WHERE digest = ?", (bytes.fromhex(digest_of(b"1")),))
    with pytest.raises(Damaged, match="record 3"):
        carried(account, 2)
    next(tmp_path.glob("blobs/*/*")).unlink()
    with pytest.raises(Damaged):
        carried(account)
    with account.reading() as snapshot:
        assert names(snapshot) == ["bob", "eve", "photo"]
        assert friends(snapshot).count == 3


def test_with_more_bytes_than_may_be_kept_it_comes_to_the_same(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is to be indexed is read back then."""
    account = store.create(ANNA, [make()])
    done(account, *(put(f"card {number}", b"body %d" % number) for number in range(9)))
    monkeypatch.setattr(sqlite_restore, "KEPT_OCTETS_MAX", 20)
    with closing(SqliteStore(tmp_path / "other")) as other:
        restored = other.restore(ANNA, carried(account), worded)
        with restored.reading() as snapshot:
            texts = dict(snapshot.search_texts(friends(snapshot).id, []))
    assert texts == {f"card {number}": worded(Home.CONTACTS, b"body %d" % number).search_text for number in range(9)}
