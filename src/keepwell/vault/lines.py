"""Journal lines: a record and the bytes that it brings, as one line of JSON (docs/VAULT_FORMAT.md).

A line is parsed in one pass into the record's facts; what stands beside them (hash, body) in another. A record whose
fields are not all known here still proves itself: then its canonical form is made from the JSON as it stands.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

import msgspec

from keepwell.model.errors import Damaged
from keepwell.model.names import is_account_id, is_digest
from keepwell.model.record import Facts, Record, canonical, digest_of, is_proven
from keepwell.model.unreadable import UNREADABLE
from keepwell.storage.contract import Carried
from keepwell.vault.medium import is_object_name

_BYTES = frozenset({"body", "body64", "blob"})
_NOT_HASHED = _BYTES | {"hash"}


class Travel(msgspec.Struct, frozen=True, omit_defaults=True):
    """What stands in a line beside the record's facts."""

    hash: str
    body: str | None = None
    body64: str | None = None
    blob: str | None = None


_KNOWN = frozenset(Facts.__struct_fields__) | frozenset(Travel.__struct_fields__)


class Line(msgspec.Struct, frozen=True, gc=False):
    """One line: the record, the bytes in it, and the name of the object that has them when they are not in it.

    A strange record has fields that are unknown here: it is proven as well, but not by the facts that are known of it.
    """

    record: Record
    body: bytes | None = None
    blob: str | None = None
    strange: bool = False


_hash = re.compile(rb',"hash":"([0-9a-f]{64})"')
_text = re.compile(rb"[^\n]+\n?")
_facts_decoder = msgspec.json.Decoder(Facts)
_travel_decoder = msgspec.json.Decoder(Travel)
_any_decoder = msgspec.json.Decoder(dict[str, object])
_encoder = msgspec.json.Encoder()
_sorting_encoder = msgspec.json.Encoder(order="sorted")


def render_line(carried: Carried, blob: str | None = None) -> bytes:
    """One line with its line feed; with `blob` the bytes stand in that object instead."""
    record = carried.record
    travel = Travel(record.hash, blob=blob) if blob or carried.body is None else _with_body(record.hash, carried.body)
    # Both are objects: the second is continued into the first.
    return canonical(record.facts)[:-1] + b"," + _encoder.encode(travel)[1:] + b"\n"


def _with_body(hashed: str, body: bytes) -> Travel:
    try:
        return Travel(hashed, body=body.decode())
    except UnicodeDecodeError:
        return Travel(hashed, body64=base64.b64encode(body).decode("ascii"))


def without_bytes(text: bytes) -> bytes:
    """The same line, its record as it is, without the bytes and without the name of what has them. Raises Damaged."""
    fields = _fields(text)
    for name in _BYTES:
        fields.pop(name, None)
    return _encoder.encode(fields) + b"\n"


def with_bytes_of(text: bytes, other: bytes) -> bytes:
    """A line that brings none, with the bytes, or the name of what has them, of another line. Raises Damaged."""
    given = _fields(other)
    return _encoder.encode(_fields(text) | {name: given[name] for name in sorted(_BYTES & given.keys())}) + b"\n"


def parse_lines(octets: bytes) -> list[Line]:
    """Every line of a pack's frame, each record proven to be what its hash says. Raises Damaged."""
    try:
        facts, travels = _facts_decoder.decode_lines(octets), _travel_decoder.decode_lines(octets)
    except UNREADABLE as error:
        raise Damaged(f"a journal line cannot be read: {error}") from error
    lines = [_line(*pair) for pair in zip(facts, travels, strict=True)]
    strange = [index for index, one in enumerate(lines) if not is_proven(one.record)]
    if strange:
        _require_proven([text for text in octets.split(b"\n") if text.strip()], strange)
        for index in strange:
            lines[index] = msgspec.structs.replace(lines[index], strange=True)
    return lines


def parse_exact_line(text: bytes) -> Line:
    """One line with its line feed, proven down to the octet, or as JSON if it has fields unknown here. Raises Damaged.

    Where the stored bytes have no hash, `"bodx"` for `"body"` must not pass for a field of a newer Keepwell.
    """
    lines = parse_lines(text)
    if len(lines) != 1:
        raise Damaged(f"{len(lines)} journal lines are where one should be")
    line = lines[0]
    if render_line(Carried(line.record, line.body), line.blob) != text:
        if _fields(text).keys() <= _KNOWN:
            raise Damaged(f"record {line.record.facts.seq} of {line.record.facts.account} is not as it was written")
        _require_proven([text], [0])
    return line


