"""Finding the rows of an account's file in its bytes, whatever is left of its structure.

SQLite reads a file from its first page down; when a page in between is gone, so is for it everything below. Here no
structure is trusted: each sort of row that matters has a header that is known nearly byte for byte (docs:
https://sqlite.org/fileformat2.html#record_format), so the bytes are searched for those headers, in the file and in the
`-wal` beside it, every frame of it, valid or not. What is found proves nothing: a caller takes a record only by its
hash and bytes only by their digest, so a row of an old page or a chance likeness does no harm.

SQLite's own `.recover` is not in the shell that comes with apsw (it is compiled without), and finds less: it gives up a
page whose header is damaged, and the frames of a `-wal` behind the first bad one. `tests/storage/test_carving.py` holds
both against each other.

Pure: bytes in, rows out. Page size and reserved bytes are those of every account's file, never read from it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from keepwell.storage.sqlite_files import CHECKSUM_OCTETS, PAGE_OCTETS

Value = int | str | bytes | None

_USABLE: Final = PAGE_OCTETS - CHECKSUM_OCTETS
_OVERFLOW_OCTETS: Final = _USABLE - 4
_LOCAL_MIN: Final = (_USABLE - 12) * 32 // 255 - 23
_TABLE_LOCAL_MAX: Final = _USABLE - 35
"""A payload up to this size lies in its page; of a longer one the rest is in overflow pages."""
_INDEX_LOCAL_MAX: Final = (_USABLE - 12) * 64 // 255 - 23
_PAYLOAD_OCTETS_MAX: Final = 1 << 30

_WAL_HEADER_OCTETS: Final = 32
_FRAME_HEADER_OCTETS: Final = 24
_FRAME_OCTETS: Final = _FRAME_HEADER_OCTETS + PAGE_OCTETS

_CHILD_OCTETS: Final = 4
"""The number of the page below, before a cell that is in no leaf."""
_LENGTH_OCTETS_MAX: Final = 4

_FILE_HEADER_OCTETS: Final = 100
_CELLS_BEHIND: Final = {0x02: 12, 0x0A: 8, 0x0D: 8}
"""By the type of a page that has rows: how far behind its beginning stands where its cells are."""

_NUMBER_OCTETS: Final = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0)
"""By serial type; from 12 on it says a length instead."""
_FIRST_BLOB_TYPE: Final = 12

_int: Final = rb"[\x01-\x06\x08\x09]"
_text: Final = rb"(?:[\x0d-\x7f]|[\x81-\xff][\x00-\x7f]|[\x81-\xff][\x80-\xff][\x00-\x7f])"


class Sort(NamedTuple):
    """A sort of rows: bytes that are in its header for certain, how far these are behind the header's first byte (which
    is the header's length), its columns, and how much of a payload stays in its page.

    Each pattern begins with literal bytes: the search for these is fast.
    """

    anchor: re.Pattern[bytes]
    behind: tuple[int, ...]
    columns: int
    local_max: int


def _sort(anchor: bytes, behind: tuple[int, ...], columns: int, local_max: int) -> Sort:
    return Sort(re.compile(anchor, re.DOTALL), behind, columns, local_max)


# A moment is a text of 27 characters (type 0x43), a digest or hash a blob of 32 bytes (0x4c), a row's own number NULL.
JOURNAL: Final = _sort(rb"\x00\x43(?=%b%b)" % (_text, _text), (1,), 15, _TABLE_LOCAL_MAX)
CONTENT: Final = _sort(rb"\x00\x4c(?=[\x0c-\xff])", (1,), 3, _TABLE_LOCAL_MAX)
COLLECTION: Final = _sort(rb"\x00(?=[\x19\x1d\x1f][\x17\x19\x1d]%b)" % _text, (1,), 8, _TABLE_LOCAL_MAX)
ITEM: Final = _sort(rb"\x43\x43", (10, 11, 12, 13, 14, 15), 16, _INDEX_LOCAL_MAX)
LEDGER: Final = _sort(rb"\x81\x0d", (4,), 4, _INDEX_LOCAL_MAX)
META: Final = _sort(rb"\x1b(?=[\x1d\x31]account)", (1,), 2, _INDEX_LOCAL_MAX)


class Row(NamedTuple):
    """One row: its number (the primary key of a table that has rows by number), and its columns as they are stored."""

    number: int
    values: tuple[Value, ...]


class Pages:
    """The bytes of an account's file and of the `-wal` beside it; either may be empty."""

    def __init__(self, main: bytes, wal: bytes = b"") -> None:
        """Over these bytes."""
        self._parts = (
            _Part(main, 0, 0, PAGE_OCTETS),
            _Part(wal, _WAL_HEADER_OCTETS, _FRAME_HEADER_OCTETS, _FRAME_OCTETS),
        )
        self._newest = self._frames()

    def rows(self, sort: Sort) -> Iterator[Row]:
        """Every row that looks like one of this sort, a chance likeness or a remnant included; it may come again.

        A row that goes on in overflow pages comes once for each state of these pages that is left: the newest, and
        that in the file itself.
        """
        for part in self._parts:
            for match in sort.anchor.finditer(part.octets):
                start, end = part.page_around(match.start())
                for behind in sort.behind:
                    if start <= match.start() - behind:
                        yield from self._rows_at(part.octets, match.start() - behind, start, end, sort)

    def whole_rows(self, sort: Sort) -> Iterator[Row]:
        """The rows of this sort that stand in whole pages, as cells of these: as they were written at some time.

        For rows that nothing else proves.
        """
        for part in self._parts:
            cells: dict[int, frozenset[int]] = {}
            for match in sort.anchor.finditer(part.octets):
                start, end = part.page_around(match.start())
                if start not in cells:
                    cells[start] = _cells(part.octets[start : start + PAGE_OCTETS], is_first=part.header + start == 0)
                for at in (match.start() - behind for behind in sort.behind):
                    if start <= at and not cells[start].isdisjoint(_cell_starts(part.octets, at, start)):
                        yield from self._rows_at(part.octets, at, start, end, sort)

    def _rows_at(self, octets: bytes, at: int, start: int, end: int, sort: Sort) -> Iterator[Row]:
        types = _serial_types(octets, at, min(end, at + octets[at]))
        if types is None or len(types) != sort.columns:
            return
        sizes = [_octets_of(one) for one in types]
        length = octets[at] + sum(sizes)
        number = _number_before(octets, at, start)[0]
        for payload in self._payloads(octets, at, end, length, sort.local_max):
            values = _values(payload, octets[at], types, sizes)
            if values is not None:
                yield Row(number, values)

    def _payloads(self, octets: bytes, at: int, end: int, length: int, local_max: int) -> Iterator[bytes]:
        local = _local_octets(length, local_max)
        if local == length:
            if at + length <= end:
                yield octets[at : at + length]
            return
        if length > _PAYLOAD_OCTETS_MAX or at + local + 4 > end:
            return
        first = int.from_bytes(octets[at + local : at + local + 4], "big")
        rests = {self._overflow(first, length - local, newest) for newest in ({}, self._newest)}
        for rest in rests - {None}:
            yield octets[at : at + local] + (rest or b"")

    def _overflow(self, number: int, length: int, newest: dict[int, int]) -> bytes | None:
        """What the chain of overflow pages from this one on holds; None when it breaks off."""
        parts: list[bytes] = []
        while length > 0:
            page = self._page(number, newest)
            if len(page) < _USABLE:
                return None
            number = int.from_bytes(page[:4], "big")
            parts.append(page[4 : 4 + min(length, _OVERFLOW_OCTETS)])
            length -= _OVERFLOW_OCTETS
        return b"".join(parts)

    def _page(self, number: int, newest: dict[int, int]) -> bytes:
        if number in newest:
            return self._parts[1].octets[newest[number] : newest[number] + PAGE_OCTETS]
        start = (number - 1) * PAGE_OCTETS
        return self._parts[0].octets[start : start + PAGE_OCTETS] if number > 0 else b""

    def _frames(self) -> dict[int, int]:
        """Where in the `-wal` the last frame of each page is."""
        wal = self._parts[1].octets
        starts = range(_WAL_HEADER_OCTETS, len(wal) - _FRAME_OCTETS + 1, _FRAME_OCTETS)
        return {int.from_bytes(wal[start : start + 4], "big"): start + _FRAME_HEADER_OCTETS for start in starts}


