"""The shared word that says that an account was set aside."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from keepwell.storage.moves import Moves
from tests.support.clock import SeededEntropy


def test_every_process_sees_that_the_word_changed(tmp_path: Path) -> None:
    """What one changes the other sees at once, and nobody changes it by opening or closing."""
    with closing(Moves(tmp_path, SeededEntropy(1))) as one, closing(Moves(tmp_path, SeededEntropy(2))) as other:
        first = one.word()
        assert other.word() == first
        other.note()
        second = one.word()
        assert second != first
        one.note()
        assert other.word() not in {first, second}
        one.close()
        assert one.word() == other.word()


def test_its_octets_have_their_place_on_the_disk_before_they_are_mapped(tmp_path: Path) -> None:
    """Where a full disk does not take what lies in memory, the process would end."""
    (tmp_path / "moves").write_bytes(b"")
    with closing(Moves(tmp_path, SeededEntropy())) as one:
        word = one.word()
        assert (tmp_path / "moves").stat().st_blocks > 0
        one.prepare()
        assert one.word() == word
