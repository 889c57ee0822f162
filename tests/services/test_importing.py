"""An import takes every good item, tells every bad one, and can be repeated."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from keepwell.model.errors import BadRequest, Damaged, NotThere, StorageFault, Unavailable
from keepwell.model.names import Home, Kind
from keepwell.services import importing
from keepwell.services.actor import Actor
from keepwell.services.check import Checker
from keepwell.services.content import Prepared
from keepwell.services.history import HistoryQuery, list_records
from keepwell.services.import_report import Count, ImportReport, Stop
from keepwell.services.importing import Importer
from keepwell.services.place import Kept, Place
from keepwell.services.rejected import RejectedFolder
from keepwell.storage.contract import Transaction
from keepwell.storage.writers import Ticket
from tests.services.samples import Desk, calendar, card, component, desk, event, journal, todo

BROKEN = b"BEGIN:VCARD\r\nVERSION:3.0\r\nthis is no line of a card\r\nEND:VCARD\r\n"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as found:
        yield found


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


def written(path: Path, body: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return path


def run(here: Desk, *paths: Path, into: str | None = None) -> ImportReport:
    rejected = RejectedFolder(here.keepwell.data.parent / "rejected")
    return Importer(here.keepwell.library, here.actor, rejected, into=into).run(paths)


@pytest.mark.parametrize("body", [card("b"), card("b", ending="\n"), b"\r\n" + card("b") + b"\r\n\r\n"])
def test_a_file_with_one_item_keeps_its_name_and_octets(here: Desk, files: Path, body: bytes) -> None:
    """Line endings and blank lines too: what is stored is the file."""
    report = run(here, written(files / "Bob Berg.vcf", body))
    assert here.bodies("contacts") == {"Bob Berg.vcf": body}
    assert report.counts == {Kind.CONTACTS: Count(added=1)}
    assert report.rejected == []


def test_each_kind_goes_to_the_first_collection_that_takes_it(here: Desk, files: Path) -> None:
    """Events to the calendar, tasks to the tasks, journals to the notes, cards to the contacts."""
    here.make("aaa", Kind.CALENDAR, Home.CALENDARS)
    mixed = calendar(component("VEVENT", "e"), component("VTODO", "t"), component("VJOURNAL", "j"))
    report = run(here, written(files / "all.ics", mixed), written(files / "bob.vcf", card("b")))
    assert list(here.bodies("calendar", Home.CALENDARS)) == ["e.ics"]
    assert list(here.bodies("tasks", Home.CALENDARS)) == ["t.ics"]
    assert list(here.bodies("notes", Home.CALENDARS)) == ["j.ics"]
    assert report.counts == {kind: Count(added=1) for kind in (Kind.CALENDAR, Kind.TASKS, Kind.NOTES, Kind.CONTACTS)}


def test_what_no_collection_takes_is_rejected(here: Desk, files: Path) -> None:
    """When the task list was dropped and no calendar takes tasks, the task is told and kept aside."""
    here.drop("tasks", Home.CALENDARS)
    report = run(here, written(files / "t.ics", todo("t")))
    assert [one.reason for one in report.rejected] == ["no collection in calendars takes a VTODO"]


def test_a_good_card_is_not_lost_because_its_neighbour_is_bad(here: Desk, files: Path) -> None:
    """The good ones are taken under names made of their UIDs; the bad one is told with its line and kept."""
    body = card("one") + BROKEN + card("t/w:o")
    report = run(here, written(files / "all.vcf", body))
    assert here.bodies("contacts") == {"one.vcf": card("one"), "t_w_o.vcf": card("t/w:o")}
    [rejected] = report.rejected
    assert rejected.file.name == "all.vcf"
    assert rejected.line == body[: body.index(b"this is no")].count(b"\n") + 1
    assert rejected.kept is not None
    assert rejected.kept.read_bytes() == BROKEN


def test_rejected_files_are_never_overwritten(here: Desk, files: Path) -> None:
    """A second import keeps its rejected pieces beside those of the first."""
    path = written(files / "bad.vcf", BROKEN)
    kept = [run(here, path).rejected[0].kept for _ in range(3)]
    assert len(set(kept)) == 3
    assert all(one is not None and one.read_bytes() == BROKEN for one in kept)


def test_an_import_can_be_repeated(here: Desk, files: Path) -> None:
    """The same bytes again are unchanged and add nothing to the journal."""
    written(files / "all.vcf", card("a") + card("b"))
    written(files / "lone.ics", event("e"))
    run(here, files)
    head = here.head()
    report = run(here, files)
    assert report.counts == {Kind.CONTACTS: Count(unchanged=2), Kind.CALENDAR: Count(unchanged=1)}
    assert here.head() == head


def test_other_bytes_of_a_known_uid_update_its_item(here: Desk, files: Path) -> None:
    """Whatever the file is called, the item keeps its name, and its history keeps what it was."""
    here.put("contacts", "first.vcf", card("b", "Before"))
    report = run(here, written(files / "other.vcf", card("b", "After")))
    assert report.counts == {Kind.CONTACTS: Count(updated=1)}
    assert here.bodies("contacts") == {"first.vcf": card("b", "After")}
    with here.keepwell.library.reading(here.account) as snapshot:
        query = HistoryQuery((Home.CONTACTS, "contacts"), "first.vcf")
        assert len(list_records(snapshot, query)) == 2


def test_no_item_takes_the_name_of_another(here: Desk, files: Path) -> None:
    """Equal file names with different UIDs, and UIDs that make the same name, get names of their own."""
    one = written(files / "1" / "bob.vcf", card("x"))
    two = written(files / "2" / "bob.vcf", card("y"))
    many = written(files / "many.vcf", card("a/b") + card("a:b") + card("A_B"))
    run(here, one, two, many)
    assert here.bodies("contacts") == {
        "bob.vcf": card("x"),
        "bob-2.vcf": card("y"),
        "a_b.vcf": card("a/b"),
        "a_b-2.vcf": card("a:b"),
        "A_B.vcf": card("A_B"),
    }


def test_an_item_without_uid_gets_the_same_one_every_time(here: Desk, files: Path) -> None:
    """It is told that it got one, and importing it again changes nothing."""
    body = b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Bob\r\nN:Bob;;;;\r\nEND:VCARD\r\n"
    path = written(files / "bob.vcf", body)
    first = run(here, path)
    assert "had no UID" in first.notes[0].text
    assert run(here, path).counts == {Kind.CONTACTS: Count(unchanged=1)}


def test_everything_goes_into_the_collection_named(here: Desk, files: Path) -> None:
    """What it does not take is rejected with the reason; nothing goes elsewhere."""
    here.make("work", Kind.CALENDAR, Home.CALENDARS, components="VEVENT")
    written(files / "sub" / "e.ics", event("e"))
    written(files / "t.ics", todo("t"))
    written(files / "b.vcf", card("b"))
    report = run(here, files, into="work")
    assert list(here.bodies("work", Home.CALENDARS)) == ["e.ics"]
    assert sorted(one.reason for one in report.rejected) == [
        "a vCard cannot go into calendars/work",
        "calendars/work takes VEVENT, not VTODO",
    ]
    assert here.bodies("contacts") == {}


def test_an_unknown_collection_is_refused_before_anything_is_read(here: Desk) -> None:
    """Also one that was dropped, and a name that two homes have."""
    here.make("gone")
    here.drop("gone")
    here.make("notes")
    for name, error in (("nowhere", NotThere), ("gone", NotThere), ("notes", BadRequest)):
        with pytest.raises(error):
            run(here, into=name)


def test_each_folder_of_a_vdir_is_a_collection(here: Desk, files: Path) -> None:
    """With its name and color for people, and the kind that its items need."""
    written(files / "friends" / "b.vcf", card("b"))
    written(files / "friends" / "displayname", b"My friends\n")
    written(files / "friends" / "color", b"#00ff00")
    written(files / "chores" / "t.ics", todo("t"))
    written(files / "mixed" / "t.ics", todo("t2"))
    written(files / "mixed" / "e.ics", event("e"))
    report = run(here, files)
    assert report.rejected == []
    assert report.made == ["calendars/chores", "contacts/friends", "calendars/mixed"]
    with here.keepwell.library.reading(here.account) as snapshot:
        friends = snapshot.collection(Home.CONTACTS, "friends")
        chores = snapshot.collection(Home.CALENDARS, "chores")
        mixed = snapshot.collection(Home.CALENDARS, "mixed")
    assert friends is not None
    assert friends.properties == {"displayname": "My friends", "color": "#00ff00"}
    assert chores is not None
    assert (chores.kind, chores.properties) == (Kind.TASKS, {"components": "VTODO"})
    assert mixed is not None
    assert (mixed.kind, mixed.properties) == (Kind.CALENDAR, {"components": "VEVENT,VTODO"})


def test_a_folder_that_fits_no_collection_of_its_name_gets_another(here: Desk, files: Path) -> None:
    """Events do not go into a task list because it has the folder's name; again, they go to the same place."""
    here.put("tasks", "t.ics", todo("t"), Home.CALENDARS)
    written(files / "tasks" / "e.ics", event("e"))
    assert run(here, files).made == ["calendars/tasks-2"]
    assert run(here, files).counts == {Kind.CALENDAR: Count(unchanged=1)}


