"""A vault in which whole objects are missing or wrong: what the product makes of it, with the store and without it.

- Verifying names an object that is at fault; or the store tells, because it has more of an account than the vault; or
  nothing depends on what is at fault, and the vault has everything all the same.
- Restored from the vault alone, the store being lost as well: every record that comes back is the true one, and what
  came back together with what the loss report lists is everything that anything left tells of (`prove.left_of_vault`).
- A server that has the vault open goes on and its keeper does what it does, or a start does, and then the keeper.
  Afterwards the store is as it was, verifying finds nothing or calls what it finds of no account, and the vault alone
  restores everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Final

from keepwell.app.start import prepare
from keepwell.model.errors import KeepwellError
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Kind
from keepwell.model.weight import Weight
from keepwell.services.vaults import Vaults
from keepwell.storage.contract import Head, Snapshot
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.loss import AccountLoss, Fate, KindLoss
from keepwell.vault.verify import Grade, verify
from prove.broken_vault import Fault, break_files, require_everything, restored_alone
from prove.case import FailedError, Unit
from prove.keeping import HandClock, Keeping, keeping
from prove.left_of_vault import ItemKey, Left, items_at, last_puts, left_of
from prove.small_world import VAULT_NAME, SeedClock, SeedEntropy, SmallWorld, Tree, read_tree

FAILURES_SHOWN_MAX: Final = 20
ROUND: Final = timedelta(days=1)
ROUNDS: Final = 10
"""So many days of the keeper: everything is verified, packs are merged, and what was merged is removed."""


class FaultyVault:
    """Puts faults into the vault of a world, and puts it right again after each."""

    def __init__(self, world: SmallWorld, unit: Unit) -> None:
        """Of this world, whose files lie where it was made."""
        self._world, self._unit = world, unit
        self._clock, self._entropy = SeedClock(), SeedEntropy(f"{unit.seed}/faulty")
        self._vaults = Vaults(world.data, self._clock, self._entropy)
        self._failures: list[str] = []

    def close(self) -> None:
        """Raises FailedError with everything that was not as it must be."""
        self._unit.require_that(not self._failures, "\n".join(self._failures[:FAILURES_SHOWN_MAX]))

    def try_at_rest(self, fault: Fault) -> None:
        """A fault that a start finds; what was not as it must be is told by `close`."""
        with self._trying(fault.what):
            self._unit.figures["tried"] += 1
            self._world.write()
            break_files(self._world.vault, fault.changes)
            self._unit.figures[f"told by {self._who_tells(fault)}"] += 1
            self._restore_alone()
            self._start()
            self._unit.require_that(self._is_good(), "the vault is not good again after a start")
            self._unit.figures["made good by a start"] += 1

    def try_served(self, choose: Callable[[Tree], Fault]) -> None:
        """A fault, chosen by what lies there then, in a vault that a server has open."""
        self._world.write()
        self._prepare()
        with keeping(self._world.data, HandClock()) as keeper:
            fault = choose(read_tree(self._world.vault))
            self._unit.figures["tried"] += 1
            with self._trying(fault.what):
                break_files(self._world.vault, fault.changes)
                self._keep(keeper)
        with self._trying(fault.what):
            if self._is_good():
                self._unit.figures["made good by a server that went on"] += 1
                return
            self._start()
            self._unit.require_that(self._is_good(), "the vault is not good again after another start")
            self._unit.figures["made good by another start"] += 1

    def served_objects(self) -> Tree:
        """What lies in the vault while a server has it open."""
        self._world.write()
        self._prepare()
        with keeping(self._world.data, HandClock()):
            return read_tree(self._world.vault)

    @contextmanager
    def _trying(self, what: str) -> Iterator[None]:
        try:
            yield
        except (FailedError, KeepwellError) as error:
            self._failures.append(f"{what}: {type(error).__name__}: {error}")

    def _who_tells(self, fault: Fault) -> str:
        try:
            vault = self._vaults.open(VAULT_NAME)
        except KeepwellError:
            return "opening the vault"
        with closing(vault):
            found = {one.object for one in verify(vault, Grade.RECORDS).findings}
            if found & fault.names:
                return "verifying"
            self._unit.require_that(not found, f"verifying names only {sorted(found)}")
            ends = {account: journal.records[-1].facts.seq for account, journal in self._world.journals.items()}
            if any(vault.head(account).sequence < end for account, end in ends.items()):
                return "the store, which has more"
            require_everything(vault, self._world)
            return "nothing, since nothing depends on it"

    def _keep(self, keeper: Keeping) -> None:
        for _ in range(ROUNDS):
            keeper.tick(ROUND)

    def _prepare(self) -> None:
        """What `serve` does first."""
        told: list[str] = []
        done = prepare(self._world.data, "another", told.append, clock=self._clock, entropy=self._entropy)
        self._unit.require_that(not done.held and not done.restored and not done.extended, f"the start told {told}")

    def _start(self) -> None:
        self._prepare()
        with keeping(self._world.data, HandClock()) as keeper:
            self._keep(keeper)

    def _is_good(self) -> bool:
        """Whether the vault proves itself and restores everything. Raises FailedError when the store is not as before.

        What verifying calls of no account is counted.
        """
        self._require_store()
        with closing(self._vaults.open(VAULT_NAME)) as vault:
            found = verify(vault, Grade.RECORDS).findings
            if any(one.weight is not Weight.NOTE for one in found):
                return False
            require_everything(vault, self._world)
        self._unit.figures["left over, and named as that"] += len({one.object for one in found})
        with restored_alone(self._world.vault, self._world.data.with_name("restored")) as restored:
            if restored is None:
                raise FailedError("what was made good cannot be restored from")
            done, store = restored
            self._unit.require_that(done.loss is None, f"a loss is told of what was made good: {done.loss}")
            for account, journal in self._world.journals.items():
                self._require_account(store, account, Left(journal.records, set(range(1, len(journal.records) + 1))))
        return True

    def _require_store(self) -> None:
        with closing(SqliteStore(self._world.data, self._clock, self._entropy)) as store:
            for account, journal in self._world.journals.items():
                with store.account(account).reading() as snapshot:
                    last = journal.records[-1]
                    is_same = snapshot.head() == Head(last.facts.seq, last.hash)
                    if not is_same or snapshot.held():
                        raise FailedError(f"{account} of the store ends with {snapshot.head()}, {snapshot.held()}")

    def _restore_alone(self) -> None:
        """Restore it without the store, and compare with what its objects tell."""
        lefts = left_of(self._world, read_tree(self._world.vault))
        with restored_alone(self._world.vault, self._world.data.with_name("restored")) as restored:
            if restored is None:
                raise FailedError("nothing can be restored from it")
            done, store = restored
            strange = set(store.accounts()) - lefts.keys()
            self._unit.require_that(not strange, f"accounts that never were came back: {strange}")
            losses = {one.account: one for one in done.loss.accounts} if done.loss else {}
            for account, left in lefts.items():
                self._require_account(store, account, left)
                _Accounting(left, losses.get(account)).require(store, account)
                self._count(left)

    def _count(self, left: Left) -> None:
        figures, untold = self._unit.figures, len(left.records) - max(left.told, left.reach)
        figures["records restored without the store"] += left.reach
        figures["records told as lost, or by name"] += left.told - left.reach
        figures["records that nothing left tells of"] += untold

    def _require_account(self, store: SqliteStore, account: AccountId, left: Left) -> None:
        """What was restored are the unbroken records that are left, and the bytes that are."""
        if account not in store.accounts():
            self._unit.require_that(left.reach == 0, f"{account} was not restored")
            return
        with store.account(account).reading() as snapshot:
            records = tuple(snapshot.records())
            if records != left.records[: left.reach]:
                raise FailedError(f"of {account} {len(records)} records came back, and {left.reach} are left")
            found = bodies_in(snapshot)
        wanted = {key: put.facts.digest for key, put in items_at(left.records, left.reach).items()}
        bodies = self._world.journals[account].bodies
        true = {key: None if digest in left.lacking else bodies[digest] for key, digest in wanted.items() if digest}
        if found != true:
            unlike = sorted(key for key in found.keys() | true.keys() if found.get(key) != true.get(key))
            raise FailedError(f"{account} does not have what it had: {unlike[:5]}")


def bodies_in(snapshot: Snapshot) -> dict[ItemKey, bytes | None]:
    """Every item with its bytes; None for one that lacks them."""
    lacking = set(snapshot.lacking())
    return {
        (collection.kind, collection.name, item.name): None if item.digest in lacking else snapshot.content(item.digest)
        for collection in snapshot.collections()
        for item in snapshot.items(collection.id)
    }


class _Accounting:
    """What a loss report must say of one account, by what is left of it."""

    def __init__(self, left: Left, loss: AccountLoss | None) -> None:
        """With what it says; None when it does not mention the account."""
        self._left, self._loss = left, loss
        self._here = items_at(left.records, left.reach)
        self._lacking = {key for key, put in self._here.items() if put.facts.digest in left.lacking}
        self._changed = {one.facts.kind for one in left.records[left.reach : left.told]}

    def require(self, store: SqliteStore, account: AccountId) -> None:
        """Raises FailedError unless it lists exactly what did not come back."""
        left, loss = self._left, self._loss
        gone = left.told > left.reach
        old = {one.facts.digest for one in left.records[: left.reach] if one.facts.digest in left.lacking}
        if not gone and not old:
            if loss is not None:
                raise FailedError(f"a loss of {account} is told though nothing is known to be lost: {loss}")
            return
        if loss is None:
            raise FailedError(f"{account} has {left.reach} of {left.told} records, lacks {old}: no loss is told")
        said = (loss.records_expected, loss.records_recovered, list(loss.gaps))
        if said != (max(left.told, left.reach), left.reach, left.gaps()):
            raise FailedError(f"the loss of {account} is told as {said}, not {left.told, left.reach, left.gaps()}")
        self._require_named(loss)
        for one in loss.kinds:
            self._require_kind(one)
        if account in store.accounts() and account != SYSTEM_ACCOUNT:
            self._require_held(store, account)

    def _require_named(self, loss: AccountLoss) -> None:
        named = {(one.kind, one.collection, one.name): one for one in loss.items}
        lost = {
            key
            for key, put in last_puts(self._left.behind).items()
            if key not in self._here or self._here[key].facts.digest != put.facts.digest
        }
        said = {key for key, one in named.items() if one.fate is Fate.LOST}
        if said != lost:
            raise FailedError(f"lost are named {sorted(said)}, not {sorted(lost)}")
        incomplete = {key for key, one in named.items() if one.fate is Fate.INCOMPLETE and one.is_current}
        if incomplete != self._lacking:
            raise FailedError(f"incomplete are named {sorted(incomplete)}, not {sorted(self._lacking)}")
        self._lost = lost

    def _require_kind(self, one: KindLoss) -> None:
        left, kind = self._left, one.kind
        there = items_at(left.records, max(left.told, left.reach))
        missing = sum(1 for key in there if key[0] is kind and self._here.get(key) != there[key])
        here = sum(key[0] is kind for key in self._here)
        lacking = sum(key[0] is kind for key in self._lacking)
        named = sum(key[0] is kind for key in self._lost)
        tells_all = left.reach >= left.told or left.counted >= left.told
        if one.proven != (tells_all and kind not in self._changed and not lacking):
            raise FailedError(f"{one} is told; of {here} items {missing} are missing")
        if (one.recovered, one.incomplete, one.elsewhere) != (here - lacking, lacking, 0):
            raise FailedError(f"{one} is told; {here} items are here, {lacking} lack their bytes")
        if not named <= one.lost <= missing or one.recovered + one.incomplete + one.lost < one.expected:
            raise FailedError(f"{one} is told; {missing} items are missing, of which {named} are named")
        if left.counted >= left.reach and left.counted and one.expected != _count(left, kind, left.counted):
            raise FailedError(f"{one} is told; there were {_count(left, kind, left.counted)}")

    def _require_held(self, store: SqliteStore, account: AccountId) -> None:
        there = items_at(self._left.records, max(self._left.told, self._left.reach))
        unlike = {key[0] for key in there.keys() | self._here.keys() if self._here.get(key) != there.get(key)}
        unlike |= {key[0] for key in self._lacking}
        with store.account(account).reading() as snapshot:
            served = unlike - snapshot.held().keys()
        if served:
            raise FailedError(f"{sorted(served)} of {account} are served though they are not whole")


def _count(left: Left, kind: Kind, sequence: int) -> int:
    return sum(key[0] is kind for key in items_at(left.records, sequence))
