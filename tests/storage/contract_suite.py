"""The suite that every storage engine passes: what `keepwell.storage.contract` promises, one fact a test.

An engine's test module makes a subclass of `StoreContract` with a `store` fixture.
"""

from __future__ import annotations

import threading

import pytest

from keepwell.model.errors import AlreadyThere, NotThere, PreconditionFailed
from keepwell.model.names import AccountId, Home, Kind
from keepwell.model.record import GENESIS, Op, check_link, digest_of
from keepwell.storage.contract import (
    AccountStore,
    Collection,
    Entry,
    Index,
    Snapshot,
    SpanQuery,
    Store,
    Transaction,
    Work,
)

ANNA = AccountId("a_annaannaannaanna")
BERT = AccountId("a_bertbertbertbert")


def make(name: str = "friends", kind: Kind = Kind.CONTACTS) -> Work:
    return lambda transaction: transaction.append(Entry(Op.MAKE, "test", kind, name, properties={"displayname": name}))


def put(name: str, body: bytes = b"body", collection: str = "friends", *, index: Index | None = None) -> Work:
    entry = Entry(
        Op.PUT, "test", Kind.CONTACTS, collection, name, f"uid-{name}", "text/vcard", digest_of(body), len(body)
    )
    return lambda transaction: transaction.append(entry, body, index or Index())


def remove(name: str) -> Work:
    return lambda transaction: transaction.append(Entry(Op.REMOVE, "test", Kind.CONTACTS, "friends", name))


def friends(snapshot: Snapshot) -> Collection:
    found = snapshot.collection(Home.CONTACTS, "friends")
    assert found is not None
    return found


def names(snapshot: Snapshot) -> list[str]:
    return [item.name for item in snapshot.items(friends(snapshot).id)]


def done(account: AccountStore, *works: Work) -> None:
    for verdict in account.transact(works):
        assert not isinstance(verdict, BaseException), verdict


