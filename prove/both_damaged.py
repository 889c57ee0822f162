"""Store and vault damaged at the same time, in different places and in the same: what no copy has whole any more.

Bits flip, pages are zeroed, files are cut off or gone, in the data folder and in the vault, several of each; now and
then a record, or an item's bytes, is hit in every copy that has it. Then `keepwell salvage` unites both into an empty
place. `prove.left_of_copies` says what must come back; and

- records that came back are true ones, and those that must be are among them; the report lists all others up to the
  last that anything tells of, by number;
- an item is there with its bytes when its record and its bytes are left; nothing is there that never was;
- what the report counts and names is what is missing, and only kinds that are whole are served.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

import structlog

from keepwell.model.errors import KeepwellError
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Kind
from keepwell.model.record import Op
from keepwell.services.salvaging.build import ASIDE, carry_out
from keepwell.services.salvaging.salvage import salvaging
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.layout import BLOBS, MANIFESTS, PACKS, TAILS
from keepwell.vault.lines import parse_lines
from keepwell.vault.loss import AccountLoss, Fate, KindLoss
from prove.case import Case, FailedError, Unit
from prove.faulty_vault import bodies_in
from prove.flipped_store import own_witness
from prove.flipped_vault import quick_folder
from prove.left_of_copies import Certain, certain_of, contents_of, rows_of
from prove.left_of_vault import ItemKey, index_of, items_at, last_puts
from prove.small_world import SeedClock, SeedEntropy, SmallWorld, Tree, flipped, make_world, write_tree

ROUNDS: Final = 30
ROUNDS_SHORT: Final = 12
FAULTS_MAX: Final = 6
"""In each copy."""
PAGE_OCTETS: Final = 4096
FAILURES_SHOWN_MAX: Final = 10
DATA: Final = ("accounts/", "blobs/")
VAULT: Final = (PACKS, BLOBS, MANIFESTS, TAILS)


def run(unit: Unit) -> None:
    """Round by round: damage both copies of the same world, and salvage."""
    random = unit.random("damage")
    failures: list[str] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="prove-", dir=quick_folder(unit))))
        stack.enter_context(own_witness(folder))
        world = make_world(folder, str(unit.seed))
        stack.enter_context(structlog.testing.capture_logs())
        for number in range(ROUNDS if unit.full else ROUNDS_SHORT):
            copies = _damaged(world, random)
            try:
                _Salvaging(unit, world, copies, f"{unit.seed}/{number}").carry_out(folder / f"salvaged-{number}")
            except (FailedError, KeepwellError) as error:
                failures.append(f"round {number}, {copies.what}: {type(error).__name__}: {error}")
    unit.require_that(not failures, "\n".join(failures[:FAILURES_SHOWN_MAX]))


@dataclass(slots=True)
class Copies:
    """Both copies as they are now, and what was done to them."""

    data: Tree
    vault: Tree
    what: list[str]


def _damaged(world: SmallWorld, random: Random) -> Copies:
    copies = Copies(dict(world.data_files), dict(world.vault_files), [])
    for files, sorts in ((copies.data, DATA), (copies.vault, VAULT)):
        for _ in range(random.randint(1, FAULTS_MAX)):
            name = random.choice([one for one in files if one.startswith(sorts) and not one.endswith("-shm")])
            how = random.choices(list(_HARMS), weights=[6, 3, 2, 1])[0]
            harmed = _HARMS[how](files[name], random)
            copies.what.append(f"{name[:24]} {how}")
            if harmed is None:
                del files[name]
            else:
                files[name] = harmed
    for _ in range(random.choice([0, 1, 2, 5])):
        _hit_everywhere(world, copies, random)
    return copies


def _flipped(octets: bytes, random: Random) -> bytes:
    for _ in range(random.randint(1, 5) if octets else 0):
        octets = flipped(octets, random.randrange(len(octets)), random.randrange(8))
    return octets


def _zeroed(octets: bytes, random: Random) -> bytes:
    at = random.randrange(len(octets) // PAGE_OCTETS + 1) * PAGE_OCTETS
    page = octets[at : at + PAGE_OCTETS]
    return octets[:at] + bytes(len(page)) + octets[at + len(page) :]


_HARMS: Final[Mapping[str, Callable[[bytes, Random], bytes | None]]] = {
    "flipped": _flipped,
    "zeroed": _zeroed,
    "cut off": lambda octets, random: octets[: random.randrange(len(octets) + 1)],
    "gone": lambda _octets, _random: None,
}


def _hit_everywhere(world: SmallWorld, copies: Copies, random: Random) -> None:
    """A record, or an item's bytes, in the store and in the tail; in packs its frame, with others that are in it."""
    account = random.choice(list(world.journals))
    journal = world.journals[account]
    record = random.choice(journal.records)
    digest = record.facts.digest
    is_bytes = digest in journal.bodies and random.random() < 0.5
    copies.what.append(f"record {record.facts.seq} of {account}{', its bytes' if is_bytes else ''} everywhere")
    for name, octets in world.data_files.items():
        if f"/{account}.db" in name and name in copies.data:
            spans = (
                contents_of(octets, digest, journal.bodies[digest]) if is_bytes and digest else rows_of(octets, record)
            )
            for start, end in spans:
                copies.data[name] = _hit(copies.data[name], random.randrange(max(start, end - 60), end))
    for name, octets in world.vault_files.items():
        if name not in copies.vault:
            continue
        if name.startswith(TAILS) and (at := octets.find(record.hash.encode())) >= 0:
            copies.vault[name] = _hit(copies.vault[name], at + random.randrange(60))
        for frame in index_of(octets).frames if name.startswith(PACKS) else ():
            if frame.account == account and frame.first <= record.facts.seq <= frame.last:
                copies.vault[name] = _hit(copies.vault[name], frame.offset + random.randrange(frame.length))


