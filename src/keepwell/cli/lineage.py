"""`keepwell lineage show|accept`: what is known to be missing where a history went back, and going on without it."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from keepwell.app.wiring import Keepwell, open_keepwell
from keepwell.cli.common import DEFAULTS, Common, command
from keepwell.cli.output import print_json, print_line, print_table
from keepwell.model.errors import BadRequest, NotThere
from keepwell.model.names import AccountId, Kind, parse_account_id
from keepwell.services.accounts import OPERATOR
from keepwell.services.lineages import LineageState

Who = Annotated[str, Parameter(help="The login of the account, or its id; that of the system account is a_system.")]


def show(
    login: Annotated[str | None, Parameter(help="The account, by its login or id; else all that wait.")] = None,
    /,
    *,
    common: Common = DEFAULTS,
) -> None:
    """Show what is held because history went back: what was known, and what is here."""
    with open_keepwell(common.data) as keepwell:
        states = keepwell.lineages.all() if login is None else [keepwell.lineages.of(_account(keepwell, login))]
    if common.json:
        print_json({"accounts": [_document(one) for one in states]})
        return
    waiting = [one for one in states if one.kinds]
    if not waiting:
        print_line("Nothing is held: no history is known to have gone back.")
        return
    _print_states(waiting)
    for one in waiting:
        print_line()
        _print_what_to_do(one, common)


def accept(
    login: Who,
    /,
    *,
    kind: Annotated[Kind | None, Parameter(help="Only this kind; else everything of it that is held.")] = None,
    dry_run: Annotated[bool, Parameter(negative=(), help="Only show what would be done.")] = False,
    common: Common = DEFAULTS,
) -> None:
    """Go on without what is missing: what is held is served again, and every device compares everything once."""
    with open_keepwell(common.data) as keepwell:
        account = _account(keepwell, login)
        plan = keepwell.lineages.plan(account, kind)
        if not dry_run:
            plan = keepwell.lineages.accept(account, kind, OPERATOR)
    if common.json:
        print_json(_document(plan) | {"done": not dry_run})
        return
    _print_states([plan])
    kinds, who = ", ".join(one.kind for one in plan.kinds), plan.login or plan.account
    if dry_run:
        words = ["lineage", "accept", login, *(["--kind", kind] if kind else [])]
        print_line(f"Would serve {kinds} of {who} again, without what is missing. Nothing was changed.")
        print_line(f"Do it with: {command(common, *words)}")
    else:
        print_line(f"Accepted: {kinds} of {who} is served again, as it is here. The account's history says so.")


def _account(keepwell: Keepwell, login: str) -> AccountId:
    """The account that is meant: one that has this login, or had it when it was last seen, or an id."""
    try:
        return parse_account_id(login)
    except BadRequest:
        pass  # then it is a login
    account = keepwell.directory.account_of(login)
    seen = (one.account for one in keepwell.rollbacks.incidents.open() if one.login == login)
    account = account or next(seen, None)
    if account is None:
        raise NotThere(f"there is no account with the login {login}", hint="See: keepwell account list")
    return account


def _print_states(states: list[LineageState]) -> None:
    columns = ("ACCOUNT", "KIND", "ITEMS KNOWN", "ITEMS HERE", "WHAT IS KNOWN")
    rows = [
        (state.login or state.account, one.kind, one.known.count if one.known else "", one.count, one.reason)
        for state in states
        for one in state.kinds
    ]
    print_table(columns, rows)


def _print_what_to_do(state: LineageState, common: Common) -> None:
    who = state.login or state.account
    if not state.is_here:
        print_line(f"{who} is not here. Put its file back, or give it up: {command(common, 'lineage', 'accept', who)}")
        return
    print_line(f"{who}: delete nothing on its devices; they may have what is missing. In this order:")
    print_line("  1. Stop the server and put the right copy of the data folder back, if there is one.")
    print_line(f"  2. Else export from a device, and: {command(common, 'import', who, 'FILE')}")
    print_line(f"  3. Then open it again: {command(common, 'lineage', 'accept', who)}")


def _document(state: LineageState) -> dict[str, object]:
    return {
        "account": state.account,
        "login": state.login,
        "is_here": state.is_here,
        "closed": state.is_closed,
        "lineage": state.lineage,
        "record_here": state.sequence,
        "record_known": state.sequence_known,
        "kinds": state.kinds,
        "incidents": state.incidents,
    }
