"""Packs: frames that prove themselves, an index on the last line, and plain zstd for everybody else."""

import json
import random
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest
from pyrage.x25519 import Identity

from keepwell.model.errors import Damaged, Locked
from keepwell.vault.keys import make_keys
from keepwell.vault.layout import pack_name, proves_itself
from keepwell.vault.pack import FRAME_OCTETS_MAX, Frame, PackIndex, read_frame, read_index, render_pack
from keepwell.vault.sealing import AgeSeal, PlainSeal, Seal
from tests.vault.journals import ANNA, BERT, Journal

PLAIN = PlainSeal()


def two_journals() -> tuple[Journal, Journal]:
    anna, bert = Journal(ANNA), Journal(BERT)
    for number in range(5):
        anna.put(f"friend {number}", f"BEGIN:VCARD\r\nFN:Bøb {number}\r\nEND:VCARD\r\n".encode())
    bert.put("one", b"\xff\xfe no text")
    return anna, bert


def packed(*journals: Journal, seal: Seal = PLAIN) -> tuple[bytes, PackIndex]:
    runs = [journal.run() for journal in journals]
    return render_pack(runs, vault="v_test", epoch=1, at="2026-11-23T09:00:00.000000Z", seal=seal)


def frame_bytes(stored: bytes, frame: Frame) -> bytes:
    return stored[frame.offset : frame.offset + frame.length]


def test_each_account_is_read_by_the_bytes_of_its_frame() -> None:
    """The index leads to a frame, and the frame alone gives the account's records."""
    anna, bert = two_journals()
    stored, index = packed(anna, bert)
    assert read_index(stored[-2000:]) == index
    for frame, journal in zip(index.frames, (anna, bert), strict=True):
        lines = read_frame(frame_bytes(stored, frame), frame, PLAIN)
        assert [(one.record, one.body) for one in lines] == [(one.record, one.body) for one in journal.carried]


def test_an_index_that_is_longer_than_what_was_read_is_asked_for_again() -> None:
    """Too little of the end is no error: the answer says that more is needed."""
    stored, _ = packed(*two_journals())
    assert read_index(stored[-20:]) is None


def test_zstdcat_prints_every_record_and_tail_the_index(tmp_path: Path) -> None:
    """Standard tools read a pack: the index is passed over by zstd, and is the last line for tail."""
    for tool in ("zstdcat", "tail"):
        assert shutil.which(tool), f"{tool} is not there; install it with: apt-get install zstd coreutils"
    anna, bert = two_journals()
    stored, index = packed(anna, bert)
    path = tmp_path / "pack.jsonl.zst"
    path.write_bytes(stored)
    printed = subprocess.run(["zstdcat", path], capture_output=True, check=True).stdout
    hashes = [json.loads(line)["hash"] for line in printed.splitlines()]
    assert hashes == [one.record.hash for journal in (anna, bert) for one in journal.carried]
    last = subprocess.run(["tail", "-n", "1", path], capture_output=True, check=True).stdout
    assert [frame["last"] for frame in json.loads(last)["frames"]] == [frame.last for frame in index.frames]


def test_every_flipped_bit_is_found_by_the_name() -> None:
    """The name has the hash of the stored bytes: no byte can change unseen."""
    stored, _ = packed(*two_journals())
    name = pack_name(stored, sealed=False)
    assert proves_itself(name, stored)
    for place in range(len(stored)):
        assert not proves_itself(name, stored[:place] + bytes([stored[place] ^ 1]) + stored[place + 1 :])


def test_every_flipped_bit_of_a_frame_is_found_by_reading() -> None:
    """Reading a frame alone gives the right records or Damaged, whatever bit is flipped in it."""
    anna, _ = two_journals()
    stored, index = packed(anna)
    frame = index.frames[0]
    octets = frame_bytes(stored, frame)
    chance = random.Random(1)
    for place in range(len(octets)):
        flipped = octets[:place] + bytes([octets[place] ^ (1 << chance.randrange(8))]) + octets[place + 1 :]
        try:
            lines = read_frame(flipped, frame, PLAIN)
        except Damaged:
            continue
        assert [one.record for one in lines] == [one.record for one in anna.carried]


def test_an_index_that_lies_is_found() -> None:
    """The index is plain JSON that nothing proves: what it says of a frame must be what the records say."""
    anna, bert = two_journals()
    stored, index = packed(anna, bert)
    ours, other = index.frames
    swapped = Frame(
        **{name: getattr(ours, name) for name in ours.__struct_fields__}
        | {"offset": other.offset, "length": other.length, "octets": other.octets}
    )
    with pytest.raises(Damaged):
        read_frame(frame_bytes(stored, swapped), swapped, PLAIN)


def test_a_frame_that_unpacks_to_more_than_the_index_says_is_refused() -> None:
    """Unpacking stops at the length that the index says: a frame cannot fill the memory."""
    anna, _ = two_journals()
    stored, index = packed(anna)
    frame = index.frames[0]
    less = Frame(**{name: getattr(frame, name) for name in frame.__struct_fields__} | {"octets": 10})
    with pytest.raises(Damaged, match="not the 10 bytes"):
        read_frame(frame_bytes(stored, frame), less, PLAIN)


def test_an_encrypted_frame_is_read_with_a_key_alone() -> None:
    """Each frame is sealed for itself; without a key it is Locked, and the index still tells what is there."""
    keys = make_keys(Identity.generate())
    anna, bert = two_journals()
    stored, _ = packed(anna, bert, seal=AgeSeal(keys.recipients().public_keys()))
    index = read_index(stored[-2000:])
    assert index is not None
    frame = index.frames[1]
    with pytest.raises(Locked):
        read_frame(frame_bytes(stored, frame), frame, AgeSeal(keys.recipients().public_keys()))
    seal = AgeSeal(keys.recipients().public_keys(), [keys.recovery])
    assert len(read_frame(frame_bytes(stored, frame), frame, seal)) == len(bert.carried)
    assert b"friend" not in stored


def test_an_index_of_a_newer_format_is_refused_with_a_hint() -> None:
    """What it says may mean something else."""
    _, index = packed(*two_journals())
    newer = b"\n" + msgspec.json.encode(msgspec.structs.replace(index, pack=2)) + b"\n"
    with pytest.raises(Damaged, match="format 2") as caught:
        read_index(newer)
    assert "newer Keepwell" in caught.value.hint


def test_what_the_index_says_of_a_frames_length_must_be_so() -> None:
    """Fewer bytes than it says, more unpacked than may be in one frame, and an end that is another record."""
    anna, _ = two_journals()
    stored, index = packed(anna)
    frame = index.frames[0]
    octets = frame_bytes(stored, frame)
    with pytest.raises(Damaged, match="bytes are there"):
        read_frame(octets[:-1], frame, PLAIN)
    with pytest.raises(Damaged, match="cannot be in one frame"):
        read_frame(octets, msgspec.structs.replace(frame, octets=FRAME_OCTETS_MAX + 1), PLAIN)
    for said in ({"last": frame.last + 1}, {"head": "0" * 64}):
        with pytest.raises(Damaged, match=f"end with record {frame.last}"):
            read_frame(octets, msgspec.structs.replace(frame, **said), PLAIN)
