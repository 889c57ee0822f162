"""`keepwell app-password add|list|revoke`: what devices and programs sign in with."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from keepwell.app.wiring import open_keepwell
from keepwell.cli.common import DEFAULTS, Common, command
from keepwell.cli.output import print_json, print_line, print_table

Login = Annotated[str, Parameter(help="The login of the account.")]


def add(
    login: Login,
    /,
    *,
    label: Annotated[str, Parameter(help="Where it will be used, so that it can be revoked alone.")] = "device",
    common: Common = DEFAULTS,
) -> None:
    """Make an app password; it is shown once."""
    with open_keepwell(common.data) as keepwell:
        password = keepwell.accounts.add_password(login, label)
    if common.json:
        print_json({"login": login, "label": label, "password": password})
        return
    print_line(f"Login     {login}")
    print_line(f"Password  {password}")
    print_line("It is shown this once. Take it back with:")
    print_line(f"  {command(common, 'app-password', 'revoke', login, label)}")


def list_passwords(login: Login, /, *, common: Common = DEFAULTS) -> None:
    """List the app passwords of an account."""
    with open_keepwell(common.data) as keepwell:
        documents = keepwell.accounts.passwords(login)
    if common.json:
        known = [{"id": one.id, "label": one.label, "made_at": one.made_at} for one in documents]
        print_json({"login": login, "passwords": known})
        return
    print_table(("ID", "LABEL", "MADE"), [(one.id, one.label, one.made_at) for one in documents])


def revoke(
    login: Login,
    password: Annotated[str, Parameter(help="The label or id of the app password.")],
    /,
    *,
    common: Common = DEFAULTS,
) -> None:
    """Take an app password back; it stops working at once."""
    with open_keepwell(common.data) as keepwell:
        revoked = keepwell.accounts.revoke(login, password)
    if common.json:
        print_json({"login": login, "revoked": [{"id": one.id, "label": one.label} for one in revoked]})
        return
    for one in revoked:
        print_line(f"Revoked {one.label} ({one.id}) of {login}.")
