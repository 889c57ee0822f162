"""`python -m bench.verify`: how fast a vault in a folder is verified, and what merging makes of many small packs.

Run with the Python that Keepwell is installed in: the vault is made and verified in this process. Accounts of contacts
and photographs are shipped to a vault; then every account gets a few contacts at a time, each time shipped anew, as the
days go by. Each grade of verification is timed, with the vault's files out of the system's cache and in it, before and
after the packs were merged.
"""

from __future__ import annotations

import argparse
import random
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

from bench import report
from bench.commands import forget_cached
from bench.data import contacts
from bench.merging import ClockThatJumps, merge_all
from bench.servers import ROOT
from keepwell.model.names import AccountId, Kind
from keepwell.model.record import Op, digest_of
from keepwell.storage.contract import Entry, Transaction
from keepwell.storage.memory import MemoryStore
from keepwell.vault.documents import EpochDocument, VaultDocument, render_document
from keepwell.vault.folder_medium import FolderMedium
from keepwell.vault.layout import README, VAULT_DOCUMENT
from keepwell.vault.reading import read_account
from keepwell.vault.readme import render_readme
from keepwell.vault.sealing import PlainSeal
from keepwell.vault.ship import ship
from keepwell.vault.vault import Vault
from keepwell.vault.verify import Grade, verify

FOLDER = ROOT / ".cache" / "bench" / "verify"
CONTENT_GOAL = 200e6
"""Stored bytes in a second."""

PHOTO_OCTETS = 2_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    """How much there is, and how often each measure is taken."""

    accounts: int
    contacts: int
    photos: int
    shipments: int
    rounds: int


class Bench:
    """A store in memory and its vault in a folder."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        """An empty vault in a new folder."""
        self.plan = plan
        self.folder = folder
        self.clock = ClockThatJumps()
        self.store = MemoryStore()
        self.chance = random.Random("verify")
        folder.mkdir(parents=True)
        self.medium = FolderMedium(folder)
        document = VaultDocument(keepwell_vault=1, id="v_bench", made_at="2026-11-23T08:00:00.000000Z")
        self.medium.create(README, render_readme(document))
        self.medium.create(VAULT_DOCUMENT, render_document(document))
        self.vault = Vault("bench", self.medium, document, PlainSeal(), self.clock)
        self.vault.claim(EpochDocument(epoch=0, server="bench", at=document.made_at))

    def fill(self) -> None:
        """Accounts with their contacts, one with the photographs, shipped at once."""
        for number in range(self.plan.accounts):
            account = account_id(number)
            photos = self.plan.photos if number == 0 else 0
            self.store.create(account, [partial(self._begin, photos)])
        ship(self.vault, self.store, self.store.accounts())

    def grow(self) -> None:
        """A few contacts for some accounts, shipped; so many times as the plan says."""
        accounts = self.store.accounts()
        for _ in range(self.plan.shipments):
            changed = self.chance.sample(accounts, max(1, len(accounts) // 10))
            for account in changed:
                self.store.account(account).transact([lambda transaction: self._contacts(transaction, 3)])
            ship(self.vault, self.store, changed)
        self.vault.put_manifest()

    def _begin(self, photos: int, transaction: Transaction) -> None:
        transaction.append(Entry(Op.OPEN, "bench"))
        transaction.append(Entry(Op.MAKE, "bench", Kind.CONTACTS, "contacts", properties={}))
        transaction.append(Entry(Op.MAKE, "bench", Kind.PHOTOS, "photos", properties={}))
        self._contacts(transaction, self.plan.contacts)
        for number in range(photos):
            _put(transaction, Kind.PHOTOS, "photos", f"{number}.jpg", self.chance.randbytes(PHOTO_OCTETS))

    def _contacts(self, transaction: Transaction, count: int) -> None:
        for contact in contacts(count, self.chance):
            item = contact.item()
            _put(transaction, Kind.CONTACTS, "contacts", item.name, item.body)


def account_id(number: int) -> AccountId:
    """The id of one of the accounts."""
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    return AccountId("a_" + "".join(letters[number // 32**place % 32] for place in range(16)))


def _put(transaction: Transaction, kind: Kind, collection: str, name: str, body: bytes) -> None:
    entry = Entry(Op.PUT, "bench", kind, collection, name, name, "", digest_of(body), len(body))
    transaction.append(entry, body)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a vault is like, and how long its parts took; seconds are medians."""

    packs: int
    octets: int
    pack_octets: int
    records: int
    cold_seconds: float
    warm_seconds: float
    existence_seconds: float
    records_seconds: float
    account_seconds: float
    ranges: int


