"""A drill: proves by doing it that a vault brings everything back, and that a fault in it would be noticed.

The vault is only read, and the live folder only read but for what is said here. In order, and what a crash leaves:

1. the place `drill/` of the data folder is made, empty (what a drill that was killed left is removed first);
2. the vault, or a sample of its accounts, is restored into it, timed; a loss or a damaged object fails the drill;
3. every restored account is compared with the vault's notes and with the live store's journal as of that record;
4. into the restored copy, and nowhere else, an app password is put for some accounts; a server is started on it, which
   knows of no vault; it is signed in to by CardDAV and CalDAV, and what it shows is compared with the live store; the
   server is stopped;
5. the vault is looked at as it is, and then with one planted fault of each sort, each of which must be found;
6. what the live store had when the drill began must be in the vault by now;
7. the place is removed; then the result is kept, durably (`services/drills.py`).

A drill that is killed leaves the place and no result; its server ends with it. One drill runs at a time on a data
folder: it holds `vaults/drill.lock`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
from pyrage.x25519 import Identity

from keepwell.ground.clock import Clock, render_moment
from keepwell.ground.durable import make_folder
from keepwell.ground.entropy import Draw, Entropy
from keepwell.ground.process import try_lock
from keepwell.model.errors import Damaged, KeepwellError, NotThere, Unavailable
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId
from keepwell.services.accounts import Accounts
from keepwell.services.directory import Directory
from keepwell.services.drilling.faults import draw_faults
from keepwell.services.drilling.finding import Noticed, Verdict, find, look_at_vault, unexpected
from keepwell.services.drilling.ledgers import compare_account, contents_at, lacking_accounts
from keepwell.services.drilling.phone import Phone
from keepwell.services.drilling.signing_in import compare_by_protocol
from keepwell.services.drilling.trial import Stopwatch, carry_out_trial, choose_accounts, noticed_by, plan_trial
from keepwell.services.drills import DrillResult, Fault, keep_drill
from keepwell.services.restoring.crew import MakeStore
from keepwell.services.restoring.restore import Restored
from keepwell.services.restoring.sources import OpenedSource, open_source
from keepwell.services.vault_settings import FOLDER, VaultSetting
from keepwell.storage.contract import Head, Store
from keepwell.storage.writers import Writers
from keepwell.vault.altered import AlteredMedium
from keepwell.vault.keys import read_drill_key
from keepwell.vault.restore_plan import RestorePlan
from keepwell.vault.vault import Vault

PLACE: Final = "drill"
"""In the data folder: only there is it certain to be the same file system, and writable."""

LABEL: Final = "drill"
"""Of the app passwords that are put into restored copies."""

ROOM_OCTETS: Final = 256 * 1024 * 1024
"""That a drill leaves free at least."""

PROBLEMS_MAX: Final = 50

Serve = Callable[[Path], AbstractContextManager[str]]
"""Serves a data folder while it is entered: its URL. Raises Unavailable when the server does not start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillOrder:
    """How much is drilled: accounts and bytes that are restored at most, accounts that are signed in to."""

    accounts_max: int | None = None
    octets_max: int | None = None
    signed_in: int = 3
    seed: int = 0
    workers: int = 1


@dataclass(slots=True)
class _Findings:
    """What is known so far."""

    result: DrillResult
    problems: list[str] = field(default_factory=list)


