"""Disks of the proving ground lose at a cut what was not synced, and nothing else, and leave nothing behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from prove.disks import Disk, FileSystem


@pytest.fixture(params=list(FileSystem))
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path, request.param)
    disk.make()
    yield disk
    disk.close()


def test_a_cut_takes_what_was_not_synced(disk: Disk) -> None:
    """What was synced is there after it, and what was only written is not."""
    for name in ("synced", "written"):
        (disk.at / name).write_text(name)
        if name == "synced":
            _sync(disk.at / name)
            _sync(disk.at)
    disk.cut()
    disk.power_on()
    assert (disk.at / "synced").read_text() == "synced"
    assert not (disk.at / "written").exists()


def test_after_a_cut_nothing_can_be_written_or_synced(disk: Disk) -> None:
    """Also not to a file that was open before."""
    with (disk.at / "open").open("wb", buffering=0) as file:
        disk.cut()
        with pytest.raises(OSError, match="Input/output error"):
            file.write(b"more")
        with pytest.raises(OSError, match="Input/output error"):
            os.fsync(file.fileno())
        with pytest.raises(OSError, match="Input/output error"):
            (disk.at / "new").write_bytes(b"")


def test_a_replaced_disk_is_empty(disk: Disk) -> None:
    """Also of what was synced."""
    (disk.at / "synced").write_text("synced")
    _sync(disk.at / "synced")
    disk.cut()
    disk.replace()
    assert [path.name for path in disk.at.iterdir() if path.name != "lost+found"] == []


def test_nothing_is_left_behind(disk: Disk, tmp_path: Path) -> None:
    """No mount, no loop device, no image, though somebody still has a file open."""
    with (disk.at / "open").open("wb"):
        disk.cut()
        disk.close()
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
    assert str(tmp_path) not in _loops()
    assert list(tmp_path.iterdir()) == []


def _loops() -> str:
    files = Path("/sys/block").glob("loop*/loop/backing_file")
    return "".join(file.read_text() for file in files)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
