"""Importing files and folders into an account: every good item is taken, every bad one told and kept aside.

A file that holds just one item keeps its name and its octets. Of a file with more, each item gets a name made of its
UID. An item whose UID is there already is unchanged or brought up to date (its history keeps what it was), so an
import can be repeated. Many writes are under way at once, so that one sync of the disk serves many of them.

When the data folder fails, nothing more is begun: what is under way is waited for, and the report tells what was not
taken and why.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final, Literal

from keepwell.formats.split import Bad, Good, Piece, sniff, split_calendar, split_cards
from keepwell.model.errors import (
    ContentRefused,
    Damaged,
    KeepwellError,
    PreconditionFailed,
    Refused,
    UidConflict,
    Unavailable,
)
from keepwell.model.names import Home
from keepwell.services.actor import Actor
from keepwell.services.content import Prepared, prepare
from keepwell.services.import_report import ImportReport, Note, Rejected, Stop
from keepwell.services.import_shelf import Shelf, is_item_name
from keepwell.services.import_shelves import Shelves
from keepwell.services.import_sources import (
    FILE_OCTETS_MAX,
    Aside,
    CollectionFound,
    Problem,
    Source,
    find_sources,
)
from keepwell.services.library import Library
from keepwell.services.place import Kept, Place
from keepwell.services.rejected import RejectedFolder
from keepwell.services.transfer_layout import ItemDocument
from keepwell.storage.writers import Ticket

UNDER_WAY_MAX: Final = 256
"""Writes that wait for the disk at once."""

ATTEMPTS_MAX: Final = 3
"""How often an item is placed anew because another writer was faster."""

_SNIFFED_OCTETS: Final = 65_536

_SORT_OF_ENDING: Final[dict[str, Literal["vcard", "icalendar"]]] = {
    ".vcf": "vcard",
    ".vcard": "vcard",
    ".ics": "icalendar",
    ".ical": "icalendar",
    ".icalendar": "icalendar",
    ".ifb": "icalendar",
}

Progress = Callable[[int, int], None]
"""Told (octets done, octets in all) after every piece."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """One item on its way: where it comes from, what it is, and the name it should have."""

    source: Source
    home: Home
    prepared: Prepared
    line: int
    wanted: str | None
    item: ItemDocument


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """An item whose write was submitted."""

    piece: _Piece
    shelf: Shelf
    ticket: Ticket[Kept]
    is_new: bool
    attempt: int


class Importer:
    """One import into the actor's own account; used once."""

    def __init__(
        self,
        library: Library,
        actor: Actor,
        rejected: RejectedFolder,
        *,
        into: str | None = None,
        progress: Progress = lambda _done, _all: None,
    ) -> None:
        """Everything goes `into` this collection when it is given. Raises NotThere, BadRequest (no such one)."""
        self._library = library
        self._actor = actor
        self._rejected = rejected
        self._shelves = Shelves(library, actor, into)
        self._progress = progress
        self._report = ImportReport(made=self._shelves.made)
        self._under_way: deque[_UnderWay] = deque()
        self._octets_done = 0
        self._octets_all = 0

    def run(self, paths: Sequence[Path]) -> ImportReport:
        """Import what lies at these paths. A fault of the data folder stops it, and the report says so."""
        found = [one for path in paths for one in find_sources(path)]
        self._octets_all = sum(one.octets for one in found if isinstance(one, Source))
        for one in found:
            match one:
                case Source() if self._report.stopped:
                    self._report.not_taken.append(Note(one.path, 0, "not read any more"))
                case Source():
                    self._take_file(one)
                case CollectionFound():
                    self._expect(one)
                case Problem():
                    self._report.rejected.append(Rejected(one.path, 0, one.reason))
                case Aside():
                    self._report.notes.append(Note(one.path, 0, f"left aside: {one.reason}"))
        self._settle(0)
        return self._report

    def _expect(self, found: CollectionFound) -> None:
        if self._report.stopped:
            return
        try:
            self._shelves.expect(found.target, found.document)
        except Refused as error:
            self._report.rejected.append(Rejected(found.target.folder, 0, error.message))
        except (Unavailable, Damaged) as fault:
            self._stop(fault, Note(found.target.folder, 0, fault.message))

    def _take_file(self, source: Source) -> None:
        start = self._octets_done
        self._report.files += 1
        self._take_octets(source)
        self._advance(start + source.octets - self._octets_done)

    def _take_octets(self, source: Source) -> None:
        home = self._shelves.home_of(source.target)
        if source.octets > FILE_OCTETS_MAX:
            reason = f"{source.octets} bytes are more than the {FILE_OCTETS_MAX} that one file may have; split it"
            self._report.rejected.append(Rejected(source.path, 0, reason))
            return
        if home is not None and source.item is not None:
            self._take_exported(source, home, source.item)
            return
        beginning = self._read(source, _beginning_of)
        if beginning is None:
            return
        sort = sniff(beginning) or _SORT_OF_ENDING.get(source.path.suffix.lower())
        if sort is None:
            self._leave(source)
            return
        data = self._read(source, Path.read_bytes)
        if data is not None:
            pieces = split_cards(data) if sort == "vcard" else split_calendar(data)
            home = Home.CONTACTS if sort == "vcard" else Home.CALENDARS
            self._take_pieces(source, home, pieces)

    def _read(self, source: Source, read: Callable[[Path], bytes]) -> bytes | None:
        """What `read` reads; None when it cannot, which is told. Only here is an OSError the file's own fault."""
        try:
            return read(source.path)
        except OSError as error:
            self._report.rejected.append(Rejected(source.path, 0, f"cannot be read: {error.strerror}"))
            return None

    def _take_exported(self, source: Source, home: Home, item: ItemDocument) -> None:
        """One file is one item, octet for octet, whatever a splitter would make of it."""
        body = self._read(source, Path.read_bytes)
        if body is not None:
            self._take_good(source, home, Good(body, 1, ""), item.name or source.path.name, item)

    def _leave(self, source: Source) -> None:
        """A file that is neither: a mistake when it was named, a bystander when it lies in a folder."""
        reason = "neither a vCard nor an iCalendar file: no line is BEGIN:VCARD or BEGIN:VCALENDAR"
        if source.given:
            self._report.rejected.append(Rejected(source.path, 0, reason))
        else:
            self._report.notes.append(Note(source.path, 0, f"left aside: {reason}"))

    def _take_pieces(self, source: Source, home: Home, pieces: Iterable[Piece]) -> None:
        found = iter(pieces)
        first = next(found, None)
        if first is None:
            self._report.rejected.append(Rejected(source.path, 0, "nothing is in it"))
            return
        second = next(found, None)
        if second is None:
            self._take_piece(source, home, first, source.path.name)
            return
        for piece in chain((first, second), found):
            if self._report.stopped:
                note = Note(source.path, piece.first_line, "nothing was taken from here on")
                self._report.not_taken.append(note)
                return
            self._take_piece(source, home, piece, None)

    def _take_piece(self, source: Source, home: Home, piece: Piece, wanted: str | None) -> None:
        if isinstance(piece, Bad):
            self._reject(source, piece.body, piece.first_line, piece.line, piece.reason)
        else:
            self._take_good(source, home, piece, wanted, ItemDocument())
        self._advance(len(piece.body))

    def _take_good(self, source: Source, home: Home, piece: Good, wanted: str | None, item: ItemDocument) -> None:
        try:
            prepared = prepare(home, piece.body, item.media_type)
        except ContentRefused as error:
            line = piece.first_line + max(error.line, 1) - 1
            reason = error.message.removeprefix(f"line {error.line}: ")
            self._reject(source, piece.body, piece.first_line, line, reason)
            return
        except Refused as error:
            self._reject(source, piece.body, piece.first_line, piece.first_line, error.message)
            return
        if piece.note:
            self._report.notes.append(Note(source.path, piece.first_line, piece.note))
        self._place(_Piece(source, home, prepared, piece.first_line, wanted, item))

    def _place(self, piece: _Piece, attempt: int = 1) -> None:
        try:
            shelf = self._shelves.shelf_for(piece.source.target, piece.home, piece.prepared)
            reason = _misfit(shelf, piece) or shelf.refusal(piece.prepared)
            if reason:
                self._reject_piece(piece, reason)
            else:
                self._submit(shelf, piece, attempt)
        except Refused as error:
            self._reject_piece(piece, error.message)
        except (Unavailable, Damaged) as fault:
            self._stop(fault, _missed(piece, fault))
        self._settle(UNDER_WAY_MAX)

    def _submit(self, shelf: Shelf, piece: _Piece, attempt: int) -> None:
        placement = shelf.place(piece.prepared, piece.wanted)
        if placement is None:
            self._report.count(shelf.collection.kind).unchanged += 1
            return
        if attempt == 1 and piece.wanted is not None and not is_item_name(piece.wanted):
            text = f"no item can have the name it came with; it is {placement.name} now"
            self._report.notes.append(Note(piece.source.path, 0, text))
        ticket = self._library.put_prepared(
            self._actor,
            Place(self._actor.account, shelf.home, shelf.collection.name, placement.name),
            piece.prepared,
            conditions=placement.conditions,
            properties=piece.item.properties,
        )
        self._under_way.append(_UnderWay(piece, shelf, ticket, placement.is_new, attempt))

    def _settle(self, left: int) -> None:
        """Wait for the oldest writes until only so many are under way."""
        while len(self._under_way) > left:
            one = self._under_way.popleft()
            try:
                one.ticket.result()
            except (PreconditionFailed, UidConflict) as error:
                self._place_again(one, error)
            except Refused as error:
                self._reject_piece(one.piece, error.message)
            except (Unavailable, Damaged) as fault:
                self._stop(fault, _missed(one.piece, fault))
            else:
                count = self._report.count(one.shelf.collection.kind)
                count.added += one.is_new
                count.updated += not one.is_new

    def _place_again(self, one: _UnderWay, error: Refused) -> None:
        """Another writer changed the collection meanwhile: look at it again once all that is under way is done."""
        self._settle(0)
        if self._report.stopped:
            self._report.not_taken.append(_missed(one.piece, error))
        elif one.attempt >= ATTEMPTS_MAX:
            self._reject_piece(one.piece, error.message)
        else:
            self._shelves.forget(one.shelf)
            self._place(one.piece, one.attempt + 1)

    def _stop(self, fault: Unavailable | Damaged, note: Note) -> None:
        """Begin nothing more. The first fault is the reason; others, of what was under way, may follow from it."""
        self._report.not_taken.append(note)
        if self._report.stopped is None:
            self._report.stopped = Stop(fault.message, fault.hint, isinstance(fault, Damaged))

    def _reject_piece(self, piece: _Piece, reason: str) -> None:
        self._reject(piece.source, piece.prepared.body, piece.line, piece.line, reason)

    def _reject(self, source: Source, body: bytes, first_line: int, line: int, reason: str) -> None:
        kept = self._rejected.keep(source.path, body, first_line)
        self._report.rejected.append(Rejected(source.path, line, reason, kept))

    def _advance(self, octets: int) -> None:
        self._octets_done += max(octets, 0)
        self._progress(min(self._octets_done, self._octets_all), self._octets_all)


def _missed(piece: _Piece, error: KeepwellError) -> Note:
    return Note(piece.source.path, piece.line, error.message)


def _beginning_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_SNIFFED_OCTETS)


def _misfit(shelf: Shelf, piece: _Piece) -> str:
    if shelf.home is piece.home:
        return ""
    what = {Home.CONTACTS: "a vCard", Home.CALENDARS: "a calendar object"}.get(piece.home, "a file")
    return f"{what} cannot go into {shelf.home}/{shelf.collection.name}"
