"""A vault in which something is broken: everything that the product does with it, and what must come of it.

- The server that has it open verifies it, in the grade `content`, and names what is broken.
- A command that opens it now names it as well, in the grade `records`, or refuses to open the vault.
- Every account is read from it as a restore does: each record and all bytes are the true ones or are not given out; now
  and then a whole restore is carried out, and its loss report tells what did not come back.
- Then a start brings store and vault together, or the keeper mends the vault. Afterwards the vault has everything again
  and proves itself, or what is broken is named as something that cannot be made good.
- The store, which is whole, is the same as before.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keepwell.app.restore import restore
from keepwell.model.errors import Damaged, KeepwellError
from keepwell.model.names import HOME_OF, AccountId
from keepwell.model.record import Op, digest_of
from keepwell.model.weight import Weight
from keepwell.services.catch_up import catch_up
from keepwell.services.restoring.logins import read_logins
from keepwell.services.restoring.restore import Restored, RestoreOrder
from keepwell.services.restoring.sources import close_sources, holding_of, open_sources
from keepwell.services.vaults import Vaults
from keepwell.storage.contract import Head, Snapshot
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.layout import BLOBS
from keepwell.vault.medium import ObjectInfo
from keepwell.vault.reading import Findings, read_account
from keepwell.vault.repair import repair_vault
from keepwell.vault.restore_plan import KIND_ORDER, Choice, plan_restore
from keepwell.vault.ship import pack_tails
from keepwell.vault.vault import Vault
from keepwell.vault.verify import Grade, verify
from keepwell.vault.verify_content import verify_object
from prove.case import FailedError, Unit
from prove.small_world import EPOCH_HELD, VAULT_NAME, Items, SeedClock, SeedEntropy, SmallWorld, write_tree

FAILURES_SHOWN_MAX: Final = 20

Changes = Mapping[str, bytes | None]
"""What objects are made; None: they are taken away."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is broken: `names` are objects of which one at least must be named."""

    what: str
    changes: Changes
    names: frozenset[str]


class BrokenVault:
    """Breaks the vault of a world, and puts it right again after each fault."""

    def __init__(self, world: SmallWorld, unit: Unit) -> None:
        """Of this world, whose files lie where it was made."""
        self._world, self._unit = world, unit
        self._clock, self._entropy = SeedClock(), SeedEntropy(f"{unit.seed}/broken")
        self._vaults = Vaults(world.data, self._clock, self._entropy)
        self._store = SqliteStore(world.data, self._clock, self._entropy)
        self._failures: list[str] = []

    def close(self) -> None:
        """Raises FailedError with everything that was not as it must be."""
        self._store.close()
        self._unit.require_that(not self._failures, "\n".join(self._failures[:FAILURES_SHOWN_MAX]))

    def try_out(self, fault: Fault, *, by_start: bool, restore_too: bool) -> None:
        """Break it, do everything, put it right; what was not as it must be is told by `close`."""
        try:
            with closing(self._vaults.open_to_write(VAULT_NAME)) as served:
                break_files(self._world.vault, fault.changes)
                self._require_named(served, fault, Grade.CONTENT)
                found_by = self._look_at_it_anew(fault)
                if restore_too:
                    self._restore()
                if by_start:
                    self._start()
                else:
                    self._keep(served)
            self._require_store()
            self._unit.figures[f"found by {found_by}"] += 1
        except (FailedError, KeepwellError) as error:
            self._failures.append(f"{fault.what}: {type(error).__name__}: {error}")
            for account in self._world.journals:
                self._store.account(account).hold({})
        finally:
            self._unit.figures["tried"] += 1
            write_tree(self._world.vault, self._world.vault_files)
            (self._world.data / EPOCH_HELD).write_bytes(self._world.data_files[EPOCH_HELD])

    def try_bytes(self, fault: Fault) -> None:
        """The same for one object that holds nothing but bytes, and only what looks at that object."""
        ((name, _octets),) = fault.changes.items()
        try:
            with closing(self._vaults.open_to_write(VAULT_NAME)) as served:
                break_files(self._world.vault, fault.changes)
                found = verify_object(served, ObjectInfo(name, len(self._world.vault_files[name])))
                self._unit.require_that(bool(found.findings), f"verifying does not name {name}")
                self._unit.require_that(not name.startswith(BLOBS) or _is_refused(served, name), f"{name} is given out")
                repair_vault(served, found.findings, self._store)
                mended = served.medium.read(name) == self._world.vault_files[name]
                self._unit.require_that(mended, f"{name} was not made good")
            self._unit.figures["found by verifying"] += 1
            self._unit.figures["made good"] += 1
        except (FailedError, KeepwellError) as error:
            self._failures.append(f"{fault.what}: {type(error).__name__}: {error}")
        finally:
            self._unit.figures["tried"] += 1
            (self._world.vault / name).write_bytes(self._world.vault_files[name])

    def _require_named(self, vault: Vault, fault: Fault, grade: Grade) -> None:
        found = verify(vault, grade)
        if not fault.names & {one.object for one in found.findings}:
            raise FailedError(f"verifying ({grade}) names only {[one.object for one in found.findings]}")

    def _look_at_it_anew(self, fault: Fault) -> str:
        """What found it: opening the vault, or verifying it."""
        try:
            vault = self._vaults.open(VAULT_NAME)
        except KeepwellError:
            return "opening the vault"
        with closing(vault):
            self._require_named(vault, fault, Grade.RECORDS)
            for account in self._world.journals:
                self._read(vault, account)
        return "verifying"

    def _read(self, vault: Vault, account: AccountId) -> None:
        """What is given out is true, in order from the first record on; bytes that are not are told."""
        findings, journal = Findings(), self._world.journals[account]
        brought = set()
        for number, carried in enumerate(read_account([vault], account, findings=findings)):
            record = carried.record
            if record != journal.records[number]:
                raise FailedError(f"record {number + 1} of {account} is read otherwise than it was")
            if carried.body is not None:
                brought.add(digest_of(carried.body))
                true = record.facts.digest == digest_of(carried.body)
            else:
                lacks = record.facts.op is Op.PUT and record.facts.digest not in brought
                true = not carried.erased and (not lacks or bool(findings.faults))
            if not true:
                raise FailedError(f"the bytes of record {number + 1} of {account} are not the true ones")

    def _restore(self) -> None:
        """The whole command: what comes back is true, and what does not is in the loss report."""
        with restored_alone(self._world.vault, self._world.data.with_name("restored")) as restored:
            if restored is None:
                return
            done, store = restored
            lost = {one.account for one in done.loss.accounts} if done.loss else set()
            is_end = any(fault.name.startswith("tails/") for fault in done.faults)
            for account in self._world.truth:
                self._require_restored(store, account, is_lost=account in lost, is_end=is_end)
            self._unit.figures["restored from it whole"] += not lost
            self._unit.figures["restored from it in part, and told"] += bool(lost)

    def _require_restored(self, store: SqliteStore, account: AccountId, *, is_lost: bool, is_end: bool) -> None:
        """`is_end`: a tail's last line could not be read; whether it was confirmed nobody knows, and that is told."""
        if account not in store.accounts():
            self._unit.require_that(is_lost, f"{account} was not restored, and that is not told")
            return
        with store.account(account).reading() as snapshot:
            held, found = snapshot.held(), items_in(snapshot)
        truth = self._world.truth[account]
        is_explained = (is_lost and held) or is_end
        if found != truth and not (is_explained and found.items() <= truth.items()):
            raise FailedError(f"what was restored of {account} is not what it had")

    def _require_store(self) -> None:
        for account, journal in self._world.journals.items():
            with self._store.account(account).reading() as snapshot:
                last = journal.records[-1]
                if snapshot.head() != Head(last.facts.seq, last.hash) or snapshot.held():
                    raise FailedError(
                        f"{account} of the store ends with {snapshot.head()}, held: {set(snapshot.held().values())}"
                    )

    def _start(self) -> None:
        """What `serve` does first; what it leaves the keeper finds."""
        try:
            vault = self._vaults.open_to_write(VAULT_NAME, "another")
        except KeepwellError:
            self._unit.figures["named, and left by a start"] += 1
            return
        with closing(vault):
            done = catch_up(self._store, [vault], is_complete=True)
            pack_tails(vault, self._store)
            if done.held or done.restored or done.extended:
                raise FailedError(f"the start changed the store: {done.held}, {done.restored}, {done.extended}")
            self._keep(vault, is_start=True)

    def _keep(self, vault: Vault, *, is_start: bool = False) -> None:
        """What the keeper does: verify, mend, verify again."""
        found = verify(vault, Grade.RECORDS)
        done = repair_vault(vault, [one for one in found.findings if one.weight is Weight.DAMAGE], self._store)
        with closing(self._vaults.open(VAULT_NAME)) as mended:
            left = verify(mended, Grade.RECORDS).findings
            damaged = {one.object for one in left if one.weight is Weight.DAMAGE}
            if damaged - done.failures.keys():
                raise FailedError(f"after mending, {sorted(damaged)} are damaged and not told")
            ends = set(mended.broken_ends)
            if not damaged and not ends:
                require_everything(mended, self._world)
        if not damaged and not ends:
            self._unit.figures["made good"] += 1
        elif is_start:
            self._unit.figures["named as not to be made good"] += 1
        else:
            self._start()  # it writes in another epoch, and ships what tails of ended ones hold


