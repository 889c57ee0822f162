"""The scripts in docs/VAULT_FORMAT.md are those of vaults, and prove a store's records as the document says."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from keepwell.model.names import AccountId, Kind
from keepwell.model.record import Facts, Op, canonical, digest_of, seal
from keepwell.storage.contract import Entry, Transaction
from keepwell.storage.sqlite import SqliteStore
from keepwell.vault.readme import read_script
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
    """What the document's script tells about these records."""
    for program in ("jq", "zstd"):
        assert shutil.which(program), f"{program} is not there; install it with: apt-get install {program}"
    (folder / "packs").mkdir()
    packed = subprocess.run(["zstd", "-q"], input="".join(f"{line}\n" for line in lines).encode(), capture_output=True)
    (folder / "packs" / "made.jsonl.zst").write_bytes(packed.stdout)
    done = subprocess.run(["bash", "-c", blocks()[0]], cwd=folder, capture_output=True, text=True)
    assert done.returncode == (1 if done.stderr else 0)
    return done.stderr


def blocks() -> list[str]:
    """The document's scripts."""
    document = (ROOT / "docs" / "VAULT_FORMAT.md").read_text()
    return re.findall(r"^```bash\n(.*?)^```$", document, re.MULTILINE | re.DOTALL)


def test_the_document_shows_the_scripts_that_vaults_have() -> None:
    """The scripts of the document are those that are put into vaults, character for character."""
    assert blocks() == [read_script("recover"), read_script("open_sealed")]


def test_a_whole_journal_verifies_in_silence(tmp_path: Path, lines: list[str]) -> None:
    """Records as they are, with bodies, quotes, control characters and emoji, prove themselves by jq and sha256sum."""
    assert verify(tmp_path, lines) == ""


def test_a_changed_field_is_named(tmp_path: Path, lines: list[str]) -> None:
    """A record with a changed name is named, and is missing to the one that stood on it."""
    lines[3] = lines[3].replace("bøb1.vcf", "bob1.vcf")
    found = verify(tmp_path, lines)
    assert f"{ACCOUNT} record 4: its hash does not match its fields" in found
    assert f"{ACCOUNT} records 4 to 4: they are missing" in found


def test_a_missing_record_is_named(tmp_path: Path, lines: list[str]) -> None:
    """The gap is named, by its numbers, and nothing else."""
    del lines[3]
    assert verify(tmp_path, lines) == f"{ACCOUNT} records 4 to 4: they are missing\n"


def test_a_record_that_follows_another_is_named(tmp_path: Path, lines: list[str]) -> None:
    """A record that proves itself, but stands on another history, is named."""
    fields = json.loads(lines[5])
    strange = seal(msgspec.structs.replace(msgspec.json.decode(lines[5], type=Facts), prev="0" * 64))
    lines[5] = json.dumps({**fields, "prev": "0" * 64, "hash": strange.hash})
    assert verify(tmp_path, lines) == f"{ACCOUNT} record 6: it does not follow the one before\n"


def test_an_erased_body_breaks_nothing(tmp_path: Path, lines: list[str]) -> None:
    """The digest stands for the body: without it the chain still holds, and its item alone is told."""
    fields = json.loads(lines[2])
    del fields["body"]
    lines[2] = json.dumps(fields)
    [told] = verify(tmp_path, lines).splitlines()
    assert told == f"{ACCOUNT}/contacts/friends/bøb0.vcf: its bytes are not here; they were erased, or are lost"
