"""Carrying out orders to erase by a command, while no server runs.

In three parts, because carrying them out in vaults claims a new epoch, and the command's own links write in the one of
before: the store, with those links; each vault, claimed anew, and what tails of before still have packed first; and
noting what came of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from keepwell.app.wiring import Keepwell, open_keepwell
from keepwell.ground.clock import Clock
from keepwell.ground.durable import make_folder
from keepwell.ground.entropy import Entropy, base32_word
from keepwell.ground.process import try_lock
from keepwell.model.errors import Unavailable
from keepwell.services.keeper import KEEPER_LOCK
from keepwell.services.vault_settings import FOLDER
from keepwell.storage.family import is_served
from keepwell.vault.erasing import Emptied
from keepwell.vault.ship import pack_tails


@dataclass(frozen=True, slots=True)
class Retained:
    """What a command did: bodies dropped from the store, packs written anew, orders done; what stood against more."""

    bodies: int = 0
    packs: int = 0
    done: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


def retain(data: Path, *, clock: Clock | None = None, entropy: Entropy | None = None) -> Retained:
    """Lead every order on as far as it goes now. Raises Unavailable while a server does, and what retention raises."""
    opened = partial(open_keepwell, data, clock=clock, entropy=entropy)
    with _elected(data):
        with opened() as keepwell:
            against = keepwell.retention.against()
            bodies = keepwell.retention.advance(against)
        with opened() as keepwell:
            looks = [look for one in keepwell.vaults.settings.all() for look in _erase_in(keepwell, one.name, against)]
        with opened() as keepwell:
            done = keepwell.retention.finish()
    return Retained(
        bodies,
        packs=sum(look.packs for look in looks),
        done=tuple(order.id for order in done),
        against=against,
        waiting=tuple(name for look in looks for name in look.waiting),
    )


def _erase_in(keepwell: Keepwell, name: str, against: Sequence[str]) -> list[Emptied]:
    """Look until nothing is found; a vault that cannot be reached is gone through the next time."""
    if not keepwell.retention.is_anything_due():
        return []
    family = base32_word(keepwell.entropy, 80)
    try:
        vault = keepwell.vaults.open_to_write(name, family)
    except Unavailable:
        return []  # the gate was closed because of it, or overridden
    with closing(vault):
        pack_tails(vault, keepwell.store)
        looks = [keepwell.retention.erase_in(vault, against)]
        if looks[0].packs:
            looks.append(keepwell.retention.erase_in(vault, against))
        return looks


@contextmanager
def _elected(data: Path) -> Iterator[None]:
    """While no server and no other command removes anything. Raises Unavailable."""
    make_folder(data / FOLDER)
    descriptor = None if is_served(data) else try_lock(data / FOLDER / KEEPER_LOCK)
    if descriptor is None:
        raise Unavailable(f"{data} is kept by a server or another command at this moment")
    try:
        yield
    finally:
        os.close(descriptor)
