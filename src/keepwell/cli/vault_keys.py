"""`keepwell vault keys NAME`: whose keys open an encrypted vault; the recovery key is typed back here."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from keepwell.app.wiring import open_keepwell
from keepwell.cli.common import DEFAULTS, Common, command
from keepwell.cli.output import print_json, print_line
from keepwell.model.errors import BadRequest
from keepwell.services.vault_settings import VaultSetting
from keepwell.vault.keys import NewKeys, prove_recovery, render_key_file, render_recovery_sheet, write_key_file


def keys(
    name: Annotated[str, Parameter(help="The name of the vault.")],
    /,
    *,
    recovery: Annotated[
        bool, Parameter(negative=(), help="Type the recovery key back, from the sheet; it is read from standard input.")
    ] = False,
    common: Common = DEFAULTS,
) -> None:
    """Show whose keys open an encrypted vault; with --recovery prove that the recovery sheet is at hand."""
    with open_keepwell(common.data) as keepwell:
        setting = keepwell.vaults.settings.named(name)
        if setting.recipients is None:
            raise BadRequest(f"the vault {name} is not encrypted, and has no keys", hint="See: keepwell vault list")
        if recovery:
            if sys.stdin.isatty():
                print_line("Type the recovery key from the sheet, then Ctrl-D:")
            prove_recovery(setting.recipients, sys.stdin.read())
            setting = msgspec.structs.replace(setting, confirmed=True)
            keepwell.vaults.settings.replace(setting)
    if common.json:
        print_json({"name": name, "recipients": setting.recipients, "recovery_proven": setting.confirmed})
    elif recovery:
        print_line(f"That is the recovery key of the vault {name}. The vault counts from now on.")
    else:
        _print_recipients(setting, common)


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secret keys of a new vault on their way to people, this once; the operator's may be in a file already."""

    keys: NewKeys
    vault: str
    key_file: Path | None

    def document(self) -> dict[str, object]:
        """For programs."""
        operator = {} if self.key_file else {"operator_key": str(self.keys.operator)}
        return {"recovery_key": str(self.keys.recovery), **operator}

    def show(self, common: Common) -> None:
        """For people."""
        print_line()
        if self.key_file is not None:
            print_line(f"The operator’s key is in {self.key_file}. Keep it away from this server.")
        else:
            print_line(render_key_file(self.keys.operator, f"{_about(self.vault)} It is shown this once."))
        print_line(render_recovery_sheet(self.keys.recovery, self.vault))
        print_line("The vault counts once the recovery key was typed back from the sheet:")
        print_line(f"  {command(common, 'vault', 'keys', self.vault, '--recovery')}")


def hand_out(new: NewKeys, setting: VaultSetting, key_file: Path | None) -> Secrets:
    """Write the operator's key to the file that was named, if one was. Raises AlreadyThere, OSError."""
    if key_file is not None:
        write_key_file(key_file, new.operator, _about(setting.name))
    return Secrets(new, setting.name, key_file)


def _about(vault: str) -> str:
    return f"The operator’s secret key of the Keepwell vault {vault}."


def _print_recipients(setting: VaultSetting, common: Common) -> None:
    if setting.recipients is None:
        return
    print_line(f"The vault {setting.name} can be opened with the secret key of any of these:")
    print_line(f"  operator  {setting.recipients.operator}")
    print_line(f"  recovery  {setting.recipients.recovery}")
    print_line(f"  drill     {setting.recipients.drill} (its secret key lies in {setting.name}/drill.key)")
    if not setting.confirmed:
        print_line("The recovery key was not typed back yet, so the vault does not count:")
        print_line(f"  {command(common, 'vault', 'keys', setting.name, '--recovery')}")
