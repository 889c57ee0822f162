"""The catalogue: coverage is the unbroken run from the first record, and nothing behind a gap counts."""

from keepwell.model.record import Op
from keepwell.storage.contract import Head
from keepwell.vault.catalogue import NOTHING, Catalogue, Pack
from keepwell.vault.lines import Line
from keepwell.vault.pack import render_pack
from keepwell.vault.sealing import PlainSeal
from tests.vault.journals import ANNA, BERT, Journal


def pack(name: str, journal: Journal, first: int, last: int) -> Pack:
    run = journal.run(first, last)
    stored, index = render_pack([run], vault="v", epoch=1, at="", seal=PlainSeal())
    return Pack(name, len(stored), index)


def journal_of(count: int) -> Journal:
    journal = Journal()
    while len(journal.carried) < count:
        journal.put(f"{len(journal.carried)}")
    return journal


def head(journal: Journal, seq: int) -> Head:
    return Head(seq, journal.carried[seq - 1].record.hash)


def test_an_empty_vault_has_nothing() -> None:
    """Of an account that never came the head is sequence 0."""
    assert Catalogue().head(ANNA) == NOTHING


def test_successive_packs_cover() -> None:
    """Frames that follow each other are one run, in whatever order they were told."""
    journal, catalogue = journal_of(9), Catalogue()
    for name, first, last in (("c", 7, 9), ("a", 1, 3), ("b", 4, 6)):
        catalogue.add_pack(pack(name, journal, first, last))
    assert catalogue.head(ANNA) == head(journal, 9)
    assert [ref.pack for ref in catalogue.covering(ANNA)] == ["a", "b", "c"]


def test_what_lies_behind_a_gap_does_not_count() -> None:
    """A missing pack ends the coverage, and it goes on when that pack is there again."""
    journal, catalogue = journal_of(9), Catalogue()
    catalogue.add_pack(pack("a", journal, 1, 3))
    catalogue.add_pack(pack("c", journal, 7, 9))
    assert catalogue.head(ANNA) == head(journal, 3)
    catalogue.add_pack(pack("b", journal, 4, 6))
    assert catalogue.head(ANNA) == head(journal, 9)


def test_a_merged_pack_stands_for_those_it_merged() -> None:
    """Of frames that overlap the one that leads farthest is used."""
    journal, catalogue = journal_of(9), Catalogue()
    for name, first, last in (("a", 1, 3), ("b", 4, 6), ("all", 1, 6), ("c", 5, 9)):
        catalogue.add_pack(pack(name, journal, first, last))
    assert [ref.pack for ref in catalogue.covering(ANNA)] == ["all", "c"]
    catalogue.drop_pack("all")
    assert [ref.pack for ref in catalogue.covering(ANNA)] == ["a", "b", "c"]


def test_a_frame_that_does_not_follow_is_not_joined() -> None:
    """A frame whose `prev` is not the head before it belongs to another history."""
    journal, other, catalogue = journal_of(6), journal_of(3), Catalogue()
    other.add(Op.CLOSE)
    other.put("else")
    catalogue.add_pack(pack("a", journal, 1, 4))
    catalogue.add_pack(pack("other", other, 5, 5))
    assert catalogue.head(ANNA) == head(journal, 4)


def test_tails_go_on_from_packs() -> None:
    """Records of a tail count where they follow what packs have, also when a part is in both."""
    journal, catalogue = journal_of(9), Catalogue()
    catalogue.add_pack(pack("a", journal, 1, 5))
    catalogue.add_tail(Line(one.record, one.body) for one in journal.carried[3:8])
    assert (catalogue.packed_head(ANNA), catalogue.head(ANNA)) == (head(journal, 5), head(journal, 8))


def test_a_tail_alone_counts_from_the_first_record() -> None:
    """Before the first pack a tail is all there is."""
    journal, catalogue = Journal(BERT), Catalogue()
    catalogue.add_tail(Line(one.record, one.body) for one in journal.carried)
    assert catalogue.head(BERT) == head(journal, 2)
    assert catalogue.accounts() == [BERT]


def test_a_pack_that_is_told_again_counts_once() -> None:
    """As when it is put while the vault is looked at."""
    journal, catalogue = journal_of(3), Catalogue()
    for _ in range(2):
        catalogue.add_pack(pack("a", journal, 1, 3))
    assert [ref.pack for ref in catalogue.frames(ANNA)] == ["a"]
