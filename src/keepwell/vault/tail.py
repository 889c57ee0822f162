"""Tails: how a folder confirms records with one append and one sync (docs/VAULT_FORMAT.md).

States of a record on its way: *appended, not synced* (a crash may leave all, a part or nothing of the line; it was not
acknowledged, and whoever opens the vault for writing after a killed process syncs what that left, before it counts on
it) → *synced* (confirmed; found again by `parse_tail_object`) → *packed* (it was shipped in a pack) → the tail is
removed. Whoever writes a tail never reads it; a tail whose sync failed takes nothing more.
"""

from __future__ import annotations

import base64

import msgspec

from keepwell.model.errors import Damaged
from keepwell.model.names import AccountId
from keepwell.model.unreadable import UNREADABLE
from keepwell.vault.lines import Line, TailLines, parse_tail, texts_of
from keepwell.vault.medium import Log
from keepwell.vault.sealing import Seal


class Envelope(msgspec.Struct, frozen=True):
    """A line of a tail in an encrypted vault: which heads it leads to, and the sealed lines."""

    heads: dict[AccountId, tuple[int, str]]
    age: str


def render_envelope(envelope: Envelope) -> bytes:
    """The line, with its line feed."""
    return msgspec.json.encode(envelope) + b"\n"


class Tail:
    """The tail that this process writes."""

    def __init__(self, name: str, log: Log, seal: Seal) -> None:
        """Over a new log."""
        self.name = name
        self._log = log
        self._seal = seal

    def append(self, lines: bytes, heads: dict[AccountId, tuple[int, str]]) -> None:
        """Add rendered lines; on return they are synced. Raises StorageFault, from then on always."""
        if self._seal.sealed:
            sealed = base64.b64encode(self._seal.seal(lines)).decode("ascii")
            lines = render_envelope(Envelope(heads, sealed))
        self._log.append(lines)

    def size(self) -> int:
        """Bytes in it."""
        return self._log.size()

    def close(self) -> None:
        """Let go of it; what is in it stays."""
        self._log.close()


def written_in(stored: bytes) -> bytes:
    """A tail without the space at its end that was only taken beforehand."""
    written = stored.rstrip(b"\n")
    return stored[: len(written) + 1] if written else b""


def parse_tail_object(stored: bytes, seal: Seal) -> TailLines:
    """The confirmed records of a tail, each proven alone. Raises Locked."""
    if not seal.sealed:
        return parse_tail(stored)
    lines, damaged, ends_broken = list[Line](), 0, False
    for text in texts_of(stored):
        damaged, ends_broken = damaged + ends_broken, False
        try:
            envelope = msgspec.json.decode(text, type=Envelope)
            opened = parse_tail(seal.unseal(base64.b64decode(envelope.age, validate=True)))
        except (*UNREADABLE, ValueError, Damaged):  # ValueError: what is no base64, also beyond ASCII
            ends_broken = True
        else:
            lines += opened.lines
            damaged += opened.damaged + opened.ends_broken
    return TailLines(lines, damaged, ends_broken)
