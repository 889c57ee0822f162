"""Pieces: what is left in damaged objects of a vault, line by line and frame by frame."""

from __future__ import annotations

import base64
import hashlib
import random

import pytest
from backports import zstd
from pyrage.x25519 import Identity

from keepwell.model.record import Record, digest_of
from keepwell.vault.lines import render_line
from keepwell.vault.pack import PackIndex, Run, render_pack
from keepwell.vault.salvage.pieces import ZSTD_MAGIC, Piece, heads_said, opened_tail, pieces_of, unpacked_frames
from keepwell.vault.sealing import AgeSeal, PlainSeal, Seal
from keepwell.vault.tail import Tail
from tests.vault.journals import ANNA, BERT, Journal

KEY = Identity.generate()
SEALS: dict[str, Seal] = {"plain": PlainSeal(), "encrypted": AgeSeal([str(KEY.to_public())], [KEY])}


def journal_of(count: int, account: str = ANNA, octets: int = 300) -> Journal:
    journal, draw = Journal(type(ANNA)(account)), random.Random(account)
    for number in range(count):
        journal.put(f"card{number}", draw.randbytes(octets).hex().encode())
    return journal


def pack_of(runs: list[Run], seal: Seal) -> tuple[bytes, PackIndex]:
    return render_pack(runs, vault="v_test", epoch=1, at="2026-11-23T08:00:00.000000Z", seal=seal)


def found_in(stored: bytes) -> list[Piece]:
    return [piece for lines in unpacked_frames(stored, [KEY]) for piece in pieces_of(lines)]


def records_in(stored: bytes) -> list[Record]:
    return [piece.record for piece in found_in(stored) if piece.record]


def records_of(*journals: Journal) -> list[Record]:
    return [one.record for journal in journals for one in journal.carried]


def test_a_line_is_lost_alone() -> None:
    """Behind a line that is damaged all others are found."""
    journal = journal_of(5)
    lines = [render_line(one) for one in journal.carried]
    lines[3] = lines[3].replace(b'"op":"put"', b'"op":"pux"')
    found = list(pieces_of(b"".join(lines)))
    assert [piece.record for piece in found] == [*records_of(journal)[:3], None, *records_of(journal)[4:]]


def test_of_a_line_with_a_damaged_record_the_bytes_are_found() -> None:
    """Bytes have a digest of their own: whichever record asks for them may have them."""
    journal = journal_of(1)
    line = render_line(journal.carried[-1]).replace(b'"friends"', b'"fiends"')
    assert list(pieces_of(line)) == [Piece(None, journal.carried[-1].body)]


@pytest.mark.parametrize(
    "change", [(b'"body":"', b'"body":"x'), (b'"body":"', b'"body":"\x00')], ids=["other", "broken"]
)
def test_of_a_line_with_damaged_bytes_the_record_is_found(change: tuple[bytes, bytes]) -> None:
    """The hash does not cover the bytes, so the record proves itself without them."""
    journal = journal_of(1)
    [piece] = pieces_of(render_line(journal.carried[-1]).replace(*change))
    assert piece.record == journal.carried[-1].record
    assert piece.body is None or digest_of(piece.body) != piece.record.facts.digest


def test_a_damaged_hash_proves_nothing() -> None:
    """A record whose hash is another is not taken."""
    journal = journal_of(1)
    hashed = journal.carried[-1].record.hash
    [piece] = pieces_of(render_line(journal.carried[-1]).replace(hashed.encode(), b"0" * 64))
    assert piece.record is None


@pytest.mark.parametrize("seal", SEALS.values(), ids=SEALS)
def test_a_whole_pack_gives_everything(seal: Seal) -> None:
    """Every record of every frame is found, in order."""
    anna, bert = journal_of(20), journal_of(9, BERT)
    stored, _index = pack_of([anna.run(), bert.run()], seal)
    assert records_in(stored) == records_of(anna, bert)


@pytest.mark.parametrize("seal", SEALS.values(), ids=SEALS)
def test_frames_are_found_without_the_index(seal: Seal) -> None:
    """With the index cut off, or a flipped bit in it, every frame is found by its first bytes."""
    anna, bert = journal_of(20), journal_of(9, BERT)
    stored, index = pack_of([anna.run(), bert.run()], seal)
    end = index.frames[-1].offset + index.frames[-1].length
    assert records_in(stored[:end]) == records_of(anna, bert)
    damaged = stored[:-20] + bytes([stored[-20] ^ 1]) + stored[-19:]
    assert records_in(damaged) == records_of(anna, bert)


