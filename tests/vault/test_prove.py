"""Proving that an account can be read: every record, every byte, and the records that it must lead to."""

from __future__ import annotations

import msgspec
import pytest

from keepwell.model.errors import Damaged
from keepwell.storage.contract import Head
from keepwell.vault.prove import prove_account
from keepwell.vault.vault import Vault
from tests.vault.journals import ANNA, Journal
from tests.vault.vaults import fill, new_vault


def filled(*, lost: bool = False) -> tuple[Vault, Journal]:
    """One card put under two names, its bytes with the first of them; or with none, when they are lost."""
    vault, journal = new_vault(), Journal()
    journal.put("bob", b"the same")
    journal.put("robert", b"the same")
    for place in (-2, -1) if lost else (-1,):
        journal.carried[place] = msgspec.structs.replace(journal.carried[place], body=None)
    fill(vault, journal)
    return vault, journal


def test_bytes_that_an_earlier_record_brought_are_there() -> None:
    """They are in the vault once."""
    vault, journal = filled()
    head = Head(4, journal.carried[-1].record.hash)
    assert prove_account([vault], ANNA, [head]) == head


def test_bytes_that_nothing_brings_are_told() -> None:
    """With the record that needs them."""
    with pytest.raises(Damaged, match=r"record 3 .* nowhere"):
        prove_account([filled(lost=True)[0]], ANNA)


@pytest.mark.parametrize(("sequence", "message"), [(3, "another one"), (9, "up to record 4")])
def test_it_must_lead_to_the_records_that_are_wanted(sequence: int, message: str) -> None:
    """Another history, or one that ends before, is not the one that is to be read."""
    with pytest.raises(Damaged, match=message):
        prove_account([filled()[0]], ANNA, [Head(sequence, "0" * 64)])
