"""The SQLite store passes the storage contract, and keeps what it promises about its files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from keepwell.model.errors import CannotStart, Damaged, Forked, Held, StorageFault
from keepwell.model.names import AccountId, Home, Kind, Lineage
from keepwell.model.record import Op, digest_of
from keepwell.storage import sqlite as sqlite_module
from keepwell.storage import sqlite_files
from keepwell.storage.contract import Carried, Entry, Index, Transaction
from keepwell.storage.memory import MemoryStore
from keepwell.storage.sqlite import SqliteStore
from keepwell.storage.sqlite_audit import projected_rows, reading_unproven
from keepwell.storage.sqlite_check import is_damage, prove_readable
from keepwell.storage.sqlite_transaction import BLOB_OCTETS_MIN
from tests.storage.contract_suite import ANNA, StoreContract, carried, done, friends, make, names, put, worded


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SqliteStore]:
        store = SqliteStore(tmp_path)
        yield store
        store.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path)
    yield store
    store.close()


def account_file(folder: Path, account: AccountId = ANNA) -> Path:
    return next(folder.glob(f"accounts/*/{account}.db"))


def test_commits_are_synced(store: SqliteStore, tmp_path: Path) -> None:
    """Every connection runs in WAL mode with synchronous=FULL through the checksum VFS."""
    store.create(ANNA, [make()])
    with closing(sqlite_files.connect(account_file(tmp_path))) as connection:
        assert connection.execute("PRAGMA synchronous").get == 2
        assert connection.execute("PRAGMA journal_mode").get == "wal"
        assert connection.execute("PRAGMA checksum_verification").get == "1"


def test_statements_keep_their_plans(store: SqliteStore, tmp_path: Path) -> None:
    """No statement is planned anew because another value is bound to it."""
    store.create(ANNA, [make()])
    with closing(sqlite_files.connect(account_file(tmp_path))) as connection:
        assert connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, -1) == 1


def test_everything_is_there_after_opening_again(tmp_path: Path) -> None:
    """What was committed is there for the next process."""
    first = SqliteStore(tmp_path)
    done(first.create(ANNA, [make()]), put("bob"))
    first.close()
    second = SqliteStore(tmp_path)
    with second.account(ANNA).reading() as snapshot:
        assert names(snapshot) == ["bob"]
    second.close()


def test_two_stores_on_one_folder_see_each_other(store: SqliteStore, tmp_path: Path) -> None:
    """A command line beside the server writes and reads the same accounts."""
    mine = store.create(ANNA, [make()])
    done(mine, put("bob"))
    other = SqliteStore(tmp_path)
    version = mine.version()
    done(other.account(ANNA), put("eve"))
    other.close()
    assert mine.version() != version
    done(mine, put("zoe"))
    with mine.reading() as snapshot:
        assert names(snapshot) == ["bob", "eve", "zoe"]


def test_unused_accounts_are_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only so many accounts stay open, and a closed one opens again by itself."""
    monkeypatch.setattr(sqlite_module, "OPEN_ACCOUNTS_MAX", 2)
    store = SqliteStore(tmp_path)
    accounts = [AccountId(f"a_{letter * 16}") for letter in "abcdef"]
    for account in accounts:
        done(store.create(account, [make()]), put("bob"))
    for account in accounts:
        with store.account(account).reading() as snapshot:
            assert names(snapshot) == ["bob"]
    assert list(store._open) == accounts[-2:]
    store.close()
    assert [path.name for path in tmp_path.glob("accounts/*/*-wal")] == []


def test_a_stray_file_of_a_broken_creation_is_replaced(store: SqliteStore, tmp_path: Path) -> None:
    """A crash while an account was being created does not stop the next creation of it."""
    folder = tmp_path / "accounts" / "an"
    folder.mkdir(parents=True)
    (folder / f".tmp-{ANNA}.db").write_bytes(b"half a file")
    store.create(ANNA)
    assert store.accounts() == [ANNA]


