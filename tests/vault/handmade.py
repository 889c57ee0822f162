"""Vaults made by hand, as docs/VAULT_FORMAT.md describes them: with the `zstd` program, and `age` keys where wanted.

What reads vaults is tested with these, so that a fault of what writes them cannot hide.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import subprocess
from pathlib import Path

from keepwell.model.names import AccountId, Digest, Kind, Lineage
from keepwell.model.record import GENESIS, Facts, Op, Record, digest_of, seal
from keepwell.storage.contract import Carried
from keepwell.vault.layout import blob_name, manifest_name, pack_name, sealed_blob_name
from keepwell.vault.lines import render_line
from keepwell.vault.sealing import PlainSeal, Seal

ADA = AccountId("a_k3wq7m5d2xhv4tzs")
BOB = AccountId("a_b2wq7m5d2xhv4tzs")
AT = "2026-11-23T08:58:54.123456Z"
LINEAGE = Lineage("oej4rj3ynmlmoikz")


class Journal:
    """An account's records and their lines, in order; bodies stand in the line unless a blob is named."""

    def __init__(self, account: AccountId = ADA) -> None:
        self.account = account
        self.records: list[Record] = []
        self.lines: list[bytes] = []
        self.add(Op.OPEN)

    def add(
        self,
        op: Op,
        kind: Kind | None = None,
        collection: str = "",
        name: str = "",
        *,
        body: bytes | None = None,
        blob: str | None = None,
        properties: dict[str, str] | None = None,
    ) -> Record:
        record = seal(
            Facts(
                account=self.account,
                at=AT,
                by="app-password:Ada’s “phone”\t\x7f☎",
                lineage=LINEAGE,
                prev=self.records[-1].hash if self.records else GENESIS,
                seq=len(self.records) + 1,
                op=op,
                kind=kind,
                collection=collection,
                name=name,
                digest=None if body is None else digest_of(body),
                size=None if body is None else len(body),
                properties=properties,
            )
        )
        self.records.append(record)
        self.lines.append(render_line(Carried(record, body), blob))
        return record

    def make(self, kind: Kind, collection: str, **properties: str) -> None:
        self.add(Op.MAKE, kind, collection, properties=properties)

    def put(self, kind: Kind, collection: str, name: str, body: bytes, blob: str | None = None) -> None:
        self.add(Op.PUT, kind, collection, name, body=body, blob=blob)

    def remove(self, kind: Kind, collection: str, name: str) -> None:
        self.add(Op.REMOVE, kind, collection, name)

    def drop(self, kind: Kind, collection: str) -> None:
        self.add(Op.DROP, kind, collection)

    def without_body(self, seq: int) -> None:
        """Take the bytes out of this record's line, as when they were erased."""
        fields = json.loads(self.lines[seq - 1])
        for name in ("body", "body64", "blob"):
            fields.pop(name, None)
        self.lines[seq - 1] = json.dumps(fields, ensure_ascii=False).encode() + b"\n"


class HandmadeVault:
    """A vault's folder."""

    def __init__(self, folder: Path, seal_of: Seal | None = None) -> None:
        self.folder = folder
        self.seal: Seal = seal_of or PlainSeal()
        self.packs: dict[str, int] = {}
        for name in ("packs", "tails", "blobs", "manifests", "epochs"):
            (folder / name).mkdir(parents=True)

    def pack(self, *runs: tuple[AccountId, list[bytes]]) -> Path:
        """A pack with these lines of these accounts, a frame each; its place."""
        stored, frames = b"", []
        for account, lines in runs:
            frame = self.seal.seal(zstd(b"".join(lines)))
            first, last = (json.loads(lines[place])["seq"] for place in (0, -1))
            where = {"offset": len(stored), "length": len(frame)}
            frames.append({"account": account, "first": first, "last": last, **where})
            stored += frame
        index = b"\n" + json.dumps({"pack": 1, "frames": frames}).encode() + b"\n"
        stored += index if self.seal.sealed else struct.pack("<II", 0x184D2A50, len(index)) + index
        return self._keep(pack_name(stored, sealed=self.seal.sealed), stored)

    def tail(self, lines: list[bytes], *, word: str = "aaaa") -> None:
        """A tail; in an encrypted vault each line is one of its own."""
        if self.seal.sealed:
            sealed = [base64.b64encode(self.seal.seal(line)).decode() for line in lines]
            lines = [json.dumps({"heads": {}, "age": text}).encode() + b"\n" for text in sealed]
        self._keep(f"tails/0000000001-{word}.jsonl", b"".join(lines))

    def blob(self, body: bytes) -> str:
        """An object with these bytes; its name."""
        stored = self.seal.seal(body)
        name = sealed_blob_name(stored) if self.seal.sealed else blob_name(Digest(hashlib.sha256(body).hexdigest()))
        self._keep(name, stored)
        return name

    def manifest(self, *journals: Journal, number: int = 1) -> None:
        """A manifest of all packs so far, and of these accounts as they are now."""
        heads = {one.account: {"seq": len(one.records), "head": one.records[-1].hash} for one in journals}
        stored = zstd(json.dumps({"manifest": 1, "packs": self.packs, "accounts": heads}).encode())
        self._keep(manifest_name(number, stored), stored)

    def _keep(self, name: str, stored: bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stored)
        if name.startswith("packs/"):
            self.packs[name] = len(stored)
        return path


def zstd(octets: bytes) -> bytes:
    """What the zstd program makes of these bytes, with its checksum."""
    return subprocess.run(["zstd", "-q", "--check"], input=octets, capture_output=True, check=True).stdout
