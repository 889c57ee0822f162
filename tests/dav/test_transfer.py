"""COPY and MOVE (RFC 4918 sections 9.8 and 9.9)."""

from __future__ import annotations

import threading

import pytest
from tests.dav.reports.face import ANNA, BERTA, FRIENDS, PHOTOS, WORK, Answer, Face, card, event

from keepwell.model.errors import NotThere
from keepwell.model.names import Home
from keepwell.services.actor import Actor
from keepwell.services.place import Place


def send(face: Face, method: str, source: str, destination: str, **headers: str) -> Answer:
    return face.request(method, source, headers={"Host": "keepwell.test", "Destination": destination, **headers})


def names(face: Face, path: str) -> set[str]:
    return {href for href in face.request("PROPFIND", path, headers={"Depth": "1"}).statuses() if href != path}


@pytest.mark.parametrize("destination", [FRIENDS + "b.vcf", "http://keepwell.test" + FRIENDS + "b.vcf"])
def test_a_move_takes_the_bytes_along(face: Face, destination: str) -> None:
    """A path and a URI of this host both say where to; the item keeps its bytes, UID and entity tag."""
    tag = face.request("PUT", FRIENDS + "a.vcf", card("a")).headers[b"etag"]
    assert send(face, "MOVE", FRIENDS + "a.vcf", destination).status == 201
    assert face.request("GET", FRIENDS + "b.vcf").headers[b"etag"] == tag
    assert names(face, FRIENDS) == {FRIENDS + "b.vcf"}


@pytest.mark.parametrize(
    ("destination", "status"),
    [
        ("http://elsewhere.test/dav/photos/anna/photos/b", 502),
        ("/elsewhere", 409),
        (PHOTOS + "missing/b", 409),
        (PHOTOS + "a", 403),
        ("/dav/photos/anna/b", 403),
        (PHOTOS + "%ff", 400),
        ("", 400),
    ],
)
def test_a_destination_must_be_possible(face: Face, destination: str, status: int) -> None:
    """Another host, a missing folder, the source itself and malformed paths are each refused in their way."""
    face.put(PHOTOS + "a", b"1")
    assert send(face, "COPY", PHOTOS + "a", destination).status == status
    assert names(face, PHOTOS) == {PHOTOS + "a"}


@pytest.mark.parametrize(("overwrite", "status", "left"), [("F", 412, b"2"), ("T", 204, b"1")])
def test_overwrite_decides(face: Face, overwrite: str, status: int, left: bytes) -> None:
    """Overwrite: F protects what is there; T replaces it (RFC 4918 section 10.6)."""
    face.put(PHOTOS + "a", b"1")
    face.put(PHOTOS + "b", b"2")
    assert send(face, "COPY", PHOTOS + "a", PHOTOS + "b", Overwrite=overwrite).status == status
    assert face.request("GET", PHOTOS + "b").body == left


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_file_can_take_the_place_of_a_folder(face: Face, slash: str) -> None:
    """RFC 4918 section 9.8.4: the folder goes first, and the answer says that something was replaced."""
    face.put(PHOTOS + "a", b"1")
    face.request("MKCOL", PHOTOS + "folder/")
    assert send(face, "MOVE", PHOTOS + "a", f"{PHOTOS}folder{slash}", Overwrite="F").status == 412
    assert send(face, "MOVE", PHOTOS + "a", f"{PHOTOS}folder{slash}").status == 204
    assert face.request("GET", PHOTOS + "folder").body == b"1"


def test_a_file_cannot_take_the_place_of_the_folder_it_is_in(face: Face) -> None:
    """Otherwise the file would go with its folder."""
    face.request("MKCOL", PHOTOS + "folder/")
    face.put(PHOTOS + "folder/a", b"1")
    assert send(face, "MOVE", PHOTOS + "folder/a", PHOTOS + "folder").status == 403
    assert face.request("GET", PHOTOS + "folder/a").body == b"1"


@pytest.mark.parametrize(("depth", "copied"), [("infinity", True), ("0", False)])
def test_a_folder_is_copied_deep_or_alone(face: Face, depth: str, copied: bool) -> None:
    """Depth 0 copies the folder without what is in it (RFC 4918 section 9.8.3)."""
    face.request("MKCOL", PHOTOS + "one/")
    face.request("MKCOL", PHOTOS + "one/sub/")
    face.put(PHOTOS + "one/sub/a", b"1")
    assert send(face, "COPY", PHOTOS + "one/", PHOTOS + "two/", Depth=depth).status == 201
    assert (face.request("GET", PHOTOS + "two/sub/a").status == 200) is copied


def test_a_calendar_can_be_renamed(face: Face) -> None:
    """MOVE of a calendar takes everything along."""
    face.put(WORK + "a.ics", event("a"))
    assert send(face, "MOVE", WORK, "/dav/calendars/anna/job/").status == 201
    assert face.request("GET", "/dav/calendars/anna/job/a.ics").body == event("a")
    assert face.request("PROPFIND", WORK, headers={"Depth": "0"}).status == 404


def test_a_copy_with_a_uid_that_is_taken_conflicts_at_the_destination(face: Face) -> None:
    """Two items of a calendar never share a UID, by whatever way they come."""
    face.put(WORK + "a.ics", event("a"))
    answer = send(face, "COPY", WORK + "a.ics", WORK + "b.ics")
    assert (answer.status, answer.texts("C:no-uid-conflict/D:href")) == (409, [WORK + "a.ics"])


def test_a_move_is_conditional_on_its_source(face: Face) -> None:
    """If-Match is about the item that would be moved."""
    face.put(PHOTOS + "a", b"1")
    assert send(face, "MOVE", PHOTOS + "a", PHOTOS + "b", **{"If-Match": '"other"'}).status == 412
    assert face.request("GET", PHOTOS + "a").status == 200


