"""What must hold once the server has started and nothing stands against it any more.

Everything acknowledged is there, nothing is there that was never asked for, each journal proves itself and leads to
what is served, store and vaults have the same heads, and what is restored from one vault alone equals the store.
Syncing from every earlier state gives what is there now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from keepwell.ground.clock import Clock
from keepwell.model.errors import KeepwellError
from keepwell.model.names import AccountId, Kind, Lineage
from keepwell.model.record import Facts, Op, check_link
from keepwell.model.weight import Weight
from keepwell.storage.contract import Snapshot, Store
from keepwell.storage.memory import MemoryStore
from keepwell.storage.memory_transaction import replayed
from keepwell.vault.layout import BLOBS, PACKS
from keepwell.vault.vault import Vault
from keepwell.vault.verify_content import verify_content
from keepwell.vault.verify_existence import verify_existence
from keepwell.vault.verify_records import verify_records
from prove.claims import Digest, Findings, compare
from prove.simulation.clients import Answered, Trace, places_in
from prove.simulation.disk import Site
from prove.simulation.restores import restore_all
from prove.simulation.world import World


@dataclass(frozen=True, slots=True)
class Replica:
    """What a device had of a collection at a state that was acknowledged."""

    account: AccountId
    kind: Kind
    lineage: Lineage
    collection: int
    sequence: int
    members: dict[str, Digest]


@dataclass(slots=True)
class Checker:
    """Checks one world, again and again. Remembers earlier states, to sync from them."""

    world: World
    replicas: list[Replica] = field(default_factory=list)
    synced: int = 0

    def check(self) -> Findings:
        """Everything that is wrong; what was found is what later claims go on from."""
        found: dict[str, Digest] = {}
        findings = Findings()
        store, answered = self.world.server.disk.store, self.world.answered
        wrong: list[str] = []
        for account in self.world.accounts:
            try:
                with store.account(account).reading() as snapshot:
                    if snapshot.held():
                        wrong.append(f"{account} is held: {next(iter(snapshot.held().values()))}")
                    found.update(places_in(snapshot, self.world.shelves[account]))
                    wrong += _journal(snapshot)
                    findings += _records(snapshot, answered)
                    self._sync(snapshot, wrong)
                    answered.confirmed[account] = snapshot.head().sequence
            except KeepwellError as error:
                wrong.append(f"{account} cannot be read: {error}")
        findings += compare(answered.expectation, found)
        for site in self.world.sites:
            wrong += [f"vault {site.name}: {line}" for line in _vault(site, store, self.world.clock)]
        answered.expectation.settle(found)
        self._is_whole_now()
        return findings + Findings(inconsistent=tuple(wrong))

    def _is_whole_now(self) -> None:
        self.world.store_is_whole, self.world.may_be_torn, self.world.server.disk.is_damaged = True, False, False
        for site in self.world.sites:
            site.is_whole, site.is_damaged, site.is_manifest_damaged = True, False, False

    def _sync(self, snapshot: Snapshot, wrong: list[str]) -> None:
        account = snapshot.account()
        here = {collection.id: collection for collection in snapshot.collections()}
        for replica in self.replicas:
            if replica.account != account or replica.lineage != snapshot.lineage():
                continue
            if replica.sequence > snapshot.head().sequence:
                wrong.append(f"{account} ends before record {replica.sequence}, which a device has seen")
            elif replica.collection in here:
                self.synced += 1
                wrong += _synced(snapshot, replica)
        for collection in here.values():
            if len(self.replicas) < 64:
                self.replicas.append(_replica(snapshot, collection.id, collection.kind))


def _replica(snapshot: Snapshot, collection: int, kind: Kind) -> Replica:
    members = {item.name: item.digest for item in snapshot.items(collection)}
    return Replica(snapshot.account(), kind, snapshot.lineage(), collection, snapshot.head().sequence, dict(members))


def _synced(snapshot: Snapshot, replica: Replica) -> Iterator[str]:
    members = dict(replica.members)
    for change in snapshot.changes(replica.collection, replica.sequence, 1 << 30):
        if change.item is None:
            members.pop(change.name, None)
        else:
            members[change.name] = change.item.digest
    now = {item.name: item.digest for item in snapshot.items(replica.collection)}
    if members != now:
        yield f"{replica.account}: a device that syncs from record {replica.sequence} has {members}, and there is {now}"


def _journal(snapshot: Snapshot) -> Iterator[str]:
    """Each record follows the one before, brings its bytes, and all of them lead to what is served."""
    account, before = snapshot.account(), None
    for record in snapshot.records():
        try:
            check_link(before, record)
            if record.facts.op is Op.PUT and (
                record.facts.digest is None or snapshot.content(record.facts.digest) is None
            ):
                yield f"{account}: the bytes of record {record.facts.seq} are not there"
        except KeepwellError as error:
            yield f"{account}: {error}"
        before = record
    made = replayed(account, snapshot.lineage(), snapshot.records())
    if made.ledger() != snapshot.ledger():
        yield f"{account}: its journal leads to another ledger"
    if _items(made) != _items(snapshot):
        yield f"{account}: its journal leads to other items"


def _items(snapshot: Snapshot) -> list[object]:
    return [
        (collection.kind, collection.name, collection.count, item.name, item.digest, item.sequence)
        for collection in snapshot.collections()
        for item in snapshot.items(collection.id)
    ]


def _records(snapshot: Snapshot, answered: Answered) -> Findings:
    """Every version that was acknowledged is in the journal; no record is there that nobody asked for."""
    account = snapshot.account()
    journal = list(snapshot.records())
    lost = [
        f"{account} record {seq}, acknowledged with {digest[:12]}"
        for (owner, seq), digest in answered.kept.items()
        if owner == account and (len(journal) < seq or journal[seq - 1].facts.digest != digest)
    ]
    counted = Counter(_trace(record.facts) for record in journal if record.facts.by != "the world")
    invented = [f"{trace}: {count} times" for trace, count in counted.items() if count > answered.asked.get(trace, 0)]
    return Findings(lost=tuple(lost), invented=tuple(invented))


def _trace(facts: Facts) -> Trace:
    digest = facts.digest if facts.op is Op.PUT and facts.digest is not None else ""
    return facts.account, facts.op, facts.collection, facts.name, digest


def _vault(site: Site, store: Store, clock: Clock) -> Iterator[str]:
    """The vault has what the store has, what counts in it is sound, and a restore from it alone equals the store."""
    vault = site.opened(clock)
    vault.look()
    useless = _useless(vault)
    yield from (str(problem) for problem in vault.problems if not any(name in str(problem) for name in useless))
    found = verify_existence(vault)
    found.add(verify_content(vault, list(vault.medium.list())))
    found.add(verify_records(vault, sorted(vault.heads())))
    damage = [one for one in found.findings if one.weight is not Weight.NOTE and one.object not in useless]
    if damage:
        yield "; ".join(f"{one.object}: {one.message}" for one in damage)
    heads = dict(store.read_heads())
    if vault.heads() != heads:
        yield f"its heads are {vault.heads()}, those of the store {heads}"
    yield from _restored(vault, store, clock)


def _useless(vault: Vault) -> set[str]:
    """Objects that stay damaged and are told for ever, as nothing proves what was in them; and nothing counts on them.

    A pack that no manifest names and of which not all can be read; a blob that only such packs name, or those of a
    server that had lost the vault.
    """
    manifest = vault.manifest()
    named = manifest.packs if manifest else {}
    known = {info.name: vault.pack_as_it_is(info.name) for info in vault.medium.list(PACKS) if info.name not in named}
    packs = {name for name, pack in known.items() if pack is None or pack.is_partial}
    counting = [pack for pack in vault.packs() if pack.name not in packs]
    needed = {blob for pack in counting for frame in pack.index.frames for blob in frame.blobs}
    needed |= {line.blob for account in vault.accounts() for line in vault.tail_lines(account) if line.blob}
    return packs | {info.name for info in vault.medium.list(BLOBS) if info.name not in needed}


def _restored(vault: Vault, store: Store, clock: Clock) -> Iterator[str]:
    """What a restore from this vault alone comes to, large bytes included, beside what the store has."""
    empty = MemoryStore(clock)
    yield from restore_all(vault, empty)
    if empty.accounts() != store.accounts():
        yield f"it restores the accounts {empty.accounts()}, not {store.accounts()}"
        return
    for account in store.accounts():
        with empty.account(account).reading() as one, store.account(account).reading() as other:
            if list(one.carried()) != list(other.carried()):
                yield f"what is restored of {account} is not what the store has"
            if _items(one) != _items(other) or one.ledger() != other.ledger():
                yield f"what is restored of {account} leads to other items"
