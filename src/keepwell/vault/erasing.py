"""Erasing from a vault: packs are written anew without the bytes that orders name, and large bytes removed.

Every record stays, octet for octet but for its bytes, so the chain is as it was. Bytes that a later record has put
again, which no order names, stay with that one. Nothing else of a pack changes, and no
pack is replaced that does not prove itself: that is mended first.

Order for one pack, and what a crash leaves at each step (the next call begins with 1 again):

1. read the pack and prove it, record by record: nothing;
2. put the new pack: one more, and its records twice. A merge in between may take the bytes along; they are found there;
3. read it back: it has every record, all bytes but those that are erased, and none of those; else it is removed again;
4. remove the large bytes that only what is erased names: the old pack still names them, so they are sought again;
5. publish a manifest without the old pack, and remove it.

Between 4 and 5 whoever restores from this vault misses what was to be erased, and nothing else. There is no grace as
with merging: whoever was reading the old pack reads again.

Large bytes of a plain vault belong to all accounts that have them. Whoever puts them keeps them in the store first: so
after they were removed here, it is asked whether the store has them, and if so they are put back.

Tails are left to those who write them, or, of ended epochs, to `pack_tails`: while one has what must go, it is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from keepwell.model.erasures import Erasures
from keepwell.model.errors import Damaged, NotThere
from keepwell.model.names import Digest
from keepwell.storage.contract import BlobStore
from keepwell.vault.catalogue import Pack
from keepwell.vault.layout import TAILS
from keepwell.vault.lines import Line, with_bytes_of, without_bytes
from keepwell.vault.merge import Piece, Source, brings, require_held, retire
from keepwell.vault.pack import MERGE_LEVEL, Run
from keepwell.vault.tail import parse_tail_object
from keepwell.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class Emptied:
    """What one look came to: packs written anew, large objects removed, and tails that still have what must go."""

    packs: int = 0
    blobs: int = 0
    waiting: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found that had to go."""
        return not self.packs and not self.waiting


def erase_from(vault: Vault, erasures: Erasures, kept: BlobStore) -> Emptied:
    """Remove what the erasures name from a vault that is open for writing; `kept` has what the store has.

    May be called again; the vault is clean when a call finds nothing. Raises Damaged, NotThere, Locked, Fenced,
    StorageFault.
    """
    accounts = set(erasures.accounts())
    vault.refresh()
    packs = blobs = 0
    for pack in vault.packs():
        if any(frame.account in accounts for frame in pack.index.frames):
            rewritten = _Rewriting(vault, pack, erasures, kept)
            if rewritten.is_needed():
                blobs += rewritten.carry_out()
                packs += 1
    waiting = [name for name, lines in _tails(vault) if any(_must_go(line, erasures) for line in lines)]
    return Emptied(packs, blobs, tuple(waiting))


def _must_go(line: Line, erasures: Erasures) -> bool:
    return brings(line) and erasures.names(line.record.facts)


def _tails(vault: Vault) -> Iterator[tuple[str, list[Line]]]:
    for info in list(vault.medium.list(TAILS)):
        try:
            yield info.name, parse_tail_object(vault.medium.read(info.name), vault.seal).lines
        except NotThere:
            continue  # it was rolled at this moment


class _Rewriting:
    """One pack on its way to another without some bytes."""

    def __init__(self, vault: Vault, pack: Pack, erasures: Erasures, kept: BlobStore) -> None:
        self._vault = vault
        self._pack = pack
        self._erasures = erasures
        self._kept = kept
        self._pieces = list(Source(vault, pack.name).pieces())

    def is_needed(self) -> bool:
        return any(self._going())

    def carry_out(self) -> int:
        """How many large objects went."""
        vault, old = self._vault, self._pack.name
        large = {line.blob: line.record.facts.digest for line in self._going() if line.blob is not None}
        new = vault.put_pack([self._run(piece) for piece in self._pieces], level=MERGE_LEVEL)
        try:
            require_held(vault, [old], [new.name], self._erasures)
        except (Damaged, NotThere):
            vault.remove_pack(new.name)
            raise
        unneeded = {name: digest for name, digest in large.items() if name not in self._needed()}
        removed = sum(self._remove_blob(name, digest) for name, digest in unneeded.items() if digest is not None)
        retire(vault, [old])
        return removed

    def _going(self) -> Iterator[Line]:
        return (line for piece in self._pieces for line in piece.lines if _must_go(line, self._erasures))

    def _run(self, piece: Piece) -> Run:
        frame = piece.frame
        rewritten = list(self._rewritten(piece))
        return Run(
            account=frame.account,
            lineage=frame.lineage,
            first=frame.first,
            last=frame.last,
            prev=frame.prev,
            head=frame.head,
            since=frame.since,
            until=frame.until,
            lines=b"".join(text for text, _blob in rewritten),
            ledger=frame.ledger,
            blobs=tuple(dict.fromkeys(blob for _text, blob in rewritten if blob is not None)),
        )

    def _rewritten(self, piece: Piece) -> Iterator[tuple[bytes, str | None]]:
        """Each line as it will be, and the large object that it names then.

        Bytes stand in a frame once, with the first record that puts them. When they go there, and a later record that
        no order names has put them again, they come with that one.
        """
        going: dict[Digest | None, tuple[bytes, str | None]] = {}
        for line, text in zip(piece.lines, piece.texts, strict=True):
            facts = line.record.facts
            if _must_go(line, self._erasures):
                going[facts.digest] = text, line.blob
                yield without_bytes(text), None
            elif brings(line) or facts.digest not in going or self._erasures.names(facts):
                yield text, line.blob
            else:
                other, blob = going.pop(facts.digest)
                yield with_bytes_of(text, other), blob

    def _needed(self) -> set[str]:
        """Large objects that anything but the old pack names."""
        others: Iterable[Pack] = (pack for pack in self._vault.packs() if pack.name != self._pack.name)
        named = {name for pack in others for frame in pack.index.frames for name in frame.blobs}
        return named | {line.blob for _name, lines in _tails(self._vault) for line in lines if line.blob is not None}

    def _remove_blob(self, name: str, digest: Digest) -> bool:
        if not self._vault.seal.sealed and self._read_kept(digest) is not None:
            return False
        self._vault.medium.remove(name)
        if not self._vault.seal.sealed and (body := self._read_kept(digest)) is not None:
            self._vault.put_blob(body)
            return False
        return True

    def _read_kept(self, digest: Digest) -> bytes | None:
        try:
            return self._kept.read(digest)
        except (NotThere, Damaged):
            return None