class TailLines(msgspec.Struct, frozen=True):
    """What a tail has: the lines that prove themselves, and how many of the others are damaged."""

    lines: list[Line]
    damaged: int
    """Lines that are not as they were written though there are others behind them."""
    ends_broken: bool
    """Whether the last line is not: nobody can tell damage from a crash that cut off what was not confirmed."""


def parse_tail(octets: bytes) -> TailLines:
    """The lines of a tail, each proven alone; of one whose bytes are damaged the record, without them. Never raises."""
    lines, damaged = list[Line](), 0
    texts = texts_of(octets)
    for number, text in enumerate(texts, 1):
        try:
            lines += _parse_whole(text)
        except Damaged:
            if number == len(texts):  # perhaps it was never confirmed: nothing of it counts
                return TailLines(lines, damaged, ends_broken=True)
            record, damaged = record_in(text), damaged + 1
            lines += [] if record is None else [Line(record)]
    return TailLines(lines, damaged, ends_broken=False)


def _parse_whole(text: bytes) -> list[Line]:
    if not text.endswith(b"\n"):
        raise Damaged("a line of a tail has no end")
    return [parse_exact_line(text)]


def record_in(text: bytes) -> Record | None:
    """The record of a line whose bytes are damaged: the canonical form is what stands before its hash."""
    match = _hash.search(text)
    facts = b"" if match is None else text[: match.start()] + b"}"
    if match is None or hashlib.sha256(facts).hexdigest() != match[1].decode():
        return None
    try:
        record = Record(_facts_decoder.decode(facts), match[1].decode())
    except UNREADABLE:
        return None
    return record if is_proven(record) and is_account_id(record.facts.account) else None


def texts_of(octets: bytes) -> list[bytes]:
    """The texts of a tail's lines, with their line feeds, the last as far as it goes.

    A log takes space beforehand and fills it with line feeds: a million of them are no lines to look at one by one.
    """
    return _text.findall(octets)


def _line(facts: Facts, travel: Travel) -> Line:
    body = None
    if travel.body is not None:
        body = travel.body.encode()
    elif travel.body64 is not None:
        body = _decoded(facts, travel.body64)
    if body is not None and digest_of(body) != facts.digest:
        raise Damaged(f"record {facts.seq} of {facts.account}: the bytes it brings do not match its digest")
    _require_plain(facts, body, travel.blob)
    return Line(Record(facts, travel.hash), body, travel.blob)


def _require_plain(facts: Facts, body: bytes | None, blob: str | None) -> None:
    """What files are named of is a plain name. A hash proves a record whoever made it, also one that leads outside."""
    if not is_account_id(facts.account):
        raise Damaged(f"record {facts.seq}: {facts.account[:40]!r} is no account id")
    if body is None and facts.digest is not None and not is_digest(facts.digest):
        raise Damaged(f"record {facts.seq} of {facts.account}: {facts.digest[:80]!r} is no digest")
    if blob is not None and not is_object_name(blob):
        raise Damaged(f"record {facts.seq} of {facts.account}: {blob[:80]!r} is no name of an object")


def _decoded(facts: Facts, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Damaged(f"record {facts.seq} of {facts.account}: its bytes are no base64") from error


def _fields(text: bytes) -> dict[str, object]:
    try:
        return _any_decoder.decode(text)
    except UNREADABLE as error:  # the names of unknown fields are decoded only here
        raise Damaged(f"a journal line cannot be read: {error}") from error


def _require_proven(texts: list[bytes], numbers: list[int]) -> None:
    """Prove these lines by their JSON as it stands: a newer Keepwell may have written fields unknown here."""
    for number in numbers:
        if number >= len(texts):
            raise Damaged("journal lines are not each on a line of its own")
        fields = _fields(texts[number])
        known = {name: value for name, value in fields.items() if name not in _NOT_HASHED}
        octets = _sorting_encoder.encode(known).replace(b"\x7f", b"\\u007f")
        if hashlib.sha256(octets).hexdigest() != fields.get("hash"):
            where = f"record {fields.get('seq')} of {fields.get('account')}"
            raise Damaged(f"{where}: its hash does not match its fields")
