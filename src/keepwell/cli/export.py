"""`keepwell export LOGIN DIR`: everything of an account, in files that other programs open."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from keepwell.app.wiring import open_keepwell
from keepwell.cli.common import DEFAULTS, Common, operator_for
from keepwell.cli.output import print_json, print_line, print_table, progress_bar
from keepwell.services.exporting import export_account


def export(
    login: Annotated[str, Parameter(help="The login of the account.")],
    folder: Annotated[Path, Parameter(name="DIR", help="The folder to write; not there yet, or empty.")],
    /,
    *,
    common: Common = DEFAULTS,
) -> None:
    """Export an account into standard files."""
    with open_keepwell(common.data) as keepwell, progress_bar("Exporting") as progress:
        account = operator_for(keepwell, login).account
        exported = export_account(keepwell.store, account, login, folder, progress)
    if common.json:
        print_json(exported)
        return
    print_table(("KIND", "ITEMS"), sorted(exported.counts.items()))
    print_line(f"Wrote {exported.folder}: the account as it was after record {exported.sequence}.")
    print_line("Import it elsewhere with: keepwell import LOGIN DIR")
