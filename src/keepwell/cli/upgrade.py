"""`keepwell upgrade`: bring the data folder to this version's format, behind the gate, and back."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter, validators

from keepwell.cli.common import DEFAULTS, Common, command
from keepwell.cli.exit_codes import ExitCode
from keepwell.cli.output import print_json, print_line, progress_bar
from keepwell.ground.clock import SystemClock
from keepwell.ground.durable import make_folder
from keepwell.ground.entropy import SystemEntropy
from keepwell.model.errors import BadRequest
from keepwell.services.upgrading.plan import DRILL_DAYS_MAX, BackPlan, UpgradePlan
from keepwell.services.upgrading.upgrade import Upgrading
from keepwell.services.vaults import Vaults


def upgrade(
    *,
    dry_run: Annotated[bool, Parameter(negative=(), help="Only show what would be done.")] = False,
    override: Annotated[
        str | None, Parameter(help="Go on without a fresh drill, for this reason; it is kept and shown.")
    ] = None,
    back: Annotated[
        bool, Parameter(negative=(), help="Serve again what was served before, with every record that came since.")
    ] = False,
    rebuild: Annotated[
        bool, Parameter(negative=(), help="Build every account’s file anew, though its format is this version’s.")
    ] = False,
    drill_days: Annotated[
        float, Parameter(validator=validators.Number(gt=0), help="How many days old the last drill may be.")
    ] = DRILL_DAYS_MAX,
    common: Common = DEFAULTS,
) -> int:
    """Bring the data folder to the format of this version: built beside the old, compared, then switched."""
    if back and rebuild:
        raise BadRequest("--back and --rebuild do not go together", hint="Go back first, then rebuild.")
    make_folder(common.data)
    clock, entropy = SystemClock(), SystemEntropy()
    upgrading = Upgrading(common.data, Vaults(common.data, clock, entropy), clock, entropy)
    if back:
        return _back(upgrading, common, dry_run=dry_run, override=override)
    with progress_bar("Building anew", unit="accounts") as progress:
        plan = (
            upgrading.plan(rebuild=rebuild, drill_days_max=drill_days)
            if dry_run
            else upgrading.upgrade(rebuild=rebuild, drill_days_max=drill_days, override=override, progress=progress)
        )
    if common.json:
        print_json(_document(plan.against, plan.refusals, dry_run) | {"accounts": plan.accounts, "to": plan.target})
    else:
        _print_plan(plan, common, dry_run=dry_run)
    return _code(plan.against, plan.refusals, override, dry_run=dry_run)


def _back(upgrading: Upgrading, common: Common, *, dry_run: bool, override: str | None) -> int:
    with progress_bar("Bringing along", unit="accounts") as progress:
        plan = upgrading.plan_back() if dry_run else upgrading.go_back(override=override, progress=progress)
    if common.json:
        accounts = {"brought": plan.bring, "left_to_vaults": plan.left_to_vaults}
        print_json(_document(plan.against, plan.refusals, dry_run) | accounts)
    else:
        _print_back(plan, dry_run=dry_run)
    return _code(plan.against, plan.refusals, override, dry_run=dry_run)


def _document(against: tuple[str, ...], refusals: tuple[str, ...], dry_run: bool) -> dict[str, object]:
    return {"dry_run": dry_run, "against": against, "refusals": refusals}


def _code(against: tuple[str, ...], refusals: tuple[str, ...], override: str | None, *, dry_run: bool) -> int:
    """A dry run ends as the run itself would."""
    is_refused = dry_run and (refusals or (against and override is None))
    return ExitCode.UNAVAILABLE if is_refused else ExitCode.OK


def _print_plan(plan: UpgradePlan, common: Common, *, dry_run: bool) -> None:
    _print_obstacles(plan.against, plan.refusals)
    if plan.refusals:
        return
    if not plan.accounts:
        print_line(f"Everything has format {plan.target} already: there is nothing to do.")
        return
    formats = ", ".join(str(one) for one in sorted(set(plan.accounts.values())))
    verb = "would be built" if dry_run else "were built"
    print_line(f"{len(plan.accounts)} accounts of format {formats} {verb} anew in format {plan.target}.")
    if not dry_run:
        print_line("What was served before is kept until the next upgrade, in accounts.previous.")
        print_line(f"To go back: {command(common, 'upgrade', '--back')}")


def _print_back(plan: BackPlan, *, dry_run: bool) -> None:
    _print_obstacles(plan.against, plan.refusals)
    if plan.refusals:
        return
    verb = "would be brought" if dry_run else "were brought"
    print_line(f"What came since into {len(plan.bring)} accounts {verb} along.")
    if plan.left_to_vaults:
        print_line(
            f"What came since into {len(plan.left_to_vaults)} accounts lies in vaults; the older Keepwell brings it"
            " back when it starts."
        )
    if not dry_run:
        print_line("What was served until now is kept until the next upgrade, in accounts.undone.")


def _print_obstacles(against: tuple[str, ...], refusals: tuple[str, ...]) -> None:
    for sentence in refusals:
        print_line(f"Cannot be done: {sentence}.")
    for sentence in against:
        print_line(f"Stands against it: {sentence}.")
