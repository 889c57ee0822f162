"""Merging makes few packs of many and loses nothing: whatever is damaged, forked, or stopped at whatever point."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pyrage
import pytest

from keepwell.model.errors import Damaged, Forked, Locked, StorageFault
from keepwell.model.names import AccountId
from keepwell.model.record import canonical
from keepwell.storage.contract import Carried, Head
from keepwell.vault import merge_plan
from keepwell.vault.catalogue import NOTHING, Pack
from keepwell.vault.keys import Recipients
from keepwell.vault.lines import render_line
from keepwell.vault.medium import Medium
from keepwell.vault.memory_medium import MemoryMedium
from keepwell.vault.merge import Merger, merge, require_held
from keepwell.vault.merge_plan import GRACE_SECONDS, TIER_PACKS_MAX, Merge, plan_merge, plan_removal, superseded
from keepwell.vault.pack import SHIP_LEVEL, Frame, PackIndex, Run, unpack_frame
from keepwell.vault.reading import read_account
from keepwell.vault.sealing import AgeSeal
from keepwell.vault.ship import run_of, ship
from keepwell.vault.vault import Vault
from keepwell.vault.verify import Grade, verify
from tests.support.clock import FakeClock
from tests.vault.filled import PHOTO, Filled
from tests.vault.journals import ANNA, BERT, LINEAGE, Journal
from tests.vault.vaults import fill, new_vault

MANY = TIER_PACKS_MAX + 1


def frame(first: int, last: int, octets: int = 100, account: AccountId = ANNA) -> Frame:
    return Frame(account, LINEAGE, first, last, "", "", "", "", 0, 10, octets, {})


def pack(name: str, *frames: Frame, at: str = "2026-11-23T08:00:00.000000Z") -> Pack:
    return Pack(name, sum(one.length for one in frames), PackIndex(1, "v", 1, at, frames))


def many(octets: int = 100, count: int = MANY) -> list[Pack]:
    return [pack(f"p{number:03}", frame(number, number, octets)) for number in range(1, count + 1)]


@pytest.mark.parametrize(
    ("packs", "expected"),
    [
        ([], []),
        (many(count=TIER_PACKS_MAX), []),
        (many(), [MANY]),
        (many(octets=40 << 20), []),
        (many(octets=20 << 20), [3]),
        (many(octets=64 << 10) + many(octets=(64 << 10) + 1)[:3], [MANY]),
        (many(count=1000), [256]),
    ],
    ids=["none", "few", "many", "large", "over the size", "two tiers", "very many"],
)
def test_what_is_merged(packs: list[Pack], expected: list[int]) -> None:
    """Packs of one tier, when there are too many of them, as many as one merge may take."""
    assert [len(one.packs) for one in plan_merge(packs)] == expected


def test_a_pack_that_waits_to_be_removed_is_not_merged_again() -> None:
    """Others have everything that is in it."""
    packs = [*many(), pack("all", frame(1, MANY, 900))]
    assert plan_merge(packs) == []
    assert superseded(packs) == {one.name: ("all",) for one in packs[:-1]}


def test_of_two_equal_packs_one_is_superseded() -> None:
    """Never both."""
    assert superseded([pack("a", frame(1, 2)), pack("b", frame(1, 2))]) == {"a": ("b",)}


def test_a_pack_is_needed_for_one_frame_alone() -> None:
    """All of its frames must lie in others, and in those that stay."""
    packs = [pack("a", frame(1, 9), frame(1, 1, account=BERT)), pack("b", frame(1, 8), frame(1, 2, account=BERT))]
    assert superseded(packs) == {}
    assert superseded([*packs, pack("c", frame(1, 20))]) == {"a": ("b", "c")}


def test_nothing_is_removed_within_the_grace() -> None:
    """The grace counts from the youngest of the packs that have everything."""
    clock = FakeClock()
    packs = [pack("a", frame(1, 2)), pack("b", frame(1, 3), at="2026-11-23T08:10:00.000000Z")]
    assert plan_removal(packs, clock.now() + timedelta(seconds=GRACE_SECONDS)) == {}
    assert plan_removal(packs, clock.now() + timedelta(seconds=GRACE_SECONDS + 600)) == {"a": ("b",)}


def test_nothing_is_removed_for_a_pack_whose_index_is_damaged() -> None:
    """Such a pack says of no time that it was written then; whoever mends it comes first."""
    clock = FakeClock()
    newer = pack("b", frame(1, 3))
    damaged = Pack(newer.name, newer.size, newer.index, is_reindexed=True)
    much_later = clock.now() + timedelta(days=30)
    assert plan_removal([pack("a", frame(1, 2)), newer], much_later) == {"a": ("b",)}
    assert plan_removal([pack("a", frame(1, 2)), damaged], much_later) == {}


def grown(medium: Medium | None = None) -> Filled:
    """A vault with more small packs than may stay, of two accounts, one of them with a photo."""
    made = Filled(medium)
    for number in range(MANY):
        made.grow(ANNA, photo=PHOTO if number == 3 else None)
        made.grow(BERT, cards=number % 2 or 2)
        made.ship()
    made.vault.put_manifest()
    return made


def story(vault: Vault, account: AccountId = ANNA) -> list[Carried]:
    return list(read_account([vault], account))


def packs_of(made: Filled) -> set[str]:
    return {info.name for info in made.medium.list("packs/")}


def settle(made: Filled, vault: Vault, ticks: int = 10) -> None:
    """What the keeper does, for some hours."""
    merger = Merger(vault, made.clock)
    for _ in range(ticks):
        merger.tick()
        vault.put_manifest()
        made.clock.advance(GRACE_SECONDS)


def test_many_packs_become_one_and_every_record_stays() -> None:
    """After the grace the old ones are gone; each account is one frame, the history and the bytes are the same."""
    made = grown()
    before = {account: story(made.vault, account) for account in (ANNA, BERT)}
    settle(made, made.vault)
    later = made.open()
    assert len(packs_of(made)) == 1
    assert {account: story(later, account) for account in (ANNA, BERT)} == before
    assert [len(later.frames(account)) for account in (ANNA, BERT)] == [1, 1]
    assert verify(later, Grade.RECORDS).findings == []


def test_a_restore_under_way_goes_on_within_the_grace() -> None:
    """Whoever read the catalogue before the merge reads to the end; the old packs are there for an hour."""
    made = grown()
    restoring = read_account([made.open()], ANNA)
    first = next(restoring)
    merger = Merger(made.vault, made.clock)
    merger.tick()
    made.clock.advance(GRACE_SECONDS / 2)
    assert merger.tick().removed == 0
    assert [first, *restoring] == story(made.vault)


def test_the_number_of_packs_stays_bounded() -> None:
    """Of five hundred shipments no more stay than the tiers allow, though every merge leaves old ones for an hour."""
    made = Filled()
    merger = Merger(made.vault, made.clock)
    for number in range(500):
        made.grow(ANNA, cards=20)
        made.ship()
        made.clock.advance(600)
        merger.tick()
        if number % 10 == 0:
            made.vault.put_manifest()
        waiting = superseded(made.vault.packs())
        assert len(made.vault.packs()) - len(waiting) <= (TIER_PACKS_MAX + 1) * len(merge_plan.TIER_OCTETS)
        assert len(waiting) <= 20
    assert len(made.open().covering(ANNA)) <= 20
    assert verify(made.open(), Grade.RECORDS).is_whole


def newer_line(carried: Carried, extra: str) -> tuple[bytes, Head]:
    """The line as a newer Keepwell might write it: a field that is unknown here, covered by the record's hash."""
    fields = json.loads(canonical(carried.record.facts)) | {"zone": extra}
    octets = msgspec.json.encode(fields, order="sorted")
    hashed = hashlib.sha256(octets).hexdigest()
    return octets[:-1] + b',"hash":"' + hashed.encode() + b'"}\n', Head(carried.record.facts.seq, hashed)


