"""Journal lines: as they come, and with a hash that holds, which no change at random would ever bring.

Checked: a line that is not as it was written is Damaged and nothing else; what is taken is rendered octet for octet, or
has fields that are unknown here; a tail and salvage never raise, and salvage finds whatever reading finds; without its
bytes a line still proves its record; no other octets than those that were hashed pass for them.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from keepwell.model.errors import Damaged
from keepwell.model.record import Facts, digest_of, is_proven
from keepwell.storage.contract import Carried
from keepwell.vault.lines import Line, parse_exact_line, parse_lines, parse_tail, render_line, without_bytes
from keepwell.vault.salvage.pieces import heads_said, pieces_of
from prove.fuzz.target import bounded, require, require_same, words

STEPS_FIXED: Final = 50_000
STEPS_PER_OCTET: Final = 100

WORDS: Final = words(
    b'"account":"a_aaaaaaaaaaaaaaaa"|"at":"2026-11-23T08:58:54.123456Z"|"by":"x"|"collection":"|"digest":"|"kind":"contacts"',
    b'"lineage":"|"media_type":"text/vcard"|"name":"|"op":"put"|"op":"remove"|"op":"open"|"prev":"0000|"properties":{"a":"b"}',
    b'"seq":1|"size":512|"uid":"|"hash":"|"body":"BEGIN:VCARD\\r\\n"|"body64":"QQ=="|"blob":"blobs/00/|"later":[1]',
    b"\\u0000|\\u007f|\\ud800|\\n|{|}|[[[[[[[[|null|true|1e999|-1|99999999999999999999|\x7f|\xc3\xa4|\n",
)

_BYTES: Final = ("body", "body64", "blob")


def check(data: bytes) -> None:
    """Lines as they come, then the first of them with digest, size and hash made true."""
    with bounded(data, STEPS_FIXED + STEPS_PER_OCTET * len(data)):
        _check_lines(data)
        sealed = _sealed(data.partition(b"\n")[0])
        if sealed is not None:
            _check_lines(sealed)
            _check_line(sealed, data)


def _check_lines(octets: bytes) -> None:
    tail = parse_tail(octets).lines
    found = [piece.record for piece in pieces_of(octets)]
    require(all(line.record in found for line in tail if is_proven(line.record)), "salvage misses a line of a tail")
    list(heads_said(octets))
    try:
        lines = parse_lines(octets)
    except Damaged:
        return
    # What has fields that no hash covers, or is spelt in another way, is damage in a tail, whose bytes have no hash.
    if b"".join(render_line(Carried(one.record, one.body), one.blob) for one in lines) == octets:
        require_same(tail, lines, "a tail, and the same lines read for restore")


def _sealed(text: bytes) -> bytes | None:
    """The line with what must be true of a record made true; None when it is no object of JSON."""
    try:
        fields = msgspec.json.decode(text, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    body = fields.get("body")
    if isinstance(body, str) and "digest" in fields:
        fields |= {"digest": digest_of(body.encode()), "size": len(body.encode())}
    fields.pop("hash", None)
    hashed = {name: value for name, value in fields.items() if name not in _BYTES}
    octets = msgspec.json.encode(hashed, order="sorted").replace(b"\x7f", b"\\u007f")
    brought = {name: fields[name] for name in _BYTES if name in fields}
    travel = msgspec.json.encode({"hash": hashlib.sha256(octets).hexdigest(), **brought})
    return (octets[:-1] + b"," if hashed else b"{") + travel[1:] + b"\n"


def _check_line(text: bytes, data: bytes) -> None:
    try:
        line = parse_exact_line(text)
    except Damaged:
        return
    known = msgspec.json.decode(text, type=dict[str, object]).keys() <= {*Facts.__struct_fields__, "hash", *_BYTES}
    if known:
        require_same(render_line(Carried(line.record, line.body), line.blob), text, "a line that is taken")
    bare = [(one.record, one.body, one.blob) for one in parse_lines(without_bytes(text))]
    require_same(bare, [(line.record, None, None)], "a line without its bytes")
    place = int.from_bytes(hashlib.sha256(data).digest()[:4]) % (len(text) * 8)
    _check_flipped(text, place, line)


def _check_flipped(text: bytes, place: int, line: Line) -> None:
    """One bit of a line is another one."""
    flipped = bytearray(text)
    flipped[place // 8] ^= 1 << place % 8
    try:
        other = parse_exact_line(bytes(flipped))
    except Damaged:
        return
    # The name of a blob is proven by nothing but the blob itself, whose digest the record has.
    same = (other.record, other.body) == (line.record, line.body)
    require(same, f"bit {place} of a line is another one and nobody sees it: {bytes(flipped)!r}")
