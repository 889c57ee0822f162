"""What a copy had comes back into a live account by new records, proven, and nothing that is there is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from keepwell.app.copies import open_copy
from keepwell.ground.clock import render_moment
from keepwell.model.errors import BadRequest, Held, NotThere, PreconditionFailed, Unavailable
from keepwell.model.names import AccountId, Digest, Home, Kind
from keepwell.model.record import Op, Record, digest_of
from keepwell.services.check import Checker
from keepwell.services.copies import Copy, FolderCopy, VaultCopy, account_in
from keepwell.services.indexing import index_again
from keepwell.services.live_plan import Keep
from keepwell.services.live_restore import TRIES_MAX, LiveRestorer, Restored
from keepwell.services.live_then import Wish
from keepwell.services.rewind import Rewinder
from keepwell.storage.contract import Entry
from keepwell.storage.memory import MemoryStore
from keepwell.vault.layout import blob_name
from keepwell.vault.ship import ship
from keepwell.vault.vault import Vault
from tests.services.samples import Desk, card, desk, event
from tests.vault.vaults import damage, new_vault, reopened

PHOTO = b"\xff\xd8photo" * 30_000
"""Large enough to be a blob."""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as found:
        yield found


def shipped(here: Desk) -> Vault:
    """A vault with everything that there is now."""
    vault = new_vault()
    ship(vault, here.keepwell.store, here.keepwell.store.accounts())
    return reopened(vault)


def restorer(here: Desk, copy: Vault | Copy) -> LiveRestorer:
    return LiveRestorer(
        here.keepwell.store, here.keepwell.writers, VaultCopy(copy) if isinstance(copy, Vault) else copy
    )


def restore(here: Desk, copy: Vault | Copy, keep: Keep = Keep.CURRENT, kind: Kind | None = None) -> Restored:
    return restorer(here, copy).restore(here.actor, Wish(here.account, keep, kind))


def sound(here: Desk) -> bool:
    return not Checker(here.keepwell.store).check(here.account)


def test_removed_items_come_back_and_later_changes_stay(here: Desk) -> None:
    """By default nothing that is here changes; what only the copy has is there again, octet for octet."""
    for name in ("bob", "eve", "ida"):
        here.put("contacts", f"{name}.vcf", card(name))
    vault = shipped(here)
    here.remove("contacts", "bob.vcf")
    here.put("contacts", "eve.vcf", card("eve", "Eve Berg"))
    here.put("contacts", "new.vcf", card("new"))
    restored = restore(here, vault)
    assert here.bodies("contacts") == {
        "bob.vcf": card("bob"),
        "eve.vcf": card("eve", "Eve Berg"),
        "ida.vcf": card("ida"),
        "new.vcf": card("new"),
    }
    (tally,) = (one.tally for one in restored.preview.plan.collections if one.tally.items)
    assert (tally.back, tally.same, tally.differ, tally.only_here) == (1, 1, 1, 1)
    assert restored.records == 1
    assert sound(here)


def test_a_preview_changes_nothing(here: Desk) -> None:
    """It tells what would be done and on which record that is based."""
    here.put("contacts", "bob.vcf", card("bob"))
    vault = shipped(here)
    here.remove("contacts", "bob.vcf")
    head = here.head()
    preview = restorer(here, vault).preview(here.actor, Wish(here.account))
    assert not preview.plan.is_empty
    assert (preview.based_on, here.head()) == (head, head)


def test_a_dropped_collection_comes_back_with_everything(here: Desk) -> None:
    """Its properties and its items."""
    here.make("friends", displayname="Friends")
    here.put("friends", "bob.vcf", card("bob"))
    vault = shipped(here)
    here.drop("friends")
    restore(here, vault)
    assert here.bodies("friends") == {"bob.vcf": card("bob")}
    with here.keepwell.library.reading(here.account) as snapshot:
        found = snapshot.collection(Home.CONTACTS, "friends")
        assert found is not None
        assert found.properties == {"displayname": "Friends"}


def test_only_the_kind_that_was_asked_for_comes_back(here: Desk) -> None:
    """The others stay as they are."""
    here.put("contacts", "bob.vcf", card("bob"))
    here.put("calendar", "tea.ics", event("tea"), Home.CALENDARS)
    vault = shipped(here)
    here.remove("contacts", "bob.vcf")
    here.remove("calendar", "tea.ics", Home.CALENDARS)
    restore(here, vault, kind=Kind.CALENDAR)
    assert here.bodies("contacts") == {}
    assert here.bodies("calendar", Home.CALENDARS) == {"tea.ics": event("tea")}


@pytest.mark.parametrize("keep", list(Keep))
def test_repeating_adds_nothing(here: Desk, keep: Keep) -> None:
    """The second time everything is there."""
    here.put("contacts", "bob.vcf", card("bob"))
    here.put("contacts", "eve.vcf", card("eve"))
    here.put("calendar", "tea.ics", event("tea"), Home.CALENDARS)
    vault = shipped(here)
    here.put("contacts", "bob.vcf", card("bob").replace(b"N:Berg", b"TEL:1\r\nN:Berg"))
    here.remove("contacts", "eve.vcf")
    here.put("calendar", "tea.ics", event("tea", "Dinner"), Home.CALENDARS)
    assert restore(here, vault, keep).records
    assert restore(here, vault, keep).records == 0
    assert sound(here)


def test_both_versions_are_kept_octet_for_octet(here: Desk) -> None:
    """The copy's version comes into a collection beside, with its own bytes and UID."""
    here.put("contacts", "bob.vcf", card("bob"))
    vault = shipped(here)
    here.put("contacts", "bob.vcf", card("bob", "Robert Berg"))
    restore(here, vault, Keep.BOTH)
    beside = f"contacts (restored {here.clock.now():%Y-%m-%d})"
    assert here.bodies("contacts") == {"bob.vcf": card("bob", "Robert Berg")}
    assert here.bodies(beside) == {"bob.vcf": card("bob")}


