"""Generations of the accounts' folder: which names lie there is all the state there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from keepwell.ground import durable
from keepwell.storage.generations import (
    ACCOUNTS,
    DISCARDED,
    NEXT,
    PREVIOUS,
    READY,
    UNDONE,
    SharedHold,
    begin,
    discard,
    settle,
    switch,
    switch_back,
    unsettled,
)


@pytest.mark.parametrize(
    ("names", "rename"),
    [
        ({ACCOUNTS}, None),
        ({ACCOUNTS, PREVIOUS}, None),
        ({ACCOUNTS, UNDONE}, None),
        ({ACCOUNTS, READY}, (READY, NEXT)),
        ({ACCOUNTS, READY, PREVIOUS}, (READY, NEXT)),
        ({READY, PREVIOUS}, (READY, ACCOUNTS)),
        ({PREVIOUS, UNDONE}, (PREVIOUS, ACCOUNTS)),
        ({READY}, None),
        ({PREVIOUS}, None),
        ({UNDONE}, None),
        (set(), None),
    ],
)
def test_a_start_finishes_what_was_begun_and_nothing_else(names: set[str], rename: tuple[str, str] | None) -> None:
    """A generation is put in place only where the one that was served made way for it."""
    assert unsettled(names) == rename


def built(data: Path, text: str) -> None:
    begin(data)
    (data / NEXT / "ab").mkdir()
    (data / NEXT / "ab" / "file").write_text(text)


def served(data: Path) -> str:
    return (data / ACCOUNTS / "ab" / "file").read_text()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / ACCOUNTS / "ab").mkdir(parents=True)
    (tmp_path / ACCOUNTS / "ab" / "file").write_text("old")
    return tmp_path


def test_what_is_kept_is_what_was_served_last(data: Path) -> None:
    """An upgrade discards what the one before it kept."""
    for text in ("new", "newer"):
        built(data, text)
        switch(data)
    assert served(data) == "newer"
    assert (data / PREVIOUS / "ab" / "file").read_text() == "new"
    assert not (data / DISCARDED).exists()


def test_going_back_and_forth_again(data: Path) -> None:
    """What was taken back is kept until the next upgrade, which discards it."""
    built(data, "new")
    switch(data)
    switch_back(data)
    assert served(data) == "old"
    assert (data / UNDONE / "ab" / "file").read_text() == "new"
    built(data, "newer")
    switch(data)
    assert served(data) == "newer"
    assert not (data / UNDONE).exists()


def test_every_rename_is_synced_before_the_next(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a power cut could keep the second of two and lose the first."""
    events: list[str] = []
    rename = Path.rename
    monkeypatch.setattr(Path, "rename", lambda self, other: (events.append("rename"), rename(self, other)))
    monkeypatch.setattr(
        durable, "_sync", lambda how, number: events.append(Path(f"/proc/self/fd/{number}").readlink().name)
    )
    built(data, "new")
    events.clear()
    switch(data)
    assert events[:2] == ["ab", NEXT]
    assert events[2:] == ["rename", data.name] * 3


def test_discarding_never_leaves_half_a_generation_under_its_name(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is renamed first; what a crash leaves then goes with the next."""
    built(data, "new")
    monkeypatch.setattr("shutil.rmtree", lambda *_words, **_options: None)
    discard(data, NEXT)
    assert not (data / NEXT).exists()
    assert (data / DISCARDED / "ab" / "file").exists()
    monkeypatch.undo()
    discard(data, NEXT)
    assert not (data / DISCARDED).exists()


def test_whoever_opens_settles_first(data: Path) -> None:
    """The rename is done before the hold is given, and several may hold after it."""
    built(data, "new")
    (data / NEXT).rename(data / READY)
    (data / ACCOUNTS).rename(data / PREVIOUS)
    holds = [SharedHold(data), SharedHold(data)]
    assert served(data) == "new"
    for hold in holds:
        hold.release()
        hold.release()
    settle(data)
    assert served(data) == "new"
