"""Objects of a vault that somebody made to do harm: they are damaged, and nothing worse comes of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec
import pytest
from backports import zstd

from keepwell.model.erasures import parse_order
from keepwell.model.errors import Damaged
from keepwell.model.names import AccountId, Digest, Kind
from keepwell.model.record import GENESIS, Facts, Op, seal
from keepwell.storage.contract import Carried
from keepwell.vault.documents import parse_epoch_document, parse_manifest, parse_vault_document
from keepwell.vault.lines import parse_lines, parse_tail, render_line
from keepwell.vault.pack import Frame, PackIndex, read_index, render_pack
from keepwell.vault.salvage.pieces import index_said, pieces_of
from keepwell.vault.sealing import PlainSeal
from keepwell.vault.tail import parse_tail_object
from tests.vault.handmade import ADA, AT, LINEAGE
from tests.vault.journals import ANNA, Journal

DEEP = b'{"later":' + b"[" * 5000 + b"]" * 5000 + b"}\n"


@pytest.mark.parametrize(
    "read",
    [
        parse_lines,
        read_index,
        parse_epoch_document,
        parse_order,
        lambda octets: parse_manifest(zstd.compress(octets)),
        lambda octets: parse_vault_document(octets, "here"),
    ],
    ids=["lines", "index", "epoch", "order", "manifest", "vault"],
)
def test_thousands_of_brackets_within_each_other_are_damage(read: Callable[[bytes], object]) -> None:
    """JSON that nests deeper than a stack is deep, in a field that nobody knows, cannot be read, and nothing breaks."""
    with pytest.raises(Damaged):
        read(b"\n" + DEEP)


def test_salvage_passes_over_what_nests_too_deep() -> None:
    """A line with brackets without end costs salvage, and whoever reads a tail, no line before it."""
    journal = Journal()
    journal.put("bob", b"x")
    lines = b"".join(render_line(one) for one in journal.carried)
    records = [one.record for one in journal.carried]
    assert [piece.record for piece in pieces_of(lines + DEEP)] == records
    assert [line.record for line in parse_tail(lines + DEEP).lines] == records
    assert index_said(b"\n" + DEEP) is None


def test_base64_beyond_ascii_is_damage() -> None:
    """What stands for bytes and is no base64 proves nothing, whatever characters are in it."""
    assert list(pieces_of('{"account":"a","body64":"Ԉ=="}\n'.encode())) == []

    class Sealed(PlainSeal):
        sealed = True

    assert parse_tail_object('{"heads":{},"age":"Ԉ=="}\n'.encode(), Sealed()).lines == []


def line_of(*, account: str = ADA, digest: str | None = None, blob: str | None = None) -> bytes:
    """A line whose hash holds, whatever it says."""
    facts = Facts(
        account=AccountId(account),
        at=AT,
        by="somebody",
        lineage=LINEAGE,
        op=Op.PUT,
        prev=GENESIS,
        seq=1,
        kind=Kind.CONTACTS,
        digest=None if digest is None else Digest(digest),
    )
    return render_line(Carried(seal(facts)), blob)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (line_of(account="../../outside"), "is no account id"),
        (line_of(account=""), "is no account id"),
        (line_of(digest="../../../outside"), "is no digest"),
        (line_of(digest="0" * 64, blob="../../outside"), "is no name of an object"),
        (line_of(digest="0" * 64, blob="/etc/passwd"), "is no name of an object"),
    ],
)
def test_a_record_that_leads_outside_is_damage(line: bytes, said: str) -> None:
    """Files are named of accounts, digests and objects: a record that proves itself may not lead elsewhere by them."""
    with pytest.raises(Damaged, match=said):
        parse_lines(line)
    assert parse_lines(line_of(digest="0" * 64, blob="blobs/00/" + "0" * 64))


def test_salvage_takes_no_record_that_leads_outside() -> None:
    """Nor does a record count whose line is damaged elsewhere."""
    line = line_of(account="../../outside")
    assert list(pieces_of(line.rstrip(b"}\n") + b',"body":"\xff')) == []


def test_lines_of_a_newer_keepwell_may_have_blank_lines_between_them() -> None:
    """Each is proven by its own text."""
    octets = b""
    for number in (1, 2):
        fields = msgspec.json.decode(line_of(digest=f"{number:064x}"), type=dict[str, object]) | {"later": number}
        del fields["hash"]
        hashed = hashlib.sha256(msgspec.json.encode(fields, order="sorted")).hexdigest()
        octets += msgspec.json.encode(fields | {"hash": hashed}) + b"\n\n"
    assert [line.record.facts.digest for line in parse_lines(octets)] == [f"{number:064x}" for number in (1, 2)]
    with pytest.raises(Damaged):
        parse_lines(octets.replace(b'"later":2', b'"later":3'))


@pytest.mark.parametrize(
    "changed",
    [{"account": AccountId("../../outside")}, {"offset": -1}, {"length": 0}, {"length": -9}, {"first": 0}, {"last": 0}],
    ids=str,
)
def test_an_index_that_says_what_cannot_be_is_damage(changed: dict[str, object]) -> None:
    """Nothing proves an index, and merging and cutting go by it before anything is read."""
    journal = Journal(ANNA)
    _, index = render_pack([journal.run()], vault="v", epoch=1, at=AT, seal=PlainSeal())
    frame: Frame = msgspec.structs.replace(index.frames[0], **changed)
    with pytest.raises(Damaged, match="index of a pack"):
        read_index(as_index(msgspec.structs.replace(index, frames=(frame,))))
    assert read_index(as_index(index)) == index


def test_an_index_of_no_moment_is_damage() -> None:
    """When a pack was written decides when others may go."""
    with pytest.raises(Damaged, match="no moment"):
        read_index(as_index(PackIndex(1, "v", 1, "2026-11-23T08:58:54s", ())))


def test_a_manifest_of_an_account_that_leads_outside_is_damage() -> None:
    """A restore makes a file of each account that a manifest names."""
    account = b'{"seq":1,"head":"","lineage":"","ledger":{}}'
    text = b'{"manifest":1,"vault":"v","epoch":1,"number":1,"at":"","packs":{},"accounts":{"../../x":' + account + b"}}"
    with pytest.raises(Damaged, match="no account id"):
        parse_manifest(zstd.compress(text))
    assert parse_manifest(zstd.compress(text.replace(b"../../x", ADA.encode()))).accounts


def as_index(index: PackIndex) -> bytes:
    """The end of a pack."""
    return b"\n" + msgspec.json.encode(index) + b"\n"
