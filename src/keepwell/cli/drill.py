"""`keepwell drill [NAME…]`: prove by doing it that vaults bring everything back, and that a fault would be noticed."""

from __future__ import annotations

import os
from contextlib import closing
from typing import Annotated

from cyclopts import Parameter, validators

from keepwell.app.drill_server import serving
from keepwell.cli.common import DEFAULTS, Common
from keepwell.cli.exit_codes import ExitCode
from keepwell.cli.output import print_json, print_line
from keepwell.ground.clock import SystemClock
from keepwell.ground.entropy import SystemEntropy
from keepwell.ground.process import interrupt_when_told_to_stop
from keepwell.model.errors import NotThere
from keepwell.services.drilling.drill import Drilling, DrillOrder
from keepwell.services.drills import DrillResult
from keepwell.services.status.words import duration_words
from keepwell.services.vaults import Vaults
from keepwell.storage.sqlite import SqliteStore

SEED_OCTETS = 4


def drill(
    names: Annotated[list[str] | None, Parameter(name="NAME", help="Only these vaults.")] = None,
    /,
    *,
    accounts: Annotated[
        int | None, Parameter(validator=validators.Number(gte=1), help="Restore so many accounts at most, drawn.")
    ] = None,
    octets: Annotated[
        int | None,
        Parameter(validator=validators.Number(gte=1), help="Restore so many bytes at most, of some accounts."),
    ] = None,
    seed: Annotated[
        int | None, Parameter(help="Draw accounts and faults as a drill with this seed did; else by chance.")
    ] = None,
    common: Common = DEFAULTS,
) -> int:
    """Prove by doing it that vaults bring everything back, and that a fault in them is found; they are only read."""
    interrupt_when_told_to_stop()
    clock, entropy = SystemClock(), SystemEntropy()
    vaults = Vaults(common.data, clock, entropy)
    chosen = [vaults.settings.named(name) for name in names] if names else list(vaults.settings.all())
    if not chosen:
        raise NotThere("there is no vault to drill", hint="Add one: keepwell vault add NAME URL")
    results: list[DrillResult] = []
    with closing(SqliteStore(common.data, clock, entropy)) as live:
        drilling = Drilling(common.data, live, SqliteStore, serving, clock, entropy)
        for setting in chosen:
            drawn = int.from_bytes(entropy.octets(SEED_OCTETS), "big") if seed is None else seed
            order = DrillOrder(accounts_max=accounts, octets_max=octets, seed=drawn, workers=os.cpu_count() or 1)
            results.append(drilling.drill(setting, order))
            if not common.json:
                _print(results[-1])
    if common.json:
        print_json({"drills": results})
    return ExitCode.OK if all(one.passed for one in results) else ExitCode.DAMAGED


def _print(result: DrillResult) -> None:
    for problem in result.problems:
        print_line(f"{result.vault}: {problem}")
    if not result.passed:
        print_line(f"{result.vault}: the drill failed. To draw the same again: --seed {result.seed}")
        return
    of_all = f" of {result.accounts_known}" if result.is_sample else ""
    contacts, everything = duration_words(result.seconds_to_contacts), duration_words(result.seconds_to_everything)
    print_line(
        f"{result.vault}: {result.accounts}{of_all} accounts with {result.records:,} records came back, contacts after"
        f" {contacts}, everything after {everything} ({result.records_per_second:,.0f} records/s)."
    )
    print_line(
        f"{result.vault}: {len(result.sampled)} accounts were signed in to by CardDAV and CalDAV, and"
        f" {result.items_compared} items compared; {len(result.planted)} planted faults were found."
    )
