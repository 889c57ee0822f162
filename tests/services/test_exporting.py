"""An export is whole, verbatim and readable by other programs; importing it gives the same ledger."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from keepwell.model.errors import AlreadyThere, Damaged
from keepwell.model.names import AccountId, Home, Kind
from keepwell.model.record import digest_of
from keepwell.services.exporting import Exported, export_account
from keepwell.services.import_report import ImportReport
from keepwell.services.importing import Importer
from keepwell.services.rejected import RejectedFolder
from keepwell.services.transfer_layout import ExportDocument, file_names, free_name, parse_document
from keepwell.storage.sqlite_snapshot import SqliteSnapshot
from tests.services.samples import Desk, card, desk, event, journal, todo


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as found:
        yield found


def export(here: Desk, folder: Path) -> Exported:
    return export_account(here.keepwell.store, here.account, here.actor.login, folder)


def bring_in(here: Desk, folder: Path) -> ImportReport:
    return Importer(here.keepwell.library, here.actor, RejectedFolder(folder.parent / "rejected")).run([folder])


def fill(here: Desk) -> None:
    """One of everything that could get lost on the way."""
    here.put("contacts", "bob.vcf", card("b", ending="\n"))
    here.put("contacts", ".tmp-1-abc", card("t"))
    here.put("contacts", "displayname", card("d"))
    here.put("contacts", "boB.vcf", card("B"))
    here.put("contacts", "no ending, ünïcode 😀", card("u"))
    here.put("contacts", "x" * 251 + ".vcf", card("x"))
    here.put("contacts", "no-uid.vcf", b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:N\r\nN:N;;;;\r\nEND:VCARD\r\n")
    here.make("friends", displayname="Friends & <others>", color="#112233", **{"{urn:x}y": "<y xmlns='urn:x'/>"})
    here.put("calendar", "e.ics", event("e"), Home.CALENDARS)
    here.put("tasks", "t.ics", todo("t"), Home.CALENDARS)
    here.put("notes", "j.ics", journal("j"), Home.CALENDARS)
    here.make("mixed", Kind.CALENDAR, Home.CALENDARS, components="VEVENT,VTODO")
    here.put("mixed", "t.ics", todo("m"), Home.CALENDARS)
    here.put("photos", "one.jpg", b"\xff\xd8" * 200_000, Home.PHOTOS)
    here.put("photos", "displayname", b"a photo", Home.PHOTOS)
    here.make("photos/trip", Kind.PHOTOS, Home.PHOTOS)
    here.put("photos/trip", "card.vcf", card("p"), Home.PHOTOS)


def test_export_then_import_gives_the_same_ledger(here: Desk, tmp_path: Path) -> None:
    """Every item of every kind, under its name, with its bytes; and the properties of the collections."""
    fill(here)
    exported = export(here, tmp_path / "out")
    other = here.beside("other")
    report = bring_in(other, tmp_path / "out")
    assert report.rejected == []
    assert other.ledger() == here.ledger()
    assert sum(exported.counts.values()) == report.taken
    assert _properties(other) == _properties(here)


def test_item_properties_and_media_types_survive(here: Desk, tmp_path: Path) -> None:
    """What the files alone cannot say is in properties.json."""
    here.keepwell.library.put(
        here.actor, here.place("photos", "a.jpg", Home.PHOTOS), b"photo", media_type="image/jpeg"
    ).result()
    here.keepwell.library.set_item_properties(
        here.actor, here.place("photos", "a.jpg", Home.PHOTOS), {"{urn:x}y": "<y xmlns='urn:x'/>"}
    ).result()
    export(here, tmp_path / "out")
    other = here.beside("other")
    bring_in(other, tmp_path / "out")
    with other.keepwell.library.reading(other.account) as snapshot:
        photos = snapshot.collection(Home.PHOTOS, "photos")
        assert photos is not None
        item = snapshot.item(photos.id, "a.jpg")
    assert item is not None
    assert (item.media_type, item.properties) == ("image/jpeg", {"{urn:x}y": "<y xmlns='urn:x'/>"})


def test_files_are_verbatim_and_where_other_programs_look(here: Desk, tmp_path: Path) -> None:
    """A collection is a folder of .vcf or .ics files with displayname and color, as vdirsyncer lays them out."""
    fill(here)
    folder = tmp_path / "out"
    export(here, folder)
    assert (folder / "contacts/contacts/.tmp-1-abc").read_bytes() == card("t")
    assert (folder / "calendars/tasks/t.ics").read_bytes() == todo("t")
    assert (folder / "photos/photos/trip/card.vcf").read_bytes() == card("p")
    assert (folder / "contacts/friends/displayname").read_text() == "Friends & <others>"
    assert (folder / "contacts/friends/color").read_text() == "#112233"
    document = json.loads((folder / "properties.json").read_bytes())
    assert document["login"] == "anna"
    assert {one["kind"] for one in document["ledger"]} >= {"contacts", "calendar", "tasks", "notes", "photos"}


def test_a_folder_with_something_in_it_is_refused(here: Desk, tmp_path: Path) -> None:
    """Nothing is written over or among what is there; an empty folder will do."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name in ("full", "file"):
        with pytest.raises(AlreadyThere):
            export(here, tmp_path / name)
    (tmp_path / "empty").mkdir()
    export(here, tmp_path / "empty")
    assert (tmp_path / "empty" / "properties.json").is_file()
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"


