"""The system account's documents: accounts, app passwords and grants, as JSON items.

They are items like any others: journaled, chained, shipped, restored and undone like people's data. A document's
item name is its id and `.json`; its UID is what must be unique (a login, a secret's hash, a shared place).
"""

from __future__ import annotations

from typing import Final

import msgspec

from keepwell.model.names import AccountId, Home

ACCOUNTS: Final = "accounts"
PASSWORDS: Final = "passwords"
GRANTS: Final = "grants"
SYSTEM_COLLECTIONS: Final = (ACCOUNTS, PASSWORDS, GRANTS)


class AccountDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One account: its login and whether it may sign in."""

    account: AccountId
    login: str
    display_name: str
    disabled: bool
    made_at: str


class PasswordDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One app password: SHA-256 of the 128 random bits stands for it; it is shown once and not kept."""

    id: str
    account: AccountId
    label: str
    secret_hash: str
    made_at: str


class GrantDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One collection that its owner shares with another account."""

    id: str
    owner: AccountId
    home: Home
    collection: str
    grantee: AccountId
    write: bool
    made_at: str


Document = AccountDocument | PasswordDocument | GrantDocument

TYPE_OF: Final[dict[str, type[AccountDocument] | type[PasswordDocument] | type[GrantDocument]]] = {
    ACCOUNTS: AccountDocument,
    PASSWORDS: PasswordDocument,
    GRANTS: GrantDocument,
}


def parse_document(collection: str, body: bytes) -> Document:
    """Read a document of this collection; fields that are not known are ignored."""
    return msgspec.json.decode(body, type=TYPE_OF[collection])


def render_document(document: Document) -> bytes:
    """The document's bytes: JSON, indented, because people read it in a vault."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def grant_uid(owner: AccountId, home: Home, collection: str, grantee: AccountId) -> str:
    """What makes a grant unique: one place, one grantee."""
    return f"{owner}/{home}/{collection}/{grantee}"