def test_a_collection_with_items_keeps_its_own_properties(here: Desk, files: Path) -> None:
    """Only one that is made, or empty, takes those of the folder."""
    written(files / "contacts" / "b.vcf", card("b"))
    written(files / "contacts" / "displayname", b"Mine")
    run(here, files)
    written(files / "contacts" / "displayname", b"Other")
    run(here, files)
    with here.keepwell.library.reading(here.account) as snapshot:
        found = snapshot.collection(Home.CONTACTS, "contacts")
    assert found is not None
    assert found.properties == {"displayname": "Mine"}


def test_nothing_is_passed_over_in_silence(here: Desk, files: Path) -> None:
    """Whatever is not imported is rejected, or left aside with a note."""
    written(files / "empty.vcf", b"")
    written(files / "photo.jpg", b"\xff\xd8\xff")
    written(files / ".hidden.vcf", card("h"))
    written(files / ".git" / "x.vcf", card("g"))
    os.mkfifo(files / "pipe.vcf")
    (files / "loop").symlink_to(files)
    (files / "link.vcf").symlink_to(written(files.parent / "target.vcf", card("l")))
    report = run(here, files, files / "missing.vcf", written(files.parent / "notes.txt", b"hello"))
    told = {one.file.name: one.reason for one in report.rejected}
    assert told.keys() == {"empty.vcf", "pipe.vcf", "missing.vcf", "notes.txt"}
    assert told["missing.vcf"] == "there is no such file or folder"
    aside = {one.file.name for one in report.notes}
    assert aside == {"photo.jpg", ".hidden.vcf", ".git", "loop", "link.vcf"}
    assert here.bodies("contacts") == {}


