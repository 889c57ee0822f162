"""The witness: what the accounts' journals had come to, noted in a file outside the data folder.

When an older copy of a data folder is put back there is nothing in it that says so: it proves itself, and would have
every device delete what is newer. The witness was not put back with it, so a start compares the two
(`services.rollback`). It is no copy of anything, and a few hundred bytes for an account.

The file is JSON lines: a head line, then one `Sighting` an account; a later line of an account takes the place of the
earlier, but keeps the marks of kinds that it does not name. Those are the kinds that were held when it was written:
what is known of a kind that is not whole must not be forgotten before someone has decided.

Order of a note, and what a crash leaves: the store has committed what is noted (a witness never knows more than a store
had); lines are appended; the file is synced. A line that a crash cut off is passed over, which costs what a few seconds
would have told. When the file has grown to twice its size it is written anew, whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Final

import msgspec

from keepwell.ground.durable import make_folder, sync_file, write_file
from keepwell.ground.process import locked
from keepwell.model.ledger import LedgerEntry
from keepwell.model.names import AccountId, Kind, Lineage
from keepwell.model.record import Record
from keepwell.storage.contract import Snapshot

FORMAT: Final = 1
OCTETS_MIN: Final = 1024 * 1024
"""A smaller file is never written anew while the server runs."""


class Mark(msgspec.Struct, frozen=True):
    """The last record of a kind that was seen, and the items that it had then: how many, and their set-hash."""

    sequence: int
    hash: str
    count: int
    set_hash: str


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of an account. `first` is the hash of its first record, which tells one journal from another."""

    account: AccountId
    login: str
    at: str
    lineage: Lineage
    first: str
    sequence: int
    hash: str
    kinds: dict[Kind, Mark]


class _HeadLine(msgspec.Struct, frozen=True):
    keepwell_witness: int
    data: str


_decode = msgspec.json.Decoder(Sighting).decode


def sight(snapshot: Snapshot, login: str, at: str) -> Sighting | None:
    """What there is to note of an account; None when its journal is empty. Held kinds are left out."""
    head, held, ledger = snapshot.head(), snapshot.held(), snapshot.ledger()
    first = record_at(snapshot, 1)
    if first is None:
        return None
    kinds: dict[Kind, Mark] = {}
    for kind, entry in ledger.items():
        record = None if kind in held else record_at(snapshot, entry.seq)
        if record is not None:
            kinds[kind] = Mark(entry.seq, record.hash, entry.count, entry.set_hash_text)
    return Sighting(
        account=snapshot.account(),
        login=login,
        at=at,
        lineage=snapshot.lineage(),
        first=first.hash,
        sequence=head.sequence,
        hash=head.hash,
        kinds=kinds,
    )


def record_at(snapshot: Snapshot, sequence: int) -> Record | None:
    """The record with this number, if there is one."""
    return next(snapshot.records(sequence - 1), None) if sequence > 0 else None


def has_mark(snapshot: Snapshot, mark: Mark) -> bool:
    """Whether the record is in this journal; as it is chained, everything before it is too."""
    record = record_at(snapshot, mark.sequence)
    return record is not None and record.hash == mark.hash


def has_items(snapshot: Snapshot, kind: Kind, mark: Mark) -> bool:
    """Whether the same items are here, by as many other records at least: imported again, or united from fragments."""
    entry = snapshot.ledger().get(kind, LedgerEntry(kind))
    same = (entry.count, entry.set_hash_text) == (mark.count, mark.set_hash)
    return same and snapshot.head().sequence >= mark.sequence


def lost_marks(snapshot: Snapshot, sighting: Sighting) -> dict[Kind, Mark]:
    """The kinds whose last known record is not in this journal."""
    return {kind: mark for kind, mark in sighting.kinds.items() if not has_mark(snapshot, mark)}


class WitnessFile:
    """The file. Several processes may note in it at once."""

    def __init__(self, path: Path, data: Path) -> None:
        """At `path`, about the data folder `data`."""
        self.path = path
        self._head = _line(_HeadLine(FORMAT, str(data.absolute())))
        self._grown_to = OCTETS_MIN

    def load(self) -> dict[AccountId, Sighting]:
        """What was seen of every account. Raises OSError; lines that cannot be read are passed over."""
        return self._read()

    def note(self, accounts: Iterable[AccountId], look: Callable[[AccountId], Sighting | None]) -> None:
        """Append what `look` sees of these accounts, synced. Raises OSError.

        It looks while no other process notes, so that the last line is what was seen last.
        """
        with self._locked():
            seen = [one for account in accounts if (one := look(account)) is not None]
            if not seen:
                return
            if not self.path.exists():
                write_file(self.path, self._head)
            with self.path.open("ab") as file:
                file.write(b"\n" + b"".join(map(_line, seen)))
            sync_file(self.path)
            if self.path.stat().st_size >= self._grown_to:
                self._write(self._read())

    def replace(self, sightings: Iterable[Sighting]) -> None:
        """Write the file anew with these, whole or not at all. Raises OSError."""
        with self._locked():
            self._write({one.account: one for one in sightings})

    def forget(self, account: AccountId) -> None:
        """Miss an account no more. Raises OSError."""
        with self._locked():
            known = self._read()
            known.pop(account, None)
            self._write(known)

    def _locked(self) -> AbstractContextManager[None]:
        make_folder(self.path.parent)
        return locked(self.path.with_name(self.path.name + ".lock"))

    def _read(self) -> dict[AccountId, Sighting]:
        known: dict[AccountId, Sighting] = {}
        with suppress(FileNotFoundError):
            for line in self.path.read_bytes().splitlines():
                with suppress(msgspec.DecodeError, UnicodeDecodeError):
                    seen = _decode(line)
                    known[seen.account] = merged(known.get(seen.account), seen)
        return known

    def _write(self, known: dict[AccountId, Sighting]) -> None:
        octets = self._head + b"".join(map(_line, known.values()))
        write_file(self.path, octets)
        self._grown_to = max(OCTETS_MIN, 2 * len(octets))


def merged(before: Sighting | None, now: Sighting) -> Sighting:
    """What is known after seeing an account again: marks of kinds that were not looked at stay."""
    if before is None or before.first != now.first:
        return now
    return msgspec.structs.replace(now, kinds={**before.kinds, **now.kinds})


def _line(value: msgspec.Struct) -> bytes:
    return msgspec.json.encode(value) + b"\n"
