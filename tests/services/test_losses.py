"""The loss report counts what an observer counts who knows what was written and what was damaged."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from keepwell.model.names import Digest, Kind
from keepwell.model.record import Facts, Op
from keepwell.services.indexing import index_again
from keepwell.services.losses import Assessed, Said, assess, own_of
from keepwell.services.restoring.sources import holding_of
from keepwell.storage.contract import Carried
from keepwell.storage.memory import MemoryStore
from keepwell.vault.layout import BLOBS
from keepwell.vault.loss import AccountLoss, KindLoss
from keepwell.vault.restore_plan import notes_of
from keepwell.vault.vault import Vault
from tests.support.clock import FakeClock, SeededEntropy
from tests.vault.journals import ANNA, Journal
from tests.vault.vaults import damage, fill, new_vault, reopened

LARGE = b"\xff\xd8" * 70_000
"""Large enough to be a blob."""


@dataclass
class Observer:
    """Someone who wrote down everything: what was put where, and what was damaged."""

    journal: Journal
    store_until: int = 0
    """The store has the records up to this one."""
    store_lacks: set[Digest] = field(default_factory=set)
    vault_records: set[int] = field(default_factory=set)
    vault_bytes: set[Digest] = field(default_factory=set)
    known_until: int = 0
    """The last record that any copy says there was."""

    def facts(self) -> list[Facts]:
        return [one.record.facts for one in self.journal.carried]

    @property
    def reachable(self) -> int:
        """How far the records lead without a gap."""
        end = 0
        while end + 1 <= self.store_until or end + 1 in self.vault_records:
            end += 1
        return end

    def items(self, until: int) -> dict[tuple[Kind, str], Facts]:
        """The put of every item that there was after this record."""
        found: dict[tuple[Kind, str], Facts] = {}
        for facts in self.facts()[:until]:
            if facts.kind is not None and facts.op is Op.PUT:
                found[facts.kind, facts.name] = facts
            elif facts.kind is not None and facts.op is Op.REMOVE:
                del found[facts.kind, facts.name]
        return found

    def fate(self, facts: Facts) -> str:
        """What became of an item as it last was."""
        assert facts.digest is not None
        if facts.seq > self.reachable:
            return "lost"
        is_in_store = facts.digest not in self.store_lacks and any(
            one.digest == facts.digest and one.seq <= self.store_until for one in self.facts()
        )
        if is_in_store and facts.seq <= self.store_until:
            return "recovered"
        return "elsewhere" if is_in_store or facts.digest in self.vault_bytes else "incomplete"

    def count(self, kind: Kind) -> dict[str, int]:
        """What became of the items of a kind."""
        fates = [self.fate(facts) for (its_kind, _), facts in self.items(self.known_until).items() if its_kind is kind]
        counts = {fate: fates.count(fate) for fate in ("recovered", "elsewhere", "incomplete", "lost")}
        return counts | {"expected": len(fates)}

    def changed_unseen(self) -> bool:
        """Whether a record that nobody has changed or removed something that is known by another record."""
        known, facts = set[tuple[Kind, str]](), self.facts()[: self.known_until]
        for one in facts:
            if one.kind is None:
                continue
            if self.sees(one.seq):
                known.add((one.kind, one.name))
            elif (one.kind, one.name) in known:
                return True
        return False

    def sees(self, seq: int) -> bool:
        return seq <= self.store_until or seq in self.vault_records


def counted(one: KindLoss) -> dict[str, int]:
    return {
        "recovered": one.recovered,
        "elsewhere": one.elsewhere,
        "incomplete": one.incomplete,
        "lost": one.lost,
        "expected": one.expected,
    }


def written(seed: random.Random, records: int) -> Journal:
    """A person's history: items of two kinds that come, change and go."""
    journal = Journal()
    journal.add(Op.MAKE, Kind.PHOTOS, "photos")
    there: dict[Kind, list[str]] = {Kind.CONTACTS: [], Kind.PHOTOS: []}
    for number in range(records):
        kind = seed.choice([Kind.CONTACTS, Kind.CONTACTS, Kind.PHOTOS])
        collection = "friends" if kind is Kind.CONTACTS else "photos"
        deed = seed.choice(["new", "new", "new", "change", "remove"]) if there[kind] else "new"
        name = f"{number}" if deed == "new" else seed.choice(there[kind])
        if deed == "remove":
            journal.add(Op.REMOVE, kind, collection, name)
            there[kind].remove(name)
            continue
        body = LARGE + b"%d" % number if kind is Kind.PHOTOS else b"card %d" % number
        journal.add(Op.PUT, kind, collection, name, body=body)
        if deed == "new":
            there[kind].append(name)
    return journal