def test_the_collections_of_the_copy_become_what_they_were(here: Desk) -> None:
    """With `restored`; collections that the copy does not know stay."""
    here.put("contacts", "bob.vcf", card("bob"))
    vault = shipped(here)
    here.put("contacts", "bob.vcf", card("bob", "Robert Berg"))
    here.put("contacts", "new.vcf", card("new"))
    here.make("later")
    restore(here, vault, Keep.RESTORED)
    assert here.bodies("contacts") == {"bob.vcf": card("bob")}
    assert here.bodies("later") == {}


def lined(*lines: str) -> bytes:
    return "\r\n".join(["BEGIN:VCARD", "VERSION:3.0", "UID:bob", *lines, "END:VCARD", ""]).encode()


def test_lost_lines_of_contacts_are_merged_into_what_is_there(here: Desk) -> None:
    """A name that was changed since stays changed; a telephone number that went comes back."""
    here.put("contacts", "bob.vcf", lined("FN:Bob", "TEL:1"))
    vault = shipped(here)
    here.put("contacts", "bob.vcf", lined("FN:Robert", "EMAIL:b@example.org"))
    restore(here, vault, Keep.MERGE)
    assert here.bodies("contacts") == {"bob.vcf": lined("FN:Robert", "EMAIL:b@example.org", "TEL:1")}
    assert here.collections(Home.CONTACTS) == ["contacts"]


def other_server(here: Desk) -> MemoryStore:
    """Another server with the same data until now, which goes on by itself."""
    store = MemoryStore(here.clock)
    for account in here.keepwell.store.accounts():
        with here.keepwell.store.account(account).reading() as snapshot:
            store.restore(account, snapshot.carried(), index_again)
    return store


def put_there(here: Desk, store: MemoryStore, name: str, uid: str, body: bytes) -> None:
    """Put a card into the same account on the other server."""
    entry = Entry(Op.PUT, "there", Kind.CONTACTS, "contacts", name, uid, "text/vcard", digest_of(body), len(body))
    (verdict,) = store.account(here.account).transact([lambda transaction: transaction.append(entry, body)])
    assert not isinstance(verdict, BaseException)


