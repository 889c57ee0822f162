"""Accounts, their app passwords and their grants: made, changed and withdrawn by the operator.

Making an account: its file comes first, whole, with its starting collections; then its document in the system
account gives it a login. A crash in between leaves a file that nobody can sign in to; the login is still free.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final, TypeVar

from keepwell.ground.clock import Clock, render_moment
from keepwell.ground.entropy import Entropy, base32_word
from keepwell.model.errors import AlreadyThere, CannotStart, NotThere
from keepwell.model.names import HOME_OF, SYSTEM_ACCOUNT, AccountId, Home, Kind, parse_login
from keepwell.model.record import Op, digest_of
from keepwell.services.directory import Directory
from keepwell.services.documents import (
    ACCOUNTS,
    GRANTS,
    PASSWORDS,
    SYSTEM_COLLECTIONS,
    AccountDocument,
    Document,
    GrantDocument,
    PasswordDocument,
    grant_uid,
    render_document,
)
from keepwell.storage.contract import Entry, Store, Transaction
from keepwell.storage.writers import Writers

OPERATOR: Final = "operator"
"""The `by` of what the operator does on the command line."""

STARTING_COLLECTIONS: Final = (
    (Kind.CONTACTS, "contacts", "Contacts"),
    (Kind.CALENDAR, "calendar", "Calendar"),
    (Kind.TASKS, "tasks", "Tasks"),
    (Kind.NOTES, "notes", "Notes"),
    (Kind.PHOTOS, "photos", "Photos"),
)

FOUND_PREFIX: Final = "found-"
FOUND_CHARACTERS: Final = 6
"""How an account is called whose login is lost: by the beginning of its id."""

PASSWORD_BITS: Final = 128
ACCOUNT_BITS: Final = 80
DOCUMENT_BITS: Final = 40

Result = TypeVar("Result")


def hash_secret(secret: str) -> str:
    """What is kept of an app password. A fast hash is enough: 128 random bits cannot be guessed.

    Case, dashes and white space do not count, so that people may type it as they read it.
    """
    plain = secret.replace("-", "").replace(" ", "").lower()
    return hashlib.sha256(plain.encode()).hexdigest()


def ensure_system_account(store: Store) -> None:
    """Make the system account of a new data folder; may be called again.

    Raises CannotStart when people's accounts are there without it: an empty one would hide that it was lost.
    """
    try:
        store.account(SYSTEM_ACCOUNT)
        return
    except NotThere:
        pass  # a new folder, or one that lost it
    if there := store.accounts():
        raise CannotStart(
            f"the system account, which has every login, is missing beside {len(there)} accounts",
            hint="Put its file accounts/sy/a_system.db back from a copy. See what is there with: keepwell check",
        )

    def work(transaction: Transaction) -> None:
        transaction.append(Entry(Op.OPEN, "keepwell"))
        for name in SYSTEM_COLLECTIONS:
            transaction.append(Entry(Op.MAKE, "keepwell", Kind.SYSTEM, name, properties={}))

    try:
        store.create(SYSTEM_ACCOUNT, [work])
    except AlreadyThere:
        return  # another process was first


class Accounts:
    """What the operator does with accounts."""

    def __init__(self, store: Store, writers: Writers, directory: Directory, clock: Clock, entropy: Entropy) -> None:
        """Over the store, writing through the writers."""
        self._store = store
        self._writers = writers
        self._directory = directory
        self._clock = clock
        self._entropy = entropy

    def add(self, login: str, display_name: str = "") -> AccountId:
        """Make an account with one collection of each kind. Raises AlreadyThere, BadRequest (login), Unavailable."""
        parse_login(login)
        if self._directory.account_of(login) is not None:
            raise AlreadyThere(f"there is an account with the login {login} already")
        account = AccountId("a_" + base32_word(self._entropy, ACCOUNT_BITS))
        self._writers.require()
        self._store.create(account, [_open_account])
        # Its first records came without the writers; a work that does nothing has them confirmed like others.
        self._writers.submit(account, lambda _transaction: None).result()
        document = AccountDocument(
            account=account, login=login, display_name=display_name, disabled=False, made_at=self._moment()
        )
        self._system(lambda transaction: _put_new(transaction, ACCOUNTS, account, login, document))
        return account

    def adopt(self, account: AccountId) -> str:
        """Give an account that lost its document a new one, under a login made of its id, disabled; that login.

        Raises AlreadyThere when the login is taken.
        """
        login = f"{FOUND_PREFIX}{account.removeprefix('a_')[:FOUND_CHARACTERS]}"
        document = AccountDocument(account=account, login=login, display_name="", disabled=True, made_at=self._moment())
        self._system(lambda transaction: _put_new(transaction, ACCOUNTS, account, login, document))
        return login

    def make_place(self, account: AccountId) -> None:
        """Make the place of an account that has a document and lost everything else. Raises AlreadyThere."""
        self._store.create(account, [_open_account])

    def all(self) -> list[AccountDocument]:
        """Every account, by login."""
        return self._directory.account_documents()

    def disable(self, login: str) -> None:
        """Let nobody sign in to the account; its data stays. May be called again."""
        self._set_disabled(login, disabled=True)

    def enable(self, login: str) -> None:
        """Let people sign in to the account again. May be called again."""
        self._set_disabled(login, disabled=False)

    def add_password(self, login: str, label: str) -> str:
        """Make an app password, answered here and never again. Raises NotThere."""
        account = self._require(login).account
        secret = base32_word(self._entropy, PASSWORD_BITS)
        document = PasswordDocument(
            id=base32_word(self._entropy, DOCUMENT_BITS),
            account=account,
            label=label,
            secret_hash=hash_secret(secret),
            made_at=self._moment(),
        )
        self._system(lambda transaction: _put(transaction, PASSWORDS, document.id, document.secret_hash, document))
        return "-".join(secret[start : start + 5] for start in range(0, len(secret), 5))

    def passwords(self, login: str) -> list[PasswordDocument]:
        """The account's app passwords. Raises NotThere."""
        return self._directory.password_documents(self._require(login).account)

    def revoke(self, login: str, label_or_id: str) -> list[PasswordDocument]:
        """Take back the app passwords with this label or id; they stop working at once. Raises NotThere."""
        chosen = [one for one in self.passwords(login) if label_or_id in {one.label, one.id}]
        if not chosen:
            raise NotThere(
                f"{login} has no app password {label_or_id!r}", hint=f"See: keepwell app-password list {login}"
            )

        def work(transaction: Transaction) -> None:
            for one in chosen:
                _remove(transaction, PASSWORDS, one.id)

        self._system(work)
        return chosen

    def grant(self, owner_login: str, home: Home, collection: str, grantee_login: str, *, write: bool) -> None:
        """Share a collection. May be called again, to change what the grantee may do. Raises NotThere."""
        owner, grantee = self._require(owner_login).account, self._require(grantee_login).account
        with self._store.account(owner).reading() as snapshot:
            if snapshot.collection(home, collection) is None:
                raise NotThere(f"{owner_login} has no collection {home}/{collection}")
        uid = grant_uid(owner, home, collection, grantee)
        document = GrantDocument(
            id=hashlib.sha256(uid.encode()).hexdigest()[:16],
            owner=owner,
            home=home,
            collection=collection,
            grantee=grantee,
            write=write,
            made_at=self._moment(),
        )
        self._system(lambda transaction: _put(transaction, GRANTS, document.id, uid, document))

    def withdraw(self, owner_login: str, home: Home, collection: str, grantee_login: str) -> None:
        """Stop sharing a collection. Raises NotThere."""
        owner, grantee = self._require(owner_login).account, self._require(grantee_login).account
        uid = grant_uid(owner, home, collection, grantee)
        self._system(lambda transaction: _remove(transaction, GRANTS, hashlib.sha256(uid.encode()).hexdigest()[:16]))

    def withdraw_all(self, owner: AccountId, home: Home, collection: str) -> None:
        """Stop sharing a collection and those nested in it with anyone; costs nothing when nobody shares it.

        Blocks for one commit when somebody does: it must be done before the collection goes.
        """
        ended = [
            one.id
            for one in self._directory.grant_documents(owner)
            if one.home is home and (one.collection == collection or one.collection.startswith(f"{collection}/"))
        ]
        if not ended:
            return

        def work(transaction: Transaction) -> None:
            for document_id in ended:
                _remove(transaction, GRANTS, document_id)

        self._system(work)

    def grants(self, login: str) -> list[GrantDocument]:
        """What the account shares. Raises NotThere."""
        return self._directory.grant_documents(self._require(login).account)

    def _set_disabled(self, login: str, *, disabled: bool) -> None:
        known = self._require(login)
        document = AccountDocument(
            account=known.account,
            login=known.login,
            display_name=known.display_name,
            disabled=disabled,
            made_at=known.made_at,
        )
        self._system(lambda transaction: _put(transaction, ACCOUNTS, known.account, login, document))

    def _require(self, login: str) -> AccountDocument:
        document = self._directory.account_document(login)
        if document is None:
            raise NotThere(f"there is no account with the login {login}", hint="See: keepwell account list")
        return document

    def _system(self, work: Callable[[Transaction], Result]) -> Result:
        return self._writers.submit(SYSTEM_ACCOUNT, work).result()

    def _moment(self) -> str:
        return render_moment(self._clock.now())