def break_files(folder: Path, changes: Changes) -> None:
    """Make files of a folder something else, or take them away."""
    for name, octets in changes.items():
        path = folder / name
        if octets is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(octets)


@contextmanager
def restored_alone(vault: Path, into: Path) -> Iterator[tuple[Restored, SqliteStore] | None]:
    """What the whole command `restore` makes of this vault and nothing else; None when it refuses to open it."""
    try:
        opened = open_sources([str(vault)])
    except KeepwellError:
        yield None
        return
    try:
        vaults = [one.vault for one in opened]
        holdings = [holding_of(one, blobs=True) for one in vaults]
        plan = plan_restore(holdings, Choice(None, KIND_ORDER), read_logins(vaults))
        done = restore(RestoreOrder(into), plan, opened, lambda *_, **__: nullcontext(lambda _done, _all: None))
        with closing(SqliteStore(into)) as store:
            yield done, store
    finally:
        close_sources(opened)
        for folder in (into, into.with_name(f"{into.name}.restoring")):
            shutil.rmtree(folder, ignore_errors=True)


def require_everything(vault: Vault, world: SmallWorld) -> None:
    """The vault has every record and all bytes of every account. Raises FailedError."""
    for account, journal in world.journals.items():
        bodies, records = {}, []
        for carried in read_account([vault], account):
            records.append(carried.record)
            if carried.body is not None:
                bodies[carried.record.facts.digest] = carried.body
        if tuple(records) != journal.records or bodies != journal.bodies:
            raise FailedError(f"the vault has not everything of {account}")


def _is_refused(vault: Vault, name: str) -> bool:
    try:
        vault.read_blob(name)
    except Damaged:
        return True
    return False


def items_in(snapshot: Snapshot) -> Items:
    """Every item whose bytes are given out."""
    found: Items = {}
    for collection in snapshot.collections():
        for item in snapshot.items(collection.id):
            with suppress(Damaged):
                found[HOME_OF[collection.kind], collection.name, item.name] = snapshot.content(item.digest) or b""
    return found
