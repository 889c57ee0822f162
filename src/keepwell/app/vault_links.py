"""Which links to vaults a process has: a server's are opened at once and kept, a command's when it first writes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

from keepwell.ground.clock import Clock
from keepwell.ground.entropy import Entropy
from keepwell.model.errors import KeepwellError
from keepwell.model.names import AccountId
from keepwell.services.confirming import Confirming
from keepwell.services.epochs import Comparing
from keepwell.services.vault_link import Done, VaultLink
from keepwell.services.vault_settings import VaultSetting
from keepwell.services.vaults import Vaults
from keepwell.storage.contract import Carried, Store


class LinkMaker:
    """Makes links for one process; `family` is the server's that it belongs to, empty for a command."""

    def __init__(self, vaults: Vaults, store: Store, clock: Clock, entropy: Entropy, family: str) -> None:
        """To these vaults."""
        self._vaults = vaults
        self._store = store
        self._clock = clock
        self._entropy = entropy
        self._family = family

    def link_to(self, setting: VaultSetting) -> VaultLink:
        """A link, which is down until it is opened."""
        opener = partial(self._vaults.open_to_write, setting.name, self._family)
        compare = Comparing(self._vaults.settings, self._family)
        return VaultLink(
            setting.name,
            opener,
            self._store,
            self._clock,
            self._entropy,
            role=setting.role,
            compare=compare,
            book=self._vaults.outages,
        )

    def opened(self) -> Confirming:
        """Links to all vaults, opened as far as that is possible; the keeper tries the others again."""
        links = [self.link_to(setting) for setting in self._vaults.settings.all()]
        for link in links:
            try:
                link.reopen(again=False)
            except KeepwellError as error:
                link.go_down(error)
        return Confirming(links)


class LateConfirming:
    """Opens the links when the first write needs them: most commands write nothing."""

    def __init__(self, make: Callable[[], Confirming]) -> None:
        """From this maker."""
        self._make = make
        self._made: Confirming | None = None
        self._lock = threading.Lock()

    def require(self, account: AccountId | None = None) -> None:
        """Raise Unavailable when a vault that must confirm is down, or one has more of the account than the store."""
        self._links().require(account)

    def confirm(self, account: AccountId, carried: list[Carried], done: Done) -> None:
        """Bring a committed batch to every vault; `done` when the confirming ones have it."""
        self._links().confirm(account, carried, done)

    def close(self) -> None:
        """Finish what waits, bring the vaults up to date, and let go."""
        if self._made is not None:
            self._made.close()

    def _links(self) -> Confirming:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made
