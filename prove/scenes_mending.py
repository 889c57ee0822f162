"""Scenes in which something was lost: a start heals the store, the keeper a vault, and restores make folders anew."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

from prove.copies import heads_in_vaults, heads_of
from prove.operations import body_for
from prove.scene import CARDS, Scene, command, tick
from prove.stage import CONFIRMING, Stage


def _restored(name: str, *, is_whole: bool = True) -> Callable[[Stage, bool], list[str]]:
    """The folder has its name only when everything is in it."""

    def proof(stage: Stage, ended: bool) -> list[str]:
        target = stage.place / name
        if not target.exists():
            return [f"{name} is not there"] if ended else []
        wrong = []
        if is_whole:
            stage.command("check", data=target)
            if heads_of(target) != heads_in_vaults(stage.data)[CONFIRMING]:
                wrong.append(f"{name} has other heads than the vault it was restored from")
        if (target / "loss-report.json").exists():
            wrong.append(f"{name} has a loss report")
        if (stage.place / f"{name}.restoring").exists():
            wrong.append(f"{name} is there, and still being built")
        return wrong

    return proof


RESTORE: Final = Scene(
    "restore",
    (
        command(
            "restore",
            *("restore", "--from", "{place}/vault", "--into", "{place}/restored", "--workers", "1"),
        ),
    ),
    again=True,
    makes="restored",
    proof=_restored("restored"),
)


RESTORE_PART: Final = Scene(
    "restore-part",
    (
        command(
            "rewound, without large bytes",
            *("restore", "--from", "{place}/vault", "--into", "{place}/rewound", "--workers", "1"),
            *("--account", "ada", "--kind", "calendar", "--seq", "20"),
        ),
    ),
    again=True,
    makes="rewound",
    proof=_restored("rewound", is_whole=False),
)


def _put_and_remove(stage: Stage) -> None:
    with stage.serving():
        client = stage.client("ada")
        for name in ("live-1.vcf", "live-2.vcf"):
            path = f"{CARDS}/contacts/{name}"
            client.ask("PUT", path, body_for(path, "Live"))
    shutil.copytree(stage.data, stage.place / "earlier")
    with stage.serving():
        stage.client("ada").ask("DELETE", f"{CARDS}/contacts/live-1.vcf")
        stage.client("ada").ask("DELETE", f"{CARDS}/contacts/two.vcf")


RESTORE_LIVE: Final = Scene(
    "restore-live",
    (
        command(
            "live",
            *("restore", "--live", "--account", "ada", "--from", "{place}/earlier", "--yes"),
            changes=None,
            together=False,
        ),
    ),
    before=_put_and_remove,
)


def _keep_older(stage: Stage) -> None:
    shutil.copytree(stage.data, stage.place / "older")
    with stage.serving():
        for login in ("ada", "bob"):
            path = f"/dav/contacts/{login}/contacts/newer.vcf"
            stage.client(login).ask("PUT", path, body_for(path, "Newer"))


def _put_older_back(stage: Stage) -> None:
    shutil.rmtree(stage.data)
    (stage.place / "older").rename(stage.data)


OLDER_COPY: Final = Scene("older-copy", (), within=Stage.serving, before=_keep_older, damage=_put_older_back)


def _files_of(stage: Stage, login: str) -> list[Path]:
    return sorted(stage.data.glob(f"accounts/??/{stage.account(login)}.db*"))


def _lose_account(stage: Stage) -> None:
    for path in _files_of(stage, "ada"):
        path.unlink()


LOST_ACCOUNT: Final = Scene("lost-account", (), within=Stage.serving, damage=_lose_account)


def _damage_account(stage: Stage) -> None:
    """The first pages are zeros: a sector that is gone."""
    for path in _files_of(stage, "bob"):
        with path.open("r+b") as file:
            file.write(bytes(8192))


DAMAGED_ACCOUNT: Final = Scene("damaged-account", (), within=Stage.serving, damage=_damage_account)


def _lose_data(stage: Stage) -> None:
    for path in stage.data.iterdir():
        if path.name != "vaults":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


LOST_DATA: Final = Scene("lost-data", (), within=Stage.serving, damage=_lose_data)


def _damage_vault(stage: Stage) -> None:
    """One pack is gone, and in another a bit has flipped, in its records: its index is what a start looks at."""
    lost, flipped, *_others = sorted(stage.vault.glob("packs/**/*.jsonl.zst"), key=lambda path: path.stat().st_size)
    lost.unlink()
    octets = bytearray(flipped.read_bytes())
    octets[len(octets) // 5] ^= 1
    flipped.chmod(0o600)
    flipped.write_bytes(octets)


def _keep_a_day(stage: Stage) -> None:
    with stage.keeping():
        for _ in range(8):
            stage.keeper.tick(timedelta(days=1, minutes=5))


MEND_VAULT: Final = Scene(
    "mend-vault",
    (tick("find", timedelta(0)), tick("mend", timedelta(days=1, minutes=5), 8)),
    within=Stage.keeping,
    damage=_damage_vault,
    later=_keep_a_day,
)


def _salvaged(stage: Stage, ended: bool) -> list[str]:
    target = stage.place / "salvaged"
    if not target.exists():
        return ["nothing was salvaged"] if ended else []
    stage.command("check", data=target)
    there = {account for account, head in heads_of(target).items() if not isinstance(head, Exception)}
    return [] if there >= set(heads_of(stage.data)) else [f"only {sorted(there)} were salvaged"]


SALVAGE: Final = Scene(
    "salvage",
    (command("salvage", "salvage", "--from", "{place}/data", "--from", "{place}/vault", "--into", "{place}/salvaged"),),
    again=True,
    makes="salvaged",
    proof=_salvaged,
)