def complete_system_account(store: Store) -> None:
    """Make what collections the system account lacks, after some of its records were lost; may be called again."""

    def work(transaction: Transaction) -> None:
        for name in SYSTEM_COLLECTIONS:
            if transaction.collection(Home.SYSTEM, name) is None:
                transaction.append(Entry(Op.MAKE, "keepwell", Kind.SYSTEM, name, properties={}))

    for verdict in store.account(SYSTEM_ACCOUNT).transact([work]):
        if isinstance(verdict, BaseException):
            raise verdict


def _open_account(transaction: Transaction) -> None:
    transaction.append(Entry(Op.OPEN, OPERATOR))
    for kind, name, display_name in STARTING_COLLECTIONS:
        properties = {"displayname": display_name}
        if HOME_OF[kind] is Home.CALENDARS:
            component = {Kind.CALENDAR: "VEVENT", Kind.TASKS: "VTODO", Kind.NOTES: "VJOURNAL"}[kind]
            properties["components"] = component
        transaction.append(Entry(Op.MAKE, OPERATOR, kind, name, properties=properties))


def _put(transaction: Transaction, collection: str, document_id: str, uid: str, document: Document) -> None:
    body = render_document(document)
    transaction.append(
        Entry(
            Op.PUT,
            OPERATOR,
            Kind.SYSTEM,
            collection,
            f"{document_id}.json",
            uid,
            "application/json",
            digest_of(body),
            len(body),
        ),
        body,
    )


def _put_new(transaction: Transaction, collection: str, document_id: str, uid: str, document: Document) -> None:
    """Put unless the UID is taken: two processes may add the same login at once."""
    found = transaction.collection(Home.SYSTEM, collection)
    if found is not None and transaction.uid_holder(found.id, uid) is not None:
        raise AlreadyThere(f"there is an account with the login {uid} already")
    _put(transaction, collection, document_id, uid, document)


def _remove(transaction: Transaction, collection: str, document_id: str) -> None:
    found = transaction.collection(Home.SYSTEM, collection)
    if found is None or transaction.item(found.id, f"{document_id}.json") is None:
        raise NotThere(f"there is no {collection} document {document_id}")
    transaction.append(Entry(Op.REMOVE, OPERATOR, Kind.SYSTEM, collection, f"{document_id}.json"))
