"""`keepwell report [LOGIN…]`: the loss report, what every copy together still has of everything that was kept.

It opens the store alone, without the system account's documents, so that it can say what is lost when those are.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import Annotated, Final

from cyclopts import Parameter

from keepwell.app.lineage_links import witness_of
from keepwell.cli.common import DEFAULTS, Common, command
from keepwell.cli.exit_codes import ExitCode
from keepwell.cli.output import print_json, print_line, print_notice, print_table, progress_bar, shown
from keepwell.ground.clock import SystemClock
from keepwell.ground.durable import make_folder
from keepwell.ground.entropy import SystemEntropy
from keepwell.model.errors import KeepwellError, Locked
from keepwell.model.names import AccountId
from keepwell.services.incidents import Incidents
from keepwell.services.loss_reporting import WITNESS, ConfirmingOutage, LossReporting, Report, outages_of
from keepwell.services.restoring.sources import require_right_key
from keepwell.services.vaults import Vaults
from keepwell.services.witness import Sighting
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.loss import AccountLoss, Fate, Gap, KindLoss, LostItem
from keepwell.vault.vault import Vault

ITEMS_SHOWN_MAX: Final = 20
"""Items of one account that are listed for people; a document has up to a thousand."""

_COLUMNS: Final = ("EXPECTED", "HERE", "ELSEWHERE", "INCOMPLETE", "LOST", "PROVEN")

_FATES: Final = {
    Fate.ELSEWHERE: "only another copy has",
    Fate.INCOMPLETE: "no copy has the bytes of",
    Fate.LOST: "lost is",
}


def report(
    logins: Annotated[list[str] | None, Parameter(name="LOGIN", help="Only these accounts.")] = None,
    /,
    *,
    common: Common = DEFAULTS,
) -> int:
    """Tell what is lost: expected, here, elsewhere, incomplete, per kind and account, over all copies."""
    make_folder(common.data)
    clock = SystemClock()
    vaults = Vaults(common.data, clock, SystemEntropy())
    with closing(SqliteStore(common.data)) as store, ExitStack() as stack:
        opened, unread = _opened(vaults, stack)
        seen = _seen(common, unread)
        incidents = Incidents(common.data).open()
        reporting = LossReporting(store, opened, unread, clock, seen=seen, incidents=incidents)
        with progress_bar("Looking", unit="accounts") as progress:
            outages = outages_of(vaults.settings.all(), vaults.outages.all())
            found = reporting.report(reporting.accounts(logins or []), progress, outages)
    if common.json:
        print_json(found)
    else:
        _print(found, common)
    return ExitCode.OK if found.is_whole else ExitCode.PARTLY


def _opened(vaults: Vaults, stack: ExitStack) -> tuple[list[Vault], dict[str, str]]:
    """Every vault that can be looked at, and why others, or what is in them, cannot be read."""
    opened, unread = list[Vault](), dict[str, str]()
    for setting in vaults.settings.all():
        try:
            vault = stack.enter_context(closing(vaults.open(setting.name)))
        except KeepwellError as error:
            unread[setting.name] = f"{error.message}. {error.hint}"
            continue
        opened.append(vault)
        try:
            require_right_key(vault)
        except Locked as error:
            unread[setting.name] = f"{error.message}. {error.hint}"
    return opened, unread


def _seen(common: Common, unread: dict[str, str]) -> dict[AccountId, Sighting]:
    """What the witness saw; why it cannot be read is told as of any copy."""
    witness = witness_of(common.data)
    try:
        return witness.load()
    except OSError as error:
        unread[WITNESS] = f"{witness.path}: {error.strerror}"
        return {}


def _print(found: Report, common: Common) -> None:
    for loss in found.loss.accounts:
        _print_account(loss)
    print_table(("KIND", *_COLUMNS), [_kind_row(one) for one in found.totals])
    print_table(
        ("COPY", "ACCOUNTS", "RECORDS", "RECORDS BEHIND", "PROBLEMS"),
        [(one.name, one.accounts, one.records, one.behind, "; ".join(one.problems)) for one in found.copies],
    )
    for name, why in found.unread.items():
        print_notice(f"{name} could not be read, and is not in this report: {why}")
    for fault in found.loss.faults:
        print_notice(f"{fault.copy}: {fault.name}: {fault.message}")
    for outage in found.outages:
        print_line(_outage(outage))
    count = len(found.loss.accounts)
    whole = found.loss.accounts_whole
    if count == 0:
        print_line(f"{whole} accounts, and nothing of them is missing{' in what can be read' if found.unread else ''}.")
        return
    print_line(f"Of {whole + count} accounts {count} are not whole here.")
    if any(loss.records_elsewhere or any(one.elsewhere for one in loss.kinds) for loss in found.loss.accounts):
        print_line(f"What is elsewhere comes back at the next start of the server: {command(common, 'serve')}")


def _print_account(loss: AccountLoss) -> None:
    who = shown(loss.login or loss.account)
    print_line(f"{who} ({loss.account}): {_records(loss)}")
    print_table(("KIND", *_COLUMNS), [_kind_row(one) for one in loss.kinds])
    for kind, reason in loss.held.items():
        print_line(f"  {kind} is held, nothing of it is served: {shown(reason)}")
    for copy in loss.forks:
        print_line(f"  {copy} has another history of this account; nothing of that is counted here")
    for gap in loss.gaps:
        print_line(f"  {_gap(gap)}")
    for item in loss.items[:ITEMS_SHOWN_MAX]:
        print_line(f"  {_item(item)}")
    more = len(loss.items) - ITEMS_SHOWN_MAX + loss.items_left_out
    if more > 0:
        print_line(f"  and {more} more; see --json")
    if any(not one.proven and one.lost == one.incomplete == one.elsewhere == 0 for one in loss.kinds):
        print_line("  Of a kind that is not proven nothing is missing by count, but some items may be older versions.")


def _records(loss: AccountLoss) -> str:
    sentence = f"{loss.records_recovered} of {loss.records_expected} records are known"
    return f"{sentence}, {loss.records_elsewhere} of them only elsewhere" if loss.records_elsewhere else sentence


def _kind_row(one: KindLoss) -> Sequence[object]:
    proven = "yes" if one.proven else "no"
    return one.kind, one.expected, one.recovered, one.elsewhere, one.incomplete, one.lost, proven


def _gap(gap: Gap) -> str:
    what = f"record {gap.first} is" if gap.first == gap.last else f"records {gap.first} to {gap.last} are"
    since = f", made after {gap.since}" if gap.since else ""
    until = f", before {gap.until}" if gap.until else ""
    return f"{what} nowhere{since}{until}"


def _item(item: LostItem) -> str:
    version = "" if item.is_current else "an older version of "
    where = shown(f"{item.collection}/{item.name}")
    return f"{_FATES[item.fate]} {version}{where} ({item.kind}, {item.size} bytes), kept {item.at}"


def _outage(outage: ConfirmingOutage) -> str:
    until = f"until {outage.until}" if outage.until else "and does not yet"
    effect = "writes were kept with one copy less" if outage.went_on else "writes were refused"
    return f"{outage.vault} took no part from {outage.since} {until}, {effect}: {shown(outage.reason)}"
