"""`keepwell rewind LOGIN --collection C --to TIME`: a collection as it was, by new records."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from keepwell.app.wiring import Keepwell, open_keepwell
from keepwell.cli.common import DEFAULTS, Common, command, operator_for
from keepwell.cli.output import print_json, print_line, print_table
from keepwell.model.errors import BadRequest
from keepwell.model.record import Op
from keepwell.services.actor import Actor
from keepwell.services.history import find_spot
from keepwell.services.rewind import Rewinder, RewindPlan, Step, parse_target, sequence_at


def rewind(
    login: Annotated[str, Parameter(help="The login of the account.")],
    /,
    *,
    collection: Annotated[str, Parameter(help="The collection: its name, or home/name; also one that was dropped.")],
    to: Annotated[
        str | None,
        Parameter(help='The moment: RFC 3339, or in local time as "2026-11-23 10:00".'),
    ] = None,
    to_seq: Annotated[int | None, Parameter(help="Instead: the state after the record with this number.")] = None,
    based_on: Annotated[
        int | None,
        Parameter(help="Refuse if the collection changed since this record, which --dry-run told."),
    ] = None,
    dry_run: Annotated[bool, Parameter(negative=(), help="Only show what would be done.")] = False,
    common: Common = DEFAULTS,
) -> None:
    """Make a collection again what it was at a moment. A rewind is new records, and can itself be rewound."""
    with open_keepwell(common.data) as keepwell:
        actor = operator_for(keepwell, login)
        rewinder = Rewinder(keepwell.store, keepwell.writers)
        plan = _plan(keepwell, rewinder, actor, collection, to, to_seq)
        if not dry_run:
            plan = rewinder.rewind(actor, plan, only_if_based_on=based_on).result()
    if common.json:
        print_json(_document(login, plan, dry_run=dry_run))
    else:
        _print_plan(login, plan, common, dry_run=dry_run)


def _plan(
    keepwell: Keepwell, rewinder: Rewinder, actor: Actor, collection: str, to: str | None, to_seq: int | None
) -> RewindPlan:
    with keepwell.library.reading(actor.account) as snapshot:
        spot = find_spot(snapshot, collection)
        if to is not None and to_seq is None:
            target = sequence_at(snapshot, parse_target(to))
        elif to_seq is not None and to is None:
            target = to_seq
        else:
            raise BadRequest("a rewind needs either --to or --to-seq", hint="See: keepwell rewind --help")
    return rewinder.preview(actor, spot, target)


def _document(login: str, plan: RewindPlan, *, dry_run: bool) -> dict[str, object]:
    return {
        "login": login,
        "collection": "/".join(plan.spot),
        "to_seq": plan.target,
        "based_on": plan.based_on,
        "done": not dry_run,
        "steps": plan.steps,
    }


def _print_plan(login: str, plan: RewindPlan, common: Common, *, dry_run: bool) -> None:
    where = "/".join(plan.spot)
    if not plan.steps:
        print_line(f"{where} is what it was after record {plan.target}; there is nothing to do.")
        return
    print_table(("WHAT", "ITEM", "BYTES"), [_row(step) for step in plan.steps])
    removed, put = plan.count(Op.REMOVE), plan.count(Op.PUT)
    summary = f"{put} items put back, {removed} removed"
    words = ("rewind", login, "--collection", where, "--to-seq")
    if dry_run:
        print_line(f"Would rewind {where} to record {plan.target}: {summary}. Nothing was changed.")
        do = command(common, *words, str(plan.target), "--based-on", str(plan.based_on))
        print_line(f"Do it with: {do}")
    else:
        print_line(f"Rewound {where} to record {plan.target}: {summary}.")
        print_line(f"Undo it with: {command(common, *words, str(plan.based_on))}")


_WORDS = {
    Op.MAKE: "make the collection again",
    Op.SET: "set its properties",
    Op.DROP: "drop the collection",
    Op.REMOVE: "remove",
}


def _row(step: Step) -> tuple[object, ...]:
    if step.op is Op.PUT:
        return "bring back" if step.is_new else "change back", step.name, step.item.size if step.item else ""
    return _WORDS[step.op], step.name, ""
