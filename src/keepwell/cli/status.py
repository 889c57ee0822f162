"""`keepwell status`: how many copies there are of everything, what they are worth, and when that was last proven."""

from __future__ import annotations

from contextlib import closing

import msgspec

from keepwell.cli.common import DEFAULTS, Common
from keepwell.cli.exit_codes import ExitCode
from keepwell.cli.output import print_json, print_line, print_table
from keepwell.ground.clock import SystemClock, parse_moment
from keepwell.ground.durable import make_folder
from keepwell.ground.entropy import SystemEntropy
from keepwell.services.outages import Outage
from keepwell.services.status.reading import status_of_folder
from keepwell.services.status.values import Status, VaultStatus, Writes
from keepwell.services.status.words import age_words, view_of
from keepwell.services.vaults import Vaults
from keepwell.storage.sqlite import SqliteStore


def status(*, common: Common = DEFAULTS) -> int:
    """Tell how many copies there are; when no server runs, the vaults are opened and compared with the store."""
    clock, entropy = SystemClock(), SystemEntropy()
    make_folder(common.data)
    with closing(SqliteStore(common.data, clock, entropy)) as store:
        found = status_of_folder(common.data, Vaults(common.data, clock, entropy), store, clock)
    if common.json:
        print_json(document_of(found))
    else:
        _print(found)
    damaged = found.store is not None and found.store.damaged
    wrong = (
        damaged
        or found.held_accounts
        or found.incidents
        or found.problems
        or any(not one.counts for one in found.vaults)
    )
    return ExitCode.PARTLY if wrong else ExitCode.OK


def document_of(found: Status) -> dict[str, object]:
    """The status as a JSON document, with what follows from its fields."""
    document: dict[str, object] = msgspec.to_builtins(found)
    return document | {
        "vaults": [msgspec.to_builtins(one) | {"counts": one.counts} for one in found.vaults],
        "copies_least": found.copies_least,
        "survives_disk": found.survives_disk,
        "survives_host": found.survives_host,
    }


def _print(found: Status) -> None:
    view = view_of(found)
    print_line(f"{view.headline} of everything. {view.confirming}")
    print_line(view.independence)
    for kind, count in view.kinds:
        print_line(f"  {kind}: {count}")
    for words in (found.refusal and f"Writes are refused: {found.refusal}", view.held, view.drill):
        if words:
            print_line(words)
    if found.store is not None:
        damaged = f": {found.store.damaged} are damaged" if found.store.damaged else ""
        print_line(f"Every account of the store was last checked {age_words(found.store.age_seconds)}{damaged}.")
    if found.writes is Writes.UNSERVED:
        print_line("No server runs on this data: the vaults were opened and compared with the store just now.")
    for one in found.overrides:
        print_line(f"Overridden at {one.at} ({one.about}): {'; '.join(one.against)}. The reason given: {one.reason}")
    for incident in found.incidents:
        kinds = ", ".join(kind for kind, one in incident.kinds.items() if one.is_open)
        print_line(f"The history of {incident.login or incident.account} went back ({kinds}): keepwell lineage show")
    for problem in found.problems:
        print_line(f"Not known: {problem}")
    if found.vaults:
        print_line()
        columns = ("VAULT", "ROLE", "STATE", "COUNTS", "BEHIND", "TAIL", "VERIFIED", "DRILLED", "MENDED")
        print_table(columns, [_row(one, found) for one in found.vaults])
        print_line()
    for vault in found.vaults:
        _print_details(vault)


def _row(vault: VaultStatus, found: Status) -> tuple[object, ...]:
    verified = ", ".join(f"{grade} {age_words(one.age_seconds)}" for grade, one in vault.verified.items())
    drilled = "never"
    if vault.drill is not None:
        ago = age_words((parse_moment(found.at) - parse_moment(vault.drill.at)).total_seconds())
        drilled = ago if vault.drill.passed else f"failed {ago}"
    mended = vault.repairs.objects + vault.repairs.accounts
    counts = "yes" if vault.counts else "no"
    sizes = vault.behind_accounts, vault.tail_octets
    return vault.name, vault.role, vault.state, counts, *sizes, verified or "never", drilled, mended


def _print_details(vault: VaultStatus) -> None:
    if vault.lacking:
        print_line(f"{vault.name} does not count: {vault.reason or vault.lacking}.")
    if vault.independence is not None:
        print_line(f"{vault.name} is {vault.independence.sentence}.")
    if vault.drill is not None:
        for problem in vault.drill.problems:
            print_line(f"{vault.name}, last drill: {problem}")
    for outage in vault.outages:
        print_line(f"{vault.name} {_outage_words(outage)}")


def _outage_words(outage: Outage) -> str:
    until = f"until {outage.until}" if outage.until else "and still is"
    return f"was away from {outage.since} {until}: {outage.reason}"
