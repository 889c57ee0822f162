"""A disk that is full, at every budget of blocks, and one that the kernel makes read-only; of the data or of the vault.

The disks are file systems on image files. A ballast takes all room but so many blocks; the load uses them up, which
ends every write at another byte of the way. Reading goes on all the time. When there is room again writes are taken
again without a restart, and everything that was acknowledged is there.

A disk is made read-only as ext4 makes it by itself when it finds an error (`errors=remount-ro`): under the server's
open files. That ends with the server stopped, and the disk mounted anew.
"""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Final

from prove.case import Case, Unit
from prove.disks import NEEDS, Disk, FileSystem
from prove.haste import hasty_environment
from prove.trial import Trial, wait_until
from prove.world import World

BUDGETS: Final = 16
BUDGETS_SHORT: Final = 2
BUDGETS_APART: Final = 16
"""A unit tries every so many-th budget, from its seed on: so many units in a row try every one."""
READ_ONLY: Final = 4
READ_ONLY_SHORT: Final = 1

BLOCK_OCTETS: Final = 4096
DISK_OCTETS: Final = 48 << 20
FULL_SECONDS: Final = 0.5
FULL_SECONDS_MAX: Final = 20.0


class Ballast:
    """A file that takes all room of a disk but some."""

    def __init__(self, folder: Path) -> None:
        """Not there yet."""
        self._path = folder / "ballast"

    def leave(self, octets: int) -> None:
        """Take everything but so many bytes."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT)
        try:
            size, piece = 0, DISK_OCTETS
            while piece >= BLOCK_OCTETS:
                try:
                    os.posix_fallocate(descriptor, size, piece)
                    size += piece
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    piece //= 2
            os.ftruncate(descriptor, max(0, size - octets))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def go(self) -> None:
        """Give all the room back."""
        self._path.unlink(missing_ok=True)


class FullDisk:
    """A world on two small disks. Invariant: between two rounds the server serves, and both disks take everything."""

    def __init__(self, unit: Unit) -> None:
        """Nothing is made yet."""
        options = "noatime,errors=remount-ro"
        self.disks = {
            name: Disk(unit.folder / f"{name}-disk", FileSystem.EXT4, octets=DISK_OCTETS, options=options)
            for name in ("data", "vault")
        }
        environment = hasty_environment(unit.folder / "haste")
        data, vault = self.disks["data"].at / "data", self.disks["vault"].at / "vault"
        self.world = World(unit.folder / "ground", data, str(vault), environment=environment)
        self.trial, self.unit = Trial(unit, self.world), unit

    def run(self) -> None:
        """All budgets, then the disks that become read-only."""
        full, first = self.unit.full, self.unit.seed % BUDGETS_APART
        try:
            for disk in self.disks.values():
                disk.make()
            self.world.found()
            self.trial.start("at first")
            for number in range(BUDGETS if full else BUDGETS_SHORT):
                for name in self.disks:
                    self.be_full(name, first + number * BUDGETS_APART)
            for number in range(READ_ONLY if full else READ_ONLY_SHORT):
                self.be_read_only(sorted(self.disks)[(number + self.unit.seed) % 2])
            self.trial.end("after all")
        finally:
            self.trial.count()
            self.world.close()
            for disk in self.disks.values():
                disk.close()

    def be_full(self, name: str, blocks: int) -> None:
        """So many blocks are left, then none, then enough."""
        where = f"with {blocks} blocks left on the {name} disk"
        ballast = Ballast(self.disks[name].at)
        with self.trial.under_load(where):
            ballast.leave(blocks * BLOCK_OCTETS)
            self.trial.wait_for_refusals(where, FULL_SECONDS_MAX)
            time.sleep(FULL_SECONDS)
        self.trial.check(f"{where}, full", settle=False)
        ballast.go()
        with self.trial.under_load(f"{where}, and room again"):
            pass
        self.trial.check(f"{where}, and room again")
        self.unit.figures[f"budgets of the {name} disk"] += 1

    def be_read_only(self, name: str) -> None:
        """The kernel finds an error on the disk, and takes no more writes to it until it is mounted anew."""
        where = f"the {name} disk is read-only"
        disk = self.disks[name]
        with self.trial.under_load(where):
            find_error(disk)
            self.trial.wait_for_refusals(where, FULL_SECONDS_MAX)
            self.trial.require_none_acknowledged(where, FULL_SECONDS)
        self.trial.check(where, settle=False)
        self.world.kill()
        disk.power_on()
        self.trial.start(f"{where} no more")
        self.unit.figures[f"times the {name} disk became read-only"] += 1


def find_error(disk: Disk) -> None:
    """Have the kernel do what it does when it finds an error on a disk."""
    number = disk.at.stat().st_dev
    device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve().name
    Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("proving")
    if not wait_until(lambda: is_read_only(disk), 5):
        raise OSError(errno.EIO, f"{device} is not read-only after an error")


def is_read_only(disk: Disk) -> bool:
    """Whether nothing can be written there."""
    probe = disk.at / "probe"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        return error.errno == errno.EROFS
    return False


def run(unit: Unit) -> None:
    """One world, so many budgets."""
    FullDisk(unit).run()


CASE: Final = Case(
    "full-disk",
    "a full disk at every budget of blocks, and one that becomes read-only; of the data, of the vault",
    run,
    full=BUDGETS_APART,
    needs=NEEDS,
)
