"""Checking accounts: every page, every link of the chain, every digest, and the projections against the journal.

The check only reads and goes on after whatever it finds, so that one report names everything. It can run while a
server serves the same folder. `rebuild` makes projections anew, after proving the journal and the content, which are
the data; when those are damaged it refuses, because it would make a damaged state look whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from keepwell.model.erasures import ERASURES, NO_ERASURES, Erasures, parse_order
from keepwell.model.errors import Damaged, NotThere, StorageFault
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Digest
from keepwell.model.record import Op, Record, check_link
from keepwell.model.weight import Weight
from keepwell.services.check_projections import check_projections
from keepwell.services.directory import Directory
from keepwell.services.documents import SYSTEM_COLLECTIONS, parse_document
from keepwell.services.findings import Finding, Findings
from keepwell.services.indexing import index_again
from keepwell.services.retention.orders import read_erasures
from keepwell.storage.contract import BlobStore, Indexer, Snapshot, Store
from keepwell.storage.generations import DISCARDED, NEXT, PREVIOUS, UNDONE
from keepwell.storage.sqlite_audit import reading_unproven

UNREADABLE_RECORDS_MAX: Final = 50
"""After so many records in a row that cannot be read, the rest of a journal is given up."""

LEFT_OVER: Final = {
    NEXT: "a broken upgrade left it; the next one begins anew",
    DISCARDED: "a crash while it was being removed left it; the next upgrade removes it",
    PREVIOUS: "what was served before the last upgrade, kept until the next",
    UNDONE: "what was served before an upgrade was taken back, kept until the next",
}
"""Generations of the accounts' folder that are not served."""

SYSTEM_LOGIN: Final = "(system)"
"""How the system account is shown, which has no login."""


@runtime_checkable
class OwnMedium(Protocol):
    """An account's place that has a medium of its own to check, and projections to make anew."""

    def check_medium(self) -> list[str]:
        """What is wrong with the medium, a sentence each."""
        ...

    def rebuild(self, indexer: Indexer) -> None:
        """Make every projection anew."""
        ...


class Checker:
    """Checks the accounts of one store."""

    def __init__(self, store: Store) -> None:
        """Over a store; the system account may be damaged, then logins and orders to erase are not known."""
        self._store = store
        self._logins = logins_of(store)
        self._erasures = _erasures(store)

    def accounts(self, logins: Sequence[str] = ()) -> list[AccountId]:
        """The accounts to check: those with these logins or ids, or all. Raises NotThere."""
        if not logins:
            return self._store.accounts()
        by_login = {login: account for account, login in self._logins.items()}
        there = set(self._store.accounts())
        chosen = []
        for text in logins:
            account = by_login.get(text, AccountId(text))
            if account not in there:
                raise NotThere(f"there is no account {text}", hint="See: keepwell account list")
            chosen.append(account)
        return chosen

    def check(self, account: AccountId) -> list[Finding]:
        """Everything that is wrong with one account."""
        findings = self._findings(account)
        place = findings.attempt("file", lambda: self._store.account(account))
        if place is None:
            return findings.all()
        if isinstance(place, OwnMedium):
            for sentence in findings.attempt("file", place.check_medium) or []:
                findings.damage("file", sentence)
        findings.attempt("file", lambda: self._check_contents(account, findings))
        return findings.all()

    def rebuild(self, account: AccountId) -> list[Finding]:
        """Make the account's projections anew; what is still found afterwards.

        Raises Damaged, and StorageFault when it cannot be read now; then nothing was done.
        """
        found = self.check(account)
        if unread := [one for one in found if one.weight is Weight.UNREAD]:
            raise StorageFault(
                f"the projections of {account} were not rebuilt: {unread[0].message}", hint="Is the disk full?"
            )
        damaged = [one for one in found if one.weight is Weight.DAMAGE]
        if damaged:
            raise Damaged(
                f"the projections of {account} were not rebuilt, because its data is damaged: {damaged[0].message}",
                hint="Bring the account back from a copy first; its projections come with it.",
            )
        place = self._store.account(account)
        if isinstance(place, OwnMedium):
            place.rebuild(index_again)
        return self.check(account)

    def _findings(self, account: AccountId | None) -> Findings:
        return Findings(account, "" if account is None else self._logins.get(account, ""))

    def _check_contents(self, account: AccountId, findings: Findings) -> None:
        with reading_unproven(self._store.account(account)) as snapshot:
            records = _proven_records(snapshot, findings)
            _check_bytes(snapshot, records, findings, self._erasures)
            if account == SYSTEM_ACCOUNT:
                _check_documents(snapshot, findings)
            if findings.has(Weight.DAMAGE, Weight.UNREAD):
                findings.note("projections", "not compared with the journal, because not all of that can be read")
            else:
                check_projections(snapshot, records, findings)

    def check_folder(self, data: Path, blobs: BlobStore) -> list[Finding]:
        """What lies in a data folder and belongs to nobody, and what should be there and is not."""
        findings = self._findings(None)
        there = set(self._store.accounts())
        for account, login in sorted(self._logins.items()):
            if account not in there:
                findings.damage(f"account {login}", f"the file of {account} is missing")
        for account in sorted(there - self._logins.keys()):
            findings.note(f"account {account}", "it has no login, so nobody can sign in to it")
        findings.attempt("blobs", lambda: self._check_orphans(blobs, findings))
        for path in _strays(data):
            findings.note(str(path.relative_to(data)), "a temporary file that a crash, or a write under way, left")
        for name, what in LEFT_OVER.items():
            if (data / name).exists():
                findings.note(name, what)
        return findings.all()

    def _check_orphans(self, blobs: BlobStore, findings: Findings) -> None:
        """Blobs that no record names. They are listed first: a write under way keeps its blob before its record."""
        held = list(blobs.digests())
        named: set[Digest] = set()
        unread = Findings(None, "")  # what cannot be read is told where that account is checked
        for account in self._store.accounts():
            unread.attempt(account, partial(self._add_digests, account, named))
        if unread.has(Weight.DAMAGE, Weight.UNREAD):
            findings.note("blobs", "not looked for any that nobody needs, because an account cannot be read")
            return
        for digest in held:
            if digest not in named:
                findings.note(f"blob {digest}", "no record of any account names it")

    def _add_digests(self, account: AccountId, named: set[Digest]) -> None:
        with reading_unproven(self._store.account(account)) as snapshot:
            named.update(one.facts.digest for one in snapshot.records() if one.facts.digest is not None)