def test_an_export_that_fails_leaves_nothing(here: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damaged bytes are never exported; neither the folder nor its temporary stays."""
    fill(here)

    def damaged(*_: object) -> bytes:
        raise Damaged("the bytes do not match")

    monkeypatch.setattr(SqliteSnapshot, "_proven", damaged)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(Damaged):
        export(here, tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == before


def test_a_missing_file_of_an_export_is_told(here: Desk, tmp_path: Path) -> None:
    """An export that lost a file or a folder on its way is not imported as if it were whole."""
    fill(here)
    folder = tmp_path / "out"
    export(here, folder)
    (folder / "contacts/contacts/.tmp-1-abc").unlink()
    (folder / "calendars/tasks/t.ics").unlink()
    (folder / "calendars/tasks/displayname").unlink()
    (folder / "calendars/tasks").rmdir()
    report = bring_in(here.beside("other"), folder)
    assert sorted((one.file.name, one.reason) for one in report.rejected) == [
        ("contacts", "the export has 7 items there, but 6 files were found"),
        ("tasks", "the export has 1 items there, but there is no such folder"),
    ]


def test_files_put_beside_an_export_are_imported_too(here: Desk, tmp_path: Path) -> None:
    """A folder that the export does not know of is a collection like in any vdir."""
    export(here, tmp_path / "out")
    (tmp_path / "out/contacts/extra").mkdir()
    (tmp_path / "out/contacts/extra/z.vcf").write_bytes(card("z"))
    other = here.beside("other")
    assert bring_in(other, tmp_path / "out").rejected == []
    assert other.bodies("extra") == {"z.vcf": card("z")}


@pytest.mark.parametrize(
    ("home", "kind", "name"),
    [("photos", "photos", "../../../secret"), ("system", "system", "accounts"), ("photos", "contacts", "photos")],
)
def test_a_strangers_document_reaches_nothing_outside(
    here: Desk, tmp_path: Path, home: str, kind: str, name: str
) -> None:
    """Names that climb out of the folder, and homes that are nobody's, are refused."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("secret")
    folder = tmp_path / "out"
    export(here, folder)
    document = json.loads((folder / "properties.json").read_bytes())
    document["collections"] = [{**document["collections"][0], "home": home, "kind": kind, "name": name, "count": 1}]
    (folder / "properties.json").write_text(json.dumps(document))
    other = here.beside("other")
    report = bring_in(other, folder)
    assert len(report.rejected) == 1
    assert other.ledger() == {}


def test_a_link_in_an_export_is_not_followed(here: Desk, tmp_path: Path) -> None:
    """A photo that is a link to a file of the operator's is told, not read."""
    here.put("photos", "a.jpg", b"photo", Home.PHOTOS)
    folder = tmp_path / "out"
    export(here, folder)
    (tmp_path / "secret").write_text("secret")
    (folder / "photos/photos/a.jpg").unlink()
    (folder / "photos/photos/a.jpg").symlink_to(tmp_path / "secret")
    other = here.beside("other")
    assert [one.file.name for one in bring_in(other, folder).rejected] == ["a.jpg"]
    assert other.ledger() == {}


def test_an_export_is_one_moment(here: Desk, tmp_path: Path) -> None:
    """The head in the document is the record up to which the export goes."""
    fill(here)
    exported = export(here, tmp_path / "out")
    document = parse_document((tmp_path / "out/properties.json").read_bytes())
    assert document is not None
    assert document.head.sequence == exported.sequence == here.head()


@pytest.mark.parametrize("octets", [b"", b"{}", b"not json", b'{"keepwell_export": 99}'])
def test_another_properties_file_is_no_export(octets: bytes) -> None:
    """A folder that happens to have a file of that name is an ordinary folder."""
    assert parse_document(octets) is None


def test_a_newer_export_is_not_guessed_at(here: Desk, tmp_path: Path) -> None:
    """One of a later format is not read as if it were of this one."""
    export(here, tmp_path / "out")
    octets = (tmp_path / "out/properties.json").read_bytes()
    document = msgspec.json.decode(octets, type=ExportDocument)
    assert parse_document(msgspec.json.encode(msgspec.structs.replace(document, keepwell_export=99))) is None


def test_file_names_are_free_and_short_enough() -> None:
    """Names differ in more than case, spare the property files, and fit into 255 bytes."""
    names = ["a.vcf", "A.vcf", "a-2.vcf", "color", ".vcf", "ä" * 125 + ".vcf", "Ä" * 125 + ".vcf"]
    found = file_names(Home.CONTACTS, names)
    assert found["a.vcf"] == "a.vcf"
    assert found["color"] == "color-2"
    folded = [one.casefold() for one in found.values()]
    assert len(set(folded)) == len(names)
    assert all(len(one.encode()) <= 255 for one in found.values())
    assert free_name("x", {"x", "x-2"}.__contains__) == "x-3"


def _properties(here: Desk) -> dict[tuple[Kind, str], dict[str, str]]:
    account: AccountId = here.account
    with here.keepwell.library.reading(account) as snapshot:
        return {(one.kind, one.name): one.properties for one in snapshot.collections()}


@pytest.mark.parametrize("link", ["photos", "photos/photos", "photos/photos/trip", "contacts"])
def test_an_import_follows_no_link_within_an_export(here: Desk, tmp_path: Path, link: str) -> None:
    """Whichever part of a collection's folder is a link, nothing comes from where it leads, and that is told."""
    fill(here)
    export(here, tmp_path / "out")
    for folder in ("", "photos", "photos/trip", "trip", "contacts"):
        (tmp_path / "secret" / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / "secret" / folder / "key.vcf").write_bytes(card(f"secret in {folder}"))
    (tmp_path / "out" / link).rename(tmp_path / "moved")
    (tmp_path / "out" / link).symlink_to(tmp_path / "secret")
    other = here.beside("other")
    report = bring_in(other, tmp_path / "out")
    assert any("a link leads there" in one.reason for one in report.rejected)
    assert any(one.file == tmp_path / "out" / link for one in [*report.rejected, *report.notes])
    assert "key.vcf" not in _names(other)


@pytest.mark.parametrize("home", [Home.PHOTOS, Home.CONTACTS])
def test_no_import_overwrites_an_item_of_the_same_name_without_uid(here: Desk, tmp_path: Path, home: Home) -> None:
    """Nothing says that the two are the same, so the second gets a name of its own; again, it is unchanged."""
    one, two = (
        f"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:{name}\r\nN:N;;;;\r\nEND:VCARD\r\n".encode() for name in ("One", "Two")
    )
    collection = "photos" if home is Home.PHOTOS else "contacts"
    here.put(collection, "bob.vcf", one, home)
    export(here, tmp_path / "out")
    other = here.beside("other")
    other.put(collection, "bob.vcf", two, home)
    bring_in(other, tmp_path / "out")
    both = {"bob.vcf": two, "bob-2.vcf": one}
    assert other.bodies(collection, home) == both
    bring_in(other, tmp_path / "out")
    assert other.bodies(collection, home) == both


def test_a_photo_whose_file_name_is_no_utf8_is_imported(here: Desk, tmp_path: Path) -> None:
    """It gets a name made of its digest, with the ending by which programs know what it is."""
    export(here, tmp_path / "out")
    (tmp_path / "out/photos/photos" / os.fsdecode(b"\xe9t\xe9.jpg")).write_bytes(b"a photo")
    other = here.beside("other")
    bring_in(other, tmp_path / "out")
    assert other.bodies("photos", Home.PHOTOS) == {digest_of(b"a photo")[:32] + ".jpg": b"a photo"}


def test_what_is_exported_is_private(here: Desk, tmp_path: Path) -> None:
    """Every folder and file is its owner's alone, whatever the umask is."""
    fill(here)
    before = os.umask(0)
    try:
        export(here, tmp_path / "out")
    finally:
        os.umask(before)
    paths = [tmp_path / "out", *(tmp_path / "out").rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_file()} == {0o600}


def _names(here: Desk) -> set[str]:
    with here.keepwell.library.reading(here.account) as snapshot:
        return {item.name for one in snapshot.collections() for item in snapshot.items(one.id)}
