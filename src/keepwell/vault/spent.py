"""Whether a damaged pack that nothing else knows of may go: when nothing that it still proves lies in it alone.

One that came after the last manifest is in no list, and without its index nobody can tell what it had. It holds up
nothing when every account of the store is whole in other packs, up to its last record, and every record and all bytes
that any fragment of it proves are the store's.
"""

from __future__ import annotations

from contextlib import suppress

from keepwell.model.errors import Damaged, NotThere, StorageFault, Unavailable
from keepwell.model.names import AccountId
from keepwell.model.record import Record, digest_of
from keepwell.storage.contract import Head, Store
from keepwell.vault.salvage.pieces import Piece, pieces_of, unpacked_frames
from keepwell.vault.vault import Vault


def is_spent(vault: Vault, name: str, store: Store) -> bool:
    """Whether this pack of a plain vault may go. Raises StorageFault of the vault's medium."""
    if vault.seal.sealed or not _is_in_packs(vault, store):
        return False
    try:
        stored = vault.medium.read(name)
    except NotThere:
        return False
    pieces = [piece for lines in unpacked_frames(stored, []) for piece in pieces_of(lines)]
    accounts = store.accounts()
    return all(_is_in(store, accounts, piece) for piece in pieces)


def _is_in_packs(vault: Vault, store: Store) -> bool:
    """Whether packs have everything that the store has, and nothing here tells of more."""
    heads = dict(store.read_heads())
    told = {account: [end.sequence for end in vault.ends_told(account)] for account in vault.accounts()}
    return heads.keys() >= told.keys() and all(
        isinstance(head, Head)
        and not store.read_held(account)
        and vault.packed_head(account) == head
        and max(told.get(account, []), default=0) <= head.sequence
        for account, head in heads.items()
    )


def _is_in(store: Store, accounts: list[AccountId], piece: Piece) -> bool:
    record, body = piece.record, piece.body
    if record is not None:
        return record.facts.account in accounts and _has_record(store, record)
    return body is None or any(_has_body(store, account, body) for account in accounts)


def _has_record(store: Store, record: Record) -> bool:
    facts = record.facts
    with suppress(Damaged, Unavailable, StorageFault), store.account(facts.account).reading() as snapshot:
        found = next(snapshot.records(facts.seq - 1), None)
        return found is not None and found.hash == record.hash
    return False


def _has_body(store: Store, account: AccountId, body: bytes) -> bool:
    with suppress(Damaged, Unavailable, StorageFault), store.account(account).reading() as snapshot:
        return snapshot.content(digest_of(body)) is not None
    return False
