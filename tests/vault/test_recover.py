"""Getting everything back from a vault by its own README, with bash, zstd, jq and age, and no Keepwell."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from pyrage.x25519 import Identity

from keepwell.model.names import Kind
from keepwell.model.record import Op
from keepwell.vault.documents import VaultDocument
from keepwell.vault.keys import NewKeys, Recipients, make_keys, write_key_file
from keepwell.vault.readme import read_script, render_readme
from keepwell.vault.sealing import AgeSeal
from tests.vault.handmade import ADA, BOB, HandmadeVault, Journal

CARD = "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Bøb 😀 100 % \\n, “quoted”\r\nEND:VCARD\r\n".encode()
CONTACTS = Kind.CONTACTS


@pytest.fixture
def vault(tmp_path: Path) -> HandmadeVault:
    for program in ("zstd", "jq", "age"):
        assert shutil.which(program), f"{program} is not there; install it with: apt-get install {program}"
    return HandmadeVault(tmp_path / "vault")


def journal_with_friends() -> Journal:
    journal = Journal()
    journal.make(CONTACTS, "friends", displayname="Friends & <more>")
    journal.put(CONTACTS, "friends", "bob.vcf", CARD)
    journal.put(CONTACTS, "friends", "eve.vcf", CARD.replace(b"4.0", b"3.0"))
    return journal


def run(script: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What a script did in this folder; without anything of the tests' environment but where programs lie."""
    clean = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
    command = ["bash", "-c", read_script(script), script, *arguments]
    return subprocess.run(command, cwd=folder, env=clean, stdin=subprocess.DEVNULL, capture_output=True, text=True)


def recover(vault: HandmadeVault, *arguments: str) -> tuple[dict[str, bytes], list[str]]:
    """(every recovered item by its path, what was told); the exit status says whether anything was."""
    done = run("recover", vault.folder, "recovered", *arguments)
    told = done.stderr.splitlines()
    assert done.returncode == (1 if told else 0), done.stderr
    return items_below(vault.folder / "recovered"), told


