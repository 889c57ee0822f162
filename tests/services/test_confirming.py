"""Confirming: nothing is a yes that the vault has not; and what happens when the vault is gone, slow, or another's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prove.s3 import S3Server

from keepwell.model.errors import PreconditionFailed, StorageFault, Unavailable
from keepwell.model.record import digest_of
from keepwell.services.catch_up import CaughtUp
from keepwell.services.tending import Tending
from keepwell.services.vault_link import WAITING_SECONDS, always_compare
from keepwell.services.vault_settings import Role
from keepwell.storage.memory import MemoryStore
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.folder_medium import FolderMedium
from keepwell.vault.layout import PACKS, TAILS, epoch_name
from keepwell.vault.media import open_medium
from keepwell.vault.medium import Medium
from keepwell.vault.memory_medium import MemoryMedium
from tests.services.vault_desk import (
    ANNA,
    BERT,
    OTHER,
    Desk,
    establish,
    folder,
    gone,
    looked_at,
    make,
    names_in,
    nothing,
    put,
    reads,
)
from tests.storage.contract_suite import names
from tests.support.clock import SeededEntropy


def medium_with(appends: bool) -> MemoryMedium:
    medium = MemoryMedium(appends=appends)
    establish(medium)
    return medium


@pytest.fixture(params=[True, False], ids=["folder-like", "bucket-like"])
def medium(request: pytest.FixtureRequest) -> MemoryMedium:
    return medium_with(request.param)


@pytest.fixture
def desk(medium: MemoryMedium) -> Iterator[Desk]:
    made = Desk([medium]).open()
    yield made
    made.close()


def test_when_a_write_is_answered_the_vault_has_it(desk: Desk, medium: MemoryMedium) -> None:
    """At the moment of the yes whoever opens the vault reads the record and its bytes."""
    for number in range(5):
        desk.write(put(f"{number}"))
        assert names_in(medium) == [str(one) for one in range(number + 1)]


def test_a_refused_write_leaves_nothing_in_the_vault(desk: Desk, medium: MemoryMedium) -> None:
    """What a work undid was never shipped."""

    def fail(transaction: object) -> None:
        put("half")(transaction)  # type: ignore[arg-type]
        raise Unavailable("no")

    with pytest.raises(Unavailable, match="no"):
        desk.write(fail)
    desk.write(put("whole"))
    assert names_in(medium) == ["whole"]


def test_large_bytes_are_confirmed_as_blobs(desk: Desk, medium: MemoryMedium) -> None:
    """Bytes of 128 KiB and more lie in the vault under their digest before the yes."""
    desk.write(put("photo", b"x" * 200_000))
    assert names_in(medium) == ["photo"]
    assert [info.size for info in medium.list("blobs/")] == [200_000]


def test_an_account_that_another_process_wrote_is_confirmed_without_a_gap(desk: Desk, medium: MemoryMedium) -> None:
    """Records that came past this process (a command beside the server) are in the vault before the next yes."""
    desk.write(put("first"))
    desk.store.account(ANNA).transact([put("by another process")])
    desk.write(put("second"))
    assert names_in(medium) == ["first", "by another process", "second"]


def test_a_new_account_is_confirmed_by_a_work_that_does_nothing(desk: Desk, medium: MemoryMedium) -> None:
    """Its first records came without the writers, and are in the vault when the empty work is answered."""
    desk.store.create(BERT, [make(), put("there from the start")])
    desk.writers.submit(BERT, reads).result()
    assert names_in(medium, BERT) == ["there from the start"]


def test_with_the_vault_gone_a_write_is_answered_503_and_the_next_begins_not(desk: Desk, medium: MemoryMedium) -> None:
    """The first is unknown, as it was committed here; what comes after changes nothing."""
    desk.write(put("before"))
    medium.before = gone()
    with pytest.raises(Unavailable) as refused:
        desk.write(put("unknown"))
    assert refused.value.retry_after_seconds > 0
    with pytest.raises(Unavailable, match="no write is taken now"):
        desk.write(put("after"))
    with desk.store.account(ANNA).reading() as snapshot:
        assert [one.facts.name for one in snapshot.records(1)] == ["before", "unknown"]


def test_when_the_vault_is_back_it_gets_what_it_missed_before_the_next_write(desk: Desk, medium: MemoryMedium) -> None:
    """Reopening ships what was committed and not confirmed; then writes are taken again."""
    medium.before = gone()
    with pytest.raises(Unavailable):
        desk.write(put("unknown"))
    with pytest.raises(StorageFault):
        desk.links[0].reopen()
    medium.before = nothing
    desk.links[0].reopen()
    assert names_in(medium) == ["unknown"]
    desk.write(put("after"))
    assert names_in(medium) == ["unknown", "after"]


@pytest.mark.parametrize("lost", ["append", "create"])
def test_an_answer_of_the_vault_that_is_lost_is_no_yes(desk: Desk, medium: MemoryMedium, lost: str) -> None:
    """The medium did it and its answer was lost: nobody is told yes, and nothing is there twice afterwards."""
    desk.write(put("before"))

    def lose(operation: str, _name: str) -> None:
        if operation == lost:
            raise StorageFault("the answer was lost")

    medium.after = lose
    if (lost == "append") is not bool(list(medium.list(TAILS))):
        return  # this sort of medium does not do that
    with pytest.raises(Unavailable):
        desk.write(put("unknown"))
    medium.after = nothing
    desk.links[0].reopen()
    desk.write(put("after"))
    assert names_in(medium) == ["before", "unknown", "after"]


def test_what_a_failed_sync_confirmed_is_shipped_in_packs(medium: MemoryMedium) -> None:
    """After a failed append the tail counts for nothing: all that it held is in packs when writes are taken again."""
    desk = Desk([medium]).open()
    desk.write(put("in the tail"))
    medium.before = gone(("append", "create"))
    with pytest.raises(Unavailable):
        desk.write(put("unknown"))
    medium.before = nothing
    desk.links[0].reopen()
    for info in list(medium.list(TAILS)):
        medium.remove(info.name)
    assert names_in(medium) == ["in the tail", "unknown"]
    desk.close()


def test_a_vault_that_follows_gets_nothing_that_is_not_confirmed(medium: MemoryMedium) -> None:
    """Were the store lost, the record that only it had would contradict what is acknowledged after."""
    far = medium_with(appends=False)
    desk = Desk([medium, far], roles=(Role.CONFIRMS, Role.FOLLOWS)).open()
    near, follower = desk.links
    desk.write(put("one"))
    assert follower.catch_up().waiting == frozenset()
    medium.before = gone(("append", "create"))
    with pytest.raises(Unavailable):
        desk.write(put("two"))
    assert follower.catch_up().waiting == {ANNA}
    assert (names_in(far), follower.behind()) == (["one"], 1)
    follower.reopen()
    assert (names_in(far), follower.behind()) == (["one"], 1)
    medium.before = nothing
    near.reopen()
    assert follower.catch_up().waiting == frozenset()
    assert (names_in(far), follower.behind()) == (["one", "two"], 0)
    desk.close()


def test_what_another_process_confirmed_it_brings_to_the_follower_itself() -> None:
    """The first process does not know that it was confirmed, and sees a while later that it is there."""
    medium, far, roles = medium_with(appends=True), medium_with(appends=False), (Role.CONFIRMS, Role.FOLLOWS)
    first = Desk([medium, far], roles=roles).open()
    second = Desk([medium, far], roles=roles, store=first.store, clock=first.clock)
    second.epochs = first.epochs
    second.links[0]._entropy = SeededEntropy(2)
    second.open()
    first.write(put("one"))
    second.write(put("two"))
    follower = first.links[1]
    assert follower.catch_up().waiting == {ANNA}
    assert second.links[1].catch_up().waiting == frozenset()
    assert names_in(far) == ["one", "two"]
    follower.catch_up()
    first.clock.advance(WAITING_SECONDS)
    follower.catch_up()
    follower.catch_up()
    assert follower.behind() == 0
    second.close()
    first.close()


def test_what_another_process_confirmed_is_brought_once_it_is_in_a_pack() -> None:
    """It may have died before it brought that to the follower, or not know of a follower that was just added."""
    medium, far, roles = medium_with(appends=True), medium_with(appends=False), (Role.CONFIRMS, Role.FOLLOWS)
    first = Desk([medium, far], roles=roles).open()
    second = Desk([medium], store=first.store, clock=first.clock)
    second.epochs = {0: first.epochs[0]}
    second.open()
    second.links[0]._entropy = SeededEntropy(2)
    first.links[1].note(ANNA)
    second.write(put("one"))
    assert first.links[1].catch_up().waiting == {ANNA}
    second.links[0].roll()
    first.clock.advance(WAITING_SECONDS)
    assert first.links[1].catch_up().waiting == frozenset()
    assert names_in(far) == ["one"]
    second.close()
    first.close()


def test_a_vault_that_has_more_than_the_store_goes_down_to_bring_it_back(desk: Desk) -> None:
    """It may have been made good from another vault; without a write nobody else would see it."""
    desk.write(put("one"))
    assert isinstance(desk.store, MemoryStore)
    older = desk.store.copied()
    desk.write(put("two"))
    link = desk.links[0]
    link.roll()
    link.note_lagging()
    link._store = older
    with pytest.raises(Unavailable, match="ends with record"):
        link.note_lagging()
    assert link.fault is not None
    link.reopen()
    link.note_lagging()
    with older.account(ANNA).reading() as snapshot:
        assert names(snapshot) == ["one", "two"]


def test_with_degrade_writes_go_on_and_the_window_is_told(medium: MemoryMedium) -> None:
    """The operator chose to go on: writes are answered, the time without the vault is told, nothing is missed."""
    desk = Desk([medium], role=Role.CONFIRMS_WHILE_THERE).open()
    medium.before = gone()
    desk.write(put("one"))
    desk.write(put("two"))
    [window] = desk.links[0].outages
    assert (window.until, "gone" in window.reason) == ("", True)
    medium.before = nothing
    desk.clock.advance(60)
    desk.links[0].reopen()
    [window] = desk.links[0].outages
    assert window.since < window.until
    assert names_in(medium) == ["one", "two"]
    desk.close()


@pytest.mark.parametrize("role", [Role.CONFIRMS, Role.CONFIRMS_WHILE_THERE])
def test_a_server_that_was_fenced_takes_no_more_writes(medium: MemoryMedium, role: Role) -> None:
    """Another server took over: the loser answers no write, whatever was chosen, and says who it was."""
    desk = Desk([medium], role=role).open()
    desk.write(put("ours"))
    looked_at(medium).claim(OTHER)
    with pytest.raises(Unavailable, match="taken over by another server"):
        desk.write(put("not any more"))
    with pytest.raises(Unavailable, match="there:/other"):
        desk.write(put("neither"))
    desk.close()


def test_whoever_takes_over_sees_all_that_was_acknowledged(medium: MemoryMedium) -> None:
    """The claim comes before the look: a yes that came before the claim lies open to the new holder."""
    desk = Desk([medium]).open()
    acknowledged = []
    for number in range(20):
        desk.write(put(f"{number}"))
        acknowledged.append(str(number))
    other = looked_at(medium)
    other.claim(OTHER)
    assert other.head(ANNA).sequence == 1 + len(acknowledged)
    desk.close()


def test_every_confirming_vault_has_it() -> None:
    """With two vaults the yes waits for both, and one that is gone holds the yes back."""
    folder_like, bucket_like = medium_with(True), medium_with(False)
    desk = Desk([folder_like, bucket_like]).open()
    desk.write(put("both"))
    assert names_in(folder_like) == names_in(bucket_like) == ["both"]
    bucket_like.before = gone()
    with pytest.raises(Unavailable, match="v1"):
        desk.write(put("one only"))
    desk.close()


def test_a_following_vault_is_not_waited_for_and_catches_up(medium: MemoryMedium) -> None:
    """The yes does not wait; what the vault lacks is known, and shipped by the keeper."""
    desk = Desk([medium], role=Role.FOLLOWS).open()
    desk.write(put("later"))
    assert desk.links[0].behind() == 1
    desk.links[0].catch_up()
    assert (desk.links[0].behind(), names_in(medium)) == (0, ["later"])
    desk.close()


def test_rolling_puts_the_tail_into_a_pack_and_loses_nothing() -> None:
    """What was confirmed by a tail is in a pack before the tail goes; confirming goes on meanwhile."""
    medium = medium_with(True)
    desk = Desk([medium]).open()
    desk.write(put("one"))
    assert len(list(medium.list(TAILS))) == 1
    desk.links[0].roll()
    assert (list(medium.list(TAILS)), names_in(medium)) == ([], ["one"])
    desk.write(put("two"))
    assert names_in(medium) == ["one", "two"]
    desk.close()
    assert list(medium.list(TAILS)) == []
    assert names_in(medium) == ["one", "two"]


@pytest.mark.parametrize("at", ["list", "read", "read_range"])
def test_whoever_looks_while_a_tail_is_rolled_misses_nothing(at: str) -> None:
    """Whichever step of the look it falls into: what the tail confirmed is found in it, or in the pack."""
    medium = medium_with(True)
    desk = Desk([medium]).open()
    desk.write(put("one"))
    steps = 0

    def count(operation: str, _name: str) -> None:
        nonlocal steps
        steps += operation == at

    medium.before = count
    assert names_in(medium) == ["one"]
    for step in range(1, steps + 1):
        left = [step]

        def roll(operation: str, _name: str, left: list[int] = left) -> None:
            left[0] -= operation == at
            if left[0] == 0 and operation == at:
                medium.before = nothing
                desk.links[0].roll()

        desk.write(put(f"before step {step}"))
        medium.before = roll
        assert names_in(medium)[-1] == f"before step {step}"
        medium.before = nothing
    desk.close()


@pytest.mark.parametrize("stop_at", ["create", "exists", "remove"])
def test_a_crash_while_rolling_loses_nothing(stop_at: str) -> None:
    """Whichever step of a roll is the last, all that was confirmed is read from what is left."""
    medium = medium_with(True)
    desk = Desk([medium]).open()
    desk.write(put("one"))

    def stop(operation: str, name: str) -> None:
        if operation == stop_at and (stop_at != "create" or name.startswith(PACKS)):
            raise StorageFault("the process ends here")

    medium.before = stop
    with pytest.raises(StorageFault):
        desk.links[0].roll()
    medium.before = nothing
    assert names_in(medium) == ["one"]


def test_nothing_is_confirmed_that_the_epoch_was_not_looked_up_for(medium: MemoryMedium) -> None:
    """The look for a higher epoch comes after the write: when it fails there is no yes."""
    desk = Desk([medium]).open()
    desk.write(put("before"))

    def unseen(operation: str, name: str) -> None:
        if operation == "exists" and name == epoch_name(2):
            raise StorageFault("cannot look")

    medium.before = unseen
    with pytest.raises(Unavailable):
        desk.write(put("unknown"))
    medium.before = nothing
    desk.close()


def rolled_back(medium: MemoryMedium) -> Desk:
    """A server on an older copy of its store, that does not know yet that the vault has more."""
    desk = Desk([medium], store=MemoryStore()).open()
    desk.write(put("one"))
    assert isinstance(desk.store, MemoryStore)
    older = desk.store.copied()
    desk.write(put("two"))
    desk.close()
    return Desk([medium], store=older)


def test_no_write_begins_where_the_vault_has_more_than_the_store(medium: MemoryMedium) -> None:
    """Its record would get a number that is taken, and the two would fork; once opened anew both have the same."""
    desk = rolled_back(medium)
    link = desk.links[0]
    link._compare = lambda *_arguments, **_options: CaughtUp()
    link.reopen()
    with pytest.raises(Unavailable, match="ends with record"):
        desk.write(put("in the way"))
    with desk.store.account(ANNA).reading() as snapshot:
        assert snapshot.head().sequence == 2
    link._compare = always_compare
    link.reopen()
    desk.write(put("three"))
    assert names_in(medium) == ["one", "two", "three"]
    desk.close()


def test_an_account_that_cannot_be_shipped_holds_up_no_other(desk: Desk, medium: MemoryMedium) -> None:
    """Its own writes are refused, with the vault open for everybody else; it is taken again when it is mended."""
    desk.store.create(BERT, [make(), put("bert's", b"to be damaged")])
    assert isinstance(desk.store, MemoryStore)
    place, digest = desk.store.account(BERT), digest_of(b"to be damaged")
    place.replace_content(digest, lambda octets: octets[::-1])
    with pytest.raises(Unavailable):
        desk.writers.submit(BERT, put("more")).result()
    assert desk.links[0].fault is None
    desk.write(put("anna's"))
    desk.links[0].catch_up()
    with pytest.raises(Unavailable, match="no write is taken now"):
        desk.writers.submit(BERT, put("still more")).result()
    desk.links[0].reopen()
    assert desk.links[0].fault is None
    place.replace_content(digest, lambda octets: octets[::-1])
    desk.links[0].catch_up()
    desk.writers.submit(BERT, put("at last")).result()
    assert names_in(medium, BERT) == ["bert's", "more", "at last"]


def test_what_a_failed_commit_had_done_is_confirmed_with_the_next_answer(desk: Desk, medium: MemoryMedium) -> None:
    """Whoever is refused because it is there goes by that: so the vault has it too."""
    desk.write(put("before"))
    assert isinstance(desk.store, MemoryStore)

    def fail(_operation: str, _account: str) -> None:
        raise StorageFault("the answer of the store was lost")

    desk.store.hooks.after = fail
    with pytest.raises(StorageFault):
        desk.write(put("done all the same"))
    desk.store.hooks.after = nothing

    def refuse(_transaction: object) -> None:
        raise PreconditionFailed("it is there already")

    with pytest.raises(PreconditionFailed):
        desk.write(refuse)
    assert names_in(medium) == ["before", "done all the same"]


@pytest.mark.parametrize("role", Role)
def test_what_a_killed_process_had_noted_the_next_one_finds(medium: MemoryMedium, role: Role) -> None:
    """It died between commit and vault: the keeper's first look compares the ends of all accounts."""
    desk = Desk([medium], role=role).open()
    desk.store.account(ANNA).transact([put("committed, and nothing more")])
    assert names_in(medium) == []
    Tending(desk.clock).tend_all(desk.links, is_elected=False)
    assert names_in(medium) == ["committed, and nothing more"]
    desk.close()


