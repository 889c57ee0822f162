"""One opened vault: who may write into it, and what it learns of what others do."""

from __future__ import annotations

import msgspec
import pytest

from keepwell.model.errors import CannotStart, Fenced, NotThere, StorageFault
from keepwell.vault import vault as vaults
from keepwell.vault.layout import VAULT_DOCUMENT, epoch_name, tail_name
from keepwell.vault.lines import render_line
from keepwell.vault.medium import Log
from keepwell.vault.memory_medium import MemoryMedium
from keepwell.vault.vault import Vault, open_vault
from keepwell.vault.verify import Grade, verify
from tests.support.clock import FakeClock
from tests.vault.journals import ANNA, BERT, Journal
from tests.vault.vaults import PLAIN, SERVER, damage, fill, new_vault, reopened


@pytest.fixture
def medium() -> MemoryMedium:
    return MemoryMedium()


@pytest.fixture
def vault(medium: MemoryMedium) -> Vault:
    return new_vault(medium=medium)


def journal_of(count: int) -> Journal:
    journal = Journal()
    while len(journal.carried) < count:
        journal.put(f"card{len(journal.carried)}")
    return journal


def test_where_no_vault_is_none_is_opened() -> None:
    """The hint says how one is added."""
    with pytest.raises(NotThere) as caught:
        open_vault("near", MemoryMedium(), lambda _document: PLAIN, FakeClock())
    assert "vault add" in caught.value.hint


def test_of_two_servers_that_claim_at_once_the_second_takes_the_next_epoch(vault: Vault, medium: MemoryMedium) -> None:
    """The number was free when it was looked up, and taken when it was to be written."""

    def take_first(operation: str, name: str) -> None:
        if operation == "create" and name == epoch_name(2):
            medium.before = lambda _operation, _name: None
            reopened(vault).claim(msgspec.structs.replace(SERVER, server="another"))

    other = reopened(vault)
    medium.before = take_first
    assert other.claim(SERVER) == 3
    assert other.newest_epoch() == 3


@pytest.mark.parametrize("begins", ["claim", "resume"])
def test_what_whoever_writes_has_found_is_durable(vault: Vault, medium: MemoryMedium, begins: str) -> None:
    """A process was killed between writing a line of a tail and its sync: people are shown that record from now on."""
    log = medium.open_log(tail_name(1, "aaaaaaaaaaaaaaaa"))
    assert log is not None

    def killed(_operation: str, _name: str) -> None:
        raise KeyboardInterrupt

    medium.syncing = killed
    with pytest.raises(KeyboardInterrupt):
        log.append(b"a line\n")
    medium.syncing = lambda _operation, _name: None
    next_one = reopened(vault)
    if begins == "claim":
        next_one.claim(SERVER)
    else:
        next_one.resume(1, SERVER.server)
    medium.cut(lambda _most: 0)
    assert medium.read(tail_name(1, "aaaaaaaaaaaaaaaa")).startswith(b"a line\n")


def test_the_epoch_of_another_server_is_not_resumed(vault: Vault) -> None:
    """Only processes of the server that claimed it write in it."""
    with pytest.raises(Fenced):
        reopened(vault).resume(1, "another")
    reopened(vault).resume(1, SERVER.server)


def test_a_vault_that_is_open_for_reading_takes_nothing(vault: Vault) -> None:
    """Without an epoch nobody has the right to write."""
    with pytest.raises(CannotStart, match="reading only"):
        reopened(vault).put_manifest()