@pytest.mark.parametrize("seal", SEALS.values(), ids=SEALS)
def test_a_damaged_frame_costs_no_other(seal: Seal) -> None:
    """Wherever a bit of one frame is flipped, all others are found."""
    anna, bert = journal_of(20), journal_of(9, BERT)
    stored, index = pack_of([anna.run(), bert.run()], seal)
    for place in range(0, index.frames[0].length, 97):
        damaged = stored[:place] + bytes([stored[place] ^ 4]) + stored[place + 1 :]
        found = records_in(damaged)
        assert [one for one in found if one.facts.account == BERT] == records_of(bert), place
        assert all(one in records_of(anna, bert) for one in found), place


@pytest.mark.parametrize("seal", SEALS.values(), ids=SEALS)
def test_a_pack_that_breaks_off_gives_what_was_before(seal: Seal) -> None:
    """Of a long frame that is cut off in its second half, the first lines are found."""
    journal = journal_of(3000)
    stored, _index = pack_of([journal.run()], seal)
    found = records_in(stored[: len(stored) * 2 // 3])
    assert found == records_of(journal)[: len(found)]
    assert len(found) > 1000


def test_a_frame_whose_first_bytes_are_damaged_is_found_by_the_index() -> None:
    """The index says where a frame begins, so its damaged first bytes can be put right."""
    anna, bert = journal_of(20), journal_of(9, BERT)
    stored, index = pack_of([anna.run(), bert.run()], PlainSeal())
    start = index.frames[1].offset
    assert records_in(stored[:start] + bytes(4) + stored[start + 4 :]) == records_of(anna, bert)


class Memory:
    """A log in memory."""

    def __init__(self) -> None:
        self.octets = b""

    def append(self, octets: bytes) -> None:
        self.octets += octets

    def size(self) -> int:
        return len(self.octets)

    def close(self) -> None:
        pass


@pytest.mark.parametrize("seal", SEALS.values(), ids=SEALS)
def test_a_tail_is_read_on_behind_a_bad_line(seal: Seal) -> None:
    """Of a tail with a damaged line, and with space at its end, every other line is found."""
    journal, log = journal_of(8), Memory()
    tail = Tail("tails/0000000001-a.jsonl", log, seal)
    ends = [0]
    for one in journal.carried:
        tail.append(render_line(one), {ANNA: (one.record.facts.seq, one.record.hash)})
        ends.append(log.size())
    place = (ends[4] + ends[5]) // 2
    damaged = log.octets[:place] + bytes([log.octets[place] ^ 1]) + log.octets[place + 1 :] + b"\n" * 1000
    found = [piece.record for lines in opened_tail(damaged, [KEY]) for piece in pieces_of(lines) if piece.record]
    records = records_of(journal)
    assert [one for one in found if one != records[4]] == [*records[:4], *records[5:]]


def test_other_keys_open_nothing() -> None:
    """What is encrypted to other keys gives no record, and no error."""
    stored, _index = pack_of([journal_of(3).run()], AgeSeal([str(Identity.generate().to_public())]))
    assert records_in(stored) == []


def test_facts_that_hash_right_and_are_no_record_prove_nothing() -> None:
    """Whoever wrote them, they are of no account."""
    facts = b'{"account":5}'
    line = facts[:-1] + b',"hash":"' + hashlib.sha256(facts).hexdigest().encode() + b'"}'
    assert list(pieces_of(line)) == []


def test_what_a_sealed_line_says_badly_is_passed_over() -> None:
    """Damaged base64, or heads that are none; the other lines count."""
    sealed = base64.b64encode(AgeSeal([str(KEY.to_public())], [KEY]).seal(b"opened")).decode()
    tail = f'{{"heads":{{"a":"b"}},"age":"abc"}}\n{{"heads":{{"{ANNA}":[3,"ff"]}},"age":"{sealed}"}}\n'.encode()
    assert list(opened_tail(tail, [KEY])) == [b"", b"opened"]
    assert list(heads_said(tail)) == [{ANNA: (3, "ff")}]


def test_bytes_within_a_frame_that_look_like_another_are_no_other() -> None:
    """Large bytes that cannot be packed stand in a frame as they are."""
    draw = random.Random(1)
    octets = draw.randbytes(500) + ZSTD_MAGIC + draw.randbytes(500)
    stored = zstd.compress(octets)
    assert stored.count(ZSTD_MAGIC) == 2
    assert list(unpacked_frames(stored * 2, [])) == [octets, octets]
