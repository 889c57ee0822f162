"""The gate: calls are counted over all threads, and each dies, fails, waits or is torn as the rule says."""

from __future__ import annotations

import errno
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from prove.syscalls import CHANGING, PAGE_OCTETS, PASS, Call, Gatehouse, KillAt, Rule, Ruling

from tests.house.source import ROOT

WRITES = """
import os, sys
for number in range(3):
    descriptor = os.open(os.path.join(sys.argv[1], str(number)), os.O_WRONLY | os.O_CREAT)
    os.write(descriptor, b"x")
    os.fsync(descriptor)
"""
"""Nine calls that count: in each round it makes a file, writes and syncs."""


@contextmanager
def gatehouse(rule: Rule, calls: Sequence[str] = CHANGING) -> Iterator[Gatehouse]:
    house = Gatehouse(calls, rule)
    with closing(house):
        yield house


def run(house: Gatehouse, script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [*house.before(), sys.executable, "-c", script, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, start_new_session=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "place"
    place.mkdir()
    return place


@pytest.mark.parametrize(
    ("number", "left"), [(1, {}), (2, {"0": b""}), (3, {"0": b"x"}), (8, {"0": b"x", "1": b"x", "2": b""})]
)
def test_a_process_dies_before_its_nth_call(tmp_path: Path, folder: Path, number: int, left: dict[str, bytes]) -> None:
    """What came before is done, the call itself is not."""
    with gatehouse(KillAt(folder, number)) as house:
        assert run(house, WRITES, folder).returncode == -9
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == left


def test_with_no_call_left_the_process_comes_to_its_end(tmp_path: Path, folder: Path) -> None:
    """And the rule knows how many there were, elsewhere not counted."""
    rule = KillAt(folder, 10)
    with gatehouse(rule) as house:
        assert run(house, WRITES, folder).returncode == 0
    assert rule.seen == 9


def test_calls_of_all_threads_are_counted_together(tmp_path: Path, folder: Path) -> None:
    """Unlike with `strace`, which counts for each thread by itself."""
    script = """
import os, sys, threading
def work(number):
    os.mkdir(os.path.join(sys.argv[1], str(number)))
for number in range(4):
    thread = threading.Thread(target=work, args=(number,))
    thread.start()
    thread.join()
"""
    with gatehouse(KillAt(folder, 4)) as house:
        assert run(house, script, folder).returncode == -9
    assert len(list(folder.iterdir())) == 3


def test_a_torn_write_has_some_of_its_pages(tmp_path: Path, folder: Path) -> None:
    """As a kill may leave a large write."""
    script = """
import os, sys
descriptor = os.open(os.path.join(sys.argv[1], "torn"), os.O_WRONLY | os.O_CREAT)
os.write(descriptor, b"a" * 10)
os.write(descriptor, b"b" * 10_000)
"""
    rule = KillAt(folder, 3, torn=True)
    with gatehouse(rule) as house:
        assert run(house, script, folder).returncode == -9
    assert rule.is_large_write
    assert (folder / "torn").read_bytes() == b"a" * 10 + b"b" * PAGE_OCTETS


def test_a_call_fails_with_the_error_that_is_chosen(tmp_path: Path, folder: Path) -> None:
    """The kernel does nothing of it; the process is told the error."""

    def rule(call: Call) -> Ruling:
        return Ruling(errno=errno.EIO) if call.path.startswith(str(folder)) and call.name == "fsync" else PASS

    with gatehouse(rule) as house:
        done = run(house, WRITES, folder)
    assert "Input/output error" in done.stderr
    assert [path.name for path in folder.iterdir()] == ["0"]


def test_a_call_waits_as_long_as_it_is_told(tmp_path: Path, folder: Path) -> None:
    """Then it is done."""
    with gatehouse(lambda _call: Ruling(seconds=0.2), ["fsync"]) as house:
        began = time.monotonic()
        assert run(house, WRITES, folder).returncode == 0
    assert time.monotonic() - began >= 0.6
    assert len(list(folder.iterdir())) == 3
