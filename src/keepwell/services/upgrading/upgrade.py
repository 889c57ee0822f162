"""Carrying out an upgrade, and going back (`plan.py` decides; `storage.generations` has the states and crash points).

Each account is read record by record from its old file, each record proven, and built anew in a new file; then old
and new are read side by side and must have the same records, bytes, ledger, lineage and held kinds. When anything is
not the same, nothing is switched. Blobs are shared by both generations: they never change.

Everything from the first look at a file to the switch happens while nobody else has the folder open, so nothing can be
written to what is on its way out. A decision to override is kept before anything is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Final

import apsw

from keepwell.ground.clock import Clock, render_moment
from keepwell.ground.entropy import Entropy, base32_word
from keepwell.model.errors import CannotStart, Damaged, StorageFault
from keepwell.model.names import AccountId
from keepwell.services.indexing import index_again
from keepwell.services.overrides import Override, Overrides
from keepwell.services.upgrading.facts import files_of, read_back_facts, read_upgrade_facts
from keepwell.services.upgrading.plan import DRILL_DAYS_MAX, BackPlan, UpgradePlan, plan_back, plan_upgrade
from keepwell.services.vaults import Vaults
from keepwell.storage.contract import Carried, Snapshot
from keepwell.storage.family import claim
from keepwell.storage.generations import ACCOUNTS, NEXT, PREVIOUS, begin, holding_alone, switch, switch_back
from keepwell.storage.migrations import MIGRATIONS, Migrated, Migration, read_format_1
from keepwell.storage.sqlite import SqliteStore

Progress = Callable[[int, int], None]
Told = Callable[[str], None]

BROUGHT_BATCH: Final = 2000
"""Records in one transaction while the generation before is brought up to date."""


class Upgrading:
    """Upgrades one data folder."""

    def __init__(
        self,
        data: Path,
        vaults: Vaults,
        clock: Clock,
        entropy: Entropy,
        *,
        migrations: Mapping[int, Migration] = MIGRATIONS,
        told: Told = lambda _step: None,
    ) -> None:
        """Of this folder; `told` is called with a word behind each step that a crash may follow."""
        self._data = data
        self._vaults = vaults
        self._clock = clock
        self._entropy = entropy
        self._migrations = migrations
        self._told = told

    def plan(self, *, rebuild: bool = False, drill_days_max: float = DRILL_DAYS_MAX) -> UpgradePlan:
        """What an upgrade would do now. Raises Damaged, OSError."""
        facts = read_upgrade_facts(
            self._data,
            self._vaults,
            self._clock,
            rebuild=rebuild,
            drill_days_max=drill_days_max,
            migrations=self._migrations,
        )
        return plan_upgrade(facts)

    def upgrade(
        self,
        *,
        rebuild: bool = False,
        drill_days_max: float = DRILL_DAYS_MAX,
        override: str | None = None,
        progress: Progress = lambda _done, _all: None,
    ) -> UpgradePlan:
        """Bring every account to this version's format; what was done. With nothing to do nothing is done.

        Raises CannotStart when the gate is closed or the folder is served, Damaged when an account does not prove
        itself or its new file is not like the old: then nothing was switched. Unavailable, StorageFault.
        """
        with self._alone():
            plan = self.plan(rebuild=rebuild, drill_days_max=drill_days_max)
            self._pass_gate("upgrade", plan.refusals, plan.against, override)
            if not plan.accounts:
                return plan
            self._build(plan, progress)
            switch(self._data, self._told)
            return plan

    def plan_back(self) -> BackPlan:
        """What going back would do now. Raises Damaged, apsw errors."""
        return plan_back(read_back_facts(self._data, self._vaults, self._migrations))

    def go_back(self, *, override: str | None = None, progress: Progress = lambda _done, _all: None) -> BackPlan:
        """Serve again what was served before the last upgrade, with every record that came since.

        What is served now is kept as `accounts.undone` until the next upgrade. Raises as `upgrade`.
        """
        with self._alone():
            plan = self.plan_back()
            self._pass_gate("going back", plan.refusals, plan.against, override)
            self._bring(plan, progress)
            switch_back(self._data, self._told)
            return plan

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock = claim(self._data, base32_word(self._entropy, 80))
        try:
            with holding_alone(self._data):
                yield
        except apsw.Error as error:
            raise StorageFault(f"an account's file could not be read or written: {error}") from error
        finally:
            lock.release()

    def _pass_gate(self, about: str, refusals: tuple[str, ...], against: tuple[str, ...], override: str | None) -> None:
        if refusals:
            raise CannotStart(f"no {about}: {'; '.join(refusals)}", hint="Nothing was changed. See: keepwell check")
        if not against:
            return
        if override is None:
            raise CannotStart(
                f"no {about}: {'; '.join(against)}",
                hint="Prove a copy first: keepwell drill. Or go on all the same, on record: --override REASON",
            )
        moment = render_moment(self._clock.now())
        Overrides(self._data).note(Override(at=moment, about=about, reason=override, against=against))
        self._told("noted")

    def _build(self, plan: UpgradePlan, progress: Progress) -> None:
        begin(self._data)
        self._told("begun")
        files = files_of(self._data / ACCOUNTS)
        with closing(SqliteStore(self._data, self._clock, self._entropy, generation=NEXT)) as store:
            for number, account in enumerate(plan.accounts, 1):
                migration = self._migrations[plan.accounts[account]]
                with migration(files[account], account, store.blobs) as old:
                    place = store.restore(account, old.carried(), index_again)
                    if held := old.held():
                        place.hold(held)
                    with place.reading() as new:
                        _require_same(account, old, new)
                self._told("built")
                progress(number, len(plan.accounts))
            if store.accounts() != sorted(plan.accounts):
                raise Damaged("not every account was built anew; nothing was switched")

    def _bring(self, plan: BackPlan, progress: Progress) -> None:
        """Records that came since the upgrade, into the generation before."""
        files = files_of(self._data / ACCOUNTS)
        with closing(SqliteStore(self._data, self._clock, self._entropy, generation=PREVIOUS)) as before:
            there = set(before.accounts())
            for number, account in enumerate(plan.bring, 1):
                with read_format_1(files[account], account, before.blobs) as now:
                    if account in there:
                        _extend(before, account, now)
                    else:
                        before.restore(account, now.carried(), index_again)
                    place = before.account(account)
                    place.hold(now.held())
                    with place.reading() as brought:
                        _require_same(account, now, brought)
                self._told("brought")
                progress(number, len(plan.bring))


def _extend(store: SqliteStore, account: AccountId, now: Migrated) -> None:
    place = store.account(account)
    with place.reading() as snapshot:
        carried = list(now.carried(snapshot.head().sequence))
    for start in range(0, len(carried), BROUGHT_BATCH):
        place.extend(carried[start : start + BROUGHT_BATCH], index_again)


def _brought(one: Carried) -> tuple[str, bytes | None, bool]:
    return one.record.hash, one.body, one.erased


def _require_same(account: AccountId, old: Migrated, new: Snapshot) -> None:
    """Raise Damaged unless both have the same records, bytes, ledger, lineage and held kinds."""
    for one, other in zip_longest(old.carried(), new.carried()):
        if one is None or other is None or _brought(one) != _brought(other):
            which = other if one is None else one
            number = 0 if which is None else which.record.facts.seq
            raise Damaged(f"record {number} of {account} is not the same in its new file; nothing was switched")
    facts = (
        ("ledger", old.ledger() == new.ledger()),
        ("lineage", old.lineage() == new.lineage()),
        ("held kinds", dict(old.held()) == dict(new.held())),
        ("head", old.head() == new.head()),
    )
    for name, is_same in facts:
        if not is_same:
            raise Damaged(f"the {name} of {account} is not the same in its new file; nothing was switched")