class Drilling:
    """Drills the vaults of one data folder."""

    def __init__(
        self, data: Path, live: Store, make_store: MakeStore, serve: Serve, clock: Clock, entropy: Entropy
    ) -> None:
        """Compares with this live store, restores into what `make_store` opens in a folder, and has that served."""
        self._data = data
        self._live = live
        self._make_store = make_store
        self._serve = serve
        self._clock = clock
        self._entropy = entropy

    def drill(self, setting: VaultSetting, order: DrillOrder) -> DrillResult:
        """Drill one vault and keep what it came to, whatever that is.

        Raises Unavailable when another drill runs or there is no room for one, OSError; then there is no result.
        """
        began = self._clock.monotonic()
        result = DrillResult(at=render_moment(self._clock.now()), vault=setting.name, passed=False, seed=order.seed)
        found = _Findings(result)
        with self._place() as place:
            try:
                self._carry_out(place, setting, order, found)
            except _NoRoom:
                raise
            except KeepwellError as error:
                found.problems.append(unexpected(error))
        ended = msgspec.structs.replace(
            found.result,
            passed=not found.problems,
            problems=tuple(found.problems[:PROBLEMS_MAX]),
            seconds=round(self._clock.monotonic() - began, 3),
        )
        keep_drill(self._data, ended)
        return ended

    def _carry_out(self, place: Path, setting: VaultSetting, order: DrillOrder, found: _Findings) -> None:
        before = dict(self._live.read_heads())
        draw = Draw(order.seed)
        watch = Stopwatch(self._clock, self._clock.monotonic())
        with closing_source(self._open(setting)) as source:
            whole = plan_trial(source)
            chosen = choose_accounts(whole.accounts, draw, accounts_max=order.accounts_max, octets_max=order.octets_max)
            plan = whole if chosen is None else plan_trial(source, chosen)
            self._require_room(plan)
            into = place / "restored"
            restored = carry_out_trial(source, plan, chosen, into, self._make_store, watch, workers=order.workers)
            found.result = _measured(found.result, plan, restored, watch, len(whole.accounts) - 1)
            found.problems += _losses(restored)
            found.problems += self._compare_ledgers(into, source.vault, plan)
            if not found.problems:
                self._sign_in(into, plan, order, draw, found)
            self._plant(place, source, draw, found)
        found.problems += self._lacking(setting, before)

    def _open(self, setting: VaultSetting) -> OpenedSource:
        """The vault, opened for reading with the drill's key. Raises Damaged, Locked, NotThere, StorageFault."""
        folder = self._data / FOLDER / setting.name
        identities: list[Identity] = [] if setting.recipients is None else [read_drill_key(folder)]
        source = open_source(setting.url, setting.name, identities)
        if source.vault.document.id != setting.id:
            source.vault.close()
            raise Damaged(f"at {setting.url} lies another vault ({source.vault.document.id}) than {setting.name}")
        return source

    @contextmanager
    def _place(self) -> Iterator[Path]:
        """An empty place, which is removed in the end. Raises Unavailable, OSError."""
        make_folder(self._data / FOLDER)
        lock = try_lock(self._data / FOLDER / "drill.lock")
        if lock is None:
            raise Unavailable(f"another drill runs on {self._data}", hint="Wait for it to end.")
        place = self._data / PLACE
        try:
            _remove(place)
            make_folder(place)
            yield place
        finally:
            _remove(place)
            os.close(lock)

    def _require_room(self, plan: RestorePlan) -> None:
        # A restored file is larger than its records by its indexes, and has a log while it is written.
        needed = 2 * plan.octets + plan.blob_octets + ROOM_OCTETS
        free = shutil.disk_usage(self._data).free
        if free < needed:
            raise _NoRoom(
                f"there is no room for a drill at {self._data}: it needs {needed:,} bytes, and {free:,} are free",
                hint="Drill fewer accounts: --accounts N",
            )

    def _compare_ledgers(self, into: Path, vault: Vault, plan: RestorePlan) -> list[str]:
        problems = list[str]()
        with closing(self._make_store(into)) as store:
            there = set(store.accounts())
            for account in (one.account for one in plan.accounts if one.account in there):
                problems += self._compare(store, vault, account)
        return problems

    def _compare(self, store: Store, vault: Vault, account: AccountId) -> list[str]:
        with store.account(account).reading() as restored:
            try:
                with self._live.account(account).reading() as live:
                    return compare_account(restored, live, vault.note(account))
            except NotThere:
                return [f"{account}: it is in the vault, and not in the store"]
            except (Damaged, Unavailable) as error:
                return [f"{account}: the store cannot be compared with: {unexpected(error)}"]

    def _sign_in(self, into: Path, plan: RestorePlan, order: DrillOrder, draw: Draw, found: _Findings) -> None:
        """Steps 4: as a device of some accounts."""
        secrets, heads = self._admit(into, plan, order, draw)
        began = self._clock.monotonic()
        with self._serve(into) as url:
            serving = self._clock.monotonic() - began
            compared = 0
            for login, (account, secret) in secrets.items():
                with self._live.account(account).reading() as live:
                    contents = contents_at(live, heads[account].sequence)
                with closing(Phone(url, login, secret)) as phone:
                    seen = compare_by_protocol(phone, login, contents, draw)
                found.problems += seen.problems
                compared += seen.read
        found.result = msgspec.structs.replace(
            found.result,
            sampled=tuple(account for account, _secret in secrets.values()),
            items_compared=compared,
            seconds_to_serving=round(found.result.seconds_to_everything + serving, 3),
        )

    def _admit(
        self, into: Path, plan: RestorePlan, order: DrillOrder, draw: Draw
    ) -> tuple[dict[str, tuple[AccountId, str]], dict[AccountId, Head]]:
        """Give some accounts of the restored copy an app password: by login, and where their journals end."""
        restored = {one.account for one in plan.accounts}
        filled = {one.account for one in plan.accounts if any(one.counts.values())}
        with closing(self._make_store(into)) as store, closing(Writers(store)) as writers:
            directory = Directory(store)
            documents = [one for one in directory.account_documents() if one.account in restored and not one.disabled]
            documents = draw.shuffled(documents)
            documents.sort(key=lambda one: one.account not in filled)
            accounts = Accounts(store, writers, directory, self._clock, self._entropy)
            heads: dict[AccountId, Head] = {}
            secrets: dict[str, tuple[AccountId, str]] = {}
            for one in documents[: order.signed_in]:
                with store.account(one.account).reading() as snapshot:
                    heads[one.account] = snapshot.head()
                secrets[one.login] = one.account, accounts.add_password(one.login, LABEL)
        return secrets, heads

    def _plant(self, place: Path, source: OpenedSource, draw: Draw, found: _Findings) -> None:
        """Step 5. Faults are planted only in a vault that is whole: else what is found need not be what was planted."""
        if wrong := look_at_vault(source.vault, draw):
            found.problems += wrong
            return
        planned = draw_faults(source.vault, draw)
        missing = set(Fault) - {one.fault for one in planned}
        found.problems += [f"no {one} could be planted: the vault has no manifest yet" for one in sorted(missing)]
        verdicts = list[Verdict]()
        for number, one in enumerate(planned):
            restore = partial(self._restore_altered, place / f"altered-{number}", source)
            altered = _seen_through(source.vault, AlteredMedium(source.vault.medium, one.alteration), self._clock)
            verdicts.append(find(one, altered, restore, draw))
        found.problems += [problem for one in verdicts for problem in one.problems]
        found.result = msgspec.structs.replace(found.result, planted=tuple(one.planted for one in verdicts))

    def _restore_altered(
        self, into: Path, source: OpenedSource, altered: Vault, accounts: Sequence[AccountId]
    ) -> Noticed:
        seen = OpenedSource(altered, source.source)
        plan = plan_trial(seen, accounts)
        people = [one for one in accounts if one != SYSTEM_ACCOUNT]
        try:
            watch = Stopwatch(self._clock)
            # One worker: others would open the vault as it is.
            return noticed_by(carry_out_trial(seen, plan, people, into, self._make_store, watch, workers=1))
        finally:
            _remove(into)
            _remove(into.with_name(into.name + ".restoring"))

    def _lacking(self, setting: VaultSetting, before: dict[AccountId, Head | Exception]) -> list[str]:
        """Step 6. The vault is opened anew: what came since lies in tails as well."""
        with closing_source(self._open(setting)) as source:
            lacking = lacking_accounts(before, source.vault.heads())
        if not lacking:
            return []
        return [f"the vault lacks records of {len(lacking)} accounts that the store had, {lacking[0]} among them"]