def test_a_file_that_cannot_be_read_does_not_end_the_import(
    here: Desk, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk error in one file is told; the others are imported."""
    bad = written(files / "a.vcf", card("a"))
    written(files / "b.vcf", card("b"))
    read_bytes = Path.read_bytes

    def failing(path: Path) -> bytes:
        if path == bad:
            raise OSError(5, "Input/output error")
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", failing)
    report = run(here, files)
    assert [(one.file, one.reason) for one in report.rejected] == [(bad, "cannot be read: Input/output error")]
    assert list(here.bodies("contacts")) == ["b.vcf"]


def test_a_file_over_the_limit_is_not_read(here: Desk, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, with what to do."""
    monkeypatch.setattr(importing, "FILE_OCTETS_MAX", 10)
    report = run(here, written(files / "big.vcf", card("b")))
    assert "split it" in report.rejected[0].reason


def test_many_items_are_written_in_few_transactions(here: Desk, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes are under way at once, so that one sync of the disk serves many; the end is the same as one by one."""
    place = here.keepwell.store.account(here.account)
    sizes: list[int] = []
    transact = type(place).transact

    def counting(self: object, works: list[object], appended: list[object]) -> object:
        sizes.append(len(works))
        return transact(self, works, appended)  # type: ignore[arg-type]

    monkeypatch.setattr(type(place), "transact", counting)
    bodies = [card(str(number)) for number in range(1000)]
    report = run(here, written(files / "all.vcf", b"".join(bodies)))
    assert report.counts == {Kind.CONTACTS: Count(added=1000)}
    assert len(here.bodies("contacts")) == 1000
    assert len(sizes) < 500
    assert not Checker(here.keepwell.store).check(here.account)


def test_a_faster_writer_is_met_by_looking_again(here: Desk, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a program puts the same UID between the look and the write, the item is brought up to date, not lost."""
    put = here.keepwell.library.put_prepared
    raced = False

    def racing(*arguments: object, **options: object) -> object:
        nonlocal raced
        if not raced:
            raced = True
            here.put("contacts", "theirs.vcf", card("b", "Theirs"))
        return put(*arguments, **options)  # type: ignore[arg-type]

    here.keepwell.library.put_prepared = racing  # type: ignore[method-assign, assignment]
    report = run(here, written(files / "bob.vcf", card("b", "Mine")))
    assert report.counts == {Kind.CONTACTS: Count(updated=1)}
    assert here.bodies("contacts") == {"theirs.vcf": card("b", "Mine")}


def test_progress_ends_at_the_whole(here: Desk, files: Path) -> None:
    """It never goes back and never beyond the whole."""
    written(files / "all.vcf", card("a") + BROKEN + card("b"))
    written(files / "lone.ics", journal("j"))
    told: list[tuple[int, int]] = []
    rejected = RejectedFolder(files.parent / "rejected")
    importer = Importer(
        here.keepwell.library, here.actor, rejected, progress=lambda done, whole: told.append((done, whole))
    )
    importer.run([files])
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == told[-1][1] > 0


def test_a_file_name_that_is_no_utf8_loses_nothing(here: Desk, files: Path) -> None:
    """The item gets a name made of its UID, which is told, and the others are imported as ever."""
    written(files / os.fsdecode(b"caf\xe9.vcf"), card("c"))
    written(files / "bob.vcf", card("b"))
    report = run(here, files)
    assert here.bodies("contacts") == {"bob.vcf": card("b"), "c.vcf": card("c")}
    assert [one.text for one in report.notes] == ["no item can have the name it came with; it is c.vcf now"]
    assert run(here, files).counts == {Kind.CONTACTS: Count(unchanged=2)}


def test_a_folder_name_that_is_no_utf8_rejects_its_own_files_only(here: Desk, files: Path) -> None:
    """No collection can have the name; what lies there is kept aside and told, the rest is imported."""
    written(files / os.fsdecode(b"\xe9t\xe9") / "e.vcf", card("e"))
    written(files / "bob.vcf", card("b"))
    report = run(here, files)
    assert [one.reason for one in report.rejected] == ["'\\udce9t\\udce9' cannot be a name"]
    assert here.bodies("contacts") == {"bob.vcf": card("b")}


def test_property_files_that_are_links_are_left_aside(here: Desk, files: Path) -> None:
    """A folder's name for people does not come from another file of this computer."""
    written(files / "friends" / "b.vcf", card("b"))
    (files / "friends" / "displayname").symlink_to(written(files.parent / "secret", b"secret"))
    report = run(here, files)
    with here.keepwell.library.reading(here.account) as snapshot:
        found = snapshot.collection(Home.CONTACTS, "friends")
    assert found is not None
    assert found.properties == {}
    assert [one.file.name for one in report.notes] == ["displayname"]


def test_rejected_pieces_are_private(here: Desk, files: Path) -> None:
    """The folder and the files in it are their owner's alone, whatever the umask is."""
    before = os.umask(0)
    try:
        kept = run(here, written(files / "bad.vcf", BROKEN)).rejected[0].kept
    finally:
        os.umask(before)
    assert kept is not None
    assert (kept.stat().st_mode & 0o777, kept.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def failing_put(here: Desk, monkeypatch: pytest.MonkeyPatch, uid: str, fault: Exception) -> None:
    """Every write of this UID settles with the fault."""
    put = here.keepwell.library.put_prepared

    def fail(_: Transaction) -> Kept:
        raise fault

    def failing(actor: Actor, place: Place, prepared: Prepared, **options: object) -> Ticket[Kept]:
        if prepared.uid == uid:
            return here.keepwell.writers.submit(actor.account, fail)
        return put(actor, place, prepared, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(here.keepwell.library, "put_prepared", failing)


def test_a_fault_of_the_storage_stops_the_import_and_names_its_item(
    here: Desk, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was under way is counted or told as not taken, each with its own file; nothing more is begun."""
    monkeypatch.setattr(importing, "UNDER_WAY_MAX", 1)
    failing_put(here, monkeypatch, "b", StorageFault("the disk failed", hint="Replace it."))
    paths = [written(files / f"{name}.vcf", card(name)) for name in "abcde"]
    report = run(here, *paths)
    assert report.stopped == Stop("the disk failed", "Replace it.", is_damage=False)
    assert [(one.file.name, one.text) for one in report.not_taken] == [
        ("b.vcf", "the disk failed"),
        ("d.vcf", "not read any more"),
        ("e.vcf", "not read any more"),
    ]
    assert report.rejected == []
    assert report.counts == {Kind.CONTACTS: Count(added=2)}
    assert list(here.bodies("contacts")) == ["a.vcf", "c.vcf"]


def test_a_fault_within_a_file_tells_from_which_line_on(
    here: Desk, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The item that failed and the first that was not tried have their lines."""
    monkeypatch.setattr(importing, "UNDER_WAY_MAX", 0)
    failing_put(here, monkeypatch, "b", Damaged("the chain is broken"))
    report = run(here, written(files / "all.vcf", b"".join(card(name) for name in "abcde")))
    assert report.stopped is not None
    assert report.stopped.is_damage
    assert [(one.line, one.text) for one in report.not_taken] == [
        (7, "the chain is broken"),
        (13, "nothing was taken from here on"),
    ]
    assert list(here.bodies("contacts")) == ["a.vcf"]


def test_a_fault_while_a_collection_is_made_is_told(here: Desk, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The piece that needed the collection is not taken, and the import ends with a report."""

    def failing(*_: object) -> None:
        raise Unavailable("too many writes wait already")

    written(files / "friends" / "b.vcf", card("b"))
    monkeypatch.setattr(here.keepwell.library, "make_collection", failing)
    report = run(here, files)
    assert report.stopped is not None
    assert [one.file.name for one in report.not_taken] == ["b.vcf"]
