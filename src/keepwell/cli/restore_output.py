"""What `keepwell restore` says: the plan before, and afterwards what came back, what did not, and what to do next."""

from __future__ import annotations

import shlex

import msgspec

from keepwell.cli.output import print_line, print_table, shown
from keepwell.model.names import Kind
from keepwell.services.restoring.place import LOSS_REPORT
from keepwell.services.restoring.restore import Restored
from keepwell.services.restoring.speed import RestoreSpeed, estimate_seconds
from keepwell.vault.loss import AccountLoss, LossReport
from keepwell.vault.restore_plan import KIND_ORDER, AccountPlan, RestorePlan

_ACCOUNTS_SHOWN = 20
_ITEMS_SHOWN = 20
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def plan_document(plan: RestorePlan, speed: RestoreSpeed | None) -> dict[str, object]:
    """The plan for programs."""
    built: dict[str, object] = msgspec.to_builtins(plan)
    return built | {
        "records": plan.records,
        "octets": plan.octets,
        "octets_stored": plan.octets_stored,
        "blobs": plan.blobs,
        "blob_octets": plan.blob_octets,
        "estimate_seconds": estimate_seconds(plan, speed),
    }


def print_plan(plan: RestorePlan, speed: RestoreSpeed | None, *, every_account: bool) -> None:
    """The plan for people; every account on a dry run, or when they are few."""
    print_line(f"From {' and '.join(shown(source) for source in plan.sources)}:")
    if every_account or len(plan.accounts) <= _ACCOUNTS_SHOWN:
        kinds = [kind for kind in KIND_ORDER if any(kind in one.counts for one in plan.accounts)]
        rows = [_plan_row(one, kinds) for one in plan.accounts]
        print_table(("LOGIN", "ACCOUNT", "RECORDS", *(kind.upper() for kind in kinds), "LARGE"), rows)
    print_line(
        f"{len(plan.accounts)} accounts with {plan.records} records, {_octets(plan.octets)} "
        f"({_octets(plan.octets_stored)} as they are stored), and {plan.blobs} large objects"
        + (f" of {_octets(plan.blob_octets)}." if plan.blob_octets else ".")
    )
    print_line(f"Order: logins; every journal with all small bytes; large bytes of {', '.join(plan.kinds)}.")
    if plan.left_out:
        print_line(f"Left out: {plan.left_out} other accounts; only their logins come.")
    for one in plan.accounts:
        if one.reachable < one.records:
            missing = f"{one.reachable + 1} to {one.records}"
            print_line(f"Known to be missing already: of records {missing} of {one.login or one.account} one or more.")
    print_line(f"Time: {_estimate(plan, speed)}.")


def _plan_row(one: AccountPlan, kinds: list[Kind]) -> tuple[object, ...]:
    return one.login, one.account, one.records, *(one.counts.get(kind, 0) for kind in kinds), one.blobs


def _estimate(plan: RestorePlan, speed: RestoreSpeed | None) -> str:
    seconds = estimate_seconds(plan, speed)
    if seconds is None or speed is None:
        return "not measured yet for what is in here"
    return f"about {seconds:.0f} s, by the drill of {shown(speed.at)}"


def print_restored(restored: Restored, plan: RestorePlan) -> None:
    """What came of it, and what to do next."""
    items = ", ".join(f"{count} {kind}" for kind, count in sorted(restored.items.items()) if kind is not Kind.SYSTEM)
    print_line(
        f"In {shown(restored.into)} are {restored.accounts} accounts with {restored.records} records"
        f" ({items or 'no items'}), restored in {restored.seconds:.1f} s."
    )
    if restored.loss is None:
        print_line("Everything that the vaults know of came back, and was proven equal to their ledgers.")
    if restored.blobs:
        print_line(f"Large bytes: {restored.blobs} objects, {_octets(restored.blob_octets)}.")
    if restored.rewound:
        print_line(f"Collections were rewound by {restored.rewound} new records; keepwell rewind leads back.")
    for kind, count in restored.left_out.items():
        print_line(f"Left out: the bytes of {count} {kind}; those are held until they come (--kind {kind}).")
    for note in restored.notes:
        print_line(shown(note))
    for fault in restored.faults:
        print_line(f"Passed over {shown(fault.name)} of {shown(fault.copy)}: {shown(fault.message)}")
    if restored.loss is not None:
        _print_loss(restored, restored.loss)
    _print_next(restored, plan)


def _print_loss(restored: Restored, loss: LossReport) -> None:
    print_line(f"{len(loss.accounts)} accounts did not come back whole:")
    rows = [
        (one.login, one.account, kind.kind, kind.expected, kind.recovered, kind.incomplete, kind.lost)
        for one in loss.accounts
        for kind in one.kinds
        if not kind.proven
    ]
    print_table(("LOGIN", "ACCOUNT", "KIND", "EXPECTED", "RECOVERED", "INCOMPLETE", "LOST"), rows)
    for one in loss.accounts:
        _print_account_loss(one)
    print_line(f"All of it: {shown(restored.into)}/{LOSS_REPORT}")
    if restored.held:
        print_line("What is not whole is held: devices are told to come back later, and delete nothing.")
        print_line("Perhaps another vault has it: restore from both. Or serve what there is: --accept-loss")


def _print_account_loss(one: AccountLoss) -> None:
    who = shown(one.login) or one.account
    for gap in one.gaps:
        when = f", made between {gap.since or 'the beginning'} and {gap.until or 'now'}"
        print_line(f"{who}: records {gap.first} to {gap.last} are nowhere{when}.")
    for item in one.items[:_ITEMS_SHOWN]:
        version = "" if item.is_current else ", an older version"
        print_line(
            f"{who}: {item.kind} {shown(item.collection)}/{shown(item.name)} of {item.at}: {item.fate}{version}."
        )
    more = len(one.items) - _ITEMS_SHOWN + one.items_left_out
    if more > 0:
        print_line(f"{who}: {more} more items.")


def _print_next(restored: Restored, plan: RestorePlan) -> None:
    data = shlex.quote(restored.into)
    print_line(f"Look at it:  keepwell check --data {data}")
    print_line(f"Serve it:    keepwell serve --data {data}")
    source = next(iter(plan.sources))
    print_line("It has no vault yet, so that it writes into none by mistake. When it is what goes on from here:")
    print_line(f"             keepwell vault add NAME {shlex.quote(source)} --data {data}")


def _octets(count: int) -> str:
    value, unit = float(count), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"
