"""A damaged pack that nobody knows of may go only when everything that it still proves is certain to be elsewhere."""

from __future__ import annotations

import pytest

from keepwell.model.names import Kind
from keepwell.vault.memory_medium import MemoryMedium
from keepwell.vault.spent import is_spent
from keepwell.vault.vault import Vault
from tests.vault.filled import Filled
from tests.vault.journals import ANNA, BERT


@pytest.fixture
def made() -> Filled:
    whole = Filled()
    whole.grow(ANNA, cards=3)
    whole.ship()
    return whole


def broken(made: Filled) -> str:
    """A pack with the store's records, and no index."""
    assert isinstance(made.medium, MemoryMedium)
    [name] = [info.name for info in made.medium.list("packs/")]
    copy = f"packs/{'0' * 64}.jsonl.zst"
    made.medium.create(copy, made.medium.read(name)[:-50])
    return copy


def opened(made: Filled, name: str) -> Vault:
    """The vault, which counts on that pack no more."""
    vault = made.open()
    vault.forget_pack(name)
    return vault


def test_what_the_store_and_other_packs_have_is_spent(made: Filled) -> None:
    """Every record that it proves is known."""
    name = broken(made)
    assert is_spent(opened(made, name), name, made.store)


def test_what_other_packs_only_say_that_they_have_is_not(made: Filled) -> None:
    """They are read, not believed."""
    [whole] = [info.name for info in made.medium.list("packs/")]
    name = broken(made)
    vault = opened(made, name)
    assert isinstance(made.medium, MemoryMedium)
    made.medium.replace(whole, b"?" + made.medium.read(whole)[1:])
    assert not is_spent(vault, name, made.store)


def test_what_other_packs_have_not_is_not(made: Filled) -> None:
    """The store went on, and that was not shipped yet: it may be just this that the pack has."""
    name = broken(made)
    made.grow(ANNA)
    assert not is_spent(opened(made, name), name, made.store)


def test_what_is_held_proves_nothing(made: Filled) -> None:
    """The store is known to lack something."""
    name = broken(made)
    made.store.account(ANNA).hold({Kind.CONTACTS: "history went back"})
    assert not is_spent(opened(made, name), name, made.store)


def test_records_of_somebody_else_are_not_spent(made: Filled) -> None:
    """The store never heard of whom it has records."""
    other = Filled()
    other.grow(BERT)
    other.ship()
    [name] = [info.name for info in other.medium.list("packs/")]
    made.medium.create(name, other.medium.read(name)[:-50])
    vault = opened(made, name)
    assert vault.accounts() >= {ANNA}
    assert not is_spent(vault, name, made.store)


def test_a_pack_that_is_gone_is_not_spent(made: Filled) -> None:
    """Nobody can tell what it had."""
    assert not is_spent(made.open(), f"packs/{'1' * 64}.jsonl.zst", made.store)