def test_what_came_back_from_one_vault_the_others_get() -> None:
    """The store got it when that vault was opened again; the other vaults may lack it."""
    full, lacking = medium_with(True), medium_with(True)
    ahead = Desk([full], store=MemoryStore()).open()
    ahead.write(put("one"))
    assert isinstance(ahead.store, MemoryStore)
    older = ahead.store.copied()
    ahead.write(put("two"))
    ahead.close()
    desk = Desk([lacking, full], store=older)
    desk.links[0].reopen()
    tending = Tending(desk.clock)
    for _ in range(2):
        tending.tend_all(desk.links, is_elected=False)
    assert names_in(lacking) == ["one", "two"]
    desk.close()


def test_real_folder_and_real_store(tmp_path: Path) -> None:
    """The same with SQLite and a folder: what was answered is read back by whoever opens both anew."""
    medium = FolderMedium(folder(tmp_path / "vault"))
    establish(medium)
    store = SqliteStore(tmp_path / "data")
    desk = Desk([medium], store=store).open()
    tickets = [desk.writers.submit(ANNA, put(f"{number}", f"body {number}".encode())) for number in range(200)]
    for ticket in tickets:
        ticket.result()
    assert len(names_in(FolderMedium(tmp_path / "vault"))) == 200
    desk.close()
    store.close()
    assert len(names_in(FolderMedium(tmp_path / "vault"))) == 200


def test_real_bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same with a real S3 server: one object for each batch, and the yes after it."""
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    url = s3.new_url()
    medium: Medium = open_medium(url, name="test")
    establish(medium)
    desk = Desk([medium], store=MemoryStore()).open()
    tickets = [desk.writers.submit(ANNA, put(f"{number}")) for number in range(50)]
    for ticket in tickets:
        ticket.result()
    desk.write(put("photo", b"p" * 300_000))
    assert len(names_in(open_medium(url, name="test"))) == 51
    desk.close()
