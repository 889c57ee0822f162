"""Confirming: a write is acknowledged when the confirming vaults have it, synced, as well as the store.

A batch that was committed goes to every vault's link (`services.vault_link`); when the last confirming one has
answered, so is whoever waits. While a confirming vault is down no write begins: callers get Unavailable before anything
is changed, unless the operator chose to go on with one copy less (`degrade`), which is told as a window; where another
server took over, no write begins whatever was chosen.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from keepwell.model.errors import KeepwellError
from keepwell.model.names import AccountId
from keepwell.services.vault_link import Done, VaultLink, Waiting
from keepwell.services.vault_settings import Role
from keepwell.storage.contract import Carried


class Confirming:
    """All vaults that this process writes to. May be changed while writes are under way."""

    def __init__(self, links: Sequence[VaultLink] = ()) -> None:
        """Over these links."""
        self.links: tuple[VaultLink, ...] = ()
        for link in links:
            self.add(link)

    def add(self, link: VaultLink) -> None:
        """Another vault; writes that come from now on wait for it, if it confirms and once it is open."""
        if link.role is Role.FOLLOWS:
            link.may_ship = self.has_confirmed
        self.links = (*self.links, link)

    def discard(self, name: str) -> None:
        """A vault that the operator removed: it takes no part any more."""
        for link in self.links:
            if link.name == name:
                self.links = tuple(one for one in self.links if one is not link)
                link.close()

    def require(self, account: AccountId | None = None) -> None:
        """Raise Unavailable when a vault could not confirm a write (in this account) now."""
        for link in self.links:
            link.require(account)

    def has_confirmed(self, account: AccountId, sequence: int) -> bool:
        """Whether every vault that always confirms has this record, as far as this process knows."""
        return all(link.has_confirmed(account, sequence) for link in self.links if link.role is Role.CONFIRMS)

    def confirm(self, account: AccountId, carried: list[Carried], done: Done) -> None:
        """Bring a committed batch to every vault; `done` when the confirming ones have it."""
        waited_for = [link for link in self.links if link.role is not Role.FOLLOWS]
        for link in self.links:
            if link.role is Role.FOLLOWS:
                link.note(account)
        if not waited_for:
            done(None)
            return
        answer = done if len(waited_for) == 1 else _Countdown(len(waited_for), done)
        for link in waited_for:
            link.add(Waiting(account, carried, answer))

    def close(self) -> None:
        """Finish what waits and let go of every vault; what fails with one does not hold up the others."""
        for link in self.links:
            try:
                link.close()
            except KeepwellError as error:
                link.go_down(error)


class _Countdown:
    """Calls `done` when the last of several has answered; with the first fault, when there was one."""

    def __init__(self, count: int, done: Done) -> None:
        self._left = count
        self._done = done
        self._fault: BaseException | None = None
        self._lock = threading.Lock()

    def __call__(self, fault: BaseException | None) -> None:
        with self._lock:
            self._left -= 1
            self._fault = self._fault or fault
            last = self._left == 0
        if last:
            self._done(self._fault)
