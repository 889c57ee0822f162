"""The process that is a lossy disk: `python -m prove.lossy FOLDER` mounts one there and takes orders.

An order is one line of JSON on the standard input, its answer one line on the standard output:

    {"do": "mount"}                                          serve what survived, as a disk that is powered on again
    {"do": "cut", "mode": …, "seed": …, "after": 0}          die now, or at the so-manieth request from now that changes
                                                             or syncs anything
    {"do": "tell"}                                           {"dead": …, "changes": …, "figures": {…}}

A disk that dies at a request has carried it out or has not, as the seed says, and answers EIO either way. Unmounting is
left to whoever gives the orders: it waits for answers of this process, which does one thing at a time. The mount goes
by itself only when the standard input ends.
"""

from __future__ import annotations

import errno
import json
import os
import select
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final, cast

from prove.lossy import mounting
from prove.lossy.fate import Fate, Mode
from prove.lossy.protocol import REQUEST_OCTETS_MAX, Request, parse_request
from prove.lossy.tree import Tree
from prove.lossy.volume import Volume

STANDARD_INPUT: Final = 0
_AGAIN: Final = frozenset({errno.EINTR, errno.EAGAIN, errno.ENOENT})
"""What reading a request may fail with when it was interrupted."""


@dataclass(slots=True)
class Cut:
    """A cut to come. `left`: how many changing requests until then, 0 for now."""

    mode: Mode
    seed: str
    left: int


class Server:
    """Invariant: at most one volume lives; dead ones are answered EIO until the kernel lets go of them."""

    def __init__(self, folder: Path) -> None:
        """A new, empty disk, not mounted yet."""
        self._folder = folder
        self._tree = Tree()
        self._volumes: dict[int, Volume] = {}
        self._living: int | None = None
        self._coming: Cut | None = None
        self._changes = 0
        self._figures: Counter[str] = Counter()
        self._poll = select.poll()
        self._buffer = bytearray(REQUEST_OCTETS_MAX)

    def run(self) -> None:
        """Serve and obey until the standard input ends."""
        self._poll.register(STANDARD_INPUT, select.POLLIN)
        try:
            while True:
                for descriptor, _events in self._poll.poll():
                    if descriptor != STANDARD_INPUT:
                        self._serve(descriptor)
                    elif not self._obey(sys.stdin.buffer.readline()):
                        return
        finally:
            for descriptor in list(self._volumes):
                self._let_go(descriptor)
            with suppress(OSError):  # whoever gave the orders has unmounted it
                mounting.unmount(self._folder)

    def _obey(self, line: bytes) -> bool:
        if not line:
            return False
        order = cast("dict[str, str]", json.loads(line))
        if order["do"] == "mount":
            self._mount()
        elif order["do"] == "cut":
            self._coming = Cut(Mode(order["mode"]), order["seed"], int(order["after"]))
            if not self._coming.left:
                self._die(self._coming)
        told = {"dead": self._living is None, "changes": self._changes, "figures": self._figures}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        return True

    def _mount(self) -> None:
        descriptor = mounting.mount(self._folder, "lossy")
        self._volumes[descriptor] = Volume(self._tree)
        self._living = descriptor
        self._poll.register(descriptor, select.POLLIN)

    def _serve(self, descriptor: int) -> None:
        try:
            length = os.readv(descriptor, [self._buffer])
        except OSError as error:
            if error.errno == errno.ENODEV:
                self._let_go(descriptor)
            elif error.errno not in _AGAIN:
                raise
            return
        request = parse_request(memoryview(self._buffer)[:length])
        answer = self._answer(descriptor, request)
        if answer is not None:
            with suppress(FileNotFoundError):  # whoever asked does not wait any more
                os.write(descriptor, answer)

    def _answer(self, descriptor: int, request: Request) -> bytes | None:
        volume = self._volumes[descriptor]
        if descriptor != self._living:
            return volume.refuse(request)
        if not volume.changes(request):
            return volume.answer(request)
        self._changes += 1
        if self._coming:
            self._coming.left -= 1
            if not self._coming.left:
                if Random(self._coming.seed).random() < 0.5:
                    volume.answer(request)
                self._die(self._coming)
                return volume.refuse(request)
        return volume.answer(request)

    def _die(self, cut: Cut) -> None:
        fate = Fate(cut.mode, cut.seed)
        self._tree.survive(fate)
        self._figures.update(fate.figures)
        self._living = self._coming = None

    def _let_go(self, descriptor: int) -> None:
        self._poll.unregister(descriptor)
        os.close(descriptor)
        del self._volumes[descriptor]


def main() -> None:
    """Run on the folder that the command line names."""
    (folder,) = sys.argv[1:]
    Server(Path(folder)).run()