def test_an_index_longer_than_what_is_read_at_first_is_read(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pack of very many accounts has such a one."""
    journal = journal_of(5)
    fill(vault, journal)
    monkeypatch.setattr(vaults, "INDEX_OCTETS_GUESS", 50)
    assert reopened(vault).head(ANNA) == vault.head(ANNA)
    assert reopened(vault).problems == []


def test_a_pack_that_another_process_removed_is_forgotten_when_others_have_all_of_it(vault: Vault) -> None:
    """One that nothing stands for is counted on until verifying tells that it is gone."""
    journal, beside = journal_of(9), Journal(BERT)
    small, lost = fill(vault, journal, 1, 4), fill(vault, beside)
    other = reopened(vault)
    other.resume(1, SERVER.server)
    large = fill(other, journal)
    other.remove_pack(small)
    vault.medium.remove(lost)
    vault.refresh()
    assert {pack.name for pack in vault.packs()} == {large, lost}
    assert (vault.head(ANNA).sequence, vault.head(BERT).sequence) == (9, 2)
    assert lost in {one.object for one in verify(vault, Grade.EXISTENCE).findings}


def test_a_pack_that_another_process_removed_is_forgotten_when_several_have_all_of_it(vault: Vault) -> None:
    """It was damaged, and made good from what lay in others already: no manifest may name it again."""
    journal = journal_of(9)
    damaged = fill(vault, journal, 1, 6)
    other = reopened(vault)
    other.resume(1, SERVER.server)
    others = {fill(other, journal, 1, 3), fill(other, journal, 4, 9)}
    other.remove_pack(damaged)
    vault.refresh()
    assert {pack.name for pack in vault.packs()} == others
    vault.medium.remove(fill(vault, Journal(BERT)))
    vault.refresh()
    assert len(vault.packs()) == 3


def test_a_pack_that_goes_while_one_looks_is_told_and_not_counted(vault: Vault, medium: MemoryMedium) -> None:
    """It was listed, and merged away before its index was read; who looks again does not find it."""
    small = fill(vault, journal_of(4))

    def merge_away(operation: str, name: str) -> None:
        if (operation, name) == ("read_range", small):
            medium.take_away(small)

    medium.before = merge_away
    found = reopened(vault)
    assert (found.packs(), [type(one) for one in found.problems]) == ([], [NotThere])
    found.look()
    assert (found.packs(), found.problems) == ([], [])


def test_a_pack_with_a_damaged_index_that_comes_later_is_told_and_not_counted(vault: Vault) -> None:
    """Of which epoch it is nobody can tell: so it may be relied upon by nobody, and it is no stray either."""
    other = reopened(vault)
    other.resume(1, SERVER.server)
    name = fill(other, journal_of(4))
    damage(other, name, other.packs()[0].size - 20)
    vault.refresh()
    assert (vault.packs(), vault.strays) == ([], frozenset())
    assert [name in one.message for one in vault.problems] == [True]


def test_what_is_here_is_published_when_the_manifest_names_it(vault: Vault) -> None:
    """Every pack and no other; whoever looks for the first time sees the same."""
    assert not vault.is_published()
    vault.put_manifest()
    assert vault.is_published()
    name = fill(vault, journal_of(4))
    assert not vault.is_published()
    vault.put_manifest()
    assert (vault.is_published(), reopened(vault).is_published()) == (True, True)
    vault.remove_pack(name)
    assert not vault.is_published()


def test_what_a_server_wrote_after_its_epoch_had_ended_does_not_count(vault: Vault) -> None:
    """Its writer was told that it lost; the pack is told, and nobody relies on it."""
    newer = reopened(vault)
    newer.claim(SERVER)
    with pytest.raises(Fenced):
        fill(vault, journal_of(4))
    newer.refresh()
    assert newer.packs() == []
    [stray] = [info.name for info in newer.medium.list("packs/")]
    messages = {one.object: one.message for one in verify(newer, Grade.EXISTENCE).findings}
    assert "which had ended" in messages[stray]


def test_what_a_server_appends_after_its_epoch_had_ended_does_not_count(vault: Vault, medium: MemoryMedium) -> None:
    """Of its tails counts what its successor found there; a tail that came later counts for nothing."""
    tail = [render_line(one) for one in journal_of(5).carried]
    fill(vault, journal_of(2))
    before = append(vault, "before", tail[2])
    newer = reopened(vault)
    newer.claim(SERVER)
    newer.put_manifest()
    before.append(tail[3])
    after = append(vault, "after", tail[4])
    third = reopened(vault)
    third.claim(SERVER)
    assert third.head(ANNA).sequence == 3
    third.put_manifest()
    after.append(tail[4])
    assert [line.record.facts.seq for line in reopened(vault).tail_lines(ANNA)] == [3]
    third.refresh()
    notes = {one.object: one.message for one in verify(third, Grade.CONTENT).findings}
    assert all("count for nothing" in notes[tail_name(1, word)] for word in ("before", "after"))


def test_of_a_tail_of_an_ended_epoch_the_end_that_a_crash_cut_off_stays_told(vault: Vault) -> None:
    append(vault, "torn", render_line(journal_of(1).carried[0])[:-9])
    append(vault, "empty", b"\n\n")
    newer = reopened(vault)
    newer.claim(SERVER)
    newer.put_manifest()
    again = reopened(vault)
    assert again.broken_ends == [tail_name(1, "torn")]
    assert not again.strays


def append(vault: Vault, word: str, octets: bytes) -> Log:
    """A tail of the vault's epoch that holds these bytes."""
    log = vault.medium.open_log(tail_name(vault.epoch, word))
    assert log is not None
    log.append(octets)
    return log


def test_large_bytes_that_another_is_about_to_put_are_durable_on_return(vault: Vault, medium: MemoryMedium) -> None:
    """Its name can be seen before it is synced; a line of a tail may rely on it."""
    name, body = "", b"photo" * 20_000

    def meanwhile(operation: str, _name: str) -> None:
        nonlocal name
        if operation == "create" and not name:
            name = "under way"
            name = vault.put_blob(body)
            medium.cut(lambda _most: 0)
            assert medium.objects()[name] == body

    medium.syncing = meanwhile
    vault.put_blob(body)
    assert name.startswith("blobs/")


def test_a_fault_of_one_object_is_its_own_while_the_vault_is_there(vault: Vault) -> None:
    """A folder whose disk is not mounted any more is empty: then the fault is the medium's."""
    fault = StorageFault("the disk does not answer")
    vault.require_answers(fault)
    vault.medium.remove(VAULT_DOCUMENT)
    with pytest.raises(StorageFault, match="does not answer"):
        vault.require_answers(fault)