def test_fields_of_a_newer_keepwell_survive_a_merge() -> None:
    """The lines of a merged pack are those of the old ones, octet for octet."""
    made, journal = Filled(), Journal()
    texts = []
    for number in range(4):
        line, head = newer_line(journal.carried[-1], f"Europe/{number}") if number else (b"", NOTHING)
        if number:
            texts.append(line)
            prev = journal.run(number + 1, number + 1).prev
            run = msgspec.structs.replace(
                journal.run(number + 1, number + 1), lines=line, prev=prev, head=head.hash, ledger={}
            )
            made.vault.put_pack([run], level=SHIP_LEVEL)
            # the next record follows this one, as the newer Keepwell has it
            last = journal.carried[-1].record
            journal.carried[-1] = Carried(msgspec.structs.replace(last, hash=head.hash), journal.carried[-1].body)
            journal.remove(f"x{number}")
        else:
            made.vault.put_pack([journal.run(1, 1)], level=SHIP_LEVEL)
    merged = merge(made.vault, Merge(tuple(packs_of(made))))
    assert len(merged.index.frames) == 1
    unpacked = b"".join(run.lines for run in lines_in(made, merged))
    assert all(text in unpacked for text in texts)


def lines_in(made: Filled, found: Pack) -> Iterator[Run]:
    for one in found.index.frames:
        stored = made.medium.read_range(found.name, one.offset, one.length)
        yield Run(
            one.account,
            one.lineage,
            one.first,
            one.last,
            one.prev,
            one.head,
            one.since,
            one.until,
            unpack_frame(stored, one, made.seal),
            one.ledger,
        )


