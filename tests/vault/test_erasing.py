"""Erasing from a vault: the bytes go, every record stays, and whatever a crash leaves is found the next time."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pyrage
import pytest
from backports import zstd

from keepwell.model.erasures import Cause, Erased, ErasureOrder, Erasures
from keepwell.model.errors import Damaged
from keepwell.model.names import SYSTEM_ACCOUNT, AccountId, Digest, Kind
from keepwell.model.record import Op, digest_of
from keepwell.services.accounts import ensure_system_account
from keepwell.services.retention.orders import put_orders
from keepwell.storage.contract import Carried, Entry
from keepwell.storage.memory import MemoryBlobs
from keepwell.vault.erasing import Emptied, erase_from
from keepwell.vault.findings import Found
from keepwell.vault.folder_medium import FolderMedium
from keepwell.vault.keys import Recipients, make_keys
from keepwell.vault.layout import BLOBS, PACKS
from keepwell.vault.medium import Medium
from keepwell.vault.memory_medium import MemoryMedium
from keepwell.vault.merge import Merger
from keepwell.vault.prove import prove_account
from keepwell.vault.reading import Findings, erasures_in, read_account
from keepwell.vault.sealing import AgeSeal, PlainSeal, Seal
from keepwell.vault.ship import pack_tails, ship
from keepwell.vault.verify import Grade, verify
from keepwell.vault.verify_records import verify_account
from tests.vault.filled import PHOTO, Filled
from tests.vault.journals import ANNA, BERT

SECRET = "5.vcf"
"""The name of the card that is erased, the third of ANNA's."""
NOBODY = MemoryBlobs()


def put(filled: Filled, account: AccountId, name: str, body: bytes) -> None:
    entry = Entry(Op.PUT, "test", Kind.PHOTOS, "photos", name, name, "image/jpeg", digest_of(body), len(body))
    filled.store.account(account).transact([lambda transaction: transaction.append(entry, body)])


def remove(filled: Filled, account: AccountId, name: str) -> None:
    entry = Entry(Op.REMOVE, "test", Kind.PHOTOS, "photos", name)
    filled.store.account(account).transact([lambda transaction: transaction.append(entry)])


def body_of(filled: Filled, name: str, account: AccountId = ANNA) -> tuple[Digest, bytes]:
    """The bytes that an item first had."""
    with filled.store.account(account).reading() as snapshot:
        for one in snapshot.carried():
            if one.record.facts.name == name and one.body is not None:
                return digest_of(one.body), one.body
    raise AssertionError(name)


def order(filled: Filled, *digests: Digest, account: AccountId = ANNA) -> Erasures:
    """Erase in the store, and put a sealed order in the system account, which is shipped."""
    through = filled.head(account).sequence
    gone = filled.store.account(account).erase(through, digests)
    made = ErasureOrder(
        id=f"order-{zlib.crc32(repr(digests).encode())}",
        cause=Cause.REQUEST,
        made_at="2026-11-23T08:00:00.000000Z",
        due_at="2026-11-23T08:00:00.000000Z",
        begun_at="2026-11-23T08:00:00.000000Z",
        erased={account: Erased(through, tuple(gone))},
    )
    filled.store.account(SYSTEM_ACCOUNT).transact([lambda transaction: put_orders(transaction, [made])])
    return Erasures([made])


@pytest.fixture(params=["plain", "sealed"])
def filled(request: pytest.FixtureRequest) -> Filled:
    """ANNA's card and photo, removed since, in two packs beside BERT's data; a manifest."""
    return made_filled(MemoryMedium(), sealed=request.param == "sealed")


def made_filled(medium: Medium, *, sealed: bool = False) -> Filled:
    seal: Seal = PlainSeal()
    recipients: Recipients | None = None
    if sealed:
        drill = pyrage.x25519.Identity.generate()
        recipients = make_keys(drill).recipients()
        seal = AgeSeal(recipients.public_keys(), [drill])
    made = Filled(medium, seal=seal, recipients=recipients)
    ensure_system_account(made.store)
    made.grow(ANNA, cards=3, photo=PHOTO)
    made.grow(BERT, cards=2)
    made.ship()
    made.grow(ANNA, cards=2)
    made.remove(SECRET)
    remove(made, ANNA, "6.jpg")
    made.ship()
    made.vault.put_manifest()
    return made


def unsealed(filled: Filled) -> Iterator[bytes]:
    """Everything that lies in the vault, decrypted and unpacked."""
    for info in list(filled.medium.list()):
        stored = filled.medium.read(info.name)
        yield stored
        for pack in filled.vault.packs():
            if pack.name == info.name:
                for frame in pack.index.frames:
                    part = stored[frame.offset : frame.offset + frame.length]
                    yield zstd.decompress(filled.seal.unseal(part))
        if info.name.startswith(BLOBS):
            yield filled.vault.read_blob(info.name)


def has(filled: Filled, body: bytes) -> bool:
    words = body.replace(b"\r\n", b"\\r\\n") if b"\r\n" in body else body
    return any(words in octets or body in octets for octets in unsealed(filled))


