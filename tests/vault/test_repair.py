"""A vault is repaired from the store or another vault; never is a bad thing put over a good one, or a good one lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pyrage
import pytest

from keepwell.model.errors import StorageFault, Unavailable
from keepwell.model.names import AccountId
from keepwell.model.weight import Weight
from keepwell.storage.contract import NO_INDEX, Carried, Store
from keepwell.storage.memory import MemoryAccount, MemoryStore
from keepwell.vault.documents import parse_epoch_document
from keepwell.vault.findings import VaultFinding
from keepwell.vault.keys import Recipients
from keepwell.vault.layout import README, VAULT_DOCUMENT
from keepwell.vault.medium import Medium
from keepwell.vault.memory_medium import MemoryMedium
from keepwell.vault.pack import PackIndex, read_index
from keepwell.vault.reading import read_account
from keepwell.vault.repair import Repaired, repair_vault
from keepwell.vault.sealing import AgeSeal
from keepwell.vault.ship import ship
from keepwell.vault.vault import Vault
from keepwell.vault.verify import Grade, verify
from tests.vault.filled import Filled, filled
from tests.vault.journals import ANNA, BERT
from tests.vault.vaults import SERVER


@pytest.fixture
def whole() -> Filled:
    made = filled()
    made.ship()
    made.vault.put_manifest()
    return made


def memory(made: Filled | Vault) -> MemoryMedium:
    assert isinstance(made.medium, MemoryMedium)
    return made.medium


def flip(medium: Medium, name: str, place: int = 30) -> None:
    assert isinstance(medium, MemoryMedium)
    stored = medium.read(name)
    medium.replace(name, stored[:place] + bytes([stored[place] ^ 64]) + stored[place + 1 :])


def cut(medium: Medium, name: str) -> None:
    assert isinstance(medium, MemoryMedium)
    medium.replace(name, medium.read(name)[:-7])


def remove(medium: Medium, name: str) -> None:
    medium.remove(name)


def story(vault: Vault, account: AccountId) -> list[Carried]:
    return list(read_account([vault], account))


def told(store: Store, account: AccountId) -> list[Carried]:
    with store.account(account).reading() as snapshot:
        return list(snapshot.carried())


def records(carried: list[Carried]) -> list[str]:
    return [one.record.hash for one in carried]


def find(vault: Vault) -> list[VaultFinding]:
    return verify(vault, Grade.RECORDS).findings


def mend(made: Filled, vault: Vault, *others: Vault) -> Repaired:
    """Repair whatever is found, as the keeper does."""
    return repair_vault(vault, find(vault), made.store, others)


def names(made: Filled, prefix: str) -> list[str]:
    return [info.name for info in made.medium.list(prefix)]


HARMS: list[Callable[[Medium, str], None]] = [flip, cut, remove]


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("late", [False, True], ids=["known before", "opened after"])
@pytest.mark.parametrize("which", range(3))
def test_a_pack_is_shipped_again_and_the_damaged_one_removed(
    whole: Filled, which: int, late: bool, harm: Callable[[Medium, str], None]
) -> None:
    """Whichever pack, whatever is wrong with it, whenever the vault was opened: then everything is whole."""
    vault = whole.vault
    name = names(whole, "packs/")[which]
    harm(whole.medium, name)
    if late:
        vault = whole.open(claim=True)
    done = mend(whole, vault)
    assert done.failures == {}
    assert done.objects
    assert name not in names(whole, "packs/")
    for opened in (vault, whole.open()):
        assert find(opened) == []
        for account in (ANNA, BERT):
            assert records(story(opened, account)) == records(told(whole.store, account))


@pytest.mark.parametrize("place", range(-120, -1, 7))
def test_a_pack_whose_index_is_damaged_anywhere_is_replaced(whole: Filled, place: int) -> None:
    """What a flipped index says is not gone by."""
    name = names(whole, "packs/")[0]
    flip(whole.medium, name, place % len(whole.medium.read(name)))
    mend(whole, whole.vault)
    assert find(whole.open()) == []


def test_a_pack_with_a_damaged_index_that_no_manifest_names_is_replaced(whole: Filled) -> None:
    """Whoever opens the vault next does not count on it, knows what is in it from its frames, and has all of that."""
    before = names(whole, "packs/")
    whole.grow(ANNA, cards=2)
    whole.ship()
    [name] = set(names(whole, "packs/")) - set(before)
    flip(whole.medium, name, len(whole.medium.read(name)) - 40)
    later = whole.open()
    later.claim(SERVER)
    assert mend(whole, later).failures == {}
    assert name not in names(whole, "packs/")
    assert find(whole.open()) == []
    assert records(story(whole.open(), ANNA)) == records(told(whole.store, ANNA))


@pytest.mark.parametrize("harm", HARMS)
def test_a_blob_comes_back_under_its_name(whole: Filled, harm: Callable[[Medium, str], None]) -> None:
    """With the bytes that the store has."""
    [name] = names(whole, "blobs/")
    stored = whole.medium.read(name)
    harm(whole.medium, name)
    assert mend(whole, whole.vault).objects == [name]
    assert whole.medium.read(name) == stored
    assert find(whole.open()) == []


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("name", [README, VAULT_DOCUMENT])
def test_a_document_is_made_anew_when_that_is_what_it_was(
    whole: Filled, name: str, harm: Callable[[Medium, str], None]
) -> None:
    """Proven by the hash that the manifest has of it."""
    stored = whole.medium.read(name)
    harm(whole.medium, name)
    assert mend(whole, whole.vault).objects == [name]
    assert whole.medium.read(name) == stored
    assert find(whole.open()) == []


@pytest.mark.parametrize("harm", HARMS)
def test_a_manifest_is_published_again(whole: Filled, harm: Callable[[Medium, str], None]) -> None:
    """The next says the same, the damaged one is gone."""
    name = names(whole, "manifests/")[-1]
    harm(whole.medium, name)
    mend(whole, whole.vault)
    assert name not in names(whole, "manifests/")
    assert find(whole.open()) == []


def test_what_a_damaged_tail_confirmed_is_in_packs_then(whole: Filled) -> None:
    """The store has it; the tail of an epoch that ended is removed."""
    name = whole.confirm(ANNA, cards=3)
    flip(whole.medium, name, 10)
    vault = whole.open(claim=True)
    done = mend(whole, vault)
    assert name in done.objects
    assert not whole.medium.exists(name)
    assert records(story(whole.open(), ANNA)) == records(told(whole.store, ANNA))


def test_an_epochs_document_is_told_and_left(whole: Filled) -> None:
    """Nobody knows what was in it, and its number is in its name."""
    [name] = names(whole, "epochs/")
    memory(whole).replace(name, b"{}")
    done = mend(whole, whole.vault)
    assert list(done.failures) == [name]
    assert whole.medium.read(name) == b"{}"


def second(made: Filled) -> Vault:
    """Another vault of the same store, which has everything."""
    other = Filled()
    ship(other.vault, made.store, made.store.accounts())
    other.vault.name = "there"
    return other.vault


def lose(made: Filled, account: AccountId) -> None:
    made.store.set_aside(account)


def test_a_pack_is_made_again_from_another_vault_when_the_store_has_lost_the_account(whole: Filled) -> None:
    """Records, bytes and ledger are those that were there."""
    other, before = second(whole), told(whole.store, ANNA)
    lose(whole, ANNA)
    for name in names(whole, "packs/"):
        flip(whole.medium, name)
    done = mend(whole, whole.vault, other)
    assert done.failures == {}
    assert records(story(whole.open(), ANNA)) == records(before)
    assert find(whole.open()) == []


def test_a_blob_comes_back_from_another_vault_when_the_store_has_it_no_more(whole: Filled) -> None:
    """Plain vaults name a blob by what is in it."""
    other = second(whole)
    lose(whole, ANNA)
    [name] = names(whole, "blobs/")
    remove(whole.medium, name)
    assert mend(whole, whole.vault, other).objects == [name]
    assert find(whole.open()) == []


def test_a_damaged_pack_stays_when_nothing_else_has_what_is_in_it(whole: Filled) -> None:
    """Frames of it may be whole: it is told, and whatever of it can be read still is."""
    bert = records(told(whole.store, BERT))
    lose(whole, ANNA)
    lose(whole, BERT)
    name = whole.vault.frames(BERT)[0].pack
    flip(whole.medium, name)
    done = mend(whole, whole.vault)
    assert name in done.failures
    assert name in names(whole, "packs/")
    assert [pack.name for pack in whole.vault.packs()].count(name) == 1
    assert records(story(whole.open(), BERT)) == bert


def test_a_store_that_tells_another_story_is_not_shipped_over_a_good_pack(whole: Filled) -> None:
    """A false alarm about good packs, and a store whose history is another: nothing changes in the vault."""
    other = Filled()
    other.clock.advance(7)
    other.grow(ANNA, cards=20)
    before = {info.name: whole.medium.read(info.name) for info in whole.medium.list("packs/")}
    alarm = [VaultFinding(name, "someone says that it is damaged") for name in before]
    done = repair_vault(whole.vault, alarm, other.store)
    assert set(done.failures) >= set(before)
    assert {info.name: whole.medium.read(info.name) for info in whole.medium.list("packs/")} == before
    assert records(story(whole.open(), ANNA)) == records(told(whole.store, ANNA))


def test_a_store_that_is_behind_takes_nothing_from_a_vault(whole: Filled) -> None:
    """An older copy of the store has not all that the damaged pack had: it stays until something has."""
    older = Filled()
    older.store.restore(ANNA, told(whole.store, ANNA)[:5], lambda _home, _body: NO_INDEX)
    name = whole.vault.frames(ANNA)[0].pack
    flip(whole.medium, name)
    done = repair_vault(whole.vault, find(whole.vault), older.store)
    assert name in done.failures
    assert name in names(whole, "packs/")


def test_a_good_object_is_not_touched_by_a_false_alarm(whole: Filled) -> None:
    """It is read once more before anything happens to it."""
    changes: list[str] = []
    memory(whole).after = lambda operation, name: changes.append(name) if operation in {"remove", "create"} else None
    alarm = [VaultFinding(name, "someone says so") for name in [*names(whole, "blobs/"), README, VAULT_DOCUMENT]]
    repair_vault(whole.vault, alarm, whole.store)
    assert changes == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("prefix", ["packs/", "blobs/", "README", "vault.json"])
def test_stopped_at_any_change_the_next_repair_goes_on(whole: Filled, prefix: str, number: int, when: str) -> None:
    """At each change of the medium: what is missing then is found and repaired, nothing is lost."""
    name = names(whole, prefix)[0]
    flip(whole.medium, name)
    vault = whole.vault
    findings = find(vault)
    count = iter(range(1000))

    def stop(operation: str, _name: str) -> None:
        if operation in {"create", "remove"} and next(count) == number:
            raise StorageFault("the power is gone")

    setattr(memory(whole), when, stop)
    with suppress(StorageFault):
        repair_vault(vault, findings, whole.store)
    memory(whole).before = memory(whole).after = lambda _operation, _name: None
    vault.look()
    repair_vault(vault, find(vault), whole.store)
    assert find(whole.open()) == []
    for account in (ANNA, BERT):
        assert records(story(whole.open(), account)) == records(told(whole.store, account))


@pytest.fixture
def sealed() -> Filled:
    key = pyrage.x25519.Identity.generate()
    public = str(key.to_public())
    made = Filled(seal=AgeSeal([public], [key]), recipients=Recipients(public, public, public))
    made.grow(ANNA, cards=2, photo=b"\xff\xd8" * 80_000)
    made.grow(BERT)
    made.ship()
    made.vault.put_manifest()
    return made


@pytest.mark.parametrize("harm", HARMS)
def test_an_encrypted_blob_is_sealed_anew_with_the_packs_that_name_it(
    sealed: Filled, harm: Callable[[Medium, str], None]
) -> None:
    """The same ciphertext cannot be made again; then nothing names the old one, and it is gone."""
    [name] = names(sealed, "blobs/")
    harm(sealed.medium, name)
    done = mend(sealed, sealed.vault)
    assert done.failures == {}
    assert name not in names(sealed, "blobs/")
    assert len(names(sealed, "blobs/")) == 1
    assert find(sealed.open()) == []
    assert records(story(sealed.open(), ANNA)) == records(told(sealed.store, ANNA))


def test_without_a_key_nothing_of_an_encrypted_vault_is_removed(sealed: Filled) -> None:
    """What was shipped again cannot be proven, so the damaged pack stays."""
    [name] = names(sealed, "packs/")
    flip(sealed.medium, name)
    seal = AgeSeal([str(pyrage.x25519.Identity.generate().to_public())])
    blind = Vault("here", sealed.medium, sealed.document, seal, sealed.clock)
    blind.resume(sealed.vault.epoch, _server(sealed))
    done = repair_vault(blind, [VaultFinding(name, "damaged")], sealed.store)
    assert name in done.failures
    assert name in names(sealed, "packs/")


def _server(made: Filled) -> str:
    return parse_epoch_document(made.medium.read(names(made, "epochs/")[0])).server


@pytest.mark.parametrize("others", [[], ["an empty vault"]], ids=["alone", "beside an empty vault"])
def test_a_blob_that_no_copy_has_is_told(whole: Filled, others: list[str]) -> None:
    """Neither the store nor any other vault: it stays missing, and is never made of anything else."""
    lose(whole, ANNA)
    [name] = names(whole, "blobs/")
    remove(whole.medium, name)
    done = mend(whole, whole.vault, *[Filled().vault for _other in others])
    assert "no copy" in done.failures[name].message
    assert not whole.medium.exists(name)


class Closed(MemoryStore):
    """A store one of whose accounts cannot be read just now."""

    def account(self, account: AccountId) -> MemoryAccount:
        if account == ANNA:
            raise Unavailable(f"{ANNA} is being moved")
        return super().account(account)


def test_a_store_that_cannot_be_read_is_no_reason_to_remove_a_pack(whole: Filled) -> None:
    """It neither agrees nor has anything to ship: the damaged pack stays, and is told."""
    name = whole.vault.frames(ANNA)[0].pack
    flip(whole.medium, name)
    findings = find(whole.vault)
    store = Closed(whole.clock, whole.entropy)
    store.create(ANNA)
    done = repair_vault(whole.vault, findings, store)
    assert {name, ANNA} <= set(done.failures)
    assert name in names(whole, "packs/")


def test_another_vault_that_is_damaged_too_repairs_nothing(whole: Filled) -> None:
    """What cannot be proven from it is not taken, and both are left as they are."""
    other = second(whole)
    lose(whole, ANNA)
    flip(whole.medium, whole.vault.frames(ANNA)[1].pack)
    flip(other.medium, other.frames(ANNA)[0].pack)
    before = {info.name: whole.medium.read(info.name) for info in whole.medium.list("packs/")}
    done = mend(whole, whole.vault, other)
    assert ANNA in done.failures
    assert before.items() <= {info.name: whole.medium.read(info.name) for info in whole.medium.list("packs/")}.items()


def test_a_pack_that_says_nothing_of_itself_stays_when_something_is_not_reached(whole: Filled) -> None:
    """Without its index nobody knows whose records it had; those of an account that is lost may be among them."""
    lose(whole, ANNA)
    name = whole.vault.frames(ANNA)[0].pack
    memory(whole).replace(name, b"?" * 200)
    vault = whole.open(claim=True)
    done = mend(whole, vault)
    assert name in done.failures
    assert name in names(whole, "packs/")
    assert name not in {pack.name for pack in vault.packs()}


def test_a_good_manifest_stays_at_a_false_alarm(whole: Filled) -> None:
    """It is read once more: it proves itself, which is all that was wanted."""
    name = names(whole, "manifests/")[-1]
    done = repair_vault(whole.vault, [VaultFinding(name, "someone says that it is damaged")], whole.store)
    assert done.failures == {}
    assert name in names(whole, "manifests/")
    assert find(whole.open()) == []


@pytest.mark.parametrize("prefix", ["manifests/", README])
def test_a_medium_that_does_not_keep_what_it_is_given_is_a_fault(whole: Filled, prefix: str) -> None:
    """What was put in place of the damaged object is read back; nothing is said to be made good that is not."""
    name = names(whole, prefix)[-1]
    flip(whole.medium, name)

    def spoil(operation: str, at: str) -> None:
        if operation == "create" and at.startswith(prefix):
            memory(whole).replace(at, b"something else")

    findings = find(whole.vault)
    memory(whole).after = spoil
    with pytest.raises(StorageFault):
        repair_vault(whole.vault, findings, whole.store)


def required(index: PackIndex | None) -> PackIndex:
    assert index is not None
    return index


def unlisted(made: Filled, damage: Callable[[bytes], bytes]) -> str:
    """A pack that came after the last manifest, of two accounts, and then was damaged."""
    before = set(names(made, "packs/"))
    made.grow(ANNA, cards=20)
    made.grow(BERT, cards=2)
    made.ship()
    [name] = set(names(made, "packs/")) - before
    memory(made).replace(name, damage(made.medium.read(name)))
    return name


@pytest.mark.parametrize(
    "damage", [lambda _octets: b"", lambda octets: octets[: len(octets) // 2]], ids=["emptied", "cut off"]
)
def test_a_damaged_pack_that_nobody_knows_of_goes_when_all_that_it_proves_is_elsewhere(
    whole: Filled, damage: Callable[[bytes], bytes]
) -> None:
    """The store ships what it had; after that nothing is wrong with the vault any more."""
    name = unlisted(whole, damage)
    vault = whole.open(claim=True)
    ship(vault, whole.store, whole.store.accounts())
    done = mend(whole, vault)
    assert name in done.objects
    assert name not in names(whole, "packs/")
    assert verify(whole.open(), Grade.RECORDS).is_whole


def test_a_damaged_pack_stays_when_it_still_proves_what_the_store_has_not(whole: Filled) -> None:
    """The store went back: the fragments are all that is left of those records."""
    name = unlisted(whole, lambda octets: octets[: required(read_index(octets)).frames[1].offset + 5])
    whole.store = filled().store
    vault = whole.open(claim=True)
    assert name in mend(whole, vault).failures
    assert name in names(whole, "packs/")


def test_a_damaged_blob_that_nothing_names_is_no_damage(whole: Filled) -> None:
    """It is named, as what nothing needs; one that a record needs is damage."""
    [name] = names(whole, "blobs/")
    spare = f"blobs/ab/{'ab' * 32}"
    whole.medium.create(spare, b"what is this")
    found = {one.object: one.weight for one in verify(whole.open(), Grade.CONTENT).findings}
    assert found == {spare: Weight.NOTE}
    flip(whole.medium, name)
    found = {one.object: one.weight for one in verify(whole.open(), Grade.CONTENT).findings}
    assert found == {spare: Weight.NOTE, name: Weight.DAMAGE}
