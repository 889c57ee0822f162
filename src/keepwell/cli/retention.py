"""`keepwell retention` and `keepwell erase`: the one door for physical removal."""

from __future__ import annotations

from typing import Annotated

import msgspec
from cyclopts import Parameter, validators

from keepwell.app.retaining import Retained, retain
from keepwell.app.wiring import Keepwell, open_keepwell
from keepwell.cli.common import DEFAULTS, Common, command, operator_for
from keepwell.cli.exit_codes import ExitCode
from keepwell.cli.output import print_json, print_line, print_table
from keepwell.model.erasures import Cause, ErasureOrder, Scope
from keepwell.model.errors import BadRequest
from keepwell.model.names import AccountId
from keepwell.services.history import find_spot
from keepwell.services.retention.retention import WAIT_DAYS
from keepwell.services.retention.thinning import HISTORY_DAYS, Thinning
from keepwell.storage.family import is_served

DryRun = Annotated[bool, Parameter(negative=(), help="Only show what would be done.")]
WaitDays = Annotated[
    float, Parameter(validator=validators.Number(gte=1), help="Days between the mark and the erasing; undo until then.")
]


def retention(
    *,
    history_days: Annotated[int, Parameter(help="Keep histories whole for so many days; 60 at least.")] = HISTORY_DAYS,
    wait_days: WaitDays = WAIT_DAYS,
    undo: Annotated[str | None, Parameter(help="Take the mark with this id back, before it is begun.")] = None,
    trust_clock: Annotated[
        bool, Parameter(negative=(), help="The clock is right, though it went on by weeks at once.")
    ] = False,
    dry_run: DryRun = False,
    common: Common = DEFAULTS,
) -> int:
    """Mark what histories have behind their time, and carry out what was marked and is due."""
    if undo is not None:
        return _undo(undo, common)
    with open_keepwell(common.data) as keepwell:
        if trust_clock:
            keepwell.retention.trust_clock()
        against = keepwell.retention.against()
        thinnings = keepwell.retention.plan_thinning(history_days)
        waits = any(one.cause is Cause.HISTORY and not one.sealed_at for one in keepwell.retention.orders.all())
        if thinnings and not waits and not dry_run:
            keepwell.retention.mark_history(history_days, wait_days)
    done = Retained(against=against) if dry_run or is_served(common.data) else retain(common.data)
    with open_keepwell(common.data) as keepwell:
        orders = keepwell.retention.orders.all()
        is_left = keepwell.retention.is_anything_due()
        logins = {account: keepwell.directory.login_of(account) or "" for account in thinnings}
    if common.json:
        print_json(_document(thinnings, orders, done, dry_run=dry_run))
    else:
        _print(thinnings, logins, orders, done, common, dry_run=dry_run)
    return ExitCode.PARTLY if is_left and not dry_run else ExitCode.OK


def erase(
    login: Annotated[str, Parameter(help="The login of the account.")],
    /,
    *,
    collection: Annotated[
        str | None, Parameter(help="The item's collection: its name, or home/name; also one that was dropped.")
    ] = None,
    item: Annotated[str | None, Parameter(help="Erase the item with this name, all its versions.")] = None,
    account: Annotated[
        bool, Parameter(negative=(), help="Erase everything of the account, its login included.")
    ] = False,
    wait_days: WaitDays = WAIT_DAYS,
    reason: Annotated[str, Parameter(help="Why; it is kept with the order.")] = "",
    override: Annotated[
        str, Parameter(help="Carry it out though vaults are not verified, for this reason; it is kept with the order.")
    ] = "",
    dry_run: DryRun = False,
    common: Common = DEFAULTS,
) -> None:
    """Mark an item, or a whole account, to be erased from every copy when the time to take it back is over."""
    if account == (item is not None) or (item is None) != (collection is None):
        raise BadRequest("say what to erase", hint="Either --collection and --item, or --account.")
    with open_keepwell(common.data) as keepwell:
        whose = operator_for(keepwell, login).account
        scope = None if item is None or collection is None else _scope(keepwell, whose, collection, item)
        preview = keepwell.retention.preview(whose, scope)
        order = None
        if not dry_run:
            order = keepwell.retention.mark_request(whose, scope, wait_days=wait_days, reason=reason, override=override)
    if common.json:
        print_json({"login": login, "preview": preview, "order": order})
        return
    verb = "would be" if order is None else "will be"
    print_line(f"{preview.versions} versions, {preview.octets:,} bytes, {verb} erased from every copy.")
    if preview.stays:
        print_line(f"The bytes of {preview.stays} more stay, because something else has the same.")
    if order is not None:
        print_line(f"That begins at {order.due_at}. Until then it can be taken back:")
        print_line(f"  {command(common, 'retention', '--undo', order.id)}")


def _scope(keepwell: Keepwell, account: AccountId, collection: str, item: str) -> Scope:
    with keepwell.store.account(account).reading() as snapshot:
        home, name = find_spot(snapshot, collection)
    return Scope(home, name, item)


def _undo(order_id: str, common: Common) -> int:
    with open_keepwell(common.data) as keepwell:
        order = keepwell.retention.undo(order_id)
    if common.json:
        print_json({"undone": order})
    else:
        print_line(f"The order {order.id} was taken back; nothing was erased.")
    return ExitCode.OK


def _document(
    thinnings: dict[AccountId, Thinning], orders: list[ErasureOrder], done: Retained, *, dry_run: bool
) -> dict[str, object]:
    return {
        "dry_run": dry_run,
        "thinning": {account: {"versions": one.versions, "octets": one.octets} for account, one in thinnings.items()},
        "orders": [_order_document(one) for one in orders],
        "against": done.against,
        "bodies": done.bodies,
        "packs": done.packs,
        "done": done.done,
        "waiting": done.waiting,
    }


def _order_document(order: ErasureOrder) -> dict[str, object]:
    fields: dict[str, object] = msgspec.to_builtins(order)
    erased = {account: len(one.digests) for account, one in order.erased.items()}
    return fields | {"erased": erased, "state": state_of(order)}


def state_of(order: ErasureOrder) -> str:
    """How far an order has come, in a word."""
    if order.done_at:
        return "done"
    return "sealed" if order.sealed_at else "begun" if order.begun_at else "marked"


def _print(
    thinnings: dict[AccountId, Thinning],
    logins: dict[AccountId, str],
    orders: list[ErasureOrder],
    done: Retained,
    common: Common,
    *,
    dry_run: bool,
) -> None:
    if dry_run and thinnings:
        rows = [(logins[account], account, one.versions, one.octets) for account, one in thinnings.items()]
        print_table(("LOGIN", "ACCOUNT", "VERSIONS", "BYTES"), rows)
    if orders:
        print_table(("ORDER", "CAUSE", "WHAT", "STATE", "DUE"), [_row(one) for one in orders])
    else:
        print_line("Nothing is marked to be erased.")
    for sentence in done.against:
        print_line(f"Stands against erasing: {sentence}.")
    if done.against:
        print_line(f"To prove what the vaults hold: {command(common, 'verify')}")
    if done.bodies or done.packs:
        print_line(f"{done.bodies} versions' bytes went from the store, and {done.packs} packs were written anew.")
    for name in done.waiting:
        print_line(f"{name} still has some of it, until it is packed.")


def _row(order: ErasureOrder) -> tuple[object, ...]:
    what = f"histories behind {order.history_days} days"
    if order.account is not None:
        scope = order.scope
        what = f"everything of {order.account}"
        if scope is not None:
            what = f"{scope.home}/{scope.collection}/{scope.item} of {order.account}"
    return order.id, order.cause, what, state_of(order), order.due_at