def _hit(octets: bytes, at: int) -> bytes:
    return octets[:at] + bytes([octets[at] ^ 0x15]) + octets[at + 1 :] if at < len(octets) else octets


class _Salvaging:
    """One salvage of damaged copies, and what must come of it."""

    def __init__(self, unit: Unit, world: SmallWorld, copies: Copies, seed: str) -> None:
        self._unit, self._world, self._copies = unit, world, copies
        self._clock, self._entropy = SeedClock(), SeedEntropy(seed)

    def carry_out(self, into: Path) -> None:
        world, copies = self._world, self._copies
        write_tree(world.data, copies.data)
        write_tree(world.vault, copies.vault)
        certain = certain_of(world, copies.data, copies.vault)
        with salvaging([str(world.data), str(world.vault)], [], into, self._clock) as salvage:
            survey = salvage.survey()
            carry_out(salvage, survey, self._clock, self._entropy)
        losses = {one.account: one for one in survey.accounts}
        self._unit.figures["salvaged"] += 1
        self._unit.require_that(losses.keys() <= certain.keys(), f"accounts that never were: {losses.keys()}")
        with closing(SqliteStore(into, self._clock, self._entropy)) as store:
            for account, left in certain.items():
                if account not in losses:
                    self._unit.require_that(not left.told, f"{account} is not mentioned")
                    continue
                self._require(store, into, account, left, losses[account])

    def _require(self, store: SqliteStore, into: Path, account: AccountId, left: Certain, loss: AccountLoss) -> None:
        records = self._world.journals[account].records
        known = set(range(1, loss.records_expected + 1))
        gone = {seq for gap in loss.gaps for seq in range(gap.first, gap.last + 1)}
        found = known - gone
        figures = self._unit.figures
        figures["records that came back"] += len(found)
        figures["records told as lost"] += len(gone)
        figures["records that nothing left tells of"] += len(records) - loss.records_expected
        if not left.told <= loss.records_expected <= len(records):
            raise FailedError(f"{account} had {len(records)} records, {left.told} are told of: {loss}")
        if len(found) != loss.records_recovered or not left.records <= found:
            raise FailedError(f"of {account} records {sorted(left.records - found)} are left, not in {loss}")
        if not loss.records_recovered:
            return
        came = self._came_back(store, into, account)
        if came != found:
            raise FailedError(f"of {account} came back {sorted(came ^ found)} other than told: {loss.gaps}")
        with store.account(account).reading() as snapshot:
            there, held = bodies_in(snapshot), snapshot.held()
        _Accounting(self._world, account, loss, found, left).require(there, set(held))

    def _came_back(self, store: SqliteStore, into: Path, account: AccountId) -> set[int]:
        """The numbers, as they were, of the records in the new journal and beside it; each is a true one."""
        true = {record.hash: record.facts.seq for record in self._world.journals[account].records}
        with store.account(account).reading() as snapshot:
            came = {true[record.hash] for record in snapshot.records() if record.hash in true}
        aside = into / ASIDE / f"{account}.jsonl"
        for line in parse_lines(aside.read_bytes()) if aside.exists() else ():
            if line.record.hash not in true:
                raise FailedError(f"record {line.record.facts.seq} of {account} was invented")
            came.add(true[line.record.hash])
        return came