def shipped_again(made: Filled, account: AccountId, after: Head) -> str:
    """The account's records behind `after`, in a pack of their own, as after a crash."""
    with made.store.account(account).reading() as snapshot:
        run = run_of(snapshot, after, made.vault.put_blob)
    assert run is not None
    return made.vault.put_pack([run], level=SHIP_LEVEL).name


def test_records_that_are_there_twice_are_kept_once() -> None:
    """Packs that overlap become one run."""
    made = grown()
    shipped_again(made, ANNA, NOTHING)
    merged = merge(made.vault, Merge(tuple(packs_of(made))))
    assert [(one.first, one.last) for one in merged.index.frames if one.account == ANNA] == [
        (1, made.head(ANNA).sequence)
    ]


@pytest.mark.parametrize("bare_first", [True, False])
def test_of_a_record_that_is_there_twice_the_line_with_the_bytes_is_kept(bare_first: bool) -> None:
    """Whichever of the packs came first."""
    made = Filled()
    made.grow(ANNA, cards=1)
    with made.store.account(ANNA).reading() as snapshot:
        run = run_of(snapshot, NOTHING, made.vault.put_blob)
        bare = b"".join(render_line(msgspec.structs.replace(one, body=None)) for one in snapshot.carried())
    assert run is not None
    runs = [msgspec.structs.replace(run, lines=bare), run]
    names = [made.vault.put_pack([one], level=SHIP_LEVEL).name for one in (runs if bare_first else runs[::-1])]
    merged = merge(made.vault, Merge(tuple(names)))
    assert next(lines_in(made, merged)).lines == run.lines


def test_what_lies_elsewhere_leaves_two_frames() -> None:
    """Records between are in a pack that is too large to be merged: nothing is copied, and the run can be read."""
    made = Filled()
    names = []
    for _ in range(3):
        made.grow(ANNA, cards=2)
        made.ship()
        names.append(made.vault.frames(ANNA)[-1].pack)
    merged = merge(made.vault, Merge((names[0], names[2])))
    assert [(one.first, one.last) for one in merged.index.frames] == [(1, 5), (8, 9)]
    for name in (names[0], names[2]):
        made.vault.remove_pack(name)
    assert [one.record.facts.seq for one in story(made.open())] == list(range(1, 10))


def memory(made: Filled) -> MemoryMedium:
    assert isinstance(made.medium, MemoryMedium)
    return made.medium


def test_a_damaged_pack_is_not_merged_and_does_not_hold_up_the_others() -> None:
    """It is told, left as it is, and the others are merged without it."""
    made = grown()
    for _ in range(3):
        made.grow(BERT)
        made.ship()
    bad = sorted(packs_of(made))[2]
    memory(made).replace(bad, made.medium.read(bad)[:30] + b"x" + made.medium.read(bad)[31:])
    merger = Merger(made.vault, made.clock)
    assert [bad in failure.message for failure in merger.tick().failures] == [True]
    assert merger.tick().merged == len(packs_of(made)) - 2
    made.clock.advance(2 * GRACE_SECONDS)
    merger.tick()
    assert bad in packs_of(made)


def test_a_fork_is_not_merged() -> None:
    """Two stories of one account stay as they are, for whoever has to decide."""
    made, other = grown(), Filled()
    other.clock.advance(5)
    other.grow(BERT, cards=3)
    with other.store.account(BERT).reading() as snapshot:
        run = run_of(snapshot, NOTHING, made.vault.put_blob)
    assert run is not None
    made.vault.put_pack([run], level=SHIP_LEVEL)
    before = packs_of(made)
    outcome = Merger(made.vault, made.clock).tick()
    assert [type(one) for one in outcome.failures] == [Forked]
    assert packs_of(made) == before


