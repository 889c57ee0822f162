"""Objects of a vault: packs, their indexes, manifests, small documents and tails. The first octet says which.

Checked: what is no such object is Damaged and nothing else; no account has a name that could lead out of a folder;
whatever an index says, the catalogue, merging and cutting come to an end with it; salvage never raises; a pack with one
octet changed gives the records that were written, or fewer, never others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from backports import zstd

from keepwell.model.errors import CannotStart, Damaged
from keepwell.model.names import AccountId, Digest, Kind, Lineage, parse_account_id
from keepwell.model.record import GENESIS, Facts, Op, Record, digest_of, seal
from keepwell.storage.contract import Carried
from keepwell.vault.catalogue import Catalogue, Pack
from keepwell.vault.documents import parse_epoch_document, parse_manifest, parse_vault_document
from keepwell.vault.layout import pack_name
from keepwell.vault.lines import Line, parse_tail, render_line
from keepwell.vault.merge_plan import plan_merge, plan_removal, superseded
from keepwell.vault.pack import PackIndex, Run, cut_pack, read_frame, read_index, render_pack
from keepwell.vault.salvage.pieces import index_said, opened_tail, pieces_of, unpacked_frames
from keepwell.vault.sealing import PlainSeal
from keepwell.vault.tail import parse_tail_object
from prove.fuzz.target import bounded, require, require_same, words

STEPS_FIXED: Final = 200_000
STEPS_PER_OCTET: Final = 2_000
FRAMES_READ_MAX: Final = 20
AT: Final = "2026-11-23T08:58:54.123456Z"
ADA: Final = AccountId("a_k3wq7m5d2xhv4tzs")
BOB: Final = AccountId("a_b2wq7m5d2xhv4tzs")
LINEAGE: Final = Lineage("oej4rj3ynmlmoikz")

WORDS: Final = words(
    b'{"pack":1,"vault":"v","epoch":1,"at":"2026-11-23T08:58:54.123456Z","frames":[|{"account":"a_k3wq7m5d2xhv4tzs"',
    b'"lineage":"l"|"first":1|"last":2|"prev":"|"head":"|"since":"|"until":"|"offset":0|"length":1|"octets":1|"ledger":{',
    b'"contacts":[1,2,"00"]|"blobs":["|{"manifest":1|"packs":{"|"accounts":{"|"documents":{"|"number":1|"keepwell_vault":1',
    b'"id":"|"made_at":"|"recipients":null|"epoch":|"server":"|"host":"|{"heads":{|"age":"|../|a_system|-1|1e9|\n|]|}|[[[[',
    b"\x28\xb5\x2f\xfd|age-encryption.org/v1\n|\x50\x2a\x4d\x18",
)


def check(data: bytes) -> None:
    """One object."""
    check_one = _CHECKS.get(data[:1])
    if check_one is not None:
        with bounded(data, STEPS_FIXED + STEPS_PER_OCTET * len(data)):
            check_one(data[1:])


def _check_pack(stored: bytes) -> None:
    for unpacked in unpacked_frames(stored, []):
        list(pieces_of(unpacked))
    try:
        index = read_index(stored)
    except Damaged:
        require(index_said(stored) is None, "salvage reads an index that nobody else does")
        return
    if index is None:
        return
    _check_index(stored, index)
    for frame in index.frames[:FRAMES_READ_MAX]:
        lines = _read(stored, index, index.frames.index(frame))
        require(lines is None or len(lines) == frame.last - frame.first + 1, f"{lines} of {frame}")


def _check_index(stored: bytes, index: PackIndex) -> None:
    """Everything that is decided by what an index says."""
    pack = Pack(pack_name(stored, sealed=False), len(stored), index)
    catalogue = Catalogue()
    catalogue.add_pack(pack)
    for account in catalogue.accounts():
        parse_account_id(account)
        covering, head = catalogue.covering(account), catalogue.head(account)
        require_same(head.sequence, covering[-1].frame.last if covering else 0, "where the coverage ends")
        catalogue.ledger(account)
        kept = cut_pack(stored, index, account, sealed=False)
        left = [frame.account for frame in index.frames if frame.account != account]
        again = None if kept is None else read_index(kept)
        require_same([frame.account for frame in again.frames] if again else [], left, "what cutting an account leaves")
    require(catalogue.is_superseded(pack.name, [pack.name]) is (not index.frames), "a pack in whose place is nothing")
    require_same(plan_merge([pack]), [], "one pack is merged with itself")
    require_same(superseded([pack]), {}, "a pack is superseded by itself")
    plan_removal([pack, Pack("packs/other", len(stored) + 1, index)], datetime.now(UTC))


def _read(stored: bytes, index: PackIndex, number: int) -> list[Line] | None:
    frame = index.frames[number]
    try:
        return read_frame(stored[frame.offset : frame.offset + frame.length], frame, PlainSeal())
    except Damaged:
        return None


def _check_index_text(text: bytes) -> None:
    """A pack with whole frames, of which the index says this."""
    stored, _, _ = _PACK
    _check_pack(stored[: stored.rfind(b"\n", 0, -1)] + b"\n" + text + b"\n")


def _check_changed(patch: bytes) -> None:
    """A pack with one octet changed: its place in two octets, then the new one."""
    stored, _, lines = _PACK
    place, new = int.from_bytes(patch[:2]) % len(stored), patch[2:3] or b"\0"
    changed = stored[:place] + new + stored[place + 1 :]
    for unpacked in unpacked_frames(changed, []):
        found = [piece.record for piece in pieces_of(unpacked) if piece.record is not None]
        require(all(one in [line.record for line in lines] for one in found), "salvage finds what nobody wrote")
    try:
        index = read_index(changed)
    except Damaged:
        return
    for number in range(len(index.frames) if index else 0):
        read = _read(changed, index, number) if index else None
        require(read is None or all(line in lines for line in read), f"octet {place} changes what a pack says")


def _check_manifest(stored: bytes) -> None:
    try:
        manifest = parse_manifest(stored)
    except Damaged:
        return
    for account in manifest.accounts:
        parse_account_id(account)


def _check_manifest_text(text: bytes) -> None:
    _check_manifest(zstd.compress(text))


def _check_vault_document(stored: bytes) -> None:
    try:
        parse_vault_document(stored, "here")
    except (Damaged, CannotStart):
        return


def _check_epoch_document(stored: bytes) -> None:
    try:
        parse_epoch_document(stored)
    except Damaged:
        return


def _check_tail(stored: bytes) -> None:
    lines = parse_tail_object(stored, PlainSeal())
    require_same(lines, parse_tail(stored), "a tail of a plain vault")
    catalogue = Catalogue()
    catalogue.add_tail(lines.lines)
    for account in catalogue.accounts():
        parse_account_id(account)
        require(catalogue.head(account).sequence >= 0, "where a tail ends")
    for octets in opened_tail(stored, []):
        list(pieces_of(octets))


class _Sealed(PlainSeal):
    """Says that it seals, and does not: what is in an envelope can be anything."""

    sealed = True


def _check_sealed_tail(stored: bytes) -> None:
    parse_tail_object(stored, _Sealed())


def _record(account: AccountId, before: Record | None, op: Op, body: bytes | None = None) -> Record:
    facts = Facts(
        account=account,
        at=AT,
        by="fuzzing",
        lineage=LINEAGE,
        op=op,
        prev=before.hash if before else GENESIS,
        seq=before.facts.seq + 1 if before else 1,
        kind=Kind.CONTACTS if body is not None else None,
        name="1.vcf" if body is not None else "",
        digest=Digest(digest_of(body)) if body is not None else None,
        size=len(body) if body is not None else None,
    )
    return seal(facts)


def _run(account: AccountId, bodies: Iterable[bytes]) -> tuple[Run, list[Line]]:
    record = first = _record(account, None, Op.OPEN)
    lines = [Line(first)]
    for body in bodies:
        record = _record(account, record, Op.PUT, body)
        lines.append(Line(record, body))
    text = b"".join(render_line(Carried(line.record, line.body)) for line in lines)
    ledger = {Kind.CONTACTS: (record.facts.seq, 1, "00" * 32)}
    ends = (1, record.facts.seq, first.facts.prev, record.hash)
    return Run(account, LINEAGE, *ends, AT, AT, text, ledger), lines


def _pack() -> tuple[bytes, PackIndex, list[Line]]:
    runs = [_run(ADA, [b"one", b"\xff\x00"]), _run(BOB, [b"two"])]
    stored, index = render_pack([run for run, _ in runs], vault="v", epoch=1, at=AT, seal=PlainSeal())
    return stored, index, [line for _, lines in runs for line in lines]


_PACK: Final = _pack()
_CHECKS: Final[Mapping[bytes, Callable[[bytes], None]]] = {
    b"p": _check_pack,
    b"i": _check_index_text,
    b"c": _check_changed,
    b"m": _check_manifest,
    b"n": _check_manifest_text,
    b"v": _check_vault_document,
    b"e": _check_epoch_document,
    b"t": _check_tail,
    b"s": _check_sealed_tail,
}
