"""Which vaults an operator has, in `vaults/settings.json` of the data folder.

A plain file and no document of the system account: it must be readable when the system account is the thing that is
damaged, and it must not come back from a vault with a restore, or a restored copy would write into the vaults of the
original. Beside it each vault has a folder: the drill's key, and which epoch this server holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from keepwell.ground.durable import make_folder, write_file
from keepwell.ground.process import locked
from keepwell.model.errors import AlreadyThere, BadRequest, CannotStart, Damaged, NotThere
from keepwell.model.hashed import parse_hashed, render_hashed
from keepwell.services.epochs import EpochHeld
from keepwell.vault.keys import Recipients

SETTINGS_FORMAT: Final = 1
FOLDER: Final = "vaults"
_SETTINGS: Final = "settings.json"
_EPOCH: Final = "epoch.json"
_LOCK: Final = "claim.lock"
_COMPARING: Final = "compare.lock"

_name = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


class OnLoss(StrEnum):
    """What happens to writes while a confirming vault is gone."""

    REFUSE = "refuse"
    DEGRADE = "degrade"


class Role(StrEnum):
    """What a vault is for: its sync is awaited before "yes", always, or only while it is there, or never."""

    CONFIRMS = "confirms"
    CONFIRMS_WHILE_THERE = "confirms while there"
    FOLLOWS = "follows"


class VaultSetting(msgspec.Struct, frozen=True, kw_only=True):
    """One vault: where it is, and what it is for. With `recipients` it is encrypted, and counts once `confirmed`."""

    name: str
    url: str
    id: str
    confirm: bool = False
    on_loss: OnLoss = OnLoss.REFUSE
    added_at: str = ""
    made_at: str = ""
    recipients: Recipients | None = None
    confirmed: bool = True

    @property
    def role(self) -> Role:
        """What it is for; an encrypted one confirms nothing before its recovery key was proven."""
        if not (self.confirm and self.confirmed):
            return Role.FOLLOWS
        return Role.CONFIRMS if self.on_loss is OnLoss.REFUSE else Role.CONFIRMS_WHILE_THERE


class _Settings(msgspec.Struct, frozen=True, kw_only=True):
    vaults: tuple[VaultSetting, ...]
    format: int = SETTINGS_FORMAT


class VaultSettings:
    """The settings of one data folder; read anew at every question, written whole and durably."""

    def __init__(self, data: Path) -> None:
        """Of this data folder."""
        self._folder = data / FOLDER

    def all(self) -> tuple[VaultSetting, ...]:
        """Every vault, in the order in which they were added. Raises Damaged, CannotStart for a newer format."""
        settings = self._read()
        if settings.format > SETTINGS_FORMAT:
            raise CannotStart(
                f"the vaults' settings have format {settings.format}; this Keepwell knows up to {SETTINGS_FORMAT}",
                hint="A newer Keepwell wrote them. Start that version, or a newer one.",
            )
        return settings.vaults

    def format(self) -> int:
        """Which format the settings have. Raises Damaged."""
        return self._read().format

    def _read(self) -> _Settings:
        path = self._folder / _SETTINGS
        try:
            return parse_hashed(path.read_bytes(), _Settings)
        except FileNotFoundError:
            return _Settings(vaults=())
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Damaged(
                f"the vaults' settings {path} cannot be read: {error}",
                hint="Move that file away and add the vaults again, which are taken over: keepwell vault add NAME URL",
            ) from error

    def named(self, name: str) -> VaultSetting:
        """One vault. Raises NotThere, Damaged."""
        for one in self.all():
            if one.name == name:
                return one
        known = ", ".join(one.name for one in self.all()) or "none"
        raise NotThere(f"there is no vault {name}", hint=f"There are: {known}. Add one: keepwell vault add NAME URL")

    def add(self, setting: VaultSetting) -> None:
        """Keep another vault. Raises AlreadyThere, Damaged, OSError."""
        others = self.all()
        if any(one.name == setting.name for one in others):
            raise AlreadyThere(f"there is a vault {setting.name} already", hint="See: keepwell vault list")
        if any(one.id == setting.id for one in others):
            raise AlreadyThere("that vault has been added already, under another name", hint="See: keepwell vault list")
        self._write((*others, setting))

    def replace(self, setting: VaultSetting) -> None:
        """Change what is known of a vault. Raises NotThere, Damaged, OSError."""
        self.named(setting.name)
        self._write(tuple(setting if one.name == setting.name else one for one in self.all()))

    def remove(self, name: str) -> None:
        """Know a vault no more; what lies in it stays. Raises NotThere, Damaged, OSError."""
        self.named(name)
        self._write(tuple(one for one in self.all() if one.name != name))

    def folder(self, name: str) -> Path:
        """Where what belongs to one vault is kept on this side."""
        return self._folder / name

    @contextmanager
    def claiming(self, name: str) -> Iterator[EpochHeld | None]:
        """The epoch that this data folder holds (None: none, or nobody can tell), while no other process claims one."""
        folder = self.folder(name)
        make_folder(folder)
        with locked(folder / _LOCK):
            try:
                held = msgspec.json.decode((folder / _EPOCH).read_bytes(), type=EpochHeld)
            except (OSError, msgspec.DecodeError, UnicodeDecodeError):
                held = None
            yield held

    @contextmanager
    def comparing(self) -> Iterator[None]:
        """While it lasts no other process compares store and vaults."""
        make_folder(self._folder)
        with locked(self._folder / _COMPARING):
            yield

    def hold_epoch(self, name: str, held: EpochHeld) -> None:
        """Keep which epoch this data folder holds, while `claiming`. Raises OSError."""
        write_file(self.folder(name) / _EPOCH, msgspec.json.encode(held) + b"\n")

    def _write(self, vaults: tuple[VaultSetting, ...]) -> None:
        make_folder(self._folder)
        write_file(self._folder / _SETTINGS, render_hashed(_Settings(vaults=vaults)))


def check_vault_name(name: str) -> str:
    """The name, when a vault may have it. Raises BadRequest."""
    if not _name.fullmatch(name):
        raise BadRequest(
            f"{name!r} cannot be the name of a vault",
            hint="Use 1 to 32 lower-case letters, digits and -, the first a letter or digit.",
        )
    return name
