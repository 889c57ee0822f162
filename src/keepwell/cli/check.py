"""`keepwell check [LOGIN…]`: prove that everything is as it was kept.

It opens the store alone, without the system account's documents, so that it can say what is wrong when those are.
"""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from keepwell.cli.common import DEFAULTS, Common
from keepwell.cli.exit_codes import ExitCode
from keepwell.cli.output import print_json, print_line, print_table, progress_bar
from keepwell.ground.durable import make_folder
from keepwell.model.errors import Damaged, StorageFault
from keepwell.model.names import AccountId
from keepwell.model.weight import Weight
from keepwell.services.check import Checker
from keepwell.services.findings import Finding
from keepwell.storage.sqlite import SqliteStore


def check(
    logins: Annotated[list[str] | None, Parameter(name="LOGIN", help="Only these accounts.")] = None,
    /,
    *,
    rebuild: Annotated[
        bool,
        Parameter(negative=(), help="Make the projections anew from the journal, once it is proven."),
    ] = False,
    common: Common = DEFAULTS,
) -> int:
    """Check every page, chain, digest and projection."""
    make_folder(common.data)
    store = SqliteStore(common.data)
    try:
        checker = Checker(store)
        accounts = checker.accounts(logins or [])
        findings = [] if logins else checker.check_folder(common.data, store.blobs)
        findings += _check_all(checker, accounts, rebuild=rebuild)
    finally:
        store.close()
    if common.json:
        print_json({"accounts": len(accounts), "rebuilt": rebuild, "findings": findings})
    else:
        _print_findings(len(accounts), findings)
    return _code(findings)


def _check_all(checker: Checker, accounts: list[AccountId], *, rebuild: bool) -> list[Finding]:
    findings: list[Finding] = []
    with progress_bar("Checking", unit="accounts") as progress:
        for number, account in enumerate(accounts, 1):
            findings += _rebuilt(checker, account) if rebuild else checker.check(account)
            progress(number, len(accounts))
    return findings


def _rebuilt(checker: Checker, account: AccountId) -> list[Finding]:
    try:
        return checker.rebuild(account)
    except (Damaged, StorageFault) as error:
        weight = Weight.DAMAGE if isinstance(error, Damaged) else Weight.UNREAD
        refusal = Finding(account, "", weight, "rebuild", f"{error.message}. {error.hint}")
        return [*checker.check(account), refusal]


def _print_findings(count: int, findings: list[Finding]) -> None:
    if findings:
        rows = [(one.weight, one.login, one.account or "", one.place, one.message) for one in findings]
        print_table(("WEIGHT", "LOGIN", "ACCOUNT", "PLACE", "WHAT"), rows)
    bad = sum(one.weight is not Weight.NOTE for one in findings)
    result = f"{bad} things are wrong" if bad else "all is well"
    print_line(f"{count} accounts checked: {result}.")
    if any(one.weight is Weight.UNREAD for one in findings):
        print_line("Of what could not be read now nothing is known. Is the disk full? Make room, and check again.")
    if any(one.weight is Weight.STALE for one in findings):
        print_line("The data is whole; make its projections anew with: keepwell check --rebuild")


def _code(findings: list[Finding]) -> ExitCode:
    weights = {one.weight for one in findings}
    if Weight.DAMAGE in weights:
        return ExitCode.DAMAGED
    return ExitCode.PARTLY if weights & {Weight.STALE, Weight.UNREAD} else ExitCode.OK