class _Accounting:
    """What is there of an account, and what the report must say of it."""

    def __init__(
        self, world: SmallWorld, account: AccountId, loss: AccountLoss, found: set[int], left: Certain
    ) -> None:
        self._journal, self._account = world.journals[account], account
        self._loss, self._found, self._left = loss, found, left
        self._puts = items_at(self._journal.records, loss.records_expected)
        self._known = last_puts([one for one in self._journal.records if one.facts.seq in found])
        """By all records that are known; what removed an item may not be."""
        self._true = {
            key: self._journal.bodies[put.facts.digest] for key, put in self._puts.items() if put.facts.digest
        }

    def require(self, there: Mapping[ItemKey, bytes | None], held: set[Kind]) -> None:
        """Raises FailedError unless everything that must be is there, nothing else, and the rest is told."""
        self._require_true(there)
        missing = {key for key, body in self._true.items() if there.get(key) != body}
        must = {
            key
            for key in missing
            if self._puts[key].facts.seq in self._left.records
            and self._puts[key].facts.digest in self._left.bodies
            and not self._gave_way(key)
        }
        if must:
            raise FailedError(f"{sorted(must)} of {self._account} could be salvaged, and were not")
        named = self._require_named(missing)
        for kind in (one for one in Kind if one is not Kind.SYSTEM):
            loss = next((one for one in self._loss.kinds if one.kind is kind), None)
            is_same = _of(kind, there) == _of(kind, self._true)
            if not is_same and kind not in held:
                raise FailedError(f"{kind} of {self._account} is served and not whole: {self._loss}")
            if loss is not None:
                self._require_kind(loss, there, named, is_same=is_same)

    def _gave_way(self, key: ItemKey) -> bool:
        """Whether a later item has its UID: between the two records of a move, of which the second is not known."""
        put = self._puts[key].facts
        later = (one.facts for other, one in self._puts.items() if other[:2] == key[:2])
        return any(one.uid == put.uid and one.seq > put.seq and one.seq in self._found for one in later if put.uid)

    def _require_true(self, there: Mapping[ItemKey, bytes | None]) -> None:
        """Every item had these bytes at some time."""
        had = {
            (facts.kind, facts.collection, facts.name, facts.digest)
            for facts in (record.facts for record in self._journal.records)
            if facts.op is Op.PUT
        }
        bodies = {body: digest for digest, body in self._journal.bodies.items()}
        for key, body in there.items():
            if self._account == SYSTEM_ACCOUNT and body not in bodies:
                continue  # a login that was made for an account without one
            if body is None or (*key, bodies.get(body)) not in had:
                raise FailedError(f"{key} of {self._account} never was what it is now")

    def _require_named(self, missing: set[ItemKey]) -> dict[ItemKey, Fate]:
        named: dict[ItemKey, Fate] = {}
        for one in self._loss.items:
            key = (one.kind, one.collection, one.name)
            if not one.is_current:
                continue
            named[key] = one.fate
            last = [puts[key].facts.seq for puts in (self._puts if key in missing else {}, self._known) if key in puts]
            if one.seq not in last:
                raise FailedError(f"{one} of {self._account} is told, and is there, or never was")
            if one.fate is Fate.LOST and one.seq in self._found:
                raise FailedError(f"{one} of {self._account} is told as lost, and its record is there")
        unnamed = {key for key in missing if self._puts[key].facts.seq in self._found} - named.keys()
        if not all(map(self._gave_way, unnamed)):
            raise FailedError(f"{sorted(unnamed)} of {self._account} are incomplete, and that is not told")
        return named

    def _require_kind(
        self, loss: KindLoss, there: Mapping[ItemKey, bytes | None], named: Mapping[ItemKey, Fate], *, is_same: bool
    ) -> None:
        kind, true, here = loss.kind, _of(loss.kind, self._true), _of(loss.kind, there)
        if self._account == SYSTEM_ACCOUNT:
            return
        incomplete = {key for key, fate in named.items() if key[0] is kind and fate is Fate.INCOMPLETE}
        good = sum(here.get(key) == body for key, body in true.items())
        if loss.proven and not is_same:
            raise FailedError(f"{loss} of {self._account} is told as proven; {good} of {len(true)} items are there")
        if not loss.proven and is_same and not self._loss.gaps:
            raise FailedError(f"{loss} of {self._account} is told, and nothing is missing")
        if (loss.recovered, loss.incomplete) != (len(here) - len(incomplete & here.keys()), len(incomplete)):
            raise FailedError(f"{loss} of {self._account} is told; {len(here)} items are here, {incomplete} incomplete")
        if self._is_counted(kind) and loss.expected != len(true):
            raise FailedError(f"{loss} of {self._account} is told; there were {len(true)}")
        if loss.recovered + loss.incomplete + loss.lost < loss.expected:
            raise FailedError(f"{loss} of {self._account} is told, which does not add up")
        # Of an item that was removed by a record that is gone nobody knows that it should not be there.
        if {*here, *incomplete} <= true.keys() and here.items() <= true.items() and loss.expected == len(true):
            exact = len(true) - good - len(incomplete)
            if loss.lost != exact:
                raise FailedError(f"{loss} of {self._account} is told; {exact} items are lost")

    def _is_counted(self, kind: Kind) -> bool:
        """Whether a manifest or an index that is left counts this kind as it last was."""
        last = max((one.facts.seq for one in self._journal.records if one.facts.kind is kind), default=0)
        return 0 < last <= self._left.counted


def _of(kind: Kind, items: Mapping[ItemKey, bytes | None]) -> dict[ItemKey, bytes | None]:
    return {key: body for key, body in items.items() if key[0] is kind}


CASE: Final = Case(
    "both-damaged", "store and vault damaged at the same time, in different places and in the same", run, full=40
)
