"""The verification that docs/VAULT_FORMAT.md describes, done as it says, with `jq` and `sha256sum`."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from keepwell.model.names import AccountId, Kind
from keepwell.model.record import Op, canonical, digest_of
from keepwell.storage.contract import Entry, Transaction
from keepwell.storage.sqlite import SqliteStore
from tests.house.source import ROOT

ACCOUNT = AccountId("a_k3wq7m5d2xhv4tzs")
BY = 'app-password:Ada’s "phone"\t☎'


def fill(transaction: Transaction) -> None:
    transaction.append(Entry(Op.OPEN, "operator"))
    properties = {"displayname": "Bücher & <more>", "{urn:x}y": "<y xmlns='urn:x'>\u2028\\</y>", "a": "\x01\x1f/"}
    transaction.append(Entry(Op.MAKE, BY, Kind.CONTACTS, "friends", properties=properties))
    for number in range(3):
        body = f"BEGIN:VCARD\r\nVERSION:4.0\r\nUID:u{number}\r\nFN:Bøb 😀\r\nEND:VCARD\r\n".encode()
        put = Entry(Op.PUT, BY, Kind.CONTACTS, "friends", f"bøb{number}.vcf", f"u{number}", "text/vcard")
        transaction.append(
            Entry(put.op, BY, put.kind, "friends", put.name, put.uid, put.media_type, digest_of(body), len(body)), body
        )
    transaction.append(Entry(Op.REMOVE, BY, Kind.CONTACTS, "friends", "bøb1.vcf", "u1"))


@pytest.fixture
def lines(tmp_path: Path) -> list[str]:
    """The records of an account as JSON lines, as they stand in its file."""
    store = SqliteStore(tmp_path / "data")
    found = []
    with store.create(ACCOUNT, [fill]).reading() as snapshot:
        for record in snapshot.records():
            fields = json.loads(canonical(record.facts)) | {"hash": record.hash}
            if record.facts.digest:
                fields["body"] = (snapshot.content(record.facts.digest) or b"").decode()
            found.append(json.dumps(fields, ensure_ascii=False))
    store.close()
    return found


def verify(folder: Path, lines: list[str]) -> str:
    """What the document's script prints about these records."""
    assert shutil.which("jq"), "jq is not there; install it with: apt-get install jq"
    (folder / "journal.jsonl").write_text("".join(f"{line}\n" for line in lines))
    block = re.search(r"^```sh\n(.*?)^```", (ROOT / "docs" / "VAULT_FORMAT.md").read_text(), re.MULTILINE | re.DOTALL)
    assert block is not None
    done = subprocess.run(["bash", "-c", block[1]], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def test_a_whole_journal_verifies_in_silence(tmp_path: Path, lines: list[str]) -> None:
    """Records as they are, with bodies, quotes, control characters and emoji, prove themselves by jq and sha256sum."""
    assert verify(tmp_path, lines) == ""


def test_a_changed_field_is_named(tmp_path: Path, lines: list[str]) -> None:
    """A record with a changed name is named, and so is the one that stood on it."""
    lines[3] = lines[3].replace("bøb1.vcf", "bob1.vcf")
    found = verify(tmp_path, lines)
    assert "record 4: its hash does not match its fields" in found
    assert "record 5: it does not follow the one before" in found


def test_a_missing_record_is_named(tmp_path: Path, lines: list[str]) -> None:
    """The record behind a gap is named."""
    del lines[3]
    assert verify(tmp_path, lines) == "record 5: it does not follow the one before\n"


def test_an_erased_body_breaks_nothing(tmp_path: Path, lines: list[str]) -> None:
    """The digest stands for the body: without it the chain still holds."""
    fields = json.loads(lines[2])
    del fields["body"]
    lines[2] = json.dumps(fields)
    assert verify(tmp_path, lines) == ""
