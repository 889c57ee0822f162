"""Mount and unmount, by the system's calls themselves: neither a library nor a helper program is needed. As root."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Final

FUSE_DEVICE: Final = Path("/dev/fuse")
_NO_SETUID_NO_DEVICES: Final = 2 | 4
_DETACH: Final = 2

_libc = ctypes.CDLL(None, use_errno=True)


def mount(folder: Path, name: str) -> int:
    """Mount a file system that the caller answers for by the descriptor that is returned. Raises OSError."""
    descriptor = os.open(FUSE_DEVICE, os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={descriptor},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"
    place = os.fsencode(folder)
    if _libc.mount(name.encode(), place, b"fuse", ctypes.c_ulong(_NO_SETUID_NO_DEVICES), options.encode()) != 0:
        os.close(descriptor)
        raise _last_error(folder)
    return descriptor


def unmount(folder: Path) -> None:
    """Take it out of the tree of files; who has files of it open keeps them. Raises OSError."""
    if _libc.umount2(os.fsencode(folder), _DETACH) != 0:
        raise _last_error(folder)


def _last_error(folder: Path) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), str(folder))