def damaged_vault(seed: random.Random, name: str, journal: Journal, seen: Observer) -> Vault:
    """A vault with the journal in a few packs, some of which are gone or damaged, as some of its blobs are."""
    vault = new_vault(name)
    cuts = sorted(seed.sample(range(1, len(journal.carried)), 3))
    until = seed.choice([cuts[-1], len(journal.carried)])
    packs = [
        (fill(vault, journal, first + 1, last), range(first + 1, last + 1))
        for first, last in zip([0, *cuts], [*cuts, until], strict=True)
        if first < last
    ]
    vault.put_manifest()
    seen.known_until = max(seen.known_until, until)
    for pack, records in packs:
        if seed.random() < 0.3:
            _damage(seed, vault, pack)
        else:
            seen.vault_records |= set(records)
            lines = (journal.carried[seq - 1] for seq in records)
            seen.vault_bytes |= {one.record.facts.digest for one in lines if one.body and len(one.body) < 1000} - {None}
    for info in list(vault.medium.list(BLOBS)):
        if seed.random() < 0.3:
            vault.medium.remove(info.name)
        else:
            seen.vault_bytes.add(Digest(info.name.rpartition("/")[2]))
    return reopened(vault)


def _damage(seed: random.Random, vault: Vault, pack: str) -> None:
    if seed.random() < 0.5:
        vault.medium.remove(pack)
    else:
        for place in range(20, 60):  # a single bit may be one that zstd does not need
            damage(vault, pack, place)


def damaged_store(seed: random.Random, journal: Journal, seen: Observer) -> MemoryStore:
    """A store that is an older copy, or lacks bytes, or the account; or is whole."""
    store = MemoryStore(FakeClock(), SeededEntropy())
    seen.store_until = seed.choice([0, 0, len(journal.carried), seed.randrange(1, len(journal.carried))])
    if seen.store_until:
        kept = [_perhaps_stripped(seed, one, seen) for one in journal.carried[: seen.store_until]]
        store.restore(ANNA, kept, index_again, may_lack=True)
    seen.known_until = max(seen.known_until, seen.store_until)
    return store


def _perhaps_stripped(seed: random.Random, one: Carried, seen: Observer) -> Carried:
    if one.body is None or len(one.body) < 1000 or seed.random() < 0.7:
        return one
    assert one.record.facts.digest is not None
    seen.store_lacks.add(one.record.facts.digest)
    return Carried(one.record)


def assessed(store: MemoryStore, vaults: Sequence[Vault]) -> Assessed:
    said = [
        Said(note.vault, note.name, note.head.sequence, note.head.hash, note.ledger)
        for note in notes_of([holding_of(vault) for vault in vaults], ANNA)
    ]
    with own_of(store, ANNA) as own:
        return assess(own, vaults, ANNA, said)


def loss_in(store: MemoryStore, vaults: Sequence[Vault]) -> AccountLoss:
    return assessed(store, vaults).loss


@pytest.mark.parametrize("seed", range(120))
def test_it_counts_what_an_observer_counts(seed: int) -> None:
    """Store and vaults are damaged in different places: every kind's counts are exactly those of who knows.

    Only where a record that nothing has changed or removed what another tells of can nobody know; then what was
    expected is right all the same, and the kind is not proven.
    """
    chance = random.Random(seed)
    journal = written(chance, 40)
    seen = Observer(journal)
    vaults = [damaged_vault(chance, f"v{number}", journal, seen) for number in range(chance.choice([1, 2]))]
    loss = loss_in(damaged_store(chance, journal, seen), vaults)
    assert loss.records_expected == seen.known_until
    assert loss.records_recovered == seen.reachable
    for one in loss.kinds:
        truth = seen.count(one.kind)
        assert one.expected == truth["expected"]
        assert seen.changed_unseen() or counted(one) == truth
        assert one.proven == (truth["recovered"] == truth["expected"])
    all_here = seen.store_until >= seen.known_until and not seen.store_lacks
    assert loss.is_whole == all_here


@pytest.mark.parametrize("seed", range(20))
def test_names_and_times_are_told_where_anything_knows_them(seed: int) -> None:
    """Each item that is not here, and of which a record is left, is told by name with the moment when it was put."""
    chance = random.Random(1000 + seed)
    journal = written(chance, 30)
    seen = Observer(journal)
    vault = damaged_vault(chance, "v", journal, seen)
    loss = loss_in(damaged_store(chance, journal, seen), [vault])
    told = {(one.kind, one.name, one.at): one.fate.value for one in loss.items if one.is_current}
    wanted = {
        (kind, name, facts.at): seen.fate(facts)
        for (kind, name), facts in seen.items(seen.known_until).items()
        if seen.fate(facts) != "recovered" and seen.sees(facts.seq)
    }
    assert seen.changed_unseen() or told == wanted
    assert wanted.items() <= told.items()


def test_most_observations_are_exact() -> None:
    """The comparisons above are not passed by: in nearly all of them everything can be known, and much is lost."""
    exact, fates = 0, set[str]()
    for seed in range(120):
        chance = random.Random(seed)
        journal = written(chance, 40)
        seen = Observer(journal)
        for number in range(chance.choice([1, 2])):
            damaged_vault(chance, f"v{number}", journal, seen)
        damaged_store(chance, journal, seen)
        exact += not seen.changed_unseen()
        fates |= {seen.fate(facts) for facts in seen.items(seen.known_until).values()}
    assert exact > 80
    assert fates == {"recovered", "elsewhere", "incomplete", "lost"}
