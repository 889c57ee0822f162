"""`keepwell salvage --from PATH-or-URL… --into EMPTY`: unite what is left of damaged copies."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from keepwell.cli.common import DEFAULTS, Common
from keepwell.cli.exit_codes import ExitCode
from keepwell.cli.output import print_json, print_line, print_table, progress_bar, shown
from keepwell.ground.clock import SystemClock
from keepwell.ground.entropy import SystemEntropy
from keepwell.services.restoring.place import LOSS_REPORT
from keepwell.services.salvaging.build import Salvaged, carry_out
from keepwell.services.salvaging.salvage import Survey, salvaging
from keepwell.vault.keys import load_identities
from keepwell.vault.loss import AccountLoss, Gap
from keepwell.vault.salvage.gather import PlaceFound

NAMES_SHOWN_MAX = 20
"""Items of an account that are listed on a terminal; the loss report has more."""


def salvage(
    *,
    sources: Annotated[
        list[str],
        Parameter(
            name="--from",
            help="A folder, file or s3://… with whatever is left: data folders, account files, vaults, exports."
            " May be repeated.",
        ),
    ],
    into: Annotated[Path, Parameter(help="The data folder to make: not there, or empty.")],
    key: Annotated[
        list[Path] | None, Parameter(help="A file with a secret key of an encrypted vault. May be repeated.")
    ] = None,
    add_unproven: Annotated[
        bool,
        Parameter(negative=(), help="Also add items that only an export, or a row without its record, still has."),
    ] = False,
    dry_run: Annotated[bool, Parameter(negative=(), help="Only tell what there is, and what would be lost.")] = False,
    common: Common = DEFAULTS,
) -> int:
    """Unite what is left of damaged copies; whatever proves itself is used, from whichever copy has it."""
    keys = [identity for file in key or [] for identity in load_identities(file)]
    with ExitStack() as stack:
        with progress_bar("Gathering", unit="bytes") as progress:
            clock, entropy = SystemClock(), SystemEntropy()
            one = stack.enter_context(salvaging(sources, keys, into, clock, progress, add_unproven=add_unproven))
        survey = one.survey()
        salvaged = None
        if not dry_run:
            with progress_bar("Building", unit="accounts") as progress:
                salvaged = carry_out(one, survey, clock, entropy, progress)
    if common.json:
        print_json(msgspec.to_builtins(survey, enc_hook=str) | {"salvaged": salvaged})
    else:
        _print_survey(survey, add_unproven=add_unproven)
        if salvaged is not None:
            _print_salvaged(salvaged, into)
    return ExitCode.OK if all(loss.is_whole for loss in survey.accounts) else ExitCode.PARTLY


def _print_survey(survey: Survey, *, add_unproven: bool) -> None:
    for place in survey.places:
        _print_place(place)
    rows = [
        (loss.login or "", loss.account, kind.kind, kind.expected, kind.recovered, kind.incomplete, kind.lost)
        for loss in survey.accounts
        for kind in loss.kinds
        if kind.expected or kind.recovered
    ]
    print_table(("LOGIN", "ACCOUNT", "KIND", "EXPECTED", "RECOVERED", "INCOMPLETE", "LOST"), rows)
    for loss in survey.accounts:
        _print_loss(loss)
    for fork in survey.forks:
        print_line(f"{fork.account}: records {fork.first} to {fork.last} went another way, and are kept aside")
    for one in survey.unproven[:NAMES_SHOWN_MAX]:
        what = f"{one.kind} {one.collection}/{one.name} from {one.origin}"
        print_line(f"{'added' if add_unproven else 'not added'}, unproven: {shown(what)}")
    if len(survey.unproven) > NAMES_SHOWN_MAX:
        print_line(f"and {len(survey.unproven) - NAMES_SHOWN_MAX} more that nothing proves, see --json")
    if survey.unproven and not add_unproven:
        print_line("To add what nothing proves as well, salvage again with --add-unproven.")
    for file in survey.loose:
        where = f"{survey.places[file.place].title}: {file.name}"
        print_line(f"not used: {shown(where)}: no record names its bytes, so nothing proves them")
    whole = sum(loss.is_whole for loss in survey.accounts)
    print_line(f"{len(survey.accounts)} accounts found, {whole} of them whole.")


def _print_place(place: PlaceFound) -> None:
    counts = ", ".join(f"{count} {sort}" for sort, count in sorted(place.objects.items())) or "nothing"
    print_line(f"{shown(place.title)}: {counts}; {place.records} records of {len(place.accounts)} accounts.")
    for fault in place.faults:
        print_line(f"  {shown(fault.name)}: {shown(fault.message)}")


def _print_loss(loss: AccountLoss) -> None:
    who = loss.login or loss.account
    for gap in loss.gaps:
        print_line(f"{shown(who)}: {_gap(gap)}")
    for item in loss.items[:NAMES_SHOWN_MAX]:
        age = "" if item.is_current else "an older version of "
        what = f"{item.kind} {item.collection}/{item.name}"
        print_line(f"{shown(who)}: {item.fate}: {age}{shown(what)}, of {item.at}, record {item.seq}")
    more = len(loss.items) - NAMES_SHOWN_MAX + loss.items_left_out
    if more > 0:
        print_line(f"{shown(who)}: and {more} more, see --json")


def _gap(gap: Gap) -> str:
    records = f"record {gap.first} is" if gap.first == gap.last else f"records {gap.first} to {gap.last} are"
    since = f" after {gap.since}" if gap.since else ""
    until = f" before {gap.until}" if gap.until else ""
    return f"{records} gone; what changed{since}{until} is not known" if since or until else f"{records} gone"


def _print_salvaged(salvaged: Salvaged, into: Path) -> None:
    print_line(f"{into} has {salvaged.records} records, each proven. Serve it with: keepwell serve --data {into}")
    if salvaged.found_logins:
        print_line("The logins of these accounts are lost, so they got new ones, which are disabled:")
        for login in salvaged.found_logins:
            print_line(f"  {login}")
        print_line("See whose each is (keepwell history LOGIN), then: keepwell account enable LOGIN")
    if salvaged.report.accounts:
        print_line(
            f"What is lost is in {into / LOSS_REPORT}. Kinds that are not whole are held (503) until you decide."
        )
    print_line("It has no vaults yet. Add one in a new, empty place: keepwell vault add NAME URL")
