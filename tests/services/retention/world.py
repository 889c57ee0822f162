"""A data folder with the account anna and a vault in a folder, opened and closed as commands do; time is the test's."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from backports import zstd

from keepwell.app.retaining import Retained, retain
from keepwell.app.start import prepare
from keepwell.app.wiring import Keepwell, open_keepwell
from keepwell.model.erasures import ErasureOrder, Scope
from keepwell.model.names import AccountId, Home, Kind
from keepwell.model.record import Op, digest_of
from keepwell.model.weight import Weight
from keepwell.services.check import Checker
from keepwell.services.verifying import Verifying
from keepwell.storage.contract import Carried, Entry, Transaction
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.verify import Grade
from tests.support.clock import FakeClock, SeededEntropy

SECRET = b"BEGIN:VCARD VERSION:4.0 FN:an unmistakable person END:VCARD " * 8
PHOTO = b"an unmistakable photo " * 9000
SCOPE = Scope(Home.CONTACTS, "contacts", "secret.vcf")


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.clock = FakeClock(step_seconds=0.001)
        self.entropy = SeededEntropy()
        with self.opened() as keepwell:
            self.anna = keepwell.accounts.add("anna", "Anna Unmistakable")

    @contextmanager
    def opened(self) -> Iterator[Keepwell]:
        with open_keepwell(self.data, clock=self.clock, entropy=self.entropy) as keepwell:
            yield keepwell

    def add_vault(self, name: str = "near", *, confirm: bool = True) -> None:
        with self.opened() as keepwell:
            keepwell.vaults.add(name, str(self.folder / name), keepwell.store, confirm=confirm)
        self.start()

    def put(
        self,
        name: str,
        body: bytes,
        kind: Kind = Kind.CONTACTS,
        collection: str = "contacts",
        account: AccountId | None = None,
    ) -> None:
        entry = Entry(Op.PUT, "test", kind, collection, name, name, "text/plain", digest_of(body), len(body))
        with self.opened() as keepwell:
            keepwell.writers.submit(account or self.anna, lambda transaction: transaction.append(entry, body)).result()

    def remove(self, name: str, kind: Kind = Kind.CONTACTS, collection: str = "contacts") -> None:
        def work(transaction: Transaction) -> None:
            transaction.append(Entry(Op.REMOVE, "test", kind, collection, name))

        with self.opened() as keepwell:
            keepwell.writers.submit(self.anna, work).result()

    def verify(self) -> None:
        """Every vault, in the highest grade; all must be well."""
        with self.opened() as keepwell:
            verifying = Verifying(keepwell.vaults.verified_file, self.clock)
            for setting in keepwell.vaults.settings.all():
                with closing(keepwell.vaults.open(setting.name)) as vault:
                    found = verifying.verify(vault, Grade.RECORDS)
                    assert found.is_whole, found.findings

    def mark(self, scope: Scope | None = SCOPE, *, override: str = "") -> ErasureOrder:
        with self.opened() as keepwell:
            return keepwell.retention.mark_request(self.anna, scope, reason="asked for", override=override)

    def pass_days(self, days: float) -> None:
        self.clock.advance(days * 86_400)

    def retain(self) -> Retained:
        return retain(self.data, clock=self.clock, entropy=self.entropy)

    def start(self) -> None:
        """What a server does first."""
        prepare(self.data, f"family-{self.clock.now()}", lambda _sentence: None, clock=self.clock, entropy=self.entropy)

    def orders(self) -> list[ErasureOrder]:
        with self.opened() as keepwell:
            return keepwell.retention.orders.all()

    def carried(self, account: AccountId | None = None) -> list[Carried]:
        with self.opened() as keepwell, keepwell.store.account(account or self.anna).reading() as snapshot:
            return list(snapshot.carried())

    def items(self) -> list[str]:
        with self.opened() as keepwell, keepwell.store.account(self.anna).reading() as snapshot:
            return [item.name for one in snapshot.collections() for item in snapshot.items(one.id)]

    def damage(self) -> list[str]:
        """What a check of everything finds that is no note."""
        with closing(SqliteStore(self.data, self.clock, self.entropy)) as store:
            checker = Checker(store)
            found = checker.check_folder(self.data, store.blobs)
            for account in checker.accounts():
                found += checker.check(account)
        return [f"{one.place}: {one.message}" for one in found if one.weight is not Weight.NOTE]

    def keep_copy(self, name: str = "copy") -> Path:
        shutil.copytree(self.data, self.folder / name)
        return self.folder / name

    def put_back(self, copy: Path) -> None:
        shutil.rmtree(self.data / "accounts")
        shutil.rmtree(self.data / "blobs", ignore_errors=True)
        shutil.copytree(copy / "accounts", self.data / "accounts")
        if (copy / "blobs").exists():
            shutil.copytree(copy / "blobs", self.data / "blobs")

    def traces(self, words: bytes = b"nmistakable") -> list[str]:
        """Files of the data folder and of vaults that hold these words, packed or not."""
        found = []
        for folder in [self.data, *(self.folder / one for one in ("near", "far"))]:
            for path in sorted(folder.rglob("*")):
                if path.is_file() and words in _unpacked(path):
                    found.append(f"{folder.name}/{path.relative_to(folder)}")
        return found


def _unpacked(path: Path) -> bytes:
    stored = path.read_bytes()
    if not path.name.endswith(".zst"):
        return stored
    unpacked, rest = [stored], stored
    while rest:
        decompressor = zstd.ZstdDecompressor()
        unpacked.append(decompressor.decompress(rest))
        rest = decompressor.unused_data
    return b"".join(unpacked)