def read(filled: Filled, account: AccountId = ANNA) -> list[Carried]:
    findings = Findings()
    carried = list(read_account([filled.open()], account, findings=findings))
    assert findings.faults == []
    return carried


def sound(filled: Filled) -> Found:
    found = verify(filled.open(), Grade.RECORDS)
    assert found.is_whole, found.findings
    return found


def erased_until_clean(filled: Filled, erasures: Erasures) -> Emptied:
    """What the first call that did something came to."""
    first = erase_from(filled.vault, erasures, NOBODY)
    assert erase_from(filled.vault, erasures, NOBODY) == Emptied()
    return first


def test_the_bytes_go_and_every_record_stays(filled: Filled) -> None:
    """Of a card in a pack; the chain, the ledgers and everybody's other bytes are as they were."""
    digest, body = body_of(filled, SECRET)
    before, others = [one.record for one in read(filled)], read(filled, BERT)
    assert has(filled, body)
    erasures = order(filled, digest)
    filled.ship()
    assert erased_until_clean(filled, erasures).packs == 1
    assert not has(filled, body)
    after = read(filled)
    assert [one.record for one in after] == before
    assert [one.record.facts.name for one in after if one.erased] == [SECRET]
    assert read(filled, BERT) == others
    sound(filled)


def test_large_bytes_go_as_well(filled: Filled) -> None:
    """The object, and its name in the index."""
    digest = digest_of(PHOTO)
    erasures = order(filled, digest)
    filled.ship()
    assert erased_until_clean(filled, erasures) == Emptied(packs=1, blobs=1)
    assert list(filled.medium.list(BLOBS)) == []
    sound(filled)


def test_large_bytes_that_another_account_has_stay() -> None:
    """In a plain vault they are one object for both."""
    filled = made_filled(MemoryMedium())
    put(filled, BERT, "mine.jpg", PHOTO)
    filled.ship()
    erasures = order(filled, digest_of(PHOTO))
    filled.ship()
    assert erased_until_clean(filled, erasures).blobs == 0
    assert [one.body for one in read(filled, BERT) if one.record.facts.name == "mine.jpg"] == [PHOTO]
    sound(filled)


def test_large_bytes_that_the_store_got_again_meanwhile_are_put_back() -> None:
    """Whoever puts them keeps them in the store first, and may have seen them in the vault before they went."""
    filled = made_filled(MemoryMedium())
    erasures = order(filled, digest_of(PHOTO))
    filled.ship()

    class Late(MemoryBlobs):
        """Has the photo from the second question on."""

        asked = 0

        def read(self, digest: Digest) -> bytes:
            self.asked += 1
            if self.asked == 2:
                self.put(PHOTO)
            return super().read(digest)

    erase_from(filled.vault, erasures, Late())
    assert [info.name for info in filled.medium.list(BLOBS)] == [f"blobs/{digest_of(PHOTO)[:2]}/{digest_of(PHOTO)}"]


def test_bytes_that_came_again_stay(filled: Filled) -> None:
    """With the record that brought them again, which is behind the order."""
    digest, body = body_of(filled, SECRET)
    erasures = order(filled, digest)
    entry = Entry(Op.PUT, "test", Kind.CONTACTS, "friends", SECRET, SECRET, "text/vcard", digest, len(body))
    filled.store.account(ANNA).transact([lambda transaction: transaction.append(entry, body)])
    filled.ship()
    erased_until_clean(filled, erasures)
    after = [(one.body, one.erased) for one in read(filled) if one.record.facts.digest == digest]
    assert after == [(None, True), (body, False)]
    sound(filled)


@pytest.mark.parametrize("size", ["small", "large"])
def test_bytes_that_came_again_stay_when_they_were_shipped_together(filled: Filled, size: str) -> None:
    """A pack has them once, with the record that is erased: then they go over to the one that put them again."""
    for name in [info.name for info in filled.medium.list(PACKS)]:
        filled.vault.remove_pack(name)
    name = SECRET if size == "small" else "6.jpg"
    digest, body = body_of(filled, name)
    erasures = order(filled, digest)
    for again in ("again", "and again"):
        put(filled, ANNA, again, body)
    filled.ship()
    assert erased_until_clean(filled, erasures).packs == 1
    after = [(one.body, one.erased) for one in read(filled) if one.record.facts.digest == digest]
    assert after == [(None, True), (body, False), (None, False)]
    sound(filled)


def test_a_vault_without_the_order_misses_the_bytes(filled: Filled) -> None:
    """That they were erased is believed of an order only, which is in a chain: else any loss could pass for it."""
    digest, _body = body_of(filled, SECRET)
    through = filled.head().sequence
    erase_from(filled.vault, Erasures([forged(through, digest)]), NOBODY)
    found = verify(filled.open(), Grade.RECORDS)
    assert any(digest in one.message for one in found.findings)
    with pytest.raises(Damaged, match="nowhere"):
        prove_account([filled.open()], ANNA)


def forged(through: int, digest: Digest) -> ErasureOrder:
    moment = "2026-11-23T08:00:00.000000Z"
    return ErasureOrder(
        id="x",
        cause=Cause.REQUEST,
        made_at=moment,
        due_at=moment,
        begun_at=moment,
        erased={ANNA: Erased(through, (digest,))},
    )