class _Part(NamedTuple):
    """The bytes of one file, and how its pages lie in it: each begins with a header of its own."""

    octets: bytes
    first: int
    header: int
    step: int

    def page_around(self, at: int) -> tuple[int, int]:
        """Where the usable bytes of the page around `at` begin and end; nothing is usable outside of one."""
        start = at - (at - self.first) % self.step + self.header
        inside = start >= self.first and start <= at < start + _USABLE
        return (start, min(start + _USABLE, len(self.octets))) if inside else (at, at)


def _local_octets(length: int, local_max: int) -> int:
    """How much of a payload lies in the page of its row (https://sqlite.org/fileformat2.html#b_tree_pages)."""
    if length <= local_max:
        return length
    local = _LOCAL_MIN + (length - _LOCAL_MIN) % _OVERFLOW_OCTETS
    return local if local <= local_max else _LOCAL_MIN


def _number_before(octets: bytes, at: int, start: int) -> tuple[int, int]:
    """The variable-length integer that ends before `at`, and where it begins: of a table's row its number."""
    begin = at - 1
    while begin > start and at - begin < 9 and octets[begin - 1] & 0x80:
        begin -= 1
    number = 0
    for octet in octets[begin:at]:
        number = number << 7 | octet & 0x7F
    return number, begin


