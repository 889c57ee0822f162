"""`keepwell account add|list|disable|enable`: who is served."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from keepwell.app.wiring import open_keepwell
from keepwell.cli.common import DEFAULTS, Common, command
from keepwell.cli.output import print_json, print_line, print_notice, print_table
from keepwell.model.names import Kind
from keepwell.services.incidents import Incident

Login = Annotated[str, Parameter(help="The login of the account.")]


def add(
    login: Annotated[str, Parameter(help="What the person types to sign in; a part of their addresses.")],
    /,
    *,
    name: Annotated[str, Parameter(help="What people call the account.")] = "",
    common: Common = DEFAULTS,
) -> None:
    """Add an account, with one collection of each kind."""
    with open_keepwell(common.data) as keepwell:
        account = keepwell.accounts.add(login, name)
        former = keepwell.lineages.look_for_former(login)
    if common.json:
        print_json({"account": account, "login": login, "display_name": name, "held": list(_held(former))})
        return
    print_line(f"Added the account {login} ({account}).")
    for kind, reason in _held(former).items():
        print_notice(f"{kind} is held until you decide: {reason}. See: keepwell lineage show {login}")
    print_line("Next, make an app password for each device or program that signs in:")
    print_line(f"  {command(common, 'app-password', 'add', login, '--label', 'phone')}")


def _held(former: list[Incident]) -> dict[Kind, str]:
    """What is held because an account that had the login before is missing."""
    return {kind: one.reason for incident in former for kind, one in incident.kinds.items()}


def list_accounts(*, common: Common = DEFAULTS) -> None:
    """List the accounts."""
    with open_keepwell(common.data) as keepwell:
        documents = keepwell.accounts.all()
    if common.json:
        print_json({"accounts": documents})
        return
    rows = [
        (one.login, one.display_name, "disabled" if one.disabled else "", one.made_at, one.account) for one in documents
    ]
    print_table(("LOGIN", "NAME", "STATE", "MADE", "ACCOUNT"), rows)


def disable(login: Login, /, *, common: Common = DEFAULTS) -> None:
    """Let nobody sign in to an account; its data stays."""
    with open_keepwell(common.data) as keepwell:
        keepwell.accounts.disable(login)
    _tell(login, common, disabled=True)


def enable(login: Login, /, *, common: Common = DEFAULTS) -> None:
    """Let people sign in to a disabled account again."""
    with open_keepwell(common.data) as keepwell:
        keepwell.accounts.enable(login)
    _tell(login, common, disabled=False)


def _tell(login: str, common: Common, *, disabled: bool) -> None:
    if common.json:
        print_json({"login": login, "disabled": disabled})
    elif disabled:
        print_line(f"Nobody can sign in to {login} now; its data stays.")
        print_line(f"Undo it with: {command(common, 'account', 'enable', login)}")
    else:
        print_line(f"{login} can sign in again.")
