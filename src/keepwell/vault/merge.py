"""Merging: many small packs of a vault become one, and an account's runs in them one run (`merge_plan.py` says which).

The lines are kept as they stand, octet for octet, so fields that only a newer Keepwell knows stay too; of a record that
is there twice one line is kept, that which brings the bytes. No pack is merged, and none removed, that does not prove
itself; and no account of which packs tell different stories.

Order of a merge, and what a crash leaves at each step:

1. read the packs, prove them by their names and record by record: nothing;
2. put the new pack: one more pack, and its records twice;
3. read it back, and compare every record of the old packs with it; when it does not hold, it is removed again: as 2,
   and as before;
4. publish a manifest that lists old and new (the keeper does when it finds another set than is listed): both count;
5. after the grace, compare once more, as in 3: what lay there for an hour may have been damaged since;
6. publish a manifest that lists the old ones no more: they lie there, and whoever opens the vault then counts them
   again, finds them superseded, and comes back to 5;
7. remove the old packs, one after the other: as 6, with fewer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from keepwell.ground.clock import Clock
from keepwell.model.erasures import NO_ERASURES, Erasures
from keepwell.model.errors import Damaged, Forked, KeepwellError, NotThere, StorageFault
from keepwell.model.names import AccountId, Digest, Kind
from keepwell.model.record import digest_of
from keepwell.vault.catalogue import FrameRef, Pack
from keepwell.vault.layout import proves_itself
from keepwell.vault.lines import Line
from keepwell.vault.merge_plan import Merge, plan_merge, plan_removal, superseded
from keepwell.vault.pack import MERGE_LEVEL, Frame, LedgerNote, Run, parse_frame, read_index, unpack_frame
from keepwell.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class Merged:
    """What a tick came to: packs that became one, packs that were removed, and what stood against more."""

    merged: int = 0
    into: str = ""
    removed: int = 0
    failures: tuple[KeepwellError, ...] = ()


class Merger:
    """Merges one vault, a step at each tick; a pack that cannot be merged is left alone until the next start."""

    def __init__(self, vault: Vault, clock: Clock) -> None:
        """Of a vault that is open for writing."""
        self._vault = vault
        self._clock = clock
        self._unfit: set[str] = set()

    def tick(self) -> Merged:
        """Remove what has had its grace, or else merge once, if it is time. Raises Locked, Fenced, StorageFault."""
        packs = [pack for pack in self._vault.packs() if pack.name not in self._unfit]
        removal = plan_removal(packs, self._clock.now())
        if removal:
            return self._remove(removal)
        for plan in plan_merge(packs):
            try:
                merged = merge(self._vault, plan)
            except (Damaged, NotThere) as error:
                self._unfit |= _unfit_of(self._vault, plan.packs) or set(plan.packs)
                return Merged(failures=(error,))
            return Merged(merged=len(plan.packs), into=merged.name)
        return Merged()

    def _remove(self, removal: dict[str, tuple[str, ...]]) -> Merged:
        groups: dict[tuple[str, ...], list[str]] = {}
        for name, by in removal.items():
            groups.setdefault(by, []).append(name)
        proven, failures = list[str](), list[KeepwellError]()
        for by, names in groups.items():
            proven += self._proven(names, by, failures)
        retire(self._vault, proven)
        return Merged(removed=len(proven), failures=tuple(failures))

    def _proven(self, names: list[str], by: tuple[str, ...], failures: list[KeepwellError]) -> list[str]:
        """Those of the packs that others have, as both can be read now."""
        try:
            require_held(self._vault, names, by)
        except (Damaged, NotThere) as error:
            if len(names) > 1:
                return [name for one in names for name in self._proven([one], by, failures)]
            self._unfit.update(names)
            failures.append(error)
            return []
        return names


def merge(vault: Vault, plan: Merge) -> Pack:
    """Make one pack of those planned; they stay. Raises Damaged, NotThere, Locked, Fenced, StorageFault."""
    sources = [Source(vault, name) for name in plan.packs]
    packs = vault.packs()
    waiting = superseded(packs)
    others = {pack.name for pack in packs} - waiting.keys() - set(plan.packs)
    runs = list[Run]()
    for account in sorted({frame.account for source in sources for frame in source.frames}):
        for joined in _joined(account, sources):
            for ref in vault.frames(account):
                if ref.pack in others:
                    joined.require_agrees(vault, ref)
            runs.append(joined.run())
    merged = vault.put_pack(runs, level=MERGE_LEVEL)
    try:
        require_held(vault, plan.packs, [merged.name])
    except (Damaged, NotThere):
        vault.remove_pack(merged.name)
        raise
    return merged


def require_held(vault: Vault, names: Iterable[str], by: Sequence[str], erasures: Erasures = NO_ERASURES) -> None:
    """Raise Damaged unless the packs `by`, as they can be read now, have every record of the others, and its bytes.

    Of records that the erasures name the bytes must not be there any more.
    """
    held = _Held()
    for name in by:
        for line in _lines_of(vault, name):
            held.add(line)
    for name in names:
        here = _Held()
        for line in _lines_of(vault, name):
            here.add(line)
            if not _is_held(vault, line, here, held, erasures):
                facts = line.record.facts
                raise Damaged(f"{name}: record {facts.seq} of {facts.account} is not the same in {', '.join(by)}")


def retire(vault: Vault, names: Sequence[str]) -> None:
    """Remove packs of which others have everything: whoever calls has proven that. Raises Fenced, StorageFault."""
    if not names:
        return
    for name in names:
        vault.forget_pack(name)
    vault.put_manifest()
    for name in names:
        vault.remove_pack(name)


@dataclass(frozen=True, slots=True)
class _Held:
    """What is remembered of lines: their records' hashes, of which they bring the bytes, and how."""

    records: set[str] = field(default_factory=set)
    bringing: set[str] = field(default_factory=set)
    places: dict[tuple[AccountId, Digest | None], str | None] = field(default_factory=dict)
    """For an account's bytes the object that has them; None for bytes that stand in a line."""

    def add(self, line: Line) -> None:
        facts = line.record.facts
        self.records.add(line.record.hash)
        if brings(line):
            self.bringing.add(line.record.hash)
            if line.blob is None:
                self.places[facts.account, facts.digest] = None
            else:
                self.places.setdefault((facts.account, facts.digest), line.blob)