def test_what_both_sides_changed_is_merged_from_where_they_parted(here: Desk) -> None:
    """The name that only the copy changed is taken, lines of both stay; where both changed the name, both are kept."""
    here.put("contacts", "bob.vcf", lined("FN:Bob", "TEL:1"))
    here.put("contacts", "eve.vcf", card("eve", "Eve"))
    store = other_server(here)
    put_there(here, store, "bob.vcf", "bob", lined("FN:Robert", "TEL:1", "TEL:2"))
    put_there(here, store, "eve.vcf", "eve", card("eve", "Eva"))
    here.put("contacts", "bob.vcf", lined("FN:Bob", "TEL:1", "NOTE:here"))
    here.put("contacts", "eve.vcf", card("eve", "Evi"))
    restore(here, FolderCopy("there", store), Keep.MERGE)
    beside = f"contacts (restored {here.clock.now():%Y-%m-%d})"
    assert here.bodies("contacts") == {
        "bob.vcf": lined("TEL:1", "NOTE:here", "FN:Robert", "TEL:2"),
        "eve.vcf": card("eve", "Evi"),
    }
    assert here.bodies(beside) == {"eve.vcf": card("eve", "Eva")}


def test_the_state_of_a_moment_or_a_record_comes_back(here: Desk) -> None:
    """Not only the newest that the copy has."""
    here.put("contacts", "bob.vcf", card("bob"))
    then, moment = here.head(), render_moment(here.clock.now())
    here.remove("contacts", "bob.vcf")
    here.put("contacts", "eve.vcf", card("eve"))
    vault = shipped(here)
    here.remove("contacts", "eve.vcf")
    for wish in (Wish(here.account, sequence=then), Wish(here.account, moment=moment)):
        preview = restorer(here, vault).preview(here.actor, wish)
        assert preview.sequence == then
        assert [one.step.name for plan in preview.plan.collections for one in plan.placed] == ["bob.vcf"]


@pytest.mark.parametrize("wish", [{"sequence": 999}, {"moment": "2020-01-01T00:00:00.000000Z"}])
def test_a_moment_that_the_copy_does_not_have_is_refused(here: Desk, wish: dict[str, object]) -> None:
    """It never takes another state for the one that was asked for."""
    vault = shipped(here)
    with pytest.raises(NotThere):
        restorer(here, vault).preview(here.actor, msgspec.convert(wish | {"account": here.account}, Wish))


def test_bytes_that_are_gone_here_come_from_the_vault(here: Desk) -> None:
    """A photograph whose blob was lost in the store is put back with the vault's bytes."""
    here.put("photos", "sea.jpg", PHOTO, Home.PHOTOS)
    vault = shipped(here)
    here.remove("photos", "sea.jpg", Home.PHOTOS)
    blob_file(here, PHOTO).unlink()
    restore(here, vault)
    assert here.bodies("photos", Home.PHOTOS) == {"sea.jpg": PHOTO}
    assert sound(here)


def test_an_item_that_is_here_without_its_bytes_gets_them_back(here: Desk) -> None:
    """It is the same item, so it needs no record; only those bytes come that are not here."""
    here.put("photos", "sea.jpg", PHOTO, Home.PHOTOS)
    here.put("contacts", "bob.vcf", card("bob"))
    vault = shipped(here)
    blob_file(here, PHOTO).unlink()
    preview = restorer(here, vault).preview(here.actor, Wish(here.account))
    assert (preview.plan.is_empty, preview.supplies) == (True, (digest_of(PHOTO),))
    assert restore(here, vault).records == 0
    assert here.bodies("photos", Home.PHOTOS) == {"sea.jpg": PHOTO}
    assert restorer(here, vault).preview(here.actor, Wish(here.account)).is_empty
    assert sound(here)


def test_bytes_that_nothing_has_are_told_and_the_rest_comes_back(here: Desk) -> None:
    """An item without bytes is never put; with `restored` what has its name here stays."""
    here.put("photos", "sea.jpg", PHOTO, Home.PHOTOS)
    here.put("photos", "sun.jpg", PHOTO + b"1", Home.PHOTOS)
    here.put("photos", "sky.jpg", PHOTO + b"2", Home.PHOTOS)
    vault = shipped(here)
    here.remove("photos", "sea.jpg", Home.PHOTOS)
    here.remove("photos", "sky.jpg", Home.PHOTOS)
    here.put("photos", "sun.jpg", b"new", Home.PHOTOS)
    for body in (PHOTO, PHOTO + b"1"):
        blob_file(here, body).unlink()
        vault.medium.remove(blob_name(digest_of(body)))
    restored = restore(here, vault, Keep.RESTORED)
    assert [one.name for one in restored.preview.missing] == ["sea.jpg", "sun.jpg"]
    assert here.bodies("photos", Home.PHOTOS) == {"sky.jpg": PHOTO + b"2", "sun.jpg": b"new"}
    (tally,) = (one.tally for one in restored.preview.plan.collections if one.kind is Kind.PHOTOS)
    assert (tally.missing, tally.back) == (2, 1)


