"""What a server process arranges with the operating system."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import sys

_PR_SET_PDEATHSIG = 1
PRIVATE_UMASK = 0o077


def keep_files_private() -> None:
    """What this process makes from now on is its owner's alone: it is people's data."""
    os.umask(PRIVATE_UMASK)


def raise_file_limit() -> None:
    """Let this process and its children open as many files as the system allows them."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def end_with_parent() -> None:
    """Be told to stop (SIGTERM) when the parent dies, however it does; Linux only, elsewhere nothing happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def require_free_port(host: str, port: int) -> None:
    """Raise OSError when something listens there: two servers may share a port, and then each gets half."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    socket.create_server((host, port), family=family, reuse_port=False).close()