def test_a_fork_with_a_pack_that_is_not_merged_is_seen_too() -> None:
    """The merged pack would count as the newest word, so what others say of the same records is looked at."""
    made, other = grown(), Filled()
    other.clock.advance(5)
    other.grow(BERT, cards=300)
    with other.store.account(BERT).reading() as snapshot:
        run = run_of(snapshot, NOTHING, made.vault.put_blob)
    assert run is not None
    names = tuple(packs_of(made))
    made.vault.put_pack([run], level=SHIP_LEVEL)
    with pytest.raises(Forked):
        merge(made.vault, Merge(names))


def test_a_merged_pack_that_reads_back_otherwise_is_taken_away_again() -> None:
    """What was merged stays; nothing but the bad pack is removed."""
    made = grown()
    before = packs_of(made)

    def garble(operation: str, name: str) -> None:
        if operation == "create" and name.startswith("packs/"):
            memory(made).replace(name, b"not what was given")

    memory(made).after = garble
    outcome = Merger(made.vault, made.clock).tick()
    assert (outcome.merged, len(outcome.failures)) == (0, 1)
    assert packs_of(made) == before
    assert {one.name for one in made.vault.packs()} == before


def test_old_packs_stay_when_the_merged_one_was_damaged_meanwhile() -> None:
    """It is proven once more before anything is removed."""
    made = grown()
    merger = Merger(made.vault, made.clock)
    name = merger.tick().into
    stored = made.medium.read(name)
    memory(made).replace(name, stored[:40] + b"?" + stored[41:])
    made.clock.advance(GRACE_SECONDS)
    outcome = merger.tick()
    assert (outcome.removed, len(outcome.failures)) == (0, MANY)
    assert len(packs_of(made)) == MANY + 1
    assert len(story(made.open())) == made.head(ANNA).sequence


class Stopped(Exception):
    """The process ends here."""


def stop_at(made: Filled, number: int, when: str) -> None:
    """Let the process end at the operation with this number, before it is done or after."""
    count = iter(range(1_000_000))

    def hook(operation: str, _name: str) -> None:
        if operation in {"create", "remove"} and next(count) == number:
            raise Stopped

    setattr(memory(made), when, hook)


def let_go(made: Filled) -> None:
    memory(made).before = memory(made).after = lambda _operation, _name: None


CHANGES = 1 + 1 + 1 + MANY + 1
"""The new pack, a manifest with it, one without the old, the old ones, a manifest that is removed."""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(CHANGES + 2))
def test_stopped_at_any_change_nothing_is_lost_and_the_next_goes_on(number: int, when: str) -> None:
    """At each change of the medium, before it is done and after: the vault is whole, and merging comes to its end."""
    made = grown()
    before = {account: story(made.vault, account) for account in (ANNA, BERT)}
    stop_at(made, number, when)
    try:
        settle(made, made.vault, 3)
        assert number >= CHANGES
    except Stopped:
        pass
    let_go(made)
    found = made.open()
    assert {account: story(found, account) for account in (ANNA, BERT)} == before
    assert verify(found, Grade.RECORDS).findings == []
    settle(made, made.open(claim=True))
    assert len(packs_of(made)) == 1
    assert {account: story(made.open(), account) for account in (ANNA, BERT)} == before


def test_a_medium_that_fails_stops_the_merge() -> None:
    """A fault is the medium's, not a pack's: nothing is held against the packs."""
    made = grown()

    def fail(_operation: str, _name: str) -> None:
        raise StorageFault("the disk does not answer")

    merger = Merger(made.vault, made.clock)
    memory(made).before = fail
    with pytest.raises(StorageFault):
        merger.tick()
    let_go(made)
    assert merger.tick().merged == MANY


def test_a_pack_that_cannot_be_read_is_the_packs_fault_while_the_medium_answers() -> None:
    """A bad sector does not stop the vault; the other packs are merged."""
    made = grown()
    for _ in range(2):
        made.grow(BERT)
        made.ship()
    bad = sorted(packs_of(made))[0]

    def fail(operation: str, name: str) -> None:
        if operation == "read" and name == bad:
            raise StorageFault("a sector cannot be read")

    memory(made).before = fail
    merger = Merger(made.vault, made.clock)
    assert [bad in one.message for one in merger.tick().failures] == [True]
    assert merger.tick().merged == MANY + 1


