"""`keepwell access LOGIN`: who used an account, from where and with what."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter, validators

from keepwell.app.wiring import open_keepwell
from keepwell.cli.common import DEFAULTS, Common, operator_for
from keepwell.cli.output import print_json, print_table


def access(
    login: Annotated[str, Parameter(help="The login of the account.")],
    /,
    *,
    limit: Annotated[int, Parameter(validator=validators.Number(gte=0), help="So many of the latest entries.")] = 100,
    common: Common = DEFAULTS,
) -> None:
    """Show who used an account, from where and with what, the latest first."""
    with open_keepwell(common.data) as keepwell:
        entries = keepwell.access_log.entries(operator_for(keepwell, login).account, limit)
    if common.json:
        print_json({"login": login, "entries": entries})
        return
    rows = [(one.last_at, one.outcome, one.credential, one.address, one.agent, one.count) for one in entries]
    print_table(("LAST", "OUTCOME", "WITH", "FROM", "PROGRAM", "TIMES"), rows)