def test_a_refused_move_leaves_the_folder_at_its_destination(face: Face) -> None:
    """A file that cannot be moved from another account does not cost the folder that it would have replaced."""
    face.door.shared[BERTA] = {(ANNA, Home.PHOTOS, "photos"): True}
    bertas = "/dav/photos/berta@example.org/photos/"
    face.put(PHOTOS + "a", b"1")
    assert face.request("MKCOL", bertas + "folder/", login="berta@example.org").status == 201
    assert face.request("PUT", bertas + "folder/kept", b"2", login="berta@example.org").status == 201
    headers = {"Destination": bertas + "folder"}
    assert face.request("MOVE", PHOTOS + "a", b"", headers, login="berta@example.org").status == 403
    assert face.request("GET", bertas + "folder/kept", login="berta@example.org").body == b"2"
    assert face.request("COPY", PHOTOS + "a", b"", headers, login="berta@example.org").status == 204
    assert face.request("GET", bertas + "folder", login="berta@example.org").body == b"1"


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_a_refused_folder_leaves_the_file_at_its_destination(face: Face, method: str) -> None:
    """A reader's try to put the owner's folder onto a file, or a folder into itself, removes nothing."""
    face.request("MKCOL", PHOTOS + "one/")
    face.put(PHOTOS + "one/kept", b"1")
    assert send(face, method, PHOTOS + "one/", PHOTOS + "one/kept").status == 403
    face.door.shared[BERTA] = {(ANNA, Home.PHOTOS, "photos/one"): True, (ANNA, Home.PHOTOS, "photos"): False}
    headers = {"Destination": PHOTOS + "one/kept"}
    assert face.request(method, PHOTOS, b"", headers, login="berta@example.org").status == 403
    assert face.request("GET", PHOTOS + "one/kept").body == b"1"


def test_what_is_in_the_way_stays_when_the_transaction_is_refused(face: Face) -> None:
    """A refusal inside the transaction undoes the removal too."""
    face.request("MKCOL", PHOTOS + "folder/")
    face.put(PHOTOS + "folder/kept", b"2")
    face.put(PHOTOS + "a", b"1")
    source, folder = (Place(ANNA, Home.PHOTOS, "photos", "a"), Place(ANNA, Home.PHOTOS, "photos/folder"))
    target = Place(ANNA, Home.PHOTOS, "photos/missing", "a")
    with pytest.raises(NotThere):
        face.library.move(Actor(ANNA, "anna", "test"), source, target, overwrite=True, in_the_way=folder).result()
    assert face.request("GET", PHOTOS + "folder/kept").body == b"2"
    assert face.request("GET", PHOTOS + "a").body == b"1"


def test_a_folder_can_take_the_place_of_a_file(face: Face) -> None:
    """The file goes in the same transaction as the folder comes."""
    face.request("MKCOL", PHOTOS + "one/")
    face.put(PHOTOS + "one/a", b"1")
    face.put(PHOTOS + "file", b"2")
    assert send(face, "MOVE", PHOTOS + "one/", PHOTOS + "file").status == 204
    assert names(face, PHOTOS) == {PHOTOS + "file/"}


@pytest.mark.parametrize(
    ("destination", "host", "status"),
    [
        ("http://keepwell.test:80", "keepwell.test", 201),
        ("https://keepwell.test", "keepwell.test:443", 201),
        ("http://keepwell.test:8080", "keepwell.test", 502),
        ("http://keepwell.test:443", "keepwell.test", 502),
    ],
)
def test_the_default_port_may_be_said_or_not(face: Face, destination: str, host: str, status: int) -> None:
    """A URI with its scheme's default port is the one without it (RFC 3986 section 6.2.3)."""
    face.put(PHOTOS + "a", b"1")
    headers = {"Host": host, "Destination": f"{destination}{PHOTOS}b"}
    assert face.request("COPY", PHOTOS + "a", b"", headers).status == status


@pytest.mark.parametrize("method", ["COPY", "MOVE"])
def test_a_destination_does_not_tell_who_has_an_account(face: Face, method: str) -> None:
    """An account that shares nothing and one that does not exist refuse in the same words."""
    face.put(PHOTOS + "a", b"1")
    there = send(face, method, PHOTOS + "a", "/dav/photos/berta@example.org/photos/b")
    nowhere = send(face, method, PHOTOS + "a", "/dav/photos/nobody/photos/b")
    assert there.status == nowhere.status == 409
    assert there.body.replace(b"berta@example.org", b"nobody") == nowhere.body


def test_nothing_is_copied_onto_the_url_that_adds_members(face: Face) -> None:
    """The name of RFC 5995 stays free, whatever way an item comes."""
    face.put(PHOTOS + "a", b"1")
    assert send(face, "COPY", PHOTOS + "a", PHOTOS + ";add-member").status == 403
    assert face.request("PUT", PHOTOS + ";add-member", b"1").status == 403


def test_a_copy_between_accounts_does_not_hold_up_the_others(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes of a large file are read and hashed on a worker thread."""
    face.door.shared[BERTA] = {(ANNA, Home.PHOTOS, "photos"): False}
    face.put(PHOTOS + "a", b"1")
    threads: list[threading.Thread] = []
    copy = face.library.copy

    def noted(actor: Actor, source: Place, target: Place, **options: bool) -> object:
        threads.append(threading.current_thread())
        return copy(actor, source, target, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(face.library, "copy", noted)
    headers = {"Destination": "/dav/photos/berta@example.org/photos/a"}
    assert face.request("COPY", PHOTOS + "a", b"", headers, login="berta@example.org").status == 201
    assert threads != [threading.current_thread()]
