"""A data folder with contacts, its vault as the keeper has it after a while, and the same cards as files.

Cards are imported as `keepwell import` does it: most of them before the vault is added, the rest some at a time, each
time shipped anew. Then packs are merged and those that were merged removed, as the keeper does in days.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.data import contacts
from bench.merging import ClockThatJumps, merge_all
from bench.servers import ServerError
from keepwell.app.wiring import Keepwell, open_keepwell
from keepwell.cli.common import operator_for
from keepwell.model.names import AccountId
from keepwell.services.importing import Importer
from keepwell.services.rejected import RejectedFolder
from keepwell.vault.ship import ship

BEFORE_THE_VAULT: Final = 0.8
"""Of each account's cards."""

VAULT: Final = "disk"


@dataclass(frozen=True, slots=True)
class Filled:
    """Where everything is. Accounts have the logins that the folders in the tree are called by."""

    data: Path
    vault: Path
    tree: Path
    logins: tuple[str, ...]


def write_cards(tree: Path, accounts: int, cards: int) -> tuple[str, ...]:
    """One folder of cards for each account; their names, which become logins."""
    chance = random.Random("restore")
    logins = tuple(f"p{number:05}" for number in range(accounts))
    for login in logins:
        folder = tree / login
        folder.mkdir(parents=True)
        for contact in contacts(cards, chance):
            item = contact.item()
            (folder / item.name).write_bytes(item.body)
    return logins


def fill(folder: Path, accounts: int, cards: int, shipments: int) -> Filled:
    """Make it all in a new folder; the vault gets what comes late in so many shipments. Raises ServerError."""
    tree, data, place = folder / "cards", folder / "data", folder / "vault"
    logins = write_cards(tree, accounts, cards)
    clock = ClockThatJumps()
    with open_keepwell(data, clock=clock) as keepwell:
        batches = _batches(tree, logins, shipments)
        for login in logins:
            keepwell.accounts.add(login)
        _import(keepwell, folder, batches[0])
        keepwell.vaults.add(VAULT, str(place), keepwell.store)
        with closing(keepwell.vaults.open_to_write(VAULT)) as vault:
            ship(vault, keepwell.store, keepwell.store.accounts())
            for batch in batches[1:]:
                _import(keepwell, folder, batch)
                ship(vault, keepwell.store, keepwell.store.accounts())
            merge_all(vault, clock)
    return Filled(data, place, tree, logins)


def ledgers(data: Path) -> Mapping[AccountId, object]:
    """What every account counts now, and its last record: equal when two folders hold the same."""
    with open_keepwell(data) as keepwell:
        found: dict[AccountId, object] = {}
        for account in keepwell.store.accounts():
            with keepwell.store.account(account).reading() as snapshot:
                found[account] = snapshot.head(), snapshot.ledger()
    return found


_Batch = list[tuple[str, list[Path]]]
"""Logins, and the files that come for each."""


def _batches(tree: Path, logins: tuple[str, ...], shipments: int) -> list[_Batch]:
    batches: list[_Batch] = [[] for _ in range(shipments + 1)]
    for login in logins:
        files = sorted((tree / login).iterdir())
        early = round(len(files) * (BEFORE_THE_VAULT if shipments else 1))
        batches[0].append((login, files[:early]))
        for number in range(shipments):
            batches[number + 1].append((login, files[early:][number::shipments]))
    return batches


def _import(keepwell: Keepwell, folder: Path, batch: _Batch) -> None:
    for login, files in batch:
        actor = operator_for(keepwell, login)
        report = Importer(keepwell.library, actor, RejectedFolder(folder / "rejected")).run(files)
        if report.taken != len(files):
            raise ServerError(f"of {len(files)} cards of {login} only {report.taken} were imported")