def test_a_flipped_bit_is_never_served(store: SqliteStore, tmp_path: Path) -> None:
    """Bytes that do not prove themselves raise Damaged or StorageFault, and nothing comes back."""
    body = b"unmistakable bytes of bob" * 20
    done(store.create(ANNA, [make()]), put("bob", body))
    store.close()
    path = account_file(tmp_path)
    octets = bytearray(path.read_bytes())
    octets[octets.index(b"unmistakable")] ^= 1
    path.write_bytes(octets)
    with pytest.raises((Damaged, StorageFault)), store.account(ANNA).reading() as snapshot:
        snapshot.item_with_body(friends(snapshot).id, "bob")


def test_a_missing_blob_is_named(store: SqliteStore, tmp_path: Path) -> None:
    """Bytes whose blob is gone raise Damaged with the digest."""
    body = b"x" * 200_000
    done(store.create(ANNA, [make()]), put("photo", body))
    next(tmp_path.glob("blobs/*/*")).unlink()
    with pytest.raises(Damaged, match=digest_of(body)), store.account(ANNA).reading() as snapshot:
        snapshot.content(digest_of(body))


def test_a_broken_tail_is_refused_when_opened(store: SqliteStore, tmp_path: Path) -> None:
    """A journal whose last records do not follow each other is not written to."""
    done(store.create(ANNA, [make()]), put("bob"), put("eve"))
    store.close()
    with closing(sqlite_files.connect(account_file(tmp_path))) as connection:
        connection.execute("UPDATE journal SET by = 'someone else' WHERE seq = 2")
    with pytest.raises(Damaged, match="record 2"):
        store.account(ANNA).transact([put("zoe")])


