"""Which block devices a folder lies on, as far as this machine can see.

A file system names the device it is on; the kernel tells (in `/sys/dev/block`) of what that device is made: a
partition of a disk, a mapping (LVM, encryption, RAID) over others, a loop over a file on another file system. Followed
to the end this gives the disks themselves, so that two partitions of one disk are known as one. A file system without
a device of its own (Btrfs, ZFS, a network's) tells its source in `/proc/self/mountinfo` instead.

This leaves to others: what it means (`independence.py`). It cannot see that two virtual disks lie on one real one.
"""

from __future__ import annotations

import os
import re
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from keepwell.vault.medium import MediumIdentity

_ROOT: Final = Path("/")
_NETWORK: Final = re.compile(r"(?://|(?:[^/@]*@)?)(\[[^]]+\]|[^/:\[\]]+)(?::/|/).*")
_NETWORK_TYPES: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "ceph", "fuse.sshfs"})
_escaped: Final = re.compile(r"\\([0-7]{3})")


class Mount(msgspec.Struct, frozen=True):
    """One line of the system's table of mounts."""

    point: str
    sort: str
    source: str


def folder_identity(folder: Path, *, system: Path = _ROOT) -> MediumIdentity:
    """What a folder stands on; `system` is where the system's `/sys` and `/proc` are. Raises OSError."""
    resolved = folder.resolve(strict=True)
    number = resolved.stat().st_dev
    device = f"{os.major(number)}:{os.minor(number)}"
    mount = _mount_of(resolved, system)
    server = mount and _server_of(mount)
    if server:
        return MediumIdentity("folder", str(folder), this_host() if is_this_host(server) else server)
    return MediumIdentity("folder", str(folder), this_host(), tuple(sorted(_disks(device, mount, system))))


def this_host() -> str:
    """The name of this machine."""
    return socket.gethostname()


def is_this_host(name: str) -> bool:
    """Whether a host name or address is one of this machine's; False for a name that cannot be resolved."""
    if name == this_host():
        return True
    try:
        found = socket.getaddrinfo(name.strip("[]"), 0, type=socket.SOCK_DGRAM)
    except OSError:
        return False
    return any(_can_bind(family, address) for family, _type, _protocol, _canonical, address in found)


def _can_bind(family: int, address: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]) -> bool:
    """A socket can be bound to a machine's own addresses only."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind(address)
    except OSError:
        return False
    return True


def _disks(device: str, mount: Mount | None, system: Path) -> set[str]:
    if not device.startswith("0:") or mount is None:
        return _below(device, system)
    if mount.sort == "zfs":
        return {f"zfs:{mount.source.partition('/')[0]}"}
    if mount.source.startswith("/dev/"):
        with suppress(OSError):  # a container may name the device and not have it
            number = Path(mount.source).stat().st_rdev
            return _below(f"{os.major(number)}:{os.minor(number)}", system)
    return {device}


def _below(device: str, system: Path) -> set[str]:
    """The devices at the bottom of this one; itself when nothing is known below it."""
    try:
        node = (system / "sys/dev/block" / device).resolve(strict=True)
        if (node / "partition").exists():
            return _below(_device_of(node.parent), system)
        if (node / "loop/backing_file").exists():
            number = Path((node / "loop/backing_file").read_text().rstrip("\n")).stat().st_dev
            return _below(f"{os.major(number)}:{os.minor(number)}", system)
        parts = list((node / "slaves").iterdir()) if (node / "slaves").is_dir() else []
        return set().union(*(_below(_device_of(part), system) for part in parts)) or {device}
    except OSError:
        return {device}  # a container may show the device and hide what it is made of


def _device_of(node: Path) -> str:
    return (node / "dev").read_text().strip()


def _mount_of(folder: Path, system: Path) -> Mount | None:
    """The mount that a folder is in: the one with the longest point; of two at one point the later hides the other."""
    try:
        lines = (system / "proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return None
    above = [mount for line in lines if (mount := _parsed(line)) and folder.is_relative_to(mount.point)]
    return max(reversed(above), key=lambda mount: len(mount.point), default=None)


def _parsed(line: str) -> Mount | None:
    """`36 35 98:0 /root /mount/point options… - type source options` (proc(5))."""
    place, dash, rest = line.partition(" - ")
    fields, what = place.split(" "), rest.split(" ")
    if not dash or len(fields) < 5 or len(what) < 2:
        return None
    return Mount(*(_escaped.sub(lambda found: chr(int(found[1], 8)), text) for text in (fields[4], *what[:2])))


def _server_of(mount: Mount) -> str | None:
    found = _NETWORK.fullmatch(mount.source) if mount.sort in _NETWORK_TYPES else None
    return found[1].strip("[]") if found else None