def measure(bench: Bench) -> Measured:
    """Every grade, and reading one account as a restore does."""
    vault, account = bench.vault, account_id(1)
    objects = list(bench.medium.list())
    packs = [info for info in objects if info.name.startswith("packs/")]

    def seconds(what: Callable[[], object], *, cold: bool = False) -> float:
        taken = []
        for _ in range(bench.plan.rounds):
            if cold:
                forget_cached(bench.folder)
            started = perf_counter()
            what()
            taken.append(perf_counter() - started)
        return median(taken)

    def proven(grade: Grade) -> None:
        found = verify(vault, grade)
        if found.findings:
            raise SystemExit(f"bench: {found.findings[0]}")

    return Measured(
        packs=len(packs),
        octets=sum(info.size for info in objects),
        pack_octets=sum(info.size for info in packs),
        records=sum(head.sequence for head in vault.heads().values()),
        cold_seconds=seconds(lambda: proven(Grade.CONTENT), cold=True),
        warm_seconds=seconds(lambda: proven(Grade.CONTENT)),
        existence_seconds=seconds(lambda: proven(Grade.EXISTENCE)),
        records_seconds=seconds(lambda: proven(Grade.RECORDS)),
        account_seconds=seconds(lambda: sum(1 for _ in read_account([vault], account))),
        ranges=len(vault.covering(account)),
    )


def render(before: Measured, after: Measured, merging: float) -> str:
    """The section's tables."""
    rate = min(one.octets / one.cold_seconds for one in (before, after))
    verdict = "met" if rate >= CONTENT_GOAL else "**missed**"
    rows = [
        ("packs", f"{before.packs:,}", f"{after.packs:,}"),
        ("bytes in packs", f"{before.pack_octets:,}", f"{after.pack_octets:,}"),
        ("bytes in all", f"{before.octets:,}", f"{after.octets:,}"),
        ("verify, existence", f"{before.existence_seconds * 1000:.0f} ms", f"{after.existence_seconds * 1000:.0f} ms"),
        ("verify, content, files not in the cache", _rate(before, "cold_seconds"), _rate(after, "cold_seconds")),
        ("verify, content, files in the cache", _rate(before, "warm_seconds"), _rate(after, "warm_seconds")),
        ("verify, records, content included", _records(before), _records(after)),
        ("ranges that one account is read from", f"{before.ranges}", f"{after.ranges}"),
        ("reading one account", f"{before.account_seconds * 1000:.1f} ms", f"{after.account_seconds * 1000:.1f} ms"),
    ]
    lines = ["| | before merging | after |", "|---|--:|--:|"] + [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + (
        f"\n\nContent is verified at {rate / 1e6:,.0f} MB/s of stored bytes or more "
        f"(goal: ≥ {CONTENT_GOAL / 1e6:.0f} MB/s; {verdict}). Merging, every record read and compared twice, took "
        f"{merging:.1f} s."
    )


def _rate(one: Measured, what: str) -> str:
    seconds: float = getattr(one, what)
    return f"{one.octets / seconds / 1e6:,.0f} MB/s"


def _records(one: Measured) -> str:
    return f"{one.records / one.records_seconds:,.0f} records/s"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.verify", description=__doc__)
    parser.add_argument("--accounts", type=int, default=100)
    parser.add_argument("--contacts", type=int, default=1000, help="of each account")
    parser.add_argument("--photos", type=int, default=300, help=f"of {PHOTO_OCTETS:,} bytes each")
    parser.add_argument("--shipments", type=int, default=300, help="small ones, after the first")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this document's marked section")
    options = parser.parse_args(arguments)
    plan = Plan(options.accounts, options.contacts, options.photos, options.shipments, options.rounds)
    shutil.rmtree(FOLDER, ignore_errors=True)
    try:
        bench = Bench(FOLDER, plan)
        bench.fill()
        bench.grow()
        _say("filled")
        before = measure(bench)
        _say("measured; merging")
        merging = merge_all(bench.vault, bench.clock)
        after = measure(bench)
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
    words = f"{plan.accounts} accounts of {plan.contacts} contacts, {plan.photos} photographs of {PHOTO_OCTETS:,} bytes"
    command = shlex.join(["python", "-m", "bench.verify", *(sys.argv[1:] if arguments is None else arguments)])
    text = (
        f"### Verifying and merging a vault\n\n{report.conditions_in_brief(FOLDER.parent, command)}\n"
        f"- {words}, then {plan.shipments} shipments of 3 new contacts for every tenth account. Medians of "
        f"{plan.rounds}.\n\n{render(before, after, merging)}\n"
    )
    print(text)
    if options.write:
        report.replace_section(options.write, "bench.verify", text)
    return 0


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
