"""The suite that every storage engine passes: what `keepwell.storage.contract` promises, one fact a test.

An engine's test module makes a subclass of `StoreContract` with a `store` fixture.
"""

from __future__ import annotations

import threading
from itertools import pairwise

import msgspec
import pytest

from keepwell.model.errors import AlreadyThere, Damaged, Held, NotThere, PreconditionFailed
from keepwell.model.names import AccountId, Home, Kind, Lineage
from keepwell.model.record import GENESIS, Op, Record, check_link, digest_of, seal
from keepwell.storage.contract import (
    AccountStore,
    Carried,
    Collection,
    Entry,
    Head,
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


def drop(name: str = "friends") -> Work:
    return lambda transaction: transaction.append(Entry(Op.DROP, "test", Kind.CONTACTS, name))


def broken(records: list[Carried], fault: str) -> list[Carried]:
    """The records of an account, `make`, a put of b"2" and two more, with a fault in the third."""
    one = records[2].record
    rest = {
        "field": [Carried(msgspec.structs.replace(one, facts=msgspec.structs.replace(one.facts, by="me")), b"2")],
        "gap": records[3:],
        "fork": [Carried(resealed(one, prev=GENESIS), b"2")],
        "stranger": [Carried(resealed(one, account=BERT), b"2")],
        "bytes": [Carried(one, b"3")],
        "size": [Carried(resealed(one, size=2), b"2")],
        "no bytes": [Carried(one)],
        "nowhere": [Carried(resealed(one, collection="nowhere"), b"2")],
        "body": [records[2], Carried(records[3].record, b"2")],
    }[fault]
    return [*records[:2], *rest]


def carried(account: AccountStore, after: int = 0) -> list[Carried]:
    with account.reading() as snapshot:
        return list(snapshot.carried(after))


def worded(home: Home, body: bytes) -> Index:
    """An index that says where it was made from."""
    return Index(component=f"{home}", span_start=len(body), span_end=len(body) + 1, search_text=body[:9].hex())


def put_worded(name: str, body: bytes = b"body", collection: str = "friends") -> Work:
    return put(name, body, collection, index=worded(Home.CONTACTS, body))


def everything(account: AccountStore) -> object:
    """All that a snapshot can tell of the account's present and past."""
    with account.reading() as snapshot:
        collections = snapshot.collections()
        return (
            (snapshot.account(), snapshot.lineage(), snapshot.head(), snapshot.ledger(), collections),
            [list(snapshot.items_with_bodies(one.id)) for one in collections],
            [snapshot.changes(one.id, after, 99) for one in collections for after in range(snapshot.head().sequence)],
            [snapshot.in_span(one.id, SpanQuery()) for one in collections],
            [snapshot.search_texts(one.id, []) for one in collections],
            list(snapshot.carried()),
        )


def resealed(record: Record, **changes: object) -> Record:
    return seal(msgspec.structs.replace(record.facts, **changes))


LIVES = [
    [make("gone"), put_worded("old", b"old", "gone"), put_worded("older", b"x" * 200_000, "gone"), drop("gone")],
    [make("gone"), put_worded("new", b"old", "gone"), put_worded("bob"), put_worded("eve", b"y" * 200_000)],
    [put_worded("bob", b"better"), remove("eve"), put_worded("eve", b"back"), put_worded("zoe"), remove("zoe")],
    [
        lambda transaction: transaction.append(
            Entry(Op.SET, "test", Kind.CONTACTS, "friends", properties={"displayname": "Friends"})
        ),
        put_worded("same", b"better"),
    ],
    [lambda transaction: transaction.append(Entry(Op.OPEN, "test"))],
]
"""What happens to accounts that are carried over: of every operation one, bytes old, known, large, and come back."""


FAULTS = ["field", "gap", "fork", "stranger", "bytes", "size", "no bytes", "nowhere", "body"]


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

    def test_what_was_appended_is_told_with_new_bytes(self, account: AccountStore) -> None:
        """After the commit the records are told in order; bytes that were held already are not told again."""
        appended: list[Carried] = []
        account.transact([put("bob", b"1"), put("eve", b"1"), put("zoe", b"2"), remove("bob")], appended)
        assert [one.body for one in appended] == [b"1", None, b"2", None]
        account.transact([put("bob", b"2")], appended)
        assert appended[4].body is None
        with account.reading() as snapshot:
            assert [one.record for one in appended] == list(snapshot.records(1))

    def test_what_a_failed_work_appended_is_not_told(self, account: AccountStore) -> None:
        """Records that were undone are not among those that were appended, and their bytes count as new again."""

        def fail_late(transaction: Transaction) -> None:
            put("half", b"2")(transaction)
            raise PreconditionFailed("after a record")

        appended: list[Carried] = []
        account.transact([put("bob", b"1"), fail_late, put("eve", b"2"), fail_late], appended)
        assert [one.record.facts.name for one in appended] == ["bob", "eve"]
        assert appended[1].body == b"2"

    def test_the_journal_is_carried_with_its_bytes(self, account: AccountStore) -> None:
        """Each put brings its bytes, once; bytes from before the start of what is carried come again."""
        large = b"x" * 200_000
        done(account, put("bob", b"1"), put("eve", large), put("zoe", b"1"), remove("bob"), put("eve", b"2"))
        assert [one.body for one in carried(account)] == [None, b"1", large, None, None, b"2"]
        assert [one.body for one in carried(account, 3)] == [b"1", None, b"2"]
        with account.reading() as snapshot:
            assert [one.record for one in snapshot.carried()] == list(snapshot.records())

    def test_an_account_is_restored_as_it_was(self, store: Store) -> None:
        """A restored account tells what the first told, of every collection, item, change, index and record."""
        first = store.create(ANNA, [make()])
        for works in LIVES:
            done(first, *works)
        before, records = everything(first), carried(first)
        store.set_aside(ANNA)
        second = store.restore(ANNA, iter(records), worded)
        assert everything(second) == before
        assert store.accounts() == [ANNA]
        done(second, put("more"))

    def test_an_account_is_extended_as_it_went(self, store: Store) -> None:
        """An account that takes another's records in parts tells what the other tells, at every part."""
        first = store.create(ANNA, [make()])
        parts, states = [carried(first)], [everything(first)]
        for works in LIVES:
            sequence = len(carried(first))
            done(first, *works)
            parts.append(carried(first, sequence))
            states.append(everything(first))
        store.set_aside(ANNA)
        second = store.create(ANNA)
        for part, state in zip(parts, states, strict=True):
            second.extend(part, worded)
            assert everything(second) == state

    def test_an_account_without_records_is_restored_empty(self, store: Store) -> None:
        """From no record an account is made that has none."""
        assert carried(store.restore(ANNA, [], worded)) == []

    def test_extending_by_nothing_changes_nothing(self, account: AccountStore) -> None:
        """No records leave the account as it is."""
        before = everything(account)
        account.extend([], worded)
        assert everything(account) == before

    def test_only_an_empty_place_is_restored_into(self, store: Store) -> None:
        """An account that is there is not replaced."""
        account = store.create(ANNA, [make()])
        with pytest.raises(AlreadyThere):
            store.restore(ANNA, carried(account), worded)
        assert len(carried(account)) == 1

    @pytest.mark.parametrize("into", ["restored", "extended"])
    @pytest.mark.parametrize(
        "fault", ["field", "gap", "fork", "stranger", "bytes", "size", "no bytes", "nowhere", "body"]
    )
    def test_what_does_not_prove_itself_is_not_taken(self, store: Store, into: str, fault: str) -> None:
        """A record that is broken, out of order, of another account or without its bytes is refused with all others."""
        first = store.create(ANNA, [make()])
        done(first, put("bob", b"1"), put("eve", b"2"), remove("eve"))
        records = carried(first)
        records = broken(records, fault)
        store.set_aside(ANNA)
        if into == "restored":
            with pytest.raises(Damaged):
                store.restore(ANNA, records, worded)
            assert store.accounts() == []
        else:
            second = store.create(ANNA)
            with pytest.raises(Damaged):
                second.extend(records, worded)
            assert carried(second) == []
            second.extend(records[:2], worded)
            assert len(carried(second)) == 2

    @pytest.mark.parametrize("fault", ["gap", "fork", "stranger", "size", "no bytes", "nowhere"])
    def test_what_was_proven_to_be_itself_must_fit_all_the_same(self, store: Store, fault: str) -> None:
        """Of a record whose hashes the reader has proven already, the store proves everything else."""
        first = store.create(ANNA, [make()])
        done(first, put("bob", b"1"), put("eve", b"2"), remove("eve"))
        records = [msgspec.structs.replace(one, proven=True) for one in carried(first)]
        wrong = [msgspec.structs.replace(one, proven=True) for one in broken(records, fault)]
        store.set_aside(ANNA)
        with pytest.raises(Damaged):
            store.restore(ANNA, wrong, worded)
        assert store.accounts() == []
        assert carried(store.restore(ANNA, records, worded)) == [
            msgspec.structs.replace(one, proven=False) for one in records
        ]

    def test_bytes_that_nothing_brings_are_lacking_until_they_are_supplied(self, store: Store) -> None:
        """Records may come before their bytes; with the bytes the account is what it would have been."""
        large = b"x" * 200_000
        first = store.create(ANNA, [make()])
        done(first, put_worded("bob", large), put_worded("eve", b"2"), put_worded("zoe", b"3"), remove("zoe"))
        before, records = everything(first), carried(first)
        store.set_aside(ANNA)
        without = [Carried(one.record, b"2" if one.body == b"2" else None) for one in records]
        second = store.restore(ANNA, without, worded, may_lack=True)
        with second.reading() as snapshot:
            # An engine that keeps large bytes beside the accounts has them still.
            assert {digest_of(b"3")} <= set(snapshot.lacking()) <= {digest_of(b"3"), digest_of(large)}
            assert [item.name for item, _ in snapshot.items_with_bodies(friends(snapshot).id, ["eve"])] == ["eve"]
        second.supply([large, b"3", b"what no record names"], worded)
        assert everything(second) == before
        assert carried(second) == records
        with second.reading() as snapshot:
            assert list(snapshot.lacking()) == []
            assert snapshot.content(digest_of(b"what no record names")) is None

    def test_bytes_that_are_lacking_are_not_taken_for_there(self, store: Store) -> None:
        """Whoever reads or carries bytes that never came back is told, and gets nothing in their place."""
        first = store.create(ANNA, [make()])
        done(first, put("bob", b"1"))
        records = carried(first)
        store.set_aside(ANNA)
        second = store.restore(ANNA, [Carried(one.record) for one in records], worded, may_lack=True)
        with second.reading() as snapshot:
            with pytest.raises(Damaged):
                snapshot.content(digest_of(b"1"))
            with pytest.raises(Damaged):
                list(snapshot.items_with_bodies(friends(snapshot).id))
            with pytest.raises(Damaged):
                list(snapshot.carried())

    def test_a_put_of_bytes_that_are_lacking_brings_them(self, store: Store) -> None:
        """When a device puts them again, they are there, for every record that names them."""
        for body in (b"1", b"x" * 200_000):
            first = store.create(ANNA, [make()])
            done(first, put("bob", body))
            records = carried(first)
            store.set_aside(ANNA)
            second = store.restore(ANNA, [Carried(one.record) for one in records], worded, may_lack=True)
            done(second, put("eve", body))
            with second.reading() as snapshot:
                assert [found for _, found in snapshot.items_with_bodies(friends(snapshot).id)] == [body, body]
            store.set_aside(ANNA)

    def test_the_lineage_becomes_that_of_the_last_record(self, account: AccountStore) -> None:
        """A history that began anew goes on anew: what is appended after it is of its lineage."""
        with account.reading() as snapshot:
            before = list(snapshot.records())[-1]
        facts = before.facts
        one = resealed(before, seq=facts.seq + 1, prev=before.hash, op=Op.SET, lineage="another")
        account.extend([Carried(one)], worded)
        done(account, put("bob"))
        with account.reading() as snapshot:
            assert snapshot.lineage() == "another"
            assert [record.facts.lineage for record in snapshot.records(1)] == ["another", "another"]

    def test_kinds_are_held_until_they_are_let_go(self, account: AccountStore) -> None:
        """Which kinds are not whole stays known, with the reason, and moves the version."""
        with account.reading() as snapshot:
            assert snapshot.held() == {}
        first = account.version()
        account.hold({Kind.CONTACTS: "three items are lost"})
        assert account.version() != first
        done(account, put("bob"))
        with account.reading() as snapshot:
            assert snapshot.held() == {Kind.CONTACTS: "three items are lost"}
        account.hold({})
        with account.reading() as snapshot:
            assert snapshot.held() == {}

    def test_an_item_of_a_held_kind_is_not_read(self, account: AccountStore) -> None:
        """Reading one item, there or not, is refused while its kind is held; other homes are read as ever."""
        done(account, put("bob"))
        account.hold({Kind.CONTACTS: "three items are lost"})
        for collection, name in (("friends", "bob"), ("friends", "eve"), ("strangers", "bob")):
            with pytest.raises(Held, match="three items are lost"):
                account.read_item(Home.CONTACTS, collection, name)
        assert account.read_item(Home.CALENDARS, "work", "bob") is None
        account.hold({})
        assert account.read_item(Home.CONTACTS, "friends", "bob") is not None

    def test_a_new_lineage_begins_with_a_record_that_says_why(self, account: AccountStore) -> None:
        """The record that begins it is of it, the chain goes on, and so is what is appended later."""
        done(account, put("bob"))
        lineage = Lineage("another")
        why = {"cause": "history went back"}
        done(account, lambda transaction: transaction.begin_lineage(lineage, "keepwell", why), put("eve"))
        done(account, put("zoe"))
        with account.reading() as snapshot:
            assert snapshot.lineage() == lineage
            records = list(snapshot.records())
            assert names(snapshot) == ["bob", "eve", "zoe"]
        assert [one.facts.lineage == lineage for one in records] == [False, False, True, True, True]
        assert (records[2].facts.op, records[2].facts.by, records[2].facts.properties) == (Op.OPEN, "keepwell", why)
        for before, record in pairwise(records):
            check_link(before, record)

    def test_a_lineage_that_a_failed_work_began_is_forgotten(self, account: AccountStore) -> None:
        """A work that raises leaves the lineage as it was, for the works after it too."""
        with account.reading() as snapshot:
            before = snapshot.lineage()

        def fail(transaction: Transaction) -> None:
            transaction.begin_lineage(Lineage("another"), "keepwell", {})
            raise NotThere("no")

        assert isinstance(account.transact([fail, put("bob")])[0], NotThere)
        with account.reading() as snapshot:
            assert snapshot.lineage() == before
            assert {record.facts.lineage for record in snapshot.records()} == {before}

    def test_an_account_that_is_set_aside_is_not_there(self, store: Store) -> None:
        """What was set aside is no account any more, and its place is free; each time it is kept under another name."""
        store.create(BERT)
        names = set()
        for _ in range(3):
            done(store.create(ANNA, [make()]), put("bob"))
            names.add(store.set_aside(ANNA))
            assert store.accounts() == [BERT]
            with pytest.raises(NotThere):
                store.account(ANNA)
        assert len(names) == 3
        with pytest.raises(NotThere):
            store.set_aside(ANNA)

    def test_what_is_held_of_an_account_is_read_without_opening_it(self, store: Store) -> None:
        """As a snapshot of it says; of an account that is not there, that it is not."""
        store.create(ANNA).hold({Kind.CONTACTS: "three items are lost"})
        store.create(BERT)
        assert store.read_held(ANNA) == {Kind.CONTACTS: "three items are lost"}
        assert store.read_held(BERT) == {}
        store.set_aside(BERT)
        with pytest.raises(NotThere):
            store.read_held(BERT)

    def test_the_heads_of_all_accounts(self, store: Store) -> None:
        """Every account's head is read, in order, also of those that are open or empty."""
        done(store.create(BERT, [make()]), put("bob"))
        store.create(ANNA)
        with store.account(BERT).reading() as snapshot:
            assert [(one, head) for one, head in store.read_heads()] == [
                (ANNA, Head(0, GENESIS)),
                (BERT, snapshot.head()),
            ]

    def test_erased_bytes_are_gone_and_their_records_stay(self, store: Store) -> None:
        """The chain, the ledger and what has other bytes are as before; what was erased is told from what was lost."""
        account = store.create(ANNA, [make(), put("bob", b"secret"), put("bob", b"new"), put("eve", b"of eve")])
        before = [one.record for one in carried(account)]
        assert account.erase(4, [digest_of(b"secret")]) == [digest_of(b"secret")]
        with account.reading() as snapshot:
            assert snapshot.content(digest_of(b"secret")) is None
            assert snapshot.is_erased(digest_of(b"secret"))
            assert not snapshot.is_erased(digest_of(b"new"))
            assert not snapshot.is_erased(digest_of(b"never there"))
            assert [(one.record, one.body, one.erased) for one in snapshot.carried()] == [
                (before[0], None, False),
                (before[1], None, True),
                (before[2], b"new", False),
                (before[3], b"of eve", False),
            ]

    def test_erasing_again_is_the_same(self, store: Store) -> None:
        """It may be called again after a crash, and for what is not there."""
        account = store.create(ANNA, [make(), put("bob", b"secret"), put("bob", b"new")])
        for _ in range(2):
            assert account.erase(3, [digest_of(b"secret")]) == [digest_of(b"secret")]

    def test_bytes_that_an_item_has_are_never_erased(self, store: Store) -> None:
        """Whatever is asked, also when they are those of an older version too."""
        account = store.create(ANNA, [make(), put("bob", b"secret"), put("bob", b"new"), put("eve", b"secret")])
        assert account.erase(4, [digest_of(b"secret"), digest_of(b"new")]) == []
        with account.reading() as snapshot:
            assert [body for _item, body in snapshot.items_with_bodies(friends(snapshot).id)] == [b"new", b"secret"]

    def test_bytes_that_came_again_later_are_not_erased(self, store: Store) -> None:
        """A record behind the last one that was asked about names them, though no item has them any more."""
        account = store.create(ANNA, [make(), put("bob", b"secret"), put("bob", b"new"), put("bob", b"secret")])
        done(account, put("bob", b"new"))
        assert account.erase(3, [digest_of(b"secret")]) == []
        assert account.erase(4, [digest_of(b"secret")]) == [digest_of(b"secret")]

    def test_bytes_of_nothing_are_not_erased(self, store: Store) -> None:
        """There is nothing in them to erase."""
        account = store.create(ANNA, [make(), put("bob", b""), put("bob", b"new")])
        account.erase(3, [digest_of(b"")])
        with account.reading() as snapshot:
            assert snapshot.content(digest_of(b"")) == b""
            assert not snapshot.is_erased(digest_of(b""))

    @pytest.mark.parametrize("body", [b"secret", b"s" * 200_000], ids=["small", "large"])
    def test_erased_bytes_may_come_again(self, store: Store, body: bytes) -> None:
        """A device puts them again: they are kept, and shipped with that record."""
        account = store.create(ANNA, [make(), put("bob", body), put("bob", b"new")])
        account.erase(3, [digest_of(body)])
        appended: list[Carried] = []
        [refused] = account.transact(
            [
                lambda transaction: transaction.append(
                    Entry(Op.PUT, "test", Kind.CONTACTS, "friends", "x", "", "", digest_of(body), 1)
                )
            ]
        )
        assert isinstance(refused, ValueError)
        account.transact([put("bob", body)], appended)
        assert [one.body for one in appended] == [body]
        with account.reading() as snapshot:
            assert snapshot.content(digest_of(body)) == body
            assert not snapshot.is_erased(digest_of(body))

    @pytest.mark.parametrize("body", [b"secret", b"s" * 200_000], ids=["small", "large"])
    @pytest.mark.parametrize("again", [True, False], ids=["came again", "gone"])
    def test_what_was_erased_is_carried_over_as_erased(self, store: Store, body: bytes, again: bool) -> None:
        """Into a new place and behind records that are there: nothing of it is missed, and what came again is there."""
        works = [put_worded("bob", body), put_worded("bob", b"new"), put_worded("eve", body), remove("eve")]
        account = store.create(ANNA, [make(), *works])
        account.erase(5, [digest_of(body)])
        lines = carried(account)
        if again:
            done(account, put_worded("bob", body))
            lines = [*lines, *carried(account, len(lines))]
        before = everything(account)
        store.set_aside(ANNA)
        assert everything(store.restore(ANNA, lines, worded)) == before
        store.set_aside(ANNA)
        extended = store.create(ANNA)
        extended.extend(lines, worded)
        with extended.reading() as snapshot:
            assert snapshot.is_erased(digest_of(body)) is not again
            assert snapshot.head() == account_head(lines)

    def test_a_put_whose_bytes_are_missing_is_no_erased_one(self, store: Store) -> None:
        """Only what says that it was erased is taken without bytes."""
        account = store.create(ANNA, [make(), put("bob", b"secret"), put("bob", b"new")])
        lines = [Carried(one.record) for one in carried(account)]
        store.set_aside(ANNA)
        with pytest.raises(Damaged):
            store.restore(ANNA, lines, worded)


def account_head(lines: list[Carried]) -> Head:
    return Head(lines[-1].record.facts.seq, lines[-1].record.hash)
