"""A word in memory that every process of a data folder shares, and that changes whenever an account is set aside.

Asking the file system at every request whether an account's file is still in its place costs a fifth of a read; looking
at this word costs nothing, and only when it is another one the file system is asked. The word is random, so that two
changes at once make it another one too. It means nothing after a restart, so it is never synced.

Its octets must have their place on the disk before they are mapped into memory: on some file systems even looking at
memory that a full disk does not take ends the process (SIGBUS). While there is no room the word is read from the file.
Whoever is about to change it calls `prepare` before anything else.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keepwell.ground.entropy import Entropy
from keepwell.storage.sqlite_check import is_full

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
        if self._shared is not None:
            return self._shared[:_OCTETS]
        try:
            return self._mapped()[:_OCTETS]
        except OSError as error:
            if not is_full(error):
                raise
        with self._opened() as descriptor:
            return os.pread(descriptor, _OCTETS, 0).ljust(_OCTETS, b"\0")

    def prepare(self) -> None:
        """See to it that it can be changed. Raises OSError where there is no room, or no disk any more."""
        with self._opened() as descriptor:
            os.posix_fallocate(descriptor, 0, _OCTETS)

    def note(self) -> None:
        """Change it; after an account's file has lost its name. Raises OSError."""
        self.prepare()
        self._mapped()[:_OCTETS] = self._entropy.octets(_OCTETS)

    def close(self) -> None:
        """Let go of it; may be called twice, and it may be asked for again."""
        if self._shared is not None:
            self._shared.close()
            self._shared = None

    def _mapped(self) -> mmap.mmap:
        if self._shared is None:
            with self._opened() as descriptor:
                # By whoever else it is made at this moment: its octets stay.
                os.posix_fallocate(descriptor, 0, _OCTETS)
                self._shared = mmap.mmap(descriptor, _OCTETS)
        return self._shared

    @contextmanager
    def _opened(self) -> Iterator[int]:
        descriptor = os.open(self._folder / "moves", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
