"""Import, export, history, rewind and check work together on the command line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from keepwell.cli.exit_codes import ExitCode
from keepwell.cli.main import main
from keepwell.model.errors import StorageFault
from keepwell.storage.sqlite_account import SqliteAccount
from tests.cli.command import Command
from tests.services.samples import card, event

BAD = b"BEGIN:VCARD\r\nVERSION:3.0\r\nnonsense\r\nEND:VCARD\r\n"


def write(command: Command, name: str, body: bytes) -> str:
    path = command.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return name


def test_an_import_of_good_files_succeeds(anna: Command) -> None:
    """It tells how many of each kind were new."""
    files = write(anna, "bob.vcf", card("b")), write(anna, "lunch.ics", event("e"))
    outcome = anna.must("import", "anna", *files)
    assert "contacts\t1\t0\t0" in outcome.output
    assert "calendar\t1\t0\t0" in outcome.output


def test_an_import_with_bad_ones_takes_the_good_and_says_so(anna: Command) -> None:
    """The code is not zero; each bad one is told with file, line and reason, and kept."""
    name = write(anna, "all.vcf", card("a") + BAD + card("b"))
    outcome = anna.run("import", "anna", name, "--json")
    assert outcome.code == ExitCode.PARTLY
    [rejected] = outcome.list("rejected")
    assert rejected["file"] == "all.vcf"
    assert rejected["line"] == 9
    assert (anna.folder / str(rejected["kept"])).read_bytes() == BAD
    assert outcome.document["counts"] == {"contacts": {"added": 2, "updated": 0, "unchanged": 0}}
    plain = anna.run("import", "anna", name, "--rejected", "aside")
    assert plain.code == ExitCode.PARTLY
    assert "rejected: all.vcf:9: " in plain.output
    assert list((anna.folder / "aside").iterdir())


def test_an_export_is_imported_into_another_account(anna: Command) -> None:
    """Both have the same items afterwards, and both are proven."""
    anna.must("import", "anna", write(anna, "bob.vcf", card("b")), write(anna, "lunch.ics", event("e")))
    exported = anna.must("export", "anna", "out", "--json").document
    assert exported["counts"] == {"calendar": 1, "contacts": 1, "notes": 0, "photos": 0, "tasks": 0}
    anna.must("account", "add", "ben")
    anna.must("import", "ben", "out")
    anna.must("export", "ben", "again")
    assert _files(anna.folder / "out") == _files(anna.folder / "again")
    assert anna.run("export", "anna", "out").code == ExitCode.REFUSED
    anna.must("check")


def test_a_rewind_is_previewed_done_and_undone(anna: Command) -> None:
    """History tells the record, the preview changes nothing, and the undo that is printed works."""
    anna.must("import", "anna", write(anna, "bob.vcf", card("b")))
    target = anna.must("history", "anna", "--limit", "1", "--json").list("records")[0]["seq"]
    anna.must("import", "anna", write(anna, "bob.vcf", card("b", "Changed")), write(anna, "eve.vcf", card("e")))
    words = ("rewind", "anna", "--collection", "contacts", "--to-seq", str(target))
    preview = anna.must(*words, "--dry-run", "--json").document
    assert preview["done"] is False
    assert _bob(anna) == card("b", "Changed")
    done = anna.must(*words, "--based-on", str(preview["based_on"]), "--json").document
    assert done["steps"] == preview["steps"]
    assert _bob(anna) == card("b")
    anna.must("rewind", "anna", "--collection", "contacts", "--to-seq", str(done["based_on"]))
    assert _bob(anna) == card("b", "Changed")
    stale = anna.run(*words, "--based-on", str(preview["based_on"]))
    assert stale.code == ExitCode.REFUSED
    anna.must("check", "anna")


def test_a_rewind_to_a_moment_of_the_history(anna: Command) -> None:
    """The moment that history shows is one that rewind takes."""
    anna.must("import", "anna", write(anna, "bob.vcf", card("b")))
    moment = anna.must("history", "anna", "--limit", "1", "--json").list("records")[0]["at"]
    anna.must("import", "anna", write(anna, "eve.vcf", card("e")))
    anna.must("rewind", "anna", "--collection", "contacts/contacts", "--to", str(moment))
    shown = anna.must("history", "anna", "--collection", "contacts", "--limit", "1").output
    assert "\tremove\tcontacts/contacts/eve.vcf\t" in shown


def test_an_old_version_is_printed_verbatim(anna: Command) -> None:
    """Octet for octet on standard output."""
    anna.must("import", "anna", write(anna, "bob.vcf", card("b")))
    anna.must("import", "anna", write(anna, "bob.vcf", card("b", "Changed")))
    records = anna.must("history", "anna", "--item", "bob.vcf", "--oldest-first", "--json").list("records")
    assert anna.must("history", "anna", "--show", str(records[0]["seq"])).output == card("b").decode()
    assert [one["op"] for one in records] == ["put", "put"]


def test_damage_is_found_and_has_its_code(anna: Command) -> None:
    """A flipped bit ends the check with the code for damage; a rebuild refuses."""
    anna.must("import", "anna", write(anna, "bob.vcf", card("b")))
    assert anna.must("check", "--json").document == {"accounts": 2, "rebuilt": False, "findings": []}
    anna.must("check", "--rebuild")
    [path] = [one for one in anna.data.glob("accounts/??/a_*.db") if one.stem != "a_system"]
    octets = bytearray(path.read_bytes())
    octets[9000] ^= 4
    path.write_bytes(octets)
    found = anna.run("check", "--json")
    assert found.code == ExitCode.DAMAGED
    damaged = [one for one in found.list("findings") if one["weight"] == "damage"]
    assert {(one["login"], one["account"]) for one in damaged} == {("anna", path.stem)}
    assert "page 3 " in found.output
    refused = anna.run("check", "--rebuild", "anna")
    assert refused.code == ExitCode.DAMAGED
    assert "were not rebuilt" in refused.output


def _files(folder: Path) -> dict[str, bytes]:
    every = (path for path in folder.rglob("*") if path.is_file() and path.name != "properties.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in every}


def _bob(command: Command) -> bytes:
    record = command.must("history", "anna", "--item", "bob.vcf", "--limit", "1", "--json").list("records")[0]
    return command.must("history", "anna", "--show", str(record["seq"])).output.encode()


def test_names_that_are_no_utf8_can_be_told(anna: Command) -> None:
    """On a terminal and as JSON, a replacement character stands for each octet that is none."""
    name = os.fsdecode(b"caf\xe9.vcf")
    write(anna, name, BAD)
    plain = anna.run("import", "anna", name)
    assert plain.code == ExitCode.PARTLY
    assert "rejected: caf\ufffd.vcf:3: " in plain.output
    as_json = anna.run("import", "anna", name, "--json")
    assert as_json.code == ExitCode.PARTLY
    assert as_json.list("rejected")[0]["file"] == "caf\ufffd.vcf"


def test_an_import_that_was_stopped_tells_what_was_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A medium that fails ends the command with its code, after the report of what is there and what is not."""

    def failing(*_: object) -> None:
        raise StorageFault("the disk is full", hint="Make room.")

    data = str(tmp_path / "data")
    (tmp_path / "bob.vcf").write_bytes(card("b"))
    assert main(["account", "add", "anna", "--data", data]) == ExitCode.OK
    monkeypatch.setattr(SqliteAccount, "transact", failing)
    assert main(["import", "anna", str(tmp_path / "bob.vcf"), "--data", data]) == ExitCode.UNAVAILABLE
    told = capsys.readouterr()
    assert "bob.vcf:1: the disk is full" in told.out
    assert "0 items taken" in told.out
    assert "the import was stopped: the disk is full" in told.err
    assert "hint: Make room. " in told.err