class StoreContract:
    """Subclass this with a fixture `store` that gives an empty store."""

    @pytest.fixture
    def account(self, store: Store) -> AccountStore:
        return store.create(ANNA, [make()])

    def test_accounts_are_listed_in_order_and_found(self, store: Store) -> None:
        """An account that was created is listed and can be opened."""
        store.create(BERT)
        store.create(ANNA)
        assert store.accounts() == [ANNA, BERT]
        with store.account(BERT).reading() as snapshot:
            assert snapshot.account() == BERT

    def test_an_unknown_account_is_not_there(self, store: Store) -> None:
        """Asking for an account that was never created raises NotThere."""
        with pytest.raises(NotThere):
            store.account(ANNA)

    def test_an_account_is_created_once(self, store: Store) -> None:
        """A second creation is refused and leaves the first as it was."""
        done(store.create(ANNA, [make()]), put("bob"))
        with pytest.raises(AlreadyThere):
            store.create(ANNA)
        with store.account(ANNA).reading() as snapshot:
            assert names(snapshot) == ["bob"]

    def test_a_creation_whose_work_fails_leaves_no_account(self, store: Store) -> None:
        """Creation is whole or not at all."""

        def fail(_transaction: Transaction) -> None:
            raise PreconditionFailed("no")

        with pytest.raises(PreconditionFailed):
            store.create(ANNA, [make(), fail])
        assert store.accounts() == []
        store.create(ANNA)

    def test_an_empty_account_has_an_empty_journal(self, store: Store) -> None:
        """Before the first record the head is sequence 0 and sixty-four zeros."""
        with store.create(ANNA).reading() as snapshot:
            assert (snapshot.head().sequence, snapshot.head().hash) == (0, GENESIS)
            assert snapshot.ledger() == {}
            assert snapshot.collections() == []

    def test_lineages_differ(self, store: Store) -> None:
        """Every account has a lineage of its own."""
        with store.create(ANNA).reading() as one, store.create(BERT).reading() as other:
            assert one.lineage() != other.lineage()

    def test_what_was_put_comes_back(self, account: AccountStore) -> None:
        """An item has the bytes, digest, size and media type that were put."""
        body = bytes(range(256))
        done(account, put("bob", body))
        with account.reading() as snapshot:
            found = snapshot.item_with_body(friends(snapshot).id, "bob")
            assert found is not None
            item, got = found
            assert got == body
            assert (item.digest, item.size, item.uid) == (digest_of(body), 256, "uid-bob")
            assert item.created == item.modified

    def test_large_bytes_come_back(self, account: AccountStore) -> None:
        """Bytes too large for the account's own file come back too, also by digest."""
        body = b"x" * 1_000_000
        done(account, put("photo", body))
        with account.reading() as snapshot:
            assert snapshot.content(digest_of(body)) == body
            assert next(snapshot.items_with_bodies(friends(snapshot).id))[1] == body

    def test_the_journal_is_a_chain(self, account: AccountStore) -> None:
        """Records are numbered without gaps and each follows the one before."""
        done(account, put("bob"), put("eve"), remove("bob"), put("bob", b"again"))
        with account.reading() as snapshot:
            before = None
            for number, record in enumerate(snapshot.records(), 1):
                assert record.facts.seq == number
                check_link(before, record)
                before = record
            assert before is not None
            assert snapshot.head().hash == before.hash
            assert [one.facts.seq for one in snapshot.records(3)] == [4, 5]

    def test_records_of_one_collection(self, account: AccountStore) -> None:
        """The journal of one collection name leaves out the same name in another home."""
        done(account, make("friends", Kind.CALENDAR), put("bob"))
        with account.reading() as snapshot:
            found = [one.facts.seq for one in snapshot.records(collection=(Home.CONTACTS, "friends"))]
            assert found == [1, 3]

    def test_a_failed_work_leaves_no_trace(self, account: AccountStore) -> None:
        """What a work appended before it failed is gone; the works beside it are not."""

        def fail_late(transaction: Transaction) -> None:
            put("half")(transaction)
            make("other")(transaction)
            raise PreconditionFailed("after two records")

        verdicts = account.transact([put("bob"), fail_late, put("eve")])
        assert isinstance(verdicts[1], PreconditionFailed)
        with account.reading() as snapshot:
            assert names(snapshot) == ["bob", "eve"]
            assert snapshot.head().sequence == 3
            assert snapshot.ledger()[Kind.CONTACTS].count == 2
            assert snapshot.collection(Home.CONTACTS, "other") is None

    def test_works_see_the_works_before_them(self, account: AccountStore) -> None:
        """Within a batch a work sees what the works before it did."""
        seen = account.transact([put("bob"), lambda transaction: names(transaction)])
        assert seen[1] == ["bob"]

    def test_a_snapshot_does_not_change(self, account: AccountStore) -> None:
        """What is written while a snapshot is open is not in it."""
        with account.reading() as snapshot:
            assert names(snapshot) == []
            done(account, put("bob"))
            assert names(snapshot) == []
        with account.reading() as snapshot:
            assert names(snapshot) == ["bob"]

    def test_snapshots_on_many_threads(self, account: AccountStore) -> None:
        """Threads read and write at once; every snapshot holds together."""
        failures: list[str] = []

        def read() -> None:
            for _ in range(30):
                with account.reading() as snapshot:
                    if len(names(snapshot)) != friends(snapshot).count:
                        failures.append("count differs from items")

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for number in range(60):
            done(account, put(f"{number}"))
        for thread in threads:
            thread.join()
        assert failures == []

    def test_the_version_moves_with_every_commit(self, account: AccountStore) -> None:
        """A commit changes the version; reading does not."""
        first = account.version()
        with account.reading() as snapshot:
            names(snapshot)
        assert account.version() == first
        done(account, put("bob"))
        assert account.version() != first

    def test_counts_and_octets(self, account: AccountStore) -> None:
        """A collection counts its items and their bytes through puts, replacements and removals."""
        done(account, put("bob", b"12345"), put("eve", b"123"), put("bob", b"1"), remove("eve"))
        with account.reading() as snapshot:
            assert (friends(snapshot).count, friends(snapshot).octets) == (1, 1)
            assert friends(snapshot).sequence == snapshot.head().sequence

    def test_the_ledger_does_not_depend_on_the_way(self, store: Store) -> None:
        """Two accounts that hold the same items have the same count and set-hash, whatever happened before."""
        one, other = store.create(ANNA, [make()]), store.create(BERT, [make()])
        done(one, put("bob", b"1"), put("eve", b"2"), remove("bob"), put("bob", b"3"))
        done(other, put("bob", b"3"), put("eve", b"2"))
        with one.reading() as here, other.reading() as there:
            mine, theirs = here.ledger()[Kind.CONTACTS], there.ledger()[Kind.CONTACTS]
            assert (mine.count, mine.set_hash) == (theirs.count, theirs.set_hash)
            assert mine.set_hash != 0

    def test_a_put_keeps_when_the_item_was_created(self, account: AccountStore) -> None:
        """Replacing an item moves `modified`, not `created`; removing and putting begins anew."""
        done(account, put("bob", b"1"))
        done(account, put("bob", b"2"))
        with account.reading() as snapshot:
            records = list(snapshot.records())
            item = snapshot.item(friends(snapshot).id, "bob")
            assert item is not None
            assert (item.created, item.modified) == (records[1].facts.at, records[2].facts.at)

    def test_properties_are_kept_whole(self, account: AccountStore) -> None:
        """`set` replaces a collection's properties; an item's come with its put."""
        done(
            account,
            lambda transaction: transaction.append(
                Entry(Op.SET, "test", Kind.CONTACTS, "friends", properties={"{x:}colour": "<colour/>"})
            ),
        )
        with account.reading() as snapshot:
            assert friends(snapshot).properties == {"{x:}colour": "<colour/>"}

    def test_dropping_removes_items_but_not_history(self, account: AccountStore) -> None:
        """A dropped collection is gone with its items; its records and bytes stay; made again it is another one."""
        done(account, put("bob", b"bytes"))
        with account.reading() as snapshot:
            old = friends(snapshot).id
        done(account, lambda transaction: transaction.append(Entry(Op.DROP, "test", Kind.CONTACTS, "friends")))
        with account.reading() as snapshot:
            assert snapshot.collection(Home.CONTACTS, "friends") is None
            assert snapshot.ledger()[Kind.CONTACTS].count == 0
            assert snapshot.ledger()[Kind.CONTACTS].set_hash == 0
            assert snapshot.content(digest_of(b"bytes")) == b"bytes"
        done(account, make())
        with account.reading() as snapshot:
            assert friends(snapshot).id != old
            assert names(snapshot) == []

    def test_changes_since_a_sequence(self, account: AccountStore) -> None:
        """A sync answer names what changed, removals included, in order of the last change."""
        done(account, put("a"), put("b"), put("c"))
        with account.reading() as snapshot:
            start = snapshot.head().sequence
        done(account, put("d"), remove("b"), put("a", b"new"))
        with account.reading() as snapshot:
            found = snapshot.changes(friends(snapshot).id, start, 10)
            assert [(one.name, one.item is None) for one in found] == [("d", False), ("b", True), ("a", False)]
            assert [one.name for one in snapshot.changes(friends(snapshot).id, start, 2)] == ["d", "b"]

    def test_what_came_and_went_is_no_change(self, account: AccountStore) -> None:
        """An item that was not there and is not there is not reported, however often it was."""
        done(account, put("a"))
        with account.reading() as snapshot:
            start = snapshot.head().sequence
        done(account, put("b"), remove("b"), put("b"), remove("b"))
        with account.reading() as snapshot:
            assert snapshot.changes(friends(snapshot).id, start, 10) == []

    def test_what_went_came_and_went_is_a_removal(self, account: AccountStore) -> None:
        """An item that was there at the token and lived twice since is reported as removed."""
        done(account, put("a"))
        with account.reading() as snapshot:
            start = snapshot.head().sequence
        done(account, remove("a"), put("a"), remove("a"))
        with account.reading() as snapshot:
            found = snapshot.changes(friends(snapshot).id, start, 10)
            assert [(one.name, one.item) for one in found] == [("a", None)]

    def test_from_the_beginning_there_are_no_removals(self, account: AccountStore) -> None:
        """An initial sync names what is there and nothing else."""
        done(account, put("a"), put("b"), remove("a"))
        with account.reading() as snapshot:
            found = snapshot.changes(friends(snapshot).id, 0, 10)
            assert [one.name for one in found] == ["b"]

    def test_changes_page_without_loss(self, account: AccountStore) -> None:
        """Pages of any size, each continuing after the last sequence of the one before, give everything once."""
        done(account, *[put(f"{number}") for number in range(20)], *[remove(f"{number}") for number in range(5)])
        with account.reading() as snapshot:
            for limit in (1, 3, 7):
                after, found = 0, []
                while page := snapshot.changes(friends(snapshot).id, after, limit):
                    assert len(page) <= limit
                    found += [one.name for one in page if one.item is not None]
                    after = page[-1].sequence
                assert sorted(found) == sorted(f"{number}" for number in range(5, 20))

    def test_items_by_name(self, account: AccountStore) -> None:
        """Items come by name, once each, and names that are not there are left out."""
        done(account, put("b"), put("a"), put("c"))
        with account.reading() as snapshot:
            number = friends(snapshot).id
            assert [one.name for one, _ in snapshot.items_with_bodies(number, ["c", "x", "a", "c"])] == ["a", "c"]
            assert list(snapshot.items_with_bodies(number, [])) == []

    def test_the_holder_of_a_uid(self, account: AccountStore) -> None:
        """A UID is found while its item is there, and no item has the empty one."""
        done(account, put("bob"))
        with account.reading() as snapshot:
            holder = snapshot.uid_holder(friends(snapshot).id, "uid-bob")
            assert holder is not None
            assert holder.name == "bob"
            assert snapshot.uid_holder(friends(snapshot).id, "") is None
        done(account, remove("bob"))
        with account.reading() as snapshot:
            assert snapshot.uid_holder(friends(snapshot).id, "uid-bob") is None

    def test_spans_overlap_strictly(self, account: AccountStore) -> None:
        """A span is found when it overlaps; touching is not overlapping; a removed item has none."""
        done(
            account,
            put("early", index=Index("VEVENT", 100, 200, True)),
            put("late", index=Index("VEVENT", 200, 300, False)),
            put("task", index=Index("VTODO", 150, 250, True)),
            put("gone", index=Index("VEVENT", 100, 300, True)),
            put("none"),
            remove("gone"),
        )
        with account.reading() as snapshot:
            number = friends(snapshot).id
            events = snapshot.in_span(number, SpanQuery("VEVENT", 200, 250))
            assert [(item.name, exact) for item, exact in events] == [("late", False)]
            assert [item.name for item, _ in snapshot.in_span(number, SpanQuery())] == ["early", "late", "task"]

    def test_search_texts(self, account: AccountStore) -> None:
        """Items are found by a part of their search text, any of several, or all."""
        done(
            account,
            put("bob", b"1", index=Index(search_text="FN:bob\nEMAIL:b@x")),
            put("eve", b"2", index=Index(search_text="FN:eve")),
        )
        with account.reading() as snapshot:
            number = friends(snapshot).id
            assert snapshot.search_texts(number, ["bob"]) == [("bob", "FN:bob\nEMAIL:b@x")]
            assert len(snapshot.search_texts(number, ["b@x", "eve"])) == 2
            assert len(snapshot.search_texts(number, [])) == 2
            assert snapshot.search_texts(number, ["nobody"]) == []

    def test_the_sequence_at_a_moment(self, account: AccountStore) -> None:
        """A moment stands for the last record not after it."""
        done(account, put("bob"))
        with account.reading() as snapshot:
            moments = [record.facts.at for record in snapshot.records()]
            assert snapshot.sequence_at(moments[-1]) == 2
            assert snapshot.sequence_at("2000-01-01") == 0

    def test_a_put_into_nothing_is_refused(self, account: AccountStore) -> None:
        """A record that no projection can take is not appended."""
        verdicts = account.transact([put("bob", collection="nowhere"), remove("nobody")])
        assert [type(verdict) for verdict in verdicts] == [ValueError, ValueError]
        with account.reading() as snapshot:
            assert snapshot.head().sequence == 1

    def test_a_put_without_bytes_needs_known_ones(self, account: AccountStore) -> None:
        """Bytes that are held need not be given again; others must."""
        done(account, put("bob", b"known"))
        again = Entry(Op.PUT, "test", Kind.CONTACTS, "friends", "copy", "", "", digest_of(b"known"), 5)
        unknown = Entry(Op.PUT, "test", Kind.CONTACTS, "friends", "none", "", "", digest_of(b"other"), 5)
        verdicts = account.transact([lambda t: t.append(again), lambda t: t.append(unknown)])
        assert isinstance(verdicts[1], ValueError)
        with account.reading() as snapshot:
            assert names(snapshot) == ["bob", "copy"]
