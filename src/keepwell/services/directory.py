"""The directory: who there is, their app passwords, and what is shared; the system account read into memory.

It is current at every question: the system account's version is asked first (a few microseconds), and what changed
since is read from its journal, whoever wrote it, this process or another. It can be made anew at any time.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from keepwell.model.errors import Damaged, Held
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Home, Kind
from keepwell.model.record import Op, Record
from keepwell.services.actor import Shared
from keepwell.services.documents import (
    SYSTEM_COLLECTIONS,
    AccountDocument,
    Document,
    GrantDocument,
    PasswordDocument,
    parse_document,
)
from keepwell.storage.contract import AccountStore, Snapshot, Store


@dataclass(slots=True)
class _Known:
    """Every document by item name, and the ways to find it."""

    documents: dict[tuple[str, str], Document] = field(default_factory=dict)
    by_login: dict[str, AccountDocument] = field(default_factory=dict)
    by_account: dict[AccountId, AccountDocument] = field(default_factory=dict)
    by_secret: dict[str, PasswordDocument] = field(default_factory=dict)
    shared: dict[AccountId, dict[tuple[AccountId, Home, str], bool]] = field(default_factory=dict)

    def add(self, document: Document) -> None:
        match document:
            case AccountDocument():
                self.by_login[document.login] = document
                self.by_account[document.account] = document
            case PasswordDocument():
                self.by_secret[document.secret_hash] = document
            case GrantDocument():
                place = (document.owner, document.home, document.collection)
                self.shared.setdefault(document.grantee, {})[place] = document.write

    def discard(self, document: Document | None) -> None:
        match document:
            case AccountDocument():
                self.by_login.pop(document.login, None)
                self.by_account.pop(document.account, None)
            case PasswordDocument():
                self.by_secret.pop(document.secret_hash, None)
            case GrantDocument():
                place = (document.owner, document.home, document.collection)
                self.shared.get(document.grantee, {}).pop(place, None)
            case None:
                pass


class Directory:
    """Everyone the operator serves. Invariant: never older than the last commit to the system account."""

    def __init__(self, store: Store) -> None:
        """Over a store that has the system account."""
        self._store = store
        self._system: AccountStore = store.account(SYSTEM_ACCOUNT)
        self._known = _Known()
        self._sequence = 0
        self._held: str | None = None
        self._version: int | None = None
        self._lock = threading.Lock()

    def read(self) -> None:
        """Read everything now (some 15 us for each account and app password), so that no request waits for it.

        Raises Damaged, StorageFault; then the next question tries again.
        """
        with self._lock:
            self._refresh()

    def revision(self) -> int:
        """A number that changes whenever anything here does, for whoever lets people in by it.

        Raises Held when the directory is known not to be whole: a password that was taken back may be in it again.
        """
        with self._lock:
            self._refresh()
            if self._held is not None:
                raise Held("who may sign in", self._held)
            return self._sequence

    def account_of(self, login: str) -> AccountId | None:
        """The account with this login."""
        document = self.account_document(login)
        return None if document is None else document.account

    def login_of(self, account: AccountId) -> str | None:
        """The account's login."""
        document = self.account_by_id(account)
        return None if document is None else document.login

    def display_name(self, account: AccountId) -> str:
        """What people call the account; its login when nothing else was said."""
        document = self.account_by_id(account)
        return "" if document is None else document.display_name or document.login

    def logins(self) -> list[str]:
        """Every login that may sign in, in order."""
        return [document.login for document in self.account_documents() if not document.disabled]

    def account_document(self, login: str) -> AccountDocument | None:
        """The account with this login, whole."""
        with self._lock:
            return self._refresh().by_login.get(login)

    def account_by_id(self, account: AccountId) -> AccountDocument | None:
        """The account's document."""
        with self._lock:
            return self._refresh().by_account.get(account)

    def account_documents(self) -> list[AccountDocument]:
        """Every account, by login."""
        with self._lock:
            return [document for _, document in sorted(self._refresh().by_login.items())]

    def password_by_hash(self, secret_hash: str) -> PasswordDocument | None:
        """The app password whose secret has this hash."""
        with self._lock:
            return self._refresh().by_secret.get(secret_hash)

    def password_documents(self, account: AccountId) -> list[PasswordDocument]:
        """The account's app passwords, the oldest first."""
        with self._lock:
            mine = [one for one in self._refresh().by_secret.values() if one.account == account]
        return sorted(mine, key=lambda one: one.made_at)

    def grant_documents(self, owner: AccountId) -> list[GrantDocument]:
        """What this account shares with others."""
        with self._lock:
            every = [one for one in self._refresh().documents.values() if isinstance(one, GrantDocument)]
        mine = [one for one in every if one.owner == owner]
        return sorted(mine, key=lambda one: (one.home, one.collection, one.grantee))

    def shared_with(self, account: AccountId) -> Shared:
        """What others share with this account."""
        with self._lock:
            return dict(self._refresh().shared.get(account, {}))

    def _refresh(self) -> _Known:
        """What is known, brought up to date; for as long as the caller has the lock."""
        system = self._store.account(SYSTEM_ACCOUNT)  # another one when it was put in place anew
        version = system.version()
        if system is not self._system or version != self._version:
            # The version is asked before the snapshot is taken: at worst the next question reads nothing new.
            with system.reading() as snapshot:
                for record in snapshot.records(self._sequence):
                    self._take(snapshot, record)
                self._held = snapshot.held().get(Kind.SYSTEM)
            self._system, self._version = system, version
        return self._known

    def _take(self, snapshot: Snapshot, record: Record) -> None:
        """Take in one record; when it cannot be read nothing is, and the next question tries again."""
        facts = record.facts
        if facts.collection in SYSTEM_COLLECTIONS and facts.op in {Op.PUT, Op.REMOVE}:
            document = self._document(snapshot, record) if facts.op is Op.PUT else None
            key = (facts.collection, facts.name)
            self._known.discard(self._known.documents.pop(key, None))
            if document is not None:
                self._known.documents[key] = document
                self._known.add(document)
        self._sequence = facts.seq

    def _document(self, snapshot: Snapshot, record: Record) -> Document | None:
        """What the record put; None when it was erased, and so removed by a later one."""
        digest = record.facts.digest
        body = None if digest is None else snapshot.content(digest)
        if body is None and digest is not None and snapshot.is_erased(digest):
            return None
        if body is None:
            where = f"{record.facts.collection}/{record.facts.name}"
            raise Damaged(f"the bytes of {where} in the system account are missing", hint="Run: keepwell check")
        return parse_document(record.facts.collection, body)