def test_an_encrypted_vault_is_merged_with_the_drills_key_and_not_without() -> None:
    """Without a key that opens it nothing is changed, and Locked says why."""
    key = pyrage.x25519.Identity.generate()
    public = str(key.to_public())
    made = Filled(seal=AgeSeal([public], [key]), recipients=Recipients(public, public, public))
    for _ in range(MANY):
        made.grow(ANNA)
        ship(made.vault, made.store, [ANNA])
    before = packs_of(made)
    blind = Vault("here", made.medium, made.document, AgeSeal([public]), made.clock)
    blind.look()
    with pytest.raises(Locked):
        Merger(blind, made.clock).tick()
    assert packs_of(made) == before
    settle(made, made.vault)
    assert len(packs_of(made)) == 1
    assert [one.record.facts.seq for one in story(made.open())] == list(range(1, made.head(ANNA).sequence + 1))


def test_a_damaged_pack_beside_a_merge_tells_no_story() -> None:
    """It may hold the same records or others: while it cannot be read, it does not hold up what can."""
    made = grown()
    names = tuple(packs_of(made))
    beside = shipped_again(made, ANNA, NOTHING)
    memory(made).replace(beside, b"x" * 50 + made.medium.read(beside)[50:])
    merged = merge(made.vault, Merge(names))
    assert [frame.last for frame in merged.index.frames if frame.account == ANNA] == [made.head(ANNA).sequence]


def test_packs_that_say_the_same_or_of_other_records_stand_against_no_merge() -> None:
    """One beside that overlaps at either end, and one that lies far behind."""
    made = Filled()
    heads, names = [NOTHING], []
    for _ in range(4):
        heads.append(made.grow(ANNA, cards=2))
        made.ship()
        names.append(made.vault.frames(ANNA)[-1].pack)
    shipped_again(made, ANNA, heads[1])
    merged = merge(made.vault, Merge((names[0], names[1])))
    assert [(frame.first, frame.last) for frame in merged.index.frames] == [(1, heads[2].sequence)]


def two_stories() -> tuple[Vault, str, str]:
    """A vault with two packs that have another record under one number."""
    journal, other, vault = Journal(), Journal(), new_vault()
    journal.put("bob", b"one")
    other.put("bob", b"two")
    return vault, fill(vault, journal), fill(vault, other)


def test_another_record_under_the_same_number_is_not_held() -> None:
    """By number and place alone nothing is said to be elsewhere."""
    vault, one, other = two_stories()
    with pytest.raises(Damaged, match="record 3"):
        require_held(vault, [one], [other])
    require_held(vault, [one], [one])


def test_of_several_packs_the_one_that_has_the_bytes_counts() -> None:
    """Whichever of them is read first."""
    journal, vault = Journal(), new_vault()
    journal.put("bob", b"Bob")
    lines = [render_line(msgspec.structs.replace(one, body=None)) for one in journal.carried]
    whole = fill(vault, journal)
    bare = vault.put_pack([journal.run(lines=lines)], level=SHIP_LEVEL).name
    for by in ([whole, bare], [bare, whole]):
        require_held(vault, [whole, bare], by)
    with pytest.raises(Damaged, match="record 3"):
        require_held(vault, [whole], [bare])


def test_large_bytes_may_be_held_under_another_name() -> None:
    """Encrypted twice they are two objects; that both are the same bytes is proven by reading."""
    key = pyrage.x25519.Identity.generate()
    journal, vault = Journal(), new_vault(seal=AgeSeal([str(key.to_public())], [key]))
    journal.put("bob", b"Bob" * 100_000)
    one, other = fill(vault, journal), fill(vault, journal)
    require_held(vault, [one], [other])
    [first, second] = [info.name for info in vault.medium.list("blobs/")]
    [blob] = vault.frames(ANNA)[0].frame.blobs
    kept = vault.frames(ANNA)[0].pack
    vault.medium.remove(blob)
    vault.medium.create(blob, vault.seal.seal(b"something else"))
    assert blob in {first, second}
    with pytest.raises(Damaged):
        require_held(vault, [one if kept == other else other], [kept])
