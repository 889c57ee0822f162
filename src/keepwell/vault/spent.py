"""Whether a damaged pack that nothing else knows of may go: when nothing that it still proves lies in it alone.

One that came after the last manifest is in no list, and without its index nobody can tell what it had. It holds up
nothing when every account of the store can be read whole from other packs, up to its last record, and every record that
any fragment of it proves is the store's. Whoever asks counts on it no more: it must not be one of the others.
"""

from __future__ import annotations

from contextlib import suppress

from keepwell.model.errors import KeepwellError
from keepwell.model.record import Record
from keepwell.storage.contract import Head, Store
from keepwell.vault.prove import prove_account
from keepwell.vault.salvage.pieces import pieces_of, unpacked_frames
from keepwell.vault.vault import Vault


def is_spent(vault: Vault, name: str, store: Store) -> bool:
    """Whether this pack of a plain vault may go; False when that cannot be told."""
    with suppress(KeepwellError):
        if not vault.seal.sealed and _is_in_packs(vault, store):
            for account, head in store.read_heads():
                prove_account([vault], account, [head] if isinstance(head, Head) else [])
            pieces = [piece for lines in unpacked_frames(vault.medium.read(name), []) for piece in pieces_of(lines)]
            return all(piece.record is not None and _is_in(store, piece.record) for piece in pieces)
    return False


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


def _is_in(store: Store, record: Record) -> bool:
    """Whether it is the store's. Raises KeepwellError when that cannot be read."""
    with store.account(record.facts.account).reading() as snapshot:
        found = next(snapshot.records(record.facts.seq - 1), None)
    return found is not None and found.hash == record.hash