def test_an_order_that_is_only_marked_erases_nothing(filled: Filled) -> None:
    """A mark can be taken back, so nothing may go by it."""
    digest, body = body_of(filled, SECRET)
    marked = msgspec.structs.replace(forged(99, digest), begun_at="")
    filled.store.account(SYSTEM_ACCOUNT).transact([lambda transaction: put_orders(transaction, [marked])])
    filled.ship()
    assert erasures_in([filled.open()]).accounts() == []
    assert erase_from(filled.vault, Erasures([marked]), NOBODY) == Emptied()
    assert has(filled, body)


def test_a_merge_between_the_steps_does_not_save_the_bytes(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash behind the new pack leaves both; merged into one, the bytes are found there the next time."""
    digest, body = body_of(filled, SECRET)
    erasures = order(filled, digest)
    filled.ship()
    with monkeypatch.context() as patch:
        patch.setattr("keepwell.vault.erasing.retire", lambda *_words: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            erase_from(filled.vault, erasures, NOBODY)
    assert has(filled, body)
    for number in range(12):
        filled.grow(BERT, cards=1 + number % 2)
        filled.ship()
    merger = Merger(filled.vault, filled.clock)
    for _ in range(6):
        merger.tick()
        filled.clock.advance(4000)
    while not erase_from(filled.vault, erasures, NOBODY).is_clean:
        pass
    assert not has(filled, body)
    sound(filled)


def test_a_new_pack_that_is_not_as_it_must_be_is_removed_again(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old one stays, and nothing is lost."""
    digest, body = body_of(filled, SECRET)
    erasures = order(filled, digest)
    filled.ship()
    packs = {pack.name for pack in filled.vault.packs()}
    monkeypatch.setattr("keepwell.vault.erasing.without_bytes", lambda text: text)
    with pytest.raises(Damaged):
        erase_from(filled.vault, erasures, NOBODY)
    assert {pack.name for pack in filled.open().packs()} == packs
    assert has(filled, body)


def test_a_pack_that_does_not_prove_itself_is_left_alone() -> None:
    """It is mended first; a damaged pack is no source for a new one."""
    filled = made_filled(MemoryMedium())
    digest, _body = body_of(filled, SECRET)
    erasures = order(filled, digest)
    name = filled.vault.frames(ANNA)[0].pack
    stored = bytearray(filled.medium.read(name))
    stored[30] ^= 1
    filled.medium.remove(name)
    filled.medium.create(name, bytes(stored))
    with pytest.raises(Damaged):
        erase_from(filled.vault, erasures, NOBODY)
    assert filled.medium.exists(name)


def test_a_tail_that_still_has_the_bytes_is_waited_for(tmp_path: Path) -> None:
    """It is told until it was packed, from the store, which has them no more."""
    filled = made_filled(FolderMedium(tmp_path))
    tail = filled.confirm(ANNA, cards=2)
    name = f"{filled.head().sequence - 1}.vcf"
    digest, body = body_of(filled, name)
    filled.remove(name)
    erasures = order(filled, digest)
    ship(filled.vault, filled.store, [SYSTEM_ACCOUNT])
    assert erase_from(filled.vault, erasures, NOBODY).waiting == (tail,)
    again = filled.open(claim=True)
    pack_tails(again, filled.store)
    assert not list(filled.medium.list("tails/"))
    assert erase_from(again, erasures, NOBODY) == Emptied()
    filled.vault = again
    assert not has(filled, body)
    sound(filled)


def test_one_account_is_verified_with_the_orders_of_the_vault(filled: Filled) -> None:
    """As the keeper does it, an account at a time."""
    digest, _body = body_of(filled, SECRET)
    erasures = order(filled, digest)
    filled.ship()
    erased_until_clean(filled, erasures)
    assert verify_account(filled.open(), ANNA).is_whole


def test_a_tail_that_goes_meanwhile_is_passed_over() -> None:
    """It was rolled while the tails were looked at: a pack has its records, and is looked at as well."""
    filled = made_filled(MemoryMedium())
    tail = filled.confirm(ANNA, cards=1)
    digest, _body = body_of(filled, SECRET)
    erasures = order(filled, digest)
    assert isinstance(filled.medium, MemoryMedium)
    filled.medium.before = lambda operation, name: (
        filled.medium.remove(tail) if (operation, name) == ("read", tail) else None
    )
    assert erase_from(filled.vault, erasures, NOBODY).packs == 1


def test_large_bytes_that_the_store_has_stay() -> None:
    """In a plain vault they are one object, whoever's they are: another account's, or such as were put again."""
    filled = made_filled(MemoryMedium())
    erasures = order(filled, digest_of(PHOTO))
    filled.ship()
    kept = MemoryBlobs()
    kept.put(PHOTO)
    changes: list[str] = []
    assert isinstance(filled.medium, MemoryMedium)
    filled.medium.after = lambda operation, name: changes.append(name) if operation == "remove" else None
    assert erase_from(filled.vault, erasures, kept) == Emptied(packs=1)
    assert [name for name in changes if name.startswith(BLOBS)] == []
