"""What lies on the disks of a simulation: data folders, and the places of vaults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from keepwell.ground.clock import Clock, render_moment
from keepwell.model.errors import StorageFault
from keepwell.model.names import AccountId
from keepwell.services.epochs import EpochHeld
from keepwell.services.vault_settings import OnLoss, Role, VaultSetting
from keepwell.services.verified import Verified, VerifiedFile
from keepwell.storage.memory import MemoryStore
from keepwell.vault.documents import VaultDocument, parse_manifest, render_document
from keepwell.vault.layout import BLOBS, FORMAT_VERSION, MANIFESTS, README, VAULT_DOCUMENT
from keepwell.vault.memory_medium import MemoryMedium
from keepwell.vault.readme import render_readme
from keepwell.vault.sealing import PlainSeal
from keepwell.vault.vault import Vault, open_vault
from prove.simulation.tasks import CooperativeLock, Scheduler

VAULT_ID: Final = "v_simulated"
_CHANGES: Final = {"create", "open_log", "append", "remove"}


class MemoryVerified(VerifiedFile):
    """When a vault was verified, without a file."""

    def __init__(self) -> None:
        """Never, as yet."""
        self._known = Verified()

    def read(self) -> Verified:
        """What is known."""
        return self._known

    def change(self, how: Callable[[Verified], Verified]) -> Verified:
        """Change what is known."""
        self._known = how(self._known)
        return self._known


class Disk:
    """A data folder: the store, which epochs it holds, and what it knows of when vaults were verified."""

    def __init__(self, store: MemoryStore, scheduler: Scheduler, epochs: Mapping[str, EpochHeld] | None = None) -> None:
        """Around this store."""
        self.store = store
        self.epochs = dict(epochs or {})
        self.is_damaged = False
        self._scheduler = scheduler
        self._verified: dict[str, MemoryVerified] = {}
        self._claiming: dict[str, CooperativeLock] = {}
        self._comparing = CooperativeLock(scheduler)

    def copied(self) -> Disk:
        """A copy of the folder as it is now."""
        twin = Disk(self.store.copied(), self._scheduler, self.epochs)
        twin.is_damaged = self.is_damaged
        return twin

    def watch(self) -> None:
        """Have tasks pause at every change of the store."""
        reach = self._scheduler.reach
        self.store.hooks.before = lambda operation, account: reach(f"before store {operation} {account}")
        self.store.hooks.after = lambda operation, account: reach(f"after store {operation} {account}")

    def damage(self, account: AccountId, through: int, which: int) -> bool:
        """Flip a bit in bytes of the account that a record up to `through` brought; False when it has none."""
        place = self.store.account(account)
        with place.reading() as snapshot:
            facts = [record.facts for record in snapshot.records() if record.facts.seq <= through]
            digests = sorted({one.digest for one in facts if one.digest is not None})
        if not digests:
            return False
        place.replace_content(digests[which % len(digests)], lambda octets: _flipped(octets, which))
        self.is_damaged = True
        return True

    def forget_vault(self, name: str) -> None:
        """Know nothing of a vault that was lost."""
        self.epochs.pop(name, None)
        self._verified.pop(name, None)

    def verified_file(self, name: str) -> MemoryVerified:
        """The file that is kept for a vault."""
        return self._verified.setdefault(name, MemoryVerified())

    @contextmanager
    def claiming(self, name: str) -> Iterator[EpochHeld | None]:
        """The epoch held in a vault, while no other process claims one."""
        with self._claiming.setdefault(name, CooperativeLock(self._scheduler)):
            yield self.epochs.get(name)

    @contextmanager
    def comparing(self) -> Iterator[None]:
        """While it lasts no other process compares store and vaults."""
        with self._comparing:
            yield

    def hold_epoch(self, name: str, held: EpochHeld) -> None:
        """Keep which epoch is held."""
        self._scheduler.reach(f"before keeping the epoch of {name}")
        self.epochs[name] = held
        self._scheduler.reach(f"after keeping the epoch of {name}")


class Site:
    """Where one vault is, and what it is for."""

    def __init__(self, name: str, scheduler: Scheduler, medium: MemoryMedium, appends: bool, role: Role) -> None:
        """With this medium; what tasks do there is paused at."""
        self.name = name
        self.appends = appends
        self.role = role
        self.is_gone = False
        """Whatever is asked of it fails."""
        self._scheduler = scheduler
        self.put(medium)

    def put(self, medium: MemoryMedium) -> None:
        """Another medium is there from now on."""
        self.medium = medium
        self.is_gone = False
        self.is_whole = False
        """Whether it was found to have everything, and nothing was taken from it since."""
        self.is_damaged = self.is_manifest_damaged = False
        reach = self._scheduler.reach

        def before(operation: str, name: str) -> None:
            if self.is_gone and self._scheduler.current is not None:
                raise StorageFault(f"vault {self.name} is gone")
            reach(f"before {self.name} {operation} {name}", is_change=operation in _CHANGES)

        medium.before = before
        medium.syncing = lambda operation, name: reach(f"syncing {self.name} {operation} {name}")
        medium.after = lambda operation, name: reach(f"after {self.name} {operation} {name}")

    @property
    def confirms(self) -> bool:
        """Whether its sync is awaited before "yes"."""
        return self.role is not Role.FOLLOWS

    @property
    def setting(self) -> VaultSetting:
        """As a data folder knows it."""
        on_loss = OnLoss.DEGRADE if self.role is Role.CONFIRMS_WHILE_THERE else OnLoss.REFUSE
        return VaultSetting(
            name=self.name, url=f"memory:{self.name}", id=VAULT_ID, confirm=self.confirms, on_loss=on_loss
        )

    def opened(self, clock: Clock) -> Vault:
        """The vault; `look` comes next."""
        return open_vault(self.name, self.medium, lambda _document: PlainSeal(), clock)

    def may_be_damaged(self) -> list[str]:
        """Objects that can be made good. Of what no manifest names nobody could tell what it should be.

        So it is a manifest alone, or other things.
        """
        names = [name for name in self.medium.objects() if name.startswith(BLOBS)]
        manifests = [name for name in self.medium.objects() if name.startswith(MANIFESTS)]
        if not self.is_damaged:
            names += manifests
        if manifests and not self.is_manifest_damaged:
            named = parse_manifest(self.medium.objects()[max(manifests)]).packs
            names += [name for name in self.medium.objects() if name in named or name == README]
        return sorted(names)

    def damage(self, name: str, which: int) -> None:
        """An object is gone, or one bit of it flipped."""
        self.is_whole, self.is_damaged = False, True
        self.is_manifest_damaged = self.is_manifest_damaged or name.startswith(MANIFESTS)
        octets = self.medium.objects()[name]
        if which % 3 == 0 or not octets:
            self.medium.take_away(name)
        else:
            self.medium.replace(name, _flipped(octets, which // 3))


def found_vault(medium: MemoryMedium, clock: Clock) -> None:
    """Make an empty vault, as `keepwell vault add` does."""
    document = VaultDocument(keepwell_vault=FORMAT_VERSION, id=VAULT_ID, made_at=render_moment(clock.now()))
    medium.create(VAULT_DOCUMENT, render_document(document))
    medium.create(README, render_readme(document))


def _flipped(octets: bytes, which: int) -> bytes:
    place, bit = which // 8 % len(octets), which % 8
    return octets[:place] + bytes([octets[place] ^ 1 << bit]) + octets[place + 1 :]