def _cell_starts(octets: bytes, at: int, start: int) -> Iterator[int]:
    """Where in its page the cell with this header may begin: in a table, in a leaf of an index, elsewhere in one.

    It begins with the length of the payload, an integer of variable length; what stands before that may look like
    a part of it, so each length that it can have is tried.
    """
    for end in (_number_before(octets, at, start)[1], at):
        for begin in range(end - 1, max(start, end - _LENGTH_OCTETS_MAX) - 1, -1):
            yield begin - start
            yield begin - start - _CHILD_OCTETS
            if not octets[begin - 1] & 0x80:
                break


def _cells(page: bytes, *, is_first: bool) -> frozenset[int]:
    """Where the cells of a page begin, when its checksum says that it is as it was written."""
    header = _FILE_HEADER_OCTETS if is_first else 0
    if len(page) < PAGE_OCTETS or not _is_whole(page) or page[header] not in _CELLS_BEHIND:
        return frozenset()
    first = header + _CELLS_BEHIND[page[header]]
    count = int.from_bytes(page[header + 3 : header + 5], "big")
    return frozenset(struct.unpack_from(f">{count}H", page, first)) if first + 2 * count <= _USABLE else frozenset()


def _is_whole(page: bytes) -> bool:
    """Whether the page's checksum is right (https://sqlite.org/cksumvfs.html)."""
    odd = even = 0
    for one, two in struct.iter_unpack("<2I", page[:_USABLE]):
        odd = odd + one + even & 0xFFFFFFFF
        even = even + two + odd & 0xFFFFFFFF
    return struct.pack("<2I", odd, even) == page[_USABLE:]


def _serial_types(octets: bytes, at: int, end: int) -> list[int] | None:
    """The types of the columns in the header from `at` to `end`; None when it does not end with a whole one."""
    types: list[int] = []
    value = 0
    for octet in octets[at + 1 : end]:
        value = value << 7 | octet & 0x7F
        if octet < 0x80:
            types.append(value)
            value = 0
    return types if end > at + 1 and octets[end - 1] < 0x80 else None


def _octets_of(serial_type: int) -> int:
    if serial_type >= _FIRST_BLOB_TYPE:
        return (serial_type - _FIRST_BLOB_TYPE) // 2
    return _NUMBER_OCTETS[serial_type]


def _values(payload: bytes, start: int, types: list[int], sizes: list[int]) -> tuple[Value, ...] | None:
    """The columns; None when a text is none."""
    values: list[Value] = []
    for serial_type, size in zip(types, sizes, strict=True):
        octets = payload[start : start + size]
        start += size
        if serial_type >= _FIRST_BLOB_TYPE:
            try:
                values.append(octets if serial_type % 2 == 0 else octets.decode())
            except UnicodeDecodeError:
                return None
        elif serial_type in (8, 9):
            values.append(serial_type - 8)
        else:
            values.append(int.from_bytes(octets, "big", signed=True) if octets else None)
    return tuple(values)