class _NoRoom(Unavailable):
    """The drill cannot begin."""


@contextmanager
def closing_source(source: OpenedSource) -> Iterator[OpenedSource]:
    """Close its vault in the end."""
    with closing(source.vault):
        yield source


def _seen_through(vault: Vault, medium: AlteredMedium, clock: Clock) -> Vault:
    altered = Vault(vault.name, medium, vault.document, vault.seal, clock)
    altered.look()
    return altered


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _losses(restored: Restored) -> list[str]:
    lost = restored.loss.accounts if restored.loss else ()
    problems = [
        f"{one.account} did not come back whole: {one.records_recovered} of {one.records_expected} records,"
        f" {len(one.items) + one.items_left_out} items lost or incomplete"
        for one in lost
    ]
    return problems + [f"{one.name}: {one.message}" for one in restored.faults]


def _measured(result: DrillResult, plan: RestorePlan, restored: Restored, watch: Stopwatch, known: int) -> DrillResult:
    everything = watch.clock.monotonic() - watch.began
    journals, octets = watch.until_journals(), plan.octets + restored.blob_octets
    blobs = everything - journals
    return msgspec.structs.replace(
        result,
        accounts=max(0, restored.accounts - 1),
        accounts_known=known,
        records=restored.records,
        octets=octets,
        seconds_to_contacts=round(watch.until_contacts(), 3),
        seconds_to_everything=round(everything, 3),
        records_per_second=round(restored.records / journals, 1) if journals > 0 else 0.0,
        octets_per_second=round(octets / everything, 1) if everything > 0 else 0.0,
        blob_octets_per_second=round(restored.blob_octets / blobs, 1) if restored.blob_octets and blobs > 0 else 0.0,
    )
