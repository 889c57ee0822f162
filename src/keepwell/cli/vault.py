"""`keepwell vault add|list|remove`: where the independent copies are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from keepwell.app.wiring import Keepwell, open_keepwell
from keepwell.cli.common import DEFAULTS, Common, command
from keepwell.cli.exit_codes import ExitCode, exit_code_of
from keepwell.cli.output import print_error, print_json, print_line, print_notice, print_table, progress_bar
from keepwell.cli.vault_keys import hand_out
from keepwell.model.errors import KeepwellError
from keepwell.services.catch_up import catch_up
from keepwell.services.vault_settings import OnLoss, VaultSetting, check_vault_name
from keepwell.services.vaults import describe
from keepwell.storage.family import is_served
from keepwell.vault.keys import make_drill_key, make_keys
from keepwell.vault.ship import ship
from keepwell.vault.verify import Grade

Name = Annotated[str, Parameter(help="The name of the vault.")]


def add(
    name: Annotated[str, Parameter(help="What to call it: lower-case letters, digits and -.")],
    url: Annotated[str, Parameter(help="A folder on another disk, or s3://bucket/prefix?endpoint=…&region=…")],
    /,
    *,
    confirm: Annotated[
        bool, Parameter(negative=(), help="Answer a write only when this vault has it too, synced.")
    ] = False,
    on_loss: Annotated[
        OnLoss, Parameter(help="While a confirming vault is gone: refuse writes, or degrade to one copy less.")
    ] = OnLoss.REFUSE,
    encrypt: Annotated[bool, Parameter(negative=(), help="Encrypt it (age), to three new keys.")] = False,
    key_file: Annotated[
        Path | None, Parameter(help="Where to write the operator\u2019s secret key; else it is shown once.")
    ] = None,
    common: Common = DEFAULTS,
) -> int:
    """Make a vault, or take one over that holds this data already; then bring it up to date."""
    with open_keepwell(common.data) as keepwell:
        check_vault_name(name)
        keys = make_keys(make_drill_key(keepwell.vaults.settings.folder(name), name)) if encrypt else None
        setting = keepwell.vaults.add(
            name,
            url,
            keepwell.store,
            confirm=confirm,
            on_loss=on_loss,
            recipients=keys.recipients() if keys else None,
        )
        # The keys go out before anything else can fail: nobody can show them again.
        is_new = keys is not None and setting.recipients == keys.recipients()
        secrets = hand_out(keys, setting, key_file) if keys and is_new else None
        if secrets is not None and not common.json:
            secrets.show(common)
        filled = _filled(keepwell, name)
    if common.json:
        keys_shown = secrets.document() if secrets else {}
        print_json(describe(setting) | keys_shown | {"shipped": filled.records, "problem": filled.problem})
    else:
        _tell(setting, filled, common)
    return filled.code


@dataclass(frozen=True, slots=True)
class _Filled:
    """How a new vault was brought up to date; no records when the server that runs will do it."""

    records: int | None = None
    problem: str = ""
    code: ExitCode = ExitCode.OK


def _filled(keepwell: Keepwell, name: str) -> _Filled:
    if is_served(keepwell.data):
        return _Filled()
    try:
        return _Filled(_fill(keepwell, name))
    except KeepwellError as error:
        return _Filled(0, error.message, exit_code_of(error))


def _fill(keepwell: Keepwell, name: str) -> int:
    """Bring a new vault up to date at once: no server runs that would do it."""
    vault = keepwell.vaults.open_to_write(name)
    try:
        accounts = keepwell.store.accounts()
        done = catch_up(keepwell.store, [vault], is_complete=False).shipped if vault.heads() else 0
        with progress_bar("Shipping", unit="accounts") as progress:
            reached = iter(range(1, len(accounts) + 1))
            shipped = ship(vault, keepwell.store, accounts, lambda _account: progress(next(reached), len(accounts)))
        vault.put_manifest()
        for failure in shipped.failures.values():
            raise failure
        return done + shipped.records
    finally:
        vault.close()


def _tell(setting: VaultSetting, filled: _Filled, common: Common) -> None:
    role = "Writes wait for it" if setting.confirm else "It follows the store"
    print_line(f"Added the vault {setting.name} at {setting.url}. {role}.")
    if filled.problem:
        print_error(f"it was added, but not all could be shipped: {filled.problem}", "A start tries again.")
    elif filled.records is None:
        print_line("The server that runs brings it up to date by itself, from now on.")
    else:
        print_line(f"It has everything now: {filled.records} records were shipped.")
    print_line(f"See how it is at any time: {command(common, 'vault', 'list')}")


def list_vaults(*, common: Common = DEFAULTS) -> None:
    """List the vaults, and what each of them has."""
    with open_keepwell(common.data) as keepwell:
        rows = [_state(keepwell, setting) for setting in keepwell.vaults.settings.all()]
    if common.json:
        print_json({"vaults": rows})
        return
    columns = ("name", "url", "role", "encrypted", "accounts", "records", "packs", "bytes", "problem")
    print_table([one.upper() for one in columns], [[row[one] for one in columns] for row in rows])


def _state(keepwell: Keepwell, setting: VaultSetting) -> dict[str, object]:
    role = "confirms" if setting.confirm else "follows"
    row: dict[str, object] = describe(setting) | {"role": role if setting.confirmed else "recovery key not proven"}
    row |= {"accounts": "", "records": "", "packs": "", "bytes": "", "problem": ""}
    try:
        vault = keepwell.vaults.open(setting.name)
    except KeepwellError as error:
        return row | {"problem": error.message}
    try:
        heads, packs = vault.heads(), vault.packs()
        row |= {"accounts": len(heads), "records": sum(head.sequence for head in heads.values())}
        row |= {"packs": len(packs), "bytes": sum(pack.size for pack in packs)}
        return row | {"problem": "; ".join(problem.message for problem in vault.problems)}
    finally:
        vault.close()


def _proven(keepwell: Keepwell) -> list[str]:
    """The vaults whose content was found to be whole when it was last read."""
    found = []
    for setting in keepwell.vaults.settings.all():
        grades = keepwell.vaults.verified_file(setting.name).read().grades
        known = [grades[one] for one in (Grade.CONTENT, Grade.RECORDS) if one in grades]
        if known and max(known, key=lambda one: one.at).damaged == 0:
            found.append(setting.name)
    return found


def remove(name: Name, /, *, common: Common = DEFAULTS) -> None:
    """Ship to a vault no more; what lies in it stays, and can be restored from or added again."""
    with open_keepwell(common.data) as keepwell:
        setting = keepwell.vaults.settings.named(name)
        was_last_proven = _proven(keepwell) == [name]
        keepwell.vaults.settings.remove(name)
    if was_last_proven:
        print_notice(
            f"no other vault was verified: what lies at {setting.url} is the only copy that is known to be good"
        )
    if common.json:
        print_json(describe(setting) | {"removed": True, "was_last_proven": was_last_proven})
    else:
        print_line(f"Keepwell ships to the vault {name} no more. What lies at {setting.url} stays there.")
