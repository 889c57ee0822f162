"""What a target of fuzzing is, which there are, and what they check with.

Targets are named here and imported later: atheris sees the code of modules only that are imported under its eyes.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from types import FrameType
from typing import Final, Protocol, cast
from zlib import crc32

CORPUS: Final = Path(__file__).parent / "corpus"
COUNTED_SHARE: Final = 16
"""Of so many inputs the work of one is counted: counting makes it several times slower."""
TRIED_FILE: Final = "tried"
TRIED: Final = Struct("<QQ")
"""What a process tried, inputs and octets: in the file of this name in its folder."""


class Broken(AssertionError):
    """A property that the product promises does not hold for some bytes."""


class TargetModule(Protocol):
    """What the module of a target has."""

    WORDS: tuple[bytes, ...]
    """What inputs are likely made of."""

    def check(self, data: bytes) -> None:
        """Feed the product; raises Broken, or whatever the product raises and should not."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """One target. `short_runs` inputs are tried by `make test`, of `octets_max` octets at most."""

    name: str
    what: str
    short_runs: int
    octets_max: int = 4096

    def load(self) -> TargetModule:
        """Its module."""
        return cast(TargetModule, importlib.import_module(f"prove.fuzz.{self.name.replace('-', '_')}"))

    @property
    def corpus(self) -> Path:
        """The folder of the files that it begins with."""
        return CORPUS / self.name


TARGETS: Final = (
    Target("contentlines", "vCard and iCalendar files: reading, rendering, examining, splitting", 2500),
    Target("queries", "queries of calendars and address books, with the objects that they are asked of", 1500),
    Target("xml-request", "bodies of requests in XML: properties, reports, property changes", 2000),
    Target("headers", "headers of requests: If, Destination, Range, Depth, Authorization and more", 4000),
    Target("journal-lines", "journal lines of a vault, as they come and with hashes that hold", 6000),
    Target("vault-objects", "packs, indexes, manifests, documents and tails of a vault", 6000),
)


def target_named(name: str) -> Target:
    """The target of this name. Raises KeyError."""
    return {target.name: target for target in TARGETS}[name]


def words(*lines: bytes) -> tuple[bytes, ...]:
    """The words of these lines, which stand between bars."""
    return tuple(word for line in lines for word in line.split(b"|"))


def require(holds: bool, what: str) -> None:
    """Raises Broken unless it holds."""
    if not holds:
        raise Broken(what)


def require_same(found: object, expected: object, what: str) -> None:
    """Raises Broken, and shows both, unless they are equal."""
    if found != expected:
        raise Broken(f"{what}:\n  {found!r}\n  {expected!r}")


@contextmanager
def bounded(data: bytes, steps_max: int) -> Iterator[None]:
    """Count the steps that the block takes for these bytes; raises Broken in it when they are too many.

    A step is a call of a function, in Python or in C, and (under atheris) a branch taken. Steps do not depend on the
    machine. The work of few inputs is counted, always the same ones.
    """
    if crc32(data) % COUNTED_SHARE:
        yield
        return
    left = steps_max

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal left
        if event.endswith("call"):
            left -= 1
            if left < 0:
                sys.setprofile(None)
                raise Broken(f"more than {steps_max:,} steps for {len(data):,} octets")

    before = sys.getprofile()
    sys.setprofile(cast(Callable[[FrameType, str, object], object], count))
    try:
        yield
    finally:
        sys.setprofile(before)
