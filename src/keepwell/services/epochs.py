"""Which epochs a data folder holds in its vaults, and whether store and vault were compared in them.

Each start claims an epoch in every vault; the processes of that server write in it. Before one of them does, store and
vault have been compared in that epoch (`services.catch_up`): by the start, or by the first process that reached a vault
which the start could not. Two that compare at once would both bring the same records back, so only one does at a time.

A crash between the claim and the note of it costs an epoch; one between the comparison and the note of it costs a
second comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import msgspec

from keepwell.model.errors import Damaged, Unavailable
from keepwell.services.catch_up import CaughtUp, catch_up
from keepwell.storage.contract import Store
from keepwell.vault.ship import MayShip, at_once
from keepwell.vault.vault import Vault


class EpochHeld(msgspec.Struct, frozen=True):
    """The epoch that this data folder holds in a vault, the word that proves it, and which server family took it.

    `is_compared`: store and vault were compared since.
    """

    epoch: int
    server: str
    family: str = ""
    is_compared: bool = False


class EpochBook(Protocol):
    """Where a data folder keeps what it holds."""

    def claiming(self, name: str) -> AbstractContextManager[EpochHeld | None]:
        """The epoch held in a vault (None: none, or nobody can tell), while no other process claims one."""
        ...

    def comparing(self) -> AbstractContextManager[None]:
        """While it lasts no other process compares store and vaults."""
        ...

    def hold_epoch(self, name: str, held: EpochHeld) -> None:
        """Keep which epoch is held, while `claiming`. Raises OSError."""
        ...


def open_to_write(
    book: EpochBook, name: str, family: str, opened: Callable[[], Vault], claim: Callable[[Vault, str], EpochHeld]
) -> Vault:
    """A vault for writing, looked at, in the epoch of this family, which is claimed by the first that comes here.

    Without a family (a command) it is the epoch that this data folder holds. Where that epoch's document is damaged the
    next is claimed, and in a vault of which an older copy was put in its place whoever comes first claims one again.
    Raises what opening raises, and Fenced.
    """
    with book.claiming(name) as held:
        vault = opened()
        try:
            if held is None or (family and held.family != family):
                book.hold_epoch(name, claim(vault, family))
            elif vault.is_from_before(held.epoch) or not _resumed(vault, held):
                book.hold_epoch(name, claim(vault, held.family))
        except BaseException:
            vault.close()
            raise
    return vault


def _resumed(vault: Vault, held: EpochHeld) -> bool:
    """Whether the vault is open in the epoch that is held; False when its document is damaged. Raises Fenced."""
    try:
        vault.resume(held.epoch, held.server)
    except Damaged:
        return False
    return True


def note_compared(book: EpochBook, vault: Vault) -> None:
    """Store and vault were compared in the vault's epoch: say there what counts from now on, and remember it here.

    What a server that lost the vault writes there after this is told by it. Raises Fenced, StorageFault, OSError.
    """
    vault.put_manifest()
    with book.claiming(vault.name) as held:
        if held is not None and held.epoch == vault.epoch:
            book.hold_epoch(vault.name, msgspec.structs.replace(held, is_compared=True))


@dataclass(frozen=True, slots=True)
class Comparing:
    """Compares store and vault before a process writes to it; `family` is the server's, empty for a command."""

    book: EpochBook
    family: str

    def __call__(
        self, store: Store, vault: Vault, *, again: bool, is_complete: bool, may_ship: MayShip = at_once
    ) -> CaughtUp:
        """Bring both together. Raises StorageFault, Fenced.

        Not `again`, nothing is done: Unavailable is raised unless it was done in this epoch. A command leaves it to the
        next start: no write begins in an account of which a vault has more than the store.
        """
        if not again:
            if self.family and not self._was_done(vault):
                raise Unavailable(f"the store was not compared with vault {vault.name} yet")
            return CaughtUp()
        with self.book.comparing():
            vault.refresh()  # another process may have shipped all of it meanwhile
            done = catch_up(store, [vault], is_complete=is_complete, may_ship=may_ship)
            note_compared(self.book, vault)
        return done

    def _was_done(self, vault: Vault) -> bool:
        with self.book.claiming(vault.name) as held:
            return held is not None and held.epoch == vault.epoch and held.is_compared