def logins_of(store: Store) -> dict[AccountId, str]:
    """Every account's login, as far as the system account can be read."""
    known = {SYSTEM_ACCOUNT: SYSTEM_LOGIN}
    try:
        documents = Directory(store).account_documents()
    except Exception:  # damaged in whatever way: checking the system account tells how
        return known
    return known | {one.account: one.login for one in documents}


def _erasures(store: Store) -> Erasures:
    try:
        return read_erasures(store)
    except Exception:  # damaged in whatever way: checking the system account tells how
        return NO_ERASURES


def _proven_records(snapshot: Snapshot, findings: Findings) -> list[Record]:
    """The journal, each record proven to follow the one before; what does not is reported."""
    records: list[Record] = []
    before: Record | None = None
    for record in readable_records(snapshot, findings.damage):
        findings.attempt(f"record {record.facts.seq}", partial(check_link, before, record))
        records.append(record)
        before = record
    lineage = findings.attempt("lineage", snapshot.lineage)
    if before is not None and lineage is not None and before.facts.lineage != lineage:
        findings.damage(f"record {before.facts.seq}", f"it is of lineage {before.facts.lineage}, the file of {lineage}")
    return records


def readable_records(snapshot: Snapshot, tell: Callable[[str, str], None]) -> Iterator[Record]:
    """Every record that can be read, unproven; one that cannot is told, with where it is, and passed over."""
    after, failures = 0, 0
    while failures < UNREADABLE_RECORDS_MAX:
        try:
            for record in snapshot.records(after):
                yield record
                after, failures = record.facts.seq, 0
            return
        except Exception as error:  # a flipped bit can raise anything in page reader and decoders
            failures += 1
            after += 1
            tell(f"record {after}", f"it cannot be read: {type(error).__name__}: {error}")
    tell(f"record {after + 1}", "it and what follows were not read: too much before it is unreadable")


def _check_bytes(snapshot: Snapshot, records: Sequence[Record], findings: Findings, erasures: Erasures) -> None:
    """Every version of every item, past and present, has its bytes and they match their digest and size.

    Bytes that were erased are not missed where an order names them.
    """
    checked: set[Digest] = set()
    erased = 0
    for record in records:
        facts = record.facts
        if facts.op is not Op.PUT or facts.digest is None or facts.digest in checked:
            continue
        checked.add(facts.digest)
        place = f"record {facts.seq}, item {facts.collection}/{facts.name}"
        if erasures.names(facts) and findings.attempt(place, partial(snapshot.is_erased, facts.digest)):
            erased += 1
            continue
        findings.attempt(place, partial(_prove_bytes, snapshot, facts.digest, facts.size))
    if erased:
        findings.note("erased", f"the bytes of {erased} versions were erased, as orders say; their records are whole")


def _prove_bytes(snapshot: Snapshot, digest: Digest, size: int | None) -> None:
    body = snapshot.content(digest)
    if body is None and snapshot.is_erased(digest):
        raise Damaged(f"its bytes {digest} were erased, and no order says so")
    if body is None:
        raise Damaged(f"its bytes {digest} are missing")
    if len(body) != size:
        raise Damaged(f"its bytes {digest} are {len(body)}, not {size}")


def _check_documents(snapshot: Snapshot, findings: Findings) -> None:
    for collection in snapshot.collections():
        if collection.name not in {*SYSTEM_COLLECTIONS, ERASURES}:
            continue
        for item, body in snapshot.items_with_bodies(collection.id):
            place = f"item {collection.name}/{item.name}"
            if collection.name == ERASURES:
                findings.attempt(place, partial(parse_order, body))
            else:
                findings.attempt(place, partial(parse_document, collection.name, body))


def _strays(data: Path) -> list[Path]:
    return sorted([*data.glob("accounts/??/.tmp-*"), *data.glob("blobs/??/.tmp-*"), *data.glob("blobs/??/.going-*")])
