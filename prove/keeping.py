"""The keeper of a data folder, by hand: its ticks are called and its clock is moved, so that days pass in a moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from keepwell.app.duties import VaultDuties
from keepwell.app.vault_links import LinkMaker
from keepwell.ground.entropy import SystemEntropy, base32_word
from keepwell.model.names import AccountId, Home
from keepwell.services.accounts import OPERATOR
from keepwell.services.actor import Actor
from keepwell.services.keeper import Keeper
from keepwell.services.library import Library
from keepwell.services.mending import Mending
from keepwell.services.place import Place
from keepwell.services.vaults import Vaults
from keepwell.services.verifying import Verifying
from keepwell.storage.family import claim
from keepwell.storage.sqlite import SqliteStore
from keepwell.storage.writers import Writers


class HandClock:
    """Stands still unless it is moved."""

    def __init__(self, ahead: timedelta = timedelta()) -> None:
        """Begins so far ahead of the machine's clock."""
        self._moment = datetime.now(UTC) + ahead

    def now(self) -> datetime:
        """The moment that it shows."""
        return self._moment

    def monotonic(self) -> float:
        """The same, in seconds."""
        return self._moment.timestamp()

    def pass_by(self, span: timedelta) -> None:
        """Move it."""
        self._moment += span


class Keeping:
    """The keeper with its duties to vaults, and writers that its links confirm."""

    def __init__(self, data: Path, store: SqliteStore, clock: HandClock) -> None:
        """Of this folder."""
        entropy = SystemEntropy()
        vaults = Vaults(data, clock, entropy)
        maker = LinkMaker(vaults, store, clock, entropy, base32_word(entropy, 80))
        self._clock = clock
        self._confirming = maker.opened()
        self._writers = Writers(store, self._confirming)
        self._library = Library(store, self._writers)
        mending = Mending(store, vaults.settings.all, vaults.open, vaults.verified_file, clock)
        duties = VaultDuties(Verifying(vaults.verified_file, clock), mending, clock).all()
        self._keeper = Keeper(data, self._confirming, vaults.settings, maker.link_to, clock, duties)
        self._keeper.tick()  # compares store and vaults, which no start has done here, and opens the links

    def put(self, account: AccountId, collection: str, name: str, body: bytes) -> None:
        """Keep a card, and wait until it is acknowledged."""
        actor = Actor(account, "", OPERATOR)
        self._library.put(actor, Place(account, Home.CONTACTS, collection, name), body).result()

    def tick(self, span: timedelta) -> None:
        """So much time passes, then the keeper does what is due."""
        self._clock.pass_by(span)
        self._keeper.tick()

    def roll(self) -> None:
        """Put what the tails hold into packs, as the keeper does with a tail that is old or long."""
        for link in self._confirming.links:
            link.roll()

    def faults(self) -> list[str]:
        """Why links are down."""
        return [f"{link.name}: {link.fault.message}" for link in self._confirming.links if link.fault]

    def close(self) -> None:
        """Finish, in the order in which a server does."""
        self._keeper.close()
        self._writers.close()
        self._confirming.close()


@contextmanager
def keeping(data: Path, clock: HandClock) -> Iterator[Keeping]:
    """Keep a folder while the block runs; nobody else may."""
    lock = claim(data, base32_word(SystemEntropy(), 80))
    try:
        with closing(SqliteStore(data, clock)) as store, closing(Keeping(data, store, clock)) as one:
            yield one
    finally:
        lock.release()