def _is_held(vault: Vault, line: Line, here: _Held, held: _Held, erasures: Erasures) -> bool:
    """Whether what `here` has of a line is `held` too. A line without bytes relies on one before it that brings them.

    Bytes in a line were compared with the record's digest when it was parsed; those of other objects are here.
    """
    facts = line.record.facts
    if line.record.hash not in held.records:
        return False
    if erasures.names(facts):
        return line.record.hash not in held.bringing
    bytes_of = (facts.account, facts.digest)
    if bytes_of not in here.places:
        return True
    if bytes_of not in held.places:
        return False
    blob = held.places[bytes_of]
    return blob is None or blob == here.places[bytes_of] or digest_of(vault.read_blob(blob)) == facts.digest


def _lines_of(vault: Vault, name: str) -> Iterator[Line]:
    for piece in Source(vault, name).pieces():
        yield from piece.lines


def _readable(vault: Vault, ref: FrameRef) -> list[Line]:
    """A frame's lines; none when it is damaged: then it tells no story at all."""
    try:
        return vault.read_frame(ref)
    except (Damaged, NotThere):
        return []


def brings(line: Line) -> bool:
    """Whether a line has bytes, or names the object that has them."""
    return line.body is not None or line.blob is not None


def _unfit_of(vault: Vault, names: Iterable[str]) -> set[str]:
    """Those of the packs that do not prove themselves."""
    unfit = set()
    for name in names:
        try:
            for _piece in Source(vault, name).pieces():
                pass
        except (Damaged, NotThere):
            unfit.add(name)
    return unfit


@dataclass(frozen=True, slots=True)
class Piece:
    """One frame, proven: its lines, and how they stand there."""

    frame: Frame
    lines: list[Line]
    texts: list[bytes]