def test_bytes_that_were_erased_for_good_stay_erased(here: Desk) -> None:
    """Though the copy still has them."""
    here.put("contacts", "bob.vcf", card("bob"))
    here.put("contacts", "eve.vcf", card("eve"))
    vault = shipped(here)
    here.remove("contacts", "bob.vcf")
    here.remove("contacts", "eve.vcf")
    here.keepwell.store.account(here.account).erase(here.head(), [digest_of(card("bob"))])
    restored = restore(here, vault)
    assert [one.name for one in restored.preview.missing] == ["bob.vcf"]
    assert here.bodies("contacts") == {"eve.vcf": card("eve")}


def blob_file(here: Desk, body: bytes) -> Path:
    (found,) = (here.keepwell.data / "blobs").rglob(digest_of(body))
    return found


def test_nested_folders_come_back(here: Desk) -> None:
    """With what lies in them, however deep."""
    for folder in ("photos/sea", "photos/sea/2026"):
        here.make(folder, Kind.PHOTOS, Home.PHOTOS)
    here.put("photos/sea/2026", "1.jpg", b"one", Home.PHOTOS)
    vault = shipped(here)
    here.drop("photos/sea", Home.PHOTOS)
    restore(here, vault)
    assert here.bodies("photos/sea/2026", Home.PHOTOS) == {"1.jpg": b"one"}
    assert sound(here)


def test_it_is_undone_by_a_rewind(here: Desk) -> None:
    """Each collection that was changed is told, and so is the record to rewind to."""
    here.put("contacts", "bob.vcf", card("bob"))
    vault = shipped(here)
    here.put("contacts", "bob.vcf", card("bob", "Robert Berg"))
    here.put("contacts", "new.vcf", card("new"))
    before = here.ledger()
    restored = restore(here, vault, Keep.BOTH)
    assert here.ledger() != before
    rewinder = Rewinder(here.keepwell.store, here.keepwell.writers)
    for spot in restored.changed:
        rewinder.rewind(here.actor, rewinder.preview(here.actor, spot, restored.based_on)).result()
    assert here.ledger() == before


class Meddling:
    """A copy that is asked for bytes just before they are written; a device is faster each time it is told to be."""

    def __init__(self, here: Desk, copy: Copy, times: int) -> None:
        self._here = here
        self._copy = copy
        self._times = times
        self._asked = 0
        self.name = copy.name
        self.is_vault = False

    def accounts(self) -> list[AccountId]:
        return self._copy.accounts()

    def records(self, account: AccountId) -> Iterator[Record]:
        return self._copy.records(account)

    def bodies(self, account: AccountId, digests: set[Digest]) -> Iterator[tuple[Digest, bytes]]:
        self._asked += 1
        if self._asked % 2 == 0 and self._asked <= 2 * self._times:
            self._here.put("contacts", f"{self._asked}.vcf", card(f"{self._asked}"))
        return self._copy.bodies(account, digests)

    def faults(self) -> list[str]:
        return self._copy.faults()


def lacking(here: Desk) -> FolderCopy:
    """A copy with a card that was never here, so that its bytes are asked for."""
    store = other_server(here)
    put_there(here, store, "bob.vcf", "bob", card("bob"))
    return FolderCopy("there", store)


def test_a_device_that_was_faster_loses_nothing(here: Desk) -> None:
    """What changed between plan and write makes everything be planned again."""
    restore(here, Meddling(here, lacking(here), 1))
    assert here.bodies("contacts") == {"bob.vcf": card("bob"), "2.vcf": card("2")}


