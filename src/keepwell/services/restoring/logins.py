"""Which logins there are, read from the system account's journal as the vaults have it, before anything is restored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from keepwell.model.errors import NotThere
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Digest
from keepwell.model.record import Op
from keepwell.services.documents import ACCOUNTS, AccountDocument, parse_document
from keepwell.vault.reading import read_account
from keepwell.vault.vault import Vault


def read_logins(vaults: Sequence[Vault]) -> dict[AccountId, str]:
    """Every account's login, as it last was; none when the system account is lost. Raises Locked, StorageFault."""
    names: dict[str, Digest] = {}
    bodies: dict[Digest, bytes] = {}
    for carried in read_account(vaults, SYSTEM_ACCOUNT):
        facts = carried.record.facts
        if facts.collection != ACCOUNTS or facts.digest is None:
            continue
        if carried.body is not None:
            bodies[facts.digest] = carried.body
        if facts.op is Op.PUT:
            names[facts.name] = facts.digest
    documents = (_parsed(bodies[digest]) for digest in names.values() if digest in bodies)
    return {one.account: one.login for one in documents if one is not None}


def accounts_of(texts: Sequence[str], logins: Mapping[AccountId, str], known: set[AccountId]) -> frozenset[AccountId]:
    """The accounts that these logins or ids name. Raises NotThere."""
    by_login = {login: account for account, login in logins.items()}
    chosen = set[AccountId]()
    for text in texts:
        account = by_login.get(text, AccountId(text))
        if account not in known:
            raise NotThere(
                f"there is no account {text} in these vaults",
                hint="Use its login or its id; --dry-run without --account lists both.",
            )
        chosen.add(account)
    return frozenset(chosen)


def _parsed(body: bytes) -> AccountDocument | None:
    try:
        document = parse_document(ACCOUNTS, body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return document if isinstance(document, AccountDocument) else None