class Source:
    """A pack as it is stored now, proven by its name."""

    def __init__(self, vault: Vault, name: str) -> None:
        """Read it. Raises Damaged, NotThere, StorageFault."""
        self._seal = vault.seal
        try:
            self._stored = vault.medium.read(name)
        except StorageFault as error:
            vault.require_answers(error)
            raise Damaged(f"{name} in vault {vault.name} cannot be read: {error.message}") from error
        index = read_index(self._stored) if proves_itself(name, self._stored) else None
        if index is None:
            raise Damaged(f"{name} in vault {vault.name} is not what was stored under that name")
        self.frames = index.frames

    def pieces(self, account: AccountId | None = None) -> Iterator[Piece]:
        """Every frame, or those of one account, proven record by record. Raises Damaged, Locked."""
        for frame in self.frames:
            if account in {None, frame.account}:
                stored = self._stored[frame.offset : frame.offset + frame.length]
                octets = unpack_frame(stored, frame, self._seal)
                yield Piece(frame, parse_frame(octets, frame), octets.splitlines(keepends=True))


def _joined(account: AccountId, sources: Iterable[Source]) -> list[_Joined]:
    """The account's runs in these packs, as few as there can be, in order. Raises Damaged, Forked, Locked."""
    pieces = [piece for source in sources for piece in source.pieces(account)]
    joined: list[_Joined] = []
    for piece in sorted(pieces, key=lambda one: (one.frame.first, -one.frame.last)):
        if joined and piece.frame.first <= joined[-1].last + 1:
            joined[-1].add(piece)
        else:
            joined.append(_Joined(piece))
    return joined


class _Joined:
    """One account's successive records, put together from several frames."""

    def __init__(self, piece: Piece) -> None:
        self._frame = piece.frame
        self._lines = list(piece.lines)
        self._texts = list(piece.texts)
        self._ledger: dict[Kind, LedgerNote] = piece.frame.ledger

    @property
    def last(self) -> int:
        return self._frame.first + len(self._lines) - 1

    def add(self, piece: Piece) -> None:
        """Another frame, which begins within this run or right behind it."""
        if piece.frame.last > self.last:
            self._ledger = piece.frame.ledger
        for line, text in zip(piece.lines, piece.texts, strict=True):
            place = line.record.facts.seq - self._frame.first
            if place == len(self._lines):
                self._require(line.record.facts.prev == self._lines[-1].record.hash, line.record.facts.seq - 1)
                self._lines.append(line)
                self._texts.append(text)
                continue
            self._require(line.record.hash == self._lines[place].record.hash, line.record.facts.seq)
            if brings(line) and not brings(self._lines[place]):
                self._lines[place], self._texts[place] = line, text

    def require_agrees(self, vault: Vault, ref: FrameRef) -> None:
        """Raise Forked when a frame that is not merged has another record where both have one, or at the seam."""
        frame = ref.frame
        if frame.last == self._frame.first - 1:
            self._require(frame.head == self._frame.prev, frame.last)
        elif frame.first == self.last + 1:
            self._require(frame.prev == self._lines[-1].record.hash, self.last)
        elif frame.first <= self.last and frame.last >= self._frame.first:
            for line in _readable(vault, ref):
                seq = line.record.facts.seq
                if self._frame.first <= seq <= self.last:
                    self._require(line.record.hash == self._lines[seq - self._frame.first].record.hash, seq)

    def run(self) -> Run:
        """What becomes a frame."""
        first, last = self._lines[0].record, self._lines[-1].record
        return Run(
            account=self._frame.account,
            lineage=last.facts.lineage,
            first=first.facts.seq,
            last=last.facts.seq,
            prev=first.facts.prev,
            head=last.hash,
            since=first.facts.at,
            until=last.facts.at,
            lines=b"".join(self._texts),
            ledger=self._ledger,
            blobs=tuple(dict.fromkeys(line.blob for line in self._lines if line.blob is not None)),
        )

    def _require(self, agrees: bool, sequence: int) -> None:
        if not agrees:
            raise Forked(f"packs have different records {sequence} of {self._frame.account}; they are not merged")