def test_a_caller_who_names_a_record_gets_that_state_or_nothing(here: Desk) -> None:
    """A preview that is not true any more is not carried out."""
    meddling = Meddling(here, lacking(here), 1)
    with pytest.raises(PreconditionFailed):
        restorer(here, meddling).restore(here.actor, Wish(here.account), only_if_based_on=here.head())
    assert "bob.vcf" not in here.bodies("contacts")
    with pytest.raises(PreconditionFailed):
        restorer(here, meddling).restore(here.actor, Wish(here.account), only_if_based_on=here.head() - 1)
    restorer(here, meddling).restore(here.actor, Wish(here.account), only_if_based_on=here.head())
    assert "bob.vcf" in here.bodies("contacts")


def test_an_account_that_never_stands_still_is_told(here: Desk) -> None:
    """After some tries the operator is asked to repeat it."""
    with pytest.raises(Unavailable):
        restore(here, Meddling(here, lacking(here), TRIES_MAX))
    assert "bob.vcf" not in here.bodies("contacts")


def test_an_account_that_was_added_anew_is_found_by_its_login(here: Desk) -> None:
    """What another account had under the same login comes into the one that has it now."""
    store = other_server(here)
    put_there(here, store, "bob.vcf", "bob", card("bob"))
    copy = FolderCopy("there", store)
    assert account_in(copy, "anna", here.account) == here.account
    assert account_in(copy, "anna", AccountId("a_bertbertbertbert")) == here.account
    with pytest.raises(NotThere):
        account_in(copy, "bert", AccountId("a_bertbertbertbert"))


def test_a_data_folder_is_a_copy_and_the_live_one_is_none(here: Desk, tmp_path: Path) -> None:
    """A folder of another server is opened by its path; that which is served is refused."""
    with desk(tmp_path / "other") as there:
        there.put("contacts", "bob.vcf", card("bob"))
    with open_copy(here.keepwell, str(tmp_path / "other" / "data")) as copy:
        restorer(here, copy).restore(here.actor, Wish(there.account))
    assert here.bodies("contacts") == {"bob.vcf": card("bob")}
    with pytest.raises(BadRequest), open_copy(here.keepwell, str(here.keepwell.data)):
        pass
    with pytest.raises(NotThere), open_copy(here.keepwell, str(tmp_path)):
        pass


def test_what_is_held_because_another_copy_may_have_more_is_not_written_to(here: Desk) -> None:
    """A journal of which the end may be elsewhere gets no new records, not even the operator's."""
    here.put("contacts", "bob.vcf", card("bob"))
    vault = shipped(here)
    here.remove("contacts", "bob.vcf")
    here.keepwell.store.account(here.account).hold({Kind.SYSTEM: "records may be missing"})
    with pytest.raises(Held):
        restore(here, vault)
    here.keepwell.store.account(here.account).hold({Kind.CONTACTS: "items are missing"})
    restore(here, vault)
    here.keepwell.store.account(here.account).hold({})
    assert here.bodies("contacts") == {"bob.vcf": card("bob")}


def test_the_journal_of_a_damaged_vault_comes_back_as_far_as_it_leads(here: Desk) -> None:
    """What was passed over is told."""
    here.put("contacts", "bob.vcf", card("bob"))
    vault = new_vault()
    ship(vault, here.keepwell.store, [here.account])
    here.put("contacts", "eve.vcf", card("eve"))
    ship(vault, here.keepwell.store, [here.account])
    last = next(pack.name for pack in vault.packs() if pack.index.frames[0].last == here.head())
    damage(vault, last)
    here.remove("contacts", "bob.vcf")
    here.remove("contacts", "eve.vcf")
    copy = VaultCopy(reopened(vault))
    restore(here, copy)
    assert here.bodies("contacts") == {"bob.vcf": card("bob")}
    assert copy.faults()


def test_an_account_that_is_behind_its_vault_is_left_to_the_start(here: Desk) -> None:
    """New records would fork what a start simply continues, whatever moment is wished for."""
    here.put("contacts", "bob.vcf", card("bob"))
    vault = new_vault()
    store = other_server(here)
    put_there(here, store, "eve.vcf", "eve", card("eve"))
    ship(vault, store, store.accounts())
    with pytest.raises(Unavailable, match="leads on"):
        restore(here, reopened(vault))
    with pytest.raises(Unavailable, match="leads on"):
        restorer(here, reopened(vault)).preview(here.actor, Wish(here.account, sequence=here.head()))
    restore(here, FolderCopy("there", store))
    assert set(here.bodies("contacts")) == {"bob.vcf", "eve.vcf"}
