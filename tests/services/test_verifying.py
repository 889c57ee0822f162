"""Paced verification goes through a vault in slices, remembers where it is, and when everything was proven last."""

from __future__ import annotations

from pathlib import Path

import pytest

from keepwell.services import verifying as module
from keepwell.services.verified import FILE, VerifiedFile
from keepwell.services.verifying import PASS_SECONDS, Verifying, next_slice
from keepwell.vault.medium import ObjectInfo
from keepwell.vault.memory_medium import MemoryMedium
from keepwell.vault.verify import Grade
from tests.vault.filled import Filled, filled
from tests.vault.journals import ANNA, BERT

OBJECTS = [ObjectInfo("a", 10), ObjectInfo("b", 10), ObjectInfo("c", 50), ObjectInfo("d", 0)]


@pytest.mark.parametrize(
    ("after", "octets", "names"),
    [("", 20, "ab"), ("", 5, "a"), ("a", 10, "b"), ("b", 10, "c"), ("", 1000, "abcd"), ("c", 1, "d"), ("d", 1, "")],
)
def test_a_slice_is_what_fits_and_one_object_at_least(after: str, octets: int, names: str) -> None:
    """An object larger than a slice is a slice of its own, so every pass comes to its end."""
    assert [one.name for one in next_slice(OBJECTS, after, octets)] == list(names)


@pytest.fixture
def here() -> Filled:
    return filled()


def made(here: Filled, folder: Path) -> tuple[Verifying, VerifiedFile]:
    return Verifying(lambda name: VerifiedFile(folder / name), here.clock), VerifiedFile(folder / "here")


def memory(here: Filled) -> MemoryMedium:
    assert isinstance(here.medium, MemoryMedium)
    return here.medium


def test_a_pass_over_content_reads_every_object_once_and_again_a_day_later(
    here: Filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slice by slice, whatever process goes on with it; then nothing is due until the day is over."""
    monkeypatch.setattr(module, "SLICE_OCTETS", 1000)
    _, file = made(here, tmp_path)
    slices = 0
    while Grade.CONTENT not in file.read().grades:
        made(here, tmp_path)[0].verify_slice_of_content(here.vault)
        slices += 1
    known = file.read()
    listed = list(here.medium.list())
    assert slices > 5
    assert not known.passes
    proven = known.grades[Grade.CONTENT]
    assert (proven.objects, proven.octets) == (len(listed), sum(one.size for one in listed))
    paced, _ = made(here, tmp_path)
    assert paced.verify_slice_of_content(here.vault).objects == 0
    here.clock.advance(PASS_SECONDS[Grade.CONTENT])
    assert paced.verify_slice_of_content(here.vault).objects > 0


def test_what_a_slice_finds_is_answered_at_once_and_kept(
    here: Filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The finding is in the answer of its slice, and in what the pass came to."""
    monkeypatch.setattr(module, "SLICE_OCTETS", 1)
    name = next(one.name for one in here.medium.list("blobs/"))
    memory(here).replace(name, b"other bytes")
    paced, file = made(here, tmp_path)
    found = []
    while Grade.CONTENT not in file.read().grades:
        found += paced.verify_slice_of_content(here.vault).findings
    assert [one.object for one in found] == [name]
    assert file.read().grades[Grade.CONTENT].damaged == 1
    assert file.read().grades[Grade.CONTENT].findings == tuple(found)


def test_a_pass_over_records_takes_one_account_at_a_time(here: Filled, tmp_path: Path) -> None:
    """Both accounts, then the end; the age is remembered."""
    paced, file = made(here, tmp_path)
    assert paced.verify_slice_of_records(here.vault).objects == len(here.vault.frames(ANNA))
    assert file.read().passes[Grade.RECORDS].after == ANNA
    assert paced.verify_slice_of_records(here.vault).objects == len(here.vault.frames(BERT))
    paced.verify_slice_of_records(here.vault)
    assert file.read().grades[Grade.RECORDS].damaged == 0
    assert paced.verify_slice_of_records(here.vault).objects == 0


def test_a_whole_verification_counts_for_the_grades_below(here: Filled, tmp_path: Path) -> None:
    """Whoever proved every record proved every byte."""
    paced, file = made(here, tmp_path)
    paced.look(here.vault)
    assert set(file.read().grades) == {Grade.EXISTENCE}
    paced.verify(here.vault, Grade.RECORDS)
    assert set(file.read().grades) == set(Grade)


def test_a_file_that_cannot_be_read_counts_as_never_verified(here: Filled, tmp_path: Path) -> None:
    """It is made anew."""
    paced, file = made(here, tmp_path)
    paced.look(here.vault)
    assert paced.look(here.vault).objects == 0
    (tmp_path / "here" / FILE).write_bytes(b"{")
    assert file.read().grades == {}
    paced.look(here.vault)
    assert set(file.read().grades) == {Grade.EXISTENCE}
