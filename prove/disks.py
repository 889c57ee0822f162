"""Disks whose power can be cut: a file system on an image file, mounted through a loop device.

The cut is the file system's own shutdown ioctl without a flush of its log: from that moment on nothing more reaches the
image, and what was only in memory (pages, and the log's tail) is dropped when it is unmounted. The next mount replays
the log, as after a real cut. What it does not do: reorder or tear what had already been sent to the device.

A sync that is under way at the very moment of the cut may return without an error, and its bytes are gone: so do ext4
and xfs of Linux 6.18 when the file grew. With a real cut nobody is there any more to whom it could return. So whoever
cuts must let no program run on that was in a sync then.

Needs root. `close` leaves nothing mounted, whatever happened before; the loop device goes with the mount.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
import time
from enum import StrEnum
from pathlib import Path
from typing import Final

NEEDS: Final = ("root", "/dev/loop-control", "mount", "umount", "mkfs.ext4", "mkfs.xfs")
"""What a case with disks names as its needs."""

UNMOUNT_SECONDS_MAX: Final = 30.0
_MIB: Final = 1 << 20
_SHUTDOWN: Final = 0x8004587D
"""FS_IOC_SHUTDOWN of ext4, XFS_IOC_GOINGDOWN of xfs: the same number, on purpose."""
_NO_LOG_FLUSH: Final = 2


class DiskError(Exception):
    """A file system could not be made, mounted or unmounted; the message has what the tool printed."""


class FileSystem(StrEnum):
    """Which file system a disk has."""

    EXT4 = "ext4"
    XFS = "xfs"


_MAKE: Final = {
    # Blocks as those of a large disk. In a small one they are of 1 KiB, and SQLite's index of a log, which takes one
    # block of each page that it maps, can end the process when there is no room.
    FileSystem.EXT4: ("mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1"),
    FileSystem.XFS: ("mkfs.xfs", "-q", "-f", "-K"),
}
OCTETS: Final = {FileSystem.EXT4: 256 * _MIB, FileSystem.XFS: 300 * _MIB}
"""How large an image is, with holes; xfs takes no less."""


class Disk:
    """One file system. Invariant: it is mounted at `at`, or nothing of it is in use."""

    def __init__(self, folder: Path, file_system: FileSystem, *, octets: int = 0, options: str = "noatime") -> None:
        """Its image and its mount point lie in `folder`; nothing is made yet. Without `octets` it has room enough."""
        self.file_system = file_system
        self._octets = octets or OCTETS[file_system]
        self._options = f"loop,{options}"
        self.at = folder.resolve() / "mounted"
        self._image = folder / f"{file_system}.image"

    def make(self) -> None:
        """An empty file system, mounted. Raises DiskError."""
        self.at.mkdir(parents=True, exist_ok=True)
        self._image.unlink(missing_ok=True)
        with self._image.open("xb") as image:
            image.truncate(self._octets)
        _run(*_MAKE[self.file_system], str(self._image))
        self.mount()

    def mount(self) -> None:
        """Mount it: what the log has is replayed. Raises DiskError."""
        _run("mount", "-t", self.file_system, "-o", self._options, str(self._image), str(self.at))

    def cut(self) -> None:
        """Cut the power; everything on it fails from now on. Raises OSError."""
        folder = os.open(self.at, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(folder, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(folder)

    def unmount(self) -> None:
        """Once nobody uses it any more. Raises DiskError."""
        deadline = time.monotonic() + UNMOUNT_SECONDS_MAX
        while True:
            try:
                _run("umount", str(self.at))
                return
            except DiskError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def power_on(self) -> None:
        """What comes after a cut: unmounted and mounted again. Raises DiskError."""
        self.unmount()
        self.mount()

    def plug_in_again(self) -> None:
        """As `power_on`, under whoever still has files open: those belong to the device that went. Raises DiskError."""
        _run("umount", "--lazy", str(self.at))
        # The device that went may write on, into its own image.
        copy = self._image.with_suffix(".copy")
        _run("cp", "--sparse=always", str(self._image), str(copy))
        copy.replace(self._image)
        self.mount()

    def sync(self) -> None:
        """Make all that was written on it outlive a cut. Raises DiskError."""
        _run("sync", "--file-system", str(self.at))

    def replace(self) -> None:
        """Throw it away with all that is on it; a new, empty one is mounted in its place. Raises DiskError."""
        self.unmount()
        self.make()

    def keep_copy(self, folder: Path) -> None:
        """Copy all that is on it to a folder that outlives it. Raises OSError, and has copied what could be read."""
        shutil.copytree(self.at, folder)

    def close(self) -> None:
        """Leave nothing mounted and no image; may be called twice."""
        while self._is_mounted():
            # Lazily: after a failure somebody may still be there, and the image is of no use any more.
            _run("umount", "--lazy", str(self.at))
        if self.at.is_dir():
            self.at.rmdir()
        self._image.unlink(missing_ok=True)

    def _is_mounted(self) -> bool:
        """Not asked of the place itself: that may answer with an error."""
        mounted = (line.split(" ")[1] for line in Path("/proc/mounts").read_text().splitlines())
        return str(self.at).translate(_ESCAPES) in mounted


_ESCAPES: Final = {ord(one): f"\\{ord(one):03o}" for one in " \t\n\\"}
"""How a path is written in /proc/mounts."""


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise DiskError(f"`{' '.join(command)}` exited with {done.returncode}: {done.stdout}{done.stderr}".strip())