def items_below(out: Path) -> dict[str, bytes]:
    accounts = [folder for folder in out.iterdir() if folder.is_dir()]
    files = [path for folder in accounts for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def records(vault: HandmadeVault, name: str = "journal") -> list[dict[str, object]]:
    text = (vault.folder / "recovered" / f"{name}.jsonl").read_text()
    return [json.loads(line) for line in text.split("\n")[:-1]]


def test_every_item_comes_back_byte_for_byte(vault: HandmadeVault) -> None:
    """Items of packs and tails of several accounts lie where their names say, and nothing is told."""
    ada, bob = journal_with_friends(), Journal(BOB)
    bob.make(Kind.TASKS, "to do")
    bob.put(Kind.TASKS, "to do", "1.ics", b"BEGIN:VCALENDAR")
    bob.put(Kind.TASKS, "to do", "2.ics", b"")
    vault.pack((ADA, ada.lines[:3]), (BOB, bob.lines[:2]))
    vault.pack((BOB, bob.lines[2:3]))
    vault.manifest(bob)
    vault.tail([*ada.lines[3:], *bob.lines[3:]])
    items, told = recover(vault)
    assert told == []
    assert items == {
        f"{ADA}/contacts/friends/bob.vcf": CARD,
        f"{ADA}/contacts/friends/eve.vcf": CARD.replace(b"4.0", b"3.0"),
        f"{BOB}/calendars/to do/1.ics": b"BEGIN:VCALENDAR",
        f"{BOB}/calendars/to do/2.ics": b"",
    }
    assert len(records(vault)) == len(ada.lines) + len(bob.lines)


NAMES = [
    "with space.vcf",
    " around ",
    "-rf",
    "--",
    "-",
    ".hidden",
    "...",
    "$(touch gone) `id`",
    'it\'s "quoted"',
    "back\\slash\\n",
    "line\nfeed\n",
    "tab\tand\r\x1f\x7f",
    "100%s %% %d",
    "*?[a]",
    "日本語 😀",
    "é" * 127,
]


def test_no_name_is_too_strange(vault: HandmadeVault) -> None:
    """Spaces, quotes, dashes, dots, line feeds, backslashes and percent signs come back, in items and collections."""
    journal = Journal()
    for name in NAMES:
        journal.make(CONTACTS, name)
        journal.put(CONTACTS, name, name, name.encode())
        journal.put(CONTACTS, name, f"{name}2", b"2")
        journal.remove(CONTACTS, name, f"{name}2")
    vault.pack((ADA, journal.lines))
    vault.manifest(journal)
    items, told = recover(vault)
    assert told == []
    assert items == {f"{ADA}/contacts/{name}/{name}": name.encode() for name in NAMES}
    assert not list(vault.folder.rglob("gone"))


BODIES = {
    "empty": b"",
    "percent": b"100 % %s %d %% %n",
    "escapes": b"\\n \\x41 \\u0041 \\101 \\c \\\\",
    "dash": b"-n -e --",
    "ends": b"\n\nbetween\n\n\n",
    "control": bytes(range(128)),
    "latin": bytes(range(256)),
    "nul": b"a\0b\0\0" + b"1",
    "spaces": b"\t \t",
    "no record": b'{"account":"a_k3wq7m5d2xhv4tzs","seq":1}\n',
    "separators": "\u2028\u2029\ufeff\ufffd😀".encode(),
    "large": CARD * 1500,
}


def test_no_body_is_too_strange(vault: HandmadeVault) -> None:
    """Bodies with every byte there is, in text or base64, come back as they were."""
    journal = Journal()
    journal.make(Kind.PHOTOS, "holiday/2026")
    for name, body in BODIES.items():
        journal.put(Kind.PHOTOS, "holiday/2026", name, body)
    vault.pack((ADA, journal.lines))
    items, told = recover(vault)
    assert told == []
    assert items == {f"{ADA}/photos/holiday/2026/{name}": body for name, body in BODIES.items()}


def test_a_blob_comes_back(vault: HandmadeVault) -> None:
    """Large bytes are taken from their object; a blob that is gone is told, and so is one that is damaged."""
    journal = Journal()
    journal.make(Kind.PHOTOS, "holiday")
    bodies = {name: name.encode() + bytes(range(256)) * 600 for name in ("kept", "lost", "spoiled")}
    for name, body in bodies.items():
        journal.put(Kind.PHOTOS, "holiday", name, body, blob=vault.blob(body))
    vault.pack((ADA, journal.lines))
    _, lost, spoiled = (json.loads(line)["blob"] for line in journal.lines[2:])
    (vault.folder / lost).unlink()
    (vault.folder / spoiled).write_bytes(b"x")
    items, told = recover(vault)
    assert items[f"{ADA}/photos/holiday/kept"] == bodies["kept"]
    assert f"{ADA}/photos/holiday/lost" not in items
    assert f"{ADA}/photos/holiday/lost: its bytes cannot be written" in told
    assert f"{ADA}/photos/holiday/spoiled: its bytes do not match their digest" in told


def test_the_last_state_is_what_lies_there(vault: HandmadeVault) -> None:
    """What was removed, moved, dropped or replaced is not there; what was made again is, with what it then got."""
    journal = journal_with_friends()
    journal.put(CONTACTS, "friends", "bob.vcf", b"newer")
    journal.put(CONTACTS, "friends", "moved.vcf", CARD)
    journal.remove(CONTACTS, "friends", "eve.vcf")
    journal.make(CONTACTS, "gone", displayname="gone")
    journal.put(CONTACTS, "gone", "x.vcf", CARD)
    journal.drop(CONTACTS, "gone")
    journal.make(CONTACTS, "again", displayname="first")
    journal.put(CONTACTS, "again", "old.vcf", CARD)
    journal.put(CONTACTS, "again", "both.vcf", CARD)
    journal.drop(CONTACTS, "again")
    journal.make(CONTACTS, "again", displayname="second")
    journal.put(CONTACTS, "again", "both.vcf", b"second")
    journal.put(CONTACTS, "again", "back.vcf", CARD)
    journal.remove(CONTACTS, "again", "back.vcf")
    journal.put(CONTACTS, "again", "back.vcf", b"back")
    journal.make(Kind.CALENDAR, "again", displayname="another home")
    journal.add(Op.SET, CONTACTS, "again", properties={"displayname": "third"})
    vault.pack((ADA, journal.lines))
    items, told = recover(vault)
    assert told == []
    assert items == {
        f"{ADA}/contacts/friends/bob.vcf": b"newer",
        f"{ADA}/contacts/friends/moved.vcf": CARD,
        f"{ADA}/contacts/again/both.vcf": b"second",
        f"{ADA}/contacts/again/back.vcf": b"back",
    }
    assert (vault.folder / "recovered" / ADA / "calendars" / "again").is_dir()
    assert not (vault.folder / "recovered" / ADA / "contacts" / "gone").exists()


def test_properties_are_in_the_state(vault: HandmadeVault) -> None:
    """The state has the last record of each collection and item that is there, with all its fields but the bytes."""
    journal = journal_with_friends()
    journal.add(Op.SET, CONTACTS, "friends", properties={"displayname": "Ami\ne\ts", "{urn:x}y": "<y/>"})
    journal.remove(CONTACTS, "friends", "eve.vcf")
    vault.pack((ADA, journal.lines))
    assert recover(vault)[1] == []
    collection, item = records(vault, "state")
    assert (collection["op"], collection["properties"]) == ("set", {"displayname": "Ami\ne\ts", "{urn:x}y": "<y/>"})
    assert (item["name"], item["seq"], item["at"]) == ("bob.vcf", 3, journal.records[2].facts.at)
    assert "body" not in item


def test_the_same_bytes_travel_once(vault: HandmadeVault) -> None:
    """A put without bytes takes those that an earlier record of the same digest brought."""
    journal = journal_with_friends()
    journal.put(CONTACTS, "friends", "copy.vcf", CARD)
    journal.without_body(5)
    vault.pack((ADA, journal.lines))
    items, told = recover(vault)
    assert told == []
    assert items[f"{ADA}/contacts/friends/copy.vcf"] == CARD


def test_records_may_be_in_several_packs(vault: HandmadeVault) -> None:
    """Records that were shipped twice, also with and without their bytes, count once."""
    journal = journal_with_friends()
    vault.pack((ADA, journal.lines))
    vault.tail(journal.lines[2:])
    journal.without_body(3)
    vault.pack((ADA, journal.lines))
    items, told = recover(vault)
    assert told == []
    assert items[f"{ADA}/contacts/friends/bob.vcf"] == CARD
    assert len(items) == 2


def test_erased_bytes_are_told_by_item(vault: HandmadeVault) -> None:
    """The chain holds without the bytes; the item that they belonged to is named, and the others come back."""
    journal = journal_with_friends()
    journal.without_body(3)
    vault.pack((ADA, journal.lines))
    items, told = recover(vault)
    assert told == [f"{ADA}/contacts/friends/bob.vcf: its bytes are not here; they were erased, or are lost"]
    assert list(items) == [f"{ADA}/contacts/friends/eve.vcf"]


def test_a_fork_is_told(vault: HandmadeVault) -> None:
    """Two different records with one sequence are told once, and both branches are there."""
    one, two = journal_with_friends(), journal_with_friends()
    one.put(CONTACTS, "friends", "one.vcf", b"one")
    one.put(CONTACTS, "friends", "one2.vcf", b"one")
    two.put(CONTACTS, "friends", "two.vcf", b"two")
    vault.pack((ADA, one.lines))
    vault.pack((ADA, two.lines))
    items, told = recover(vault)
    assert told == [f"{ADA} record 5: there are several, the history forked; all of them are used"]
    assert {f"{ADA}/contacts/friends/{name}.vcf" for name in ("one", "one2", "two")} <= set(items)


def test_a_changed_record_is_named_and_not_used(vault: HandmadeVault) -> None:
    """A record that does not prove itself is told and set aside, and the gap it leaves as well."""
    journal = journal_with_friends()
    journal.lines[2] = journal.lines[2].replace(b"bob.vcf", b"rob.vcf")
    vault.pack((ADA, journal.lines))
    items, told = recover(vault)
    assert told == [
        f"{ADA} record 3: its hash does not match its fields",
        f"{ADA} records 3 to 3: they are missing",
    ]
    assert list(items) == [f"{ADA}/contacts/friends/eve.vcf"]
    assert [one["name"] for one in records(vault, "unproven")] == ["rob.vcf"]


def test_a_changed_body_is_named(vault: HandmadeVault) -> None:
    """Bytes that do not match their digest are told."""
    journal = journal_with_friends()
    journal.lines[2] = journal.lines[2].replace(b"VERSION:4.0", b"VERSION:2.1")
    vault.pack((ADA, journal.lines))
    assert recover(vault)[1] == [f"{ADA}/contacts/friends/bob.vcf: its bytes do not match their digest"]


def test_records_that_are_gone_are_named(vault: HandmadeVault) -> None:
    """A gap is told by its numbers; an end that is missing, and a pack, by the manifest."""
    journal = journal_with_friends()
    for number in range(4):
        journal.put(CONTACTS, "friends", f"{number}.vcf", CARD)
    vault.pack((ADA, [*journal.lines[:2], *journal.lines[4:6]]))
    lost = vault.pack((ADA, journal.lines[6:]))
    vault.manifest(journal, number=2)
    vault.manifest(journal_with_friends(), number=1)
    lost.unlink()
    assert recover(vault)[1] == [
        f"{ADA} records 3 to 4: they are missing",
        f"packs/{lost.name}: it is missing",
        f"{ADA} record 8: it is missing, and what came before it may be",
    ]


def test_one_damaged_frame_spares_the_others(vault: HandmadeVault) -> None:
    """Of a pack with a flipped bit the frames of all other accounts are read."""
    ada, bob = journal_with_friends(), Journal(BOB)
    bob.make(CONTACTS, "friends")
    bob.put(CONTACTS, "friends", "ada.vcf", CARD)
    pack = vault.pack((ADA, ada.lines), (BOB, bob.lines))
    stored = bytearray(pack.read_bytes())
    stored[60] ^= 1
    pack.write_bytes(stored)
    items, told = recover(vault)
    assert told == [
        f"packs/{pack.name}: it is damaged",
        f"packs/{pack.name}: records 1 to 4 of {ADA} are damaged",
    ]
    assert items == {f"{BOB}/contacts/friends/ada.vcf": CARD}


def test_a_pack_without_index_is_told(vault: HandmadeVault) -> None:
    """A pack that was cut off is told, and what can be unpacked of it is used."""
    journal = journal_with_friends()
    pack = vault.pack((ADA, journal.lines))
    pack.write_bytes(pack.read_bytes()[:-40])
    items, told = recover(vault)
    assert f"packs/{pack.name}: its index is damaged" in told
    assert len(items) == 2


def test_a_tail_that_was_cut_off_is_read_to_there(vault: HandmadeVault) -> None:
    """The last line of a tail may be cut off by a crash: it was not confirmed, so nothing is told."""
    journal = journal_with_friends()
    vault.tail([*journal.lines[:3], journal.lines[3][:80]])
    items, told = recover(vault)
    assert told == []
    assert list(items) == [f"{ADA}/contacts/friends/bob.vcf"]


def test_an_empty_vault_recovers_to_nothing(vault: HandmadeVault) -> None:
    """A vault without packs and tails is no error."""
    vault.manifest()
    assert recover(vault) == ({}, [])


def test_one_account_alone_is_recovered(vault: HandmadeVault) -> None:
    """With an account's id only its items are written, and what is wrong with others is not told."""
    ada, bob = journal_with_friends(), Journal(BOB)
    bob.make(CONTACTS, "friends")
    bob.put(CONTACTS, "friends", "ada.vcf", CARD)
    vault.pack((ADA, ada.lines[:2]), (BOB, bob.lines))
    vault.manifest(ada, bob)
    assert recover(vault, BOB) == ({f"{BOB}/contacts/friends/ada.vcf": CARD}, [])


def test_what_is_there_is_never_written_over(vault: HandmadeVault) -> None:
    """A folder that is there already is refused before anything is written to it."""
    (vault.folder / "recovered").mkdir()
    assert run("recover", vault.folder, "recovered").returncode != 0
    assert list((vault.folder / "recovered").iterdir()) == []


def test_a_hostile_name_stays_inside(vault: HandmadeVault) -> None:
    """A vault that another wrote cannot make files outside the folder."""
    journal = Journal()
    journal.make(CONTACTS, "../../..")
    journal.put(CONTACTS, "../../..", "up", b"")
    journal.put(CONTACTS, "x", "../../../../up", b"")
    vault.pack((ADA, journal.lines))
    items, told = recover(vault)
    assert items == {}
    assert len(told) == 3
    assert not list(vault.folder.parent.rglob("up"))


# Encrypted vaults.


@pytest.fixture
def keys() -> NewKeys:
    return make_keys(Identity.generate())


@pytest.fixture
def sealed(tmp_path: Path, keys: NewKeys) -> HandmadeVault:
    """An encrypted vault with two accounts, a blob and a tail."""
    vault = HandmadeVault(tmp_path / "vault", AgeSeal(keys.recipients().public_keys()))
    ada, bob = journal_with_friends(), Journal(BOB)
    photo = bytes(range(256)) * 600
    bob.make(Kind.PHOTOS, "holiday")
    bob.put(Kind.PHOTOS, "holiday", "sea.jpg", photo, blob=vault.blob(photo))
    bob.put(Kind.PHOTOS, "holiday", "note", b"late")
    vault.pack((ADA, ada.lines[:3]), (BOB, bob.lines[:2]))
    vault.pack((BOB, bob.lines[2:3]), (ADA, ada.lines[3:]))
    vault.manifest(ada)
    vault.tail(bob.lines[3:])
    write_key_file(tmp_path / "key.txt", keys.recovery, "typed from the sheet")
    return vault


def test_an_encrypted_vault_opens_and_recovers(sealed: HandmadeVault) -> None:
    """Opened by one of its keys, everything comes back, blobs and tails too, and nothing is told."""
    opened = run("open_sealed", sealed.folder, "../key.txt", "../opened")
    assert (opened.returncode, opened.stderr) == (0, "")
    done = run("recover", sealed.folder.parent / "opened", "recovered")
    assert (done.returncode, done.stderr) == (0, "")
    assert items_below(sealed.folder.parent / "opened" / "recovered") == {
        f"{ADA}/contacts/friends/bob.vcf": CARD,
        f"{ADA}/contacts/friends/eve.vcf": CARD.replace(b"4.0", b"3.0"),
        f"{BOB}/photos/holiday/sea.jpg": bytes(range(256)) * 600,
        f"{BOB}/photos/holiday/note": b"late",
    }


def test_one_account_alone_is_opened(sealed: HandmadeVault) -> None:
    """With an account's id only its frames are opened, and it comes back whole."""
    assert run("open_sealed", sealed.folder, "../key.txt", "../opened", ADA).returncode == 0
    assert not (sealed.folder.parent / "opened" / "blobs").exists()
    done = run("recover", sealed.folder.parent / "opened", "recovered", ADA)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(items_below(sealed.folder.parent / "opened" / "recovered")) == 2


def test_an_encrypted_vault_tells_that_it_must_be_opened(sealed: HandmadeVault) -> None:
    """Recovering from an encrypted vault as it is finds nothing and says what to do first."""
    done = run("recover", sealed.folder, "recovered")
    assert done.returncode == 1
    assert "run open_sealed.sh" in done.stderr


def test_another_key_opens_nothing(sealed: HandmadeVault, tmp_path: Path) -> None:
    """With a key of another vault every frame is told, and nothing is in the packs."""
    write_key_file(tmp_path / "other.txt", Identity.generate(), "another")
    opened = run("open_sealed", sealed.folder, "../other.txt", "../opened")
    assert opened.returncode == 1
    assert f"records 1 to 3 of {ADA} cannot be opened" in opened.stderr
    assert run("recover", tmp_path / "opened", "recovered").returncode == 1
    assert items_below(tmp_path / "opened" / "recovered") == {}


def test_a_damaged_sealed_frame_spares_the_others(sealed: HandmadeVault, tmp_path: Path) -> None:
    """A flipped bit costs its frame and no other; both scripts say which records."""
    pack = next(path for path in (sealed.folder / "packs").iterdir() if b'"first": 3' in path.read_bytes())
    stored = bytearray(pack.read_bytes())
    stored[300] ^= 1
    pack.write_bytes(stored)
    opened = run("open_sealed", sealed.folder, "../key.txt", "../opened")
    assert f"packs/{pack.name}: records 3 to 3 of {BOB} cannot be opened" in opened.stderr
    done = run("recover", tmp_path / "opened", "recovered")
    assert done.stderr == f"{BOB} records 3 to 3: they are missing\n"
    assert len(items_below(tmp_path / "opened" / "recovered")) == 3


# The README.


def readme_of(recipients: Recipients | None) -> bytes:
    made_at = "2026-11-23T09:00:00Z"
    return render_readme(VaultDocument(keepwell_vault=1, id="v_k3wq", made_at=made_at, recipients=recipients))


def typed_from(readme: str) -> list[str]:
    """What the README tells to type: its indented lines but the public keys."""
    lines = readme[: readme.index("## What lies here")].splitlines()
    return [line.strip() for line in lines if line.startswith("    ") and not line.startswith("    age1")]


def follow(vault: HandmadeVault, home: Path, readme: bytes) -> list[str]:
    """Type what the README says; what each line printed."""
    (vault.folder / "README.md").write_bytes(readme)
    clean = {"PATH": os.environ["PATH"], "HOME": str(home)}
    outputs = []
    for line in typed_from(readme.decode()):
        done = subprocess.run(["bash", "-c", line], cwd=vault.folder, env=clean, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), line
        outputs.append(done.stdout)
    return outputs


def system_journal() -> Journal:
    journal = Journal()
    journal.account = type(ADA)("a_system")
    journal.records.clear()
    journal.lines.clear()
    journal.add(Op.OPEN)
    journal.make(Kind.SYSTEM, "accounts")
    document = json.dumps({"account": ADA, "login": "ada"}, indent=2).encode()
    journal.put(Kind.SYSTEM, "accounts", f"{ADA}.json", document)
    return journal


@pytest.mark.parametrize("encrypted", [False, True], ids=["plain", "encrypted"])
def test_who_follows_the_readme_gets_everything_back(tmp_path: Path, keys: NewKeys, encrypted: bool) -> None:
    """Each line that the README of a vault tells to type works, in order, and at the end all is there."""
    recipients = keys.recipients() if encrypted else None
    vault = HandmadeVault(tmp_path / "vault", AgeSeal(recipients.public_keys()) if recipients else None)
    ada, system = journal_with_friends(), system_journal()
    vault.pack((ADA, ada.lines), (system.account, system.lines))
    vault.manifest(ada, system)
    write_key_file(tmp_path / "key.txt", keys.operator, "the operator's")
    *_, logins, history = follow(vault, tmp_path, readme_of(recipients))
    assert logins == f"{ADA} ada\n"
    assert "BEGIN:VCARD" in history
    assert items_below(tmp_path / "recovered")[f"{ADA}/contacts/friends/bob.vcf"] == CARD


def test_the_readme_says_which_vault_it_is(keys: NewKeys) -> None:
    """Its id, when it was made, and the public keys of an encrypted one; a plain one says that anyone can read it."""
    recipients = keys.recipients()
    sealed, plain = readme_of(recipients).decode(), readme_of(None).decode()
    for text in (sealed, plain):
        assert "vault v_k3wq, made 2026-11-23T09:00:00Z, of format version 1." in text
        assert read_script("recover") in text
    assert all(key in sealed for key in recipients.public_keys())
    assert read_script("open_sealed") in sealed
    assert "not encrypted" in plain
    assert "open_sealed.sh ~/key" not in plain