def test_a_write_fault_is_told_and_ends(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """An I/O error is a StorageFault for all of the batch; afterwards the account works from a new opening."""
    account = store.create(ANNA, [make()])
    done(account, put("bob"))

    def fail(_transaction: object) -> None:
        raise apsw.IOError("the disk is on fire")

    with pytest.raises(StorageFault):
        account.transact([put("eve"), fail])
    done(account, put("zoe"))
    with account.reading() as snapshot:
        assert names(snapshot) == ["bob", "zoe"]


def test_an_affected_sqlite_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An SQLite with the WAL-reset bug is refused with what to install."""
    for version in ("3.7.0", "3.45.1", "3.51.2"):
        monkeypatch.setattr(apsw, "sqlite_lib_version", lambda version=version: version)
        with pytest.raises(CannotStart) as caught:
            sqlite_files.require_sound_sqlite()
        assert "apsw" in caught.value.hint


def test_a_newer_format_is_refused(store: SqliteStore, tmp_path: Path) -> None:
    """A file of a newer format is not touched."""
    store.create(ANNA, [make()])
    store.close()
    with closing(sqlite_files.connect(account_file(tmp_path))) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'format'")
    with pytest.raises(CannotStart, match="format 99"), store.account(ANNA).reading():
        pass


def test_rebuilt_projections_are_the_same(store: SqliteStore) -> None:
    """Projections made anew from the journal equal those that grew with it."""
    account = store.create(ANNA, [make(), make("second")])
    done(account, put("bob"), put("eve"), put("bob", b"new"), put("zoe", collection="second"))

    def state() -> object:
        with account.reading() as snapshot:
            return (
                snapshot.collections(),
                [list(snapshot.items(one.id)) for one in snapshot.collections(Home.CONTACTS)],
                snapshot.ledger(),
                snapshot.changes(friends(snapshot).id, 3, 10),
            )

    before = state()
    account.rebuild(lambda _home, _body: Index())
    assert state() == before


def test_a_copy_among_the_files_is_no_account(store: SqliteStore, tmp_path: Path) -> None:
    """Only a file with the name and in the folder of an account is one, so a stray one stops no check."""
    store.create(ANNA, [make()])
    octets = account_file(tmp_path).read_bytes()
    account_file(tmp_path).with_name("a_annaannaannaanna copy.db").write_bytes(octets)
    (tmp_path / "accounts" / "zz").mkdir()
    (tmp_path / "accounts" / "zz" / f"{ANNA}.db").write_bytes(octets)
    assert store.accounts() == [ANNA]


def test_sqlite_is_initialized_and_so_has_its_locks() -> None:
    """Settings that only an SQLite at rest takes are refused: without its locks, threads corrupt its memory."""
    with pytest.raises(apsw.MisuseError):
        apsw.config(apsw.SQLITE_CONFIG_LOOKASIDE, 0, 0)


def test_a_large_body_is_lacking_in_a_store_that_never_had_it(store: SqliteStore, tmp_path: Path) -> None:
    """Supplied later, it lies beside the accounts, and the index of its item is made."""
    body = b"x" * BLOB_OCTETS_MIN
    done(store.create(ANNA, [make()]), put("bob", body))
    records = carried(store.account(ANNA))
    other = SqliteStore(tmp_path / "other")
    without = [Carried(one.record) for one in records]
    account = other.restore(ANNA, without, worded, may_lack=True)
    with account.reading() as snapshot:
        assert list(snapshot.lacking()) == [digest_of(body)]
    account.supply([body], worded)
    with account.reading() as snapshot:
        assert list(snapshot.lacking()) == []
        assert snapshot.search_texts(friends(snapshot).id, []) == [("bob", worded(Home.CONTACTS, body).search_text)]
    assert other.blobs.has(digest_of(body))
    assert carried(account) == records
    other.close()


def test_an_account_can_be_made_when_memory_is_short(store: SqliteStore, tmp_path: Path) -> None:
    """Pages that SQLite writes early, for want of memory, have their checksums as well."""
    before = apsw.soft_heap_limit(1)
    try:
        account = store.create(ANNA, [make()])
        done(account, *(put(f"friend {number}", b"body %d" % number) for number in range(300)))
        assert account.check_medium() == []
    finally:
        apsw.soft_heap_limit(before)


def test_a_small_item_is_looked_up_with_what_is_held_since(store: SqliteStore, tmp_path: Path) -> None:
    """What is held is looked for again when another process wrote to the file, and not else."""
    account = store.create(ANNA, [make()])
    done(account, put("bob"))
    for _ in range(2):
        found = account.read_item(Home.CONTACTS, "friends", "bob")
        assert found is not None
        assert found[1] == b"body"
    with closing(SqliteStore(tmp_path)) as other:
        other.account(ANNA).hold({Kind.CONTACTS: "it is restored"})
    with pytest.raises(Held):
        account.read_item(Home.CONTACTS, "friends", "bob")


def test_a_work_sees_what_it_builds_on(store: SqliteStore) -> None:
    """The lineage and the ledger are those of the account, with what the work itself changed."""
    account = store.create(ANNA, [make()])
    seen: list[tuple[Lineage, dict[Kind, int]]] = []

    def look(transaction: Transaction) -> None:
        seen.append((transaction.lineage(), {kind: entry.count for kind, entry in transaction.ledger().items()}))

    done(account, look, put("bob"), look)
    with account.reading() as snapshot:
        lineage = snapshot.lineage()
    assert seen == [(lineage, {Kind.CONTACTS: 0}), (lineage, {Kind.CONTACTS: 1})]


def test_a_put_without_a_digest_is_refused(store: SqliteStore) -> None:
    """Nothing would prove the bytes."""
    account = store.create(ANNA, [make()])
    entry = Entry(Op.PUT, "test", Kind.CONTACTS, "friends", "bob", "bob", "text/vcard", None, 4)
    [verdict] = account.transact([lambda transaction: transaction.append(entry, b"body")])
    assert isinstance(verdict, ValueError)
    assert "digest" in str(verdict)


def test_projections_are_not_rebuilt_without_the_content(store: SqliteStore, tmp_path: Path) -> None:
    """That is damage, and the projections stay as they were."""
    account = store.create(ANNA, [make()])
    done(account, put("bob"), put("eve", b"other"))
    with closing(sqlite_files.connect(account_file(tmp_path))) as connection:
        connection.execute("DELETE FROM content WHERE digest = ?", (bytes.fromhex(digest_of(b"other")),))
    with pytest.raises(Damaged, match=digest_of(b"other")):
        account.rebuild(worded)
    with account.reading() as snapshot:
        assert names(snapshot) == ["bob", "eve"]


def test_bytes_without_words_are_supplied_too(store: SqliteStore, tmp_path: Path) -> None:
    """Their item gets its component, and nothing to search for."""
    body = b"x" * BLOB_OCTETS_MIN
    done(store.create(ANNA, [make()]), put("bob", body))
    with closing(SqliteStore(tmp_path / "other")) as other:
        without = [Carried(one.record) for one in carried(store.account(ANNA))]
        account = other.restore(ANNA, without, worded, may_lack=True)
        account.supply([body], lambda _home, _body: Index(component="VCARD"))
        with account.reading() as snapshot:
            assert list(snapshot.lacking()) == []
            assert snapshot.search_texts(friends(snapshot).id, []) in ([], [("bob", "")])


@pytest.mark.parametrize(
    ("error", "damage"),
    [
        (apsw.CorruptError(), True),
        (apsw.FullError(), False),
        (OSError(), False),
        (MemoryError(), False),
        (Forked("another story"), False),
        (Damaged("other bytes"), True),
        (StorageFault("no answer"), False),
        (UnicodeDecodeError("utf-8", b"", 0, 1, "odd"), True),
        (KeyboardInterrupt(), False),
    ],
)
def test_what_is_damage_and_what_is_not(error: BaseException, damage: bool) -> None:
    """Bytes that pass a page's checksum may still be odd enough to raise anything; a full disk says nothing of them."""
    assert is_damage(error) is damage


def test_a_file_that_cannot_be_opened_is_not_said_to_be_damaged(tmp_path: Path) -> None:
    """Here a folder has its name: nothing is known of the bytes."""
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(apsw.CantOpenError):
        prove_readable(tmp_path / "folder.db")


@pytest.mark.parametrize("change", [lambda octets: octets[:-1], lambda octets: octets + b"0" * 100])
def test_a_file_that_ends_within_a_page_is_damaged(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    """SQLite would take the rest of the page for zeros."""
    with closing(SqliteStore(tmp_path)) as store:
        store.create(ANNA, [])
    [path] = tmp_path.glob(f"accounts/??/{ANNA}.db")
    prove_readable(path)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(Damaged, match="whole page"):
        prove_readable(path)


def test_where_nobody_can_look_whether_an_account_was_moved_it_is_not_given_out(tmp_path: Path) -> None:
    """With too many open files, say: here a folder lies in the place of the word that tells."""
    with closing(SqliteStore(tmp_path)) as store:
        done(store.create(ANNA, [make()]))
        (tmp_path / "moves").unlink(missing_ok=True)
        (tmp_path / "moves").mkdir()
        with pytest.raises(StorageFault, match="was moved"):
            store.account(ANNA)


def test_only_this_store_has_rows_to_compare(store: SqliteStore) -> None:
    """Another engine is read by its contract alone."""
    memory = MemoryStore()
    done(memory.create(ANNA, [make()]), put("bob"))
    done(store.create(ANNA, [make()]), put("bob"))
    with reading_unproven(memory.account(ANNA)) as snapshot:
        assert projected_rows(snapshot, friends(snapshot).id) is None
    with reading_unproven(store.account(ANNA)) as snapshot:
        rows = projected_rows(snapshot, friends(snapshot).id)
        assert rows is not None
        assert len(list(rows)) == 1
