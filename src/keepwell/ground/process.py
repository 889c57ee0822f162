"""What a server process arranges with the operating system."""

from __future__ import annotations

import ctypes
import fcntl
import gc
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
PRIVATE_UMASK = 0o077


def keep_files_private() -> None:
    """What this process makes from now on is its owner's alone: it is people's data."""
    os.umask(PRIVATE_UMASK)


def raise_file_limit() -> None:
    """Let this process and its children open as many files as the system allows them."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def give_back_memory() -> None:
    """Return what is free to the system, and leave the rest alone when garbage is collected.

    For a process before it forks: what it keeps stays shared with its children as long as neither writes there.
    """
    gc.collect()
    with suppress(OSError, AttributeError):  # another library of C than glibc
        ctypes.CDLL(None).malloc_trim(0)
    gc.freeze()


def open_files_max() -> int:
    """How many files this process may have open."""
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def end_with_parent(parent: int | None = None) -> None:
    """Be told to stop (SIGTERM) when the parent dies, however it does; Linux only, elsewhere nothing happens.

    With the parent's number also when that died before this was arranged: then the process ends here.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if parent is not None and os.getppid() != parent:
            sys.exit(f"process {parent}, which started this one, has ended")


def interrupt_when_told_to_stop() -> None:
    """Take SIGTERM as Ctrl-C, so that what was begun is put in order before this process ends."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def require_free_port(host: str, port: int) -> None:
    """Raise OSError when something listens there: two servers may share a port, and then each gets half."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    socket.create_server((host, port), family=family, reuse_port=False).close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file at `path` while the block runs, waiting for whoever holds it; its end frees it in any case."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def try_lock(path: Path) -> int | None:
    """Take the lock file at `path` until its descriptor is closed; None when another process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def try_lock_folder(folder: Path) -> int | None:
    """Take a lock on a folder itself, as `try_lock` does on a file; it stays with the folder when that is renamed."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
