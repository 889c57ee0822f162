"""A word in memory that every process of a data folder shares, and that changes whenever an account is set aside.

Asking the file system at every request whether an account's file is still in its place costs a fifth of a read; looking
at this word costs nothing, and only when it is another one the file system is asked. The word is random, so that two
changes at once make it another one too. It means nothing after a restart, so it is never synced.

Its octets must have their place on the disk before one is changed: memory that a full disk does not take ends the
process (SIGBUS). Whoever is about to change it calls `prepare` before anything else.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keepwell.ground.entropy import Entropy

_OCTETS = 8


class Moves:
    """The word of one data folder, in its file `moves`, which is made when it is first asked for."""

    def __init__(self, folder: Path, entropy: Entropy) -> None:
        """Of this data folder, which is there."""
        self._folder = folder
        self._entropy = entropy
        self._shared: mmap.mmap | None = None

    def word(self) -> bytes:
        """The word now. Raises OSError."""
        shared = self._shared or self._open()
        return shared[:_OCTETS]

    def prepare(self) -> None:
        """See to it that it can be changed. Raises OSError where there is no room."""
        with self._opened() as descriptor:
            os.posix_fallocate(descriptor, 0, _OCTETS)

    def note(self) -> None:
        """Change it; after an account's file has lost its name. Raises OSError."""
        self.prepare()
        shared = self._shared or self._open()
        shared[:_OCTETS] = self._entropy.octets(_OCTETS)

    def close(self) -> None:
        """Let go of it; may be called twice, and it may be asked for again."""
        if self._shared is not None:
            self._shared.close()
            self._shared = None

    def _open(self) -> mmap.mmap:
        with self._opened() as descriptor:
            if os.fstat(descriptor).st_size < _OCTETS:
                os.ftruncate(descriptor, _OCTETS)  # by whoever else it is made at this moment: its octets stay
            self._shared = mmap.mmap(descriptor, _OCTETS)
        return self._shared

    @contextmanager
    def _opened(self) -> Iterator[int]:
        descriptor = os.open(self._folder / "moves", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
