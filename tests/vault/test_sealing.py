"""Sealing with age: what opens, what does not, and that Debian's `age` and Keepwell open each other's files."""

import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from pyrage.x25519 import Identity

from keepwell.model.errors import Damaged, Locked
from keepwell.vault.keys import NewKeys, make_keys, public_key, write_key_file
from keepwell.vault.sealing import AgeSeal, PlainSeal

SECRET = "BEGIN:VCARD\r\nFN:Bøb\r\nEND:VCARD\r\n".encode()


@pytest.fixture
def keys() -> NewKeys:
    return make_keys(Identity.generate())


def age(*options: str, given: bytes = b"") -> bytes:
    """What Debian's age prints."""
    assert shutil.which("age"), "age is not there; install it with: apt-get install age"
    return subprocess.run(["age", *options], input=given, capture_output=True, check=True).stdout


def test_a_plain_seal_changes_nothing() -> None:
    """A vault that is not encrypted stores the bytes as they are."""
    seal = PlainSeal()
    assert not seal.sealed
    assert seal.unseal(seal.seal(SECRET)) == SECRET


@pytest.mark.parametrize("octets", [b"", SECRET, bytes(200_000)], ids=["none", "few", "many"])
def test_each_key_opens_alone(keys: NewKeys, octets: bytes) -> None:
    """Operator, recovery and drill each open what was sealed to all, whatever its length."""
    recipients = keys.recipients().public_keys()
    sealed = AgeSeal(recipients).seal(octets)
    for identity in (keys.operator, keys.recovery, keys.drill):
        assert AgeSeal(recipients, [identity]).unseal(sealed) == octets


def test_what_is_sealed_shows_nothing(keys: NewKeys) -> None:
    """Neither the bytes nor a secret key can be seen in what is stored, and two seals of the same bytes differ."""
    seal = AgeSeal(keys.recipients().public_keys())
    sealed = seal.seal(SECRET)
    assert b"VCARD" not in sealed
    assert seal.seal(SECRET) != sealed
    assert seal.sealed


def test_without_its_key_it_is_locked(keys: NewKeys) -> None:
    """Another key, or none, does not open it, and the error says that a key is wanted."""
    recipients = keys.recipients().public_keys()
    sealed = AgeSeal(recipients).seal(SECRET)
    for identities in ([], [Identity.generate(), Identity.generate()]):
        with pytest.raises(Locked, match="no key here opens it") as caught:
            AgeSeal(recipients, identities).unseal(sealed)
        assert "--key" in caught.value.hint


def test_a_flipped_bit_anywhere_is_found(keys: NewKeys) -> None:
    """Whichever bit of a sealed object flips, it is damaged: other bytes never come out, nor the blame on the key."""
    seal = AgeSeal(keys.recipients().public_keys(), [keys.recovery])
    sealed = seal.seal(SECRET)
    for place in range(len(sealed)):
        for bit in range(8):
            flipped = bytearray(sealed)
            flipped[place] ^= 1 << bit
            with pytest.raises(Damaged):
                seal.unseal(bytes(flipped))


def test_what_is_sealed_to_others_is_damage_to_this_vault(keys: NewKeys) -> None:
    """With a key of the vault's, an object that was sealed to strangers alone is damaged: no other key would help."""
    strange = AgeSeal([public_key(Identity.generate())]).seal(SECRET)
    with pytest.raises(Damaged):
        AgeSeal(keys.recipients().public_keys(), [keys.operator]).unseal(strange)


def test_a_cut_or_longer_object_is_damaged(keys: NewKeys) -> None:
    """An object that ends early, anywhere, or has bytes behind it, is damaged."""
    seal = AgeSeal(keys.recipients().public_keys(), [keys.operator])
    sealed = seal.seal(SECRET)
    for length in range(len(sealed)):
        with pytest.raises(Damaged):
            seal.unseal(sealed[:length])
    with pytest.raises(Damaged):
        seal.unseal(sealed + b"x")


def test_what_is_no_age_file_is_damaged_even_without_keys(keys: NewKeys) -> None:
    """Bytes that were never sealed are damaged, not locked: no key would help."""
    with pytest.raises(Damaged):
        AgeSeal(keys.recipients().public_keys()).unseal(SECRET)


def test_a_vault_that_names_no_or_wrong_public_keys_is_damaged(keys: NewKeys) -> None:
    """Public keys come from the vault's document; without them, or with a changed one, nothing is sealed."""
    for recipients in ([], [public_key(keys.operator)[:-1] + "b"]):
        with pytest.raises(Damaged, match="public key"):
            AgeSeal(recipients)


def test_many_threads_seal_and_unseal_at_once(keys: NewKeys) -> None:
    """One seal serves many threads: each gets its own bytes back."""
    seal, wrong = AgeSeal(keys.recipients().public_keys(), [keys.drill]), []

    def work(number: int) -> None:
        for turn in range(20):
            octets = f"{number} {turn}".encode()
            if seal.unseal(seal.seal(octets)) != octets:
                wrong.append(octets)

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_the_age_program_opens_what_is_sealed(keys: NewKeys, tmp_path: Path) -> None:
    """`age -d -i` opens it with the key file of any of the three."""
    sealed = AgeSeal(keys.recipients().public_keys()).seal(SECRET)
    for name, identity in (("operator", keys.operator), ("recovery", keys.recovery), ("drill", keys.drill)):
        write_key_file(tmp_path / name, identity, "a key")
        assert age("-d", "-i", str(tmp_path / name), given=sealed) == SECRET


def test_what_the_age_program_sealed_is_opened(keys: NewKeys) -> None:
    """A file that `age` made for all three is unsealed."""
    recipients = keys.recipients().public_keys()
    sealed = age(*(word for recipient in recipients for word in ("-r", recipient)), given=SECRET)
    assert AgeSeal(recipients, [keys.recovery]).unseal(sealed) == SECRET
