"""Copies of accounts that something can be brought back from: a vault, or another data folder.

A copy is only read. What it gives is proven: records follow each other from the first, bytes match their digest; it
ends where nothing in it leads on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

import msgspec

from keepwell.model.errors import Damaged, NotThere
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Digest
from keepwell.model.record import GENESIS, Op, Record, check_follows
from keepwell.services.documents import ACCOUNTS, AccountDocument, parse_document
from keepwell.storage.contract import Store
from keepwell.vault.reading import Bodies, Findings, read_lines
from keepwell.vault.vault import Vault


class Copy(Protocol):
    """Where accounts are brought back from."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    @property
    def is_vault(self) -> bool:
        """Whether it is a copy of one live journal, which must not go on another way."""
        ...

    def accounts(self) -> list[AccountId]:
        """Every account that it has something of."""
        ...

    def records(self, account: AccountId) -> Iterator[Record]:
        """The account's journal from its first record, each proven, as far as it leads. Raises Locked, StorageFault."""
        ...

    def bodies(self, account: AccountId, digests: set[Digest]) -> Iterator[tuple[Digest, bytes]]:
        """Those of these bytes that it has, in whatever order, each once. Raises Locked, StorageFault."""
        ...

    def faults(self) -> list[str]:
        """What was damaged or missing in it while it was read."""
        ...


class VaultCopy:
    """A vault."""

    is_vault = True

    def __init__(self, vault: Vault) -> None:
        """One that was looked at."""
        self._vault = vault
        self._findings = Findings()

    @property
    def name(self) -> str:
        """What the operator calls it, or its URL."""
        return self._vault.name

    def accounts(self) -> list[AccountId]:
        """Every account."""
        return sorted(self._vault.heads())

    def records(self, account: AccountId) -> Iterator[Record]:
        """The journal, tails included."""
        for found in read_lines([self._vault], account, findings=self._findings):
            yield found.line.record

    def bodies(self, account: AccountId, digests: set[Digest]) -> Iterator[tuple[Digest, bytes]]:
        """From the lines, or from objects of their own."""
        left = set(digests)
        bodies = Bodies([self._vault], account, self._findings)
        for found in read_lines([self._vault], account, findings=self._findings) if left else ():
            digest = found.line.record.facts.digest
            if digest in left and (body := bodies.read(found)) is not None:
                left.discard(digest)
                yield digest, body
                if not left:
                    return

    def faults(self) -> list[str]:
        """Objects that were passed over."""
        problems = [error.message for error in self._vault.problems]
        return list(dict.fromkeys(problems + [fault.error.message for fault in self._findings.faults]))


class FolderCopy:
    """A data folder that is not the live one: restored, salvaged, or of another server."""

    is_vault = False

    def __init__(self, name: str, store: Store) -> None:
        """Over its store."""
        self.name = name
        self._store = store
        self._faults: list[str] = []

    def accounts(self) -> list[AccountId]:
        """Every account that has a file."""
        return self._store.accounts()

    def records(self, account: AccountId) -> Iterator[Record]:
        """The journal, as far as it can be read."""
        head, hashed = 0, GENESIS
        try:
            with self._store.account(account).reading() as snapshot:
                for record in snapshot.records():
                    check_follows(head, hashed, record)
                    head, hashed = record.facts.seq, record.hash
                    yield record
        except (Damaged, NotThere) as error:
            self._faults.append(error.message)

    def bodies(self, account: AccountId, digests: set[Digest]) -> Iterator[tuple[Digest, bytes]]:
        """From the account's file and the blobs beside it."""
        with self._store.account(account).reading() as snapshot:
            for digest in sorted(digests):
                try:
                    body = snapshot.content(digest)
                except Damaged as error:
                    self._faults.append(error.message)
                    continue
                if body is not None:
                    yield digest, body

    def faults(self) -> list[str]:
        """What could not be read."""
        return list(dict.fromkeys(self._faults))


def account_in(copy: Copy, login: str, account: AccountId) -> AccountId:
    """The account in the copy: the same one, or else that which had this login there. Raises NotThere."""
    if account in copy.accounts():
        return account
    for one in _account_documents(copy):
        if one.login == login:
            return one.account
    raise NotThere(f"{copy.name} has nothing of the account {login}", hint="Is it the right vault or folder?")


def _account_documents(copy: Copy) -> Iterator[AccountDocument]:
    names: dict[str, Digest] = {}
    for record in copy.records(SYSTEM_ACCOUNT):
        facts = record.facts
        if facts.collection == ACCOUNTS and facts.op is Op.PUT and facts.digest is not None:
            names[facts.name] = facts.digest
        elif facts.collection == ACCOUNTS and facts.op is Op.REMOVE:
            names.pop(facts.name, None)
    for _digest, body in copy.bodies(SYSTEM_ACCOUNT, set(names.values())) if names else ():
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            document = parse_document(ACCOUNTS, body)
            if isinstance(document, AccountDocument):
                yield document
